"""One record's way, for a person to follow: step by step through a mapping, and in the files of plan and load.

The steps are the evaluator's own. The files hold its rows, its partners, its batch and the requests for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, compress
from pathlib import Path
from typing import Any, Literal

import polars as pl

from migrate import parquet
from migrate.verify.column import Lane
from migrate.verify.evaluate import Evaluator, as_made
from migrate.verify.known import opened
from migrate.verify.made import Left, Record, Row
from migrate.verify.mapping_query import NULLS
from migrate.verify.naming import is_same
from migrate.verify.record import NUL, literal_text, split_object
from migrate.verify.rules import DatasetRules

Facts = dict[str, Any]
_WRITES = """
SELECT p.name AS plan, r.change, r.batch, r.position, r.masterid, b.request_id, b.traceparent, r.settled_at
FROM datasets d JOIN plans p ON p.id = d.plan JOIN records r ON r.dataset = d.id
JOIN batches b ON b.dataset = r.dataset AND b.batch = r.batch
WHERE d.dataset_id = :dataset_id AND p.name != :plan AND r.state = 'written'
  AND (r.key = :key OR r.masterid = :masterid)
ORDER BY r.settled_at
"""
_PLAN_COLUMNS = ("batch", "position", "change", "key", "masterid", "changed", "payload", "sources")
_BATCH = """
SELECT b.state, b.attempts, b.requests, b.throttled, b.busy, b.changed_at, b.request_id, b.traceparent
FROM batches b JOIN datasets d ON d.id = b.dataset JOIN plans p ON p.id = d.plan
WHERE p.name = ? AND d.name = ? AND b.batch = ?
"""
_RECORD = """
SELECT r.state, r.change, r.masterid, r.merged_from, r.protected, r.altered, r.status, r.error, r.settled_at
FROM records r JOIN datasets d ON d.id = r.dataset JOIN plans p ON p.id = d.plan
WHERE p.name = ? AND d.name = ? AND r.batch = ? AND r.position = ?
"""
_FAILURES = """
SELECT f.at, f.status, f.reason, f.request_id, f.traceparent
FROM failures f JOIN datasets d ON d.id = f.dataset JOIN plans p ON p.id = d.plan
WHERE p.name = ? AND d.name = ? AND f.batch = ? ORDER BY f.id
"""


Sent = Literal["value", "null", "nothing"]


@dataclass(frozen=True)
class ColumnSteps:
    """One column: each step's name with the text after it, and the rule that was broken, if any.

    `sent`: whether its value goes into the payload, a null that erases what the target has, or nothing at all.
    """

    column: str
    steps: tuple[tuple[str, str | None], ...]
    broken: str | None = None
    sent: Sent = "nothing"


@dataclass(frozen=True)
class RowSteps:
    """One row that a record makes (or does not), with the way of every column that has something to show."""

    made: Row | Left
    columns: tuple[ColumnSteps, ...]


def follow(evaluator: Evaluator, record: Record) -> list[RowSteps]:
    """What becomes of a record, column by column: one entry for itself or for each element of its list.

    **Guarantees**: the last step of a column is what the evaluator makes of it; the rule that keeps a row out stands
    at its column.
    """
    return [_row_steps(evaluator, row) for row in evaluator.steps([record])]


def _row_steps(evaluator: Evaluator, row: Mapping[str, Any]) -> RowSteps:
    made = as_made(row, evaluator.columns)
    columns = []
    for name in evaluator.rules.columns:
        if name in evaluator.unverifiable:
            doubt = f"not verifiable independently: {evaluator.unverifiable[name]}"
            columns.append(ColumnSteps(name, (), doubt))
            continue
        ways = [
            list(_told(way, [row[f"{name}/{lane}/{step}"] for step in range(len(way.steps))]))
            for lane, way in enumerate(evaluator.lanes_of(name))
        ]
        steps = list(chain.from_iterable(ways))
        rules = [text[1:] for _, text in steps if text is not None and text.startswith(NUL)]
        shown = tuple(step for step in steps if step[1] is None or not step[1].startswith(NUL))
        columns.append(
            _with_outcome(
                ColumnSteps(name, shown, rules[0] if rules else None), made, row, evaluator.columns
            )
        )
    is_told = [bool(one.steps or one.broken or one.sent != "nothing") for one in columns]
    return RowSteps(made, tuple(compress(columns, is_told)))


def _told(lane: Lane, texts: list[str | None]) -> Iterator[tuple[str, str | None]]:
    """The steps that do something, up to the one that breaks a rule."""
    before: str | None = None
    for place, ((name, _), text) in enumerate(zip(lane.steps, texts, strict=True)):
        is_function = 0 < place < len(lane.steps) - 1 and name not in {"values", "default"}
        starts = place == 0 and text is not None
        stands_in = name == "default" and before is None
        if (
            starts
            or stands_in
            or (name != "default" and before is not None)
            or (is_function and texts[0] is not None)
        ):
            yield name, text
        if text is not None and text.startswith(NUL):
            return
        before = text


def _with_outcome(
    column_steps: ColumnSteps, made: Row | Left, row: Mapping[str, Any], columns: tuple[str, ...]
) -> ColumnSteps:
    """The steps with what comes out of the column in the end: several fields may speak, and one of them counts."""
    # A rejected row sends nothing, so only the rule is told, at the column that broke it.
    if isinstance(made, Left):
        broken = made.rule if made.column == column_steps.column else None
        return replace(column_steps, broken=column_steps.broken or broken)
    place = columns.index(column_steps.column)
    value = made.values[place]
    erases = value is None and f",{place}," in (row[NULLS] or "")
    sent: Sent = "value" if value is not None else "null" if erases else "nothing"
    last = column_steps.steps[-1][1] if column_steps.steps else None
    if value == last:
        steps = column_steps.steps
    else:
        steps = (*column_steps.steps, ("becomes", value))
    return replace(column_steps, steps=steps, sent=sent)


def planned_rows(folder: Path, resource: str, source: str | None, id_: str) -> list[Facts]:
    """The rows of a plan's dataset that a record went into: batch and place, change, key, payload, all its sources."""
    rows: list[Facts] = []
    for file in ("records", "unchanged"):
        scan = parquet.scan(folder / f"{file}.parquet")
        names = [name for name in _PLAN_COLUMNS if name in scan.collect_schema()]
        who = pl.element().struct
        is_ours = pl.col("sources").list.eval(
            (who.field("id") == id_)
            & (who.field("resource") == resource)
            & who.field("source").eq_missing(pl.lit(source, pl.String))
        )
        rows += scan.select(names).filter(is_ours.list.any()).collect().to_dicts()
    return rows


def left_behind(
    folder: Path, resource: str, source: str | None, id_: str
) -> dict[str, list[Facts]]:
    """What of a record was rejected by the plan, and what it was collapsed into or with."""
    named = pl.lit(source, pl.String)
    mine = (pl.col("id") == id_) & pl.col("source").eq_missing(named)
    won = (pl.col("winner_id") == id_) & pl.col("winner_source").eq_missing(named)
    lost = parquet.scan(folder / "collapsed.parquet")
    of_rejects = mine & (pl.col("resource") == resource)
    # a plan of an earlier version, when one resource made a dataset, does not say of which a record is
    if "resource" in lost.collect_schema():
        mine &= pl.col("resource") == resource
        won &= pl.col("winner_resource") == resource
    rejects = parquet.scan(folder / "rejects.parquet").filter(of_rejects).collect()
    collapsed = lost.filter(mine | won).collect()
    return {"rejected": rejects.to_dicts(), "collapsed": collapsed.to_dicts()}


def ledger_facts(ledger: Path, plan: str, dataset: str, batch: int, position: int) -> Facts:
    """The batch, the record's last word, and the requests of the batch that failed; empty where nothing was sent."""
    if not ledger.exists():
        return {}
    with opened(ledger) as connection:
        facts: Facts = {}
        for name, query, values in (
            ("batch", _BATCH, (plan, dataset, batch)),
            ("record", _RECORD, (plan, dataset, batch, position)),
            ("failures", _FAILURES, (plan, dataset, batch)),
        ):
            cursor = connection.execute(query, values)
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
            facts[name] = rows if name == "failures" else rows[0] if rows else None
        return facts


def other_writes(
    ledger: Path, dataset_id: str, key: str, masterid: str | None, plan: str
) -> list[Facts]:
    """Where other plans than this one wrote a record, the first time first: batch, place, answer and masterid.

    A plan that finds a record unchanged writes nothing of it, and one that changes it did not make it.
    """
    if not ledger.exists():
        return []
    named = {"dataset_id": dataset_id, "key": key, "masterid": masterid, "plan": plan}
    with opened(ledger) as connection:
        cursor = connection.execute(_WRITES, named)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def payload_texts(payload: str) -> dict[str, str | None]:
    """The columns of a payload as texts."""
    return {name: literal_text(raw) for name, raw in (split_object(payload.encode()) or {}).items()}


def stored_differences(
    rules: DatasetRules, sent: dict[str, str | None], stored: dict[str, Any]
) -> list[Facts]:
    """The columns that were sent and that the target shows otherwise."""
    differences = []
    for name, value in sent.items():
        shown = stored_text(stored.get(name))
        if name in rules.columns:
            kind = rules.columns[name].type
        else:
            kind = "text"
        if not is_same(kind, value, shown):
            differences.append({"column": name, "sent": value, "stored": shown})
    return differences


def stored_text(value: Any) -> str | None:
    """A stored JSON value as text."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
