"""What a load will cost."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from migrate.plan.cost import forecast_cost, minutes_of
from migrate.plan.document import Forecast


def test_batches_cost_ten_points_and_counts_one(bench) -> None:
    """One count before the first write of each dataset that has batches."""
    cost = forecast_cost({"a": 3, "b": 0, "c": 2}, bench.project)
    assert (cost.requests, cost.points) == (7, 52)
    assert forecast_cost({}, bench.project).minutes_by_keys == {1: 0.0, 2: 0.0, 3: 0.0}


def test_a_second_key_helps_and_a_third_does_not(bench) -> None:
    """135 writes a minute with one key, 200 with more: the account's limit."""
    minutes = forecast_cost({"a": 4_000}, bench.project).minutes_by_keys
    assert 4_000 / 135 <= minutes[1] <= 4_000 / 135 * 1.15
    assert 4_000 / 200 <= minutes[2] <= 4_000 / 200 * 1.15
    assert minutes[3] >= minutes[2] * 0.95
    assert minutes_of(4_000, bench.project) >= minutes[1] * 0.98


def test_a_faster_sandbox_changes_no_forecast(bench) -> None:
    """The forecast is for the documented limits, and for the share of the account that this tool may use."""
    before = forecast_cost({"a": 4_000}, bench.project).minutes_by_keys
    bench.set("octolis", limit_speed=50.0)
    assert forecast_cost({"a": 4_000}, bench.project).minutes_by_keys == before
    bench.set("octolis", account_share=0.5)
    assert forecast_cost({"a": 4_000}, bench.project).minutes_by_keys[2] > before[2] * 1.5


@pytest.mark.parametrize("minutes", [-1, 1e308, float("inf"), float("nan")])
def test_a_plan_with_a_time_that_no_clock_shows_is_none(minutes: float) -> None:
    """Pages and the terminal show when a load would end, so a file that says such a time was tampered with."""
    with pytest.raises(ValidationError):
        Forecast(requests=1, points=1, minutes_by_keys={1: minutes})
