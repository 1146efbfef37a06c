"""How long a number of requests will take, by sending them through the same budget in simulated time."""

from __future__ import annotations

from migrate.target.budget import READ_POINTS, WRITE_POINTS, Budget, Grant

_FULL_RUN_BATCHES = 20_000
_FULL_RUN_READS = 30_000


def forecast(
    batches: int,
    reads: int,
    keys: int,
    *,
    speed: float = 1.0,
    account_share: float = 1.0,
    latency_s: float = 0.3,
) -> float:
    """Seconds until `reads` and then `batches` requests are answered by `keys` keys that nobody else uses.

    Beyond 20,000 batches the steady rate of the last half is carried on: the windows repeat every minute.
    """
    budget = Budget(keys, speed, account_share)
    read_s = _last_leave_s(budget, READ_POINTS, min(reads, _FULL_RUN_READS), 0.0)
    times = _leave_times(budget, min(batches, _FULL_RUN_BATCHES), read_s)
    end_s = times[-1] if times else read_s
    if batches > len(times) > 1:
        half = len(times) // 2
        end_s += (batches - len(times)) * (times[-1] - times[half]) / (len(times) - 1 - half)
    if reads > _FULL_RUN_READS:
        end_s += (reads - _FULL_RUN_READS) * read_s / (_FULL_RUN_READS)
    return end_s + (latency_s if batches + reads else 0.0)


def _last_leave_s(budget: Budget, cost: int, requests: int, start_s: float) -> float:
    now = start_s
    for _ in range(requests):
        now = _leave(budget, cost, now)
    return now


def _leave_times(budget: Budget, batches: int, start_s: float) -> list[float]:
    times, now = [], start_s
    for _ in range(batches):
        now = _leave(budget, WRITE_POINTS, now)
        times.append(now)
    return times


def _leave(budget: Budget, cost: int, now: float) -> float:
    while True:
        answer = budget.reserve(cost, now)
        if isinstance(answer, Grant):
            return answer.at
        now = answer.until
