"""How many rows a dataset has of each kind, from any place that holds them as texts. Pure.

The source's side is read from its own fields where they can be told, see `own`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import polars as pl

SOURCE_PLACE = "source"
"""What was sent, before anything is left out: beside the others for a look, and no part of what must be equal."""

_NOTHING = "(none)"
_COUNTED = "orders"
# Most contacts have few orders, so the steps are narrow there.
_STEPS = ((1, "1"), (2, "2"), (5, "3-5"), (10, "6-10"), (100, "11-100"))
_MORE = "more than 100"
_CUSTOMERS = ("contact_key", "customer_key", "profileid", "email")
# One plug-in of a shop sends the plural, another the singular.
_LISTS = ("categories", "category")


@dataclass(frozen=True)
class Total:
    """What is counted: a dataset's rows by some columns.

    With `spread` the rows are counted per value of the first column, and those counts are what is shown: how many
    contacts have one order, how many two. With `listed` the first column holds lists, and a row counts under each
    element.
    """

    title: str
    dataset: str
    by: tuple[str, ...]
    spread: bool = False
    listed: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns it reads."""
        return self.by


@dataclass(frozen=True)
class TotalsRow:
    """One group, and what each place says of it; None where it does not show the group.

    `aside`: places that are shown beside the others and may differ from them.
    """

    group: tuple[str, ...]
    amounts: Mapping[str, Decimal | None]
    aside: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """True when all places that are compared say the same."""
        return (
            len({amount for place, amount in self.amounts.items() if place not in self.aside}) == 1
        )

    @property
    def left_out(self) -> bool:
        """True when a place beside the others has something else than they."""
        return len(set(self.amounts.values())) > 1 and self.equal


@dataclass(frozen=True)
class TotalsTable:
    """One business total in several places, group by group. `doubt`: what of it the source's own fields cannot tell."""

    title: str
    by: tuple[str, ...]
    places: tuple[str, ...]
    rows: tuple[TotalsRow, ...]
    doubt: str = ""

    @property
    def equal(self) -> bool:
        """True when every group is equal in all places."""
        return all(row.equal for row in self.rows)


@dataclass(frozen=True)
class ResourceCount:
    """How many records of a resource: announced at the extract, in the snapshot, and announced now.

    `now` is None where the source was not asked or did not say, with the reason in `why`.
    """

    resource: str
    announced: int | None
    in_snapshot: int
    now: int | None = None
    why: str | None = None

    @property
    def drift(self) -> int | None:
        """How many more (or less) the source announces now than when it was read."""
        if self.now is None or self.announced is None:
            return None
        return self.now - self.announced


class ColumnReading(Protocol):
    """How a mapping makes a column."""

    @property
    def name(self) -> str:
        """The column."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of which the first with a value is taken."""

    @property
    def sql(self) -> str | None:
        """An expression instead of fields."""

    @property
    def calls(self) -> tuple[tuple[str, str | int | None], ...]:
        """Functions with their arguments."""

    @property
    def values(self) -> Mapping[str, str] | None:
        """What texts become."""

    @property
    def default(self) -> str | None:
        """What stands where there is nothing."""

    @property
    def consent(self) -> bool:
        """Whether it is a consent."""


class Rules(Protocol):
    """What of a mapping matters here."""

    @property
    def dataset(self) -> str:
        """The dataset."""

    @property
    def resource(self) -> str:
        """What it is made of."""

    @property
    def each(self) -> str | None:
        """The list whose elements are the rows."""

    @property
    def columns(self) -> Mapping[str, ColumnReading]:
        """Its columns by name."""

    def source_column(self) -> str | None:
        """The column that holds a record's source as sent."""


def find_totals(rules: Rules) -> list[Total]:
    """The totals that a dataset's columns allow: by what it is made of and by the columns' usual names."""
    totals: list[Total] = []
    if rules.resource == "sales" and rules.each is None:
        customer = _first(rules, _CUSTOMERS)
        if customer:
            totals.append(Total("Orders per contact", rules.dataset, (customer,), spread=True))
    elif rules.resource == "sales":
        totals += _counted(rules, "Order lines per category", "category")
    elif rules.resource == "content_items":
        listed = _first(rules, _LISTS)
        if listed:
            totals.append(Total("Items per category", rules.dataset, (listed,), listed=True))
        title = "Items per department and category"
        totals += _counted(rules, title, "department", "product_category")
    return totals + _of_consents(rules)


def _of_consents(rules: Rules) -> list[Total]:
    source = rules.source_column()
    by = (source,) if source else ()
    return [
        Total(f"Consent {name} in {rules.dataset}", rules.dataset, (*by, name))
        for name, rule in rules.columns.items()
        if rule.consent
    ]


def _counted(rules: Rules, title: str, *by: str) -> list[Total]:
    if set(by) <= set(rules.columns):
        return [Total(title, rules.dataset, by)]
    return []


def _first(rules: Rules, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in rules.columns), None)


def add_up(total: Total, rows: pl.DataFrame) -> dict[tuple[str, ...], Decimal]:
    """The total of `rows`, a frame of texts with at least its columns: sums by group, groups as texts."""
    if total.listed:
        rows = _spelt_out(rows, total.by[0])
    groups = [_group(name).alias(f"g{place}") for place, name in enumerate(total.by)]
    names = [f"g{place}" for place in range(len(groups))]
    sums = rows.lazy().select(*groups).group_by(names).agg(pl.len().alias("n")).collect()
    if not total.spread:
        return {tuple(row[:-1]): Decimal(row[-1]) for row in sums.iter_rows()}
    spread: dict[tuple[str, ...], Decimal] = {}
    for group, count in sums.iter_rows():
        if group == _NOTHING:
            step = group
        else:
            step = next((name for most, name in _STEPS if count <= most), _MORE)
        found = (step,)
        spread[found] = spread.get(found, Decimal()) + (count if group == _NOTHING else 1)
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
    # PHP writes a list with gaps as an object: then its values are the elements.
    if isinstance(value, list):
        items = value
    else:
        items = list(value.values()) if _has_objects(value) else [value]
    return sorted({label for item in items if (label := _label(item))})


def _has_objects(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(part, dict) for part in value.values())


def _label(item: Any) -> str:
    if isinstance(item, dict):
        return str(
            next((item[name] for name in ("name", "categoryid", "id") if item.get(name)), "")
        )
    return "" if item is None else str(item)


def _group(name: str) -> pl.Expr:
    text = pl.col(name).cast(pl.String)
    lower = text.str.to_lowercase()
    truth = (
        # The target's CSV may spell a boolean as a database does.
        pl.when(lower == "t")
        .then(pl.lit("true"))
        .when(lower == "f")
        .then(pl.lit("false"))
        .otherwise(text)
    )
    # A consent that nobody gave an answer to is unknown, which is not a no.
    return pl.when(truth != "").then(truth).otherwise(pl.lit(_NOTHING))


def set_side_by_side(
    total: Total, places: Mapping[str, Mapping[tuple[str, ...], Decimal]], doubt: str = ""
) -> TotalsTable:
    """Every group that any place shows, in order. `doubt`: what the source's own fields cannot tell of it."""
    groups = sorted({group for counts in places.values() for group in counts})
    rows = tuple(
        TotalsRow(
            group, {place: counts.get(group) for place, counts in places.items()}, (SOURCE_PLACE,)
        )
        for group in groups
    )
    by = tuple(f"record_{name}" if name in places else name for name in total.by)
    if total.spread:
        by = (_COUNTED,)  # how many orders a contact has, and no longer which contact
    return TotalsTable(total.title, by, tuple(places), rows, doubt)


def says_something(table: TotalsTable) -> bool:
    """False where no record has a value in any of the columns."""
    return any(part != _NOTHING for row in table.rows for part in row.group)
