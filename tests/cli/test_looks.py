"""What people see: colours, progress, and characters that every terminal has."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.cli.progress import Heartbeat, time_left
from migrate.cli.streams import escaped, plain, prepare_streams
from migrate.project import start_project
from tests import forked
from tests.harness import SOURCE_KEY, TARGET_KEY, Project

KEYS = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
ENCODINGS = ("cp437", "cp1252", "latin-1", "utf-8")
ODD_NAME = "Zoë … 測試 €"


@pytest.fixture
def odd_project(tmp_path: Path) -> Project:
    """A project in a folder whose name no old code page can spell."""
    start_project(tmp_path / ODD_NAME)
    project = Project(tmp_path / ODD_NAME)
    project.write()
    return project


def run_bytes(project: Project, *arguments: str, encoding: str) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of a command whose streams have that encoding."""
    env = {
        **os.environ,
        "PYTHONIOENCODING": encoding,
        "DATATRICS_API_KEY": "",
        "OCTOLIS_API_KEYS": "",
    }
    command = [sys.executable, "-m", "migrate", *arguments]
    done = subprocess.run(
        command, cwd=project.folder, env=env, capture_output=True, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_encoding_will_do(odd_project: Project, encoding: str) -> None:
    """Nothing crashes, what the encoding has is shown as it is, and what it lacks is spelt so that it can be read."""
    code, out, _ = run_bytes(odd_project, "check", encoding=encoding)
    assert code == 4
    line = next(line for line in out.decode(encoding).splitlines() if "GiB free" in line)
    shown = {
        "cp437": r"Zoë ... \u6e2c\u8a66 EUR",
        "cp1252": r"Zoë … \u6e2c\u8a66 €",
        "latin-1": r"Zoë ... \u6e2c\u8a66 EUR",
    }
    assert shown.get(encoding, ODD_NAME) in line
    code, _, err = run_bytes(odd_project, "--project", "…測.toml", "status", encoding=encoding)
    assert code == 5
    assert "there is no project file" in err.decode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_is_the_same_in_any_encoding(odd_project: Project, encoding: str) -> None:
    """What an encoding lacks is escaped as JSON does it: a program reads the same text."""
    _, out, _ = run_bytes(odd_project, "check", "--json", encoding=encoding)
    checks = json.loads(out.decode(encoding))["checks"]
    assert any(ODD_NAME in check["text"] for check in checks)


@given(st.characters())
def test_every_character_has_a_spelling(char: str) -> None:
    """In ASCII, one that JSON reads back, and nothing that a terminal obeys; lone halves of pairs as well."""
    assert json.loads(f'"{escaped(char)}"') == char
    assert escaped(char).isascii()
    if not char.isascii():
        assert plain(char).isascii()
        assert plain(char).isprintable()
        assert plain(char)


def test_streams_that_are_no_files_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """A caller may have put something else in place of stdout."""
    prepare_streams(as_json=True)
    sys.stdout.write("…")
    assert capsys.readouterr().out == "…"


@contextmanager
def on_a_terminal(columns: int) -> Iterator[tuple[int, list[bytes]]]:
    """The end of a pseudo-terminal to give to a process, and what it has written when the block is over."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(
        theirs,
        termios.TIOCSWINSZ,
        (24).to_bytes(2, sys.byteorder) + columns.to_bytes(2, sys.byteorder) + bytes(4),
    )
    pieces: list[bytes] = []

    def read() -> None:
        try:
            while piece := os.read(ours, 4096):
                pieces.append(piece)
        except OSError:
            return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield theirs, pieces
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)


def shown_on_a_terminal(
    project: Project, *arguments: str, columns: int = 80, **environ: str
) -> str:
    """What a command writes to a terminal."""
    unset = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NO_COLOR", "COLUMNS", "LINES")
    }
    with on_a_terminal(columns) as (terminal, pieces):
        forked.run_on_terminal(
            ["-m", "migrate", *arguments],
            project.folder,
            {**unset, **KEYS, "TERM": "xterm", **environ},
            terminal,
        )
    return b"".join(pieces).decode()


def test_colours_on_a_terminal_only(bare_project: Project) -> None:
    """On a terminal; not where they go to a file, nor with NO_COLOR, nor on a terminal that knows none; errors too."""
    for arguments in (("status",), ("--project", "none.toml", "status")):
        assert "\x1b[" in shown_on_a_terminal(bare_project, *arguments)
        assert "\x1b[" not in shown_on_a_terminal(bare_project, *arguments, NO_COLOR="1")
        assert "\x1b[" not in shown_on_a_terminal(bare_project, *arguments, TERM="dumb")
        done = bare_project.run(*arguments)
        assert "\x1b[" not in done.stdout + done.stderr


BARS = """
from migrate.cli.progress import Bars
bars = Bars()
bars.begin("read target interactions", total=1_234_567, unit="records", done=4_567)
bars.begin("profiles", total=None, unit="records")
import time; time.sleep(0.3)
bars.advance("read target interactions", 530_000)
bars.advance("profiles", 500)
bars.note("a note")
bars.end("profiles")
time.sleep(0.3)
bars.advance("read target interactions", 1)
"""


@pytest.mark.parametrize("columns", [80, 120])
def test_bars_fit_the_terminal(columns: int) -> None:
    """Amount, rate and time left are on one line, whole; a list whose end is not known has no share."""
    with on_a_terminal(columns) as (terminal, pieces):
        env = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        subprocess.run(
            [sys.executable, "-c", BARS],
            env={**env, "TERM": "xterm"},
            stdin=terminal,
            stderr=terminal,
            check=True,
        )
    lines = b"".join(pieces).decode().replace("\x1b[A", "\n").replace("\r", "\n").split("\n")
    assert max(map(len, lines)) <= columns
    text = "\n".join(lines)
    assert "  a note" in [line.rstrip() for line in lines]
    assert "  profiles                  500 records" in text
    last = [line for line in lines if "534,568" in line][-1]
    assert ("534,568 of 1,234,567 records" if columns == 120 else "534,568/1,234,567") in last
    assert "/s" in last
    assert re.search(" left" if columns == 120 else r" \d\d:\d\d", last)


ENDS = """
import itertools, sys
from migrate.cli.app import App, CommandOutcome
from migrate.cli.streams import say
tasks = ("profiles", "sales", "interactions")
for order in itertools.permutations(tasks):
    for ended in range(4):
        progress = App().progress()
        for task in tasks:
            progress.begin(task, total=100, unit="records")
            progress.advance(task, 50)
        for task in order[:ended]:
            progress.end(task)
        say("RESULT", err=ended % 2 == 0)
        if ended == 0:
            progress.note("RESULT")
        try:
            App().finish(CommandOutcome("x", "RESULT"))
        except Exception:
            pass
"""


def columns_of(word: str, written: str) -> list[int]:
    """In which column a terminal shows each of a word."""
    found, column = [], 0
    for piece in re.split(rf"({word}|\r|\n|\x1b\[[\d;]*[A-Za-z])", written):
        if piece == word:
            found.append(column)
        if piece in ("\r", "\n"):
            column = 0
        elif not piece.startswith("\x1b"):
            column += len(piece)
    return found


def test_what_is_printed_begins_a_line() -> None:
    """Whichever bars are on the screen, and in whatever order tasks ended, or where an error cut them short."""
    with on_a_terminal(80) as (terminal, pieces):
        env = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        subprocess.run(
            [sys.executable, "-c", ENDS],
            env={**env, "TERM": "xterm"},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            check=True,
        )
    columns = columns_of("RESULT", b"".join(pieces).decode())
    assert len(columns) == 6 * (4 * 2 + 1)
    assert set(columns) == {0, 2}, columns
    assert columns.count(2) == 6  # a note stands two blanks in


class Clock:
    """A clock that moves when it is told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_heartbeat_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """A line every 15 seconds with rate and time left, one at the end; an earlier run counts for no rate."""
    clock = Clock()
    beat = Heartbeat(clock)
    beat.begin("profiles", total=None, unit="records", done=1_000)
    for _ in range(40):
        clock.now += 1
        beat.advance("profiles", 100, total=11_000)
    beat.note("a \x1b[31mnote")
    beat.end("profiles")
    beat.end("never begun")
    beat.advance("never begun", 1)
    assert capsys.readouterr().err.splitlines() == [
        "  profiles: 2,500 of 11,000 records in 15 s, 100/s, 1 min 25 s left",
        "  profiles: 4,000 of 11,000 records in 30 s, 100/s, 1 min 10 s left",
        "  a \\u001b[31mnote",
        "  profiles: 5,000 of 11,000 records in 40 s, 100/s",
    ]


@given(st.integers(0, 10**9), st.none() | st.integers(0, 10**9), st.floats(0, 10**9))
def test_the_time_left_is_said_only_when_it_is_known(
    done: int, total: int | None, rate: float
) -> None:
    """No total, no rate, or more than announced: nothing rather than nonsense."""
    text = time_left(done, total, rate)
    assert bool(text) == bool(total and rate > 0 and total >= done)
    assert "-" not in text
