"""Business totals of a dataset in the source and in the plan: revenue per month and currency, events per day.

Pure. The source's side is summed from the snapshot's texts, before any row is filtered, rejected or collapsed, so what
the mapping loses shows as a difference. Amounts are decimals from text to sum; a binary float never comes near them.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from migrate.mapping.dates import read_dates, read_datetimes, source_zones
from migrate.mapping.model import Column, Mapping

AMOUNT = pl.Decimal(38, 6)
NO_DATE = "no date"
TOTALS_SCHEMA: dict[str, Any] = {
    "kind": pl.String,
    "period": pl.String,
    "label": pl.String,
    "source": AMOUNT,
    "plan": AMOUNT,
    "source_rows": pl.Int64,
    "plan_rows": pl.Int64,
}
"""`kind`: revenue (by month, `label` is the currency, amounts in it) or events (by day, `label` is the event)."""

_SIDE: dict[str, Any] = {
    "period": pl.String,
    "label": pl.String,
    "amount": AMOUNT,
    "rows": pl.Int64,
}
_TIMES = ("occurred_at", "created_at", "datetime", "date", "ordered_at")
_AMOUNTS = ("total", "amount", "revenue")
_LABELS: Dict[str, tuple[str, ...]] = {
    "revenue": ("currency",),
    "events": ("event", "type", "event_type"),
}


@dataclass(frozen=True)
class TotalsRule:
    """The columns of a dataset that its totals are made of."""

    kind: Literal["revenue", "events"]
    time: str
    amount: str | None
    label: str | None


def totals_rule(mapping: Mapping) -> TotalsRule | None:
    """What to total of a dataset: revenue of sales, events of interactions; None where no columns say it.

    Columns count that take their value from fields of the record, so that source and plan can be told apart.
    """
    if mapping.each or mapping.resource not in ("sales", "interactions"):
        return None
    kind: Literal["revenue", "events"] = "revenue" if mapping.resource == "sales" else "events"
    time = _first(mapping, _TIMES, ("datetime", "date"))
    amount = _first(mapping, _AMOUNTS, ("float", "integer", "text")) if kind == "revenue" else None
    if time is None or (kind == "revenue" and amount is None):
        return None
    return TotalsRule(kind, time, amount, _first(mapping, _LABELS[kind], ("text",)))


def _first(mapping: Mapping, names: Iterable[str], types: tuple[str, ...]) -> str | None:
    def fits(column: Column) -> bool:
        return bool(column.fields) and column.type in types and not column.values

    return next(
        (name for name in names if name in mapping.columns and fits(mapping.columns[name])), None
    )


def source_totals(
    rule: TotalsRule, mapping: Mapping, frame: pl.DataFrame, zones: Dict[str, str]
) -> pl.DataFrame:
    """One part of the snapshot summed: `period, label, amount, rows`. A text that is no amount counts as none."""
    time = mapping.columns[rule.time]
    texts = _texts(frame, time)
    if time.type == "date":
        times = read_dates(texts, time.format)
    else:
        of_source = source_zones(frame.get_column("_source"), zones)
        named = pl.Series([time.timezone], dtype=pl.String).new_from_index(0, frame.height)
        times = read_datetimes(texts, named if time.timezone else of_source, time.format)
    amount = (
        _amounts(frame, mapping.columns[rule.amount])
        if rule.amount
        else _nothing(frame.height, AMOUNT)
    )
    label = (
        _labels(frame, mapping.columns[rule.label])
        if rule.label
        else _nothing(frame.height, pl.String())
    )
    columns = [
        times.get_column("value").alias("time"),
        amount.alias("amount"),
        label.alias("label"),
    ]
    return _summed(pl.DataFrame(columns), rule)


def plan_totals(rule: TotalsRule, rows: pl.DataFrame) -> pl.DataFrame:
    """The planned rows summed: `period, label, amount, rows`."""
    amount = pl.col(rule.amount).cast(AMOUNT, strict=False) if rule.amount else pl.lit(None, AMOUNT)
    label = pl.col(rule.label) if rule.label else pl.lit(None, pl.String)
    picked = rows.select(
        pl.col(rule.time).alias("time"), amount.alias("amount"), label.alias("label")
    )
    return _summed(picked, rule)


def compare_totals(
    rule: TotalsRule | None, source: Iterable[pl.DataFrame], plan: Iterable[pl.DataFrame]
) -> pl.DataFrame:
    """Both sides, each summed in parts, by period and label in order; a side without rows has no amount and 0 rows."""
    if rule is None:
        return pl.DataFrame(schema=TOTALS_SCHEMA)
    left = _added_up(source).rename({"amount": "source", "rows": "source_rows"})
    right = _added_up(plan).rename({"amount": "plan", "rows": "plan_rows"})
    both = left.join(right, on=["period", "label"], how="full", coalesce=True)
    counted = both.with_columns(
        pl.lit(rule.kind).alias("kind"), pl.col("source_rows", "plan_rows").fill_null(0)
    )
    return (
        counted.select(list(TOTALS_SCHEMA)).sort("period", "label").cast(pl.Schema(TOTALS_SCHEMA))
    )


def _added_up(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    every = pl.concat([pl.DataFrame(schema=_SIDE), *parts])
    return every.group_by("period", "label").agg(pl.col("amount", "rows").sum())


def _summed(picked: pl.DataFrame, rule: TotalsRule) -> pl.DataFrame:
    spelt = "%Y-%m" if rule.kind == "revenue" else "%Y-%m-%d"
    return (
        picked.lazy()
        .select(
            pl.col("time").dt.strftime(spelt).fill_null(NO_DATE).alias("period"),
            pl.col("label").fill_null(""),
            pl.col("amount").fill_null(0),
        )
        .group_by("period", "label")
        .agg(pl.col("amount").sum(), pl.len().cast(pl.Int64).alias("rows"))
        .sort("period", "label")
        .collect(engine="in-memory")
    )


def _texts(frame: pl.DataFrame, column: Column) -> pl.Series:
    """The first field of the column that has a value."""
    there = [name for name in column.fields if name in frame.columns]
    filled = [pl.when(pl.col(name) != "").then(pl.col(name)) for name in there]
    found = frame.select(
        (pl.coalesce(filled) if filled else pl.lit(None, pl.String)).alias("text")
    ).to_series()
    return found if filled else _nothing(frame.height, pl.String())


def _amounts(frame: pl.DataFrame, column: Column) -> pl.Series:
    text = pl.col("text").str.strip_chars()
    if any(call == "decimal_comma" for call, _ in column.calls):
        comma = text.str.contains(",", literal=True)
        text = (
            pl.when(comma)
            .then(text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True))
            .otherwise(text)
        )
    return (
        _texts(frame, column)
        .alias("text")
        .to_frame()
        .select(text.cast(AMOUNT, strict=False))
        .to_series()
    )


def _labels(frame: pl.DataFrame, column: Column) -> pl.Series:
    text = pl.col("text")
    steps = {
        "trim": text.str.strip_chars,
        "lowercase": text.str.to_lowercase,
        "uppercase": text.str.to_uppercase,
    }
    made = _texts(frame, column).alias("text").to_frame()
    for call, _ in column.calls:
        if call in steps:
            made = made.select(steps[call]().alias("text"))
    return made.select(pl.when(text != "").then(text)).to_series()


def _nothing(rows: int, dtype: pl.DataType) -> pl.Series:
    return pl.Series([None], dtype=dtype).new_from_index(0, rows)
