"""The words that the tool itself writes, read from its own source; and the names of a project."""

from __future__ import annotations

import ast
import builtins
import contextlib
import errno
import keyword
import os
from collections.abc import Iterator
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import migrate
from migrate.errors import MigrateError
from migrate.mapping.files import read_mappings
from migrate.privacy.scrub import words_of
from migrate.source.resources import RESOURCES

if TYPE_CHECKING:
    from migrate.config import Project
    from migrate.workspace import Workspace

_WITH_SAMPLE_VALUES = ("demo", "mapping/functions.py", "mapping/countries.py")
"""Below the package: sources whose texts are names of people and places, or examples of values."""


def known_words(project: Project, workspace: Workspace) -> frozenset[str]:
    """All words that are nobody's: of the tool's messages and source, the system's, and the names in this project."""
    return frozenset([*_own_words(), *_system_words(), *_names(project, workspace)])


def _own_words() -> Iterator[str]:
    package = Path(migrate.__file__).parent
    for file in package.rglob("*.py"):
        if not file.relative_to(package).as_posix().startswith(_WITH_SAMPLE_VALUES):
            yield from (*file.relative_to(package).parts, file.stem)
            for text in _texts(ast.parse(file.read_text(encoding="utf-8"))):
                yield from words_of(text)


def _texts(tree: ast.Module) -> Iterator[str]:
    """The texts and the names in a source, without its comments: names stand in tracebacks."""
    # Docstrings: no message is made of their words.
    comments = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and id(node) not in comments:
                yield node.value
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute):
            yield node.id if isinstance(node, ast.Name) else node.attr


def _system_words() -> Iterator[str]:
    yield from (
        *dir(builtins),
        *keyword.kwlist,
        "Traceback",
        "recent",
        "last",
        "module",
        "site-packages",
        "lib",
    )
    yield from ("wal", "shm")
    for text in (
        *(os.strerror(code) for code in errno.errorcode),
        *(status.phrase for status in HTTPStatus),
    ):
        yield from words_of(text)


def _names(project: Project, workspace: Workspace) -> Iterator[str]:
    texts = [
        *RESOURCES,
        project.datatrics.project_id,
        project.datatrics.base_url,
        project.octolis.base_url,
    ]
    for name, id_ in project.octolis.datasets.items():
        texts += [name, id_]
    texts += [*project.datatrics.timezones, *project.datatrics.source_aliases]
    texts += [*project.datatrics.source_aliases.values(), *project.octolis.webhooks]
    texts += [*workspace.names(workspace.snapshots), *workspace.names(workspace.plans)]
    with contextlib.suppress(MigrateError):
        mappings = read_mappings(project.mappings).values()
        texts += chain.from_iterable(mapping.columns for mapping in mappings)
    for text in texts:
        yield text
        yield from words_of(text)
