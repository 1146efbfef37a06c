"""Names of fields that hold a person's value: an object that the source keyed by addresses has a column for each.

Such a name stands in the parts of a snapshot, in its manifest, and among a plan's unmapped fields. In a text it may
look like somebody else's address (`optins.jan@example.com`), so whole names are looked for, once they are known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from migrate import parquet
from migrate.privacy.spellings import Finder
from migrate.snapshot.layout import BEGUN, MANIFEST, RESULT
from migrate.workspace import Workspace

ERASED = "(erased)"
_LONGEST = 1_000
_MOST_PARTS = 12


def documents(workspace: Workspace) -> list[Path]:
    """What says of snapshots and plans which fields they have, in a stable order."""
    patterns = (f"*/{MANIFEST}", f"*/{BEGUN}", f"*/*/{RESULT}")
    files = list(chain.from_iterable(workspace.snapshots.glob(pattern) for pattern in patterns))
    files += workspace.plans.glob("*/plan.json")
    return sorted(file for file in files if file.is_file() and not file.is_symlink())


def names_of_theirs(files: Iterable[Path], workspace: Workspace, finder: Finder) -> set[str]:
    """The names of fields in columns and documents that hold one of the values in one of their parts."""
    names = set(chain.from_iterable(map(columns_of, files)))
    for document in documents(workspace):
        names |= set(_texts(_read(document)))
    return {name for name in names if _holds(name, finder)}


def columns_of(file: Path) -> list[str]:
    """The names of a file's columns; none where it has none, or cannot be read, which the second look says."""
    if file.suffix != ".parquet":
        return []
    try:
        return parquet.columns_of_any(file)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return []


def without_names(tree: Any, finder: Finder) -> Any:
    """A document without the names that are the person's: keys and elements of lists go, else a word stands there."""
    if isinstance(tree, dict):
        # The whole entry goes, since the name of a field that holds an address is itself the address.
        kept = {name: value for name, value in tree.items() if not finder.finds(name)}
        return {name: without_names(value, finder) for name, value in kept.items()}
    if isinstance(tree, list):
        left = [one for one in tree if not (isinstance(one, str) and finder.finds(one))]
        return [without_names(one, finder) for one in left]
    if isinstance(tree, str) and finder.finds(tree):
        return ERASED
    return tree


def _holds(name: str, finder: Finder) -> bool:
    """Whether a run of a dotted name's parts is one of the values."""
    parts = name.split(".")
    # Runs grow with the square of the parts; such a name is looked at as one text.
    if len(name) > _LONGEST or len(parts) > _MOST_PARTS:
        return finder.finds(name)
    runs = (
        ".".join(parts[start:end])
        for start in range(len(parts))
        for end in range(start + 1, len(parts) + 1)
    )
    return any(map(finder.finds, runs))


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        yield from tree
        for value in tree.values():
            yield from _texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _texts(value)


def _read(document: Path) -> Any:
    try:
        return json.loads(document.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
