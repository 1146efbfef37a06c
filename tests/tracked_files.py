"""Fails when a tracked file names a package registry's host or a path of one machine, grows too large to read, nests
comprehensions, is a test that does not say what it shows, or has a word that docs/plain-english.md refuses."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import plain_words as words  # stands beside this script

ROOT = Path(__file__).parents[1]
HOST = re.compile(
    r"py" r"pi\.(?:org|io)|python" r"hosted\.|registry\.npm" r"js|deb\.deb" r"ian\.org"
)
MACHINE_PATH = re.compile(r"(?:^|[^\w./<])/(?:work|root|home)/\w")
LOCK_FILES = {"uv.lock", "pylock.toml", "poetry.lock"}
MOST_LINES = 450
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
# Where comprehensions still stand in one another; a room leaves this list once and for all.
NESTED_STILL = ("app", "load", "privacy", "report", "totals", "verify")


def problems_of(name: str) -> list[str]:
    """What is wrong with one tracked file."""
    path = ROOT / name
    found = [f"{name}: this kind of lock file names index hosts"] if path.name in LOCK_FILES else []
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, FileNotFoundError):
        return found
    lines = text.splitlines()
    found += [
        f"{name}:{at}: names a package registry's host"
        for at, line in enumerate(lines, 1)
        if HOST.search(line)
    ]
    found += [
        f"{name}:{at}: a path of one machine"
        for at, line in enumerate(lines, 1)
        if MACHINE_PATH.search(line)
    ]
    if name.startswith("migrate/") and name.endswith(".py") and len(lines) > MOST_LINES:
        found.append(
            f"{name}: {len(lines)} lines; more than {MOST_LINES} are more than one reason to change"
        )
    if name.startswith("migrate/") and name.endswith(".py") and is_plain(name):
        found += [
            f"{name}:{line}: a comprehension inside another; name the inner one"
            for line in nested_comprehensions(text)
        ]
    if path.name.startswith("test_") and path.suffix == ".py":
        found += [f"{name}:{line}: a test without a docstring" for line in silent_tests(text)]
    return found


def is_plain(name: str) -> bool:
    """Whether the module's room has no nested comprehensions any more."""
    return not name.startswith(tuple(f"migrate/{room}/" for room in NESTED_STILL))


def nested_comprehensions(text: str) -> list[int]:
    """The lines of the comprehensions that hold another, or run over two things at once."""
    nested = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, COMPREHENSIONS):
            inside = sum(isinstance(inner, COMPREHENSIONS) for inner in ast.walk(node))
            if inside > 1 or len(node.generators) > 1:
                nested.append(node.lineno)
    return nested


def silent_tests(text: str) -> list[int]:
    """The lines of the test functions that have no docstring."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    return [
        node.lineno
        for node in nodes
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]


def main() -> int:
    """The number of problems, 0 or 1 as an exit code; each is printed."""
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    found = [*(problem for name in names for problem in problems_of(name)), *words.problems()]
    sys.stdout.write(
        "".join(f"{line}\n" for line in found) or f"{len(names)} tracked files are clean\n"
    )
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
