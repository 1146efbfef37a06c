"""Finds documents, help texts and reports' texts that have one of the words that docs/plain-english.md refuses.

The page's tables are the list: the first column names words, each in backticks, with `*` for any ending.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "plain-english.md"
TOP = ("README.md", "SECURITY.md", "CONTRIBUTING.md")
NOT_OURS = (
    "migrate/sandbox/", "migrate/demo/", "migrate/cli/streams.py", "migrate/language/number_style.py",
    "migrate/mapping/numbers.py", "migrate/totals/amounts.py", "migrate/verify/amounts.py",
)  # fmt: skip
"""Modules with the words of a service, the data of a made-up retailer, or signs that numbers are written with."""


def refused_words(page: str) -> list[str]:
    """The entries of the first column of the page's tables that is headed `not`."""
    tables = re.findall(r"^\| not \|.*\n\|[-|\s]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    cells = [row.split(" | ")[0] for table in tables for row in table.splitlines()]
    return [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]


def pattern_of(words: list[str]) -> re.Pattern[str]:
    """Finds any of the words, in either case and over line ends; signs are found anywhere."""
    return re.compile("|".join(map(_pattern, words)), re.IGNORECASE)


def _pattern(word: str) -> str:
    if not re.search(r"\w", word):
        return rf"(?<!Ã){re.escape(word)}"
    spaced = r"\s+".join(map(re.escape, word.removesuffix("*").split()))
    ending = r"\w*" if word.endswith("*") else ""
    return rf"\b{spaced}{ending}\b"


def texts(root: Path = ROOT) -> Iterator[tuple[str, int, str]]:
    """Every text that a reader meets, as (file, first line, text)."""
    pages = [
        *(root / name for name in TOP),
        *root.glob("docs/**/*.md"),
        *root.glob("runbooks/*.md"),
    ]
    templates = root.glob("migrate/report/templates/*.j2")
    for page in sorted({*pages, *templates} - {PAGE}):
        yield str(page.relative_to(root)), 1, page.read_text(encoding="utf-8")
    for file in sorted(root.glob("migrate/**/*.py")):
        name = str(file.relative_to(root))
        if not name.startswith(NOT_OURS):
            yield from ((name, line, text) for line, text in strings_of(file))


def strings_of(file: Path) -> Iterator[tuple[int, str]]:
    """The texts of a module. Docstrings are for programmers, but for those of commands, which are their help."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and (file.parent.name == "cli" or id(node) not in alone):
            yield node.lineno, node.value


def problems() -> list[str]:
    """A line for each refused word that is found."""
    refused = pattern_of(refused_words(PAGE.read_text(encoding="utf-8")))
    return [
        f"{name}:{first + text[: found.start()].count(chr(10))}: {found.group()!r} ({PAGE.name} has a better word)"
        for name, first, text in texts()
        for found in refused.finditer(text)
    ]
