"""Consents, customers and categories of records as the source's own fields say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from migrate.totals.counts import Total, add_up
from migrate.totals.own import Reader, by_own_fields
from migrate.verify.rules import ColumnRule
from tests.plan.conftest import FakeResource


def read(
    records: Sequence[Mapping[str, Any]],
    *rules: ColumnRule,
    resource: str = "profiles",
    named: Mapping[str, Sequence[str]] | None = None,
    each: bool = False,
) -> pl.DataFrame:
    """What the records' own fields say of some columns."""
    rows = [{"source": "Shop", "id": str(n), **record} for n, record in enumerate(records)]
    held: Any = FakeResource(rows, "id", name=resource)
    columns = {rule.name: rule for rule in rules}
    reader = Reader(held, columns, named or {}, {"Shop 2": "Shop"}, each)
    return reader.read(list(columns))


def consent(*fields: str, **more: Any) -> ColumnRule:
    """A consent made of these fields."""
    return ColumnRule("newsletter", "boolean", fields, consent=True, **more)


ANSWERS = [
    {"newsletter": "1"},
    {"newsletter": " Nee "},
    {"newsletter": "later"},
    {},
    {"metadata.newsletter": "ja"},
]
SAID = ["true", "false", None, None, "true"]


def test_a_consent_is_what_the_field_of_its_name_says() -> None:
    """Whatever field the mapping reads, flat or in an object; silence and unknown words are no answer."""
    for rule in (consent("newsletter"), consent("newslettr")):
        assert read(ANSWERS, rule)["newsletter"].to_list() == SAID
    listed = consent("newsletter", values={"later": "false"}, default="false")
    assert read(ANSWERS, listed)["newsletter"].to_list() == [
        "true",
        "false",
        "false",
        "false",
        "true",
    ]


def test_what_fields_alone_cannot_tell_is_not_told() -> None:
    """An expression, several consents that must agree, a translation, a field that nobody sends."""
    for rule in (
        consent(sql="newsletter = '1'"),
        consent("newsletter", "optin"),
        ColumnRule("newsletter", "text", ("newsletter",), values={"1": "yes"}),
        ColumnRule("elsewhere", "text", ("elsewhere",)),
    ):
        assert read(ANSWERS, rule).columns == ["_order", "_position"]
    named = read(ANSWERS, consent("x"), named={"newsletter": ["optin"]})
    assert named["newsletter"].to_list() == [None] * 5


def test_categories_of_lines_and_customers_of_orders() -> None:
    """A line's by its place in the list; a customer by source and id, a source of two names being one."""
    lines = [{"items": '[{"category":"a"},{"category":"b"}]'}, {"items": '{"category":"c"}'}, {}]
    rule = ColumnRule("category", "text", ("item.categroy",))
    found = read(lines, rule, resource="sales", each=True)
    assert found.rows() == [(0, 1, "a"), (0, 2, "b"), (1, 1, "c")]
    orders = [{"profileid": "7"}, {"profile_id": "7", "source": "Shop 2"}, {}]
    customer = ColumnRule("contact_key", "text", ("contact.contact_key",))
    found = read(orders, customer, resource="sales")
    assert found["contact_key"].to_list() == ["Shop:7", "Shop:7", None]


def rows_of(*values: str | None, merged: Sequence[bool] = ()) -> pl.DataFrame:
    """Rows that should be there, one a record."""
    return pl.DataFrame(
        {
            "_part": 0, "_order": range(len(values)), "_position": None, "contact_key": values,
            "newsletter": values, "_merged": list(merged) or [False] * len(values),
        },
        schema_overrides={"_part": pl.Int64, "_position": pl.Int64},
    )  # fmt: skip


def own_of(column: str, *values: str | None) -> pl.DataFrame:
    """The same by the source's own fields."""
    made = {"_part": 0, "_order": range(len(values)), "_position": None, column: values}
    return pl.DataFrame(made, schema_overrides={"_part": pl.Int64, "_position": pl.Int64})


def test_a_row_made_of_several_records_stands_as_it_was_decided() -> None:
    """The others are what their own field says."""
    rows = rows_of("true", None, merged=[True, False])
    told = by_own_fields(rows, own_of("newsletter", "false", "true"))
    assert told["newsletter"].to_list() == ["true", "true"]


def test_customers_that_a_mapping_loses_are_counted_all_the_same() -> None:
    """Where no order finds its customer the source's ids tell; a single one that is nowhere is none of them."""
    total = Total("Orders per contact", "orders", ("contact_key",), spread=True)
    own = own_of("contact_key", "Shop:1", "Shop:1", "Shop:2")
    lost = by_own_fields(rows_of(None, None, None), own)
    assert add_up(total, lost) == {("1",): 1, ("2",): 1}
    nowhere = by_own_fields(rows_of("a", "a", None), own)
    assert add_up(total, nowhere) == {("2",): 1, ("(none)",): 1}
    fused = by_own_fields(rows_of("a", "a", "a"), own)
    assert add_up(total, fused) == {("3-5",): 1}
