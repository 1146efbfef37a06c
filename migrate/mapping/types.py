"""Text to the types the target stores, back to the text it is sent, and the exact JSON text of each row."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field

import msgspec
import polars as pl

from migrate.mapping.dates import FLAGS, read_dates, read_datetimes
from migrate.mapping.model import Column, ColumnType, Mapping
from migrate.mapping.numbers import (
    FloatDigits,
    float_type,
    integer_rule,
    integer_value,
    read_floats,
)
from migrate.mapping.series import holds_any, no_rules, rule_where

NO_RULE = pl.lit(None, dtype=pl.String)
_DATETIME = "%Y-%m-%d %H:%M:%S"
_DATE = "%Y-%m-%d 00:00:00"
# what cannot be sent, and what a list or an object begins with
_SUSPECT = r"[\x00\[{]"
_RAW = msgspec.json.Decoder(msgspec.Raw)
_QUOTE = pl.lit('"')


@dataclass(frozen=True)
class Typed:
    """Values of one column: null where there is none or where a rule is broken; what got lost, by name."""

    value: pl.Series
    rule: pl.Series
    losses: Dict[str, pl.Series] = field(default_factory=dict)


def polars_type(kind: ColumnType, float_digits: FloatDigits) -> pl.DataType:
    """The frame's type of a mapping type."""
    types: dict[ColumnType, pl.DataType] = {
        "text": pl.String(),
        "json": pl.String(),
        "integer": pl.Int32(),
        "float": float_type(float_digits),
        "boolean": pl.Boolean(),
        "datetime": pl.Datetime("us"),
        "date": pl.Date(),
    }
    return types[kind]


def read_typed(
    texts: pl.Series, zones: pl.Series, column: Column, float_digits: FloatDigits
) -> Typed:
    """The values that `texts` say under a column's type; null texts give null values and break no rule."""
    match column.type:
        case "text":
            return _read_text(texts)
        case "json":
            return _read_json(texts)
        case "integer":
            read = _read_exprs(texts, integer_value(pl.col("text")), integer_rule(pl.col("text")))
            padded = read.value.is_not_null() & texts.str.contains("^-?0[0-9]").fill_null(
                value=False
            )
            return Typed(read.value, read.rule, {"zeros_dropped": padded})
        case "boolean":
            return _read_boolean(texts)
        case "float":
            policy = column.digits or ("round" if float_digits == "decimals" else "reject")
            frame = read_floats(texts, float_digits, policy)
            return Typed(frame["value"], frame["rule"], {"rounded": frame["rounded"]})
        case "date":
            frame = read_dates(texts, column.format, column.pivot)
            return Typed(frame["value"], frame["rule"], {"time_dropped": frame["time_dropped"]})
        case "datetime":
            frame = read_datetimes(texts, zones, column.format, column.pivot)
            return Typed(frame["value"], frame["rule"], {flag: frame[flag] for flag in FLAGS})


def render(name: str, kind: pl.DataType) -> pl.Expr:
    """The text that the target is sent for a typed column, without the quotes of JSON; null stays null."""
    column = pl.col(name)
    if kind == pl.String:
        return column
    if kind == pl.Boolean:
        return pl.when(column).then(pl.lit("true")).when(~column).then(pl.lit("false"))
    if isinstance(kind, pl.Datetime):
        return column.dt.strftime(_DATETIME)
    if kind == pl.Date:
        return column.dt.strftime(_DATE)
    if isinstance(kind, pl.Decimal):
        return column.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
    return column.cast(pl.String)


def _read_exprs(texts: pl.Series, value: pl.Expr, rule: pl.Expr) -> Typed:
    text = pl.col("text")
    frame = (
        texts.rename("text")
        .to_frame()
        .select(value=value, rule=pl.when(text.is_not_null()).then(rule))
    )
    return Typed(frame["value"], frame["rule"])


def _read_boolean(texts: pl.Series) -> Typed:
    text = pl.col("text")
    value = pl.when(text == "true").then(True).when(text == "false").then(False)
    rule = pl.when(text.is_in(["true", "false"])).then(NO_RULE).otherwise(pl.lit("not_a_boolean"))
    return _read_exprs(texts, value, rule)


def _read_text(texts: pl.Series) -> Typed:
    if not holds_any(texts, _SUSPECT):
        return Typed(texts, no_rules(len(texts)))
    text = pl.col("text")
    frame = texts.rename("text").to_frame()
    frame = frame.select(
        bad=text.str.contains("\0", literal=True),
        nested=(text.str.starts_with("[") | text.str.starts_with("{")).fill_null(False),
    )
    bad = frame["bad"]
    rule, value = rule_where(bad, "unsendable_text"), texts
    if bad.any():
        value = texts.set(bad.fill_null(False), None)
    return Typed(value, rule, _flattened(value, frame["nested"]))


def _flattened(texts: pl.Series, suspects: pl.Series) -> dict[str, pl.Series]:
    """Where the text is a list or an object of JSON, for which the target has no type."""
    if not suspects.any():
        return {}
    nested = [text for text in texts.filter(suspects).unique().drop_nulls() if is_json(text)]
    if nested:
        return {"flattened": texts.is_in(nested).fill_null(False)}
    return {}


def _read_json(texts: pl.Series) -> Typed:
    sendable = _read_text(texts)
    invalid = [text for text in sendable.value.unique().drop_nulls() if not is_json(text)]
    if not invalid:
        return sendable
    frame = pl.DataFrame({"text": texts, "rule": sendable.rule})
    bad = pl.col("text").is_in(invalid)
    frame = frame.select(
        rule=pl.when(bad).then(pl.lit("not_json")).otherwise(pl.col("rule")),
        value=pl.when(~bad & pl.col("rule").is_null()).then(pl.col("text")),
    )
    return Typed(frame["value"], frame["rule"], sendable.losses)


def is_json(text: str) -> bool:
    """Whether a text is one JSON value, nothing around it."""
    try:
        _RAW.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def payloads(mapping: Mapping, frame: pl.DataFrame) -> pl.Series:
    """One JSON object per row: columns in the mapping's order, those without a value left out.

    **Guarantees.** Valid UTF-8 JSON; the same frame gives the same bytes. A null is written only where `_null:COLUMN`
    is true.
    """
    # As text and a column at a time: so no row becomes a Python object, and no digit passes through a float.
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
    # Only of an object polars writes JSON, so that object's frame is taken off again.
    encoded = pl.struct(text.alias("v")).struct.json_encode()
    return pl.when(text.is_not_null()).then(encoded.str.strip_prefix('{"v":').str.strip_suffix("}"))
