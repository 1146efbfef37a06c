"""Times and dates out of text.

A time is read in these spellings: `2020-04-28 14:08:45`, the same with `T`, a fraction, `Z` or an offset; a date alone
is its midnight, without zone arithmetic. Anything else, epochs and day-month orders among it, needs `format`. A naive
time is of its source's zone; the result is UTC.

A local time the clock skipped (spring) moves forward by the gap; one that came twice (autumn) is the earlier. Both are
counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl

_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)?$"
)
_PLAIN_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$"
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_ZERO = r"^0000-00-00"
_IMPOSSIBLE = r"^.{11}(24|..:..:60)"
_OFFSET = r"([+-])([0-9]{2}):?([0-9]{2})?$"
_TEXT = pl.lit(None, dtype=pl.String)
EPOCHS = {"epoch_s": 1_000_000, "epoch_ms": 1_000}
FLAGS = ("zone_assumed", "fraction_dropped", "dst_gap", "dst_fold")


def read_datetimes(texts: pl.Series, zones: pl.Series, spelling: str | None = None) -> pl.DataFrame:
    """Naive UTC times out of text.

    **Shape.** One row per text: `value` Datetime("us"), `rule` (null or a rule's name), and the Boolean columns of
    `FLAGS`.
    `zones` names the zone of each row's naive times.
    """
    frame = pl.DataFrame({"text": texts, "zone": zones})
    frame = _parse_known(frame) if spelling is None else _parse_as(frame, spelling)
    frame = _to_utc(frame)
    if _is_plain(frame):
        return frame.select(pl.col("utc").alias("value"), _TEXT.alias("rule"), *FLAGS)
    year = pl.col("utc").dt.year()
    zero = pl.col("text").str.contains(_ZERO)
    rule = (
        pl.when(pl.col("text").is_null()).then(_TEXT).when(zero).then(pl.lit("zero_date"))
        .when(pl.col("utc").is_null()).then(pl.lit("not_a_datetime"))
        .when((year < 1) | (year > 9999)).then(pl.lit("out_of_calendar")).otherwise(_TEXT)
    )  # fmt: skip  # one case a line
    frame = frame.with_columns(rule.alias("rule"))
    fits = pl.col("rule").is_null()
    return frame.select(
        pl.when(fits).then(pl.col("utc")).alias("value"),
        "rule",
        *((pl.col(f) & fits).fill_null(False).alias(f) for f in FLAGS),
    )


def _is_plain(frame: pl.DataFrame) -> bool:
    """Whether every text is a time of the calendar: nearly always, and then there is nothing more to look for."""
    if frame["utc"].null_count() != frame["text"].null_count():
        return False
    years = frame["utc"].dt.year()
    return not ((years < 1) | (years > 9999)).any()


def read_dates(texts: pl.Series, spelling: str | None = None) -> pl.DataFrame:
    """Calendar days out of text: the day as written, never moved by a zone.

    **Shape.** One row per text: `value` Date, `rule`, `time_dropped`.
    """
    zones = pl.Series(["UTC"], dtype=pl.String).new_from_index(0, len(texts))
    frame = pl.DataFrame({"text": texts, "zone": zones})
    frame = _parse_known(frame) if spelling is None else _parse_as(frame, spelling)
    year = pl.col("local").dt.year()
    rule = (
        pl.when(pl.col("text").is_null()).then(_TEXT).when(pl.col("text").str.contains(_ZERO)).then(pl.lit("zero_date"))
        .when(pl.col("local").is_null()).then(pl.lit("not_a_date"))
        .when((year < 1) | (year > 9999)).then(pl.lit("out_of_calendar")).otherwise(_TEXT)
    )  # fmt: skip  # one case a line
    frame = frame.with_columns(rule.alias("rule"), pl.col("local").dt.date().alias("day"))
    fits = pl.col("rule").is_null()
    dropped = fits & (pl.col("local") != pl.col("day").cast(pl.Datetime("us")))
    return frame.select(
        pl.when(fits).then(pl.col("day")).alias("value"), "rule", dropped.fill_null(False).alias("time_dropped")
    )


def source_zones(sources: pl.Series, timezones: Mapping[str, str]) -> pl.Series:
    """The zone of each source: its own, else that of `*`, else UTC."""
    default = timezones.get("*", "UTC")
    named = {name: zone for name, zone in timezones.items() if name != "*"}
    if not named:
        return pl.Series("zone", [default], dtype=pl.String).new_from_index(0, len(sources))
    return sources.replace_strict(list(named), list(named.values()), default=default, return_dtype=pl.String).fill_null(
        default
    )


def is_zone(name: str) -> bool:
    """Whether a name is a time zone."""
    try:
        ZoneInfo(name)
        pl.Series([datetime(2020, 1, 1)]).dt.replace_time_zone(name)
    except Exception:  # noqa: BLE001  ZoneInfo raises by what it finds on disk: ValueError, OSError and its own
        return False
    return True


def _parse_known(frame: pl.DataFrame) -> pl.DataFrame:
    text = pl.col("text")
    fast = _parse_one_way(frame)
    if fast is not None:
        return fast
    timed, day = text.str.contains(_TIME) & ~text.str.contains(_IMPOSSIBLE), text.str.contains(_DAY)
    stamp = pl.when(timed).then(text.str.slice(0, 10) + " " + text.str.slice(11, 8)).when(day).then(text + " 00:00:00")
    tail = pl.when(timed).then(text.str.slice(19))
    offset = tail.str.contains(_OFFSET)
    hours = tail.str.extract(_OFFSET, 2).cast(pl.Int64) * 60 + tail.str.extract(_OFFSET, 3).cast(pl.Int64).fill_null(0)
    minutes = pl.when(tail.str.extract(_OFFSET, 1) == "-").then(-hours).otherwise(hours)
    return frame.with_columns(
        stamp.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us").alias("local"),
        pl.when(offset).then(minutes).when(tail.str.ends_with("Z") | day).then(0).alias("offset"),
        tail.str.contains(r"^\.[0-9]*[1-9]").fill_null(False).alias("fraction_dropped"),
    )


def _parse_one_way(frame: pl.DataFrame) -> pl.DataFrame | None:
    """The parsed frame where all texts are plain naive times, or all are days; None for anything else."""
    text, missing = pl.col("text"), frame["text"].null_count()
    looks = frame.select(
        (~text.str.contains(_PLAIN_TIME)).any().alias("t"), (~text.str.contains(_DAY)).any().alias("d")
    )
    other, dated = looks.row(0) if missing < frame.height else (True, True)
    if other and dated:
        return None
    pattern = "%Y-%m-%d" if other else "%Y-%m-%d %H:%M:%S"
    return frame.with_columns(
        text.str.to_datetime(pattern, strict=False, time_unit="us").alias("local"),
        pl.lit(0 if other else None, dtype=pl.Int64).alias("offset"),
        pl.lit(False).alias("fraction_dropped"),
    )


def _parse_as(frame: pl.DataFrame, spelling: str) -> pl.DataFrame:
    text = pl.col("text")
    if spelling in EPOCHS:
        count = pl.when(text.str.contains(r"^-?[0-9]{1,14}$")).then(text).cast(pl.Int64, strict=False)
        moment = (count * EPOCHS[spelling]).cast(pl.Datetime("us"))
        return frame.with_columns(
            moment.dt.truncate("1s").alias("local"),
            pl.lit(0, dtype=pl.Int64).alias("offset"),
            (moment != moment.dt.truncate("1s")).alias("fraction_dropped"),
        )
    zoned = "%z" in spelling or "%:z" in spelling
    dated_only = not any(part in spelling for part in ("%H", "%I", "%T", "%R", "%s", "%X", "%c"))
    if dated_only:
        local = text.str.to_date(spelling, strict=False).cast(pl.Datetime("us"))
    elif zoned:
        local = text.str.to_datetime(spelling, strict=False, time_unit="us", time_zone="UTC").dt.replace_time_zone(None)
    else:
        local = text.str.to_datetime(spelling, strict=False, time_unit="us")
    whole = local.dt.truncate("1s")
    return frame.with_columns(
        whole.alias("local"),
        pl.lit(0 if zoned or dated_only else None, dtype=pl.Int64).alias("offset"),
        (local != whole).alias("fraction_dropped"),
    )


def _to_utc(frame: pl.DataFrame) -> pl.DataFrame:
    naive = pl.col("local").is_not_null() & pl.col("offset").is_null()
    shifted = pl.col("local") - pl.duration(minutes=pl.col("offset"))
    no = pl.lit(False)
    frame = frame.with_columns(
        naive.alias("zone_assumed"), shifted.alias("utc"), no.alias("dst_gap"), no.alias("dst_fold")
    )
    for zone in frame.filter("zone_assumed").get_column("zone").unique().sort().to_list():
        frame = _localise(frame, zone)
    return frame


def _localise(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    here, local = pl.col("zone_assumed") & (pl.col("zone") == zone), pl.col("local")
    if zone == "UTC":
        if frame["zone_assumed"].all() and (frame["zone"] == "UTC").all():
            return frame.with_columns(local.alias("utc"))
        return frame.with_columns(pl.when(here).then(local).otherwise(pl.col("utc")).alias("utc"))
    earlier = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    later = local.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
    frame = frame.with_columns(
        earlier.dt.convert_time_zone("UTC").dt.replace_time_zone(None).alias("earlier"),
        (earlier != later).fill_null(False).alias("twice"),
    )
    gap = here & pl.col("earlier").is_null()
    frame = frame.with_columns(
        pl.when(here).then(pl.col("earlier")).otherwise(pl.col("utc")).alias("utc"),
        (pl.col("dst_gap") | gap).alias("dst_gap"),
        (pl.col("dst_fold") | (here & pl.col("twice"))).alias("dst_fold"),
    )
    return _fill_gaps(frame, gap, zone).drop("earlier", "twice")


def _fill_gaps(frame: pl.DataFrame, gap: pl.Expr, zone: str) -> pl.DataFrame:
    skipped = frame.filter(gap).get_column("local").unique()
    if skipped.is_empty():
        return frame
    moved = [_move_out_of_gap(local, zone) for local in skipped]
    filled = pl.col("local").replace_strict(
        skipped, pl.Series(moved, dtype=pl.Datetime("us")), default=None, return_dtype=pl.Datetime("us")
    )
    return frame.with_columns(pl.when(gap).then(filled).otherwise(pl.col("utc")).alias("utc"))


def _move_out_of_gap(local: datetime, zone: str) -> datetime:
    # fold=0 reads a skipped time with the offset from before the gap, which is the move forward (PEP 495)
    return local.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC).replace(tzinfo=None)
