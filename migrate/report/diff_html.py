"""The diff report as one self-contained page, for people who decide by it and were not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from migrate.report.bars import segments
from migrate.report.diff_lists import WrittenList
from migrate.report.diff_view import DiffView
from migrate.report.labels import COUNT_COLUMNS, GATES, KINDS, ODD_KEYS, PLACES, ROW_KINDS
from migrate.report.searchable import render_searchable
from migrate.report.totals import view_table
from migrate.report.words import Words, words_of

# A year and a month: bars of more days nobody can tell apart, so they become months.
_DAYS = 400


def render_page(
    view: DiffView,
    lists: Sequence[WrittenList],
    *,
    made_at: str,
    folder: str,
    words: Words | None = None,
) -> str:
    """The page of a plan, in English where no `words` are given.

    `folder`: where the full lists are, as seen from the page.
    """
    counts = {d.name: d.counts.model_dump(exclude={"warnings"}) for d in view.datasets}
    there = {kind for kind, _ in KINDS if any(map(itemgetter(kind), counts.values()))}
    kinds = [(kind, label) for kind, label in KINDS if kind in there]
    return render_searchable(
        "diff.html.j2",
        words or words_of("en"),
        dataset_names=list(counts),
        kinds=[kind for kind, _ in ROW_KINDS],
        view=view,
        masked=view.masked,
        legend_kinds=kinds,
        bars={d.name: segments(counts[d.name], kinds, d.counts.judged) for d in view.datasets},
        events=_event_bars([view_table(table) for table in view.tables if table.kind == "events"]),
        totals=[view_table(table) for table in view.tables if table.groups],
        lists=lists,
        folder=folder,
        made_at=made_at,
        counts=counts,
        count_columns=COUNT_COLUMNS,
        gates=GATES,
        places=PLACES,
        odd_keys=ODD_KEYS,
    )


def _event_bars(tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Per dataset a column for each day (each month, where there are too many): source and plan."""
    charts = []
    for table in tables:
        rows = table["rows"]
        if len({row["period"] for row in rows}) <= _DAYS:
            # `2024-01-31` has ten characters, `2024-01` seven.
            unit = 10
        else:
            unit = 7
        days: dict[str, list[int]] = {}
        labels: dict[str, list[int]] = {}
        for row in rows:
            for sums, at in ((days, row["period"][:unit]), (labels, row["label"])):
                both = sums.setdefault(at, [0, 0])
                both[0] += row["source_rows"]
                both[1] += row["plan_rows"]
        # Not 0, since heights are shares of it.
        most = max((max(both) for both in days.values()), default=0) or 1
        charts.append(
            {
                "dataset": table["dataset"],
                "unit": "day" if unit == 10 else "month",
                "most": most,
                "bars": [
                    {"at": at, "source": both[0], "plan": both[1]}
                    | {"source_height": 60 * both[0] / most, "plan_height": 60 * both[1] / most}
                    for at, both in sorted(days.items())
                ],
                "labels": sorted(labels.items()),
                "headline": table["headline"],
                "equal": table["equal"],
            }
        )
    return [chart for chart in charts if chart["bars"]]
