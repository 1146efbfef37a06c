"""The inspection as one self-contained HTML page with small plots, without any request to the outside."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Template

from migrate.report.page import page_template

_BARS_SHOWN = 120
_SHARES = ("filled", "empty", "null", "absent")


def render_page(summary: Mapping[str, Any]) -> str:
    """The page for an inspection's JSON summary; every value in it is escaped and inert."""
    return _template().render(found=summary, shares=_SHARES)


def bars(months: Mapping[str, int]) -> list[dict[str, Any]]:
    """The bars of a plot by month, gaps included: place, height in percent, label. At most the newest ten years."""
    if not months:
        return []
    first, last = _index(min(months)), _index(max(months))
    first = max(first, last - _BARS_SHOWN + 1)
    highest = max(months.values())
    names = [f"{at // 12:04d}-{at % 12 + 1:02d}" for at in range(first, last + 1)]
    return [
        {
            "at": place,
            "height": round(100 * months.get(name, 0) / highest, 2),
            "label": f"{name}: {months.get(name, 0):,}",
        }
        for place, name in enumerate(names)
    ]


def _index(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:7]) - 1


@cache
def _template() -> Template:
    return page_template("inspect.html.j2", bars=bars)
