"""The diff report as one self-contained page, for people who decide by it and were not there.

Nothing in the page comes from outside, and its policy lets nothing in: the one style sheet and the one script are named
by their hashes, inline styles are not allowed at all (bars are SVG), and every value is escaped and inert.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from migrate.report.diff_lists import WrittenList
from migrate.report.diff_view import DatasetView, DiffView
from migrate.report.page import page_template

KINDS = (
    ("create", "new"),
    ("update", "changed"),
    ("unknown", "new or changed"),
    ("unchanged", "already the same"),
    ("collapsed", "collapsed into another row"),
    ("filtered", "left out by the mapping"),
    ("rejected", "rejected"),
)
_DAYS = 400


def render_page(view: DiffView, lists: Sequence[WrittenList], *, made_at: str, folder: str) -> str:
    """The page of a plan; `folder`: where the full lists are, as seen from the page."""
    style, script = _asset("diff.css"), _asset("diff.js")
    kinds = [(kind, label) for kind, label in KINDS if any(getattr(d.counts, kind) for d in view.datasets)]
    return _template().render(
        view=view,
        kinds=kinds,
        bars={dataset.name: _bar(dataset, kinds) for dataset in view.datasets},
        events=_event_bars(view.events),
        revenue=view.revenue,
        lists=lists,
        folder=folder,
        made_at=made_at,
        style=Markup(style),  # noqa: S704  # our own file
        script=Markup(script),  # noqa: S704  # our own file
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _bar(dataset: DatasetView, kinds: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """The segments of a dataset's bar, in hundredths of the rows that were read."""
    found, x = [], 0.0
    for kind, label in kinds:
        rows = getattr(dataset.counts, kind)
        if rows:
            width = 100 * rows / dataset.counts.read
            found.append({"kind": kind, "label": label, "rows": rows, "x": round(x, 3), "width": round(width, 3)})
            x += width
    return found


def _event_bars(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Per dataset a column for each day (each month, where there are too many) with its rows in source and plan."""
    charts = []
    for name in dict.fromkeys(row["dataset"] for row in events):
        mine = [row for row in events if row["dataset"] == name]
        unit = 10 if len({row["period"] for row in mine}) <= _DAYS else 7
        days: dict[str, list[int]] = {}
        labels: dict[str, list[int]] = {}
        for row in mine:
            for sums, at in ((days, row["period"][:unit]), (labels, row["label"] or "(none)")):
                both = sums.setdefault(at, [0, 0])
                both[0] += row["source_rows"]
                both[1] += row["plan_rows"]
        most = max(max(both) for both in days.values()) or 1
        charts.append(
            {
                "dataset": name,
                "unit": "day" if unit == 10 else "month",
                "most": most,
                "bars": [
                    {"at": at, "source": both[0], "plan": both[1]}
                    | {"source_height": 60 * both[0] / most, "plan_height": 60 * both[1] / most}
                    for at, both in sorted(days.items())
                ],
                "labels": sorted(labels.items()),
                "different": sum(both[0] != both[1] for both in days.values()),
            }
        )
    return charts


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return files("migrate.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    return page_template("diff.html.j2", pct=_percent)


def _percent(share: float) -> str:
    return "< 0.1 %" if 0 < share < 0.001 else f"{share:.1%}"
