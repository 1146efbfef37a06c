"""Opening the ledger's file so that it has its tables, and that a damaged or unknown one is never written to."""

from __future__ import annotations

import contextlib
import glob
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from migrate.errors import Damaged, WorkspaceError
from migrate.load.ledger_tables import STEPS

VERSION = len(STEPS)

APPLICATION_ID = 0x4D494752
_BUSY_MS = 5_000


def connect(file: Path, *, check: bool = True) -> sqlite3.Connection:
    """A connection for the one writer; a new file gets the tables, one of an earlier version those it lacks.

    `check`: whether the whole file is read for damage first, which takes its time in a large one.

    **Guarantees**: every committed transaction survives a power cut (WAL, synchronous FULL); who
    reads a file that is just being made finds either none or one with its tables.

    **Raises**: Damaged for a file that fails its integrity check; WorkspaceError for one of a later
    version.
    """
    if not file.exists():
        _create(file)
    return _connect(file, check=check)


def _create(file: Path) -> None:
    # Another command may make it at the same time: whichever is first counts, and nobody's is replaced.
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    with translated(file):
        for left in (new, new.with_name(f"{new.name}-wal"), new.with_name(f"{new.name}-shm")):
            left.unlink(missing_ok=True)
        _connect(new, check=True).close()
        try:
            os.link(new, file)
        except (FileExistsError, FileNotFoundError):
            # Another one was first, and has swept this one away with what dead ones left.
            pass
        except OSError:  # a file system without links
            new.replace(file)
        for left in file.parent.glob(f"{glob.escape(file.name)}.*new*"):
            left.unlink(missing_ok=True)


def _connect(file: Path, *, check: bool) -> sqlite3.Connection:
    with translated(file):
        connection = sqlite3.connect(file, isolation_level=None, timeout=_BUSY_MS / 1000)
        try:
            version = checked_version(connection, file, whole=check)
            connection.execute("PRAGMA journal_mode = WAL")
            # With NORMAL a power cut takes the last commits in WAL, and a request that has left would be forgotten.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            if version < VERSION:
                _upgrade(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def connect_read_only(file: Path) -> sqlite3.Connection:
    """A connection that cannot change anything. Raises like `connect`.

    A file of an earlier version gets the tables it lacks first, where it can be written at all.
    """
    with translated(file):
        uri = f"{file.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_MS / 1000)
        try:
            version = checked_version(connection, file)
        except BaseException:
            connection.close()
            raise
    if version == VERSION:
        return connection
    connection.close()
    try:
        _connect(file, check=False).close()
    except WorkspaceError:
        _refuse_earlier(version, file)
        raise
    return connect_read_only(file)


def checked_version(connection: sqlite3.Connection, file: Path, *, whole: bool = True) -> int:
    """The version of a sound ledger, 0 for an empty file; `whole`: every page of it is looked at.

    **Raises**: Damaged, WorkspaceError.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    # It may keep states that this version does not know.
    if version > VERSION:
        raise WorkspaceError(
            f"{file} has format {version}, this program knows format {VERSION}",
            hint="use the version of this program that wrote it, or a later one",
        )
    if tables and (application != APPLICATION_ID or version == 0):
        raise _damaged(file, "it is another program's database, or its tables were never finished")
    if whole:
        verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    else:
        verdict = "ok"
    if verdict != "ok":
        raise _damaged(file, verdict)
    return version


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, file: Path) -> Iterator[sqlite3.Connection]:
    """Everything in the block, durable when the block ends, or nothing. Raises WorkspaceError, Damaged."""
    with translated(file):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


@contextlib.contextmanager
def translated(file: Path) -> Iterator[None]:
    """Turns SQLite's errors into ours. Raises WorkspaceError (disk full, read-only, locked), Damaged."""
    try:
        yield
    except (sqlite3.OperationalError, sqlite3.IntegrityError) as error:
        if "malformed" in str(error):
            raise _damaged(file, str(error)) from None
        raise WorkspaceError(
            f"the ledger {file} cannot be used: {error}",
            hint="free disk space or fix its permissions, then give the same command again",
        ) from None
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        # SQLite keeps as text what is none, and repeats it in its messages.
        raise _damaged(file, str(error)) from None


def _refuse_earlier(version: int, file: Path) -> None:
    if version < VERSION:
        raise WorkspaceError(
            f"{file} has format {version}, this program writes format {VERSION}",
            hint="make the file writable for this user; then any command brings it up to date",
        )


def _upgrade(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Asked again now that nobody else can: another command may just have done it.
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        for step in STEPS[version:]:
            for statement in step.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _damaged(file: Path, why: str) -> Damaged:
    return Damaged(
        f"the ledger {file} is damaged: {why:.200}",
        hint="move it away with its -wal and -shm files and make a new plan with `migrate plan`: "
        "it reads the target and plans only what is not there yet",
    )
