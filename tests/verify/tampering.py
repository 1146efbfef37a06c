"""Every way to spoil a file of the workspace: by its bytes, and by what its format holds."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from migrate.app.renew_manifests import renew_manifests
from migrate.workspace import Workspace

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
        yield (
            f"{table} is a view",
            _running(
                f'ALTER TABLE "{table}" RENAME TO "of {table}"',
                f'CREATE VIEW "{table}" AS SELECT 1',
            ),
        )
        yield f"{table} has one more", _running(f'ALTER TABLE "{table}" ADD COLUMN "one more" BLOB')
        for name in names:
            yield f"{table} without {name}", _without_column(table, name)
            for odd in ("'\x1b[2J['", "NULL", "x'ff00fe'", "-1", "1e300"):
                yield (
                    f"{table}.{name} = {odd}",
                    _running(f'UPDATE OR IGNORE "{table}" SET "{name}" = {odd}'),
                )
    yield "user_version", _running("PRAGMA user_version = 999")
    yield "application_id", _running("PRAGMA application_id = 7")


def _running(*statements: str) -> Tampering:
    def tamper(file: Path) -> None:
        opened = contextlib.closing(sqlite3.connect(file))
        with opened as connection, contextlib.suppress(sqlite3.Error), connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            for statement in statements:
                connection.execute(statement)

    return tamper


def _without_column(table: str, name: str) -> Tampering:
    """The table with all rows and all columns but one, and with no key, whatever SQLite says to dropping one."""

    def tamper(file: Path) -> None:
        with contextlib.closing(sqlite3.connect(file)) as connection, connection:
            known = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
            left = ", ".join(f'"{column}"' for column in known if column != name) or "1"
            connection.execute(f'CREATE TABLE "for a moment" AS SELECT {left} FROM "{table}"')
            connection.execute(f'DROP TABLE "{table}"')
            connection.execute(f'ALTER TABLE "for a moment" RENAME TO "{table}"')

    return tamper


def of_parquet(file: Path) -> Iterator[tuple[str, Tampering]]:
    """Columns of other types, too few, too many; odd cells; the hashes in the manifests are those of the new file."""
    frame = pl.read_parquet(file)
    for name, kind in frame.schema.items():
        yield f"without {name}", _rewriting(lambda f, name=name: f.drop(name))
        yield f"{name} null", _rewriting(lambda f, name=name: _with(f, name, None, f.schema[name]))
        for what, value, other in _ODD_COLUMNS:
            if other != kind:
                yield (
                    f"{name} {what}",
                    _rewriting(
                        lambda f, name=name, value=value, other=other: _with(f, name, value, other)
                    ),
                )
        for what, value in _ODD_CELLS.get(kind.base_type(), ()):
            yield (
                f"{name} {what}",
                _rewriting(lambda f, name=name, v=value: _with(f, name, v, f.schema[name])),
            )
    yield "one more", _rewriting(lambda f: f.with_columns(one_more=pl.lit(1)))
    yield (
        "one more text",
        _rewriting(lambda f: f.with_columns(pl.lit("\x1b[2J").alias("\x1b[2J\u202e"))),
    )
    yield "no rows", _rewriting(lambda f: f.clear())
    yield "rows twice", _rewriting(lambda f: pl.concat([f, f]))
    yield "no columns", _rewriting(lambda f: pl.DataFrame())


_ODD_COLUMNS: tuple[tuple[str, Any, Any], ...] = (
    ("number", 7, pl.Int64), ("NaN", float("nan"), pl.Float64), ("infinite", float("-inf"), pl.Float64),
    ("list", [["x"]], pl.List(pl.List(pl.String))), ("bytes", b"\xff\x00", pl.Binary), ("text", "x", pl.String),
    ("object", {"a": [1]}, pl.Struct({"a": pl.List(pl.Int8)})), ("nothing", None, pl.Null),
)  # fmt: skip
_ODD_CELLS: dict[Any, tuple[tuple[str, Any], ...]] = {
    pl.String: (
        ("hostile", '\u202e../../x\x1b[2J"{'),
        ("long", "x" * 200_000),
        ("deep", "[" * 50_000),
    ),
    pl.Int64: (("huge", 2**62), ("negative", -(2**62))),
    pl.Int32: (("huge", 2**30), ("negative", -(2**30))),
    pl.UInt32: (("huge", 2**32 - 1),),
    pl.Float64: (("NaN", float("nan")), ("infinite", float("inf")), ("huge", 1e300)),
    pl.List: (("empty", []), ("of nothing", [None])),
}


def _with(frame: pl.DataFrame, name: str, value: Any, kind: Any) -> pl.DataFrame:
    some = frame if frame.height else frame.clear(1)
    column = pl.Series(name, [value], dtype=kind, strict=False).new_from_index(0, some.height)
    return some.with_columns(column)


def _rewriting(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Tampering:
    def tamper(file: Path) -> None:
        change(pl.read_parquet(file)).write_parquet(file)
        root = next(folder for folder in file.parents if (folder / "snapshots").is_dir())
        renew_manifests(Workspace(root), {}, lambda: None)

    return tamper
