"""The records of a resource by the source's own fields: identity, amount, period, label, lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import polars as pl

from migrate.mapping.dates import source_zones
from migrate.totals.amounts import AMOUNT, read_amounts
from migrate.totals.declared import Kind, SourceFields
from migrate.totals.table import NO_DATE
from migrate.totals.times import is_said, read_certain, read_uncertain

RECORDS_SCHEMA: dict[str, Any] = {
    "who": pl.UInt64,
    "place": pl.Int64,
    "element": pl.Int64,
    "amount": AMOUNT,
    "unreadable": pl.Boolean,
    "period": pl.String,
    "label": pl.String,
    "undated": pl.Boolean,
}
"""`who`: the hash of source and id; `place`: the record's in the snapshot from 0; `element`: the
line's from 1, 0 for the record itself. `period` and `label` are null where they are not asked for. `undated`: there is
a time, and nobody can read it."""

_SPELT = {"revenue": "%Y-%m", "lines": "%Y-%m", "events": "%Y-%m-%d"}
_LONGEST_EXAMPLE = 40
_EXAMPLES = 5


@dataclass(frozen=True)
class Asked:
    """How the records of a resource are read.

    `zones`: of naive times, by source; `aliases`: other names of sources. `as_days`: the day stands as written, no zone
    moves it. `spelling`: how the project says that times are spelt. `by_period`, `by_label`: whether
    groups are told apart by them.
    """

    kind: Kind
    fields: SourceFields
    zones: Mapping[str, str]
    as_days: bool = False
    spelling: str | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    by_period: bool = True
    by_label: bool = True


def identity(source: pl.Expr, id_: pl.Expr) -> pl.Expr:
    """One number for a record's identity: the texts themselves would take many times the memory."""
    # Something has to stand between: `a`, `bc` and `ab`, `c` are two records.
    return pl.concat_str([source.fill_null(""), pl.lit("\0"), id_.fill_null("")]).hash(17)


def read_records(frames: Iterable[pl.DataFrame], asked: Asked) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All records as `RECORDS_SCHEMA`, and a few whose amount or time cannot be read: `source, id, text, what`.

    **Shape**: `frames` have `_source`, `_id`, `_position` and the fields, as text.
    """
    texts = pl.concat([pl.DataFrame(schema=_TEXTS), *(_texts(frame, asked) for frame in frames)])
    texts = _dated(texts, asked)
    amounts = read_amounts(texts.get_column("text"), texts.get_column("source"))
    records = texts.hstack(amounts)
    examples = pl.concat(
        records.filter(where).head(_EXAMPLES).select(
            "source", "id", pl.col(text).str.slice(0, _LONGEST_EXAMPLE).alias("text"), pl.lit(what).alias("what"),
        )
        for where, text, what in (("unreadable", "text", "amount"), ("undated", "time", "time"))
    )  # fmt: skip
    rows = records.select(
        "who", "place",
        pl.int_ranges(1, pl.col("lines") + 1).alias("element") if asked.kind == "lines"
        else pl.lit(0, pl.Int64).alias("element"),
        "amount", "unreadable", "period", "label", "undated",
    )  # fmt: skip
    if asked.kind == "lines":
        # a record without lines is no line; exploding would make it one without a number
        rows = rows.filter(pl.col("element").list.len() > 0).explode("element")
    return rows.cast(pl.Schema(RECORDS_SCHEMA)), examples


_TEXTS = {
    "who": pl.UInt64,
    "place": pl.Int64,
    "source": pl.String,
    "id": pl.String,
    "text": pl.String,
    "period": pl.String,
    "label": pl.String,
    "lines": pl.Int64,
    "time": pl.String,
}
"""`time`: only where it could not be read yet."""


def _texts(frame: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    fields = asked.fields
    first = {
        "text": first_field(frame, fields.amount if asked.kind == "revenue" else ()),
        "label": first_field(frame, fields.label if asked.by_label else ()),
        "list": first_field(frame, fields.lines if asked.kind == "lines" else ()),
        "time": first_field(frame, fields.time if asked.by_period else ()),
    }
    picked = frame.select(
        identity(pl.col("_source"), pl.col("_id")).alias("who"),
        pl.col("_position").alias("place"),
        pl.col("_source").alias("source"),
        pl.col("_id").alias("id"),
        first["text"].str.strip_chars().alias("text"),
        first["time"].alias("time"),
        plain_label(first["label"], asked.kind).alias("label"),
        first["list"].alias("list"),
    )
    lines = [count_lines(text) for text in picked.get_column("list")]
    times = picked.get_column("time").str.strip_chars()
    zones = _zones(picked, asked)
    moments = read_certain(times, zones, asked.spelling, as_days=asked.as_days)
    # A database's zero date says nothing, so it is no time that cannot be read.
    left = moments.is_null() & is_said(times)
    return picked.select(
        "who", "place", "source", "id", "text",
        _period(moments, asked).alias("period"),
        "label",
        pl.Series("lines", lines, dtype=pl.Int64),
        pl.when(left).then(times).alias("time"),
    )  # fmt: skip


def _zones(rows: pl.DataFrame, asked: Asked) -> pl.Series:
    return source_zones(rows.get_column("source"), asked.zones, asked.aliases)


def _period(times: pl.Series, asked: Asked) -> pl.Series:
    if not asked.by_period:
        return pl.Series("period", [""], dtype=pl.String).new_from_index(0, len(times))
    return times.dt.strftime(_SPELT[asked.kind]).fill_null(NO_DATE)


def _dated(texts: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    """The rows with the periods of times that only the others of their source tell, and `undated` where none does."""
    left = texts.get_column("time").is_not_null()
    if not left.any():
        return texts.with_columns(left.alias("undated"))
    rows = texts.filter(left)
    zones = _zones(rows, asked)
    times = read_uncertain(
        rows.get_column("time"), rows.get_column("source"), zones, as_days=asked.as_days
    )
    places = left.arg_true()
    period = texts.get_column("period").clone().scatter(places, _period(times, asked))
    undated = left.clone().scatter(places, times.is_null())
    return texts.with_columns(period, undated.alias("undated"))


def first_field(frame: pl.DataFrame, names: Sequence[str]) -> pl.Expr:
    """The first of some fields that has a value."""
    there = [name for name in names if name in frame.columns]
    filled = [
        pl.when(pl.col(name).cast(pl.String) != "").then(pl.col(name).cast(pl.String))
        for name in there
    ]
    if filled:
        return pl.coalesce(filled)
    return pl.lit(None, pl.String)


def plain_label(text: pl.Expr, kind: Kind) -> pl.Expr:
    """A currency in capitals, an event in small letters, without spaces around: null for none."""
    trimmed = text.str.strip_chars()
    if kind == "events":
        spelt = trimmed.str.to_lowercase()
    else:
        spelt = trimmed.str.to_uppercase()
    return pl.when(spelt != "").then(spelt)


def count_lines(text: str | None) -> int:
    """How many lines a list holds, an object that stands for one as well: the same rules as of `each`.

    **Source**: docs/mapping.md, `each`.
    """
    if not text:
        return 0
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    if isinstance(value, list):
        return len(value)
    if not isinstance(value, dict) or not value:
        return 0
    inner = list(value.values())
    if all(name.isascii() and name.isdigit() for name in value):
        return len(inner)
    if len(inner) == 1 and isinstance(inner[0], list):
        return len(inner[0])
    if len(inner) == 1 and (inner[0] is None or inner[0] == ""):
        return 0
    return len(inner) if all(isinstance(part, dict) for part in inner) else 1
