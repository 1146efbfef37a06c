"""What a stage tells the person who waits, without knowing how it is shown."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Tasks with a total that may grow, and notes. All methods may be called from the thread that runs the stage."""

    def begin(self, task: str, *, total: int | None, unit: str, done: int = 0) -> None:
        """Starts to show `task`; `done` units were there before (a resumed run)."""

    def advance(self, task: str, by: int, *, total: int | None = None) -> None:
        """Adds `by` units; `total` replaces the total where it has become known."""

    def end(self, task: str) -> None:
        """The task is over, finished or not."""

    def note(self, text: str) -> None:
        """One line the user should see now: a retry, a wait, something odd. Never a secret, never a personal value."""


class Silence:
    """Shows nothing."""

    def begin(self, task: str, *, total: int | None, unit: str, done: int = 0) -> None:
        """Nothing."""

    def advance(self, task: str, by: int, *, total: int | None = None) -> None:
        """Nothing."""

    def end(self, task: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""
