"""Every command of the runbooks is run against a sandbox, and what they say you should see is what is seen."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness import PATIENCE_S, SOURCE_KEY, TEST_COPIES, TEST_TARGET, Project
from tests.workbooks import fill_in

RUNBOOKS = Path(__file__).parents[2] / "runbooks"
FIRST_MAPPING = RUNBOOKS.parent / "docs" / "first-mapping.md"
BLOCK = re.compile(r"```(sh|text|yaml|toml)\n(.*?)```", re.DOTALL)
SECTIONS = (
    "**Purpose.**",
    "## Before you start",
    "## Commands",
    "## What you should see",
    "## How to stop",
    "## How to undo",
)
FINE = (0, 3)  # the demo's data have a few rows that break rules


@dataclass
class Stage:
    """What was done before the runbook is opened, and what the sandbox does meanwhile."""

    before: tuple[tuple[str, ...], ...] = ()
    faults: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    fine: tuple[int, ...] = FINE
    shops_go_on: bool = False
    takes_files: bool = False
    then: tuple[tuple[str, ...], ...] = ()
    """Commands that are given once the settings are changed."""
    has_two: bool = False
    """Whether there is a second project that goes into the same datasets."""


LOADED = (("extract", "-q"), ("plan", "-q"), ("load", "-q"))
PLANNED = LOADED[:2]
STAGES = {
    "first-contact": Stage(),
    "full-migration": Stage(),
    "resume-after-a-crash": Stage(PLANNED),
    "dataset-busy": Stage(PLANNED, ("octolis:423@every=3,times=2",)),
    "rate-limited": Stage(
        PLANNED, ("octolis:429=0.2@every=5,times=3",), {"octolis": "account_share = 0.5"}
    ),
    "key-revoked": Stage(PLANNED),
    "counts-do-not-match": Stage(LOADED),
    "moving-to-another-machine": Stage(PLANNED),
    "rejects": Stage(LOADED),
    "wrong-mapping-loaded": Stage(
        (("extract", "-q"), ("plan", "contacts", "-q"), ("load", "-q")),
        settings={"more": '[datatrics.timezones]\n"*" = "Europe/Amsterdam"'},
        then=LOADED[1:],
    ),
    "after-an-undo": Stage(
        (("extract", "profiles", "-q"), ("plan", "contacts", "-q"), ("load", "-q")),
        settings={"more": '[datatrics.timezones]\n"*" = "Europe/Amsterdam"'},
        then=(("plan", "contacts", "-q"), ("load", "-q"), ("undo", "run", "-q")),
    ),
    "corrections": Stage(LOADED),
    "several-projects": Stage(has_two=True),
    "erasure-request": Stage(LOADED),
    "handing-over": Stage(LOADED),
    "in-parts": Stage((("extract", "-q"),), settings={"octolis": "limit_speed = 100"}),
    "nights-only": Stage((("extract", "-q"),), settings={"octolis": "limit_speed = 100"}),
    "first-big-history": Stage(
        (("extract", "-q"),), settings={"octolis": "limit_speed = 100"}, takes_files=True
    ),
    "subset-for-approval": Stage(settings={"more": TEST_TARGET, "octolis": "limit_speed = 100"}),
    "cut-over-night": Stage(
        (("extract", "-q", "--snapshot", "first"), *LOADED[1:]), shops_go_on=True
    ),
}
STARTED_BY_HAND = {"rehearsal"}


def blocks_of(page: Path) -> list[tuple[str, str]]:
    """The executed and the expected blocks of a page, and those with what goes into a file, in order."""
    return [(kind, text) for kind, text in BLOCK.findall(page.read_text(encoding="utf-8"))]


# What a reader fills in.
FILLED_IN = {"{email}": "darcy.goncalves+619@example.org", "{snapshot}": "first"}


def run_line(project: Project, line: str, fine: tuple[int, ...]) -> str:
    """Runs one line of a runbook; `cd` moves on, `init` is followed by what the reader is told to fill in."""
    for blank, value in FILLED_IN.items():
        line = line.replace(blank, value)
    if "{filled}" in line:
        line = line.replace("{filled}", str(filled_in(project)))
    if project.sandbox is not None and project.sandbox.sftp is not None:
        line = line.replace("{place}", project.sandbox.sftp.url)
    words = shlex.split(line)
    if words[0] == "cd":
        project.folder = project.folder / words[1]
        project.write()
        return ""
    assert words[0] == "migrate", line
    done = project.run(*words[1:])
    assert done.code in fine, (line, done)
    return done.stdout + done.stderr


def filled_in(project: Project) -> Path:
    """What the customer sends back: one amount, in the workbook that was made for them."""
    [file] = project.folder.glob("migration/exports/*/rejects.xlsx")
    amounts = iter(["12.50"])
    fill_in(
        file, lambda row: next(amounts, None) if row["Veld"] == "total" else None, "Juiste waarde"
    )
    return file


def set_two_up(project: Project) -> None:
    """Two projects beside each other, each with its number in all keys, that name each other."""
    two = Project(project.folder.parent / "two", project.sandbox)
    (two.folder / "mappings").mkdir(parents=True)
    for file in (project.folder / "mappings").glob("*.yaml"):
        text = file.read_text(encoding="utf-8").partition("\nexamples:")[0]
        own_key = text.replace('record_key: "', "record_key: \"project || ':' || ")
        for folder in (project.folder, two.folder):
            (folder / "mappings" / file.name).write_text(own_key + "\n", encoding="utf-8")
    for one, other in ((project, two), (two, project)):
        named = f'other_projects = ["../{other.folder.name}/migrate.toml"]'
        one.write(
            project_id=f'"{one.folder.name}"',
            workspace=f'"migration"\n{named}',
            octolis="limit_speed = 100",
        )


def go_on(project: Project) -> None:
    """What the shops do meanwhile: profiles come, one of them under an identity that is known."""
    assert project.sandbox is not None
    known = httpx.get(
        f"{project.sandbox.datatrics_url}/project/demo/profile?limit=1",
        headers={"x-apikey": SOURCE_KEY},
    ).json()["items"][0]
    profiles = [
        {
            "profileid": id_,
            "source": known["source"],
            "profile": {"firstname": "Night", "email": f"{number}@example.org"},
        }
        for number, id_ in enumerate((known["profileid"], "night-1", "night-2"))
    ]
    httpx.post(
        f"{project.sandbox.datatrics_url}/project/demo/profile/bulk",
        headers={"x-apikey": SOURCE_KEY},
        json={"profiles": profiles},
    ).raise_for_status()


def shows(output: str, expected: str) -> bool:
    """True when a line of `output` holds the parts of `expected`, which are separated by `...`, in order."""
    pattern = ".*".join(re.escape(part) for part in " ".join(expected.split()).split("..."))
    return any(re.search(pattern, " ".join(line.split())) for line in output.splitlines())


def missing_lines(output: str, expected: str) -> list[str]:
    """The lines of a page's block that `output` does not show."""
    lines = [line for line in expected.splitlines() if line.strip()]
    return [line for line in lines if not shows(output, line)]


@pytest.mark.parametrize("name", STAGES)
def test_a_runbook_does_what_it_says(
    make_project: Callable[..., Project], tmp_path: Path, name: str
) -> None:
    """Its commands run one after another, and the lines it promises appear."""
    stage = STAGES[name]
    served: dict[str, Any] = {"project_id": "*"} if stage.has_two else {}
    if stage.takes_files:
        served["sftp"] = tmp_path / "sftp"
    project = make_project(feeding=True, copies=TEST_COPIES, **served)
    project.write()
    for arguments in stage.before:
        assert project.run(*arguments).code in FINE
    if stage.shops_go_on:
        go_on(project)
    project.set_faults(stage.faults)
    project.write(**stage.settings)
    if stage.has_two:
        set_two_up(project)
    if project.sandbox is not None and (found := project.sandbox.sftp) is not None:
        keys = f'host_key = "{found.host_key}"\nkey_file = "{found.key_file}"'
        project.write(octolis=f"{stage.settings['octolis']}\n[octolis.files]\n{keys}")
    for arguments in stage.then:
        assert project.run(*arguments).code in FINE
    output = ""
    for kind, text in blocks_of(RUNBOOKS / f"{name}.md"):
        if kind == "sh":
            output = "".join(
                run_line(project, line, stage.fine) for line in text.splitlines() if line.strip()
            )
        elif kind == "text":
            assert missing_lines(output, text) == [], output


def test_the_first_mapping(make_project: Callable[..., Project]) -> None:
    """The page from an empty file to a signed one: its files are written, its commands run, its promises kept."""
    project = make_project(feeding=True)
    project.write()
    output = ""
    for kind, text in blocks_of(FIRST_MAPPING):
        if kind == "toml":
            project.write(workspace=f'"migration"\n{text}')
        elif kind == "yaml":
            name = text.splitlines()[0].removeprefix("# ")
            (project.folder / name).write_text(text, encoding="utf-8", newline="\n")
        elif kind == "text":
            assert missing_lines(output, text) == [], output
        else:
            output = "".join(run_of_page(project, line) for line in text.splitlines())
    assert (project.folder / "report.html").exists()


def run_of_page(project: Project, line: str) -> str:
    """Runs a line of a page's shell block, which may also make folders and files; says what it printed."""
    words = shlex.split(line)
    if words[0] == "migrate":
        done = project.run(*words[1:])
        return done.stdout + done.stderr
    assert words[0] in {"mkdir", "touch"}, line
    subprocess.run(words, cwd=project.folder, check=True)
    return ""


def test_the_rehearsal(tmp_path: Path) -> None:
    """The demo and a sandbox with faults start as the runbook says; the sandbox prints what to put where."""
    lines = [
        line.strip()
        for kind, text in blocks_of(RUNBOOKS / "rehearsal.md")
        if kind == "sh"
        for line in text.split("\n")
    ]
    assert "migrate demo" in lines
    project = Project(tmp_path)
    assert project.run("demo", "-q").code == 0
    for line in lines:
        if line.startswith("migrate sandbox"):
            process = project.start(*shlex.split(line)[1:], "--port", "0")
            assert process.stdout is not None
            assert "Both services are up" in process.stdout.readline()
            process.terminate()
            process.communicate(timeout=PATIENCE_S)


def test_every_runbook_is_run() -> None:
    """A new runbook cannot be forgotten here."""
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == {*STAGES, *STARTED_BY_HAND}


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_every_runbook_has_its_parts(page: Path) -> None:
    """Purpose, before you start, commands, what you should see, how to stop, how to undo."""
    text = page.read_text(encoding="utf-8")
    assert [part for part in SECTIONS if part not in text] == []
