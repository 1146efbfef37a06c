"""Progress for people: tqdm bars on a terminal, a heartbeat line now and then elsewhere (CI logs, files)."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Never

import click
from tqdm import tqdm

from migrate.progress import Progress
from migrate.report.terminal import inert

HEARTBEAT_S = 15.0
_FORMAT = "  {desc:<26} {percentage:3.0f}% |{bar:24}| {done} of {of} {unit}  {speed}  {remaining} left"
_log = logging.getLogger(__name__)


if TYPE_CHECKING:
    _Tqdm = tqdm[Never]
else:
    _Tqdm = tqdm  # generic in its type stubs only


class _Bar(_Tqdm):
    @property
    def format_dict(self) -> dict[str, Any]:
        """Tqdm's values, and the numbers as people read them."""
        values = dict(super().format_dict)
        rate = values["rate"] or (values["n"] - values["initial"]) / max(values["elapsed"], 0.001)
        return values | {"done": f"{values['n']:,}", "of": f"{values['total'] or 0:,}", "speed": f"{rate:,.0f}/s"}


class Bars:
    """One bar a task, for a terminal; a finished task leaves the screen, since its result is printed at the end."""

    def __init__(self) -> None:
        self._bars: dict[str, _Bar] = {}
        self._lock = threading.RLock()

    def begin(self, task: str, *, total: int | None, unit: str, done: int = 0) -> None:
        """Shows a bar for `task`."""
        with self._lock:
            self.end(task)
            self._bars[task] = _Bar(
                desc=task,
                total=total,
                unit=unit,
                initial=done,
                leave=False,
                dynamic_ncols=True,
                file=sys.stderr,
                bar_format=_FORMAT,
                ascii=" #",
                mininterval=0.2,
            )

    def advance(self, task: str, by: int, *, total: int | None = None) -> None:
        """Moves the bar."""
        with self._lock:
            bar = self._bars.get(task)
            if bar is not None:
                bar.total = bar.total if total is None else total
                bar.update(by)

    def end(self, task: str) -> None:
        """Takes the bar off the screen."""
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
    """A line every 15 seconds and at the end of a task that took longer than a moment, for CI logs and files."""

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
        beat.total = beat.total if total is None else total
        if self._clock() - beat.spoken >= HEARTBEAT_S:
            beat.spoken = self._clock()
            self._say(task, beat)

    def end(self, task: str) -> None:
        """Says how much was done, where anything was."""
        beat = self._beats.pop(task, None)
        if beat is not None and (beat.done or beat.total):
            self._say(task, beat)

    def note(self, text: str) -> None:
        """Writes a line."""
        click.echo(f"  {inert(text)}", err=True)

    def _say(self, task: str, beat: _Beat) -> None:
        of = f" of {beat.total:,}" if beat.total is not None else ""
        click.echo(f"  {task}: {beat.done:,}{of} {beat.unit} in {self._clock() - beat.started:.0f} s", err=True)


class Logged:
    """Another progress whose notes and finished tasks also go to the log, also with --quiet."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown

    def begin(self, task: str, *, total: int | None, unit: str, done: int = 0) -> None:
        """Passed on, and logged."""
        _log.info("begin %s: %s of %s %s", task, done, total, unit)
        self._shown.begin(task, total=total, unit=unit, done=done)

    def advance(self, task: str, by: int, *, total: int | None = None) -> None:
        """Passed on."""
        self._shown.advance(task, by, total=total)

    def end(self, task: str) -> None:
        """Passed on, and logged."""
        _log.info("end %s", task)
        self._shown.end(task)

    def note(self, text: str) -> None:
        """Passed on, and logged."""
        _log.warning("%s", text)
        self._shown.note(text)
