"""What several mapping files share: value lists and expressions of `shared.yaml`, put in where a file names them.

`values: $consent_words` takes a list whole; `values: [$consent_words, {aangemeld: true}]` adds to it; `$record_key` in
an expression stands for it in brackets. It happens to a file's text before anybody reads a meaning into it, so planner,
verifier and command line see one file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from migrate.language.tables import read_table
from migrate.language.yaml_text import Document, Place, Problem, read_yaml
from migrate.plain_file import read_plain

SHARED_FILE = "shared.yaml"
PROPOSED = "proposed"
_KEYS = {"version", "values", "expressions", "tables"}
_KINDS: dict[str, tuple[type, str]] = {
    "values": (dict, "a list of texts and values"),
    "expressions": (str, "an expression"),
    "tables": (str, "a file's name"),
}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
# a quoted part of SQL, in which a $ is a letter like any other, or a name to put in
_USE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$([a-z][a-z0-9_]*)")


@dataclass
class Shared:
    """A folder's `shared.yaml`: its lists, expressions and tables by name, its bytes' hash, and what is wrong with it.

    `unread` are tables that cannot be taken: told where they are named, not once more where they are used.
    """

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    expressions: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
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
    lists, files = _lists(document, known, file.parent)
    used = _put_in(document, replace(known, values=lists))
    of_tables = {name for name in used if name.partition(".")[0] in known.tables}
    if known.sha256 and used & {*known.values, *known.expressions, *of_tables}:
        text.includes[SHARED_FILE] = known.sha256
    # Only what is used: another list that changes makes no plan stale.
    text.includes |= {name: sha256 for list_, (name, sha256) in files.items() if list_ in used}
    return text


def _lists(
    document: Document, shared: Shared, folder: Path
) -> tuple[dict[str, dict[str, Any]], dict[str, tuple[str, str]]]:
    """All value lists by name: those written out, and those of the tables; and of the latter the file and its hash."""
    lists = dict(shared.values)
    files = dict[str, tuple[str, str]]()
    own = document.value.get("tables")
    named = {**shared.tables, **(own if isinstance(own, dict) else {})}
    for name, file in named.items():
        table = read_table(folder, str(file))
        if table.problem:
            place = document.place(("tables", name))
            document.problems.append(Problem(place, f"tables.{name}: {table.problem}"))
            shared.unread.add(name)
            continue
        for number, (column, values) in enumerate(table.columns.items()):
            if number == 0:
                names = [f"{name}.{column}", name]
            else:
                names = [f"{name}.{column}"]
            for one in names:
                lists[one], files[one] = values, (str(file), table.sha256)
    return lists, files


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
    for key, (kind, wanted) in _KINDS.items():
        for path, name, value in _named(tree, key, complain):
            if isinstance(value, kind):
                getattr(shared, key)[name] = value
            else:
                complain(path, f"must be {wanted}")


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
            complain(
                (key, name), "is no name; use lower-case letters, digits and _, a letter first"
            )


def _put_in(document: Document, shared: Shared) -> set[str]:
    """Puts in what the file names; gives the names."""
    used: set[str] = set()
    tree = document.value
    if isinstance(tree.get("where"), str):
        tree["where"] = _written_out(document, ("where",), tree["where"], shared, used)
    columns = tree.get("columns")
    for name, column in columns.items() if isinstance(columns, dict) else ():
        if not isinstance(column, dict):
            continue
        if isinstance(column.get("sql"), str):
            path = ("columns", name, "sql")
            column["sql"] = _written_out(document, path, column["sql"], shared, used)
        if isinstance(column.get("values"), str | list):
            path = ("columns", name, "values")
            column["values"] = _joined(document, path, column["values"], shared, used)
    return used


def _written_out(
    document: Document, path: tuple[str | int, ...], text: str, shared: Shared, used: set[str]
) -> str:
    def put_in(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is None:
            return found.group()
        used.add(name)
        if name not in shared.expressions:
            _complain(document, path, f"${name}", shared.expressions)
            # Valid SQL, so that the one mistake is told once and not again as an expression that cannot be
            # parsed.
            return "NULL"
        # In brackets, so that an OR in it stays together beside an AND of the file.
        return f"({shared.expressions[name]})"

    return _USE.sub(put_in, text)


def _joined(
    document: Document, path: tuple[str | int, ...], named: Any, shared: Shared, used: set[str]
) -> Any:
    """One list of values of the named ones and those written out; the later wins."""
    joined: dict[str, Any] = {}
    for place, part in enumerate([named] if isinstance(named, str) else named):
        here = path if isinstance(named, str) else (*path, place)
        if isinstance(part, dict):
            joined |= part
        elif isinstance(part, str) and part.startswith("$") and part[1:] in shared.values:
            joined |= shared.values[part[1:]]
            used.add(part[1:])
        elif not (isinstance(part, str) and part[1:].partition(".")[0] in shared.unread):
            _complain(document, here, str(part), shared.values)
    return joined


def _complain(
    document: Document, path: tuple[str | int, ...], name: str, known: dict[str, Any]
) -> None:
    names = ", ".join(f"${one}" for one in sorted(known))
    if names:
        has = f"it has {names}"
    else:
        has = f"there is no {SHARED_FILE} beside the file, or it has none"
    where = ".".join(map(str, path))
    document.problems.append(
        Problem(document.place(path), f"{where}: {name!r} is nothing shared; {has}")
    )
