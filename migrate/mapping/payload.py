"""The exact JSON text that each row is sent as."""

from __future__ import annotations

import msgspec
import polars as pl

from migrate.mapping.model import Mapping
from migrate.mapping.types import render

_QUOTE = pl.lit('"')


def payloads(mapping: Mapping, frame: pl.DataFrame) -> pl.Series:
    """One JSON object per row: columns in the mapping's order, those without a value left out.

    **Guarantees.** Valid UTF-8 JSON; the same frame gives the same bytes. A null is written only where `_null:COLUMN`
    is true.
    """
    members = [
        member(name, frame.schema[name], f"_null:{name}" in frame.columns)
        for name in mapping.columns
    ]
    body = pl.concat_str(members, separator=",", ignore_nulls=True)
    return frame.select(pl.concat_str(pl.lit("{"), body, pl.lit("}")).alias("payload")).to_series()


def keys(mapping: Mapping, frame: pl.DataFrame) -> pl.Series:
    """The key of each row as text: the payload text of one key column, a compact JSON array of several."""
    parts = [render(name, frame.schema[name]) for name in mapping.key]
    if len(parts) == 1:
        return frame.select(parts[0].alias("_key")).to_series()
    values = [literal(name, frame.schema[name]) for name in mapping.key]
    joined = pl.concat_str(values, separator=",")
    return frame.select(pl.concat_str(pl.lit("["), joined, pl.lit("]")).alias("_key")).to_series()


def member(name: str, kind: pl.DataType, sends_null: bool) -> pl.Expr:
    """`"name":value` of a column as text; null where the row leaves it out."""
    label = msgspec.json.encode(name).decode() + ":"
    written = pl.lit(label) + literal(name, kind)
    if not sends_null:
        return written
    return pl.when(pl.col(f"_null:{name}")).then(pl.lit(label + "null")).otherwise(written)


def literal(name: str, kind: pl.DataType) -> pl.Expr:
    """The JSON text of a column's value, null where there is none."""
    text = render(name, kind)
    if isinstance(kind, pl.Date | pl.Datetime):
        return pl.concat_str(_QUOTE, text, _QUOTE)  # digits, signs and spaces: nothing to escape
    if not isinstance(kind, pl.String):
        return text
    encoded = pl.struct(text.alias("v")).struct.json_encode()
    return pl.when(text.is_not_null()).then(encoded.str.strip_prefix('{"v":').str.strip_suffix("}"))
