"""Names, atomic files and the lock."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import Locked, UsageError, WorkspaceError
from migrate.workspace import Workspace, check_name, new_name, replacing, write_json

HOLD = """
import sys, pathlib
from migrate.workspace import Workspace
with Workspace(pathlib.Path(sys.argv[1])).lock(pathlib.Path(sys.argv[1]) / "x.lock", "the thing"):
    print("held", flush=True)
    sys.stdin.read()
"""


@given(st.text(max_size=120))
def test_a_name_never_leaves_its_folder(name: str) -> None:
    """Whatever passes is one plain path component, short and not reserved anywhere."""
    try:
        checked = check_name(name, "snapshot")
    except UsageError:
        return
    assert Path("a", checked).parent == Path("a")
    assert checked.isascii()
    assert len(checked) <= 100
    assert checked.split(".")[0].lower() not in ("con", "nul", "aux", "prn")


@pytest.mark.parametrize(
    "name",
    ["../x", "/x", "a/b", "", ".", "..", ".hidden", "CON", "nul.txt", "x" * 101, "a\0b", "a."],
)
def test_dangerous_names_are_refused(name: str) -> None:
    """Traversal, absolute paths, reserved names, NUL, length."""
    with pytest.raises(UsageError):
        check_name(name, "plan")


def test_new_names_sort_by_age_and_are_free() -> None:
    """Two in one second get different names."""
    now = datetime(2026, 11, 21, 21, 5, 51, tzinfo=UTC)
    taken: set[str] = set()
    for _ in range(3):
        taken.add(new_name(now, taken.__contains__))
    assert taken == {"20261121-210551", "20261121-210551-2", "20261121-210551-3"}


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    """A writer that fails half way leaves the old file and no litter."""
    file = tmp_path / "x.json"
    write_json(file, {"old": 1})
    with pytest.raises(ZeroDivisionError), replacing(file) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert json.loads(file.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [file]


class EngineError(Exception):
    """An error of a library that writes files itself."""


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        EngineError("parquet: IO error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_one_clear_error(tmp_path: Path, error: Exception) -> None:
    """Whoever writes: the file is named, the old one stays, nothing is left beside it."""
    file = tmp_path / "x.json"
    write_json(file, {"old": 1})
    with pytest.raises(WorkspaceError, match=r"x\.json cannot be written: No space left on device"):  # noqa: SIM117
        with replacing(file) as temporary:
            temporary.write_text("half")
            raise error
    assert list(tmp_path.iterdir()) == [file]


def test_a_second_process_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    """Host, pid and start are named; when the holder dies by SIGKILL the lock is free at once."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    workspace = Workspace(tmp_path)
    with (
        pytest.raises(Locked, match=f"process {holder.pid} on host"),
        workspace.lock(tmp_path / "x.lock", "the thing"),
    ):
        pass
    holder.kill()
    holder.communicate()
    with workspace.lock(tmp_path / "x.lock", "the thing"):
        pass


def test_a_lock_left_by_another_host_is_broken_only_by_force(tmp_path: Path) -> None:
    """From here nobody can tell whether that process lives."""
    workspace = Workspace(tmp_path)
    (tmp_path / "x.holder").write_text(
        json.dumps({"host": "elsewhere", "pid": 1, "started": "then"})
    )
    with (
        pytest.raises(Locked, match="elsewhere") as caught,
        workspace.lock(tmp_path / "x.lock", "the thing"),
    ):
        pass
    assert "--force-unlock" in str(caught.value.hint)
    with workspace.lock(tmp_path / "x.lock", "the thing", force=True):
        pass
    with workspace.lock(tmp_path / "x.lock", "the thing"):
        pass


def test_a_refusal_leaves_the_other_hosts_mark(tmp_path: Path) -> None:
    """In containers every process is number 1: one that was refused must not take the other's mark away."""
    workspace = Workspace(tmp_path)
    mark = json.dumps({"host": "elsewhere", "pid": os.getpid(), "started": "then"})
    (tmp_path / "x.holder").write_text(mark)
    for _ in range(2):
        with (
            pytest.raises(Locked, match="elsewhere"),
            workspace.lock(tmp_path / "x.lock", "the thing"),
        ):
            pass
    assert (tmp_path / "x.holder").read_text() == mark
    with workspace.lock(tmp_path / "x.lock", "the thing", force=True):
        (tmp_path / "x.holder").write_text(mark)  # broken by force over there
    assert (tmp_path / "x.holder").read_text() == mark
    with workspace.lock(tmp_path / "x.lock", "the thing", force=True):
        pass
    assert not (tmp_path / "x.holder").exists()


def test_an_unwritable_workspace_is_refused(tmp_path: Path) -> None:
    """A file in the way is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        Workspace(tmp_path / "file" / "migration").create()


def test_names_are_listed_oldest_first(tmp_path: Path) -> None:
    """By when they were begun, not by name; hidden and foreign folders are passed over."""
    workspace = Workspace(tmp_path)
    for name in ("zebra", "apple", ".hidden", "not a name"):
        (workspace.snapshots / name).mkdir(parents=True)
        (workspace.snapshots / name / "begun.json").write_text("{}")
    assert set(workspace.names(workspace.snapshots)) == {"zebra", "apple"}
    assert workspace.names(workspace.plans) == []


def test_what_was_begun_last_is_newest_whatever_its_files_say(tmp_path: Path) -> None:
    """A copy, a backup or a resumed plan gives files new times; what begun.json says stays. Without it files count."""
    workspace = Workspace(tmp_path)
    times = {
        "late": "2026-11-22T05:00:00+01:00",
        "early": "2026-11-22T03:00:00+00:00",
        "odd": None,
        "broken": "{",
    }
    for number, (name, started) in enumerate(times.items()):
        marker = workspace.plans / name / "begun.json"
        marker.parent.mkdir(parents=True)
        marker.write_text("{" if started == "{" else json.dumps({"started": started}))
        os.utime(marker, (number + 1, number + 1))
    assert workspace.names(workspace.plans) == ["odd", "broken", "early", "late"]
    (workspace.plans / "late" / "begun.json").write_text(
        json.dumps({"started": "2026-11-22T02:59:59+00:00"})
    )
    assert workspace.names(workspace.plans)[-2:] == ["late", "early"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP])
def test_a_file_system_without_locks(tmp_path, monkeypatch, number):
    """It is said so, with a way on; who is sure goes on with --force-unlock."""
    fcntl = pytest.importorskip("fcntl")

    def flock(_file, _how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    workspace = Workspace(tmp_path)
    with (
        pytest.raises(WorkspaceError, match="the file system knows no locks") as caught,
        workspace.lock(tmp_path / "ledger.lock", "the ledger"),
    ):
        pass
    assert "--force-unlock" in str(caught.value.hint)
    workspace.forces_unlock = True
    with workspace.lock(tmp_path / "ledger.lock", "the ledger"):
        pass


def test_the_lock_of_a_container_that_is_gone(tmp_path):
    """Another host's name: refused with the option's name, and broken with it."""
    (tmp_path / "ledger.holder").write_text('{"host": "c0ffee", "pid": 1, "started": "then"}')
    workspace = Workspace(tmp_path)
    with (
        pytest.raises(Locked, match="c0ffee") as caught,
        workspace.lock(tmp_path / "ledger.lock", "the ledger"),
    ):
        pass
    assert "--force-unlock" in str(caught.value.hint)
    workspace.forces_unlock = True
    with workspace.lock(tmp_path / "ledger.lock", "the ledger"):
        pass
    assert not (tmp_path / "ledger.holder").exists()
