"""Counts and lengths of time as people say them."""

from __future__ import annotations

from migrate.sentence import Sentence


def say_count(count: int, noun: str) -> str:
    """A number of things: 1 record, 2 records."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def format_duration(seconds: float) -> str:
    """A length of time, in any language of a page: 0.4 s, 12 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 10:
        whole, _, tenth = f"{seconds:.1f}".partition(".")
        return Sentence("{whole}.{tenth} s", whole=whole, tenth=tenth)
    if seconds < 60:
        return Sentence("{seconds} s", seconds=round(seconds))
    # Rounded before it is divided: 119.6 s is 2 min 00 s and not 1 min 60 s.
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return Sentence("{minutes} min {seconds} s", minutes=minutes, seconds=f"{rest_s:02d}")
    return Sentence("{hours} h {minutes} min", hours=minutes // 60, minutes=f"{minutes % 60:02d}")
