"""Rows that share a key, made one row: the verifier's own ranking, in plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from migrate.verify.made import Row
from migrate.verify.record_order import place_of
from migrate.verify.rules import DatasetRules


def rank_rows(rows: Sequence[Row], rules: DatasetRules) -> list[Row]:
    """The rows of one key, the winner first: those of one file before those of the next, and among them by the rule.

    `latest`: the newest time, one without a time last, the later record among equals. `first`: the first record.
    `source_order`: the source named first, those not named last, then as `latest`.
    """
    return sorted(_by_rule(rows, rules), key=lambda row: row.part)


def _by_rule(rows: Sequence[Row], rules: DatasetRules) -> list[Row]:
    if rules.by == "first":
        return sorted(rows, key=place_of)
    latest = sorted(rows, key=lambda row: (row.recency or "", place_of(row)), reverse=True)
    if rules.by != "source_order":
        return latest
    places = {source: place for place, source in reversed(list(enumerate(rules.source_order)))}
    return sorted(latest, key=lambda row: places.get(row.source or "", len(places)))


def collapse_rows(
    rows: Sequence[Row], rules: DatasetRules, columns: Sequence[str]
) -> tuple[Row, list[Row]]:
    """The row that survives, and those that went into it, best first.

    With `fill_gaps` a column takes the best-ranked value that a record has of its own: a value beats a null and a
    default, the winner's as well as another's; without any the winner's null or default stands. A consent is false
    where a record says so, which no default does, true only where the winner says so, and never filled.
    """
    winner, *losers = rank_rows(rows, rules)
    consents = {place for place, name in enumerate(columns) if rules.columns[name].consent}
    values = [
        _consent(place, winner, losers)
        if place in consents
        else _filled(place, winner, losers, rules.fill_gaps)
        for place in range(len(columns))
    ]
    nulls = frozenset(place for place in winner.weak if values[place] is None)
    return replace(winner, values=tuple(values), weak=nulls), losers


def _own(row: Row, place: int) -> str | None:
    """A row's value, None for a default."""
    return None if place in row.weak else row.values[place]


def _consent(place: int, winner: Row, losers: Sequence[Row]) -> str | None:
    said = [_own(row, place) for row in (winner, *losers)]
    return "false" if "false" in said else winner.values[place]


def _filled(place: int, winner: Row, losers: Sequence[Row], fill_gaps: bool) -> str | None:
    if not fill_gaps:
        return winner.values[place]
    own = (_own(row, place) for row in (winner, *losers))
    return next((value for value in own if value is not None), winner.values[place])
