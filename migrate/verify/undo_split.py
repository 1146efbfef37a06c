"""A load split by what can be undone of it, however many records the target has.

What the ledger says was written, what the target held before and what it holds now are put aside by masterid and judged
a bucket at a time; what comes of it goes to files.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from migrate import parquet
from migrate.names import MASTERID
from migrate.verify.known import opened
from migrate.verify.naming import is_same
from migrate.verify.readback import Pages
from migrate.verify.record import literal_text, split_object
from migrate.verify.rules import DatasetRules
from migrate.verify.spill import KEY, Spill, buckets_for
from migrate.verify.undo import Kinds, Values, Verdict, Write, judge_record, restoring

# Of records that several rows of the plan went into, the row that was settled last is what the target was left with.
_WRITTEN = """
SELECT r.batch, r.position, r.key, r.change, r.masterid, r.settled_at, {is_anothers}
FROM records r JOIN datasets d ON d.id = r.dataset JOIN plans p ON p.id = d.plan
WHERE p.name = ? AND d.name = ? AND r.state = 'written' AND r.batch BETWEEN ? AND ?
ORDER BY r.batch, r.position
"""
# Taken back already, and written by another plan after that: what it holds is that plan's, be it the same value.
_IS_ANOTHERS = """
EXISTS (
    SELECT 1 FROM plans pu JOIN datasets du ON du.plan = pu.id
    CROSS JOIN records u ON u.dataset = du.id AND u.masterid = r.masterid
    WHERE pu.undoes = p.name AND u.state = 'written' AND EXISTS (
        SELECT 1 FROM datasets do JOIN plans po ON po.id = do.plan
        CROSS JOIN records o ON o.dataset = do.id AND o.masterid = r.masterid
        WHERE do.dataset_id = d.dataset_id AND po.undoes IS NULL AND po.id <> p.id
        AND o.state = 'written' AND o.settled_at > u.settled_at
    )
)
"""
_WAS_UNDONE = "SELECT EXISTS (SELECT 1 FROM plans WHERE undoes = ?)"
_MERGED = """
SELECT m.gone, m.survivor FROM merges m JOIN datasets d ON d.id = m.dataset JOIN plans p ON p.id = d.plan
WHERE p.name = ? AND d.name = ? ORDER BY m.gone
"""
_UNSETTLED = """
SELECT coalesce(sum(b.rows - b.written - b.rejected - b.waiting), 0)
FROM batches b JOIN datasets d ON d.id = b.dataset JOIN plans p ON p.id = d.plan
WHERE p.name = ? AND d.name = ? AND b.state IN ('sending', 'unknown', 'split')
"""
_REFUSED = """
SELECT r.key, r.status FROM records r JOIN datasets d ON d.id = r.dataset JOIN plans p ON p.id = d.plan
WHERE p.name = ? AND d.name = ? AND r.state = 'rejected' ORDER BY r.key
"""
_WINDOW_ROWS = 20_000
_PIECE_ROWS = 10_000
# Other than the one by which buckets are chosen, or a bucket would be one piece again.
_OTHER_SEED = 2
_PLACES_A_BATCH = 1_000
_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    KEY: pl.String, "batch": pl.Int64, "position": pl.Int64, "key": pl.String, "change": pl.String,
    "settled_at": pl.Float64, "is_anothers": pl.Boolean, "planned_masterid": pl.String,
    "changed": pl.List(pl.String), "payload": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class DatasetUndo:
    """One dataset's load, split by what can be done about each record. Units: records.

    `counts`: by kind, as `Verdict` tells them; `merged` records went into others, and `survivors` are those that others
    went into: what they hold is of several now, and they are left alone. `parts`: by kind the files that name them.
    `unsettled`: records whose answers were lost.
    """

    dataset: str
    dataset_id: str
    rules: DatasetRules = field(repr=False)
    counts: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    unsettled: int = 0

    def count(self, kind: str) -> int:
        """How many records are of a kind."""
        return self.counts.get(kind, 0)

    def frames(self, kind: str) -> Iterator[pl.DataFrame]:
        """The records of a kind, some at a time."""
        for file in self.parts.get(kind, ()):
            yield parquet.read(file)


KINDS = ("restorable", "changed_since", "restored", "created", "merged", "survivors", "unreadable")
_PART_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "masterid": pl.String, "key": pl.String, "why": pl.String, "other": pl.String, "held": pl.String,
    "payload": pl.String, "columns": pl.List(pl.String), "left": pl.List(pl.String),
    "bare_payload": pl.String, "bare_columns": pl.List(pl.String), "bare_left": pl.List(pl.String),
    "before": pl.String, "place": pl.Int64,
}  # fmt: skip


@dataclass
class _Parts:
    """Files that fill up with records of each kind."""

    folder: Path
    counts: dict[str, int] = field(default_factory=dict)
    files: dict[str, list[Path]] = field(default_factory=dict)

    def add(self, kind: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Puts records of one kind into a file of their own."""
        if not rows:
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        files = self.files.setdefault(kind, [])
        files.append(self.folder / f"{kind}-{len(files) + 1:05d}.parquet")
        full = [{name: row.get(name) for name in _PART_SCHEMA} for row in rows]
        parquet.write(pl.DataFrame(full, schema=_PART_SCHEMA), files[-1])
        self.counts[kind] = self.counts.get(kind, 0) + len(rows)


@dataclass(frozen=True)
class Loaded:
    """Where a plan's load of one dataset is told of: the ledger, the plan's name, the dataset's folder in the plan.

    `keys`: the columns of all keys of the dataset. `others`: tells which of some masterids other projects have
    written, and when they did last.
    """

    ledger: Path
    plan: str
    folder: Path
    keys: Collection[str] = ()
    others: Callable[[Collection[str]], Mapping[str, float]] = lambda _masterids: {}


def split_load(
    loaded: Loaded, rules: DatasetRules, dataset_id: str, pages: Pages, kinds: Kinds, work: Path
) -> DatasetUndo:
    """Everything that a plan wrote to one dataset, split. `pages`: the target as it is now. `work`: an empty folder.

    **Guarantees**: in memory are the rows of one bucket, some thousand of them as values, and eight bytes for each
    record that was written.
    """
    before_files = sorted(loaded.folder.glob("before-*.parquet"))
    with opened(loaded.ledger) as connection:
        merged = dict(connection.execute(_MERGED, (loaded.plan, rules.dataset)).fetchall())
        unsettled = connection.execute(_UNSETTLED, (loaded.plan, rules.dataset)).fetchone()[0]
        rows = parquet.scan(loaded.folder / "records.parquet")
        buckets = buckets_for(rows.select(pl.len()).collect().item())
        written = Spill(work / "written", buckets)
        # By hash, since it is eight bytes a record: the masterids of a large load would not fit in memory.
        hashes = [pl.Series([*merged, *merged.values()], dtype=pl.String).hash(1)]
        for frame in _written(connection, loaded, rules.dataset):
            written.add(frame)
            hashes.append(frame.get_column(KEY).hash(1))
    ours = pl.concat(hashes).unique()
    aside = _Aside(
        written,
        _put_aside(work / "before", buckets, ours, (parquet.read(f) for f in before_files)),
        _put_aside(work / "now", buckets, ours, pages.frames()),
    )
    parts = _Parts(work / "split")
    for number in range(buckets):
        for some in aside.parts_of(number):
            _split_part(parts, loaded, rules, kinds, merged, some)
    aside.close()
    return DatasetUndo(
        rules.dataset, dataset_id, rules, parts.counts,
        {kind: tuple(files) for kind, files in parts.files.items()}, unsettled,
    )  # fmt: skip


def _written(
    connection: sqlite3.Connection, loaded: Loaded, dataset: str
) -> Iterator[pl.DataFrame]:
    """What the load wrote, with what the plan says of each row, in sending order."""
    scan = parquet.scan(loaded.folder / "records.parquet").select(
        pl.col("batch").cast(pl.Int64), pl.col("position").cast(pl.Int64),
        pl.col("masterid").alias("planned_masterid"), "changed", "payload",
    )  # fmt: skip
    was_undone = connection.execute(_WAS_UNDONE, (loaded.plan,)).fetchone()[0]
    # The look at other plans is needed only once something was taken back.
    query = _WRITTEN.format(is_anothers=_IS_ANOTHERS if was_undone else "0")
    start = 0
    while (planned := scan.slice(start, _WINDOW_ROWS).collect()).height:
        start += planned.height
        first = planned.item(0, "batch")
        last = planned.item(-1, "batch")
        rows = connection.execute(query, (loaded.plan, dataset, first, last)).fetchall()
        names = ("batch", "position", "key", "change", KEY, "settled_at")
        schema = {**{name: _SCHEMA[name] for name in names}, "is_anothers": pl.Int64}
        written = pl.DataFrame(rows, schema=schema, orient="row")
        theirs = loaded.others(written.get_column(KEY).drop_nulls().to_list())
        # what another project has written after us is that project's, be it the same value
        since = pl.col(KEY).replace_strict(theirs, default=None, return_dtype=pl.Float64)
        is_theirs = (since > pl.col("settled_at")).fill_null(value=False)
        frame = written.with_columns(pl.col("is_anothers").cast(pl.Boolean) | is_theirs)
        yield frame.drop_nulls(KEY).join(planned, on=["batch", "position"]).select(list(_SCHEMA))


def _put_aside(
    folder: Path, buckets: int, ours: pl.Series, frames: Iterable[pl.DataFrame]
) -> Spill:
    """Rows of the target that the load may have touched, by masterid; that two share a hash is no harm."""
    spill = Spill(folder, buckets)
    for frame in frames:
        mine = frame.filter(pl.col(MASTERID).hash(1).is_in(ours.implode()))
        spill.add(mine.with_columns(pl.col(MASTERID).alias(KEY)))
    return spill


def _in_pieces(*frames: pl.DataFrame) -> Iterator[list[pl.DataFrame]]:
    """Frames of the same records, some thousand records at a time: as values they take ten times the memory."""
    pieces = max(1, *(-(-frame.height // _PIECE_ROWS) for frame in frames))
    for piece in range(pieces):
        mine = pl.col(KEY).hash(_OTHER_SEED) % pieces == piece
        yield [frame.filter(mine) for frame in frames]


@dataclass(frozen=True)
class _Part:
    """Some records: what was written to them, what they held before and hold now."""

    written: pl.DataFrame
    before: pl.DataFrame
    now: pl.DataFrame


@dataclass(frozen=True)
class _Aside:
    written: Spill
    before: Spill
    now: Spill

    def parts_of(self, number: int) -> Iterator[_Part]:
        """A bucket's records, some thousand at a time."""
        nothing = pl.Schema({KEY: pl.String(), MASTERID: pl.String()})
        written = self.written.bucket(number, dict(pl.Schema(_SCHEMA)))
        before = self.before.bucket(number, nothing)
        now = self.now.bucket(number, nothing)
        for frames in _in_pieces(written, before, now):
            yield _Part(*frames)

    def close(self) -> None:
        """Removes all of them."""
        for spill in (self.written, self.before, self.now):
            spill.close()


def _split_part(
    parts: _Parts,
    loaded: Loaded,
    rules: DatasetRules,
    kinds: Kinds,
    merged: Mapping[str, str],
    some: _Part,
) -> None:
    before = {row[KEY]: row for row in some.before.iter_rows(named=True)}
    now = {row[KEY]: row for row in some.now.iter_rows(named=True)}
    survivors = set(merged.values())
    entries_by_kind: dict[str, list[dict[str, object]]] = {kind: [] for kind in KINDS}
    order = some.written.sort("settled_at", "batch", "position")
    for (masterid,), rows in order.group_by(KEY, maintain_order=True):
        mine = list(rows.iter_rows(named=True))
        entry: dict[str, object] = {
            "masterid": masterid,
            "key": mine[-1]["key"],
            "place": _place(mine[-1]),
        }
        if any(row["change"] == "create" for row in mine):
            entries_by_kind["created"].append(entry)
        if (
            masterid in survivors
            or masterid in merged
            or any(row["change"] == "create" for row in mine)
        ):
            continue
        writes = [_write(row, str(masterid)) for row in mine]
        verdict = judge_record(rules, writes, before.get(masterid), now.get(masterid))
        # By value it looks like ours; by the ledger another plan has written it again.
        if verdict.kind == "restorable" and any(row["is_anothers"] for row in mine):
            verdict = Verdict("changed_since")
        entry["why"] = verdict.why
        if verdict.kind == "restorable":
            entry |= _restorable(rules, loaded.keys, str(masterid), verdict, kinds)
        entries_by_kind[verdict.kind].append(entry)
    for gone, survivor in merged.items():
        # What it held is nowhere else any more: the list is all that is left of it.
        if gone in before:
            entries_by_kind["merged"].append(
                {"masterid": gone, "other": survivor, "held": _held(rules, before[gone])}
            )
    for survivor in sorted(survivors & before.keys()):
        entries_by_kind["survivors"].append(
            {"masterid": survivor, "other": survivor, "held": _held(rules, before[survivor])}
        )
    for kind, entries in entries_by_kind.items():
        parts.add(kind, entries)


def _place(row: Mapping[str, object]) -> int:
    return int(str(row["batch"])) * _PLACES_A_BATCH + int(str(row["position"]))


def _write(row: Mapping[str, Any], masterid: str) -> Write:
    """A row of the plan; where it went into another record than the plan has thought, all of it is a change."""
    members = split_object(row["payload"].encode()) or {}
    sent = {name: literal_text(raw) for name, raw in members.items()}
    was_meant = row["planned_masterid"] == masterid
    return Write(row["change"], tuple(row["changed"] or ()) if was_meant else (), sent)


def _restorable(
    rules: DatasetRules, keys: Collection[str], masterid: str, verdict: Verdict, kinds: Kinds
) -> dict[str, object]:
    whole = restoring(rules, keys, masterid, verdict, kinds)
    bare = restoring(rules, keys, masterid, verdict, kinds, bare=True)
    return {
        "payload": whole.payload, "columns": list(whole.columns), "left": list(whole.left),
        "bare_payload": bare.payload, "bare_columns": list(bare.columns), "bare_left": list(bare.left),
        "before": json.dumps(dict(verdict.before), ensure_ascii=False),
    }  # fmt: skip


def _held(rules: DatasetRules, row: Values) -> str:
    """The mapped columns that a record held, as JSON."""
    kept = {name: value for name, value in row.items() if name in rules.columns and value}
    return json.dumps(kept, ensure_ascii=False)


def refused_records(ledger: Path, plan: str, dataset: str) -> dict[str, int]:
    """The records that the target refused to take back: masterid to HTTP status."""
    with opened(ledger) as connection:
        rows = connection.execute(_REFUSED, (plan, dataset))
        return {key: int(status or 0) for key, status in rows}


def count_restored(
    rules: DatasetRules, restored: Iterable[pl.DataFrame], pages: Pages, rows: int, work: Path
) -> int:
    """How many records hold what they were given back.

    **Shape**: `restored` has `masterid`, `before` (JSON, text by column) and `columns`, those that were sent; `rows` of
    them in all.
    """
    buckets = buckets_for(rows)
    wanted = Spill(work / "restored", buckets)
    hashes = [pl.Series([], dtype=pl.UInt64)]
    for frame in restored:
        wanted.add(frame.with_columns(pl.col("masterid").alias(KEY)))
        hashes.append(frame.get_column("masterid").hash(1))
    now = _put_aside(work / "now", buckets, pl.concat(hashes).unique(), pages.frames())
    sound = 0
    nothing = pl.Schema({KEY: pl.String()})
    for number in range(buckets):
        frames = (wanted.bucket(number, nothing), now.bucket(number, nothing))
        sound += sum(_count_sound(rules, *some) for some in _in_pieces(*frames))
    wanted.close()
    now.close()
    return sound


def _count_sound(rules: DatasetRules, wanted: pl.DataFrame, now: pl.DataFrame) -> int:
    stored = {row[KEY]: row for row in now.iter_rows(named=True)}
    sound = 0
    for row in wanted.iter_rows(named=True):
        before = json.loads(row["before"])
        there = stored.get(row[KEY])
        sound += there is not None and all(
            is_same(rules.columns[name].type, before[name], there.get(name))
            for name in row["columns"]
        )
    return sound
