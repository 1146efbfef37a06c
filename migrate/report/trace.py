"""One record's way, for one screen and as JSON. Values are masked unless they are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from migrate.report.terminal import Row, inert, render_table, say_count

Mask = Callable[[str], str]
Facts = Mapping[str, Any]
_PERSONAL = ("record", "steps", "payload", "stored", "value", "key", "sent", "error", "lost")
_CORRECTED = ("sent", "value")
_LONGEST = 60


def summarise_trace(facts: Facts, mask: Mask | None) -> dict[str, Any]:
    """The trace with every personal value masked; as it is without a mask."""
    return {name: _masked(value, mask, personal=name in _PERSONAL) for name, value in facts.items()}


def _masked(value: Any, mask: Mask | None, *, personal: bool) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _masked(part, mask, personal=personal or name in _PERSONAL)
            for name, part in value.items()
        }
    if isinstance(value, list | tuple) and personal and _are_steps(value):
        # the names of the steps are the mapping's own words; only what they make is somebody's
        return [[name, _masked(text, mask, personal=True)] for name, text in value]
    if isinstance(value, list | tuple):
        return [_masked(part, mask, personal=personal) for part in value]
    if mask is None or not personal or not isinstance(value, str):
        return value
    return _masked_json(value, mask) if value[:1] in ("{", "[") else mask(value)


def _are_steps(value: Sequence[Any]) -> bool:
    """Whether a list is of pairs of a step's name and its text."""
    return bool(value) and all(
        isinstance(step, list | tuple) and len(step) == 2 and isinstance(step[0], str)
        for step in value
    )


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
        + (", in what the delta is based on" if snapshot.get("outside_delta") else "")
        + (", outside of the part or sample that the plan is" if snapshot.get("outside") else "")
    )
    right = snapshot.get("corrections", ())
    lines += [f"correction  {_correction(one, mask)}" for one in right]
    if facts.get("told"):
        lines.append(f"plan        {inert(facts['plan'])}, {inert(facts['told'])}")
    parts = ["\n".join(lines)]
    parts += [_render_dataset(name, dataset, mask) for name, dataset in facts["datasets"].items()]
    return "\n\n".join(parts)


def _correction(one: Facts, mask: Mask | None) -> str:
    before, after = (_show(one[name], mask) if one[name] else "nothing" for name in _CORRECTED)
    taken = {"applied": "", "changed": ", not taken: the record has another value now"}
    said = f"{one['field']}: {before} is {after}, says {one['by']}: {one['why']}"
    return inert(said + taken.get(one["state"], ""))


def _at_source(live: Facts) -> str:
    if not live["asked"]:
        return str(live.get("why", "not asked"))
    return (
        "it is there"
        if live["record"] is not None
        else str(live.get("why", "it is not there any more"))
    )


def _render_dataset(name: str, dataset: Facts, mask: Mask | None) -> str:
    lines = [f"{name}:"]
    lines += [f"  left out: {made['rule']}" for made in dataset["mapped"] if made.get("rule")]
    lines += [f"  {made['why']}" for made in dataset["mapped"] if made.get("why")]
    lines += [f"  rejected by the plan: {_broken(rejected)}" for rejected in dataset["rejected"]]
    for c in dataset["collapsed"]:
        lines.append(
            inert(
                f"  collapsed: {c['source']} {c['id']} into {c['winner_source']} {c['winner_id']}"
            )
        )
        lost = json.loads(c.get("lost") or "{}", parse_float=str, parse_int=str)
        lines += [
            inert(f"    lost {column}: {_show(str(value), mask)}") for column, value in lost.items()
        ]
    for row in dataset["rows"]:
        lines += _render_row(row, mask)
    return "\n".join(lines) + "".join(f"\n{table}" for table in _columns(dataset["mapped"], mask))


def _broken(rejected: Facts) -> str:
    """The rule that a row broke, and where; some rules are about the row as a whole."""
    if rejected["column"] is None:
        return str(rejected["rule"])
    return f"{rejected['rule']} in {rejected['column']}"


def _columns(mapped: Sequence[Facts], mask: Mask | None) -> Iterator[str]:
    """The ways of all columns, with the line and the broken rule where there are such; none of what was filtered."""
    rows: list[Row] = []
    for made in mapped:
        if made.get("rule") != "filtered":
            rows.extend(
                [
                    made.get("position"),
                    column,
                    _steps(found["steps"], found.get("sent"), mask),
                    found["broken"],
                ]
                for column, found in made.get("columns", {}).items()
            )
    used = [
        place
        for place in range(4)
        if place in (1, 2) or any(row[place] is not None for row in rows)
    ]
    headers = ["line", "column", "steps", "broken rule"]
    if rows:
        yield render_table(
            [headers[place] for place in used], [[row[place] for place in used] for row in rows]
        )


_NOTHING = {"null": "null is sent, which erases it", "nothing": "left out"}


def _steps(steps: Sequence[list[str | None]], sent: str | None, mask: Mask | None) -> str:
    """The steps in order, with the text after each one that changed it, and in the end what is sent."""
    told: list[tuple[list[str], str | None]] = []
    for name, text in steps:
        if told and told[-1][1] == text:
            told[-1][0].append(str(name))
        else:
            told.append(([str(name)], text))
    shown = [f"{', '.join(names)}: {_show(text, mask)}" for names, text in told]
    if sent in _NOTHING and (not told or told[-1][1] is None):
        names = ", ".join(told[-1][0]) if told else "becomes"
        shown[-1:] = [f"{names}: {_NOTHING[sent]}"]
    return " -> ".join(shown)


def _render_row(row: Facts, mask: Mask | None) -> list[str]:
    place = "" if row["batch"] is None else f", batch {row['batch']} place {row['position']}"
    by = f" by plan {inert(row['plan'])}" if row.get("plan") else ""
    lines = [f"  planned{by}: {row['change']} {_show(row['key'], mask)}{place}"]
    ledger = row.get("ledger") or {}
    record = ledger.get("record")
    batch = ledger.get("batch")
    if batch:
        answered = f", answered as {inert(batch['request_id'])}" if batch["request_id"] else ""
        lines.append(
            f"  batch {batch['state']} after {say_count(batch['requests'], 'request')}{answered}"
        )
    if file := row.get("file"):
        place = f", uploaded to {file['uploaded_to']}" if file["uploaded_to"] else ""
        lines.append(inert(f"  handed over in {file['name']} of {file['folder']}{place}"))
    if record:
        lines.append(_settled(record, mask))
    lines += map(_written, row.get("written", ()))
    lines += [_failed(failure) for failure in ledger.get("failures", ())]
    if "stored" in row:
        lines.append(
            "  target: it is not there" if row["stored"] is None else "  target: it is there"
        )
    lines += [
        f"  differs: {d['column']}: sent {_show(d['sent'], mask)}, stored {_show(d['stored'], mask)}"
        for d in row.get("differences") or ()
    ]
    return lines


def _settled(record: Facts, mask: Mask | None) -> str:
    if record["state"] == "rejected":
        return f"  load: refused with status {record['status']}: {_show(record['error'], mask)}"
    return f"  load: {record['state']} {record['change'] or ''}, masterid {record['masterid']}"


def _written(one: Facts) -> str:
    answered = f", answered as {inert(one['request_id'])}" if one["request_id"] else ""
    return (
        f"  written by plan {inert(one['plan'])}: {one['change'] or 'written'}, batch {one['batch']} place "
        f"{one['position']}{answered}, masterid {one['masterid']}"
    )


def _failed(failure: Facts) -> str:
    return f"  failed request {failure['request_id'] or '-'}: {failure['status']} {inert(failure['reason'])}"


def _show(value: str | None, mask: Mask | None) -> str:
    if value is None:
        return "nothing"
    text = inert(value if mask is None else mask(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
