"""DuckDB as the verifier uses it: within bounds, and without a way to the network or to files that are not its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import duckdb

from migrate.verify.language.steps import Function, quoted
from migrate.verify.typed import Broken

_SETTINGS: Mapping[str, str] = {
    # Memory must not grow with the dataset: what does not fit here spills to the folder.
    "threads": "2",
    "memory_limit": "384MB",
    # A division by zero is its own record's reject, and never the end of the query for all others.
    "error_on_division_by_zero": "false",
    # Else a function that DuckDB does not have is looked for on the network.
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_REMEMBERED = 20_000


def _initcap(text: str) -> str:
    """Words are runs of letters and digits; each begins big and goes on small."""
    letters = list(text)
    for at, letter in enumerate(letters):
        is_first = at == 0 or not text[at - 1].isalnum()
        letters[at] = letter.title() if is_first else letter.lower()
    return "".join(letters)


# what DuckDB does with one letter for one, or with letters that are seen as one
_FUNCTIONS: Mapping[str, Function] = {
    "py_lower": lambda text: text.lower(),
    "py_upper": lambda text: text.upper(),
    "py_initcap": _initcap,
    "py_reverse": lambda text: text[::-1],
}


@contextlib.contextmanager
def database(folder: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database of its own, gone with the context; with a folder it reads and writes files there, and spills there."""
    connection = duckdb.connect(":memory:", config=dict(_SETTINGS))
    try:
        if folder is not None:
            connection.execute(f"SET temp_directory = {quoted(str(folder / 'spilled'))}")
            # Before the door is shut: after that DuckDB takes no folder any more.
            connection.execute(f"SET allowed_directories = [{quoted(str(folder))}]")
        connection.execute("SET enable_external_access = false")
        for called, function in _FUNCTIONS.items():
            connection.create_function(called, function, ["VARCHAR"], "VARCHAR")
        # Last, so that nothing which is run from here on can lift the bounds.
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def register(
    connection: duckdb.DuckDBPyConnection, calls: Mapping[str, tuple[Function, int]]
) -> None:
    """Has the database know functions of Python, and of how many texts each is.

    It is asked once for equal texts; where it breaks a rule it gives a NUL and the rule's name.
    """
    for called, (function, texts) in calls.items():
        given = _of_one(function) if texts == 1 else _of_two(function)
        connection.create_function(called, given, ["VARCHAR"] * texts, "VARCHAR")


# DuckDB counts the parameters that a function names
def _of_one(function: Function) -> Callable[[str], str]:
    @lru_cache(_REMEMBERED)
    def call(text: str) -> str:
        try:
            return function(text)
        except Broken as broken:
            return "\0" + broken.rule

    return call


def _of_two(function: Function) -> Callable[[str, str], str]:
    @lru_cache(_REMEMBERED)
    def call(text: str, zone: str) -> str:
        try:
            return function(text, zone)
        except Broken as broken:
            return "\0" + broken.rule

    return call
