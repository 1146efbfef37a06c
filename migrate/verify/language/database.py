"""DuckDB as the verifier uses it: in memory, alone, without a way to files or the network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import duckdb

_SETTINGS: Mapping[str, str] = {
    "threads": "1",
    "error_on_division_by_zero": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


def _initcap(text: str) -> str:
    """Words are runs of letters and digits; each begins big and goes on small."""
    letters = list(text)
    for at, letter in enumerate(letters):
        is_first = at == 0 or not text[at - 1].isalnum()
        letters[at] = letter.title() if is_first else letter.lower()
    return "".join(letters)


# what DuckDB does with one letter for one, or with letters that are seen as one
_FUNCTIONS = {
    "py_lower": lambda text: text.lower(),
    "py_upper": lambda text: text.upper(),
    "py_initcap": _initcap,
    "py_reverse": lambda text: text[::-1],
}


@contextlib.contextmanager
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database of its own, gone with the context."""
    connection = duckdb.connect(":memory:", config=dict(_SETTINGS))
    try:
        for called, function in _FUNCTIONS.items():
            connection.create_function(called, function, ["VARCHAR"], "VARCHAR")
        yield connection
    finally:
        connection.close()
