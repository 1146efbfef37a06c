"""docs/adding.md: all additions are made in one copy of the tree, and the commands of the page are run there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from migrate.names import RESOURCE_NAMES
from migrate.source.resources import RESOURCES
from tests.harness import PATIENCE_S

pytestmark = pytest.mark.end_to_end

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adding.md"
COPIED = ("migrate", "mappings", "docs", "tests", "runbooks")
BLOCK = re.compile(r"^```(diff|sh)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PYTEST = "python -m pytest "


@dataclass(frozen=True)
class Addition:
    """A section of the page: what it changes, and the lines that it says to run afterwards."""

    name: str
    changes: list[str]
    commands: list[str]


def read_additions() -> list[Addition]:
    """The sections that change something."""
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    additions = []
    for section in sections:
        blocks = BLOCK.findall(section)
        changes = [text for kind, text in blocks if kind == "diff"]
        commands = [line for kind, text in blocks if kind == "sh" for line in text.splitlines()]
        if changes:
            additions.append(Addition(section.splitlines()[0], changes, commands))
    return additions


ADDITIONS = read_additions()


def parts_of(change: str) -> Iterator[tuple[str, str, str]]:
    """Each place that a block changes: the file, the lines that stand there, and those that then do."""
    for part in change.split("--- ")[1:]:
        file, _, text = part.partition("\n")
        for place in re.split(r"^\.\.\.\n", text, flags=re.MULTILINE):
            lines = place.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            yield file, before, after


def apply(change: str, tree: Path) -> None:
    """Makes a block's change; a file of which nothing stands there yet is a new one."""
    for name, before, after in parts_of(change):
        file = tree / name
        if not before:
            assert not file.exists(), f"{name} has become a file: the page wants another example"
            file.write_text(after, encoding="utf-8", newline="\n")
            continue
        text = file.read_text(encoding="utf-8")
        assert text.count(before) == 1, (
            f"{name} no longer holds what docs/adding.md changes:\n{before}"
        )
        file.write_text(text.replace(before, after), encoding="utf-8", newline="\n")


@dataclass(frozen=True)
class Tree:
    """The copy with all additions, and what its tests said: `passed` and `failed` name files."""

    folder: Path
    passed: set[str]
    failed: set[str]
    said: str


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The copy, changed, generated and tested once for all: starting the tools is most of the time."""
    folder = tmp_path_factory.mktemp("tree")
    for name in COPIED:
        unneeded = shutil.ignore_patterns("__pycache__", "img", "bench")
        shutil.copytree(ROOT / name, folder / name, ignore=unneeded)
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder / name)
    for addition in ADDITIONS:
        for change in addition.changes:
            apply(change, folder)
    commands = dict.fromkeys(line for addition in ADDITIONS for line in addition.commands)
    for line in commands:
        if not line.startswith(PYTEST):
            run(line, folder)
    files = sorted(
        {file for line in commands if line.startswith(PYTEST) for file in files_of(line)}
    )
    done = run(
        f"{PYTEST} -p no:cacheprovider --continue-on-collection-errors -rA {shlex.join(files)}",
        folder,
        check=False,
    )
    passed, failed = (
        set(re.findall(rf"^{word} (tests/[\w/]+\.py)", done.stdout, re.MULTILINE))
        for word in ("PASSED", "(?:FAILED|ERROR)")
    )
    return Tree(folder, passed - failed, failed, done.stdout + done.stderr)


def files_of(line: str) -> list[str]:
    """The files, or tests of a file, that a line gives to pytest."""
    return shlex.split(line.removeprefix(PYTEST))


def run(line: str, folder: Path, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A line of the page, as in a fresh environment that holds the copy."""
    python = shlex.quote(sys.executable)
    line = re.sub(r"^migrate ", f"{python} -m migrate ", re.sub(r"^python ", f"{python} ", line))
    env = {**os.environ, "PYTHONPATH": str(folder)}
    env.pop("PYTEST_XDIST_WORKER", None)
    return subprocess.run(
        line, shell=True, cwd=folder, env=env, check=check, capture_output=True, text=True,
        timeout=2 * PATIENCE_S,
    )  # fmt: skip


def test_the_page_has_an_example_of_each_kind() -> None:
    """A function, an option, a resource, an error kind, a check and a section, each with a test to run."""
    assert len(ADDITIONS) == 6
    for addition in ADDITIONS:
        assert any(line.startswith(PYTEST) for line in addition.commands), addition.name


@pytest.mark.parametrize("addition", ADDITIONS, ids=lambda addition: addition.name)
def test_an_addition_does_what_the_page_says(addition: Addition, tree: Tree) -> None:
    """With the files of the page changed and its commands run, every test that it names passes."""
    named = {
        file.partition("::")[0]
        for line in addition.commands
        if line.startswith(PYTEST)
        for file in files_of(line)
    }
    assert named & tree.failed == set(), tree.said
    assert named <= tree.passed, tree.said


def test_what_is_generated_names_the_additions(tree: Tree) -> None:
    """The page of the mapping language and the schema for editors have learnt what was added to the language."""
    page = (tree.folder / "docs" / "mapping.md").read_text(encoding="utf-8")
    schema = (tree.folder / "mappings" / "mapping.schema.json").read_text(encoding="utf-8")
    for word in ("digits_only", "prefix", "brands"):
        assert word in page
        assert word in schema


def test_every_list_of_resources_has_the_same_names() -> None:
    """The names that every room may know, and the table of the source's own."""
    assert tuple(RESOURCES) == RESOURCE_NAMES
