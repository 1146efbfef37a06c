"""Progress for people: tqdm bars on a terminal, a heartbeat line now and then elsewhere (CI logs, files)."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Never

import click
from tqdm import tqdm

from migrate.cli.streams import for_cursor
from migrate.progress import Progress
from migrate.report.folded import fold
from migrate.report.terminal import format_duration, inert

HEARTBEAT_S = 15.0
_WIDE_COLUMNS = 110
_WIDE = (
    "  {desc:<26} {percentage:3.0f}% |{bar:24}| {n_text} of {total_text} {unit}  {speed}  {left}"
)
_NARROW = "  {desc:<24} {percentage:3.0f}% |{bar:8}| {n_text}/{total_text} {speed} {clock}"
_ENDLESS = "  {desc:<24}  {n_text} {unit}  {speed}"
_log = logging.getLogger(__name__)


if TYPE_CHECKING:
    _Tqdm = tqdm[Never]
else:
    _Tqdm = tqdm  # generic in its type stubs only


class _Bar(_Tqdm):
    @property
    def format_dict(self) -> dict[str, Any]:
        """Tqdm's values, the numbers as people read them, and a line that fits the terminal and what is known."""
        values = dict(super().format_dict)
        n = values["n"]
        total = values["total"]
        # tqdm knows no rate before the second step; of a resumed task only what is new counts.
        rate = values["rate"] or (n - values["initial"]) / max(values["elapsed"], 0.001)
        if not total:
            bar_format = _ENDLESS
        else:
            bar_format = _WIDE if (values["ncols"] or 0) >= _WIDE_COLUMNS else _NARROW
        return values | {
            "bar_format": bar_format,
            "n_text": f"{n:,}",
            "total_text": f"{total or 0:,}",
            "speed": f"{rate:,.0f}/s",
            "left": time_left(n, total, rate),
            "clock": _clock_text(n, total, rate),
        }


def _clock_text(done: int, total: int | None, rate: float) -> str:
    if total and rate > 0 and total >= done:
        return str(tqdm.format_interval((total - done) / rate))
    return ""


def time_left(done: int, total: int | None, rate: float) -> str:
    """The time until `total` at `rate` units a second, as people say it; empty where nobody can know."""
    if total and rate > 0 and total >= done:
        return f"{format_duration((total - done) / rate)} left"
    return ""


class Bars:
    """One bar a task, for a terminal; a finished task leaves the screen, since its result is printed at the end."""

    drawn: ClassVar[list[Bars]] = []
    """Those that may have left something on the screen."""

    def __init__(self) -> None:
        self._bars: dict[str, _Bar] = {}
        # Taken twice by one thread, since `begin` ends a task of the same name first.
        self._lock = threading.RLock()
        self._screen = for_cursor(sys.stderr)
        self.drawn.append(self)

    @classmethod
    @contextmanager
    def aside(cls) -> Iterator[None]:
        """While the block writes, no bar is on the screen, and what it writes begins a line."""
        with ExitStack() as stack:
            for bars in cls.drawn:
                stack.enter_context(tqdm.external_write_mode(file=bars._screen))
            yield

    @classmethod
    def end_all(cls) -> None:
        """Takes every bar off the screen, also those of tasks that an error cut short."""
        for bars in cls.drawn:
            for task in list(bars._bars):
                bars.end(task)
        cls.drawn.clear()

    def begin(self, task: str, *, total: int | None, unit: str, done: int = 0) -> None:
        """Shows a bar for `task`."""
        with self._lock:
            self.end(task)
            self._bars[task] = _Bar(
                desc=inert(task),
                total=total,
                unit=unit,
                initial=done,
                leave=False,
                dynamic_ncols=True,
                file=self._screen,
                # A terminal's encoding may lack the blocks that tqdm draws by default.
                ascii=" #",
                mininterval=0.2,
                miniters=1,
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
                # A bar below the first leaves the cursor where its text ended.
                self._screen.write("\r")
                self._screen.flush()

    def note(self, text: str) -> None:
        """Writes a line above the bars."""
        with self._lock:
            tqdm.write(fold(f"  {inert(text)}"), file=self._screen)


@dataclass
class _Beat:
    total: int | None
    unit: str
    done: int
    began_with: int
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
        self._beats[task] = _Beat(total, unit, done, done, now, now)

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
        elapsed_s = self._clock() - beat.started
        # Over less than a second a rate is chance.
        if elapsed_s >= 1:
            rate = (beat.done - beat.began_with) / elapsed_s
        else:
            rate = 0.0
        words = [
            f"{beat.done:,}{of} {beat.unit} in {format_duration(elapsed_s)}",
            f"{rate:,.0f}/s" if rate else "",
        ]
        if task in self._beats:
            words.append(time_left(beat.done, beat.total, rate))
        click.echo(f"  {task}: " + ", ".join(word for word in words if word), err=True)


class Logged:
    """Another progress whose notes and finished tasks also go to the log, also with --quiet."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown

    def begin(self, task: str, *, total: int | None, unit: str, done: int = 0) -> None:
        """Passed on, and logged."""
        if total is None:
            of = "an unknown number of"
        else:
            of = f"{total:,}"
        _log.info("begin %s: %s of %s %s", task, f"{done:,}", of, unit)
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
