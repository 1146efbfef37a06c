"""Where the project file is looked for, and the spellings that people try first."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from migrate.cli.app import find_project
from migrate.project import start_project
from tests import forked
from tests.harness import PATIENCE_S


def migrate(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command, as a process in a folder."""
    return forked.run(["-m", "migrate", *arguments], cwd, os.environ, PATIENCE_S)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A started project."""
    start_project(tmp_path / "acme")
    return tmp_path / "acme"


def test_it_is_found_from_a_folder_below(project: Path) -> None:
    """The nearest one above; the one that is here comes first, and nothing is found where there is none."""
    below = project / "mappings" / "old"
    below.mkdir()
    assert find_project(below) == project / "migrate.toml"
    assert find_project(project) == Path("migrate.toml")
    (below / "migrate.toml").touch()
    assert find_project(below) == Path("migrate.toml")
    assert find_project(project.parent) == Path("migrate.toml")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_strangers_file_above_is_passed_over(project: Path) -> None:
    """In a shared folder another user's file must not say where the keys go."""
    (project / "below").mkdir()
    os.chown(project / "migrate.toml", 4_711, -1)
    assert find_project(project / "below") == Path("migrate.toml")


def test_a_folder_can_be_named(project: Path) -> None:
    """`--project FOLDER` is the file in it, and what is suggested names it again."""
    done = migrate("--project", str(project), "status", cwd=project.parent)
    assert done.returncode == 0
    assert f"migrate --project {project / 'migrate.toml'} " in done.stdout


def test_commands_suggested_below_a_project_name_no_file(project: Path) -> None:
    """They work from where they are read."""
    done = migrate("status", cwd=project / "mappings")
    assert done.returncode == 0
    assert "next: migrate " in done.stdout
    assert "--project" not in done.stdout


def test_the_version_has_a_short_spelling(tmp_path: Path) -> None:
    """-V, as of most tools."""
    assert migrate("-V", cwd=tmp_path).stdout == migrate("--version", cwd=tmp_path).stdout != ""


def test_help_is_a_word_too(tmp_path: Path) -> None:
    """`migrate help`, alone and of a command."""
    assert migrate("help", cwd=tmp_path).stdout == migrate("--help", cwd=tmp_path).stdout
    asked = migrate("help", "mapping", "check", cwd=tmp_path)
    assert asked.returncode == 0
    assert asked.stdout == migrate("mapping", "check", "--help", cwd=tmp_path).stdout
