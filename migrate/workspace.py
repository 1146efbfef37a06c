"""The workspace folder: names, atomic files, hashes and the lock that keeps a second writer out.

Files hold personal data: the command line sets the process's umask to 077, so that they are 0600 and folders 0700.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from migrate.errors import Locked, UsageError, WorkspaceError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# Devices of Windows, whatever their ending: a workspace may be copied there.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})


PURGED_FILE = "purged.json"
"""In the workspace: what each purge removed, with hashes."""


def purged_on(root: Path, file: Path) -> str | None:
    """The day on which a purge has removed a file of the workspace at `root`; None where none has."""
    try:
        name = file.relative_to(root).as_posix()
        for purge in reversed(json.loads((root / PURGED_FILE).read_bytes())):
            if any(entry["path"] == name for entry in purge["files"]):
                return str(purge["purged_at"])[:10]
    # A list that nobody can read tells nothing; that the file is missing is said all the same.
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return None


@dataclass(frozen=True)
class FileEntry:
    """A file as a manifest records it; `path` is relative to the manifest's folder, with `/`."""

    path: str
    rows: int
    bytes: int
    sha256: str


def check_name(name: str, what: str) -> str:
    """`name`, if it can be a folder's name here and nowhere else. Raises UsageError."""
    if not is_name(name):
        raise UsageError(
            f"{name!r:.120} cannot be the name of a {what}",
            hint="use up to 100 letters, digits, dots, dashes and underscores, the first a letter or a digit",
        )
    return name


def is_name(text: str) -> bool:
    """Whether `check_name` would take it."""
    # Windows drops a dot at the end of a name.
    return bool(_NAME.fullmatch(text)) and not _RESERVED.fullmatch(text) and not text.endswith(".")


def new_name(now: datetime, taken: Callable[[str], bool]) -> str:
    """A name made of the UTC time, such as 20261121-210551, that is not taken and sorts by age."""
    # UTC, so that names sort by age over a change to winter time, too.
    base = now.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    name, count = base, 1
    while taken(name):
        count += 1
        name = f"{base}-{count}"
    return name


def sha256_bytes(data: bytes) -> str:
    """The hex digest of `data`."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The hex digest of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def entry_of(path: Path, folder: Path, rows: int) -> FileEntry:
    """The manifest entry of a finished file."""
    return FileEntry(
        path.relative_to(folder).as_posix(), rows, path.stat().st_size, sha256_file(path)
    )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; on success it is flushed to disk and takes `path`'s name.

    **Guarantees**: `path` is either what it was or the whole new file, also after a power cut.

    **Raises**: WorkspaceError where the disk is full or does not let us.
    """
    # Beside it, since a rename is atomic within one file system only.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except Exception as error:
        trouble = _disk_trouble(error)
        if trouble is None:
            raise
        raise WorkspaceError(
            f"{path} cannot be written: {trouble}",
            hint="free disk space or fix the permissions, then give the same command again",
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def _disk_trouble(error: Exception) -> str | None:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # Engines that write files themselves wrap the system's error in one of their own and keep its text only.
    match = re.search(r"([^:]+) \(os error \d+\)", str(error))
    return match.group(1).strip() if match else None


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a whole file or nothing, see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: object) -> None:
    """Writes `value` as indented JSON with a last line end, whole or not at all."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: object) -> bytes:
    """What `write_json` writes."""
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def sync_folder(folder: Path) -> None:
    """Makes renames in `folder` survive a power cut, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Places(Protocol):
    """What a project file says of places."""

    @property
    def workspace(self) -> Path:
        """The workspace folder."""

    @property
    def snapshots(self) -> str | None:
        """The URL below which finished snapshots live, None for in the workspace."""

    @property
    def keep_local_snapshots(self) -> bool:
        """Whether snapshots that live elsewhere are in the workspace as well."""


class Workspace:
    """Paths below the workspace folder. Making one touches no disk.

    `forces_unlock`: locks that another host left behind are broken.

    `snapshots_at` is the URL of an object store where finished snapshots live, None for below `snapshots`; with
    `keeps_copies` they are in both places.
    """

    def __init__(
        self, root: Path, snapshots_at: str | None = None, *, keeps_copies: bool = False
    ) -> None:
        self.root = root
        self.snapshots_at = snapshots_at
        self.forces_unlock = False
        self.keeps_copies = keeps_copies
        self.snapshots = root / "snapshots"
        self.plans = root / "plans"
        self.ledger = root / "ledger.sqlite"
        self.exports = root / "exports"
        self.reports = root / "reports"
        self.log = root / "log"

    @classmethod
    def of(cls, project: Places) -> Workspace:
        """The workspace of a project."""
        return cls(project.workspace, project.snapshots, keeps_copies=project.keep_local_snapshots)

    def create(self) -> None:
        """Makes the folder and proves that it can be written to. Raises WorkspaceError."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            probe = self.root / f".probe-{os.getpid()}"
            probe.write_bytes(b"probe")
            probe.unlink()
        except OSError as error:
            raise WorkspaceError(
                f"the workspace {self.root} cannot be written to: {error.strerror or error}",
                hint="free disk space, fix its permissions, or set another `workspace` in migrate.toml",
            ) from None

    def folder_of(self, kind: Path, name: str, what: str) -> Path:
        """The folder of the `what` of that name, below `kind`.

        **Raises**: UsageError for what can be no name; WorkspaceError for a link, which may lead anywhere.
        """
        path = kind / check_name(name, what)
        if path.is_symlink():
            raise WorkspaceError(
                f"{what} {name} is a link to another place",
                hint="put the folder itself there; only the workspace as a whole may be a link",
            )
        return path

    def names(self, folder: Path) -> list[str]:
        """Names of the snapshots or plans in `folder`, oldest first (by the time the folder was begun)."""
        if not folder.is_dir():
            return []
        folders = [
            p
            for p in folder.iterdir()
            if p.is_dir() and not p.is_symlink() and _NAME.fullmatch(p.name)
        ]
        return [p.name for p in sorted(folders, key=lambda p: (_begun(p), p.name))]

    @contextlib.contextmanager
    def lock(self, path: Path, what: str, *, force: bool = False) -> Iterator[None]:
        """Holds the lock file `path` while the block runs. Raises Locked naming the holder's host, pid and start.

        A holder on this host that is dead holds nothing: the system drops its lock with it. A lock file left by
        another host cannot be judged from here and is broken only with `force`.
        """
        force = force or self.forces_unlock
        path.parent.mkdir(parents=True, exist_ok=True)
        holder_file = path.with_suffix(".holder")
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise Locked(
                f"{what} is in use by {_holder_text(holder_file)}", hint="wait for it, or stop it"
            ) from None
        except (OSError, NotImplementedError) as error:
            if not force:
                raise _no_locks(path, what, error) from None
        me = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        try:
            _refuse_foreign(holder_file, what, force)
            holder_file.write_text(json.dumps(me), encoding="utf-8", newline="\n")
            yield
        finally:
            # Only what was written here: in containers every process may have the same number as one elsewhere.
            if _read_holder(holder_file) == me:
                holder_file.unlink(missing_ok=True)
            lock.release()


def _no_locks(path: Path, what: str, error: Exception) -> WorkspaceError:
    """The system refuses the lock file itself, and nobody holds it."""
    number = error.errno if isinstance(error, OSError) else None
    if number in _NO_LOCKS or isinstance(error, NotImplementedError):
        name = errno.errorcode.get(number, "") if number else ""
        why = f"the file system knows no locks{f' ({name})' if name else ''}"
    else:
        why = str(getattr(error, "strerror", None) or error)
    return WorkspaceError(
        f"{what} cannot be locked at {path}: {why}",
        hint="move the workspace to a disk of this machine (`workspace` in migrate.toml); or, where "
        "surely nothing else works in it, add --force-unlock",
    )


def _begun(folder: Path) -> tuple[float, float]:
    """When it was begun: by what begun.json says, which a copy or a backup does not change; else by its file's time."""
    marker = folder / "begun.json"
    try:
        touched = marker.stat().st_mtime if marker.exists() else folder.stat().st_mtime
    except OSError:
        touched = 0.0
    try:
        return datetime.fromisoformat(
            json.loads(marker.read_bytes())["started"]
        ).timestamp(), touched
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return touched, touched


def _read_holder(file: Path) -> dict[str, object]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _holder_text(file: Path) -> str:
    holder = _read_holder(file)
    return (
        f"process {holder.get('pid', '?')} on host {holder.get('host', '?')}, started {holder.get('started', '?')}"
        if holder
        else "another process"
    )


def _refuse_foreign(file: Path, what: str, force: bool) -> None:
    host = _read_holder(file).get("host")
    if host not in (None, socket.gethostname()) and not force:
        raise Locked(
            f"{what} was left locked by {_holder_text(file)}",
            hint="make sure nothing runs there any more, then add --force-unlock",
        )
