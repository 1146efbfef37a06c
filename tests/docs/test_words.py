"""Documents, runbooks and messages keep to plain English: the words of the page's table are in none of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "plain-english.md"
REFUSED = re.compile(
    r"\bmend(s|ed|ing)?\b|\b(is|are) told by\b|\botherwise than\b|to think about|wrong loudly|comes? to rest|"
    r"(?<!Ã)[«»]",
    re.IGNORECASE,
)
TOP = [ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")]
PAGES = sorted([*TOP, *(ROOT / "docs").glob("*.md"), *(ROOT / "runbooks").glob("*.md")])
MADE_UP = {"migrate/demo/profiles.py"}
"""Data of a made-up retailer hold signs that messages do not."""


@pytest.mark.parametrize("page", [p for p in PAGES if p != PAGE], ids=lambda page: page.name)
def test_a_page_has_none_of_the_words(page: Path) -> None:
    """Each with the line it stands in."""
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [
        f"{number}: {line}" for number, line in enumerate(lines, 1) if REFUSED.search(line)
    ] == []


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """The texts of a module that may reach a reader, docstrings included."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_no_message_has_one_of_the_words() -> None:
    """Whatever a command can say."""
    found = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in sorted((ROOT / "migrate").rglob("*.py"))
        if str(file.relative_to(ROOT)) not in MADE_UP
        for line, text in texts(file)
        if REFUSED.search(text)
    ]
    assert found == []


def test_the_page_names_what_is_refused() -> None:
    """Each entry of the left column is refused, so the page and the check say the same."""
    table = [
        line.split("|")[1]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ]
    entries = [entry.strip() for cell in table[1:] for entry in cell.split(",")]
    said = {"told by": "is told by", "set otherwise": "set otherwise than"}
    assert [entry for entry in entries if not REFUSED.search(said.get(entry, entry))] == []
