"""Time zones by one table for all of the program: that of the package tzdata, whatever the machine has.

A machine's own table may be older, or cut before 1970, and so may be a database's or polars' own.

**Source.** RFC 9636 (TZif), PEP 495 for times that a clock skipped or showed twice.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from io import BytesIO
from zoneinfo import ZoneInfo

LAST_YEAR = 2100
"""Clock changes are listed up to here; of later times the zone's rule is asked."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")
_HEADER = struct.Struct(">4s1s15x6l")
_MONTH = timedelta(days=30)


@lru_cache(maxsize=256)
def load_zone(name: str) -> ZoneInfo:
    """The zone of a name. Raises ValueError where there is none."""
    # Not by its name, which takes the machine's own table first.
    return ZoneInfo.from_file(BytesIO(_read(name)), key=name)


def is_zone(name: str) -> bool:
    """Whether a name is a time zone's."""
    try:
        load_zone(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class ClockChange:
    """A change of a zone's clock, in seconds since 1970 of UTC, and what it was ahead of that before and after."""

    at: int
    before: int
    after: int


# The changes of a zone are searched for once, and then asked for each query.
@lru_cache(maxsize=64)
def clock_changes(name: str) -> tuple[int, tuple[ClockChange, ...]]:
    """What a zone's clock was ahead of UTC at first, and its changes up to the end of `LAST_YEAR`."""
    first, listed = _listed_changes(_read(name))
    last = listed[-1].at if listed else 0
    return first, (*listed, *_changes_by_rule(load_zone(name), last))


def _read(name: str) -> bytes:
    # The name becomes a path: `..` would lead out of the table.
    if not _NAME.fullmatch(name):
        raise ValueError(name)
    file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    try:
        data = file.read_bytes()
    except OSError:
        raise ValueError(name) from None
    if data[:4] != b"TZif":
        raise ValueError(name)
    return data


def _listed_changes(data: bytes) -> tuple[int, list[ClockChange]]:
    """The changes that a file lists; the second of its two blocks has them in 64 bits."""
    # The first block has 32 bits only, which end in 1901 and 2038.
    start = _HEADER.size + _block_size(data, 0, 4)
    _, _, _, _, _, times, kinds, _ = _HEADER.unpack_from(data, start)
    at = start + _HEADER.size
    moments = struct.unpack_from(f">{times}q", data, at)
    places = struct.unpack_from(f">{times}B", data, at + 8 * times)
    offsets = [
        struct.unpack_from(">lBB", data, at + 9 * times + 6 * kind)[0] for kind in range(kinds)
    ]
    changes = []
    before = offsets[0]
    for moment, place in zip(moments, places, strict=True):
        changes.append(ClockChange(moment, before, offsets[place]))
        before = offsets[place]
    return offsets[0], [change for change in changes if change.before != change.after]


def _block_size(data: bytes, at: int, width: int) -> int:
    _, _, utc, std, leaps, times, kinds, letters = _HEADER.unpack_from(data, at)
    size: int = times * width + times + kinds * 6 + letters + leaps * (width + 4) + std + utc
    return size


def _changes_by_rule(zone: ZoneInfo, last: int) -> list[ClockChange]:
    """The changes after the last that is listed, by the rule at the end of the file: at most one a month."""
    changes = []
    moment = _EPOCH + timedelta(seconds=last + 1)
    end = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
    while moment < end:
        later = min(moment + _MONTH, end)
        if _offset(zone, moment) != _offset(zone, later):
            changes.append(_find_change(zone, moment, later))
        moment = later
    return changes


def _find_change(zone: ZoneInfo, low: datetime, high: datetime) -> ClockChange:
    before = _offset(zone, low)
    after = _offset(zone, high)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return ClockChange(int((high - _EPOCH).total_seconds()), before, after)


def _offset(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset() or timedelta()
    return int(offset.total_seconds())
