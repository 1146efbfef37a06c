"""Work done ahead: in order, bounded, and failing where it should."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from migrate.errors import WorkspaceError
from migrate.plan.partitions import AT_ONCE, read_ahead, work_ahead


def test_read_ahead_is_one_part_ahead() -> None:
    """The next part is made while one is worked on, and no more of them; a failure comes where its part would."""
    made: list[int] = []

    def parts() -> Iterator[int]:
        for number in range(1, 5):
            made.append(number)
            if number == 4:
                raise WorkspaceError("part 4 cannot be read")
            yield number

    seen = []
    with pytest.raises(WorkspaceError, match="part 4"):
        for part in read_ahead(parts()):
            seen.append(part)
            assert len(made) <= len(seen) + 1
    assert (seen, made) == ([1, 2, 3], [1, 2, 3, 4])


def test_work_ahead_keeps_the_order_and_the_bound() -> None:
    """However fast parts are worked on, they come in order, and only so many are begun."""
    begun: list[int] = []

    def act(part: int) -> int:
        begun.append(part)
        return part * 10

    seen = []
    for made in work_ahead(act, range(7)):
        seen.append(made)
        assert len(begun) <= len(seen) + AT_ONCE - 1
    assert seen == [0, 10, 20, 30, 40, 50, 60]
    assert list(work_ahead(act, ())) == []


def test_a_part_that_fails_ends_it() -> None:
    """What came before is given; the failure is raised as it is."""

    def act(part: int) -> int:
        if part == 2:
            raise WorkspaceError("part 2 is broken")
        return part

    seen: list[int] = []
    with pytest.raises(WorkspaceError, match="part 2"):
        for made in work_ahead(act, range(5)):
            seen.append(made)  # noqa: PERF402  # what came before a failure is wanted
    assert seen == [0, 1]
