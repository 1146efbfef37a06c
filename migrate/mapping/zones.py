"""Local times to UTC, by the clock changes of their zones.

A local time the clock skipped (spring) moves forward by the gap; one that came twice (autumn) is the earlier.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl


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
    # the hours around a clock change are few: asked for by themselves, the rest takes one reading of the zone
    once = _from_zone(local.dt.replace_time_zone(zone, ambiguous="null", non_existent="null"))
    frame = frame.with_columns(pl.when(here).then(once).otherwise(pl.col("utc")).alias("utc"))
    odd = frame.select(here & pl.col("utc").is_null()).to_series().arg_true()
    if odd.is_empty():
        return frame
    settled = _settle(frame["local"].gather(odd), zone)
    return frame.with_columns(frame[name].scatter(odd, settled[name]) for name in settled.columns)


def _from_zone(times: pl.Expr) -> pl.Expr:
    return times.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _settle(local: pl.Series, zone: str) -> pl.DataFrame:
    """`utc`, `dst_gap` and `dst_fold` of local times that the clock showed twice or never."""
    earlier = _from_zone(
        pl.col("local").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    )
    frame = local.rename("local").to_frame().with_columns(earlier.alias("utc"))
    gap = pl.col("utc").is_null()
    frame = frame.with_columns(gap.alias("dst_gap"), (~gap).alias("dst_fold"))
    skipped = frame.filter("dst_gap").get_column("local").unique()
    moved = pl.Series([_move_out_of_gap(time, zone) for time in skipped], dtype=pl.Datetime("us"))
    filled = pl.col("local").replace_strict(
        skipped, moved, default=None, return_dtype=pl.Datetime("us")
    )
    return frame.select(pl.coalesce("utc", filled), "dst_gap", "dst_fold")


def _move_out_of_gap(local: datetime, zone: str) -> datetime:
    # fold=0 reads a skipped time with the offset from before the gap, which is the move forward (PEP 495)
    return local.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC).replace(tzinfo=None)
