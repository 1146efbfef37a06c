"""The diff report as one self-contained page, for people who decide by it and were not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from migrate.report.diff_lists import WrittenList
from migrate.report.diff_view import DatasetView, DiffView
from migrate.report.html import COUNT_COLUMNS
from migrate.report.searchable import ROW_KINDS, render_searchable
from migrate.report.totals import view_table

KINDS = (
    ("create", "new"),
    ("update", "changed"),
    ("unknown", "new or changed"),
    ("unchanged", "already the same"),
    ("collapsed", "part of another row"),
    ("filtered", "left out on purpose"),
    ("rejected", "rejected"),
)
_DAYS = 400


def render_page(view: DiffView, lists: Sequence[WrittenList], *, made_at: str, folder: str) -> str:
    """The page of a plan; `folder`: where the full lists are, as seen from the page."""
    kinds = [
        (kind, label)
        for kind, label in KINDS
        if any(getattr(d.counts, kind) for d in view.datasets)
    ]
    return render_searchable(
        "diff.html.j2",
        dataset_names=[dataset.name for dataset in view.datasets],
        kinds=[kind for kind, _ in ROW_KINDS],
        view=view,
        masked=view.masked,
        legend=kinds,
        bars={dataset.name: _bar(dataset, kinds) for dataset in view.datasets},
        events=_event_bars([view_table(table) for table in view.tables if table.kind == "events"]),
        totals=[view_table(table) for table in view.tables if table.groups],
        lists=lists,
        folder=folder,
        made_at=made_at,
        count_columns=COUNT_COLUMNS,
    )


def _bar(dataset: DatasetView, kinds: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """The segments of a dataset's bar, in hundredths of the rows that were judged."""
    found, x = [], 0.0
    for kind, label in kinds:
        rows = getattr(dataset.counts, kind)
        if rows:
            width = 100 * rows / dataset.counts.judged
            found.append(
                {
                    "kind": kind,
                    "label": label,
                    "rows": rows,
                    "x": round(x, 3),
                    "width": round(width, 3),
                }
            )
            x += width
    return found


def _event_bars(tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Per dataset a column for each day (each month, where there are too many): source and plan."""
    charts = []
    for table in tables:
        rows = table["rows"]
        unit = 10 if len({row["period"] for row in rows}) <= _DAYS else 7
        days: dict[str, list[int]] = {}
        labels: dict[str, list[int]] = {}
        for row in rows:
            for sums, at in ((days, row["period"][:unit]), (labels, row["label"])):
                both = sums.setdefault(at, [0, 0])
                both[0] += row["source_rows"]
                both[1] += row["plan_rows"]
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
