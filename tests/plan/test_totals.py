"""Business totals of a plan: the source's own fields against the plan, group by group."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from migrate.config import DatasetTotals, Gates, SourceTotals
from migrate.errors import ConfigError
from migrate.mapping.files import read_mappings
from migrate.plan.open_plan import read_totals
from migrate.plan.set_aside import DISCARDS
from migrate.plan.totals import total_dataset, totals_rules_of
from migrate.totals.table import Figure, Group, Table
from migrate.verify.reconcile import Reconciliation

ORDERS = """
version: 1
dataset: orders
resource: sales
key: [order_key]
{where}
columns:
  order_key:  {{sql: "source || ':' || id", type: text}}
  total:      {{from: {total}, type: float{more}}}
  currency:   {{from: currency, type: text, apply: [uppercase]}}
  created_at: {{from: created, type: datetime, on_invalid: omit}}
"""


def sale(number: int | str, **values: Any) -> dict[str, Any]:
    """A sale of the snapshot."""
    base: dict[str, Any] = {"source": "shop", "conversionid": f"c{number}", "currency": "eur"}
    return {**base, "created": "2024-03-31 23:30:00", **values}


def write_orders(bench: Any, *, total: str = "total", more: str = "", where: str = "") -> None:
    """The orders' mapping, with a rule of its own."""
    bench.write_mapping("orders", ORDERS.format(total=total, more=more, where=where))


def totals_of(bench: Any) -> Table:
    """The totals of a new plan of the orders."""
    return read_totals(bench.plan("plan", datasets=("orders",)))["orders"]


def test_both_sides_are_summed_to_the_cent(bench) -> None:
    """In the zone of the source, with rejected amounts in the month and currency that lack them."""
    write_orders(bench, total="[total, amount]", more=", apply: [decimal_comma]")
    bench.set("datatrics", timezones={"*": "Europe/Amsterdam"})
    bench.snapshot.resources["sales"].records = [
        sale(1, total="0,10"),
        sale(2, total=None, amount="0.20"),
        sale(3, total="1.00", created="2024-04-01 00:30:00"),
        sale(4, total="7", created="tomorrow"),
        sale(5, total="abc"),
        sale(6, total="9.99"),
    ]
    table = totals_of(bench)
    march, no_date = table.groups
    assert march == Group(
        "2024-03", "EUR",
        Figure(5, Decimal("11.29"), 1),
        {"rejected": Figure(1, Decimal(), 1)},
        Figure(4, Decimal("11.29")),
    )  # fmt: skip
    assert (march.equal, march.lacking, march.unreadable) == (False, Figure(1, Decimal(), 1), 1)
    assert no_date.equal
    assert [(e.what, e.text) for e in table.examples] == [("amount", "abc"), ("time", "tomorrow")]
    assert table.unread_times == 1


def test_a_wrong_field_name_costs_all_the_money_and_says_so(bench) -> None:
    """The source is not read through the mapping: what it lacks is found, and the gate stops the load."""
    write_orders(bench, total="totl")
    bench.snapshot.resources["sales"].records = [sale(n, total="232.51") for n in range(30)]
    plan = bench.plan("plan", datasets=("orders",))
    [group] = read_totals(plan)["orders"].groups
    assert (group.source, group.plan) == (Figure(30, Decimal("6975.3")), Figure(30))
    assert not group.equal
    [gate] = [found for found in plan.document.gates if found.gate == "max_unequal"]
    assert gate.verdict == "broken"
    assert "6975.30" in gate.text


def test_rejected_orders_are_missing_money(bench) -> None:
    """Ten amounts with a decimal comma that the mapping cannot read: their sum is missing, by name."""
    write_orders(bench)
    sales = [sale(n, total="100.00") for n in range(90)]
    sales += [sale(100 + n, total="237,68") for n in range(10)]
    bench.snapshot.resources["sales"].records = sales
    [group] = totals_of(bench).groups
    assert group.left_out == {"rejected": Figure(10, Decimal("2376.8"))}
    assert (group.snapshot, group.plan) == (Figure(90, Decimal(9000)), Figure(90, Decimal(9000)))
    assert (group.equal, group.lacking) == (False, Figure(10, Decimal("2376.8")))


def test_what_is_left_out_on_purpose_is_a_named_remainder(bench) -> None:
    """A `where` takes orders away with their sums, and nothing differs."""
    write_orders(bench, where="where: \"goalid IS NULL OR goalid <> '-1'\"")
    bench.snapshot.resources["sales"].records = [
        sale(1, total="10"), sale(2, total="5", goalid="-1"), sale(3, total="7.01", goalid="0"),
    ]  # fmt: skip
    table = totals_of(bench)
    assert table.equal
    assert table.whole.left_out == {"filtered": Figure(1, Decimal(5))}
    assert table.whole.plan == Figure(2, Decimal("17.01"))


def test_one_cent_and_one_order_are_differences(bench) -> None:
    """A constant instead of the field, and two orders under one key."""
    bench.write_mapping("orders", ORDERS.format(total="total", more="", where="").replace(
        "source || ':' || id", "source"))  # fmt: skip
    bench.snapshot.resources["sales"].records = [sale(1, total="1.00"), sale(2, total="1.01")]
    [group] = totals_of(bench).groups
    assert group.left_out == {"replaced": Figure(1, Decimal("1"))}
    assert not group.equal
    bench.snapshot.resources["sales"].records = [sale(1, total="1.00"), sale(2, total="1.00")]
    [group] = read_totals(bench.plan("again", datasets=("orders",)))["orders"].groups
    assert group.left_out == {"copies": Figure(1, Decimal("1"))}
    assert group.equal


def test_other_names_stand_in_the_project_file(bench) -> None:
    """A shop's own field, and a column of another name that holds cents."""
    text = ORDERS.format(total="bedrag", more="", where="").replace("  total:", "  worth_cents:")
    text = text.replace(
        "{from: bedrag, type: float}", "{sql: \"REPLACE(bedrag, '.', '')\", type: integer}"
    )
    bench.write_mapping("orders", text)
    bench.set("datatrics", totals={"sales": SourceTotals(amount="bedrag")})
    bench.set("octolis", totals={"orders": DatasetTotals(amount="worth_cents")})
    bench.snapshot.resources["sales"].records = [sale(1, bedrag="12.34"), sale(2, bedrag="0.66")]
    [group] = totals_of(bench).groups
    assert group.equal
    assert group.plan == Figure(2, Decimal(13))


def test_a_dataset_without_amounts_has_no_totals(bench) -> None:
    """No resource of people says what to sum."""
    plan = bench.plan("plan", offline=True)
    assert "contacts" not in read_totals(plan)
    assert plan.document.datasets["contacts"].totalled is None


PER_SALE = """
version: 1
dataset: bestellingen
resource: sales
key: [{key}]
columns:
  nummer: {{sql: "source || ':' || id", type: text}}
  klant: {{from: email, type: text}}
  waarde: {{from: totl, type: float}}
"""


def test_a_row_for_each_sale_is_an_order_in_any_language(bench) -> None:
    """No name of dataset or column says so, and the amount is misspelt: that nothing is proven of it is said. People
    made of sales are none."""
    bench.snapshot.resources["sales"].records = [
        sale(n, total="10", email=f"p{n}@x.nl") for n in range(3)
    ]
    bench.write_mapping("bestellingen", PER_SALE.format(key="nummer"))
    [rule] = totals_rules_of(read_mappings(bench.project.mappings)["bestellingen"], bench.project)
    assert (rule.kind, rule.amount) == ("revenue", None)
    bench.set("octolis", datasets={"bestellingen": "b"})
    plan = bench.plan("plan", datasets=("bestellingen",))
    table = read_totals(plan)["bestellingen"]
    assert (table.whole.plan.rows, table.has_sums) == (3, False)
    [doubt] = table.doubts
    assert "[octolis.totals.bestellingen] amount" in doubt
    found = Reconciliation("plan", {}, tables=(table,))
    assert (found.verdict, found.totals_equal) == ("unverified", False)
    bench.write_mapping("bestellingen", PER_SALE.format(key="klant"))
    assert (
        totals_rules_of(read_mappings(bench.project.mappings)["bestellingen"], bench.project) == []
    )


def test_whoever_asks_later_is_told_the_same(bench) -> None:
    """The plan's own totals and those worked out again from its files are one."""
    write_orders(bench, where="where: \"goalid IS NULL OR goalid <> '-1'\"")
    bench.snapshot.resources["sales"].records = [
        sale(1, total="10"), sale(2, total="x"), sale(3, total="2", goalid="-1"),
        sale(4, total="3", created="2024-05-01 12:00:00"),
    ]  # fmt: skip
    plan = bench.plan("plan", datasets=("orders",))
    [rule] = totals_rules_of(read_mappings(bench.project.mappings)["orders"], bench.project)
    again = total_dataset(
        rule, bench.snapshot.resource("sales"), plan.folder / "orders", {},
        filtered=plan.document.datasets["orders"].filtered,
    )  # fmt: skip
    assert again == read_totals(plan)["orders"]
    assert sum((group.source for group in again.groups), Figure()) == again.whole.source


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [(0, "broken"), ("9%", "broken"), ("10%", "ok"), (10, "ok"), ("9.99", "broken")],
)
def test_the_gate_counts_money_or_shares_of_it(bench, limit: object, verdict: str) -> None:
    """A share is of what the source has in that month and currency."""
    write_orders(bench)
    bench.set("gates", max_unequal=Gates.model_validate({"max_unequal": limit}).max_unequal)
    bench.snapshot.resources["sales"].records = [sale(1, total="90"), sale(2, total="10,00")]
    plan = bench.plan("plan", datasets=("orders",))
    assert {found.gate: found.verdict for found in plan.document.gates}["max_unequal"] == verdict


def test_what_a_person_discards_is_a_named_remainder(bench) -> None:
    """An order that somebody has discarded is left out on purpose, with its sum; one that waits is missing."""
    write_orders(bench)
    bench.snapshot.resources["sales"].records = [sale(1, total="10"), sale(2, total="5,50")]
    who = {"dataset": "orders", "source": "shop", "id": "c2", "reason": "not_a_number"}
    bench.discarded = pl.DataFrame([who], schema=DISCARDS)
    plan = bench.plan("plan", datasets=("orders",))
    assert plan.document.datasets["orders"].discarded == 1
    table = read_totals(plan)["orders"]
    assert table.equal
    assert table.whole.left_out == {"discarded": Figure(1, Decimal("5.5"))}
    [gate] = [found for found in plan.document.gates if found.gate == "max_unequal"]
    assert gate.verdict == "ok"


LINES = """
version: 1
dataset: lines
resource: sales
each: items
key: [line_key]
lookups:
  order: {{dataset: orders, source: source, id: {of}, on_orphan: {on_orphan}}}
columns:
  line_key:   {{sql: "source || ':' || id || ':' || position", type: text}}
  order_key:  {{from: order.order_key, type: text}}
  sku:        {{from: item.sku, type: text}}
"""


def lines_of(bench: Any, on_orphan: str, of: str = "id") -> Group:
    """The lines of all months of a new plan of orders and lines."""
    bench.write_mapping("lines", LINES.format(on_orphan=on_orphan, of=of))
    bench.set("octolis", datasets={**bench.project.octolis.datasets, "lines": "lines-id"})
    plan = bench.plan(f"plan-{on_orphan}-{len(of)}", datasets=("orders", "lines"))
    [group] = read_totals(plan)["lines"].groups
    return group


def test_lines_of_an_order_that_is_left_out_are_told_apart(bench) -> None:
    """Rejected they are left out as their order is; kept they are in the plan, and are named all the same.

    An order of the same number under another name of its source takes the lines of one that is left out.
    """
    write_orders(bench, where="where: \"goalid IS NULL OR goalid <> '-1'\"")
    bench.set("datatrics", source_aliases={"shop-nl": "shop"})
    line = json.dumps([{"sku": "a"}, {"sku": "b"}])
    bench.snapshot.resources["sales"].records = [
        sale(1, total="10", items=line),
        sale(2, total="5", goalid="-1", items=line),
        sale(1, total="7", goalid="-1", items=line, source="shop-nl"),
        sale(3, total="7", goalid="-1", items=line, source="shop-nl"),
    ]  # fmt: skip
    kept = lines_of(bench, "keep")
    assert kept == Group(
        "", "", Figure(8), {}, Figure(8), None, {"kept": Figure(4), "adopted": Figure(2)}
    )
    assert kept.equal
    rejected = lines_of(bench, "reject")
    assert rejected == Group(
        "", "", Figure(8), {"filtered": Figure(4)}, Figure(4), None, {"adopted": Figure(2)}
    )
    assert rejected.equal
    assert lines_of(bench, "reject", "[ref, id]") == rejected


def test_a_line_whose_order_is_nowhere_is_missing(bench) -> None:
    """No one left that order out: it is no decision, and a difference."""
    write_orders(bench, where="where: \"goalid IS NULL OR goalid <> '-1'\"")
    bench.snapshot.resources["sales"].records = [
        sale(1, total="10", items='[{"sku": "a"}]', ref="nowhere"),
        sale(2, total="10", items='[{"sku": "a"}]', ref="c3"),
        sale(3, total="5", goalid="-1", items='[{"sku": "a"}]', ref="c1"),
    ]  # fmt: skip
    group = lines_of(bench, "reject", "ref")
    assert group.left_out == {"rejected": Figure(1), "filtered": Figure(1)}
    assert (group.plan, group.equal) == (Figure(1), False)


def times_of(bench: Any, *created: str, more: str = "") -> Table:
    """The totals of orders made at these times, all of one euro."""
    text = ORDERS.format(total="total", more="", where="")
    bench.write_mapping("orders", text.replace("datetime, on", f"datetime, {more}on"))
    bench.snapshot.resources["sales"].records = [
        sale(n, total="1", created=time) for n, time in enumerate(created)
    ]
    return totals_of(bench)


def test_times_are_read_whatever_the_mapping_says(bench) -> None:
    """A mapping that reads no such time sends orders without one; the source has them in their month."""
    table = times_of(bench, "25/03/2024", "4 Apr 2024 10:00", "1711929600", "2024.04.05 23:59")
    assert {group.period: group.source.rows for group in table.groups} == {
        "2024-03": 1, "2024-04": 3, "no date": 0,
    }  # fmt: skip
    assert not table.equal
    assert table.unread_times == 0


@pytest.mark.parametrize(
    ("others", "periods"),
    [(["25/03/2024"], {"2024-04"}), (["12/25/2023"], {"2024-03"}), ([], None), (["12-25-2023"], None),
     (["25/03/2024", "12/25/2023"], None)],
)  # fmt: skip
def test_day_and_month_are_never_guessed(
    bench, others: list[str], periods: set[str] | None
) -> None:
    """The third of April or the fourth of March: as the source's other times tell, else nobody can read it."""
    table = times_of(bench, "03/04/2024", *others, more='format: "%d/%m/%Y", ')
    held = {group.period for group in table.groups if group.source.rows}
    assert (table.unread_times, "no date" in held) == ((0, False) if periods else (1, True))
    assert periods is None or periods <= held
    assert [(e.what, e.text) for e in table.examples] == (
        [] if periods else [("time", "03/04/2024")]
    )


def test_the_project_says_how_times_are_spelt(bench) -> None:
    """Then the third of April it is, and what is no time is none all the same; a wrong format is refused."""
    bench.set("datatrics", totals={"sales": SourceTotals(time_format="%d/%m/%Y")})
    table = times_of(bench, "03/04/2024", "soon", "0000-00-00", more='format: "%d/%m/%Y", ')
    assert {group.period: group.source.rows for group in table.groups} == {
        "2024-04": 1, "no date": 2,
    }  # fmt: skip
    assert (table.equal, table.unread_times) == (True, 1)
    bench.set("datatrics", totals={"sales": SourceTotals(time_format="%d/%q")})
    with pytest.raises(ConfigError, match=r"\[datatrics.totals.sales\] time_format"):
        bench.plan("refused", datasets=("orders",))


def test_the_zone_of_a_source_is_that_of_its_other_names(bench) -> None:
    """Half past midnight of the first of April in Amsterdam is in March, for the source as for the plan."""
    write_orders(bench)
    zones = {"timezones": {"shop": "Europe/Amsterdam"}, "source_aliases": {"shop-nl": "shop"}}
    bench.set("datatrics", **zones)
    bench.snapshot.resources["sales"].records = [
        sale(1, total="1", source="shop-nl", created="2024-04-01 00:30:00")
    ]
    [group] = totals_of(bench).groups
    assert (group.period, group.equal) == ("2024-03", True)
