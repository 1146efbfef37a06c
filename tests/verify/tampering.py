"""Every way to spoil a file of the workspace: by its bytes, and by what its format holds."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Tampering = Callable[[Path], None]
_ODD_VALUES: tuple[Any, ...] = (
    None, [], {}, "", "\u202e../../x\x1b[2J", -1, 10**30, 1e308, True, [[]], {"a": None}, "9999-12-31T23:59:59+23:59",
)  # fmt: skip


def of_bytes() -> dict[str, Tampering]:
    """What can be done to any file."""
    return {
        "empty": lambda file: _write(file, b""),
        "half": lambda file: _write(file, file.read_bytes()[: file.stat().st_size // 2]),
        "without its end": lambda file: _write(file, file.read_bytes()[:-9]),
        "a byte in the middle": _flip_middle,
        "zeros": lambda file: _write(file, bytes(file.stat().st_size)),
        "other text": lambda file: _write(file, b'\xff\xfe{"a": [1, 2'),
        "nested": lambda file: _write(file, b"[" * 100_000 + b"]" * 100_000),
        "an array": lambda file: _write(file, b"[]"),
        "gone": lambda file: file.unlink(),
        "a folder": _make_folder,
    }


def _write(file: Path, data: bytes) -> None:
    file.write_bytes(data)


def _flip_middle(file: Path) -> None:
    data = bytearray(file.read_bytes())
    if data:
        data[len(data) // 2] ^= 0xFF
    file.write_bytes(bytes(data))


def _make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def of_json(file: Path) -> Iterator[tuple[str, Tampering]]:
    """Each member and element of a JSON file, replaced by a value of another kind, and left out."""
    tree = json.loads(file.read_bytes())
    for number, path in enumerate(_paths(tree)):
        odd = _ODD_VALUES[number % len(_ODD_VALUES)]
        yield f"{'.'.join(map(str, path))} = {odd!r}", _setting(path, odd)
        other = _ODD_VALUES[(number + 5) % len(_ODD_VALUES)]
        yield f"{'.'.join(map(str, path))} = {other!r}", _setting(path, other)
        yield f"without {'.'.join(map(str, path))}", _leaving_out(path)


def _paths(tree: Any, depth: int = 0) -> Iterator[tuple[Any, ...]]:
    if depth > 6:
        return
    members = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree[:2])
        if isinstance(tree, list)
        else ()
    )
    for name, value in members:
        yield (name,)
        yield from ((name, *rest) for rest in _paths(value, depth + 1))


def _setting(path: tuple[Any, ...], value: Any) -> Tampering:
    def tamper(file: Path) -> None:
        tree = json.loads(file.read_bytes())
        inner = tree
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
        file.write_text(json.dumps(tree), encoding="utf-8")

    return tamper


def _leaving_out(path: tuple[Any, ...]) -> Tampering:
    def tamper(file: Path) -> None:
        tree = json.loads(file.read_bytes())
        inner = tree
        for name in path[:-1]:
            inner = inner[name]
        del inner[path[-1]]
        file.write_text(json.dumps(tree), encoding="utf-8")

    return tamper


def of_database(file: Path) -> Iterator[tuple[str, Tampering]]:
    """Each table dropped, each column's cells odd: of another kind, or not there."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        tables = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        columns = {
            table: [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
            for table in tables
        }
    for table, names in columns.items():
        yield f"without table {table}", _running(f'DROP TABLE "{table}"')
        for name in names:
            for odd in ("'\x1b[2J['", "NULL", "x'ff00fe'", "-1", "1e300"):
                yield (
                    f"{table}.{name} = {odd}",
                    _running(f'UPDATE OR IGNORE "{table}" SET "{name}" = {odd}'),
                )
    yield "user_version", _running("PRAGMA user_version = 999")
    yield "application_id", _running("PRAGMA application_id = 7")


def _running(statement: str) -> Tampering:
    def tamper(file: Path) -> None:
        opened = contextlib.closing(sqlite3.connect(file))
        with opened as connection, contextlib.suppress(sqlite3.Error), connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(statement)

    return tamper
