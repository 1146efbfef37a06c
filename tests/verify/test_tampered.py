"""Whatever is done to a file of the project, a command ends with an exit code of the contract, never a traceback."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import settings

from migrate import parquet
from migrate.cli import main as command_line
from migrate.cli.app import App
from migrate.sandbox.serve import Sandbox
from migrate.shapes import shape_of

from .conftest import SOURCE_KEY, TARGET_KEY, Migrated, sandbox_settings
from .tampering import Tampering, of_bytes, of_database, of_json, of_parquet

pytestmark = pytest.mark.end_to_end

EXIT_CODES = {0, 2, 3, 4, 5, 6, 7, 8, 130}
LONGEST_S = 120.0
_HOW_MANY = settings.default.max_examples // 8
"""Of thousands; the nightly profile has as many as there are."""
ERASE = ("purge", "--subject", "person1@example.test", "--yes")
READERS: dict[str, list[tuple[str, ...]]] = {
    "migration/ledger": [
        ("status",), ("history",), ("diff",), ("load",), ("rejects", "list"), ("reconcile",), ("undo", "plan"),
        ("evidence",), ("trace", "profiles", "p1"), ("support", "--out", "s.zip"), ERASE, ("purge", "--yes"),
    ],
    "migration/snapshots": [
        ("status",), ("inspect",), ("trace", "profiles", "p1"), ("plan", "--offline"), ("reconcile", "--deep"),
        ("extract",), ERASE, ("purge", "--yes"),
    ],
    "migration/plans": [
        ("status",), ("diff",), ("load",), ("rejects", "list"), ("rejects", "replay"), ("reconcile", "--deep"),
        ("undo", "plan"), ("evidence",), ("trace", "profiles", "p1"), ERASE, ("purge", "--yes"),
    ],
    "migration/": [
        ("status",), ("evidence", "--verify", "ARCHIVE"), ("diff", "--html", "x.html"), ("rejects", "list"),
        ("support", "--out", "s.zip"), ERASE, ("purge", "--yes"),
    ],
    "mappings": [("mapping", "check"), ("plan", "--offline"), ("status",), ERASE],
    "": [("status",), ("check",), ("plan", "--offline")],
}  # fmt: skip
"""By where a file lies, the commands that read it."""


def run_here(folder: Path, *arguments: str) -> tuple[int | str, str, str]:
    """The command in this process: its exit code, or the traceback of a bug; stdout; stderr."""
    out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
    app = App(as_json="--json" in arguments)
    words = mock.patch.object(sys, "argv", ["migrate", *arguments])
    os.chdir(folder)
    try:
        with words, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = command_line._call(app)
            app.end_record(code)
            return code, out.getvalue(), err.getvalue()
    except Exception:  # noqa: BLE001  # any error here is what is looked for
        return traceback.format_exc(), out.getvalue(), err.getvalue()
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def kept(migrated: Migrated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished migration with its lists and archives, to be copied; its sandbox runs."""
    folder = tmp_path_factory.mktemp("kept")
    shutil.copytree(migrated.context.project.workspace.parent, folder / "project")
    memory = shutil.copy(migrated.memory, folder / "memory.sqlite")
    keys = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
    target = sandbox_settings(Path(memory), folder / "project" / "mappings", migrated.port)
    before = os.umask(0o077)
    try:
        with mock.patch.dict(os.environ, keys), Sandbox(target):
            for command in ("rejects list", "rejects export", "evidence", "undo plan"):
                assert run_here(folder / "project", *command.split())[0] in EXIT_CODES
            yield folder / "project"
    finally:
        os.umask(before)


def tamperings(project: Path) -> list[tuple[str, str, Tampering]]:
    """Every file of every kind, and every way to spoil it, in an order that is the same each time."""
    found = []
    for file in sorted(path for path in project.rglob("*") if path.is_file()):
        if file.suffix in (".lock", ".holder"):
            continue
        ways = list(of_bytes().items())
        ways += of_json(file) if file.suffix == ".json" and "schema" not in file.name else []
        ways += of_database(file) if file.suffix == ".sqlite" else []
        ways += of_parquet(file) if file.suffix == ".parquet" else []
        name = file.relative_to(project).as_posix()
        found += [(name, what, tamper) for what, tamper in ways]
    random.Random("tampered").shuffle(found)  # repeatable, not secret
    return found


def kind_of(name: str, what: str) -> tuple[str, str]:
    """Files of one kind differ by dates, datasets and resources; ways of one kind by the value put in."""
    return re.sub(r"\d{8}-\d{6}|contacts|order_items|orders|interactions|sales", "*", name), what


def test_every_file_of_rows_is_as_its_kind_has_to_be(kept: Path) -> None:
    """What the tool writes is what it says that it writes, and nothing of it is of no known kind."""
    files = list((kept / "migration").rglob("*.parquet"))
    assert len(files) > 20
    assert [file for file in files if shape_of(file) is None] == []
    for file in files:
        parquet.check_whole(file)


def test_no_tampering_ends_in_a_traceback(kept: Path, tmp_path: Path) -> None:
    """A different file each time: each kind once before any comes twice."""
    seen: set[tuple[str, str]] = set()
    failures: list[str] = []
    for name, what, tamper in tamperings(kept):
        if kind_of(name, what) in seen:
            continue
        seen.add(kind_of(name, what))
        if len(seen) > _HOW_MANY:
            break
        folder = tmp_path / "project"
        shutil.copytree(kept, folder)
        tamper(folder / name)
        failures += [f"{name}, {what}: {failure}" for failure in run_readers(folder, name)]
        shutil.rmtree(folder)
    assert not failures, "\n".join(failures)


def run_readers(folder: Path, name: str) -> Iterator[str]:
    """What went wrong as the commands read a file."""
    commands = next(some for place, some in READERS.items() if name.startswith(place))
    archives = list(folder.glob("migration/reports/*-evidence.zip"))
    for command in commands:
        words = [str(archives[0]) if word == "ARCHIVE" else word for word in command]
        started = time.monotonic()
        code, out, err = run_here(folder, *words, "--json", "-q")
        said = f"{' '.join(command)}: {str(code)[-600:]} {err[-300:]}"
        if code not in EXIT_CODES or "Traceback" in err:
            yield said
        elif time.monotonic() - started > LONGEST_S:
            yield f"{said} took too long"
        elif json.loads(out)["exit_code"] != code or "\x1b" in out + err or "\u202e" in out + err:
            yield f"{said} {out[-300:]!r}"
