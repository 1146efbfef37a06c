"""Rules for macOS and Windows that can be checked on Linux."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrate import workspace as workspace_module
from migrate.workspace import Workspace, entry_of, is_name, new_name, sync_folder, write_json

ROOT = Path(__file__).parents[2]
SOURCES = sorted(ROOT.glob("migrate/**/*.py"))
UNIX_ONLY = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog"}
FORBIDDEN = re.compile(r'[<>:"\\|?*\x00-\x1f]|[. ]$')
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
WRITES = {"write_text": 1, "open": 0, "fdopen": 1}


def calls(path: Path) -> Iterator[ast.Call]:
    """Every call in a file."""
    return (
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    )


def writes_text(call: ast.Call) -> bool:
    """Whether a call writes text to a file."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "write_text":
        return True
    values = [*call.args, *(word.value for word in call.keywords if word.arg == "mode")]
    modes = [
        value.value
        for value in values
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    ]
    return name in ("open", "fdopen") and any(re.fullmatch(r"[wax]\+?t?", mode) for mode in modes)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_text_is_written_as_utf_8_with_plain_line_ends(path: Path) -> None:
    """Windows would write another encoding and other line ends, and hashes would differ."""
    for call in filter(writes_text, calls(path)):
        given = {word.arg: word.value for word in call.keywords}
        place = f"{path.name}:{call.lineno}"
        assert "encoding" in given, place
        newline = given.get("newline")
        assert isinstance(newline, ast.Constant), place
        assert newline.value in ("\n", ""), place


def test_a_careless_write_would_be_found(tmp_path: Path) -> None:
    """The rule above knows a write when it sees one."""
    careless = tmp_path / "careless.py"
    careless.write_text(
        'p.write_text("x")\nopen(p, "w")\np.open("x")\np.open("rb")\nopen(p)\n', encoding="utf-8"
    )
    assert [call.lineno for call in calls(careless) if writes_text(call)] == [1, 2, 3]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_needs_what_only_unix_has(path: Path) -> None:
    """No module of Unix alone is imported, and a signal that Windows lacks only behind a question."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    imported |= {
        (node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    }
    assert imported & UNIX_ONLY == set()
    text = path.read_text(encoding="utf-8")
    for name in ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGWINCH"):
        assert f"signal.{name}" not in text or f'hasattr(signal, "{name}")' in text, name
    assert "os.fork" not in text


def test_every_file_of_the_repository_can_be_on_every_system() -> None:
    """No name that Windows forbids, and no two that differ by case alone."""
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    parts = {part for name in names for part in name.split("/")}
    assert [part for part in parts if FORBIDDEN.search(part) or RESERVED.fullmatch(part)] == []
    assert [
        name for name, count in Counter(name.lower() for name in names).items() if count > 1
    ] == []
    assert max(map(len, names)) < 120


@pytest.mark.parametrize(
    "name", ["a:b", "a\\b", "nul", "NUL.txt", "com1", "a.", "a ", "", "..", "a/b", "é"]
)
def test_a_name_that_some_system_refuses_is_refused(name: str) -> None:
    """A workspace can be carried to another machine."""
    assert not is_name(name)


def test_a_name_that_differs_by_case_is_taken_where_the_system_says_so() -> None:
    """Whether a name is free is asked of the file system, which may not know upper from lower case."""
    from datetime import UTC, datetime

    taken = {"20260101-000000", "20260101-000000-2"}
    assert (
        new_name(datetime(2026, 1, 1, tzinfo=UTC), lambda name: name.lower() in taken)
        == "20260101-000000-3"
    )
    assert is_name("20260101-000000-3")


def test_manifests_name_files_with_slashes(tmp_path: Path) -> None:
    """Whatever the system's own separator is."""
    write_json(tmp_path / "a" / "b.json", {"é": 1})
    entry = entry_of(tmp_path / "a" / "b.json", tmp_path, 1)
    assert entry.path == "a/b.json"
    assert (tmp_path / "a" / "b.json").read_bytes() == '{\n  "é": 1\n}\n'.encode()


def test_a_folder_is_not_flushed_where_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows cannot open a folder as a file; the rename alone has to do."""

    def refuse(*_words: object) -> int:
        raise PermissionError("a folder is no file")

    monkeypatch.setattr(workspace_module.os, "open", refuse)
    with pytest.raises(PermissionError):
        sync_folder(tmp_path)
    monkeypatch.setattr(workspace_module.os, "name", "nt")
    sync_folder(tmp_path)


def test_the_workspace_makes_only_legal_names(tmp_path: Path) -> None:
    """The names of its own files and folders."""
    place = Workspace(tmp_path)
    own = (place.snapshots, place.plans, place.ledger, place.exports, place.reports, place.log)
    assert not [
        path.name for path in own if FORBIDDEN.search(path.name) or RESERVED.fullmatch(path.name)
    ]
    assert os.sep == "/" or tmp_path.drive
