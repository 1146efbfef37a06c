"""How long a load will take."""

from __future__ import annotations

from migrate.load.pace import Means, describe_pace, remaining_s
from migrate.load.totals import Totals


def test_at_best_the_limits_decide():
    """With nothing measured, the documented limits: 135 batches a minute with one key."""
    left_s = remaining_s([Totals(batches=1000, batches_done=325)], Means(1))
    assert 4.7 * 60 < left_s < 5.3 * 60
    assert remaining_s([Totals(batches=5, batches_done=5)], Means(1)) == 0


def test_a_slow_service_decides():
    """What earlier runs measured counts, also after a restart; waiting for a busy dataset is left out."""
    slow = Totals(batches=200, batches_done=100, requests=100, seconds=1_000, busy_s=500)
    assert remaining_s([slow], Means(1)) == 500


def test_the_line_for_people():
    """Records, pace, points and time, as people say them."""
    assert describe_pace(1000, 4000, 1111.4, 120, 185) == (
        "1,000 of 4,000 records, 1,111 records/s, 120 points left now, about 3 min 05 s to go"
    )
    assert describe_pace(0, 1, 0, None, 4) == "0 of 1 records, 0 records/s, about 4 s to go"
