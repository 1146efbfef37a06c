"""Local times to UTC, by the clock changes of their zones.

A local time the clock skipped (spring) moves forward by the gap; one that came twice (autumn) is the earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import polars as pl

from migrate.language.zones import LAST_YEAR, clock_changes, load_zone


def to_utc(frame: pl.DataFrame) -> pl.DataFrame:
    """The times in UTC, and what had to be assumed.

    **Shape.** `frame` has `local`, `offset` in minutes (null where the text names none), `zone`; added are `utc` and
    the Booleans `zone_assumed`, `dst_gap` and `dst_fold`.
    """
    naive = pl.col("local").is_not_null() & pl.col("offset").is_null()
    has_offsets = frame["offset"].null_count() < frame.height
    shifted = (
        pl.col("local") - pl.duration(minutes=pl.col("offset")) if has_offsets else pl.col("local")
    )
    no = pl.lit(False)
    frame = frame.with_columns(
        naive.alias("zone_assumed"), shifted.alias("utc"), no.alias("dst_gap"), no.alias("dst_fold")
    )
    assumed = frame.select(pl.col("zone").filter("zone_assumed").unique().sort()).to_series()
    for zone in assumed:
        frame = _localise(frame, zone)
    return frame


def _localise(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    here, local = pl.col("zone_assumed") & (pl.col("zone") == zone), pl.col("local")
    if zone == "UTC":
        if frame["zone_assumed"].all() and (frame["zone"] == "UTC").all():
            return frame.with_columns(local.alias("utc"))
        return frame.with_columns(pl.when(here).then(local).otherwise(pl.col("utc")).alias("utc"))
    settled = _settle(frame.filter(here)["local"], zone)
    places = frame.select(here).to_series().arg_true()
    if len(places) == frame.height:
        return frame.with_columns(settled)
    return frame.with_columns(
        frame[name].scatter(places, settled[name]) for name in settled.columns
    )


@dataclass(frozen=True)
class _Clock:
    """A zone's clock by local time: from which second on which shift holds, and which seconds were odd.

    A change takes hold of the local times behind the later of its two readings: what the clock skipped moves
    forward by the gap, and of what it showed twice the earlier counts (PEP 495, `fold=0`). `gap_from` and
    `fold_from` are where the odd times before each change begin.
    """

    holds_from: pl.Series
    shifts: pl.Series
    gap_from: pl.Series
    fold_from: pl.Series


@lru_cache(maxsize=64)
def _clock(zone: str) -> _Clock:
    first, changes = clock_changes(zone)
    never = 2**62
    return _Clock(
        pl.Series(
            [change.at + max(change.before, change.after) for change in changes], dtype=pl.Int64
        ),
        pl.Series([first, *(change.after for change in changes)], dtype=pl.Int64),
        pl.Series(
            [*(c.at + c.before if c.after > c.before else never for c in changes), never],
            dtype=pl.Int64,
        ),
        pl.Series(
            [*(c.at + c.after if c.after < c.before else never for c in changes), never],
            dtype=pl.Int64,
        ),
    )


def _settle(local: pl.Series, zone: str) -> pl.DataFrame:
    """`utc`, `dst_gap` and `dst_fold` of the local times of a zone."""
    clock = _clock(zone)
    seconds = local.dt.timestamp("us") // 1_000_000
    place = clock.holds_from.search_sorted(seconds, side="right")
    shift = pl.Series(clock.shifts.gather(place)) * 1_000_000
    utc = (local.cast(pl.Int64) - shift).cast(pl.Datetime("us"))
    late = (local.dt.year() > LAST_YEAR).fill_null(value=False)
    if late.any():
        shifts = pl.Series([_shift_by_rule(time, zone) for time in local.filter(late)])
        moved = (local.filter(late).cast(pl.Int64) - shifts).cast(pl.Datetime("us"))
        utc = utc.scatter(late.arg_true(), moved)
    return pl.DataFrame(
        {
            "utc": utc,
            "dst_gap": (seconds >= clock.gap_from.gather(place)) & ~late,
            "dst_fold": (seconds >= clock.fold_from.gather(place)) & ~late,
        }
    )


def _shift_by_rule(local: datetime, zone: str) -> int:
    """What a zone is ahead of UTC at a local time, in microseconds."""
    shift = local.replace(tzinfo=load_zone(zone), fold=0).utcoffset() or timedelta()
    return shift // timedelta(microseconds=1)
