"""The rows of a plan as lines of a file, each value as the API would get it. Pure but for reading the plan's file.

CSV, in UTF-8, a header first. A column has three states beside its values, and all of them stay apart:

- it is left out of the record: nothing stands between the separators
- it is the empty text: `""`
- it is emptied on purpose (`null: send`): `\\N`, without quotes

JSON is an array of the very records that the API would get, one in a line.

**Source**: RFC 4180 for quotes; `\\N` is how PostgreSQL and MySQL spell a null in a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from migrate import parquet
from migrate.errors import Damaged, UsageError
from migrate.load.files.names import Format
from migrate.load.handover import LeftRows
from migrate.mapping.types import render
from migrate.plan.tables import in_chunks

NULL = "\\N"
CHUNK_ROWS = 50_000
_PLACE = ["batch", "position"]


@dataclass(frozen=True)
class FileColumn:
    """A mapped column: its name in the target, in the plan's file, and whether its mapping ever sends null."""

    name: str
    stored: str
    sends_null: bool = False


@dataclass(frozen=True)
class DatasetRows:
    """Where the rows of a dataset are, and which of them are to be written."""

    dataset: str
    records: Path
    columns: Sequence[FileColumn]
    left: LeftRows


def chunks(rows: DatasetRows, form: Format, chunk_rows: int = CHUNK_ROWS) -> Iterator[pl.DataFrame]:
    """The rows to write in sending order, some at a time, with what a file of this form is made of. Raises Damaged."""
    if rows.left.rows:
        # Where a file ends must not depend on how many rows polars happens to give at once.
        yield from in_chunks(_left_rows(rows, form, chunk_rows), chunk_rows)


def _left_rows(rows: DatasetRows, form: Format, chunk_rows: int) -> Iterator[pl.DataFrame]:
    batches, settled = rows.left.batches, rows.left.settled
    try:
        scan = parquet.scan(rows.records).select(_needed(rows, form))
        for frame in scan.collect_batches(chunk_size=chunk_rows, maintain_order=True):
            chosen = frame.filter(pl.col("batch").is_in(batches.implode()))
            if settled.height:
                chosen = chosen.join(settled, on=_PLACE, how="anti", maintain_order="left")
            if chosen.height:
                yield chosen
    except (pl.exceptions.PolarsError, OSError) as error:
        raise Damaged(
            f"{rows.records} cannot be read: {error!s:.300}",
            hint="make a new plan with `migrate plan`",
        ) from None


def _needed(rows: DatasetRows, form: Format) -> list[str]:
    if form == "json":
        return [*_PLACE, "change", "payload"]
    if any(column.sends_null for column in rows.columns):
        payload = ["payload"]
    else:
        payload = []
    return [*_PLACE, "change", *payload, *(column.stored for column in rows.columns)]


def csv_header(columns: Sequence[FileColumn], separator: str) -> bytes:
    """The first line of a CSV file."""
    names = pl.DataFrame(schema=dict.fromkeys((column.name for column in columns), pl.String))
    return names.write_csv(separator=separator).encode()


def csv_lines(frame: pl.DataFrame, columns: Sequence[FileColumn], separator: str) -> bytes:
    """The lines of some rows. Raises UsageError for a text that is itself the sign of an emptied column."""
    texts = frame.select(_text(frame, column) for column in columns)
    nulls = {column.name: _emptied(column) for column in columns if column.sends_null}
    _refuse_sign(texts)
    if nulls:
        emptied = frame.select(**nulls)
        texts = texts.with_columns(
            pl.when(emptied.get_column(name)).then(pl.lit(NULL)).otherwise(pl.col(name)).alias(name)
            for name in nulls
        )
    return texts.write_csv(separator=separator, include_header=False).encode()


def _text(frame: pl.DataFrame, column: FileColumn) -> pl.Expr:
    return render(column.stored, frame.schema[column.stored]).alias(column.name)


def _emptied(column: FileColumn) -> pl.Expr:
    # A quote within a text is escaped, so that this sequence stands nowhere but at the column itself.
    return pl.col("payload").str.contains(null_member(column.name), literal=True)


def null_member(name: str) -> str:
    """How a payload says that a column is emptied."""
    return msgspec.json.encode(name).decode() + ":null"


def _refuse_sign(texts: pl.DataFrame) -> None:
    signs = texts.select((pl.all() == NULL).any())
    named = [name for name in signs.columns if signs.item(0, name)]
    if named:
        raise UsageError(
            f"column {named[0]} has the very text {NULL}, which a CSV file cannot tell from an emptied column",
            hint="write JSON: --format json",
        )


def json_lines(frame: pl.DataFrame) -> bytes:
    """The records of some rows, between two of them a comma and a line end."""
    return str(frame.get_column("payload").str.join(",\n").item()).encode()


def leaves_columns_out(frame: pl.DataFrame, columns: Sequence[FileColumn]) -> int:
    """How many rows that are not known to be new leave a column out: an empty cell may do something to their record."""
    may_be_there = pl.col("change") != "create"
    lacks_some = pl.any_horizontal(pl.col(column.stored).is_null() for column in columns)
    return int(frame.select((may_be_there & lacks_some).sum()).item())
