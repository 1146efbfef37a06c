"""Progress for people: tqdm bars on a terminal, a heartbeat line now and then elsewhere (CI logs, files)."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Never

import click
from tqdm import tqdm

from migrate.report.terminal import inert

HEARTBEAT_S = 15.0
_FORMAT = "  {desc:<22} {percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt} {unit} [{rate_fmt}, {remaining} left]"


class Bars:
    """One bar a task, for a terminal."""

    def __init__(self) -> None:
        self._bars: dict[str, tqdm[Never]] = {}
        self._lock = threading.Lock()

    def begin(self, task: str, *, total: int | None, unit: str, done: int = 0) -> None:
        """Shows a bar for `task`."""
        self.end(task)
        with self._lock:
            self._bars[task] = tqdm(
                desc=task,
                total=total,
                unit=unit,
                initial=done,
                leave=True,
                dynamic_ncols=True,
                file=sys.stderr,
                bar_format=_FORMAT,
                unit_scale=False,
                ascii=" #",
                mininterval=0.2,
            )

    def advance(self, task: str, by: int, *, total: int | None = None) -> None:
        """Moves the bar."""
        with self._lock:
            bar = self._bars.get(task)
            if bar is None:
                return
            if total is not None and total != bar.total:
                bar.total = total
            bar.update(by)

    def end(self, task: str) -> None:
        """Closes the bar, leaving its last state."""
        with self._lock:
            bar = self._bars.pop(task, None)
            if bar is not None:
                bar.close()

    def note(self, text: str) -> None:
        """Writes a line above the bars."""
        with self._lock:
            tqdm.write(f"  {inert(text)}", file=sys.stderr)


@dataclass
class _Beat:
    total: int | None
    unit: str
    done: int
    started: float
    spoken: float


class Heartbeat:
    """A line every 15 seconds and at the end of a task, for CI logs and files."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beats: dict[str, _Beat] = {}

    def begin(self, task: str, *, total: int | None, unit: str, done: int = 0) -> None:
        """Remembers the start of `task`."""
        now = self._clock()
        self._beats[task] = _Beat(total, unit, done, now, now)

    def advance(self, task: str, by: int, *, total: int | None = None) -> None:
        """Counts, and says so when the last line is old."""
        beat = self._beats.get(task)
        if beat is None:
            return
        beat.done += by
        beat.total = total if total is not None else beat.total
        if self._clock() - beat.spoken >= HEARTBEAT_S:
            beat.spoken = self._clock()
            self._say(task, beat)

    def end(self, task: str) -> None:
        """Says how much was done."""
        beat = self._beats.pop(task, None)
        if beat is not None:
            self._say(task, beat)

    def note(self, text: str) -> None:
        """Writes a line."""
        click.echo(f"  {inert(text)}", err=True)

    def _say(self, task: str, beat: _Beat) -> None:
        of = f" of {beat.total:,}" if beat.total is not None else ""
        click.echo(f"  {task}: {beat.done:,}{of} {beat.unit} in {self._clock() - beat.started:.0f} s", err=True)
