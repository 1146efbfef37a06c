"""One record's way, for one screen and as JSON. Values are masked unless they are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from migrate.report.diff_view import shown_by_dataset
from migrate.report.shown import Shown
from migrate.report.terminal import Row, inert, render_table, say_count

if TYPE_CHECKING:
    from migrate.plan.open_plan import Plan

Facts = Mapping[str, Any]
_CORRECTED = ("sent", "value")
_LONGEST = 60


@dataclass(frozen=True)
class TraceShown:
    """How values of one record's way are shown: those of its resource, and those of each dataset made of it."""

    of_resource: Shown
    of_datasets: Mapping[str, Shown] = field(default_factory=dict)

    def of(self, dataset: str) -> Shown:
        """How values of a dataset are shown; as those of the record where nothing is known of the dataset."""
        return self.of_datasets.get(dataset, self.of_resource)


def shown_in_trace(facts: Facts, plan: Plan, shown: Shown) -> TraceShown:
    """How the values of a trace are shown, by the plan that it follows."""
    return TraceShown(shown.of([facts["resource"]]), shown_by_dataset(plan, shown))


def summarise_trace(facts: Facts, shown: TraceShown) -> dict[str, Any]:
    """The trace with every personal value masked; as it is where nothing is."""
    summary = dict(facts)
    for stage in ("live", "snapshot"):
        if facts.get(stage):
            summary[stage] = _summarise_stage(facts[stage], shown.of_resource)
    if "datasets" in facts:
        summary["datasets"] = {
            name: _summarise_dataset(dataset, shown.of(name))
            for name, dataset in facts["datasets"].items()
        }
    return summary


def _summarise_stage(stage: Facts, shown: Shown) -> dict[str, Any]:
    """What the source or the snapshot has of the record."""
    summary = dict(stage)
    if stage.get("record") is not None:
        summary["record"] = shown.json(stage["record"])
    if "corrections" in stage:
        summary["corrections"] = [
            {**one, **{name: shown.text(one[name], one["field"]) for name in _CORRECTED}}
            for one in stage["corrections"]
        ]
    return summary


def _summarise_dataset(dataset: Facts, shown: Shown) -> dict[str, Any]:
    """What one dataset makes of the record."""
    return {
        **dataset,
        "mapped": [_summarise_mapped(made, shown) for made in dataset["mapped"]],
        "rejected": [_summarise_reject(row, shown) for row in dataset["rejected"]],
        "collapsed": [
            {**row, "lost": shown.json(row["lost"])} if row.get("lost") else row
            for row in dataset["collapsed"]
        ],
        "rows": [_summarise_row(row, shown) for row in dataset["rows"]],
    }


def _summarise_reject(row: Facts, shown: Shown) -> dict[str, Any]:
    return {
        **row,
        "value": shown.cell(row.get("value"), row["column"] or ""),
        "key": shown.text(row.get("key")),
    }


def _summarise_mapped(made: Facts, shown: Shown) -> dict[str, Any]:
    """The steps of every column; their names are the mapping's own words, only what they make is somebody's."""
    columns = {}
    for column, way in made.get("columns", {}).items():
        steps = [[name, shown.cell(text, column)] for name, text in way["steps"]]
        columns[column] = {**way, "steps": steps}
    return {**made, **({"columns": columns} if "columns" in made else {})}


def _summarise_row(row: Facts, shown: Shown) -> dict[str, Any]:
    """A planned row: its key, its payload, what the target holds of it, what the load was answered."""
    summary = {**row, "key": shown.text(row["key"])}
    for place in ("payload", "stored"):
        if row.get(place) is not None:
            summary[place] = shown.parsed(row[place])
    if row.get("differences"):
        summary["differences"] = [
            {**one, **{name: shown.cell(one[name], one["column"]) for name in ("sent", "stored")}}
            for one in row["differences"]
        ]
    ledger = row.get("ledger") or {}
    if ledger.get("record"):
        answered = {**ledger["record"], "error": shown.text(ledger["record"]["error"])}
        if answered.get("key") is not None:
            answered["key"] = shown.text(answered["key"])
        summary["ledger"] = {**ledger, "record": answered}
    return summary


def render_trace(facts: Facts, shown: TraceShown) -> str:
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
    lines += [f"correction  {_correction(one, shown.of_resource)}" for one in right]
    if facts.get("told"):
        lines.append(f"plan        {inert(facts['plan'])}, {inert(facts['told'])}")
    parts = ["\n".join(lines)]
    parts += [
        _render_dataset(name, dataset, shown.of(name))
        for name, dataset in facts["datasets"].items()
    ]
    return "\n\n".join(parts)


def _correction(one: Facts, shown: Shown) -> str:
    before, after = (_cut(shown.text(one[name] or None, one["field"])) for name in _CORRECTED)
    taken = {"applied": "", "changed": ", not taken: the record has another value now"}
    said = f"{one['field']}: {before} is {after}, says {one['by']}: {one['why']}"
    return inert(said + taken.get(one["state"], ""))


def _at_source(live: Facts) -> str:
    if not live["asked"]:
        return str(live.get("why", "not asked"))
    if live["record"] is not None:
        return "it is there"
    return str(live.get("why", "it is not there any more"))


def _render_dataset(name: str, dataset: Facts, shown: Shown) -> str:
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
        # Numbers as texts, to be shown as they were sent.
        lost = json.loads(c.get("lost") or "{}", parse_float=str, parse_int=str)
        lines += [
            inert(f"    lost {column}: {_cut(shown.cell(str(value), column))}")
            for column, value in lost.items()
        ]
    for row in dataset["rows"]:
        lines += _render_row(row, shown)
    tables = list(_columns(dataset["mapped"], shown))
    if len(lines) == 1 and not tables:
        lines.append("  no row: the list that its rows are made from is empty or not there")
    return "\n".join([*lines, *tables])


def _broken(rejected: Facts) -> str:
    """The rule that a row broke, and where; some rules are about the row as a whole."""
    if rejected["column"] is None:
        return str(rejected["rule"])
    return f"{rejected['rule']} in {rejected['column']}"


def _columns(mapped: Sequence[Facts], shown: Shown) -> Iterator[str]:
    """The ways of all columns, with the line and the broken rule where there are such; none of what was filtered."""
    rows: list[Row] = []
    for made in mapped:
        if made.get("rule") != "filtered":
            rows.extend(
                [
                    made.get("position"),
                    column,
                    _steps(traced["steps"], traced.get("sent"), column, shown),
                    traced["broken"],
                ]
                for column, traced in made.get("columns", {}).items()
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


def _steps(steps: Sequence[list[str | None]], sent: str | None, column: str, shown: Shown) -> str:
    """The steps in order, with the text after each one that changed it, and in the end what is sent."""
    entries: list[tuple[list[str], str | None]] = []
    for name, text in steps:
        # Steps that changed nothing are named beside the one before, not in arrows of their own.
        if entries and entries[-1][1] == text:
            entries[-1][0].append(str(name))
        else:
            entries.append(([str(name)], text))
    texts = [f"{', '.join(names)}: {_cut(shown.cell(text, column))}" for names, text in entries]
    if sent in _NOTHING and (not entries or entries[-1][1] is None):
        names = ", ".join(entries[-1][0]) if entries else "becomes"
        texts[-1:] = [f"{names}: {_NOTHING[sent]}"]
    return " -> ".join(texts)


def _render_row(row: Facts, shown: Shown) -> list[str]:
    place = "" if row["batch"] is None else f", batch {row['batch']} place {row['position']}"
    by = f" by plan {inert(row['plan'])}" if row.get("plan") else ""
    lines = [f"  planned{by}: {row['change']} {_cut(shown.text(row['key']))}{place}"]
    ledger = row.get("ledger") or {}
    record = ledger.get("record")
    batch = ledger.get("batch")
    if batch:
        answered = f", request id {inert(batch['request_id'])}" if batch["request_id"] else ""
        lines.append(
            f"  batch {batch['state']} after {say_count(batch['requests'], 'request')}{answered}"
        )
    if file := row.get("file"):
        place = f", uploaded to {file['uploaded_to']}" if file["uploaded_to"] else ""
        lines.append(inert(f"  handed over in {file['name']} of {file['folder']}{place}"))
    if record:
        lines.append(_settled(record, shown))
    lines += map(_written, row.get("written", ()))
    lines += [_failed(failure) for failure in ledger.get("failures", ())]
    if "stored" in row:
        lines.append(
            "  target: it is not there" if row["stored"] is None else "  target: it is there"
        )
    for one in row.get("differences") or ():
        sent, stored = (_cut(shown.cell(one[name], one["column"])) for name in ("sent", "stored"))
        lines.append(f"  differs: {one['column']}: sent {sent}, stored {stored}")
    return lines


def _settled(record: Facts, shown: Shown) -> str:
    if record["state"] == "rejected":
        return (
            f"  load: refused with status {record['status']}: {_cut(shown.text(record['error']))}"
        )
    return f"  load: {record['state']} {record['change'] or ''}, masterid {record['masterid']}"


def _written(one: Facts) -> str:
    answered = f", request id {inert(one['request_id'])}" if one["request_id"] else ""
    return (
        f"  written by plan {inert(one['plan'])}: {one['change'] or 'written'}, batch {one['batch']} place "
        f"{one['position']}{answered}, masterid {one['masterid']}"
    )


def _failed(failure: Facts) -> str:
    return f"  failed request {failure['request_id'] or '-'}: {failure['status']} {inert(failure['reason'])}"


def _cut(value: str | None) -> str:
    if value is None:
        return "nothing"
    text = inert(value)
    if len(text) <= _LONGEST:
        return text
    return text[: _LONGEST - 1] + "…"
