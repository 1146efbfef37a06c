"""What leads out of the workspace is followed by no command, and a purge takes only what is the tool's own."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrate.app.erasure_files import makeshift_folders
from migrate.errors import WorkspaceError
from migrate.plain_file import read_plain
from migrate.privacy.own import (
    check_links,
    forget_rehearsal,
    is_kept,
    is_own,
    mark_rehearsal,
)
from migrate.privacy.written import note_written
from migrate.verify.purge import personal_files
from migrate.workspace import Workspace
from tests.harness import Project

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are others there")
COMMANDS = (
    "status", "extract", "inspect", "plan --offline", "diff", "load", "reconcile", "purge --yes",
    "purge --subject jan@example.com --yes", "evidence", "undo plan", "rejects list", "support",
)  # fmt: skip


def make_workspace(folder: Path) -> Workspace:
    """A workspace with one file of each kind."""
    workspace = Workspace(folder)
    for name in (
        "snapshots/20260101-000000/profiles/part-00001.parquet",
        "snapshots/20260101-000000/manifest.json",
        "plans/20260101-000000/contacts/records.parquet",
        "plans/20260101-000000/plan.json",
        "exports/20260101-000000/crosswalk-contacts.parquet",
        "exports/20260101-000000/rejects-permanent.csv",
        "reports/20260101-000000-run.html",
        "reports/20260101-000000-run.json",
        "log/20260101.jsonl",
        "salt",
    ):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
    return workspace


FOREIGN = (
    "exports/taxes/2025.pdf", "reports/taxes.pdf", "reports/notes.html", "exports/2025.csv", "log/notes.txt",
    "plans/notes.txt", "snapshots/family.jpg", "snapshots/2025/profiles.csv", "plans/x/y/z/photo.parquet.bak",
    "undo/letter.docx", "reports/20260101-000000-run.html.bak", "reports/holiday-run.html",
    "exports/20260101-000000/rejects-of-mine.xlsx", "exports/20260101-000000/undo-letter.csv",
    "exports/2025/rejects-permanent.csv", "exports/trip/crosswalk-of-mine.parquet", "rehearsal/concert/score.pdf",
)  # fmt: skip


def test_a_purge_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    """Somebody's own files in the workspace's folders are named, and stay as they are."""
    workspace = make_workspace(tmp_path / "w")
    for name in (*FOREIGN, "Documents/taxes/2025.pdf", "2025.pdf", "corrections.docx"):
        file = workspace.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
    files, left_alone = personal_files(workspace)
    names = {file.relative_to(workspace.root).as_posix() for file in files}
    assert sorted(left_alone) == sorted(FOREIGN)
    assert not names & set(FOREIGN)
    assert {"salt", "log/20260101.jsonl", "reports/20260101-000000-run.html"} <= names
    assert not [
        name for name in names if name.endswith(("plan.json", "manifest.json", "-run.json"))
    ]


def test_a_folder_called_rehearsal_is_the_tools_only_with_its_mark(tmp_path: Path) -> None:
    """A rehearsal begins in no folder that holds somebody's files, and an erasure and a purge leave those alone."""
    workspace = make_workspace(tmp_path / "w")
    score = workspace.root / "rehearsal" / "score.pdf"
    score.parent.mkdir()
    score.write_text("mine")
    with pytest.raises(WorkspaceError, match="no rehearsal has put there"):
        mark_rehearsal(workspace.root)
    assert list(makeshift_folders(workspace)) == []
    assert not forget_rehearsal(workspace.root)
    assert score.read_text() == "mine"
    score.unlink()
    folder = mark_rehearsal(workspace.root)
    (folder / "sandbox.sqlite").write_text("a person")
    assert list(makeshift_folders(workspace)) == [folder]
    assert folder / "sandbox.sqlite" in personal_files(workspace)[0]
    assert mark_rehearsal(workspace.root) == folder
    assert not (folder / "sandbox.sqlite").exists()
    assert forget_rehearsal(workspace.root)
    assert not folder.exists()


def test_a_report_of_a_plan_with_a_name_of_its_own_goes(tmp_path: Path) -> None:
    """`--plan trial` gives `trial-run.html`, which is the tool's own for as long as there is such a plan."""
    workspace = make_workspace(tmp_path / "w")
    page = workspace.reports / "trial-run.html"
    page.write_text("page")
    assert personal_files(workspace)[1] == ["reports/trial-run.html"]
    (workspace.plans / "trial").mkdir()
    (workspace.plans / "trial" / "plan.json").write_text("{}")
    assert page in personal_files(workspace)[0]


def test_what_was_written_where_somebody_wished_is_known_until_it_is_changed(
    tmp_path: Path,
) -> None:
    """A page of `diff --html` in the workspace goes; once its owner has edited it, it is theirs."""
    workspace = make_workspace(tmp_path / "w")
    for name in ("mine.html", "theirs.html"):
        (workspace.reports / name).write_text("page")
        note_written(workspace.root, workspace.reports / name, "migrate diff")
    (workspace.reports / "theirs.html").write_text("page, with a note")
    files, left_alone = personal_files(workspace)
    assert workspace.reports / "mine.html" in files
    assert left_alone == ["reports/theirs.html"]


@pytest.mark.parametrize(
    "name", ["ledger.sqlite", "budget.json", "purged.json", "plans/a/mappings/b.yaml"]
)
def test_counts_and_rules_are_kept(name: str) -> None:
    """What holds no personal value by itself."""
    assert is_kept(name)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "reports/../../x-run.html", "exports/a/../../b.csv"]
)
def test_no_name_leads_out(name: str) -> None:
    """A name with a way up is nobody's."""
    assert not is_own(name)


LINKS = (
    "exports", "snapshots", "reports", "log", "plans/20260101-000000", "snapshots/20260101-000000/profiles",
    "snapshots/20260101-000000/profiles/part-00001.parquet", "plans/20260101-000000/plan.json", "ledger.sqlite",
    "salt", "undo/x", "rehearsal", "budget.json",
)  # fmt: skip


@pytest.mark.parametrize("place", LINKS)
@pytest.mark.parametrize("kind", ["file", "folder", "nothing", "relative"])
def test_a_link_that_leads_out_is_refused(tmp_path: Path, place: str, kind: str) -> None:
    """Wherever it stands, to whatever it leads; and what it leads to is named."""
    workspace = make_workspace(tmp_path / "w")
    outside = tmp_path / "outside"
    if kind == "folder":
        outside.mkdir()
    elif kind == "file":
        outside.write_text("mine")
    link = workspace.root / place
    _remove(link)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(outside, link.parent) if kind == "relative" else outside)
    with pytest.raises(WorkspaceError, match="leads out of the workspace"):
        check_links(workspace.root)


def _remove(path: Path) -> None:
    if path.is_dir():
        for inner in sorted(path.rglob("*"), reverse=True):
            inner.rmdir() if inner.is_dir() else inner.unlink()
        path.rmdir()
    elif path.exists():
        path.unlink()


def test_a_link_within_and_a_workspace_elsewhere_are_no_trouble(tmp_path: Path) -> None:
    """The workspace as a whole may be a link: that is how its owner says where it is."""
    make_workspace(tmp_path / "real")
    (tmp_path / "w").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "reports" / "newest").symlink_to("20260101-000000-run.html")
    check_links(tmp_path / "w")
    files, _left_alone = personal_files(Workspace(tmp_path / "w"))
    assert not [file for file in files if file.is_symlink()]


def test_a_pipe_in_the_workspace_is_refused(tmp_path: Path) -> None:
    """Reading it could wait for ever."""
    workspace = make_workspace(tmp_path / "w")
    os.mkfifo(workspace.reports / "x-run.html")
    with pytest.raises(WorkspaceError, match="neither a file nor a folder"):
        check_links(workspace.root)


@pytest.fixture
def linked(bare_project: Project, tmp_path: Path) -> Iterator[Project]:
    """A project of which the exports are a link to somebody's documents."""
    documents = tmp_path / "Documents"
    (documents / "taxes").mkdir(parents=True)
    (documents / "taxes" / "2025.pdf").write_text("mine")
    workspace = make_workspace(bare_project.folder / "migration")
    _remove(workspace.exports)
    workspace.exports.symlink_to(documents)
    yield bare_project
    assert (documents / "taxes" / "2025.pdf").read_text() == "mine"
    assert [path.name for path in documents.iterdir()] == ["taxes"]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_follows_it(linked: Project, command: str) -> None:
    """Not for writing, not for reading, not for deleting: exit code 7 and the name of the link."""
    done = linked.run(*command.split(), "--json", "-q")
    assert done.code == 7
    assert "leads out of the workspace" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize(
    "command", ["mapping check", "mapping preview mappings/contacts.yaml", "status", "check"]
)
@pytest.mark.parametrize("place", ["mappings/contacts.yaml", "migrate.toml", ".env"])
def test_a_pipe_in_a_files_place_is_an_error(
    bare_project: Project, place: str, command: str
) -> None:
    """Nobody waits for its other end."""
    if place == "mappings/contacts.yaml" and command in ("status", "check"):
        pytest.skip("these read no mapping before they need one")
    file = bare_project.folder / place
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    done = bare_project.run(*command.split(), "--json", "-q")
    assert done.code in (4, 5), done.stderr
    assert "Traceback" not in done.stderr


def test_a_plain_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    """Neither folders, nor devices, nor more than is stated."""
    file = tmp_path / "f"
    file.write_bytes(b"12345")
    assert read_plain(file, 5) == b"12345"
    for path, most in ((file, 4), (tmp_path, 9), (Path("/dev/zero"), 9), (tmp_path / "none", 9)):
        with pytest.raises(OSError, match=r"folder|larger|pipe|No such"):
            read_plain(path, most)


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_files_are_their_owners_under_any_umask(bare_project: Project, umask: int) -> None:
    """The command sets its own: whatever it writes is 0600 in folders of 0700."""
    before = os.umask(umask)
    try:
        for command in ("support --out out.zip", "plan --offline"):
            bare_project.run(*command.split())
    finally:
        os.umask(before)
    written = [*(bare_project.folder / "migration").rglob("*"), bare_project.folder / "out.zip"]
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in written}
    assert modes <= {(True, 0o700), (False, 0o600)}


def test_a_purge_lists_what_went(tmp_path: Path, bare_project: Project) -> None:
    """Before by --dry-run with every name, after in purged.json."""
    make_workspace(bare_project.folder / "migration")
    (bare_project.folder / "migration" / "reports" / "taxes.pdf").write_text("mine")
    planned = json.loads(bare_project.run("purge", "--dry-run", "--json").stdout)
    assert planned["left_alone"] == ["reports/taxes.pdf"]
    assert "exports/20260101-000000/rejects-permanent.csv" in planned["names"]
    done = bare_project.run("purge", "--yes")
    assert done.code == 0, done.stderr
    assert "rejects-permanent.csv" in done.stderr
    assert "reports/taxes.pdf" in done.stdout
    [record] = json.loads((bare_project.folder / "migration" / "purged.json").read_text())
    assert {entry["path"] for entry in record["files"]} >= set(planned["names"])
