"""What plan and ledger say of each record of a dataset, read from their files."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from migrate.errors import Damaged, WorkspaceError
from migrate.verify.compare import Known

_DATASET = """
SELECT d.id, d.server_time FROM plans p JOIN datasets d ON d.plan = p.id WHERE p.name = ? AND d.name = ?
"""
_RECORDS = "SELECT key, state, masterid, protected FROM records WHERE dataset = ?"
_GONE = "SELECT gone FROM merges WHERE dataset = ?"
_WRITTEN = "SELECT masterid FROM records WHERE dataset = ? AND state = 'written' AND masterid IS NOT NULL"
_OURS = """
SELECT r.masterid FROM records r JOIN datasets d ON d.id = r.dataset
WHERE d.dataset_id = (SELECT dataset_id FROM datasets WHERE id = ?) AND r.masterid IS NOT NULL
"""


@dataclass(frozen=True)
class Written:
    """What the ledger knows of a dataset's masterids.

    `masterids`: written by this plan; `gone`: merged away by it; `ours`: written by any plan; `begun`: the target's own
    time at the plan's first write.
    """

    masterids: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    ours: frozenset[str] = frozenset()
    begun: datetime | None = None


@contextlib.contextmanager
def opened(ledger: Path) -> Iterator[sqlite3.Connection]:
    """The ledger, for reading only. Raises WorkspaceError."""
    try:
        with contextlib.closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise WorkspaceError(f"the ledger {ledger} cannot be read: {error}", hint="migrate status") from None


def read_known(ledger: Path, plan_folder: Path, plan: str, dataset: str, unverifiable: frozenset[str]) -> Known:
    """What is known of one dataset. Raises WorkspaceError, Damaged."""
    folder = plan_folder / dataset
    states: dict[str, str] = {}
    masterids: dict[str, str] = {}
    for file, state in (("records", "unsent"), ("unchanged", "unchanged")):
        for key, masterid in _read(folder / f"{file}.parquet", ["key", "masterid"]).iter_rows():
            states[key] = state
            if masterid is not None:
                masterids[key] = masterid
    protected: set[tuple[str, str]] = set()
    begun = None
    if ledger.exists():
        with opened(ledger) as connection:
            row = connection.execute(_DATASET, (plan, dataset)).fetchone()
            if row is not None:
                begun = datetime.fromtimestamp(row[1], UTC) if row[1] is not None else None
                for key, state, masterid, names in connection.execute(_RECORDS, row[:1]):
                    states[key] = state
                    if masterid is not None:
                        masterids[key] = masterid
                    protected.update((key, name) for name in (json.loads(names) if names else ()))
    rejects = _read(folder / "rejects.parquet", ["source", "id", "column"])
    undecided = rejects.filter(pl.col("column").is_in(list(unverifiable))) if unverifiable else rejects.clear()
    return Known(
        states=states,
        masterids=masterids,
        before=_read_before(folder),
        begun=begun,
        undecided=frozenset((source, id_) for source, id_, _ in undecided.iter_rows()),
        protected=frozenset(protected),
    )


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
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'count_marks'").fetchone():
            return []
        row = connection.execute(_DATASET, (plan, dataset)).fetchone()
        query = "SELECT batches_done, count, least, most FROM count_marks WHERE dataset = ? ORDER BY id"
        return [] if row is None else [CountMark(*mark) for mark in connection.execute(query, row[:1])]


def read_written(ledger: Path, plan: str, dataset: str) -> Written:
    """The masterids that the ledger has for a dataset."""
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
        )


def _first_column(connection: sqlite3.Connection, query: str, number: int) -> frozenset[str]:
    return frozenset(row[0] for row in connection.execute(query, (number,)))


def _read_before(folder: Path) -> pl.DataFrame | None:
    files = sorted(folder.glob("before-*.parquet"))
    return pl.concat([pl.read_parquet(file) for file in files], how="diagonal") if files else None


def _read(file: Path, columns: list[str]) -> pl.DataFrame:
    try:
        return pl.read_parquet(file, columns=columns)
    except (OSError, pl.exceptions.PolarsError):
        raise Damaged(f"{file} cannot be read", hint="make a new plan with `migrate plan`") from None


def planned_texts(file: Path, columns: Sequence[str]) -> pl.DataFrame:
    """Mapped columns of a plan's file, each as the text that is sent."""
    schema = pl.read_parquet_schema(file)
    stored = {name: f"_{name}" if f"_{name}" in schema else name for name in columns}
    frame = _read(file, list(stored.values()))
    return frame.select(_as_text(stored[name], schema[stored[name]]).alias(name) for name in columns)


def _as_text(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if kind.is_temporal():
        return column.dt.strftime("%Y-%m-%d %H:%M:%S")
    return column.cast(pl.String)


def count_refusals(ledger: Path, plan: str, dataset: str) -> dict[int, int]:
    """How many records the target refused, by HTTP status."""
    if not ledger.exists():
        return {}
    with opened(ledger) as connection:
        row = connection.execute(_DATASET, (plan, dataset)).fetchone()
        query = "SELECT status, count(*) FROM records WHERE dataset = ? AND state = 'rejected' GROUP BY status"
        return {} if row is None else {int(status or 0): rows for status, rows in connection.execute(query, row[:1])}
