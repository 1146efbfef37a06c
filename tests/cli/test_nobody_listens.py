"""A closed, full or vanished stdout, stderr or log: what a command does, and its exit code, stay the same."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from migrate.app.pipeline import run_extract, run_plan
from migrate.cli.app import App
from migrate.cli.logs import open_log
from migrate.cli.streams import ForgivingOutput
from migrate.config import load_project
from migrate.privacy.secrets import Secrets
from migrate.project import start_project
from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings
from tests.harness import SOURCE_KEY, TARGET_KEY, Project, wait_until
from tests.verify.conftest import make_job

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


MAPPING = """
version: 1
dataset: people
resource: profiles
key: [key]
columns:
  key: {{from: id, type: text}}
  pad: {{value: "{pad}", type: text}}
"""


@pytest.fixture
def planned(tmp_path: Path) -> Iterator[Project]:
    """A project with a plan of twenty records, each of which is a batch of its own."""
    folder = tmp_path / "project"
    start_project(folder)
    for file in (folder / "mappings").glob("*.yaml"):
        file.unlink()
    (folder / "mappings" / "people.yaml").write_text(MAPPING.format(pad="x" * 6_000))
    settings = SandboxSettings(
        mappings=folder / "mappings", datatrics_key=SOURCE_KEY, octolis_keys=(TARGET_KEY,),
        limits=Limits(enforce=False),
    )  # fmt: skip
    with Sandbox(settings) as box:
        project = Project(folder, box)
        project.write(
            datasets='people = "people"', octolis="batch_bytes = 10000\nlimit_speed = 999"
        )
        people = [{"source": "Shop", "profileid": str(n)} for n in range(20)]
        httpx.post(f"{box.url}/_sandbox/records/profiles", json=people).raise_for_status()
        keys = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
        context = make_job(load_project(folder / "migrate.toml", keys))
        run_extract(context, ["profiles"])
        run_plan(context)
        yield project


@pytest.mark.skipif(not FULL.exists(), reason="this system has no full device")
@pytest.mark.parametrize(
    "words",
    [
        "migrate --json load 2>/dev/full",
        "migrate load >/dev/full 2>/dev/full",
        "migrate load >&- 2>&-",
        "(migrate load; echo $? >code) 2>&1 | head -c 1",
        "rm -rf migration/log; touch migration/log; migrate load",
    ],
)
def test_a_whole_load_that_nobody_listens_to(planned, monkeypatch, words):
    """Everything is loaded, each record once, and the exit code is that of a load that is done."""
    monkeypatch.setenv("DATATRICS_API_KEY", SOURCE_KEY)
    monkeypatch.setenv("OCTOLIS_API_KEYS", TARGET_KEY)
    done = shell(planned, words)
    code = planned.folder / "code"
    assert (int(code.read_text()) if code.exists() else done.returncode) == 0, done.stderr
    assert "Traceback" not in done.stderr
    state = planned.state()
    assert state["datasets"]["people"]["count"] == 20
    assert state["requests"]["octolis"]["batch"] == {"200": 20}
    if "--json" in words:
        assert json.loads(done.stdout)["datasets"]["people"]["written"] == 20


def test_a_terminal_that_vanishes(planned, monkeypatch):
    """With `nohup` a load outlives its terminal, though what it would print has nowhere to go."""
    monkeypatch.setenv("DATATRICS_API_KEY", SOURCE_KEY)
    monkeypatch.setenv("OCTOLIS_API_KEYS", TARGET_KEY)
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"trap '' HUP; exec {sys.executable} -m migrate load"],
        cwd=planned.folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    wait_until(lambda: "batch" in planned.state()["requests"].get("octolis", {}))
    os.close(ours)
    assert process.wait(120) == 0
    assert planned.state()["datasets"]["people"]["count"] == 20
