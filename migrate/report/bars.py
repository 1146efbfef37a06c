"""Bars of a page: which part of a whole each kind is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def segments(
    counts: Mapping[str, int], kinds: Sequence[tuple[str, str]], whole: int
) -> list[dict[str, Any]]:
    """The segments of a bar, in hundredths of `whole`; kinds without a row have none."""
    shown = []
    x = 0.0
    for kind, label in kinds:
        rows = counts.get(kind, 0)
        if rows and whole:
            width = 100 * rows / whole
            # Rounded for the page only: what is added up keeps its digits, so the segments meet.
            place = {"x": round(x, 3), "width": round(width, 3)}
            shown.append({"kind": kind, "label": label, "rows": rows, **place})
            x += width
    return shown
