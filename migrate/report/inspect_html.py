"""The inspection as one self-contained HTML page with small plots, without any request to the outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrate.report.about import Fact, facts_of_making
from migrate.report.bars import segments
from migrate.report.inspect import doubts_of
from migrate.report.labels import FIELD_SHARES
from migrate.report.page import render_page
from migrate.report.words import Words, words_of
from migrate.sentence import Sentence

_BARS_SHOWN = 120
_PLOTTED = ("1800-01", "2200-01")


def render_inspection_page(
    summary: Mapping[str, Any], *, made_at: str = "", words: Words | None = None
) -> str:
    """The page for an inspection's JSON summary, in English where no `words` are given."""
    bars = {}
    plots = {}
    doubts = {}
    for name, resource in summary["resources"].items():
        fields = resource["fields"].items()
        bars[name] = {
            field: segments(counts, FIELD_SHARES, counts["rows"]) for field, counts in fields
        }
        plots[name] = {field: bars_of(counts["months"]) for field, counts in fields}
        doubts[name] = {field: _doubts(counts) for field, counts in fields}
    about: list[Fact] = [("Snapshot", summary["snapshot"]), *facts_of_making()]
    return render_page(
        "inspect.html.j2",
        words or words_of("en"),
        found=summary,
        shares=FIELD_SHARES,
        bars=bars,
        plots=plots,
        doubts=doubts,
        about=about,
        made_at=made_at,
    )


def _doubts(counts: Mapping[str, Any]) -> list[str]:
    """How far off a field's numbers may be, and how many of its dates the plot does not show."""
    months = counts["months"]
    plotted = sum(bar["dates"] for bar in bars_of(months))
    outside = sum(months.values()) - plotted
    doubts = doubts_of(counts)
    if outside:
        doubts.append(
            Sentence(
                "{count} date lies outside of the plot",
                "{count} dates lie outside of the plot",
                count=outside,
            )
        )
    return doubts


def bars_of(months: Mapping[str, int]) -> list[dict[str, Any]]:
    """The bars of a plot by month, gaps included: place, height in percent, label, dates. At most ten years.

    These are the newest ones before 2200: a date beyond stands for one that is not known.
    """
    usual = {month: count for month, count in months.items() if _PLOTTED[0] <= month < _PLOTTED[1]}
    # Where all lie outside, a plot of these says more than none.
    months = usual or months
    if not months:
        return []
    first = _index(min(months))
    last = _index(max(months))
    first = max(first, last - _BARS_SHOWN + 1)
    names = [f"{at // 12:04d}-{at % 12 + 1:02d}" for at in range(first, last + 1)]
    highest = max(months.values())
    return [
        {
            "at": place,
            "height": round(100 * months.get(name, 0) / highest, 2),
            "label": f"{name}: {months.get(name, 0):,}",
            "dates": months.get(name, 0),
        }
        for place, name in enumerate(names)
    ]


def _index(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:7]) - 1
