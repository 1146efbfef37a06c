"""The sending order, and where one request ends and the next begins. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

BATCH_ROWS = 500
"""Source: Octolis Data API, "Upsert multiple records": at most 500 records a request."""

BRACKETS_BYTES = 2
_COMMA_BYTES = 1


def in_sending_order(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows`, the oldest first, one without a date before all others, equals in the order of the snapshot.

    The target lets the record that arrives last win, so what is newest in the source has to be sent last.
    """
    order = ["_recency", "_position", "_element"]
    return rows.sort(order, nulls_last=False, maintain_order=True)


def too_large(payload: str, batch_bytes: int) -> pl.Expr:
    """True where a row's payload fits in no request of `batch_bytes`."""
    return pl.col(payload).str.len_bytes() > batch_bytes - BRACKETS_BYTES


def cut_batches(payload_bytes: Iterable[int], batch_bytes: int, batch_rows: int = BATCH_ROWS) -> list[int]:
    """The batch number of each row, from 0: a batch is full at `batch_rows` rows or `batch_bytes` bytes of body.

    **Units**: bytes of UTF-8, counted with the brackets and commas of the JSON array around them.
    """
    numbers: list[int] = []
    batch, rows, used = 0, 0, BRACKETS_BYTES
    for size in payload_bytes:
        added = size + (_COMMA_BYTES if rows else 0)
        if rows and (rows == batch_rows or used + added > batch_bytes):
            batch, rows, used, added = batch + 1, 0, BRACKETS_BYTES, size
        rows += 1
        used += added
        numbers.append(batch)
    return numbers


def with_batches(rows: pl.DataFrame, batch_bytes: int) -> pl.DataFrame:
    """`rows` with `_batch` and `_slot`, the place in it (both from 0) as Int32; their order is the sending order."""
    numbers = cut_batches(rows["_payload"].str.len_bytes().to_list(), batch_bytes)
    batch = pl.Series("_batch", numbers, dtype=pl.Int32)
    slot = pl.int_range(pl.len(), dtype=pl.Int32).over("_batch")
    return rows.with_columns(batch).with_columns(slot.alias("_slot"))
