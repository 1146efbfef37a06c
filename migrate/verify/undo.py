"""What of a load can be undone, record by record, and what cannot: the API updates by masterid and deletes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from migrate import parquet
from migrate.verify.known import opened
from migrate.verify.naming import is_same
from migrate.verify.readback import MASTERID
from migrate.verify.record import literal_text, split_object
from migrate.verify.rules import ColumnRule, DatasetRules
from migrate.verify.typed import Broken, read_recency

_WRITTEN = """
SELECT r.batch, r.position, r.key, r.change, r.masterid
FROM records r JOIN datasets d ON d.id = r.dataset JOIN plans p ON p.id = d.plan
WHERE p.name = ? AND d.name = ? AND r.state = 'written' ORDER BY r.batch, r.position
"""
_MERGED = """
SELECT m.gone, m.survivor FROM merges m JOIN datasets d ON d.id = m.dataset JOIN plans p ON p.id = d.plan
WHERE p.name = ? AND d.name = ? ORDER BY m.gone
"""


_UNSETTLED = """
SELECT coalesce(sum(b.rows - b.written - b.rejected), 0)
FROM batches b JOIN datasets d ON d.id = b.dataset JOIN plans p ON p.id = d.plan
WHERE p.name = ? AND d.name = ? AND b.state IN ('sending', 'unknown', 'split')
"""
_REFUSED = """
SELECT r.key, r.status FROM records r JOIN datasets d ON d.id = r.dataset JOIN plans p ON p.id = d.plan
WHERE p.name = ? AND d.name = ? AND r.state = 'rejected' ORDER BY r.key
"""


@dataclass(frozen=True)
class Restorable:
    """A record that the load updated and nobody has changed since: `before` are the columns as they were.

    `left`: columns that held nothing before and cannot be emptied, so they keep what the load wrote.
    """

    key: str
    masterid: str
    before: Mapping[str, str | None]
    left: tuple[str, ...] = ()

    def without_nulls(self) -> Restorable:
        """The same, with the columns that would have to become null left as they are."""
        filled = {name: text for name, text in self.before.items() if text}
        empty = tuple(name for name in self.before if name not in filled)
        return replace(self, before=filled, left=(*self.left, *empty))


@dataclass(frozen=True)
class DatasetUndo:
    """One dataset's load, split by what can be done about each record.

    `changed_since`: updated by us and then by somebody else, left alone. `restored`: as it was already. `created`: the
    API has no delete. `merged`: (the masterid that is gone, the one it went into, what it held); `survivors` are the
    records that others went into, with what they held: now it is of several, and is left alone. `unreadable`: no
    pre-image, or no record any more. `unsettled`: records whose answers were lost.
    """

    dataset: str
    dataset_id: str
    restorable: tuple[Restorable, ...] = ()
    changed_since: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    merged: tuple[tuple[str, str, Mapping[str, str | None]], ...] = ()
    survivors: tuple[tuple[str, Mapping[str, str | None]], ...] = ()
    unreadable: tuple[str, ...] = ()
    unsettled: int = 0
    rules: DatasetRules | None = field(default=None, repr=False)


def split_load(
    ledger: Path, plan: str, folder: Path, rules: DatasetRules, dataset_id: str, held: pl.DataFrame
) -> DatasetUndo:
    """Everything that a plan wrote to one dataset, split. `held` is the target as it is now, as texts."""
    with opened(ledger) as connection:
        written = connection.execute(_WRITTEN, (plan, rules.dataset)).fetchall()
        gone = connection.execute(_MERGED, (plan, rules.dataset)).fetchall()
        unsettled = connection.execute(_UNSETTLED, (plan, rules.dataset)).fetchone()[0]
    before = {row[MASTERID]: row for row in _before(folder)}
    now = {row[MASTERID]: row for row in held.iter_rows(named=True)}
    survivors = {survivor for _gone, survivor in gone}
    planned = _planned(folder)
    found: dict[str, list[Any]] = {
        name: [] for name in ("restorable", "changed_since", "restored", "created", "unreadable")
    }
    for batch, position, key, change, masterid in written:
        if change == "create" or masterid in survivors:
            found["created"] += [masterid] if change == "create" else []
            continue
        changed, sent = planned.get((batch, position), ([], {}))
        image, held_now = before.get(masterid), now.get(masterid)
        if image is None or held_now is None:
            found["unreadable"].append(masterid)
            continue
        kind, restore = _judge(rules, changed or list(sent), sent, image, held_now)
        if kind is not None:
            found[kind].append(
                _restorable(rules, key, masterid, restore) if kind == "restorable" else masterid
            )
    return DatasetUndo(
        rules.dataset,
        dataset_id,
        merged=tuple(
            (lost, survivor, _mapped(rules, before.get(lost, {}))) for lost, survivor in gone
        ),
        survivors=tuple(
            (masterid, _mapped(rules, before.get(masterid, {}))) for masterid in sorted(survivors)
        ),
        rules=rules,
        unsettled=unsettled,
        **{
            name: tuple(dict.fromkeys(values)) if name != "restorable" else tuple(values)
            for name, values in found.items()
        },
    )


def _restorable(
    rules: DatasetRules, key: str, masterid: str, before: Mapping[str, str | None]
) -> Restorable:
    """The record, without the columns that the mapping itself says can never be empty."""
    left = tuple(name for name, text in before.items() if not text and rules.columns[name].required)
    return Restorable(
        key, masterid, {name: text for name, text in before.items() if name not in left}, left
    )


def count_restored(rules: DatasetRules, records: Sequence[Restorable], held: pl.DataFrame) -> int:
    """How many of these records hold what they were to be given back."""
    now = {row[MASTERID]: row for row in held.iter_rows(named=True)}
    return sum(
        all(
            is_same(rules.columns[name].type, text, now[r.masterid].get(name))
            for name, text in r.before.items()
        )
        for r in records
        if r.masterid in now
    )


def refused_records(ledger: Path, plan: str, dataset: str) -> dict[str, int]:
    """The records that the target refused to take back: masterid to HTTP status."""
    with opened(ledger) as connection:
        return {
            key: int(status or 0) for key, status in connection.execute(_REFUSED, (plan, dataset))
        }


def _judge(
    rules: DatasetRules,
    changed: list[str],
    sent: Mapping[str, str | None],
    before: Mapping[str, str | None],
    now: Mapping[str, str | None],
) -> tuple[str | None, dict[str, str | None]]:
    """What can be done about an updated record, and the columns to restore."""
    restore: dict[str, str | None] = {}
    others = False
    for name in changed:
        rule = rules.columns.get(name)
        if (
            rule is None
            or rule.recipe
            or name in rules.key
            or is_same(rule.type, before.get(name), sent.get(name))
        ):
            continue
        if is_same(rule.type, before.get(name), now.get(name)):
            continue
        others = others or not is_same(rule.type, sent.get(name), now.get(name))
        restore[name] = before.get(name)
    if others:
        return "changed_since", {}
    return ("restorable", restore) if restore else ("restored", {})


def payload(rules: DatasetRules, record: Restorable) -> str:
    """The JSON that restores a record: its masterid and the columns as they were, null where they held nothing."""
    parts = [f"{json.dumps(MASTERID)}:{json.dumps(record.masterid)}"]
    for name, text in record.before.items():
        parts.append(
            f"{json.dumps(name, ensure_ascii=False)}:{_literal(rules.columns[name], text)}"
        )
    return "{" + ",".join(parts) + "}"


def _literal(rule: ColumnRule, text: str | None) -> str:
    if text is None or text == "":
        return "null"
    if rule.type in {"integer", "float"}:
        return text
    if rule.type == "boolean":
        return "true" if text.lower() in {"true", "t", "1"} else "false"
    if rule.type in {"datetime", "date"}:
        return json.dumps(_time(text))
    return json.dumps(text, ensure_ascii=False)


def _time(text: str) -> str:
    try:
        return read_recency(text, "UTC") or text
    except Broken:
        return text


def _before(folder: Path) -> Iterator[dict[str, str | None]]:
    for file in sorted(folder.glob("before-*.parquet")):
        yield from parquet.read(file).iter_rows(named=True)


def _planned(folder: Path) -> dict[tuple[int, int], tuple[list[str], dict[str, str | None]]]:
    """By batch and place: the columns that the plan says change, and what was sent."""
    rows = parquet.read(
        folder / "records.parquet", columns=["batch", "position", "changed", "payload"]
    )
    found = {}
    for batch, position, changed, body in rows.iter_rows():
        sent = {
            name: literal_text(raw) for name, raw in (split_object(body.encode()) or {}).items()
        }
        found[batch, position] = (list(changed or ()), sent)
    return found


def _mapped(rules: DatasetRules, row: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name: value for name, value in row.items() if name in rules.columns and value}
