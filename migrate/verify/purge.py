"""Personal data out of the workspace: all of it, or one person's. Counts and hashes stay.

What holds personal data: parts of snapshots, the Parquet files of plans, crosswalks and lists of differences, reports
with samples, and the keys in the ledger. What stays: manifests, plan.json, counts, verdicts, evidence.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from migrate.errors import WorkspaceError
from migrate.workspace import FileEntry, Workspace, sha256_file

KEPT_REPORTS = ("-run.json", "-reconcile.json", "-evidence.zip")
_PERSONAL_COLUMNS = ("masterid", "merged_from", "error", "stored")
_TABLES_OF_MASTERIDS = ("merges", "merged_before")
_KEPT_NAMES = frozenset({"manifest.json", "begun.json", "plan.json", "result.json"})


@dataclass(frozen=True)
class Purged:
    """What was removed (or would be): the files with their hashes, and the number of the ledger's records emptied."""

    files: tuple[FileEntry, ...]
    ledger_records: int


def personal_files(workspace: Workspace) -> list[Path]:
    """Every file of the workspace that may hold personal data, in a stable order."""
    found = [*_below(workspace.snapshots), *_below(workspace.plans), *_below(workspace.exports)]
    found = [file for file in found if file.name not in _KEPT_NAMES and not file.name.endswith((".lock", ".holder"))]
    found += [file for file in _below(workspace.reports) if not file.name.endswith(KEPT_REPORTS)]
    found += [*_below(workspace.log), *_below(workspace.root / "undo")]
    salt = workspace.root / "salt"
    return sorted(found) + ([salt] if salt.is_file() else [])


def _below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())


def describe(workspace: Workspace, files: Iterable[Path]) -> tuple[FileEntry, ...]:
    """The files as a manifest lists them; rows are not counted."""
    return tuple(
        FileEntry(file.relative_to(workspace.root).as_posix(), 0, file.stat().st_size, sha256_file(file))
        for file in files
        if file.is_file()
    )


def remove(files: Iterable[Path]) -> None:
    """Removes files. Raises WorkspaceError naming the first that cannot be."""
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f"{file} cannot be removed: {error.strerror or error}", hint="fix its permissions and purge again"
            ) from None


def count_ledger_records(ledger: Path) -> int:
    """How many of the ledger's records still hold a key."""
    if not ledger.exists():
        return 0
    with _writing(ledger) as connection:
        return int(connection.execute("SELECT count(*) FROM records WHERE key <> ''").fetchone()[0])


def empty_ledger(ledger: Path) -> int:
    """Removes keys, masterids and reasons from all records, counts stay; the number of records that held one.

    The caller holds the ledger's lock. Nothing of the old content stays in the file or its log.
    """
    if not ledger.exists():
        return 0
    with _writing(ledger) as connection:
        with connection:
            cursor = connection.execute(f"UPDATE records SET {_emptied(connection)} WHERE key <> ''")  # noqa: S608  fixed names
            for table in _TABLES_OF_MASTERIDS:
                if _columns(connection, table):
                    connection.execute(f"UPDATE {table} SET gone = hex(randomblob(16))")  # noqa: S608  fixed names
            if "survivor" in _columns(connection, "merges"):
                connection.execute("UPDATE merges SET survivor = ''")
        _forget(connection)
        return cursor.rowcount


def empty_records(ledger: Path, keys: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Removes the key and reason of records by (dataset, key), in all plans; the (dataset, masterid) they had."""
    if not ledger.exists():
        return []
    found: set[tuple[str, str]] = set()
    with _writing(ledger) as connection:
        with connection:
            for dataset, key in keys:
                where = "dataset IN (SELECT id FROM datasets WHERE name = ?) AND key = ?"
                rows = connection.execute(f"SELECT masterid FROM records WHERE {where}", (dataset, key)).fetchall()  # noqa: S608  a fixed text
                found.update((dataset, row[0]) for row in rows if row[0])
                connection.execute(f"UPDATE records SET {_emptied(connection)} WHERE {where}", (dataset, key))  # noqa: S608  fixed names
        _forget(connection)
    return sorted(found)


def _emptied(connection: sqlite3.Connection) -> str:
    """What empties a record of everything personal that this version of the ledger keeps."""
    nullable = [name for name in _PERSONAL_COLUMNS if name in _columns(connection, "records")]
    return ", ".join(["key = ''", *(f"{name} = NULL" for name in nullable)])


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


@contextlib.contextmanager
def _writing(ledger: Path) -> Iterator[sqlite3.Connection]:
    try:
        with contextlib.closing(sqlite3.connect(ledger, timeout=5)) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            yield connection
    except sqlite3.Error as error:
        raise WorkspaceError(f"the ledger {ledger} cannot be purged: {error}", hint="migrate status") from None


def _forget(connection: sqlite3.Connection) -> None:
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
