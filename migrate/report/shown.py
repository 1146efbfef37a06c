"""How a value of a customer is shown: masked, unless it says nothing about anybody or values were asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection

import polars as pl

from migrate.privacy.impersonal import (
    is_of_things,
    is_price,
    may_be_shown,
    names_a_product,
    names_an_amount,
)
from migrate.privacy.mask import SHAPE_CHARS, Masker

_TRUTH = ("true", "false", "t", "f", "1", "0")
_SHOWN_CHARS = 200


class Shown:
    """Shows values; without a masker as they are.

    Amounts and yes/no say nothing about a person whose key is masked, so columns of these types are shown as they are
    where a value really is one; numbers of products are, too, and all that stands in rows `of_things`, such as
    products. Texts, dates, whole numbers and keys of people and their orders are masked.
    """

    def __init__(self, masker: Masker | None, *, of_things: bool = False) -> None:
        self._masker = masker
        self._of_things = of_things

    @property
    def is_masked(self) -> bool:
        """Whether personal values are masked."""
        return self._masker is not None

    def of(self, resources: Collection[str]) -> Shown:
        """How values of rows are shown that were made of these resources."""
        return Shown(self._masker, of_things=is_of_things(resources))

    def text(self, value: str | None, name: str = "") -> str | None:
        """A value of any column, or of the one of that name; None stays None. At most 200 characters."""
        if value is None:
            return None
        if self._masker and not may_be_shown(value, of_things=self._of_things, column=name):
            return self._masker.mask(value)
        return value if len(value) <= _SHOWN_CHARS else value[:_SHOWN_CHARS] + "…"

    def value(self, value: str | None, dtype: pl.DataType | None, name: str = "") -> str | None:
        """A value of a column of the plan whose type is known."""
        is_plain = value is not None and (
            (_is_amount(dtype) and is_price(value))
            or (dtype == pl.Boolean and value.lower() in _TRUTH)
        )
        return value if is_plain else self.text(value, name)

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
        return can_be_plain or self._of_things or names_a_product(name) or names_an_amount(name)


def resource_mask(masker: Masker, resource: str) -> Callable[[str], str]:
    """What masks values of a resource's records, and leaves those that say nothing of people."""
    shown = Shown(masker).of([resource])
    return lambda value: shown.text(value) or ""


def _mask(value: pl.Expr, digest: pl.Expr) -> pl.Expr:
    """Masks as `Masker` makes them, a column at once: its shapes are the slow part of a million values."""
    shape = value.str.slice(0, SHAPE_CHARS).str.replace_all(r"\p{Nd}", "9")
    shape = shape.str.replace_all(r"[\p{L}--[\p{Lu}\p{Lt}]]", "a").str.replace_all(
        r"[\p{Lu}\p{Lt}]", "A"
    )
    shape = shape.str.replace_all(r"[^\x20-\x7e]", ".")
    more = pl.when(value.str.len_chars() > SHAPE_CHARS).then(pl.lit("…")).otherwise(pl.lit(""))
    return (
        pl.when(value == "").then(value).otherwise(pl.concat_str(shape, more, pl.lit("#"), digest))
    )


def _is_amount(dtype: pl.DataType | None) -> bool:
    return dtype is not None and (dtype.is_decimal() or dtype.is_float())
