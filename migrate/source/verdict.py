"""What can be said of a resource's completeness, from what was announced and what came. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["proven", "drifted", "unproven"]


@dataclass(frozen=True)
class Observation:
    """The last pass over a list: what was announced at its start and after its end, what is stored now.

    `moved` means the tail, or a total on the way, was not what it had been; `troubles` is what paging noticed.
    """

    announced_start: int | None
    announced_end: int | None
    distinct: int
    moved: bool
    rounds: int
    troubles: Sequence[str] = ()


def judge(seen: Observation) -> tuple[Verdict, str]:
    """The verdict and its reason in one sentence."""
    start, end = seen.announced_start, seen.announced_end
    if start is None or end is None:
        when = "anywhere" if start is None and end is None else ("at the start" if start is None else "at the end")
        return "unproven", f"the server announced no total {when}; {seen.distinct:,} records were received"
    if start != end or seen.moved:
        return "drifted", _drift(start, end, seen)
    if seen.troubles:
        more = f" (and {len(seen.troubles) - 1} more)" if len(seen.troubles) > 1 else ""
        return "unproven", f"{seen.troubles[0]}{more}; {_counted(end, seen.distinct)}"
    if end != seen.distinct:
        return "unproven", _counted(end, seen.distinct)
    again = "" if seen.rounds == 0 else f", after {seen.rounds} further reading(s) of pages that had moved"
    return "proven", f"{end:,} announced before and after, {seen.distinct:,} distinct records received{again}"


def _drift(start: int, end: int, seen: Observation) -> str:
    by = f"by {end - start:+,} records" if start != end else "without a change in their number"
    return (
        f"the source moved {by} while it was read and did not come to rest in {seen.rounds} further readings; "
        f"{_counted(end, seen.distinct)}"
    )


def _counted(announced: int, distinct: int) -> str:
    if announced == distinct:
        return f"{announced:,} announced and as many distinct records received"
    return f"{announced:,} announced but {distinct:,} distinct records received ({distinct - announced:+,})"
