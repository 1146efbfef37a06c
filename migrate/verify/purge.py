"""Personal data out of the workspace: all of it, or one person's. Counts and hashes stay.

What holds personal data: parts of snapshots, the Parquet files of plans, crosswalks and lists of differences, reports
with samples, what was read back, undone or rehearsed, and the keys in the ledger. What stays: manifests, plan.json,
counts, verdicts, evidence.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from migrate.errors import WorkspaceError
from migrate.privacy.own import REHEARSAL, is_kept, is_own, is_rehearsal, own_files
from migrate.privacy.written import read_written
from migrate.verify.ledger_sweep import forget_old_pages, open_to_erase
from migrate.workspace import FileEntry, Workspace, sha256_file

_PERSONAL_COLUMNS = ("masterid", "merged_from", "error", "stored")
_TABLES_OF_MASTERIDS = ("merges", "merged_before")
_BEGINNINGS = (
    "plans/*/plan.json",
    "plans/*/begun.json",
    "snapshots/*/manifest.json",
    "snapshots/*/begun.json",
)
"""What every plan and snapshot has from its beginning or its end on, and what a purge keeps."""
# Not empty: these are part of a key, and two empty ones would be one row less in the counts.
_RANDOM = "hex(randomblob(16))"
_EMPTIED = {
    "canaries": (("masterids", "'[]'"), ("told", "'[]'")),
    "set_aside": (("reason", "''"),),
    "foreign_edits": (("masterid", _RANDOM),),
    "discards": (("id", _RANDOM), ("note", "''")),
    "reject_marks": (("note", "''"),),
    # what was typed may name somebody: --subject, --reason, a path
    "runs": (("command_line", "command"),),
    "handovers": (("folder", "''"), ("uploaded_to", "NULL")),
}
"""What a purge of everything puts in the place of what may be personal, in tables beside the records."""
_MASTERIDS = """
SELECT r.masterid, m.gone FROM records r LEFT JOIN merges m ON m.dataset = r.dataset AND m.survivor = r.masterid
WHERE r.dataset IN (SELECT id FROM datasets WHERE name = ?) AND r.key = ?
"""


@dataclass(frozen=True)
class Purged:
    """What was removed (or would be): the files with their hashes, and the number of the ledger's records emptied."""

    files: tuple[FileEntry, ...]
    ledger_records: int
    left_alone: tuple[str, ...] = ()
    """What stands there and is not the tool's own."""
    linked: tuple[str, ...] = ()
    """Removed here, and kept under another name elsewhere (hard links): the file, and the number of its inode."""


def personal_files(workspace: Workspace) -> tuple[list[Path], list[str]]:
    """Every file of the workspace that may hold personal data and is the tool's own; and the names of what is not.

    In a stable order. Links are not followed and not removed.
    """
    files = []
    left_alone = []
    # A report is the tool's own only where there is a plan of its name: somebody may have one that looks alike.
    known = {file.parent.name for pattern in _BEGINNINGS for file in workspace.root.glob(pattern)}
    is_ours = is_rehearsal(workspace.root / REHEARSAL)
    for file in sorted(own_files(workspace.root)):
        name = file.relative_to(workspace.root).as_posix()
        if is_kept(name):
            continue
        if is_own(name, known) and (is_ours or not name.startswith(f"{REHEARSAL}/")):
            files.append(file)
        else:
            left_alone.append(name)
    written = [one for one in read_written(workspace.root) if one.is_as_written()]
    chosen = {name for one in written if (name := _name_in(workspace, one.path)) in left_alone}
    files += [workspace.root / name for name in sorted(chosen)]
    elsewhere = [str(one.path) for one in written if not one.is_inside(workspace.root)]
    return files, [*(name for name in left_alone if name not in chosen), *sorted(elsewhere)]


def _name_in(workspace: Workspace, file: Path) -> str:
    if workspace.root in file.parents:
        return file.relative_to(workspace.root).as_posix()
    return ""


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
            # A purge that was interrupted has removed some of them already.
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
    with open_to_erase(ledger) as connection:
        return int(connection.execute("SELECT count(*) FROM records WHERE key <> ''").fetchone()[0])


def empty_ledger(ledger: Path) -> int:
    """Removes keys, masterids and reasons from all records, counts stay; the number of records that held one.

    The caller holds the ledger's lock. Nothing of the old content stays in the file or its log.
    """
    if not ledger.exists():
        return 0
    with open_to_erase(ledger) as connection:
        with connection:
            emptied = _emptied(connection)
            cursor = connection.execute(f"UPDATE records SET {emptied} WHERE key <> ''")  # noqa: S608  fixed names
            for table in _TABLES_OF_MASTERIDS:
                if _columns(connection, table):
                    connection.execute(f"UPDATE {table} SET gone = hex(randomblob(16))")  # noqa: S608  fixed names
            for table, changes in _EMPTIED.items():
                there = _columns(connection, table)
                sets = ", ".join(f"{name} = {value}" for name, value in changes if name in there)
                if sets:
                    connection.execute(f"UPDATE {table} SET {sets}")  # noqa: S608  fixed names
            if "survivor" in _columns(connection, "merges"):
                connection.execute("UPDATE merges SET survivor = ''")
            # Whose record was discarded, and in which words: the next extract has them again.
            if _columns(connection, "discards"):
                connection.execute("DELETE FROM discards")
            if _columns(connection, "reject_marks"):
                connection.execute("UPDATE reject_marks SET note = ''")
        forget_old_pages(connection)
        return cursor.rowcount


def find_masterids(ledger: Path, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """The (dataset, masterid) of records by (dataset, key), in all plans, with what was merged into them."""
    if not ledger.exists():
        return set()
    masterids: set[tuple[str, str]] = set()
    with open_to_erase(ledger) as connection:
        for dataset, key in keys:
            rows = connection.execute(_MASTERIDS, (dataset, key)).fetchall()
            masterids.update((dataset, masterid) for row in rows for masterid in row if masterid)
    return masterids


def _emptied(connection: sqlite3.Connection) -> str:
    """What empties a record of everything personal that this version of the ledger keeps."""
    nullable = [name for name in _PERSONAL_COLUMNS if name in _columns(connection, "records")]
    return ", ".join(["key = ''", *(f"{name} = NULL" for name in nullable)])


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
