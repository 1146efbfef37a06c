"""The points budget against an independent model of the service: both kinds of windows, any phase."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.target.budget import READ_POINTS, WRITE_POINTS, Budget, Grant, Wait, forecast

PHASES = st.one_of(st.none(), st.tuples(st.floats(0, 1), st.floats(0, 60), st.floats(0, 60)))


def burst_of(budget: Budget, cost: int, now: float) -> int:
    """How many requests of `cost` may leave at `now`."""
    count = 0
    while isinstance(budget.reserve(cost, now), Grant):
        count += 1
    return count


def test_the_published_first_second():
    """17 writes at once: two from the second, fifteen from the burst; then two more a second later."""
    budget = Budget(1)
    assert burst_of(budget, 10, 0.0) == 17
    assert burst_of(budget, 10, 1.0) == 0
    assert burst_of(budget, 10, 1.06) == 2


def test_the_published_prices():
    """A GET costs one point and a write ten: what the service itself counts."""
    assert (READ_POINTS, WRITE_POINTS) == (1, 10)


def test_what_is_over_is_free_again():
    """A first second of 17 writes leaves five points; two minutes later all 175 are free again."""
    budget = Budget(1)
    while isinstance(grant := budget.reserve(WRITE_POINTS, 0.0), Grant):
        budget.settled(grant, started=0.0, ended=0.1, refused=False)
    assert budget.points_left(0.1) == 5
    assert budget.state(0.1)["account"] != []
    assert budget.points_left(122.0) == 175
    assert budget.state(122.0)["account"] == []


def test_reads_ride_beside_writes():
    """Two writes leave five points of their second to reads; reads never draw from the burst."""
    budget = Budget(1)
    assert burst_of(budget, 1, 0.0) == 25
    assert burst_of(budget, 10, 0.0) == 15
    assert burst_of(budget, 1, 0.0) == 0


def test_keys_share_the_account():
    """Two keys have 34 writes at once, but 200 a minute together; a share of the account is kept to."""
    assert burst_of(Budget(2), 10, 0.0) == 34
    shared = Budget(2, account_share=0.1)
    assert burst_of(shared, 10, 0.0) == 20
    assert isinstance(shared.reserve(10, 59.9), Wait)
    assert isinstance(shared.reserve(10, 60.3), Grant)


def test_speed_shortens_every_window():
    """At speed 20 the second is over after 50 ms, and its margin is as much shorter."""
    budget = Budget(1, speed=20)
    assert burst_of(budget, 10, 0.0) == 17
    assert burst_of(budget, 10, 0.053) == 2


@given(
    PHASES,
    st.integers(0, 2**32),
    st.integers(1, 3),
    st.floats(0.01, 1.5),
    st.sampled_from((0.0, 0.3, 0.9)),
)
@settings(max_examples=40)
def test_never_refused_while_jitter_stays_within_the_margin(
    model, phases, seed, keys, latency_s, reads
):
    """Reads and writes in any mixture, windows of any kind and phase: the service never has to refuse."""
    rng = random.Random(seed)
    budget = Budget(keys)
    outcome = model.simulate(
        model.Service(phases, keys),
        budget,
        seconds=150,
        outward=model.jitter(rng, latency_s / 2, budget.margin_s),
        backward=model.jitter(rng, latency_s / 2, 0.1),
        learn=False,
        cost=lambda: 1 if rng.random() < reads else 10,
    )
    assert outcome.refused == 0
    assert outcome.accepted > 100


@pytest.mark.parametrize(
    ("keys", "jitter_s", "least"),
    [
        (1, 0.01, 0.96 * 135),
        (1, 0.03, 0.96 * 135),
        (1, 0.1, 0.88 * 135),
        (2, 0.03, 0.98 * 200),
        (2, 0.1, 0.98 * 200),
    ],
)
@pytest.mark.parametrize("latency_s", [0.05, 0.3, 2.0])
@pytest.mark.parametrize("phases", [None, (0.37, 21.0, 3.0)])
def test_throughput(model, keys, jitter_s, least, latency_s, phases):
    """Ten simulated minutes: close to the published ceiling, with at most one refusal in a hundred requests."""
    rng = random.Random(11)
    outcome = model.simulate(
        model.Service(phases, keys),
        Budget(keys),
        seconds=600,
        outward=model.jitter(rng, latency_s / 2, jitter_s),
        backward=model.jitter(rng, latency_s / 2, jitter_s),
    )
    assert outcome.per_minute(600) >= least
    assert outcome.refused <= outcome.accepted / 100


def test_a_refusal_pauses_the_key_and_widens_the_margin():
    """A refused key waits as told, the other one goes on, and later seconds are longer."""
    budget = Budget(2)
    grant = budget.reserve(10, 0.0)
    assert isinstance(grant, Grant)
    margin_s = budget.margin_s
    budget.settled(grant, started=0.0, ended=0.1, refused=True, retry_after_s=7.5)
    others = [budget.reserve(10, 1.0) for _ in range(5)]
    assert {other.key_index for other in others if isinstance(other, Grant)} == {
        1 - grant.key_index
    }
    assert budget.margin_s > margin_s
    assert isinstance(budget.reserve(10, 7.7), Grant)


def test_refusals_without_a_time_pause_longer_each_time():
    """Where the service does not say how long, the pause doubles up to a minute."""
    budget, now, pauses = Budget(1), 0.0, []
    for _ in range(9):
        grant = budget.reserve(1, now)
        assert isinstance(grant, Grant)
        budget.settled(grant, started=now, ended=now, refused=True)
        wait = budget.reserve(1, now)
        assert isinstance(wait, Wait)
        pauses.append(wait.until - now)
        now = wait.until
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@given(st.floats(0, 100), st.floats(0, 200), st.floats(1, 1e6))
def test_a_restart_does_not_burst(worked_s, away_s, clock_s):
    """A budget taken up again allows no more than the one that was put down, and at last as much as a new one."""
    old = Budget(1)
    now = 0.0
    while now < worked_s:
        answer = old.reserve(10, now)
        now = answer.until if isinstance(answer, Wait) else now + 0.01
    state = json.loads(json.dumps(old.state(now)))
    new = Budget(1)
    new.adopt([(state, away_s)], clock_s)
    assert burst_of(new, 10, clock_s) <= burst_of(old, 10, now + away_s + 0.001)
    assert burst_of(new, 10, clock_s + 70) == 17


@pytest.mark.parametrize(
    "state", [{}, {"keys": 1}, {"margin_s": "x", "doubt_s": 1, "account": [], "keys": []}]
)
def test_a_foreign_state_changes_nothing(state):
    """A state of another shape is refused and leaves the budget as it was."""
    budget = Budget(1)
    with pytest.raises((KeyError, ValueError, TypeError)):
        budget.adopt([(Budget(1).state(0.0), 0.0), (state, 0.0)], 0.0)
        budget.learn(state)
    assert burst_of(budget, 10, 0.0) == 17


def test_what_others_hold_is_counted_once():
    """Each look at the others replaces the last one, is never told as one's own, and leaves the own points alone."""
    mine, other = Budget(2), Budget(2)
    for budget, count in ((mine, 3), (other, 12)):
        for _ in range(count):
            assert isinstance(budget.reserve(10, 0.0), Grant)
    own = mine.state(0.0)
    for _ in range(3):
        mine.adopt([(other.state(0.0), 0.0)], 0.0)
        assert mine.points_left(0.0) == 350 - 150
        assert mine.state(0.0) == own
    mine.adopt([], 0.0)
    assert mine.points_left(0.0) == 350 - 30


def test_a_pause_is_everybodys():
    """What the service asked of one process holds for the key, whoever uses it."""
    mine, other = Budget(1), Budget(1)
    grant = other.reserve(10, 0.0)
    assert isinstance(grant, Grant)
    other.settled(grant, started=0.0, ended=0.0, refused=True, retry_after_s=40)
    mine.adopt([(other.state(0.0), 10.0)], 100.0)
    assert mine.paused_s(100.0) == 30


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 2)), min_size=1, max_size=60))
def test_two_processes_are_one_account(steps):
    """Two budgets that look at each other before each request spend no more than one of them alone would."""
    budgets, alone, now = [Budget(1), Budget(1)], Budget(1), 0.0
    for is_second, pause_s in steps:
        now += pause_s
        budget, other = budgets[is_second], budgets[not is_second]
        budget.adopt([(other.state(now), 0.0)], now)
        together, single = budget.reserve(10, now), alone.reserve(10, now)
        assert isinstance(together, Grant) == isinstance(single, Grant)


@pytest.mark.parametrize(
    ("batches", "reads", "keys", "a_minute"),
    [(40_000, 0, 1, 135), (40_000, 0, 2, 200), (0, 60_000, 1, 1_500)],
)
def test_a_long_run_is_forecast_at_the_published_pace(
    batches: int, reads: int, keys: int, a_minute: int
) -> None:
    """135 writes a minute with a key, 200 an account, 25 reads a second: beyond what is played through, too."""
    seconds = (batches + reads) / a_minute * 60
    # two writes leave after a second and the twentieth of one that jitter may take
    assert forecast(batches, reads, keys) == pytest.approx(seconds, rel=0.05)
