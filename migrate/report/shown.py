"""How a value of a customer is shown: masked, unless it says nothing about anybody or values were asked for."""

from __future__ import annotations

import re

import polars as pl

from migrate.privacy.mask import SHAPE_CHARS, Masker

_NUMBER = re.compile(r"-?\d{1,10}(?:\.\d{1,6})?")
_TRUTH = ("true", "false", "t", "f", "1", "0")
_SHOWN_CHARS = 200


class Shown:
    """Shows values; without a masker as they are.

    Amounts and yes/no say nothing about a person whose key is masked, so columns of these types are shown as they are
    where a value really is one. Texts, dates, whole numbers and keys are masked.
    """

    def __init__(self, masker: Masker | None) -> None:
        self._masker = masker

    @property
    def is_masked(self) -> bool:
        """Whether personal values are masked."""
        return self._masker is not None

    def text(self, value: str | None) -> str | None:
        """A value of any column; None stays None. At most 200 characters."""
        if value is None:
            return None
        if self._masker:
            return self._masker.mask(value)
        return value if len(value) <= _SHOWN_CHARS else value[:_SHOWN_CHARS] + "…"

    def value(self, value: str | None, dtype: pl.DataType | None) -> str | None:
        """A value of a column of the plan whose type is known."""
        is_plain = value is not None and (
            (_is_amount(dtype) and _NUMBER.fullmatch(value))
            or (dtype == pl.Boolean and value.lower() in _TRUTH)
        )
        return value if is_plain else self.text(value)

    def column(self, values: pl.Series, dtype: pl.DataType | None = None) -> pl.Series:
        """A whole column, masked as `value` masks each of it."""
        if self._masker is None:
            return values
        if _is_amount(dtype) or dtype == pl.Boolean:
            return pl.Series(
                values.name, [self.value(value, dtype) for value in values], dtype=pl.String
            )
        digest = self._masker.digest
        digests = pl.Series(
            "digest", [digest(value) if value else None for value in values], dtype=pl.String
        )
        masks = pl.DataFrame([values.alias("value"), digests]).select(
            _mask(pl.col("value"), pl.col("digest"))
        )
        return masks.to_series().alias(values.name)


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
