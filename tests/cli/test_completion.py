"""Tab: what is offered, in which shell, how quietly."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from migrate.cli.complete import RESOURCES
from migrate.cli.registry import COMMANDS
from migrate.source.resources import RESOURCES as KNOWN
from tests.harness import Done, Project

MIGRATE = f'{sys.executable} -m migrate "$@"'


@pytest.fixture
def project(bare_project: Project) -> Project:
    """A project with two snapshots and a plan, and a folder that is neither."""
    workspace = bare_project.folder / "migration"
    for name in ("snapshots/first-try", "snapshots/second", "snapshots/.hidden", "plans/whole"):
        (workspace / name).mkdir(parents=True)
    return bare_project


def ask(project: Project, words: str, shell: str = "bash", **environ: str) -> Done:
    """What the tool answers when Tab is pressed after `words`; a blank at the end begins a new word."""
    typed = words.split()
    new = words.endswith(" ")
    current = {
        "COMP_CWORD": ("" if new else typed[-1])
        if shell == "fish"
        else str(len(typed) - (0 if new else 1))
    }
    return project.run(
        _MIGRATE_COMPLETE=f"{shell}_complete", COMP_WORDS=words, **current, **environ
    )


def offered(project: Project, words: str) -> list[str]:
    """The offered words."""
    done = ask(project, words)
    assert (done.code, done.stderr) == (0, "")
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_commands_and_options(project: Project) -> None:
    """All commands; those that begin with what is typed; a group's; options after a dash."""
    assert offered(project, "migrate ") == list(COMMANDS)
    assert offered(project, "migrate re") == ["rejects", "reconcile"]
    assert set(offered(project, "migrate rejects ")) == {
        "list",
        "show",
        "export",
        "replay",
        "discard",
        "keep",
    }
    assert "--snapshot" in offered(project, "migrate plan --s")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("migrate plan --snapshot ", {"first-try", "second"}),
        ("migrate plan --snapshot se", {"second"}),
        ("migrate extract --since f", {"first-try"}),
        ("migrate load --plan ", {"whole"}),
        ("migrate rejects show --plan ", {"whole"}),
        ("migrate diff w", {"whole"}),
        ("migrate extract ", set(RESOURCES)),
        ("migrate extract sales in", {"interactions"}),
        ("migrate trace pro", {"profiles"}),
        ("migrate mapping new s", {"sales"}),
        ("migrate load cont", {"contacts"}),
        ("migrate plan contacts order", {"orders", "order_items"}),
    ],
)
def test_names(project: Project, words: str, names: set[str]) -> None:
    """Snapshots, plans, resources and datasets, wherever a command takes one."""
    assert set(offered(project, words)) == names


def test_names_of_another_project(project: Project, tmp_path: Path) -> None:
    """--project counts, before the command and after it; its own workspace setting does too."""
    project.write(workspace='"elsewhere"')
    (project.folder / "elsewhere" / "plans" / "night").mkdir(parents=True)
    elsewhere = Project(tmp_path)
    file = project.folder / "migrate.toml"
    assert offered(elsewhere, f"migrate --project {file} load --plan ") == ["night"]
    assert offered(elsewhere, f"migrate load --project {file} --plan ") == ["night"]


@pytest.mark.parametrize("text", ["[datatrics", "workspace = 7", "octolis = 3", "\0"])
def test_a_broken_project_offers_nothing_and_says_nothing(project: Project, text: str) -> None:
    """A message would be written into the line that is being typed."""
    (project.folder / "migrate.toml").write_text(text)
    for words in (
        "migrate load --plan ",
        "migrate load ",
        "migrate bogus ",
        "migrate bogus --x ",
        "migrate mapping x y ",
    ):
        done = ask(project, words)
        assert (done.code, done.stderr) == (0, ""), words
        assert "whole" not in done.stdout


def test_no_project_at_all(tmp_path: Path) -> None:
    """Commands and resources are offered all the same."""
    assert offered(Project(tmp_path), "migrate load --plan ") == []
    assert "sales" in offered(Project(tmp_path), "migrate extract ")


def test_the_other_shells_protocols(project: Project) -> None:
    """zsh and fish get the names with what the commands do."""
    zsh = ask(project, "migrate pl", "zsh").stdout.splitlines()
    assert zsh == ["plain", "plan", COMMANDS["plan"][1]]
    assert ask(project, "migrate load --plan ", "fish").stdout.split() == ["plain,whole"]


def test_the_resources_are_all_known() -> None:
    """The list here, which needs no import of the rest, names what `extract` takes."""
    assert set(RESOURCES) == {*KNOWN, "content"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed(tmp_path: Path, shell: str) -> None:
    """For each shell, also as JSON; another shell is a usage error."""
    done = Project(tmp_path).run("completion", shell)
    assert done.code == 0, done.stderr
    assert f"_MIGRATE_COMPLETE={shell}_complete" in done.stdout
    assert Project(tmp_path).run("completion", shell, "--json").summary["script"] in done.stdout
    assert Project(tmp_path).run("completion", "csh").code == 2


SESSIONS = {
    "bash": """
        source <(migrate completion bash)
        COMP_WORDS=(migrate load --plan ""); COMP_CWORD=3; _migrate_completion migrate; echo "names: ${COMPREPLY[*]}"
    """,
    # compadd and _describe exist while zsh completes only: what the script hands to them is printed.
    "zsh": """
        compdef() { :; }; compadd() { print -- "names: ${(P)@[-1]}"; }; _describe() { print -l -- ${(P)@[-1]}; }
        source <(migrate completion zsh)
        words=(migrate load --plan ""); CURRENT=4; _migrate_completion
    """,
    "fish": """
        migrate completion fish | source
        echo "names: "(complete --do-complete "migrate load --plan ")
    """,
}


@pytest.mark.parametrize("shell", SESSIONS)
def test_a_real_shell(project: Project, shell: str) -> None:
    """The shell reads the script as the help says, asks the tool, and has the plan's name."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    folder = project.folder / "bin"
    folder.mkdir()
    (folder / "migrate").write_text(f"#!/bin/sh\nexec {MIGRATE}\n")
    (folder / "migrate").chmod(0o700)
    env = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [program, "-c", SESSIONS[shell]],
        cwd=project.folder,
        env=env,
        capture_output=True,
        text=True,
    )
    assert "names: whole" in done.stdout, (done.stdout, done.stderr)
