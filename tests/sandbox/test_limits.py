"""The points budget, against the numbers the document works out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import UsageError
from migrate.sandbox.limits import READ_POINTS, WRITE_POINTS, Limiter, Limits


def count_passed(
    limiter: Limiter, cost: int, seconds: int, keys: tuple[str, ...] = ("k",)
) -> list[int]:
    """Requests let through in each second, when far more are tried."""
    return [
        sum(
            limiter.spend(key, cost, second + step / 100) is None
            for step in range(100)
            for key in keys
            for _ in (1, 2)
        )
        for second in range(seconds)
    ]


def test_writes_of_one_key() -> None:
    """17 writes pass in the first second, 2 in each of the next 59: 135 in the minute, and again in the next one."""
    passed = count_passed(Limiter(Limits()), WRITE_POINTS, 120)
    assert passed[0] == 17
    assert set(passed[1:60]) == {2}
    assert sum(passed[:60]) == 135
    assert sum(passed[60:]) == 135


def test_reads_of_one_key() -> None:
    """175 reads pass in the first second, 25 in the next."""
    assert count_passed(Limiter(Limits()), READ_POINTS, 2) == [175, 25]


def test_account_cap_over_two_keys() -> None:
    """Two keys together get 200 writes a minute, not 270."""
    assert sum(count_passed(Limiter(Limits()), WRITE_POINTS, 60, ("a", "b"))) == 200


def test_wait_is_until_the_next_second() -> None:
    """A refused write is told to wait for the rest of the second, in whole seconds in the header."""
    limiter = Limiter(Limits())
    for _ in range(17):
        assert limiter.spend("k", WRITE_POINTS, 5.0) is None
    wait_s = limiter.spend("k", WRITE_POINTS, 5.4)
    assert wait_s == pytest.approx(0.6)
    assert limiter.retry_after(0.6) == "1"
    assert limiter.spend("k", WRITE_POINTS, 6.0) is None


def test_wait_is_until_the_next_minute_when_the_account_is_spent() -> None:
    """Waiting a second does not help where the account's minute is used up."""
    limiter = Limiter(Limits())
    for key in range(20):
        for _ in range(10):
            assert limiter.spend(str(key), WRITE_POINTS, 1.0) is None
    assert limiter.spend("other", WRITE_POINTS, 11.0) == pytest.approx(50)


def test_speed_shortens_windows_and_the_header() -> None:
    """Twenty times faster: the next second begins after 50 ms, and the header says so in thousandths."""
    limiter = Limiter(Limits(speed=20))
    for _ in range(17):
        limiter.spend("k", WRITE_POINTS, 0.0)
    wait_s = limiter.spend("k", WRITE_POINTS, 0.0)
    assert wait_s == pytest.approx(0.05)
    assert limiter.retry_after(0.05) == "0.050"
    assert limiter.spend("k", WRITE_POINTS, 0.0501) is None


def test_clock_aligned_windows_begin_at_their_phase() -> None:
    """With clock windows a second may end a moment after the first request."""
    limiter = Limiter(Limits(windows="clock", phase_s=0.25))
    for _ in range(17):
        limiter.spend("k", WRITE_POINTS, 0.2)
    assert limiter.spend("k", WRITE_POINTS, 0.2) == pytest.approx(0.05)
    assert limiter.spend("k", WRITE_POINTS, 0.25) is None


def test_refused_requests_are_free_unless_charged() -> None:
    """Charged refusals keep the key out of the minute's pool; free ones do not."""
    for charged, passes in ((False, True), (True, False)):
        limiter = Limiter(Limits(charge_refused=charged))
        for _ in range(2):
            limiter.spend("k", WRITE_POINTS, 0.0)
        for _ in range(100):
            limiter.spend("k", 200, 0.0)
        assert (limiter.spend("k", WRITE_POINTS, 0.0) is None) is passes


def test_no_limits_when_not_enforced() -> None:
    """Anything passes when limits are off."""
    limiter = Limiter(Limits(enforce=False))
    assert all(limiter.spend("k", WRITE_POINTS, 0.0) is None for _ in range(1000))


@pytest.mark.parametrize("wrong", [{"windows": "sliding"}, {"speed": 0}])
def test_wrong_settings(wrong: dict[str, object]) -> None:
    """Settings that cannot be are refused at once."""
    with pytest.raises(UsageError):
        Limits(**wrong)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.sampled_from([1, 10]), st.floats(0, 0.4)), min_size=30, max_size=200))
def test_waiting_as_told_always_passes(steps: list[tuple[int, float]]) -> None:
    """Whoever waits as long as the answer says gets through with one key."""
    limiter, now_s = Limiter(Limits()), 0.0
    for cost, pause_s in steps:
        now_s += pause_s
        wait_s = limiter.spend("k", cost, now_s)
        if wait_s is not None:
            now_s += wait_s + 1e-9
            assert limiter.spend("k", cost, now_s) is None
