"""How long a plan will take."""

from __future__ import annotations

import pytest

from migrate.target.budget import forecast


@pytest.mark.parametrize(
    ("batches", "keys", "least_min", "most_min"),
    [(2_000, 1, 14.7, 15.6), (10_000, 1, 74, 78.5), (10_000, 2, 49.5, 51.2)],
)
def test_the_published_rates(batches, keys, least_min, most_min):
    """2,000 batches take little more than 14.8 minutes with one key; two keys reach 200 a minute."""
    assert least_min <= forecast(batches, 0, keys) / 60 <= most_min


def test_small_and_empty_plans():
    """Nothing takes no time; a burst takes one latency."""
    assert forecast(0, 0, 1) == 0
    assert forecast(17, 0, 1, latency_s=0.3) == pytest.approx(0.3)


def test_long_plans_are_carried_on():
    """Beyond what is simulated the steady rate holds."""
    assert forecast(400_000, 0, 1) == pytest.approx(20 * forecast(20_000, 0, 1), rel=0.01)
    assert forecast(0, 60_000, 1) == pytest.approx(2 * forecast(0, 30_000, 1), rel=0.01)


def test_a_share_of_the_account_takes_longer():
    """Half of the account means half of two keys' rate."""
    assert forecast(2_000, 0, 2, account_share=0.5) > 1.9 * forecast(2_000, 0, 2)
