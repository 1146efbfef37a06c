"""Revenue and events in the source and in the plan."""

from __future__ import annotations

from decimal import Decimal

import polars as pl

ORDERS = """
version: 1
dataset: orders
resource: sales
key: [order_key]
columns:
  order_key:  {sql: "source || ':' || id", type: text}
  total:      {from: [total, amount], type: float, apply: [decimal_comma]}
  currency:   {from: currency, type: text, apply: [uppercase]}
  created_at: {from: created, type: datetime}
"""


def sale(number: int, **values: str | None) -> dict[str, str | None]:
    """A sale of the snapshot."""
    base = {
        "source": "shop",
        "conversionid": f"c{number}",
        "currency": "eur",
        "created": "2024-03-31 23:30:00",
    }
    return {**base, **values}


def test_both_sides_are_summed_to_the_cent(bench) -> None:
    """The source before rows are rejected or collapsed, in the zone of its times, by the words of the mapping."""
    bench.write_mapping("orders", ORDERS)
    bench.set("datatrics", timezones={"*": "Europe/Amsterdam"})
    bench.snapshot.resources["sales"].records = [
        sale(1, total="0,10"),
        sale(2, total=None, amount="0.20"),
        sale(3, total="1.00", created="2024-04-01 00:30:00"),
        sale(4, total="7", created="tomorrow"),
        sale(5, total="abc"),
        sale(5, total="9.99"),
    ]
    plan = bench.plan("plan", datasets=("orders",))
    totals = pl.read_parquet(plan.file("orders", "totals.parquet"))
    rows = totals.select(
        "kind", "period", "label", "source", "plan", "source_rows", "plan_rows"
    ).rows()
    assert rows == [
        ("revenue", "2024-03", "EUR", Decimal("11.29"), Decimal("11.29"), 5, 4),
        ("revenue", "no date", "EUR", Decimal("7"), None, 1, 0),
    ]


def test_a_dataset_without_amounts_has_no_totals(bench) -> None:
    """No columns say what to sum: the file is there and empty."""
    plan = bench.plan("plan", offline=True)
    assert pl.read_parquet(plan.file("contacts", "totals.parquet")).height == 0
