"""Types are named by the words of docs/concepts.md, and each name has one meaning."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| .+? \| (`.+`) \| `(migrate[\w.]*)` \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs" / "concepts.md").read_text(encoding="utf-8"))
REPEATED_ON_PURPOSE = ("sandbox", "verify")
"""Rooms that stand against the others and say their words again."""


def classes_of(file: Path) -> Iterator[str]:
    """The public classes at the top of a module."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def test_a_public_class_name_has_one_meaning() -> None:
    """No name stands in two modules, but in those of the sandbox and the verifier."""
    modules = defaultdict(list)
    for file in sorted((ROOT / "migrate").rglob("*.py")):
        place = file.relative_to(ROOT / "migrate")
        if place.parts[0] not in REPEATED_ON_PURPOSE:
            for name in classes_of(file):
                modules[name].append(str(place))
    assert {name: places for name, places in modules.items() if len(places) > 1} == {}


@pytest.mark.parametrize(("types", "module"), ROWS)
def test_the_types_beside_the_words_exist(types: str, module: str) -> None:
    """Each type of the table stands in the module that the table names."""
    file = ROOT / f"{module.replace('.', '/')}.py"
    assert set(re.findall(r"`(\w+)`", types)) <= set(classes_of(file))


def test_the_table_is_read() -> None:
    """The check above is of every row."""
    assert len(ROWS) == 21
