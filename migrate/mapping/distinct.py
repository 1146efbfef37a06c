"""The different texts of a column where they are few, so that each is worked on once.

A column of answers, countries or quantities has a few hundred texts in a million rows. Finding out which row has which
costs less than reading a number or time out of each row.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

LEAST_ROWS = 20_000
_SAMPLE_ROWS = 1_000
# of a sample: beyond it the texts are nearly all different, and finding them out would cost more than it saves
_MANY = 0.97


@dataclass(frozen=True)
class Distinct:
    """The different texts of a column, the last of them null, and which one each row has."""

    texts: pl.Series
    codes: pl.Series

    def spread(self, of_texts: pl.Series) -> pl.Series:
        """For each row, what there is of its text."""
        if of_texts.null_count() == len(of_texts):
            return of_texts.new_from_index(0, len(self.codes))
        # of a column in several pieces polars gathers ten times slower
        return of_texts.rechunk().gather(self.codes)

    def spread_frame(self, of_texts: pl.DataFrame) -> pl.DataFrame:
        """For each row, the row there is of its text."""
        return pl.DataFrame([self.spread(column) for column in of_texts])


def find_distinct(texts: pl.Series) -> Distinct | None:
    """The different texts, None where there are few rows or about as many texts as rows."""
    if len(texts) < LEAST_ROWS or _vary(texts):
        return None
    # categories of their own: the shared ones would grow with every column that was ever read
    kinds = texts.cast(pl.Categorical(pl.Categories.random()))
    codes = kinds.to_physical()
    if codes.null_count() == len(codes):
        return None
    count = int(codes.max()) + 1  # type: ignore[arg-type]  # polars types it as any value
    known = pl.int_range(count, eager=True).cast(codes.dtype).cat.to(kinds.dtype).cast(pl.String)
    return Distinct(known.extend_constant(None, 1), codes.fill_null(count))


def _vary(texts: pl.Series) -> bool:
    # by chance, as even steps fall in step with what repeats; always by the same, though nothing but speed hangs on it
    sample = texts.sample(_SAMPLE_ROWS, with_replacement=True, seed=1)
    return sample.n_unique() > _MANY * _SAMPLE_ROWS
