"""What plan and ledger say of each record of a dataset, read from their files."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import polars as pl

from migrate import parquet
from migrate.errors import Damaged, WorkspaceError
from migrate.verify.compare import STATES, KnownRows, Later, held_keys
from migrate.verify.preparation import Acknowledged
from migrate.verify.readback import MASTERID
from migrate.verify.rules import DatasetRules
from migrate.verify.spill import KEY, Spill

UNREADABLE = (
    "if it is damaged, move it away with its -wal and -shm files and make a new plan with `migrate plan`: it reads the "
    "target and plans only what is not there yet"
)
"""What to do about a ledger that cannot be read."""
_DATASET = """
SELECT d.id, d.server_time FROM plans p JOIN datasets d ON d.plan = p.id WHERE p.name = ? AND d.name = ?
"""
_RECORDS = "SELECT key, state, masterid, protected FROM records WHERE dataset = ?"
_GONE = "SELECT gone FROM merges WHERE dataset = ?"
_WRITTEN = (
    "SELECT masterid FROM records WHERE dataset = ? AND state = 'written' AND masterid IS NOT NULL"
)
_OURS = """
SELECT r.masterid FROM records r JOIN datasets d ON d.id = r.dataset
WHERE d.dataset_id = (SELECT dataset_id FROM datasets WHERE id = ?) AND r.masterid IS NOT NULL
"""
_OF_DATASET = """
SELECT r.masterid FROM records r JOIN datasets d ON d.id = r.dataset
WHERE d.dataset_id = ? AND r.state = 'written' AND r.masterid IS NOT NULL
"""
# CROSS JOIN keeps SQLite to this order: from the few that are asked for to the index, not through all records.
# They come as JSON, since a statement takes only so many values.
_LAST_WRITTEN = """
SELECT r.masterid, max(r.settled_at) FROM datasets d CROSS JOIN json_each(?2) asked
CROSS JOIN records r ON r.dataset = d.id AND r.masterid = asked.value
WHERE d.dataset_id = ?1 AND r.state = 'written' GROUP BY r.masterid
"""
# Plans of one dataset follow each other: an overtaken one is never loaded on, so the higher number has the last word.
_LATER = """
SELECT {what} FROM plans p
CROSS JOIN datasets d ON d.plan = p.id
CROSS JOIN {table} r ON r.dataset = d.id
WHERE p.undoes IS NULL AND p.id > (SELECT plan FROM datasets WHERE id = :dataset)
  AND d.dataset_id = (SELECT dataset_id FROM datasets WHERE id = :dataset)
"""
_LATER_WRITES = (
    _LATER.format(what="r.masterid, r.change = 'create'", table="records")
    + "AND r.state = 'written' AND r.masterid IS NOT NULL"
)
_LATER_MERGES = _LATER.format(what="r.gone", table="merges")
# What an undo has put back is this plan's again; what it could not delete stays the later plan's.
_NOT_PUT_BACK = """
AND (r.change = 'create' OR NOT EXISTS (
    SELECT 1 FROM plans u JOIN datasets x ON x.plan = u.id
    WHERE u.undoes = p.name AND x.dataset_id = d.dataset_id AND x.shipments > 0))
"""
# records of other plans in the same dataset, settled within the bound before this one's first record was; their batches
# are looked at first, which are a few hundred times fewer
_JUST_BEFORE = """
FROM (
    SELECT d.dataset_id, d.id, coalesce(min(r.settled_at), p.begun_at) AS first
    FROM datasets d JOIN plans p ON p.id = d.plan LEFT JOIN records r ON r.dataset = d.id
    WHERE p.name = :plan AND d.name = :dataset
) AS mine
JOIN datasets d ON d.dataset_id = mine.dataset_id AND d.id != mine.id
JOIN batches b ON b.dataset = d.id AND b.changed_at > mine.first - :bound - 3600
JOIN records r ON r.dataset = b.dataset AND r.batch = b.batch
"""
_WITHIN = "WHERE r.state = 'written' AND r.settled_at BETWEEN mine.first - :bound AND mine.first"
_MADE_BEFORE = f"SELECT r.masterid {_JUST_BEFORE} {_WITHIN} AND r.change = 'create'"
_GONE_BEFORE = (
    f"SELECT m.gone {_JUST_BEFORE}"
    f" JOIN merges m ON (m.dataset, m.batch, m.position) = (r.dataset, r.batch, r.position) {_WITHIN}"
)
_PART_ROWS = 100_000
_BEFORE = {KEY: pl.String, MASTERID: pl.String}


@dataclass(frozen=True)
class JustBefore:
    """Masterids that other plans have made, and merged away, so shortly before this one's first write that the target
    may have shown it only after the count before."""

    made: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.made or self.gone)


@dataclass(frozen=True)
class Written:
    """What the ledger knows of a dataset's masterids.

    `masterids`: written by this plan; `gone`: merged away by it; `ours`: written by any plan; `begun`: the target's own
    time at the plan's first write. `before`: what the plan had read there. `theirs`: written by other projects.
    `later`: what plans of this workspace have done there since.
    """

    masterids: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    ours: frozenset[str] = frozenset()
    begun: datetime | None = None
    before: frozenset[str] = frozenset()
    theirs: frozenset[str] = frozenset()
    later: Later = field(default_factory=Later)
    just_before: JustBefore = JustBefore()


@contextlib.contextmanager
def opened(ledger: Path) -> Iterator[sqlite3.Connection]:
    """The ledger, for reading only. Raises WorkspaceError."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            yield connection
    except sqlite3.Error as error:
        raise WorkspaceError(
            f"the ledger {ledger} cannot be read: {error}", hint=UNREADABLE
        ) from None


@dataclass(frozen=True)
class Known:
    """What is known of a dataset, bucket by bucket; see `KnownRows` for the meanings."""

    states: Spill
    before: Spill | None
    rest: KnownRows

    def bucket(self, number: int) -> KnownRows:
        """What is known of the keys of one bucket."""
        states = self.states.bucket(number, dict(pl.Schema(STATES))).group_by(
            KEY, maintain_order=True
        )
        # the ledger's word comes after the plan's, and it has no masterid for what was refused
        last = states.agg(pl.col("state").last(), pl.col("masterid").drop_nulls().last())
        if self.before is None:
            before = None
        else:
            before = self.before.bucket(number, dict(pl.Schema(_BEFORE)))
        return replace(self.rest, states=last.cast(pl.Schema(STATES)), before=before)

    def planned(self, keys: Collection[str]) -> set[str]:
        """Those of some keys that the plan has rows of, whatever it does with them."""
        among: set[str] = set()
        for number in range(self.states.buckets if keys else 0):
            states = self.states.bucket(number, dict(pl.Schema(STATES))).get_column(KEY)
            among.update(states.filter(states.is_in(list(keys))))
        return among

    def close(self) -> None:
        """Removes what was put aside."""
        self.states.close()
        if self.before is not None:
            self.before.close()


def read_known(
    ledger: Path, plan_folder: Path, plan: str, rules: DatasetRules, unverifiable: Collection[str],
    folder: Path | None = None, buckets: int = 1,
) -> Known:  # fmt: skip
    """What is known of one dataset, put aside in as many buckets below `folder`. Raises WorkspaceError, Damaged."""
    of_plan = plan_folder / rules.dataset
    states = Spill(folder and folder / "known", buckets)
    for file, state in (("records", "unsent"), ("unchanged", "unchanged")):
        for part in _parts(of_plan / f"{file}.parquet", ["key", "masterid"]):
            states.add(
                part.select(pl.col("key").alias(KEY), pl.lit(state).alias("state"), "masterid")
            )
    protected: set[tuple[str, str]] = set()
    gone = frozenset[str]()
    later = Later()
    begun = None
    if ledger.exists():
        with opened(ledger) as connection:
            row = connection.execute(_DATASET, (plan, rules.dataset)).fetchone()
            if row is not None:
                if row[1] is not None:
                    begun = datetime.fromtimestamp(row[1], UTC)
                else:
                    begun = None
                gone = _first_column(connection, _GONE, row[0])
                later = _read_later(connection, row[0])
                for frame in _settled(connection, row[0]):
                    states.add(frame.drop("protected"))
                    rows = frame.drop_nulls("protected").select(KEY, "protected").iter_rows()
                    protected.update(
                        (key, name) for key, names in rows for name in json.loads(names)
                    )
    rest = KnownRows(
        begun=begun,
        undecided=_undecided(of_plan / "rejects.parquet", unverifiable),
        protected=frozenset(protected),
        gone=gone | later.gone,
        later=later,
    )
    return Known(states, _shelve_before(of_plan, rules, folder, buckets), rest)


def _read_later(connection: sqlite3.Connection, dataset: int) -> Later:
    """What later plans have done in a dataset; nothing in a ledger of a version that knew no undo by its plan."""
    if "undoes" not in {column[1] for column in connection.execute("PRAGMA table_info(plans)")}:
        return Later()
    values = {"dataset": dataset}
    rows = connection.execute(_LATER_WRITES + _NOT_PUT_BACK, values).fetchall()
    return Later(
        written=frozenset(masterid for masterid, _is_made in rows),
        made=frozenset(masterid for masterid, is_made in rows if is_made),
        gone=frozenset(row[0] for row in connection.execute(_LATER_MERGES, values)),
    )


def _settled(connection: sqlite3.Connection, dataset: int) -> Iterator[pl.DataFrame]:
    cursor = connection.execute(_RECORDS, (dataset,))
    while rows := cursor.fetchmany(_PART_ROWS):
        yield pl.DataFrame(rows, schema={**STATES, "protected": pl.String}, orient="row")


def _undecided(file: Path, unverifiable: Collection[str]) -> frozenset[tuple[str | None, ...]]:
    if not unverifiable:
        return frozenset()
    rejects = _read(file, ["resource", "source", "id", "column"])
    withheld = rejects.filter(pl.col("column").is_in(list(unverifiable)))
    return frozenset(withheld.select("resource", "source", "id").iter_rows())


def _shelve_before(
    of_plan: Path, rules: DatasetRules, folder: Path | None, buckets: int
) -> Spill | None:
    files = sorted(of_plan.glob("before-*.parquet"))
    if not files:
        return None
    shelf = Spill(folder and folder / "before", buckets)
    for file in files:
        frame = parquet.read(file)
        shelf.add(frame.with_columns(held_keys(rules, frame)))
    return shelf


def _parts(file: Path, columns: list[str]) -> Iterator[pl.DataFrame]:
    """Some columns of a plan's file, some rows at a time. Raises Damaged."""
    try:
        scan = parquet.scan(file).select(columns)
        rows = scan.select(pl.len()).collect().item()
        for start in range(0, rows, _PART_ROWS):
            yield scan.slice(start, _PART_ROWS).collect()
    except (OSError, pl.exceptions.PolarsError):
        raise Damaged(
            f"{file} cannot be read", hint="make a new plan with `migrate plan`"
        ) from None


@dataclass(frozen=True)
class CountMark:
    """A count of the target taken during the load, with the least and the most that the ledger allowed just then."""

    batches_done: int
    count: int
    least: int
    most: int


def read_marks(ledger: Path, plan: str, dataset: str) -> list[CountMark]:
    """The counts that the load took on its way, oldest first; none where the ledger keeps none."""
    with opened(ledger) as connection:
        if not connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = 'count_marks'"
        ).fetchone():
            return []
        row = connection.execute(_DATASET, (plan, dataset)).fetchone()
        query = (
            "SELECT batches_done, count, least, most FROM count_marks WHERE dataset = ? ORDER BY id"
        )
        if row is None:
            return []
        return [CountMark(*mark) for mark in connection.execute(query, row[:1])]


def read_written(ledger: Path, plan_folder: Path, plan: str, dataset: str) -> Written:
    """The masterids that ledger and plan have for a dataset."""
    with opened(ledger) as connection:
        row = connection.execute(_DATASET, (plan, dataset)).fetchone()
        if row is None:
            return Written()
        number, server_time = row
        return Written(
            masterids=_first_column(connection, _WRITTEN, number),
            gone=_first_column(connection, _GONE, number),
            ours=_first_column(connection, _OURS, number),
            begun=datetime.fromtimestamp(server_time, UTC) if server_time is not None else None,
            before=frozenset(
                chain.from_iterable(
                    parquet.read(file, columns=[MASTERID]).get_column(MASTERID)
                    for file in (plan_folder / dataset).glob("before-*.parquet")
                )
            ),
            later=_read_later(connection, number),
        )


def read_just_before(ledger: Path, plan: str, dataset: str, bound: timedelta) -> JustBefore:
    """What other plans have made of a dataset just before. `bound`: how long the target may prepare a write."""
    named = {"plan": plan, "dataset": dataset, "bound": bound.total_seconds()}
    with opened(ledger) as connection:
        made, gone = (
            frozenset(masterid for (masterid,) in connection.execute(query, named) if masterid)
            for query in (_MADE_BEFORE, _GONE_BEFORE)
        )
    return JustBefore(made, gone)


def read_masterids(ledger: Path, dataset_id: str) -> frozenset[str]:
    """The masterids of all records that any load of a ledger has written to a dataset of the target."""
    if not ledger.exists():
        return frozenset()
    with opened(ledger) as connection:
        return frozenset(row[0] for row in connection.execute(_OF_DATASET, (dataset_id,)))


def read_last_written(
    ledger: Path, dataset_id: str, masterids: Collection[str]
) -> dict[str, float]:
    """Those of some records that any load of a ledger has written to a dataset, with when it did last.

    **Units**: seconds since 1970.
    """
    if not ledger.exists():
        return {}
    asked = json.dumps(list(masterids))
    with opened(ledger) as connection:
        return dict(connection.execute(_LAST_WRITTEN, (dataset_id, asked)).fetchall())


def _first_column(connection: sqlite3.Connection, query: str, number: int) -> frozenset[str]:
    return frozenset(row[0] for row in connection.execute(query, (number,)))


def _read(file: Path, columns: list[str]) -> pl.DataFrame:
    try:
        return parquet.read(file, columns=columns)
    except (OSError, pl.exceptions.PolarsError):
        raise Damaged(
            f"{file} cannot be read", hint="make a new plan with `migrate plan`"
        ) from None


def planned_texts(file: Path, columns: Sequence[str]) -> pl.DataFrame:
    """Mapped columns of a plan's file, each as the text that is sent."""
    schema = parquet.schema(file)
    stored = {name: f"_{name}" if f"_{name}" in schema else name for name in columns}
    frame = _read(file, list(stored.values()))
    return frame.select(
        _as_text(stored[name], schema[stored[name]]).alias(name) for name in columns
    )


def _as_text(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if kind.is_temporal():
        return column.dt.strftime("%Y-%m-%d %H:%M:%S")
    return column.cast(pl.String)


_ACKNOWLEDGED = "SELECT max(settled_at) FROM records WHERE dataset = ? AND state = 'written'"
_MADE = (
    "SELECT masterid, max(settled_at) FROM records WHERE dataset = ? AND change = 'create'"
    " AND state = 'written' AND masterid IS NOT NULL GROUP BY masterid"
)


def read_youngest(ledger: Path, plan: str, dataset: str) -> datetime | None:
    """When the target acknowledged the last write of a dataset; None where it took none."""
    if not ledger.exists():
        return None
    with opened(ledger) as connection:
        row = connection.execute(_DATASET, (plan, dataset)).fetchone()
        if row is None:
            moment = None
        else:
            moment = connection.execute(_ACKNOWLEDGED, row[:1]).fetchone()[0]
        if moment is None:
            return None
        return datetime.fromtimestamp(moment, UTC)


class Made(NamedTuple):
    """A record that a load has made, and when the target said so."""

    masterid: str
    at: datetime


_YOUNGEST_MADE = """
SELECT r.masterid, r.settled_at FROM records r JOIN datasets d ON d.id = r.dataset
WHERE d.dataset_id = ? AND r.state = 'written' AND r.change = 'create' AND r.masterid IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM merges m WHERE m.dataset = d.id AND m.gone = r.masterid)
ORDER BY r.settled_at DESC LIMIT 1
"""


def read_youngest_made(ledger: Path, dataset_id: str) -> Made | None:
    """The record that any load has made last in a dataset of the target, of those that it has not merged away."""
    if not ledger.exists():
        return None
    with opened(ledger) as connection:
        row = connection.execute(_YOUNGEST_MADE, (dataset_id,)).fetchone()
    if row is None:
        return None
    return Made(row[0], datetime.fromtimestamp(row[1], UTC))


def read_acknowledged(ledger: Path, plan: str, dataset: str) -> Acknowledged:
    """When the target acknowledged what the load made, and what it merged away."""
    with opened(ledger) as connection:
        row = connection.execute(_DATASET, (plan, dataset)).fetchone()
        if row is None:
            return Acknowledged()
        made = dict(connection.execute(_MADE, row[:1]).fetchall())
        gone = _first_column(connection, _GONE, row[0])
    return Acknowledged(read_youngest(ledger, plan, dataset), made, gone)


def count_refusals(ledger: Path, plan: str, dataset: str) -> dict[int, int]:
    """How many records the target refused, by HTTP status."""
    if not ledger.exists():
        return {}
    with opened(ledger) as connection:
        row = connection.execute(_DATASET, (plan, dataset)).fetchone()
        query = "SELECT status, count(*) FROM records WHERE dataset = ? AND state = 'rejected' GROUP BY status"
        if row is None:
            return {}
        return {int(status or 0): rows for status, rows in connection.execute(query, row[:1])}
