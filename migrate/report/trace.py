"""One record's way, for one screen and as JSON. Values are masked unless they are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from migrate.report.terminal import Row, inert, render_table

Mask = Callable[[str], str]
Facts = Mapping[str, Any]
_PERSONAL = ("record", "steps", "payload", "stored", "value", "key", "sent", "error")
_LONGEST = 60


def summarise_trace(facts: Facts, mask: Mask | None) -> dict[str, Any]:
    """The trace with every personal value masked; as it is without a mask."""
    return {name: _masked(value, mask, personal=name in _PERSONAL) for name, value in facts.items()}


def _masked(value: Any, mask: Mask | None, *, personal: bool) -> Any:
    if isinstance(value, Mapping):
        return {name: _masked(part, mask, personal=personal or name in _PERSONAL) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(part, mask, personal=personal) for part in value]
    if mask is None or not personal or not isinstance(value, str):
        return value
    return _masked_json(value, mask) if value[:1] in ("{", "[") else mask(value)


def _masked_json(text: str, mask: Mask) -> Any:
    try:
        return _masked(json.loads(text, parse_float=str, parse_int=str), mask, personal=True)
    except ValueError:
        return mask(text)


def render_trace(facts: Facts, mask: Mask | None) -> str:
    """The stages, one after another."""
    head = f"{facts['resource']} {facts['id']} of {facts['source']}"
    lines = [inert(head), "", f"source      {_at_source(facts['live'])}"]
    snapshot = facts["snapshot"]
    if snapshot is None:
        return "\n".join([*lines, "snapshot    it is not there"])
    same = facts["live"].get("record") == snapshot["record"]
    lines.append(
        f"snapshot    {snapshot['name']}, row {snapshot['row']:,}, page {snapshot['page']}"
        + (", the same as at the source" if same else "")
    )
    parts = ["\n".join(lines)]
    parts += [_render_dataset(name, dataset, mask) for name, dataset in facts["datasets"].items()]
    return "\n\n".join(parts)


def _at_source(live: Facts) -> str:
    if not live["asked"]:
        return str(live.get("why", "not asked"))
    return "it is there" if live["record"] is not None else str(live.get("why", "it is not there any more"))


def _render_dataset(name: str, dataset: Facts, mask: Mask | None) -> str:
    lines = [f"{name}:"]
    lines += [f"  left out: {made['rule']}" for made in dataset["mapped"] if made.get("rule")]
    lines += [f"  {made['why']}" for made in dataset["mapped"] if made.get("why")]
    lines += [f"  rejected by the plan: {r['rule']} in {r['column']}" for r in dataset["rejected"]]
    for c in dataset["collapsed"]:
        lines.append(inert(f"  collapsed: {c['source']} {c['id']} into {c['winner_source']} {c['winner_id']}"))
    for row in dataset["rows"]:
        lines += _render_row(row, mask)
    rows: list[Row] = [
        [made.get("position"), column, " -> ".join(_step(step, mask) for step in found["steps"]), found["broken"]]
        for made in dataset["mapped"]
        for column, found in made.get("columns", {}).items()
    ]
    return "\n".join(lines) + ("\n" + render_table(["line", "column", "steps", "broken rule"], rows) if rows else "")


def _step(step: list[str | None], mask: Mask | None) -> str:
    name, text = step
    return f"{name} {_show(text, mask)}"


def _render_row(row: Facts, mask: Mask | None) -> list[str]:
    place = "" if row["batch"] is None else f", batch {row['batch']} place {row['position']}"
    lines = [f"  planned: {row['change']} {_show(row['key'], mask)}{place}"]
    ledger = row.get("ledger") or {}
    record, batch = ledger.get("record"), ledger.get("batch")
    if batch:
        lines.append(f"  batch {batch['state']} after {batch['requests']} requests")
    if record:
        lines.append(f"  load: {record['state']} {record['change'] or ''}, masterid {record['masterid']}")
    lines += [_failed(failure) for failure in ledger.get("failures", ())]
    if "stored" in row:
        lines.append("  target: it is not there" if row["stored"] is None else "  target: it is there")
    lines += [
        f"  differs: {d['column']}: sent {_show(d['sent'], mask)}, stored {_show(d['stored'], mask)}"
        for d in row.get("differences") or ()
    ]
    return lines


def _failed(failure: Facts) -> str:
    return f"  failed request {failure['request_id'] or '-'}: {failure['status']} {inert(failure['reason'])}"


def _show(value: str | None, mask: Mask | None) -> str:
    if value is None:
        return "nothing"
    text = inert(value if mask is None else mask(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
