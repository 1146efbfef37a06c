"""A closed, full or vanished stdout, stderr or log: what a command does, and its exit code, stay the same."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from migrate.cli.app import App
from migrate.cli.logs import open_log
from migrate.cli.streams import ForgivingOutput
from migrate.privacy.secrets import Secrets

FULL = Path("/dev/full")


def shell(project, words: str) -> subprocess.CompletedProcess[str]:
    """The words given to a shell in the project's folder, `migrate` being this tree's."""
    command = f"{sys.executable} -m migrate"
    return subprocess.run(
        ["/bin/sh", "-c", words.replace("migrate", command)],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("error", [errno.EPIPE, errno.EIO, errno.EBADF, errno.ENOSPC])
def test_what_nobody_takes_is_dropped(error, monkeypatch):
    """All of it counts as written; a full disk is tried again, what is gone is not."""
    asked: list[int] = []

    def write(_number, data):
        asked.append(len(data))
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "write", write)
    stream = io.TextIOWrapper(
        io.BufferedWriter(ForgivingOutput(1)), encoding="utf-8", write_through=True
    )
    for _ in range(3):
        stream.write("text\n")
        stream.flush()
    assert len(asked) == (3 if error == errno.ENOSPC else 1)


def test_a_reader_that_went_away():
    """The first write after it finds a broken pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    output = ForgivingOutput(writing)
    assert output.write(b"x" * 100) == 100
    assert not output.isatty()
    os.close(writing)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no full device")
@pytest.mark.parametrize(
    ("redirection", "is_told"),
    [
        ("2>/dev/full", True),
        ("2>&-", True),
        (">/dev/full", False),
        (">&-", False),
        (">&- 2>&-", False),
    ],
)
def test_a_command_ends_as_it_would(bare_project, redirection, is_told):
    """The exit code is the command's; what the other stream takes is printed, and nothing else but that."""
    done = shell(bare_project, f"migrate --json status {redirection}")
    assert done.returncode == 0, done.stderr
    assert ('"command": "status"' in done.stdout) is is_told
    assert "Traceback" not in done.stderr
    wrong = shell(bare_project, f"migrate load --plan nope {redirection}")
    assert wrong.returncode == 7
    assert "Traceback" not in wrong.stderr


def test_a_pipe_that_ends_early(bare_project):
    """`| head` takes what it wants."""
    done = shell(bare_project, "(migrate load --help; echo $? >code) | head -1")
    assert (done.stderr, (bare_project.folder / "code").read_text()) == ("", "0\n")


def test_closed_numbers_are_never_a_files(bare_project):
    """A file that is opened after them must not get what is printed."""
    done = shell(bare_project, "migrate status >&- 2>&- <&-")
    assert done.returncode == 0
    files = [file for file in bare_project.folder.rglob("*") if file.is_file()]
    assert not [file for file in files if b"no snapshot, no plan" in file.read_bytes()]


def test_a_log_that_cannot_be_opened(tmp_path, capsys):
    """The message that was to be logged is dropped, and no traceback is printed in its place."""
    (tmp_path / "log").write_text("a file, where the folder should be")
    open_log(tmp_path / "log", Secrets(), verbose=False)
    logging.getLogger("migrate.test").error("something")
    assert capsys.readouterr().err == ""


def test_nohup_is_obeyed():
    """Who lets a load outlive its terminal has SIGHUP ignored, and it stays so."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with App().interruptible():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_every_command_of_a_workspace_can_break_a_lock():
    """The hint names --force-unlock, so each command that may meet a lock takes it."""
    from migrate.cli.main import cli

    without = {"init", "demo", "sandbox", "completion"}
    context = cli.make_context("migrate", [], resilient_parsing=True)
    for name in set(cli.list_commands(context)) - without:
        command = cli.get_command(context, name)
        for one in getattr(command, "commands", {name: command}).values():
            assert any("--force-unlock" in option.opts for option in one.params), (name, one.name)


def test_a_demo_that_cannot_be_written(bare_project):
    """Exit code 7 and what to do, before anything is begun."""
    (bare_project.folder / "file").write_text("")
    done = bare_project.run("demo", "--dir", "file/below")
    assert done.code == 7, done.stderr
    assert "cannot be written to" in done.stderr
    assert "--dir" in done.stderr
