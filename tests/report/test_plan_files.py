"""The plan says what the file door would take, where it is worth it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from migrate.plan.document import Forecast
from migrate.report.plan import _forecast, forecast_files


def document(minutes: float) -> Any:
    """A plan of 100 million order lines, and a feed that never goes by files."""
    counts = SimpleNamespace(create=90_000_000, update=10_000_000, unknown=0)
    return SimpleNamespace(
        datasets={"order_items": counts, "clicks": counts},
        webhook_ids={"clicks": "id"},
        forecast=Forecast(requests=200_000, points=2_000_000, minutes_by_keys={1: minutes}),
    )


def test_both_doors_are_compared() -> None:
    """A load of a day is set beside the minutes that the files take; a short one is not."""
    assert forecast_files(document(1_480)) == {"rows": 100_000_000, "minutes_to_write": 5.0}
    said = _forecast(document(1_480))
    assert "at the documented limits" in said
    assert "100,000,000 rows" in said
    assert "as files" not in _forecast(document(12))
