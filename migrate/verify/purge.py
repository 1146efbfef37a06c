"""Personal data out of the workspace: all of it, or one person's. Counts and hashes stay.

What holds personal data: parts of snapshots, the Parquet files of plans, crosswalks and lists of differences, reports
with samples, what was read back, undone or rehearsed, and the keys in the ledger. What stays: manifests, plan.json,
counts, verdicts, evidence.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from migrate.errors import WorkspaceError
from migrate.workspace import FileEntry, Workspace, sha256_file

UNDO, REHEARSAL = "undo", "rehearsal"
KEPT_REPORTS = ("-run.json", "-cutover.json", "-reconcile.json", "-evidence.zip")
_PERSONAL_COLUMNS = ("masterid", "merged_from", "error", "stored")
_TABLES_OF_MASTERIDS = ("merges", "merged_before")
_MASTERIDS = """
SELECT r.masterid, m.gone FROM records r LEFT JOIN merges m ON m.dataset = r.dataset AND m.survivor = r.masterid
WHERE r.dataset IN (SELECT id FROM datasets WHERE name = ?) AND r.key = ?
"""
_KEPT_NAMES = frozenset({"manifest.json", "begun.json", "plan.json", "result.json"})


@dataclass(frozen=True)
class Purged:
    """What was removed (or would be): the files with their hashes, and the number of the ledger's records emptied."""

    files: tuple[FileEntry, ...]
    ledger_records: int


def personal_files(workspace: Workspace) -> list[Path]:
    """Every file of the workspace that may hold personal data, in a stable order."""
    found = [*_below(workspace.snapshots), *_below(workspace.plans), *_below(workspace.exports)]
    found = [
        file
        for file in found
        if file.name not in _KEPT_NAMES and not file.name.endswith((".lock", ".holder"))
    ]
    found += [file for file in _below(workspace.reports) if not file.name.endswith(KEPT_REPORTS)]
    found += [file for name in ("log", UNDO, REHEARSAL) for file in _below(workspace.root / name)]
    salt = workspace.root / "salt"
    return sorted(found) + ([salt] if salt.is_file() else [])


def _below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())


def describe(workspace: Workspace, files: Iterable[Path]) -> tuple[FileEntry, ...]:
    """The files as a manifest lists them; rows are not counted."""
    return tuple(
        FileEntry(
            file.relative_to(workspace.root).as_posix(), 0, file.stat().st_size, sha256_file(file)
        )
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
                f"{file} cannot be removed: {error.strerror or error}",
                hint="fix its permissions and purge again",
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
            emptied = _emptied(connection)
            cursor = connection.execute(f"UPDATE records SET {emptied} WHERE key <> ''")  # noqa: S608  fixed names
            for table in _TABLES_OF_MASTERIDS:
                if _columns(connection, table):
                    connection.execute(f"UPDATE {table} SET gone = hex(randomblob(16))")  # noqa: S608  fixed names
            if "survivor" in _columns(connection, "merges"):
                connection.execute("UPDATE merges SET survivor = ''")
        _forget(connection)
        return cursor.rowcount


def find_masterids(ledger: Path, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """The (dataset, masterid) of records by (dataset, key), in all plans, with what was merged into them."""
    if not ledger.exists():
        return set()
    found: set[tuple[str, str]] = set()
    with _writing(ledger) as connection:
        for dataset, key in keys:
            rows = connection.execute(_MASTERIDS, (dataset, key)).fetchall()
            found.update((dataset, masterid) for row in rows for masterid in row if masterid)
    return found


def empty_records(
    ledger: Path, keys: Iterable[tuple[str, str]], masterids: Iterable[tuple[str, str]]
) -> None:
    """Removes key, masterid and reason of records by (dataset, key) or (dataset, masterid), in all plans."""
    if not ledger.exists():
        return
    with _writing(ledger) as connection:
        emptied = _emptied(connection)
        of_dataset = "dataset IN (SELECT id FROM datasets WHERE name = ?)"
        with connection:
            for column, values in (("key", keys), ("masterid", masterids)):
                for pair in values:
                    # an undo's records have the masterid for a key
                    same = f"{of_dataset} AND ({column} = ? OR key = ?)"
                    erase = f"UPDATE records SET {emptied} WHERE {same}"  # noqa: S608  fixed names
                    connection.execute(erase, (*pair, pair[1]))
            for dataset, masterid in masterids:
                for table in _TABLES_OF_MASTERIDS:
                    if _columns(connection, table):
                        gone = f"UPDATE {table} SET gone = hex(randomblob(16)) WHERE gone = ? AND {of_dataset}"  # noqa: S608  fixed names
                        connection.execute(gone, (masterid, dataset))
                survived = f"UPDATE merges SET survivor = '' WHERE survivor = ? AND {of_dataset}"  # noqa: S608  fixed names
                connection.execute(survived, (masterid, dataset))
        _forget(connection)


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
        raise WorkspaceError(
            f"the ledger {ledger} cannot be purged: {error}", hint="migrate status"
        ) from None


def _forget(connection: sqlite3.Connection) -> None:
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
