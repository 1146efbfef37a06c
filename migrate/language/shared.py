"""What several mapping files share: value lists and expressions of `shared.yaml`, put in where a file names them.

`values: $consent_words` takes a list whole; `values: [$consent_words, {aangemeld: true}]` adds to it; `$record_key` in
an expression stands for it in brackets. It happens to a file's text before anybody reads a meaning into it, so planner,
verifier and command line see one file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from migrate.language.yaml_text import Document, Place, Problem, read_yaml
from migrate.plain_file import read_plain

SHARED_FILE = "shared.yaml"
PROPOSED = "proposed"
_KEYS = {"version", "values", "expressions"}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
# a quoted part of SQL, in which a $ is a letter like any other, or a name to put in
_USE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$([a-z][a-z0-9_]*)")


@dataclass
class Shared:
    """A folder's `shared.yaml`: its lists and expressions by name, the hash of its bytes, and what is wrong with it."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    expressions: dict[str, str] = field(default_factory=dict)
    sha256: str | None = None
    problems: list[Problem] = field(default_factory=list)


@dataclass
class MappingText:
    """A mapping file as it is read: its values with everything shared put in, the hash of its bytes, and of each file
    beside it that it takes something from."""

    document: Document
    sha256: str
    includes: dict[str, str] = field(default_factory=dict)


def read_shared(folder: Path) -> Shared:
    """What the folder's files share; nothing where there is no such file."""
    file = folder / SHARED_FILE
    if not file.is_file() and folder.name == PROPOSED:
        # a proposal is one of the folder above, once it has been read and moved there
        file = folder.parent / SHARED_FILE
    try:
        data = read_plain(file)
    except FileNotFoundError:
        return Shared()
    except OSError as error:
        return Shared(problems=[Problem(Place(1, 1), f"cannot be read ({error.strerror})")])
    document = read_yaml(data)
    shared = Shared(sha256=hashlib.sha256(data).hexdigest(), problems=list(document.problems))
    if not document.problems:
        _fill(shared, document)
    return shared


def read_mapping_text(file: Path, shared: Shared | None = None) -> MappingText:
    """A mapping file with everything shared put in. Raises OSError where it cannot be read."""
    data = read_plain(file)
    document = read_yaml(data)
    text = MappingText(document, hashlib.sha256(data).hexdigest())
    if document.problems or not isinstance(document.value, dict):
        return text
    known = read_shared(file.parent) if shared is None else shared
    if _put_in(document, known) and known.sha256:
        text.includes[SHARED_FILE] = known.sha256
    return text


def _fill(shared: Shared, document: Document) -> None:
    tree = document.value
    if not isinstance(tree, dict):
        shared.problems.append(Problem(Place(1, 1), "holds keys and values; this holds none"))
        return

    def complain(path: tuple[str | int, ...], what: str) -> None:
        where = ".".join(map(str, path))
        shared.problems.append(Problem(document.place(path, of_key=True), f"{where}: {what}"))

    for key in tree:
        if key not in _KEYS:
            complain((key,), f"unknown key; one of {', '.join(sorted(_KEYS))}")
    if tree.get("version") != 1:
        complain(("version",), "must be 1")
    for path, name, value in _named(tree, "values", complain):
        if isinstance(value, dict):
            shared.values[name] = value
        else:
            complain(path, "must be a list of texts and values")
    for path, name, value in _named(tree, "expressions", complain):
        if isinstance(value, str):
            shared.expressions[name] = value
        else:
            complain(path, "must be an expression")


def _named(
    tree: dict[str, Any], key: str, complain: Callable[[tuple[str | int, ...], str], None]
) -> Iterator[tuple[tuple[str, str], str, Any]]:
    """What stands under a key, by name, with its path."""
    named = tree.get(key) or {}
    if not isinstance(named, dict):
        complain((key,), "must be names and what they stand for")
        return
    for name, value in named.items():
        if _NAME.fullmatch(name):
            yield (key, name), name, value
        else:
            complain((key, name), "is no name; small letters, digits and _, a letter first")


def _put_in(document: Document, shared: Shared) -> bool:
    """Puts in what the file names; tells whether it names anything."""
    used = False
    tree = document.value
    if isinstance(tree.get("where"), str):
        tree["where"], used = _written_out(document, ("where",), tree["where"], shared)
    columns = tree.get("columns")
    for name, column in columns.items() if isinstance(columns, dict) else ():
        if not isinstance(column, dict):
            continue
        if isinstance(column.get("sql"), str):
            column["sql"], found = _written_out(
                document, ("columns", name, "sql"), column["sql"], shared
            )
            used |= found
        if isinstance(column.get("values"), str | list):
            column["values"] = _joined(
                document, ("columns", name, "values"), column["values"], shared
            )
            used = True
    return used


def _written_out(
    document: Document, path: tuple[str | int, ...], text: str, shared: Shared
) -> tuple[str, bool]:
    used = False

    def put_in(found: re.Match[str]) -> str:
        nonlocal used
        name = found.group(1)
        if name is None:
            return found.group()
        used = True
        if name not in shared.expressions:
            _complain(document, path, f"${name}", shared.expressions)
            return "NULL"
        return f"({shared.expressions[name]})"

    return _USE.sub(put_in, text), used


def _joined(document: Document, path: tuple[str | int, ...], named: Any, shared: Shared) -> Any:
    """One list of values of the named ones and those written out; the later wins."""
    joined: dict[str, Any] = {}
    for place, part in enumerate([named] if isinstance(named, str) else named):
        here = path if isinstance(named, str) else (*path, place)
        if isinstance(part, dict):
            joined |= part
        elif isinstance(part, str) and part.startswith("$") and part[1:] in shared.values:
            joined |= shared.values[part[1:]]
        else:
            _complain(document, here, str(part), shared.values)
    return joined


def _complain(
    document: Document, path: tuple[str | int, ...], name: str, known: dict[str, Any]
) -> None:
    names = ", ".join(f"${one}" for one in sorted(known))
    has = (
        f"it has {names}" if names else f"there is no {SHARED_FILE} beside the file, or it has none"
    )
    where = ".".join(map(str, path))
    document.problems.append(
        Problem(document.place(path), f"{where}: {name!r} is nothing shared; {has}")
    )
