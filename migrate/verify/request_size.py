"""Rows that no request can carry: the verifier's own count of the bytes that a record is sent as."""

from __future__ import annotations

import json
from collections.abc import Sequence

import polars as pl

from migrate.verify.rules import DatasetRules

_BRACKETS = 2
_PLAIN = frozenset({"integer", "float", "boolean"})
# a character becomes at most so many bytes of JSON: an escape as \u0001
_MOST_BYTES = 6


def fitting(
    rows: pl.DataFrame, rules: DatasetRules, columns: Sequence[str], most: int
) -> pl.Series:
    """Which rows fit in a request of `most` bytes, as the list that a request is; nearly always all.

    **Shape**: `rows` has each column's text as `c:NAME`, and `_nulls` the places of those that send null.
    """
    names = [f"c:{name}" for name in columns]
    around = sum(len(json.dumps(name)) + 8 for name in columns) + _BRACKETS
    texts = pl.sum_horizontal(pl.col(name).str.len_bytes() for name in names)
    suspects = rows.select(texts * _MOST_BYTES + around > most).to_series()
    fits = ~suspects
    if not suspects.any():
        return fits
    known = [rules.columns[name].type in _PLAIN for name in columns]
    sizes = [
        _size(columns, known, values, nulls or "")
        for nulls, *values in rows.filter(suspects).select("_nulls", *names).iter_rows()
    ]
    return fits.scatter(suspects.arg_true(), [size + _BRACKETS <= most for size in sizes])


def _size(
    columns: Sequence[str], plain: Sequence[bool], values: Sequence[str | None], nulls: str
) -> int:
    members = []
    for place, (name, value) in enumerate(zip(columns, values, strict=True)):
        if value is None and f",{place}," not in nulls:
            continue
        written = "null" if value is None else value
        if value is not None and not plain[place]:
            written = json.dumps(value, ensure_ascii=False)
        members.append(f"{json.dumps(name, ensure_ascii=False)}:{written}")
    return len(("{" + ",".join(members) + "}").encode())
