"""Which of two times is the later: what doubles of a record go by never contradicts what records of one key go by."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from migrate.mapping.recency import rank_times
from migrate.moments import is_later
from migrate.verify.times import parse_ranked, to_utc

from .chance import Chance
from .formats import some_format, spell
from .records import TIMES

TEXTS = 400
# a local time that the clock skipped moves forward by the gap, behind the times that follow it
GAP = timedelta(hours=1)
FURTHEST = timedelta(hours=14)


def _texts() -> list[str]:
    """Times as shops send them: the nasty ones, and spellings by chance."""
    chance = Chance(11)
    made = [text for text in TIMES if isinstance(text, str) and text != "\ud83d"]
    return [*made, *(spell(chance, some_format(chance)) for _ in range(TEXTS))]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Amsterdam", "America/St_Johns"])
def test_doubles_and_ranking_agree_on_what_is_later(zone: str) -> None:
    """Wherever every reading says that one of two times is the later, the ranking does not put it before the other."""
    texts = [text for text in _texts() if text.isascii() and text.isprintable()]
    ranked = rank_times(pl.Series(texts), pl.Series([zone] * len(texts))).to_list()
    known = [(text, at) for text, at in zip(texts, ranked, strict=True) if at is not None]
    compared = 0
    for first, at in known:
        for second, other in known[::7]:
            if is_later(first, second):
                compared += 1
                # a day is its midnight in UTC, a time is its zone's: which of them is first a zone's width away?
                is_day = ":" not in first or ":" not in second
                tolerated = timedelta(0) if zone == "UTC" else FURTHEST if is_day else GAP
                assert at >= other - tolerated, (first, at, second, other)
    assert compared > 1_000


def test_planner_and_verifier_rank_every_time_alike() -> None:
    """The planner's column-wide ranking and the verifier's reading of one text give the same time, or both none."""
    texts, zone = _texts(), "Europe/Amsterdam"
    ranked = rank_times(pl.Series(texts), pl.Series([zone] * len(texts))).to_list()
    for text, at in zip(texts, ranked, strict=True):
        assert _verified(text, zone) == at, text


def _verified(text: str, zone: str) -> datetime | None:
    try:
        return to_utc(parse_ranked(text), zone)
    except (ValueError, OverflowError):
        return None
