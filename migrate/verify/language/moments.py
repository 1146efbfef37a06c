"""Times in DuckDB's SQL: the spelling that databases and JSON use, in the years that shops have; others are `times`'.

**Source**: ISO 8601 as docs/mapping.md allows it; zones by tzdata's own table, and no table of DuckDB's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection
from datetime import UTC, datetime

from migrate.language.zones import clock_changes
from migrate.verify.language.steps import Writer, quoted

# The years that `_PLAIN` lets through: for others the search below would have no branch.
_FIRST_YEAR, _LAST_YEAR = 2000, 2039
_HOUR = "([01][0-9]|2[0-3]):[0-5][0-9]"
_CLOCK = f"{_HOUR}:[0-5][0-9]"
_PLAIN = rf"20[0-3][0-9]-[01][0-9]-[0-3][0-9][ T]{_CLOCK}(\.[0-9]{{1,9}})?(Z|[+-]{_HOUR})?"
_DAY = f"[1-9][0-9]{{3}}-[01][0-9]-[0-3][0-9]([ T]{_CLOCK})?"


def plain_moment(writer: Writer, text: str, zone: str, zones: Collection[str]) -> str:
    """The UTC of a time in a plain spelling; NULL for any other text. `zone` is the zone of naive times, one of
    `zones`."""
    plain = writer.keep(f"(CASE WHEN regexp_full_match({text}, {quoted(_PLAIN)}) THEN {text} END)")
    local = writer.keep(
        f"epoch(TRY_CAST(replace(left({plain}, 19), 'T', ' ') AS TIMESTAMP))::BIGINT"
    )
    tail = writer.keep(f"regexp_extract({plain}, '(Z|[+-][0-9:]{{5}})?$')")
    given = (
        f"(CASE left({tail}, 1) WHEN '-' THEN -60 ELSE 60 END)"
        f" * (substr({tail}, 2, 2)::BIGINT * 60 + substr({tail}, 5, 2)::BIGINT)"
    )
    ahead = (
        f"(CASE {tail} WHEN '' THEN {_ahead(local, zone, zones)} WHEN 'Z' THEN 0 ELSE {given} END)"
    )
    return f"CAST(make_timestamp(({local} - {ahead}) * 1000000) AS VARCHAR)"


def plain_day(writer: Writer, text: str) -> str:
    """The day of a time in a plain spelling, as a time; NULL for any other text."""
    plain = f"(CASE WHEN regexp_full_match({text}, {quoted(_DAY)}) THEN left({text}, 10) END)"
    day = writer.keep(plain)
    return f"(CASE WHEN TRY_CAST({day} AS DATE) IS NOT NULL THEN {day} || ' 00:00:00' END)"


def _ahead(local: str, zone: str, zones: Collection[str]) -> str:
    """What a zone's clock was ahead of UTC at a local time, in seconds."""
    trees = {name: _tree(local, name) for name in sorted(zones)}
    if len(set(trees.values())) == 1:
        return next(iter(trees.values()))
    return (
        f"(CASE {zone} "
        + " ".join(f"WHEN {quoted(n)} THEN {t}" for n, t in trees.items())
        + " END)"
    )


def _tree(local: str, zone: str) -> str:
    """A search through the changes of a zone's clock.

    A time that came twice is the earlier one, and a skipped one moves forward by the gap (PEP 495): a change counts
    from the later of both clocks on.
    """
    first, changes = clock_changes(zone)
    begins = [change.at + max(change.before, change.after) for change in changes]
    low = bisect_right(begins, datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())
    high = bisect_left(begins, datetime(_LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp())
    before = changes[low - 1].after if low else first

    def branch(start: int, end: int) -> str:
        if start == end:
            return str(changes[start - 1].after if start > low else before)
        # By halves: the eighty changes of a clock in these years then cost seven comparisons a value.
        middle = (start + end) // 2
        sooner = branch(start, middle)
        later = branch(middle + 1, end)
        return f"(CASE WHEN {local} < {begins[middle]} THEN {sooner} ELSE {later} END)"

    return branch(low, high)
