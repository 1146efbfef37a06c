"""Consents, customers and categories of records by the source's own fields, whatever the mapping reads.

A column that is counted stands for the field of its own name, flat and in each object that a service puts it in, or for
those that the project names. So a mapping that reads a misspelt field does not also move what it is measured by. Where
a column is made in a way that no field alone can tell, nothing is read here, and the count says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product

import polars as pl

from migrate.language.answers import answer_of
from migrate.mapping.each import read_elements
from migrate.snapshot.reading import SnapshotResource
from migrate.snapshot.union import has_field
from migrate.totals.counts import ColumnReading
from migrate.totals.declared import fields_of
from migrate.totals.records import first_field

ORDER, PLACE = "_order", "_position"
"""The place of a record in the snapshot, and of the element in its list; as the verifier names them."""
_NESTS = {
    "sales": ("", "metadata.", "conversion."),
    "interactions": ("metadata.", "", "interaction."),
}
_ALSO = {"profileid": ("profile_id",), "categories": ("category",), "email": ("emailaddress",)}
"""Other names of a field that shops send."""
_CUSTOMERS = ("contact_key", "customer_key")
_PLAIN_STEPS = frozenset({"trim", "lowercase", "uppercase", "collapse_spaces"})
_ANSWERS = {"yes": "true", "no": "false", None: None}


@dataclass(frozen=True)
class Reader:
    """Reads columns of a dataset of one resource from the source's own fields.

    `named`: the fields that the project names, by column; they come before the known ones. `each`: whether the rows are
    the lines of orders.
    """

    resource: SnapshotResource
    columns: Mapping[str, ColumnReading]
    named: Mapping[str, Sequence[str]]
    aliases: Mapping[str, str]
    each: bool = False

    def read(self, wanted: Sequence[str]) -> pl.DataFrame:
        """Every record (or line) with those of the columns that can be told.

        **Shape**: `_order`, `_position` and columns of texts.
        """
        fields_by_name = {name: fields for name in wanted if (fields := self._fields(name))}
        frames = [self._frame(frame, fields_by_name) for frame in self._frames(fields_by_name)]
        schema = {ORDER: pl.Int64, PLACE: pl.Int64, **dict.fromkeys(fields_by_name, pl.String)}
        values = pl.concat([pl.DataFrame(schema=schema), *frames])
        # a field that nobody sends tells nothing of the column that is named like it
        empty = [
            name for name in fields_by_name if values.get_column(name).null_count() == values.height
        ]
        return values.drop(name for name in empty if name not in self.named)

    def _fields(self, name: str) -> tuple[str, ...]:
        """The source's fields of a column; none where fields alone cannot tell what it should be."""
        column = self.columns[name]
        named = tuple(self.named.get(name, ()))
        if name in _CUSTOMERS and not named:
            return self._placed("profileid")
        if column.sql is not None and not named:
            return ()
        known = named or self._placed(name)
        several = column.consent and len(column.fields) > 1 and not set(column.fields) <= set(known)
        is_plain = column.consent or (column.values is None and _steps(column) <= _PLAIN_STEPS)
        # of several consents that must all be heard no one field is the answer
        return () if several or not is_plain else known

    def _placed(self, name: str) -> tuple[str, ...]:
        if self.each:
            return (f"item.{name}",)
        nests = _NESTS.get(self.resource.name, ("", "metadata."))
        names = (name, *_ALSO.get(name, ()))
        return tuple(f"{nest}{one}" for one, nest in product(names, nests))

    def _frames(self, told: Mapping[str, Sequence[str]]) -> Iterator[pl.DataFrame]:
        names = set(chain.from_iterable(told.values()))
        if self.each:
            declared = fields_of(self.resource.name)
            names = set(declared.lines) if declared else set()
        there = sorted(name for name in names if has_field(self.resource, name))
        return self.resource.frames(there, raw=False)

    def _frame(self, frame: pl.DataFrame, told: Mapping[str, Sequence[str]]) -> pl.DataFrame:
        """The columns of some records."""
        rows = frame.with_columns(
            pl.col("_position").alias(ORDER), pl.lit(None, pl.Int64).alias(PLACE)
        )
        if self.each:
            rows = self._lines(rows, told)
        read = [first_field(rows, fields).alias(f"own:{name}") for name, fields in told.items()]
        texts = rows.with_columns(read)
        made = [
            self._value(name, texts.get_column(f"own:{name}"), rows).alias(name) for name in told
        ]
        return rows.select(ORDER, PLACE).hstack(made)

    def _lines(self, rows: pl.DataFrame, told: Mapping[str, Sequence[str]]) -> pl.DataFrame:
        declared = fields_of(self.resource.name)
        first = first_field(rows, declared.lines if declared else ())
        lists = rows.with_columns(first.alias("own:")).get_column("own:")
        elements = read_elements(lists, [name for fields in told.values() for name in fields])
        places = elements.places.cast(pl.Int64).alias(PLACE)
        return rows.select("_source", ORDER)[elements.parents].with_columns(
            places, *(texts.alias(name) for name, texts in elements.values.items())
        )

    def _value(self, name: str, text: pl.Series, rows: pl.DataFrame) -> pl.Series:
        """What a column should be by the field's text."""
        column = self.columns[name]
        if name in _CUSTOMERS:
            # One shop may send under two names, such as `Magento2` and `Magento 2`: the customer is the same.
            source = rows.get_column("_source").replace(
                list(self.aliases), list(self.aliases.values())
            )
            return pl.select(pl.concat_str([source.fill_null(""), pl.lit(":"), text])).to_series()
        if column.consent:
            distinct = text.unique()
            said = {one: _answer(column, one) for one in distinct if one is not None}
            value = text.replace_strict(
                list(said), list(said.values()), return_dtype=pl.String, default=None
            )
        else:
            value = _stepped(text, column)
        if column.default is None:
            return value
        return value.fill_null(column.default)


def _steps(column: ColumnReading) -> set[str]:
    return {name for name, _ in column.calls}


def _answer(column: ColumnReading, text: str) -> str | None:
    """What an answer says; what a word means that nobody else knows, the mapping may say."""
    said = answer_of(text)
    listed = (column.values or {}).get(text.strip())
    if said is not None:
        return _ANSWERS[said]
    return listed if listed in {"true", "false"} else None


def _stepped(text: pl.Series, column: ColumnReading) -> pl.Series:
    steps = _steps(column)
    stepped = text.str.strip_chars() if "trim" in steps else text
    stepped = stepped.str.to_lowercase() if "lowercase" in steps else stepped
    stepped = stepped.str.to_uppercase() if "uppercase" in steps else stepped
    stepped = stepped.str.replace_all(r"\s+", " ") if "collapse_spaces" in steps else stepped
    return stepped.to_frame("t").select(pl.when(pl.col("t") != "").then("t")).to_series()


def by_own_fields(rows: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """The rows with what the source's own fields say of them, where they can tell it.

    What several records were made one of is decided between them, so there the row's own value stands.

    **Shape**: `rows` as of `Expected.texts`, `own` as of `Reader.read` with `_part`.
    """
    where = ["_part", ORDER, PLACE]
    columns = [name for name in own.columns if name not in where]
    joined = rows.join(own, on=where, how="left", nulls_equal=True, suffix=":own")
    if "_merged" in rows.columns:
        merged = pl.col("_merged")
    else:
        merged = pl.lit(value=False)
    values = [
        _customers(joined, name)
        if name in _CUSTOMERS
        else pl.when(merged).then(name).otherwise(f"{name}:own").alias(name)
        for name in columns
    ]
    return joined.with_columns(values)


def _customers(rows: pl.DataFrame, name: str) -> pl.Expr:
    """Who an order is of: by the source's own id, unless people of several ids were made one contact."""
    both = rows.select(name, f"{name}:own")
    if both.get_column(name).null_count() == both.height:
        return pl.col(f"{name}:own").alias(name)
    pairs = both.drop_nulls().unique()
    is_one = not pairs.get_column(name).is_duplicated().any()
    by_id = pl.when(pl.col(name).is_not_null()).then(f"{name}:own")
    # an order whose customer is nowhere has none, on both sides
    return (by_id if is_one else pl.col(name)).alias(name)
