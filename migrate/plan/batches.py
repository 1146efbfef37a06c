"""The sending order, and where one request ends and the next begins. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from migrate.mapping.model import Mapping
from migrate.mapping.types import payloads
from migrate.names import BATCH_ROWS
from migrate.plan.collapse import resource_of

BRACKETS_BYTES = 2
_COMMA_BYTES = 1
# A control character of one byte becomes six in JSON.
_ESCAPED_BYTES = 6
# A member's quotes, colon and comma, and the longest value that is no text: a decimal of 38 digits.
_OTHER_BYTES = 48
ROWS_SORTED = 2_000_000
"""So many rows, or a few more, are put in order at once."""
_LOOKED_AT = 1_000


def sending_ranks(recency: pl.Series, sent: pl.Series) -> pl.Series:
    """The place of each row in the sending order, from 0, null where it is not `sent`.

    The oldest first, one without a date before all others, equals in the order of the snapshot: the target lets the
    record that arrives last win, so what is newest in the source has to be sent last.
    """
    places = pl.int_range(len(recency), dtype=pl.UInt32, eager=True).alias("row")
    rows = pl.DataFrame([recency.alias("recency"), places]).filter(sent)
    ranks = pl.Series("rank", [None], dtype=pl.UInt32).new_from_index(0, len(recency))
    start = 0
    for some in _by_time(rows):
        ordered = some.sort("recency", nulls_last=False, maintain_order=True)
        end = start + ordered.height
        numbers = pl.int_range(start, end, dtype=pl.UInt32, eager=True)
        ranks = ranks.scatter(ordered.get_column("row"), numbers)
        start = end
    return ranks


def _by_time(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows by spans of time, the oldest first, in their own order in each; those without a time come first.

    To sort all at once would take many times their memory.
    """
    spans = 1 + rows.height // ROWS_SORTED
    if spans == 1:
        yield rows
        return
    time = pl.col("recency")
    yield rows.filter(time.is_null())
    known = rows.get_column("recency").drop_nulls()
    few = known.gather_every(1 + len(known) // (spans * _LOOKED_AT)).sort()
    ends = few.gather_every(1 + len(few) // spans).unique().sort().to_list()
    for start, end in pairwise([None, *ends, None]):
        after = pl.lit(value=True) if start is None else time >= start
        before = pl.lit(value=True) if end is None else time < end
        yield rows.filter(time.is_not_null() & after & before)


def large_rows(mapping: Mapping, rows: pl.DataFrame, batch_bytes: int) -> pl.DataFrame:
    """The rows whose payload fits in no request of `batch_bytes`.

    Payloads are made only where one may be too large: each byte of a text takes six at most.

    **Shape**: `_at`, the place in `rows` from 0, who the row is, and `value`, its size in words.
    """
    most = batch_bytes - BRACKETS_BYTES
    fixed = sum(len(name) * _ESCAPED_BYTES + _OTHER_BYTES for name in mapping.columns)
    texts = [name for name in mapping.columns if rows.schema[name] == pl.String]
    if texts:
        longest = sum(rows.select(pl.col(texts).str.len_bytes().max().fill_null(0)).row(0))
    else:
        longest = 0
    numbered = rows.with_row_index("_at")
    names = ("_at", "_source", "_id", "_position", "_element")
    who = [*map(pl.col, names), resource_of(mapping.resources)]
    if longest * _ESCAPED_BYTES + fixed <= most:
        return numbered.clear().select(*who, pl.lit(None, pl.String).alias("value"))
    size = payloads(mapping, rows).str.len_bytes().alias("_bytes")
    large = numbered.with_columns(size).filter(pl.col("_bytes") > most)
    return large.select(*who, pl.format("{} bytes", pl.col("_bytes")).alias("value"))


@dataclass
class Cutter:
    """Cuts rows into batches, some rows after others: a batch is full at `batch_rows` rows or `batch_bytes` bytes.

    **Units**: bytes of UTF-8, counted with the brackets and commas of the JSON array around them.
    """

    batch_bytes: int
    batch_rows: int = BATCH_ROWS
    batch: int = 0
    rows: int = 0
    used: int = BRACKETS_BYTES

    def cut(self, payload_bytes: Iterable[int]) -> tuple[list[int], list[int]]:
        """The batch of each row and its place in it, both from 0."""
        numbers: list[int] = []
        places: list[int] = []
        batch, rows, used = self.batch, self.rows, self.used
        for size in payload_bytes:
            added = size + (_COMMA_BYTES if rows else 0)
            # The service documents 500 records and no size; a body that is too large would be refused as a whole.
            if rows and (rows == self.batch_rows or used + added > self.batch_bytes):
                batch = batch + 1
                rows = 0
                used = BRACKETS_BYTES
                added = size
            numbers.append(batch)
            places.append(rows)
            rows += 1
            used += added
        self.batch, self.rows, self.used = batch, rows, used
        return numbers, places

    @property
    def batches(self) -> int:
        """How many batches the rows so far fill."""
        return self.batch + (1 if self.rows else 0)

    def number(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` with `_batch` and `_slot`, the place in it, as Int32; their order is the sending order."""
        batches, slots = self.cut(rows["_payload"].str.len_bytes().to_list())
        return rows.with_columns(
            pl.Series("_batch", batches, dtype=pl.Int32), pl.Series("_slot", slots, dtype=pl.Int32)
        )
