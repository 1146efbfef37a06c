"""Business totals of a dataset, from any place that holds its rows as texts: to the cent, side by side. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from migrate.verify.totals import AMOUNT, NO_DATE, TotalsRow, TotalsTable

_NOTHING = "(none)"
_STEPS = ((1, "1"), (2, "2"), (5, "3-5"), (10, "6-10"), (100, "11-100"))
_MORE = "more than 100"
_MONTH, _DAY = 7, 10


@dataclass(frozen=True)
class Total:
    """What is added up: a dataset's rows by some columns; `cut` shortens times to months or days.

    `amount` is the column that is summed, None to count rows; with `spread` the rows are counted per value of its first
    column, and those counts are what is shown: how many contacts have one order, how many two.
    """

    title: str
    dataset: str
    by: tuple[tuple[str, int | None], ...]
    amount: str | None = None
    spread: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns it reads."""
        return tuple(name for name, _ in self.by) + ((self.amount,) if self.amount else ())


TOTALS = (
    Total("Revenue per month and currency", "orders", (("created_at", _MONTH), ("currency", None)), amount="total"),
    Total("Orders per contact", "orders", (("contact_key", None),), spread=True),
    Total("Events per day and type", "interactions", (("occurred_at", _DAY), ("event", None))),
    Total("Items per category", "products", (("department", None), ("product_category", None))),
    Total("Order lines per category", "order_items", (("category", None),)),
    Total("Newsletter consents", "contacts", (("newsletter", None),)),
    Total("Offers consents", "contacts", (("optin", None),)),
    Total("Newsletter consents by source", "consents", (("source", None), ("newsletter", None))),
)


def possible_totals(columns: Mapping[str, Sequence[str]]) -> list[Total]:
    """The totals that the datasets' columns allow."""
    return [t for t in TOTALS if t.dataset in columns and set(t.columns) <= set(columns[t.dataset])]


def add_up(total: Total, rows: pl.DataFrame) -> dict[tuple[str, ...], Decimal]:
    """The total of `rows`, a frame of texts with at least its columns: sums by group, groups as texts."""
    groups = [_group(name, cut).alias(f"g{place}") for place, (name, cut) in enumerate(total.by)]
    names = [f"g{place}" for place in range(len(groups))]
    amount = pl.col(total.amount).cast(AMOUNT).fill_null(0) if total.amount else pl.lit(1).cast(AMOUNT)
    sums = rows.lazy().select(*groups, amount.alias("n")).group_by(names).agg(pl.col("n").sum()).collect()
    if not total.spread:
        return {tuple(row[:-1]): row[-1].normalize() for row in sums.iter_rows()}
    spread: dict[tuple[str, ...], Decimal] = {}
    for group, count in sums.iter_rows():
        step = group if group == _NOTHING else next((name for most, name in _STEPS if count <= most), _MORE)
        found = (step,)
        spread[found] = spread.get(found, Decimal()) + (count.normalize() if group == _NOTHING else 1)
    return spread


def _group(name: str, cut: int | None) -> pl.Expr:
    text = pl.col(name).cast(pl.String)
    if cut is not None:
        return text.str.slice(0, cut).fill_null(NO_DATE)
    lower = text.str.to_lowercase()
    truth = pl.when(lower == "t").then(pl.lit("true")).when(lower == "f").then(pl.lit("false")).otherwise(text)
    return pl.when(truth != "").then(truth).otherwise(pl.lit(_NOTHING))


def set_side_by_side(total: Total, places: Mapping[str, Mapping[tuple[str, ...], Decimal]]) -> TotalsTable:
    """Every group that any place shows, in order."""
    groups = sorted({group for found in places.values() for group in found})
    rows = tuple(TotalsRow(group, {place: found.get(group) for place, found in places.items()}) for group in groups)
    return TotalsTable(total.title, tuple(name for name, _ in total.by), tuple(places), rows)
