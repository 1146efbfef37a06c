"""The files that name what an undo could not give back, for the vendor's support and for people."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import polars as pl

from migrate.spreadsheet import defuse_text
from migrate.verify.undo_split import DatasetUndo
from migrate.workspace import replacing

_IDS = ("dataset_id", "masterid")
Rows = Iterator[Sequence[object]]


@dataclass(frozen=True)
class RestoredDataset:
    """What became of the records of a dataset that were to be restored.

    `bare`: masterids of those that were taken only without some columns; `refused`: of those that were not taken, with
    the HTTP status.
    """

    entry: DatasetUndo
    bare: frozenset[str]
    refused: Mapping[str, int]

    def frames(self) -> Iterator[pl.DataFrame]:
        """The records that were taken: `masterid`, `before`, `columns` that were given back, `left`."""
        for frame in self.entry.frames("restorable"):
            is_bare = pl.col("masterid").is_in(list(self.bare))
            taken = frame.filter(~pl.col("masterid").is_in(list(self.refused)))
            made = taken.select(
                "masterid",
                "before",
                pl.when(is_bare).then("bare_columns").otherwise("columns").alias("columns"),
                pl.when(is_bare).then("bare_left").otherwise("left").alias("left"),
            )
            yield made.filter(pl.col("columns").list.len() > 0)

    @property
    def restored(self) -> int:
        """How many records were taken."""
        return sum(frame.height for frame in self.frames())

    @property
    def partly(self) -> int:
        """How many records keep columns as the load left them, though the target refused none of the rest."""
        return sum(1 for _ in self.left())

    def left(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Each record that keeps columns as the load left them, with these columns."""
        for frame in self.entry.frames("restorable"):
            for row in frame.iter_rows(named=True):
                if row["masterid"] in self.bare:
                    columns = row["bare_left"]
                else:
                    columns = row["left"]
                if columns and row["masterid"] not in self.refused:
                    yield row["masterid"], columns


def write_lists(folder: Path, undos: Sequence[DatasetUndo]) -> list[Path]:
    """What the API cannot undo, as CSV files that the vendor's support can act on: dataset id and masterid.

    Of merged records what they held is listed, and what the record held that they went into: it is nowhere else any
    more.
    """
    files: list[Path] = []
    for entry in undos:
        for what, headers, rows in _lists(entry):
            files += _write_list(folder / f"undo-{what}-{entry.dataset}.csv", entry, headers, rows)
    return files


def write_foreign(
    folder: Path, entry: DatasetUndo, edits: Sequence[tuple[str, bool, bool, float]]
) -> list[Path]:
    """Records that others were seen to write around the load: what an undo gives back there may be theirs."""
    rows = (
        (masterid, _yes_no(is_planned), _yes_no(was_written), _moment(seen_at))
        for masterid, is_planned, was_written, seen_at in edits
    )
    name = f"undo-foreign-{entry.dataset}.csv"
    return _write_list(folder / name, entry, ("of_the_plan", "after_our_write", "seen_at"), rows)


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def write_left(folder: Path, done: RestoredDataset) -> list[Path]:
    """Records that were restored without some columns, and records that were refused altogether."""
    entry = done.entry
    partly = ((masterid, " ".join(columns)) for masterid, columns in done.left())
    name = f"undo-partly-{entry.dataset}.csv"
    files = _write_list(folder / name, entry, ("columns_not_restored",), partly)
    name = f"undo-refused-{entry.dataset}.csv"
    return files + _write_list(folder / name, entry, ("status",), iter(done.refused.items()))


def _lists(entry: DatasetUndo) -> Iterator[tuple[str, Sequence[str], Rows]]:
    """Each list's name, its columns beside the ids, and its rows without the dataset's id."""
    yield "created", (), ((masterid,) for masterid in _column(entry, "created"))
    yield "changed-since", (), ((masterid,) for masterid in _column(entry, "changed_since"))
    yield "merged", ("merged_into", "columns_lost", "lost"), _merged(entry)
    yield "unreadable", ("why",), _unreadable(entry)


def _column(entry: DatasetUndo, kind: str) -> Iterator[str]:
    for frame in entry.frames(kind):
        yield from frame.get_column("masterid")


def _merged(entry: DatasetUndo) -> Rows:
    for kind in ("merged", "survivors"):
        for frame in entry.frames(kind):
            for masterid, other, masterids in frame.select("masterid", "other", "held").iter_rows():
                yield masterid, other, len(json.loads(masterids)), masterids


def _unreadable(entry: DatasetUndo) -> Rows:
    for frame in entry.frames("unreadable"):
        yield from frame.select("masterid", "why").iter_rows()


def _write_list(file: Path, entry: DatasetUndo, headers: Sequence[str], rows: Rows) -> list[Path]:
    """Writes the rows as they come; no file where there is none."""
    first = next(rows, None)
    if first is None:
        # A list of an earlier look would name records that have been given back since.
        file.unlink(missing_ok=True)
        return []
    # With a mark of its encoding: Excel takes a file without one for the system's own.
    with (
        replacing(file) as temporary,
        temporary.open("w", encoding="utf-8-sig", newline="") as lines,
    ):
        written = csv.writer(lines, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        written.writerow((*_IDS, *headers))
        for row in chain([first], rows):
            # A value that begins with `=` is a formula to a spreadsheet, and these lists go to people.
            written.writerow(map(_inert, (entry.dataset_id, *row)))
    return [file]


def _inert(cell: object) -> object:
    return defuse_text(cell) if isinstance(cell, str) else cell
