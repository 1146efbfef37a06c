"""Pausing a load from outside, by a file in the workspace."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from migrate.workspace import Workspace

_CHECK_S = 0.25


class Pause:
    """On while the file PAUSE stands in the workspace; looked up at most four times a second."""

    def __init__(self, file: Path, note: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._file = file
        self._note = note
        self._clock = clock
        self._looked_at = float("-inf")
        self._on = False

    def is_on(self) -> bool:
        """True while nothing may leave."""
        now = self._clock()
        if now - self._looked_at >= _CHECK_S:
            self._looked_at = now
            is_there = self._file.exists()
            if is_there and not self._on:
                self._note(f"paused: what is in flight ends; remove {self._file} to go on")
            if self._on and not is_there:
                self._note("going on")
            self._on = is_there
        return self._on


def pause_file(workspace: Workspace) -> Path:
    """The file that pauses every load of the workspace."""
    return workspace.root / "PAUSE"


def set_pause(workspace: Workspace, *, on: bool) -> None:
    """Makes the file, or removes it."""
    # It may be called by a signal, in the middle of anything: that must not end a load.
    with contextlib.suppress(OSError):
        if on:
            pause_file(workspace).touch()
        else:
            pause_file(workspace).unlink(missing_ok=True)
