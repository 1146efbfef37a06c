"""Times of the source for its totals, in every spelling that the tool knows, whatever the mappings say.

Whether `03/04/2024` is in March or in April follows from the other times of its source (`25/03/2024`), or from the
spelling that the project states. What neither tells is unreadable, never guessed.
"""

from __future__ import annotations

import polars as pl

from migrate.mapping.dates import read_dates, read_datetimes
from migrate.mapping.recency import EPOCHS, KNOWN_FORMATS, read_spelt
from migrate.mapping.spellings import ZERO

_US = pl.Datetime("us")


def _may_be_exchanged(spelling: str) -> bool:
    # with points the day comes first everywhere; a month by its name is none of the two
    in_figures = {"%d", "%m"} <= {spelling[at : at + 2] for at in range(len(spelling))}
    return in_figures and "." not in spelling and not spelling.startswith(("%Y", "%m"))


DAY_FIRST = tuple(spelling for spelling in KNOWN_FORMATS if _may_be_exchanged(spelling))
MONTH_FIRST = tuple(
    spelling.replace("%d", "%?").replace("%m", "%d").replace("%?", "%m") for spelling in DAY_FIRST
)
_CERTAIN = (*EPOCHS, *(s for s in KNOWN_FORMATS if s not in {*DAY_FIRST, *MONTH_FIRST}))


def read_certain(
    texts: pl.Series, zones: pl.Series, spelling: str | None, *, as_days: bool
) -> pl.Series:
    """The times that stand for themselves, and those in the stated `spelling`; null for all others.

    **Shape**: `texts` without spaces around them; UTC, or with `as_days` the day as written.
    """
    moments = _read(texts, zones, None, as_days=as_days)
    left = moments.is_null() & texts.is_not_null()
    if not left.any():
        return moments
    if spelling is not None:
        stated = _read(texts, zones, spelling, as_days=as_days)
        moments = moments.zip_with(~left, stated)
    return read_spelt(moments, texts, _zones(zones, as_days=as_days), _CERTAIN)


def _read(texts: pl.Series, zones: pl.Series, spelling: str | None, *, as_days: bool) -> pl.Series:
    if as_days:
        return read_dates(texts, spelling).get_column("value").cast(_US)
    return read_datetimes(texts, zones, spelling).get_column("value")


def _zones(zones: pl.Series, *, as_days: bool) -> pl.Series:
    if as_days:
        return pl.Series(["UTC"]).new_from_index(0, len(zones))
    return zones


def read_uncertain(
    texts: pl.Series, sources: pl.Series, zones: pl.Series, *, as_days: bool
) -> pl.Series:
    """Times of which day and month could be exchanged, those of one source and sign alike; null where nothing tells."""
    own = _zones(zones, as_days=as_days)
    nothing = pl.Series("time", [None], dtype=_US).new_from_index(0, len(texts))
    frame = pl.DataFrame(
        {
            "source": sources.fill_null(""),
            # a shop that writes 03/25/2024 may have 5-3-2024 from elsewhere
            "has_slash": texts.str.contains("/", literal=True),
            "day_first": read_spelt(nothing, texts, own, DAY_FIRST),
            "month_first": read_spelt(nothing, texts, own, MONTH_FIRST),
        }
    )
    alike = ["source", "has_slash"]
    day = pl.col("day_first")
    month = pl.col("month_first")
    says_day = (day.is_not_null() & month.is_null()).any().over(alike)
    says_month = (day.is_null() & month.is_not_null()).any().over(alike)
    either = day.is_not_null() & month.is_not_null() & (day != month)
    return frame.select(
        pl.when(~either).then(pl.coalesce(day, month))
        .when(says_day & ~says_month).then(day)
        .when(says_month & ~says_day).then(month)
        .alias("time")
    ).to_series()  # fmt: skip


def is_said(texts: pl.Series) -> pl.Series:
    """Where a text says a time at all: not where there is none, or a database's zero date."""
    zero = texts.str.contains(ZERO).fill_null(value=False)
    return texts.is_not_null() & (texts != "").fill_null(value=False) & ~zero
