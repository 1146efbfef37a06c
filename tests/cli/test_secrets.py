"""No key in anything the tool writes, with debug logging, on success and on every kind of failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import SOURCE_KEY, TARGET_KEY, Done, Project

MakeProject = Callable[..., Project]
FAULTS = {
    "nothing": (),
    "refused": ("octolis:403@path=*batch*",),
    "server errors": ("datatrics:500@every=3,times=4", "octolis:502@every=3,times=4,body=html"),
    "cut connections": ("datatrics:cut@every=3,times=3", "octolis:reset-after@every=3,times=3"),
    "redirects": ("octolis:redirect=http://127.0.0.1:9/elsewhere@path=*count*",),
}


def texts_of(project: Project, *runs: Done) -> dict[str, bytes]:
    """Everything that was printed or written, by name."""
    found = {str(path): path.read_bytes() for path in project.folder.rglob("*") if path.is_file()}
    for number, done in enumerate(runs):
        found |= {f"stdout {number}": done.stdout.encode(), f"stderr {number}": done.stderr.encode()}
    return found


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
def test_no_key_is_written_anywhere(make_project: MakeProject, faults: tuple[str, ...]) -> None:
    """The canary keys are in no file, log, ledger, report or message."""
    project = make_project(faults=faults)
    runs = [project.run("check", "-v"), project.run("run", "-v", "--json"), project.run("status", "-v")]
    texts = texts_of(project, *runs)
    assert [name for name, text in texts.items() if SOURCE_KEY.encode() in text or TARGET_KEY.encode() in text] == []
    log = next(text for name, text in texts.items() if Path(name).suffix == ".jsonl")
    assert b"GET Datatrics" in log
    assert b"Traceback" not in b"".join(texts.values())


def test_files_are_for_their_owner_only(make_project: MakeProject) -> None:
    """Everything in the workspace is 0600 or 0700: it holds personal data."""
    project = make_project()
    assert project.run("run", "-q").code == 3
    paths = list((project.folder / "migration").rglob("*"))
    assert len(paths) > 20
    assert [str(path) for path in paths if path.stat().st_mode & 0o077] == []
