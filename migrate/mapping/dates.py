"""Times and dates out of text.

A time is read in the spellings that cannot be mistaken: `2020-04-28 14:08:45`, the same with `T`, a
fraction, `Z` or an offset, as RFC 3339 has it; RFC 2822; PHP's date objects. A date alone is its midnight,
without zone arithmetic. Anything else, epochs and day-month orders among it, needs `format`. A naive time
is of its source's zone; the result is UTC.

A local time the clock skipped (spring) moves forward by the gap; one that came twice (autumn) is the earlier. Both are
counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import polars as pl

from migrate.language.zones import LAST_YEAR, clock_changes, load_zone
from migrate.mapping.formats import EPOCHS, NAMED, read_format
from migrate.mapping.series import all_between, keep_where, no_rules
from migrate.mapping.spellings import SUSPECT, ZERO, read_spelling

_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)?$"
)
# the least and the most that stands at each place; what is between and no time, as 24:00:00, is none to polars either
_PLAIN_TIME = ("0000-00-00 00:00:00", "9999-99-99 29:59:59")
_PLAIN_DAY = ("0000-00-00", "9999-99-99")
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_DAY_LETTERS = 10
_OFFSET = r"([+-])([0-9]{2}):?([0-9]{2})?$"
_TEXT = pl.lit(None, dtype=pl.String)
_EPOCH = datetime(1970, 1, 1)
# what PHP's strtotime gives for 0000-00-00, in whatever zone: an epoch, but no time
_ZERO_EPOCH_S = range(-62_170_070_400, -62_169_897_600)
_FIRST_US, _LAST_US = (
    (end - _EPOCH) // timedelta(microseconds=1) for end in (datetime.min, datetime.max)
)
FLAGS = ("zone_assumed", "fraction_dropped", "dst_gap", "dst_fold")


def read_datetimes(
    texts: pl.Series, zones: pl.Series, spelling: str | None = None, pivot: int | None = None
) -> pl.DataFrame:
    """Naive UTC times out of text.

    **Shape.** One row per text: `value` Datetime("us"), `rule` (null or a rule's name), and the Boolean columns of
    `FLAGS`.
    `zones` names the zone of each row's naive times, `spelling` their format, `pivot` the century of its %y.
    """
    frame = pl.DataFrame({"text": texts, "zone": zones})
    frame = to_utc(_parse(frame, spelling, pivot))
    unread = _unread(frame["text"], frame["utc"])
    if not unread.any():
        return frame.select(pl.col("utc").alias("value"), _TEXT.alias("rule"), *FLAGS)
    fits = ~unread
    flags = [(pl.col(flag) & fits).fill_null(False).alias(flag) for flag in FLAGS]
    return frame.select(
        keep_where(frame["utc"], fits).alias("value"),
        _rules(frame["text"], frame["utc"], unread, "not_a_datetime", spelling).alias("rule"),
        *flags,
    )


def _unread(texts: pl.Series, times: pl.Series) -> pl.Series:
    """Which texts say no time of the calendar: nearly always none, and then no rule is asked for."""
    # As whole numbers, since polars has years that Python and the target do not.
    is_in_calendar = times.to_physical().is_between(_FIRST_US, _LAST_US).fill_null(value=False)
    return texts.is_not_null() & ~is_in_calendar


def _rules(
    texts: pl.Series, times: pl.Series, unread: pl.Series, what: str, spelling: str | None
) -> pl.Series:
    """The rule that each unread text breaks; `what`: that of what is no time at all."""
    frame = pl.DataFrame({"text": texts.filter(unread), "time": times.filter(unread)})
    rule = (
        # Before all else: 0000-00-00 means that there is no day, and is no mistake of somebody's.
        pl.when(_is_zero(spelling))
        .then(pl.lit("zero_date"))
        .when(pl.col("time").is_null())
        .then(pl.lit(what))
        .otherwise(pl.lit("out_of_calendar"))
    )
    return no_rules(len(texts)).scatter(unread.arg_true(), frame.select(rule).to_series())


def read_dates(
    texts: pl.Series, spelling: str | None = None, pivot: int | None = None
) -> pl.DataFrame:
    """Calendar days out of text: the day as written, never moved by a zone.

    **Shape.** One row per text: `value` Date, `rule`, `time_dropped`.
    """
    frame = _parse(texts.rename("text").to_frame(), spelling, pivot)
    local = frame["local"]
    unread = _unread(frame["text"], local)
    rules = no_rules(len(texts))
    if unread.any():
        rules = _rules(frame["text"], local, unread, "not_a_date", spelling)
        local = keep_where(local, ~unread)
    days = local.dt.date()
    has_time = (local != days.cast(pl.Datetime("us"))).fill_null(value=False)
    return pl.DataFrame({"value": days, "rule": rules, "time_dropped": has_time})


def source_zones(
    sources: pl.Series, timezones: Mapping[str, str], aliases: Mapping[str, str] | None = None
) -> pl.Series:
    """The zone of each source: its own, else that of another name of the same source, else that of `*`, else UTC."""
    default = timezones.get("*", "UTC")
    if timezones.keys() <= {"*"}:
        return pl.Series("zone", [default], dtype=pl.String).new_from_index(0, len(sources))
    names = sources.unique().drop_nulls().to_list()
    zones = [zone_of(source, timezones, aliases or {}) for source in names]
    by_name = sources.replace_strict(names, zones, default=default, return_dtype=pl.String)
    return by_name.fill_null(default)


def zone_of(source: str, timezones: Mapping[str, str], aliases: Mapping[str, str]) -> str:
    """The zone of one source's naive times; see `source_zones`."""
    if source in timezones:
        return timezones[source]
    # an alias makes two names one source, so the zone of either is the zone of both
    mine = aliases.get(source, source)
    for name, zone in timezones.items():
        if name != "*" and aliases.get(name, name) == mine:
            return zone
    return timezones.get("*", "UTC")


def _is_zero(spelling: str | None) -> pl.Expr:
    """Whether a text is a database's or PHP's way to write no date at all."""
    text = pl.col("text")
    if spelling not in EPOCHS:
        return text.str.contains(ZERO)
    second = 1_000_000 // EPOCHS[str(spelling)]
    count = text.cast(pl.Int64, strict=False)
    return count.is_between(_ZERO_EPOCH_S.start * second, _ZERO_EPOCH_S.stop * second)


def _parse(frame: pl.DataFrame, spelling: str | None, pivot: int | None) -> pl.DataFrame:
    """The frame with `local`, `offset` in minutes (null for a naive time) and `fraction_dropped`."""
    if spelling is None:
        return _parse_known(frame)
    if spelling in EPOCHS:
        return _parse_epoch(frame, EPOCHS[spelling])
    if spelling in NAMED:
        return frame.hstack(_read_one_by_one(frame["text"], spelling))
    # the few different texts are what comes here, or all of them: an expression for each text either way
    return frame.hstack(read_format(frame["text"], spelling, pivot))


def _parse_known(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame by the spellings that cannot be mistaken."""
    text = pl.col("text")
    uniform = _parse_uniform(frame)
    if uniform is not None:
        return uniform
    frame = frame.with_columns(timed=text.str.contains(_TIME), day=text.str.contains(_DAY))
    timed, day = pl.col("timed"), pl.col("day")
    written = text.str.slice(0, 10) + " " + text.str.slice(11, 8)
    stamp = pl.when(timed).then(written).when(day).then(text + " 00:00:00")
    local = stamp.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us", cache=False)
    behind_seconds = frame.select(pl.when(timed).then(text.str.slice(19)).alias("tail"))
    tails = _read_tails(behind_seconds.to_series())
    # A day is its midnight wherever it was written: no zone moves it.
    offset = pl.when(day).then(0).otherwise(tails["offset"])
    frame = frame.with_columns(
        local.alias("local"), tails["fraction_dropped"], offset.alias("offset")
    )
    return _with_other_spellings(frame)


def _with_other_spellings(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with what no column-wide reading took, read one by one where it may be a time at all."""
    is_other = ~pl.col("timed") & ~pl.col("day") & pl.col("text").str.contains(SUSPECT)
    places = frame.select(is_other.fill_null(value=False)).to_series().arg_true()
    if places.is_empty():
        return frame
    read = _read_one_by_one(frame["text"].gather(places), None)
    return frame.with_columns(frame[name].scatter(places, read[name]) for name in read.columns)


def _read_one_by_one(texts: pl.Series, only: str | None) -> pl.DataFrame:
    """The texts, each different one read once in Python."""
    distinct = texts.unique().drop_nulls()
    nothing = (None, None, False)
    read = [read_spelling(text, only) or nothing for text in distinct]
    locals_, offsets, dropped = zip(*read, strict=True) if read else ((), (), ())
    table = pl.DataFrame(
        {
            "text": distinct,
            "local": pl.Series(locals_, dtype=pl.Datetime("us")),
            "offset": pl.Series(offsets, dtype=pl.Int64),
            "fraction_dropped": pl.Series(dropped, dtype=pl.Boolean),
        }
    )
    rows = texts.rename("text").to_frame()
    joined = rows.join(table, on="text", how="left", maintain_order="left")
    return joined.select("local", "offset", pl.col("fraction_dropped").fill_null(value=False))


def _read_tails(tails: pl.Series) -> pl.DataFrame:
    """What stands behind the seconds: `offset` in minutes, null for none, and whether a fraction gets lost."""
    tail = pl.col("tail")
    hours = tail.str.extract(_OFFSET, 2).cast(pl.Int64)
    minutes = tail.str.extract(_OFFSET, 3).cast(pl.Int64).fill_null(0)
    ahead = hours * 60 + minutes
    signed = pl.when(tail.str.extract(_OFFSET, 1) == "-").then(-ahead).otherwise(ahead)
    offset = pl.when(tail.str.contains(_OFFSET)).then(signed).when(tail.str.ends_with("Z")).then(0)
    loses_fraction = tail.str.contains(r"^\.[0-9]*[1-9]").fill_null(False)
    return (
        tails.rename("tail")
        .to_frame()
        .select(offset.alias("offset"), loses_fraction.alias("fraction_dropped"))
    )


def _parse_uniform(frame: pl.DataFrame) -> pl.DataFrame | None:
    """The parsed frame where all texts are plain naive times, or all are days; None for anything else."""
    text = pl.col("text")
    first = frame.select(text.first(ignore_nulls=True)).item() or ""
    is_day = len(first) == _DAY_LETTERS
    if not all_between(frame["text"], *(_PLAIN_DAY if is_day else _PLAIN_TIME)):
        return None
    pattern = "%Y-%m-%d" if is_day else "%Y-%m-%d %H:%M:%S"
    # Most times differ, so a cache of texts would only cost.
    local = text.str.to_datetime(pattern, strict=False, time_unit="us", cache=False)
    return frame.with_columns(
        local.alias("local"),
        pl.lit(0 if is_day else None, dtype=pl.Int64).alias("offset"),
        pl.lit(False).alias("fraction_dropped"),
    )


def _parse_epoch(frame: pl.DataFrame, microseconds: int) -> pl.DataFrame:
    text = pl.col("text")
    digits = pl.when(text.str.contains(r"^-?[0-9]{1,17}(\.[0-9]{1,9})?$")).then(text)
    count = digits.str.extract(r"^(-?[0-9]+)", 1).cast(pl.Int64, strict=False)
    # Looked at before the multiplication, which would run over in 64 bits.
    is_in_calendar = count.abs() <= _LAST_US // microseconds
    moment = pl.when(is_in_calendar).then(count * microseconds).cast(pl.Datetime("us"))
    second = moment.dt.truncate("1s")
    # Behind a point no more than a fraction of a second can stand, since only seconds are sent with one.
    has_fraction = text.str.contains(r"\.[0-9]*[1-9]").fill_null(value=False)
    loses_fraction = (moment != second) | (has_fraction & moment.is_not_null())
    return frame.with_columns(
        second.alias("local"),
        pl.lit(0, dtype=pl.Int64).alias("offset"),
        loses_fraction.alias("fraction_dropped"),
    )


def to_utc(frame: pl.DataFrame) -> pl.DataFrame:
    """The times in UTC, and what had to be assumed.

    **Shape.** `frame` has `local`, `offset` in minutes (null where the text names none), `zone`; added are `utc` and
    the Booleans `zone_assumed`, `dst_gap` and `dst_fold`.
    """
    local, offset = pl.col("local"), pl.col("offset")
    shifted = local
    if frame["offset"].null_count() < frame.height:
        shifted = local - pl.duration(minutes=offset)
    frame = frame.with_columns(
        (local.is_not_null() & offset.is_null()).alias("zone_assumed"),
        shifted.alias("utc"),
        pl.lit(False).alias("dst_gap"),
        pl.lit(False).alias("dst_fold"),
    )
    # A zone at a time: its clock is looked up once for all its rows.
    assumed = frame.select(pl.col("zone").filter("zone_assumed").unique().sort()).to_series()
    for zone in assumed:
        frame = _localise(frame, zone)
    return frame


def _localise(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """The frame with the naive times of one zone in UTC."""
    is_of_zone = pl.col("zone_assumed") & (pl.col("zone") == zone)
    local = pl.col("local")
    if zone == "UTC":
        if frame["zone_assumed"].all() and (frame["zone"] == "UTC").all():
            return frame.with_columns(local.alias("utc"))
        utc = pl.when(is_of_zone).then(local).otherwise(pl.col("utc"))
        return frame.with_columns(utc.alias("utc"))
    localised = _read_clock(frame.filter(is_of_zone)["local"], zone)
    places = frame.select(is_of_zone).to_series().arg_true()
    if len(places) == frame.height:
        return frame.with_columns(localised)
    return frame.with_columns(
        frame[name].scatter(places, localised[name]) for name in localised.columns
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
    shifts, holds_from = [first], []
    gap_from, fold_from = [], []
    for change in changes:
        goes_forward = change.after > change.before
        goes_back = change.after < change.before
        shifts.append(change.after)
        holds_from.append(change.at + max(change.before, change.after))
        gap_from.append(change.at + change.before if goes_forward else never)
        fold_from.append(change.at + change.after if goes_back else never)
    return _Clock(
        holds_from=pl.Series(holds_from, dtype=pl.Int64),
        shifts=pl.Series(shifts, dtype=pl.Int64),
        # Behind the last change nothing is odd any more.
        gap_from=pl.Series([*gap_from, never], dtype=pl.Int64),
        fold_from=pl.Series([*fold_from, never], dtype=pl.Int64),
    )


def _read_clock(local: pl.Series, zone: str) -> pl.DataFrame:
    """`utc`, `dst_gap` and `dst_fold` of the local times of a zone."""
    clock = _clock(zone)
    seconds = local.dt.timestamp("us") // 1_000_000
    place = clock.holds_from.search_sorted(seconds, side="right")
    shift_us = pl.Series(clock.shifts.gather(place)) * 1_000_000
    utc = (local.cast(pl.Int64) - shift_us).cast(pl.Datetime("us"))
    # The zone's file lists changes up to some year; from then on its rule has to be asked.
    is_late = (local.dt.year() > LAST_YEAR).fill_null(value=False)
    if is_late.any():
        late = local.filter(is_late)
        shifts_us = pl.Series([_shift_by_rule(time, zone) for time in late])
        moved = (late.cast(pl.Int64) - shifts_us).cast(pl.Datetime("us"))
        utc = utc.scatter(is_late.arg_true(), moved)
    return pl.DataFrame(
        {
            "utc": utc,
            "dst_gap": (seconds >= clock.gap_from.gather(place)) & ~is_late,
            "dst_fold": (seconds >= clock.fold_from.gather(place)) & ~is_late,
        }
    )


def _shift_by_rule(local: datetime, zone: str) -> int:
    """What a zone is ahead of UTC at a local time, in microseconds."""
    shift = local.replace(tzinfo=load_zone(zone), fold=0).utcoffset() or timedelta()
    return shift // timedelta(microseconds=1)
