"""docs/errors.md has every error that a command can end with, each with its cause and a way out."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import ModuleType

import pytest

from migrate.app.check.preflight import preflight
from migrate.config import load_project
from migrate.errors import MappingError, MigrateError
from migrate.mapping.files import read_mapping
from migrate.project import start_project
from migrate.source.resources import resolve_resources
from migrate.workspace import Workspace

DOCS = Path(__file__).parents[2] / "docs"
MODULE = """
from migrate.errors import Damaged, UsageError

_HINT = "bring it back from a backup"

def read(file):
    if not file:
        refuse("it is empty")
    raise UsageError(f"{file} is no file" if file else "there is none at all", hint="name a file")

def refuse(why):
    raise Damaged(f"the ledger {name()} is damaged: {why}", hint=_HINT)
"""


@pytest.fixture(scope="module")
def scripts() -> Iterator[tuple[ModuleType, ModuleType]]:
    """The scripts that find the errors and that make the page of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        yield importlib.import_module("error_texts"), importlib.import_module("errors_page")


def test_texts_are_found_where_errors_are_made(
    tmp_path: Path, scripts: tuple[ModuleType, ModuleType]
) -> None:
    """Through constants, choices and the callers of a function; what only a run knows is a blank."""
    (tmp_path / "room.py").write_text(MODULE, encoding="utf-8")
    found = scripts[0].find_error_texts(tmp_path)
    assert [(one.exit_code, one.text, one.hint) for one in found] == [
        (2, "there is none at all", "name a file"),
        (2, "… is no file", "name a file"),
        (7, "the ledger … is damaged: it is empty", "bring it back from a backup"),
    ]


def test_an_error_without_an_entry_is_named(scripts: tuple[ModuleType, ModuleType]) -> None:
    """A new text that fits no cause, or has no way out, fails the page; so does a cause that nothing belongs to."""
    texts, page = scripts
    new = texts.ErrorText(8, "GateError", "too much of a good thing", "take less", "load/new.py")
    bare = texts.ErrorText(7, "Damaged", "…: … is damaged: …", None, "load/new.py")
    silent = page.Cause("Damaged", "why", None, ["damaged"], [], [])
    lacking, unused = page.sort_errors([new, bare], {7: [silent], 8: []})
    assert [line.split(", ")[0] for line in lacking] == ["load/new.py", "load/new.py"]
    assert unused == ["Damaged"]


def test_real_errors_are_on_the_page(tmp_path: Path) -> None:
    """What a command says is found by the words of the page."""
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    listed = [
        ".*".join(map(re.escape, text.split("…")))
        for text in re.findall(r"^(?:\||-) `([^`]+)`", page, re.M)
    ]
    for call in (
        lambda: load_project(tmp_path / "migrate.toml"),
        lambda: resolve_resources(["nothing"]),
    ):
        with pytest.raises(MigrateError) as caught:
            call()
        assert any(re.fullmatch(text, str(caught.value)) for text in listed), caught.value


MAPPING = """version: 1
dataset: contacts
resource: profiles
key: [k]
columns:
  k: {{from: id, type: text}}
  a: {{from: x, type: text{column}}}
{top}
"""
PROBLEMS = (
    {"column": ", unlisted: x"}, {"column": ", wat: 1"}, {"column": ", apply: [nothing]"},
    {"column": ", digits: round"},
    {"column": ", apply: [{truncate: 0}]"}, {"column": ", format: '%Q'"}, {"column": ", consent: true"},
    {"column": ", timezone: Mars"}, {"column": ", value: 1"}, {"top": "each: ''"}, {"top": "where: ''"},
    {"top": "where: '1 +'"}, {"top": "where: DROP TABLE x"}, {"top": "where: x || y"}, {"top": "tables: {a: ''}"},
    {"top": "tables: {a: none.csv}"}, {"top": "ignore: [x]"}, {"top": "lookups: {c: {dataset: contacts, id: x}}"},
    {"top": "alternative_keys: [[k]]"}, {"top": "examples: [{id: '1'}]"}, {"top": "b: &x 1"}, {"top": "x: !!int 1"},
    {"top": "a: [\\n"}, {"top": "key: [a]"}, {"top": "precedence: 0"},
)  # fmt: skip


@pytest.mark.parametrize("wrong", PROBLEMS, ids=str)
def test_problems_of_mappings_are_on_the_page(tmp_path: Path, wrong: dict[str, str]) -> None:
    """Whatever a check says of a file is found there by its words, with what lies behind it."""
    file = tmp_path / "contacts.yaml"
    file.write_text(MAPPING.format(**{"column": "", "top": "", **wrong}), encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        read_mapping(file)
    listed = list(listed_texts())
    for problem in caught.value.problems:
        assert any(re.search(text, problem) for text in listed), problem


def test_what_a_check_finds_is_on_the_page(tmp_path: Path) -> None:
    """Each failure and each thing to look at of a project that is only just begun."""
    start_project(tmp_path)
    project = load_project(tmp_path / "migrate.toml", {})
    workspace = Workspace.of(project)
    workspace.create()
    found = preflight(project, workspace, Event(), lambda _note: None)
    told = [one.text for one in found if one.level != "pass"]
    assert told
    listed = list(listed_texts())
    for text in told:
        assert any(re.search(one, text) for one in listed), text


def listed_texts() -> Iterator[str]:
    """The messages of the page, as patterns; those of few letters would fit anything."""
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    for text in re.findall(r"^(?:- |\| )(.+?)(?: \| .* \|)?$", page, re.M):
        plain = text.strip("`").replace("\\|", "|").replace("&lt;", "<")
        if len(re.findall(r"[a-z]{2,}", plain)) > 1:
            yield ".*".join(map(re.escape, plain.split("…")))
