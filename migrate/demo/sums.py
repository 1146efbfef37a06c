"""Revenue per month and currency of a rehearsal, to the cent, from any place that holds the orders.

Pure. Amounts are decimals from text to sum; a binary float never comes near them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

# Six places, as PrestaShop's plug-in sends amounts.
AMOUNT = pl.Decimal(38, 6)
NO_DATE = "no date"
Revenue = Mapping[tuple[str, str], Decimal]


@dataclass(frozen=True)
class RevenueRow:
    """One month and currency in source, plan and target; None where that place does not show the month."""

    month: str
    currency: str
    source: Decimal | None
    plan: Decimal | None
    target: Decimal | None

    @property
    def equal(self) -> bool:
        """True when all three are there and the same."""
        return self.source is not None and self.source == self.plan == self.target


@dataclass(frozen=True)
class EventCount:
    """How many interactions of one kind there are in the data, in the plan and in the target."""

    event: str
    source: int
    plan: int
    target: int

    @property
    def equal(self) -> bool:
        """True when all three are the same."""
        return self.source == self.plan == self.target


def revenue_of(
    orders: pl.DataFrame, *, time: str, amount: str, currency: str
) -> dict[tuple[str, str], Decimal]:
    """The sum of `amount` by month (`YYYY-MM`) and currency; a row without a time stands under NO_DATE.

    **Shape**: one row per order; `time` as datetime or as text that begins with YYYY-MM, `amount` as decimal or text.
    """
    if orders.schema[time].is_temporal():
        month = pl.col(time).dt.strftime("%Y-%m")
    else:
        month = pl.col(time).str.slice(0, 7)
    sums = (
        orders.lazy()
        .select(
            month=month.fill_null(NO_DATE),
            currency=pl.col(currency).cast(pl.String).fill_null(""),
            amount=pl.col(amount).cast(AMOUNT).fill_null(0),
        )
        .group_by("month", "currency")
        .agg(pl.col("amount").sum())
        .collect()
    )
    return {(row["month"], row["currency"]): row["amount"].normalize() for row in sums.to_dicts()}


def side_by_side(source: Revenue, plan: Revenue, target: Revenue) -> list[RevenueRow]:
    """Every month and currency that any of the three shows, in order."""
    places = sorted({*source, *plan, *target})
    return [
        RevenueRow(*place, source.get(place), plan.get(place), target.get(place))
        for place in places
    ]
