"""When a batch that keeps failing is taken apart. Pure.

A service that is down is waited for: its failures say nothing about a batch. Where others are taken meanwhile, there is
probably one record that makes the service fail. Halving finds it, so that its neighbours get in, and it is left to
another run instead of holding up this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from migrate.load.scheduler import BatchRequest

Way = Literal["wait", "halve", "set aside"]

# About 35 requests find one bad record among 500.
_FAILURES_BEFORE = {"batch": 4, "piece": 2, "record": 6}
_SHARE_OF_BUDGET = 0.25
_LEAST_FAILURES = 2
_MOST_HALVINGS = 100
_MOST_SET_ASIDE = 20


@dataclass(frozen=True)
class Patience:
    """What a run has done about batches that keep failing. `succeeded_at`: when a request last had a record written."""

    succeeded_at: float = float("-inf")
    halvings: int = 0
    set_aside: int = 0


def judge_failing(
    request: BatchRequest, failing_s: float, budget_s: float, patience: Patience
) -> Way:
    """What to do about a request that has just failed, and has been failing for so many seconds.

    **Guarantees**: a run halves at most a hundred times, each for the price of a few requests, and leaves at most
    twenty records to another one. Beyond that it is the service that is not well, and the retry budget decides.
    """
    is_alone = len(request.records) == 1
    # A half is cut again on what has been seen since the whole failed; a record alone has to be the odd one now.
    since = request.failing_from
    if is_alone and request.halved_at is not None:
        since = request.halved_at
    # Where nothing else was taken meanwhile the service is down, and halving would only make more requests that fail.
    if patience.succeeded_at < since or not _is_patience_over(request, failing_s, budget_s):
        return "wait"
    if is_alone:
        if patience.set_aside < _MOST_SET_ASIDE:
            return "set aside"
        return "wait"
    if patience.halvings < _MOST_HALVINGS:
        return "halve"
    return "wait"


def _is_patience_over(request: BatchRequest, failing_s: float, budget_s: float) -> bool:
    if len(request.records) == 1:
        kind = "record"
    else:
        kind = "batch" if request.halved_at is None else "piece"
    if request.failures >= _FAILURES_BEFORE[kind]:
        return True
    return request.failures >= _LEAST_FAILURES and failing_s >= budget_s * _SHARE_OF_BUDGET
