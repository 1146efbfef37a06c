"""Moments of the made-up shops, always within their opening hours."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

_FIRST_DAY = datetime(2023, 1, 1)
_DAYS = 730
# Whatever zone of Europe a source is said to be in, nothing crosses midnight: a sale stays in its month.
_OPENS_H, _CLOSES_H = 8, 21


def draw_moments(random: Random, count: int) -> list[datetime]:
    """Moments of 2023 and 2024, ascending."""
    return sorted(draw_moment(random) for _ in range(count))


def draw_moment(random: Random) -> datetime:
    """A moment of 2023 or 2024."""
    return _FIRST_DAY + timedelta(
        days=random.randrange(_DAYS),
        seconds=random.randrange(_OPENS_H * 3600, _CLOSES_H * 3600),
    )


def spell(moment: datetime) -> str:
    """The moment as the service's documents spell it: `YYYY-MM-DD HH:MM:SS`, without a zone."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def spell_iso(moment: datetime) -> str:
    """The moment as importer feeds spell it: `YYYY-MM-DDTHH:MM:SSZ`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
