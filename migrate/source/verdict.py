"""What can be said of a resource's completeness, from what was announced and what came. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["proven", "drifted", "unproven"]


@dataclass(frozen=True)
class Ends:
    """How many pages' ends were looked at again, of how many pages, and whether all are where they were.

    The first page and the last one are not counted: they are read again as a whole.
    """

    seen: int
    pages: int
    hold: bool


NO_ENDS = Ends(0, 0, True)


@dataclass(frozen=True)
class Observation:
    """The last pass over a list: what was announced at its start and after its end, what is stored now.

    `moved` means the tail, a total on the way, or a page's end was not what it had been; `troubles` is what paging
    noticed. `partly` says of a list that was not read to its end, on purpose, what was read; `distinct` is that part.
    """

    announced_start: int | None
    announced_end: int | None
    distinct: int
    moved: bool
    rounds: int
    troubles: Sequence[str] = ()
    ends: Ends = NO_ENDS
    partly: str | None = None


def judge(seen: Observation) -> tuple[Verdict, str]:
    """The verdict and its reason in one sentence."""
    if seen.partly is not None:
        return "unproven", seen.partly
    start, end = seen.announced_start, seen.announced_end
    if start is None or end is None:
        when = (
            "anywhere"
            if start is None and end is None
            else ("at the start" if start is None else "at the end")
        )
        return (
            "unproven",
            f"the server announced no total {when}; {seen.distinct:,} records were received",
        )
    noticed = _noticed(seen.troubles)
    if start != end or seen.moved:
        return "drifted", f"{noticed}{_drift(start, end, seen)}"
    if noticed:
        return "unproven", f"{noticed}{_counted(end, seen.distinct)}"
    if end != seen.distinct:
        return "unproven", _counted(end, seen.distinct)
    again = (
        ""
        if seen.rounds == 0
        else f", after {seen.rounds} further reading(s) of pages that had moved"
    )
    ends = (
        f", {seen.ends.seen:,} of {seen.ends.pages:,} page ends seen again in their place"
        if seen.ends.seen
        else ""
    )
    return (
        "proven",
        f"{end:,} announced before and after, {seen.distinct:,} distinct records received{ends}{again}",
    )


def _noticed(troubles: Sequence[str]) -> str:
    if not troubles:
        return ""
    more = f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else ""
    return f"{troubles[0]}{more}; "


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
