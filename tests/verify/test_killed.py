"""Purge, erasure and evidence killed at any step: the same command again does all of it, and nothing lies open."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import settings

from migrate.config import load_project
from migrate.verify.purge import personal_files
from tests.forked import run

from .conftest import make_job
from .test_erasure import KEYS, files_of, import_and_plan, rows_left

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(sys.platform == "win32", reason="modes are others there"),
]
PROGRAM = str(Path(__file__).with_name("killed_process.py"))
ADDRESS = "a@example.test"
COMMANDS = {
    "erase": ("purge", "--subject", ADDRESS, "--yes"),
    "purge": ("purge", "--yes"),
    "evidence": ("evidence",),
}
_KILLED = 137
_STEPS = settings.default.max_examples // 7
"""Of each command; as many as there is time for, spread over all of its acts on the disk."""


def call(folder: Path, act: int, *arguments: str) -> tuple[int, str]:
    """The command, killed at an act, or not at all for 0: its exit code, and what it printed."""
    environ = {**os.environ, **KEYS}
    done = run([PROGRAM, str(act), *arguments, "--json", "-q"], folder, environ, 120)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a snapshot, a plan, lists and a report, to be copied."""
    folder = tmp_path_factory.mktemp("prepared")
    before = os.umask(0o077)
    try:
        import_and_plan(folder / "p", files_of(folder / "f", "p-1717", ADDRESS))
    finally:
        os.umask(before)
    report = folder / "p" / "migration" / "reports" / "20260101-000000-run.html"
    report.parent.mkdir(mode=0o700, exist_ok=True)
    report.touch(0o600)
    report.write_text(f"<td>{ADDRESS}</td>")
    return folder / "p"


@pytest.mark.parametrize("command", COMMANDS)
def test_killed_at_any_step_it_goes_on(prepared: Path, tmp_path: Path, command: str) -> None:
    """The first call is gone in the middle; the second ends with 0, and what it should do is done."""
    acts = count_acts(prepared, tmp_path / "counting", command)
    assert acts > 5
    steps = sorted({1 + round(at * (acts - 1) / (_STEPS - 1)) for at in range(_STEPS)})
    for act in steps:
        folder = tmp_path / f"at-{act}"
        shutil.copytree(prepared, folder)
        assert call(folder, act, *COMMANDS[command])[0] == _KILLED, act
        check_modes(folder / "migration")
        code, printed = call(folder, 0, *COMMANDS[command])
        assert code == 0, (act, printed)
        check_done(folder, command)
        check_modes(folder / "migration")
        shutil.rmtree(folder)


def count_acts(prepared: Path, folder: Path, command: str) -> int:
    """How often the command acts on the disk: the first act at which it is not killed, by halving."""
    least, most = 1, 1_024
    while least < most:
        act = (least + most) // 2
        shutil.copytree(prepared, folder)
        is_killed = call(folder, act, *COMMANDS[command])[0] == _KILLED
        least, most = (act + 1, most) if is_killed else (least, act)
        shutil.rmtree(folder)
    return least - 1


def check_done(folder: Path, command: str) -> None:
    """What the command is for."""
    context = make_job(load_project(folder / "migrate.toml", KEYS))
    root = context.workspace.root
    match command:
        case "erase":
            assert rows_left(context, ADDRESS) == rows_left(context, "p-1717") == {}
            assert not list(root.glob(".erasing-*"))
            [part] = root.glob("snapshots/*/profiles/part-*.parquet")
            assert pl.read_parquet(part).height == 3
        case "purge":
            left, left_alone = personal_files(context.workspace)
            # the log of the very command, which names nobody
            assert {file.parent.name for file in left} <= {"log"}
            assert left_alone == []
            records = json.loads((root / "purged.json").read_bytes())
            gone = {entry["path"] for record in records for entry in record["files"]}
            assert {"reports/20260101-000000-run.html"} < gone
            assert [name for name in gone if name.endswith("profiles/part-00001.parquet")]
        case "evidence":
            [archive] = root.glob("reports/*-evidence.zip")
            assert call(folder, 0, "evidence", "--verify", str(archive))[0] == 0


def check_modes(root: Path) -> None:
    """Nobody else may read what a crash leaves."""
    for path in (root, *root.rglob("*")):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.lstat().st_mode) == wanted, path
