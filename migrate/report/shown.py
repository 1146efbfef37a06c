"""How a value of a customer is shown: masked, unless it says nothing about anybody or values were asked for."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from migrate.privacy.impersonal import (
    is_of_things,
    is_price,
    is_word,
    may_be_shown,
    names_a_product,
    names_an_amount,
)
from migrate.privacy.mask import SHAPE_CHARS, ZERO_DATE, Masker

if TYPE_CHECKING:
    from migrate.mapping.model import Mapping as MappingFile

Types: TypeAlias = Mapping[str, pl.DataType]

_TRUTH = ("true", "false", "t", "f", "1", "0")
_SHOWN_CHARS = 200
_OPENS_JSON = ("{", "[")


class Shown:
    """Shows values; without a masker as they are, of at most `longest` characters (None: all of them).

    Amounts and yes/no say nothing about a person whose key is masked, so columns of these types are shown as they are
    where a value really is one; numbers of products are, too, and all that stands in rows `of_things`, such as
    products. Texts, dates, whole numbers and keys of people and their orders are masked.
    """

    def __init__(
        self,
        masker: Masker | None,
        *,
        of_things: bool = False,
        types: Types | None = None,
        longest: int | None = _SHOWN_CHARS,
    ) -> None:
        self._masker = masker
        self._of_things = of_things
        self._types = types or {}
        self._longest = longest

    @property
    def is_masked(self) -> bool:
        """Whether personal values are masked."""
        return self._masker is not None

    def of(self, resources: Collection[str], types: Types | None = None) -> Shown:
        """How values of rows are shown that were made of these resources; `types`: those of their columns."""
        of_things = is_of_things(resources)
        return Shown(self._masker, of_things=of_things, types=types, longest=self._longest)

    def text(self, value: str | None, name: str = "") -> str | None:
        """A value of any column, or of the one of that name; None stays None."""
        if value is None:
            return None
        if self._masker and not may_be_shown(value, of_things=self._of_things, column=name):
            return self._masker.mask(value)
        if self._longest is None or len(value) <= self._longest:
            return value
        return value[: self._longest] + "…"

    def value(self, value: str | None, dtype: pl.DataType | None, name: str = "") -> str | None:
        """A value of a column of the plan whose type is known."""
        is_plain = value is not None and (
            (_is_amount(dtype) and is_price(value))
            or (dtype == pl.Boolean and value.lower() in _TRUTH)
        )
        return value if is_plain else self.text(value, name)

    def cell(self, value: str | None, column: str) -> str | None:
        """A value of the column of that name, by its type where this knows the types."""
        return self.value(value, self._types.get(column), column)

    def parsed(self, value: Any, name: str = "") -> Any:
        """What JSON holds, every text of it shown by the name that it stands under; numbers are given as texts."""
        if isinstance(value, Mapping):
            return {key: self.parsed(part, key) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.parsed(part, name) for part in value]
        if not isinstance(value, str):
            return value
        if value[:1] in _OPENS_JSON:
            return self.json(value, name)
        return self.cell(value, name)

    def json(self, text: str, name: str = "") -> Any:
        """What a JSON text holds, shown; as it is where nothing is masked, one value where it is no JSON."""
        if self._masker is None:
            return text
        try:
            # Numbers as texts: they keep their digits, and a whole number is
            # masked as any value is.
            inside = json.loads(text, parse_float=str, parse_int=str)
        except (ValueError, RecursionError):
            return self.text(text, name)
        if isinstance(inside, str):
            return self.text(text, name)
        return self.parsed(inside, name)

    def column(
        self, values: pl.Series, dtype: pl.DataType | None = None, name: str = ""
    ) -> pl.Series:
        """A whole column, masked as `value` masks each of it."""
        if self._masker is None:
            return values
        if self._needs_each(dtype, name):
            shown = [self.value(value, dtype, name) for value in values]
            return pl.Series(values.name, shown, dtype=pl.String)
        digest = self._masker.digest
        digests = pl.Series(
            "digest", [digest(value) if value else None for value in values], dtype=pl.String
        )
        masks = pl.DataFrame([values.alias("value"), digests]).select(
            _mask(pl.col("value"), pl.col("digest"))
        )
        return masks.to_series().alias(values.name)

    def _needs_each(self, dtype: pl.DataType | None, name: str) -> bool:
        """Whether some values of such a column may be shown, so that each has to be looked at."""
        can_be_plain = _is_amount(dtype) or dtype == pl.Boolean
        says_nothing = names_a_product(name) or names_an_amount(name) or is_word(name, "")
        return can_be_plain or self._of_things or says_nothing


def shown_of_mapping(shown: Shown, mapping: MappingFile) -> Shown:
    """How values of the rows of one mapping file are shown."""
    plain = {"float": pl.Decimal(38, 6), "boolean": pl.Boolean()}
    types = {
        name: plain[column.type] for name, column in mapping.columns.items() if column.type in plain
    }
    return shown.of([mapping.resource], types)


def _mask(value: pl.Expr, digest: pl.Expr) -> pl.Expr:
    """Masks as `Masker` makes them, a column at once: its shapes are the slow part of a million values."""
    shape = value.str.slice(0, SHAPE_CHARS).str.replace_all(r"\p{Nd}", "9")
    shape = shape.str.replace_all(r"[\p{L}--[\p{Lu}\p{Lt}]]", "a").str.replace_all(
        r"[\p{Lu}\p{Lt}]", "A"
    )
    shape = shape.str.replace_all(r"[^\x20-\x7e]", ".")
    more = pl.when(value.str.len_chars() > SHAPE_CHARS).then(pl.lit("…")).otherwise(pl.lit(""))
    says_nothing = (value == "") | value.str.contains(rf"^(?:{ZERO_DATE})$")
    masked = pl.concat_str(shape, more, pl.lit("#"), digest)
    return pl.when(says_nothing).then(value).otherwise(masked)


def _is_amount(dtype: pl.DataType | None) -> bool:
    return dtype is not None and (dtype.is_decimal() or dtype.is_float())
