"""Business totals of a dataset, from any place that holds its rows as texts: to the cent, side by side. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from migrate.verify.rules import DatasetRules
from migrate.verify.totals import AMOUNT, NO_DATE, TotalsRow, TotalsTable

SOURCE_PLACE = "source"
"""What was sent, before anything is left out: beside the others for a look, and no part of what must be equal."""

_NOTHING = "(none)"
_COUNTED = "orders"
_STEPS = ((1, "1"), (2, "2"), (5, "3-5"), (10, "6-10"), (100, "11-100"))
_MORE = "more than 100"
_MONTH, _DAY = 7, 10
_TIMES = ("occurred_at", "created_at", "datetime", "date", "ordered_at")
_AMOUNTS = ("total", "amount", "revenue")
_CUSTOMERS = ("contact_key", "customer_key", "profileid", "email")
_EVENTS = ("event", "event_type", "type")
_LISTS = ("categories", "category")


@dataclass(frozen=True)
class Total:
    """What is added up: a dataset's rows by some columns; `cut` shortens times to months or days.

    `amount` is the column that is summed, None to count rows. With `spread` the rows are counted per value of the first
    column, and those counts are what is shown: how many contacts have one order, how many two. With `listed` the first
    column holds lists, and a row counts under each element.
    """

    title: str
    dataset: str
    by: tuple[tuple[str, int | None], ...]
    amount: str | None = None
    spread: bool = False
    listed: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns it reads."""
        return tuple(name for name, _ in self.by) + ((self.amount,) if self.amount else ())


def find_totals(rules: DatasetRules) -> list[Total]:
    """The totals that a dataset's columns allow: by what it is made of and by the columns' usual names."""
    totals: list[Total] = []
    if rules.resource == "sales" and rules.each is None:
        totals += _of_orders(rules)
    elif rules.resource == "sales":
        totals += _counted(rules, "Order lines per category", (("category", None),))
    elif rules.resource == "interactions":
        time, event = _first(rules, _TIMES), _first(rules, _EVENTS)
        totals += _counted(rules, "Events per day and type", ((time, _DAY), (event, None)))
    elif rules.resource == "content_items":
        listed = _first(rules, _LISTS)
        totals += (
            [Total("Items per category", rules.dataset, ((listed, None),), listed=True)]
            if listed
            else []
        )
        totals += _counted(
            rules,
            "Items per department and category",
            (("department", None), ("product_category", None)),
        )
    return totals + _of_consents(rules)


def _of_orders(rules: DatasetRules) -> list[Total]:
    time, amount = _first(rules, _TIMES), _first(rules, _AMOUNTS)
    customer = _first(rules, _CUSTOMERS)
    totals: list[Total] = []
    if time and amount:
        by: tuple[tuple[str, int | None], ...] = ((time, _MONTH),)
        by += (("currency", None),) if "currency" in rules.columns else ()
        totals.append(Total("Revenue per month and currency", rules.dataset, by, amount=amount))
    if customer:
        totals.append(Total("Orders per contact", rules.dataset, ((customer, None),), spread=True))
    return totals


def _of_consents(rules: DatasetRules) -> list[Total]:
    source = rules.source_column()
    by: tuple[tuple[str, int | None], ...] = ((source, None),) if source else ()
    return [
        Total(f"Consent {name} in {rules.dataset}", rules.dataset, (*by, (name, None)))
        for name, rule in rules.columns.items()
        if rule.consent
    ]


def _counted(
    rules: DatasetRules, title: str, by: tuple[tuple[str | None, int | None], ...]
) -> list[Total]:
    named = tuple((name, cut) for name, cut in by if name in rules.columns and name is not None)
    return [Total(title, rules.dataset, named)] if len(named) == len(by) else []


def _first(rules: DatasetRules, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in rules.columns), None)


def add_up(total: Total, rows: pl.DataFrame) -> dict[tuple[str, ...], Decimal]:
    """The total of `rows`, a frame of texts with at least its columns: sums by group, groups as texts."""
    if total.listed:
        rows = _spelt_out(rows, total.by[0][0])
    groups = [_group(name, cut).alias(f"g{place}") for place, (name, cut) in enumerate(total.by)]
    names = [f"g{place}" for place in range(len(groups))]
    amount = (
        pl.col(total.amount).cast(AMOUNT, strict=False).fill_null(0)
        if total.amount
        else pl.lit(1).cast(AMOUNT)
    )
    sums = (
        rows.lazy()
        .select(*groups, amount.alias("n"))
        .group_by(names)
        .agg(pl.col("n").sum())
        .collect()
    )
    if not total.spread:
        return {tuple(row[:-1]): row[-1].normalize() for row in sums.iter_rows()}
    spread: dict[tuple[str, ...], Decimal] = {}
    for group, count in sums.iter_rows():
        step = (
            group
            if group == _NOTHING
            else next((name for most, name in _STEPS if count <= most), _MORE)
        )
        found = (step,)
        spread[found] = spread.get(found, Decimal()) + (
            count.normalize() if group == _NOTHING else 1
        )
    return spread


def _spelt_out(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """The rows once for each element of a column's lists, once where there is none."""
    distinct = rows.get_column(column).cast(pl.String).unique().drop_nulls()
    named = [labels_of(text) for text in distinct]
    table = pl.DataFrame(
        {column: distinct, "_labels": named},
        schema={column: pl.String, "_labels": pl.List(pl.String)},
    )
    joined = rows.with_columns(pl.col(column).cast(pl.String)).join(table, on=column, how="left")
    empty = pl.col("_labels").is_null() | (pl.col("_labels").list.len() == 0)
    filled = joined.with_columns(
        pl.when(empty).then(pl.lit([_NOTHING])).otherwise("_labels").alias("_labels")
    )
    return filled.explode("_labels").with_columns(pl.col("_labels").alias(column)).drop("_labels")


def labels_of(text: str) -> list[str]:
    """The names in a list of categories, however a shop sends it: objects with a name or an id, texts, or one text."""
    try:
        value = json.loads(text)
    except ValueError:
        return [text] if text else []
    items = (
        value
        if isinstance(value, list)
        else list(value.values())
        if _has_objects(value)
        else [value]
    )
    return sorted({label for item in items if (label := _label(item))})


def _has_objects(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(part, dict) for part in value.values())


def _label(item: Any) -> str:
    if isinstance(item, dict):
        return str(
            next((item[name] for name in ("name", "categoryid", "id") if item.get(name)), "")
        )
    return "" if item is None else str(item)


def _group(name: str, cut: int | None) -> pl.Expr:
    text = pl.col(name).cast(pl.String)
    if cut is not None:
        return pl.when(text != "").then(text.str.slice(0, cut)).otherwise(pl.lit(NO_DATE))
    lower = text.str.to_lowercase()
    truth = (
        pl.when(lower == "t")
        .then(pl.lit("true"))
        .when(lower == "f")
        .then(pl.lit("false"))
        .otherwise(text)
    )
    return pl.when(truth != "").then(truth).otherwise(pl.lit(_NOTHING))


def set_side_by_side(
    total: Total, places: Mapping[str, Mapping[tuple[str, ...], Decimal]]
) -> TotalsTable:
    """Every group that any place shows, in order."""
    groups = sorted({group for found in places.values() for group in found})
    rows = tuple(
        TotalsRow(
            group, {place: found.get(group) for place, found in places.items()}, (SOURCE_PLACE,)
        )
        for group in groups
    )
    by = tuple(f"record_{name}" if name in places else name for name, _ in total.by)
    if total.spread:
        by = (_COUNTED,)  # how many orders a contact has, and no longer which contact
    return TotalsTable(total.title, by, tuple(places), rows)


def says_something(table: TotalsTable) -> bool:
    """False where no record has a value in any of the columns."""
    return any(part != _NOTHING for row in table.rows for part in row.group)
