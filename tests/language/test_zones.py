"""One table of time zones: what the planner reads off its list is what the zone itself says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from migrate.language.zones import clock_changes, is_zone, load_zone
from migrate.mapping.dates import to_utc

ZONES = [
    "Europe/Amsterdam", "Europe/Brussels", "Europe/Berlin", "Europe/Paris", "Europe/Dublin", "Europe/London",
    "Europe/Lisbon", "Europe/Istanbul", "America/New_York", "America/Caracas", "Africa/Casablanca", "Asia/Kolkata",
    "Australia/Lord_Howe", "Pacific/Apia", "Asia/Tehran", "Etc/GMT+5", "UTC", "America/Paramaribo",
]  # fmt: skip


def _planned(local: list[datetime], zone: str) -> pl.DataFrame:
    frame = pl.DataFrame({"local": pl.Series(local, dtype=pl.Datetime("us"))})
    nothing = pl.lit(None, pl.Int64).alias("offset")
    return to_utc(frame.with_columns(nothing, pl.lit(zone).alias("zone")))


def _times(zone: str) -> list[datetime]:
    """Ordinary and odd times, and those around each change of the clock."""
    _, changes = clock_changes(zone)
    epoch = datetime(1970, 1, 1)
    found = [
        datetime(1900, 1, 1),
        datetime(1850, 6, 1),
        datetime(1940, 5, 16, 0, 30),
        datetime(2100, 7, 1),
    ]
    found += [datetime(2101, 7, 1, 12), datetime(9000, 1, 1), epoch - timedelta(seconds=1)]
    for change in changes[-200:]:
        for shift in (change.before, change.after):
            found += [
                epoch + timedelta(seconds=change.at + shift + off) for off in (-1, 0, 1, 1800)
            ]
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_the_list_says_what_the_zone_says(zone: str) -> None:
    """Every second around every change, 1900, and times beyond the list: as the zone's own rule has it, fold=0."""
    times = _times(zone)
    found = _planned(times, zone)
    own = load_zone(zone)
    right = [time.replace(tzinfo=own).astimezone(UTC).replace(tzinfo=None) for time in times]
    assert found["utc"].to_list() == right
    for time, gap, fold in found.select("local", "dst_gap", "dst_fold").iter_rows():
        if time.year > 2100:
            continue
        earlier, later = (time.replace(tzinfo=own, fold=fold).utcoffset() for fold in (0, 1))
        assert earlier is not None and later is not None
        assert (gap, fold) == (earlier < later, earlier > later), (zone, time)


def test_known_moments() -> None:
    """The hour that 2024 skipped moves on, and of the one it showed twice the first is taken."""
    local = [datetime(2024, 3, 31, 2, 30), datetime(2024, 10, 27, 2, 30), datetime(2020, 1, 1)]
    found = _planned(local, "Europe/Amsterdam")
    assert found["utc"].to_list() == [
        datetime(2024, 3, 31, 1, 30), datetime(2024, 10, 27, 0, 30), datetime(2019, 12, 31, 23),
    ]  # fmt: skip
    assert found["dst_gap"].to_list() == [True, False, False]
    assert found["dst_fold"].to_list() == [False, True, False]


@pytest.mark.parametrize(
    "name", ["", "Mars/Phobos", "../etc/passwd", "Europe", "europe/amsterdam", "a b", "tzdata.zi"]
)
def test_what_is_no_zone(name: str) -> None:
    """A name that the table does not have is none, whatever lies on the disk."""
    assert not is_zone(name)
