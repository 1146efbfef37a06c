"""Begins, resumes and finishes a snapshot's folder."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

from migrate.errors import Damaged, MigrateError, WorkspaceError
from migrate.progress import Progress, Silence
from migrate.snapshot.layout import (
    BEGUN,
    FORMAT,
    LOCK,
    MANIFEST,
    RESULT,
    Begun,
    Manifest,
    SealedResource,
    differences,
    disk_errors,
    read_file,
)
from migrate.snapshot.spool import Spool
from migrate.snapshot.storage import SnapshotStore, store_of
from migrate.workspace import Workspace, json_bytes, new_name, sha256_file, write_bytes, write_json


class SnapshotWriter:
    """A snapshot that this process holds the lock of. `sealed` are the resources that are done.

    `finished` is its manifest, where an earlier run ended right after writing it or the same was asked for twice.
    """

    def __init__(
        self,
        folder: Path,
        begun: Begun,
        finished: Manifest | None,
        store: SnapshotStore | None = None,
    ) -> None:
        self.folder = folder
        self.begun = begun
        self._store = store
        self.finished = finished
        if finished:
            sealed = {}
        else:
            sealed = {name: self._read_sealed(name) for name in begun.resources}
        self.sealed = {name: found for name, found in sealed.items() if found is not None}
        # A crash may have come between sealing a resource and removing its pages.
        for name in finished.resources if finished else self.sealed:
            Spool(folder / name).remove()
        if finished:
            self._remove_results()
            self._move(folder / MANIFEST)

    def seal(self, resource: str, sealed: SealedResource) -> None:
        """Records that a resource's parts are written, and removes its pages."""
        path = self.folder / resource / RESULT
        with disk_errors(path):
            write_json(path, asdict(sealed))
        self.sealed[resource] = sealed
        Spool(self.folder / resource).remove()

    def finish(
        self,
        finished: datetime,
        stop: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> Manifest:
        """Writes the manifest: from here on the snapshot is finished and never changes.

        Where snapshots live in an object store, the parts and the manifest are put there first; `stop` interrupts that.
        """
        manifest = Manifest(
            format=FORMAT,
            name=self.begun.name,
            base_url=self.begun.base_url,
            project_id=self.begun.project_id,
            tool_version=self.begun.tool_version,
            started=self.begun.started,
            finished=finished.isoformat(),
            resources={name: self.sealed[name] for name in self.begun.resources},
            since=self.begun.since,
            only_source=self.begun.only_source,
        )
        data = json_bytes(asdict(manifest))
        if self._store:
            data = self._store.publish(self.folder, data, stop, progress or Silence())
        path = self.folder / MANIFEST
        with disk_errors(path):
            write_bytes(path, data)
        self._remove_results()
        if self._store:
            self._store.remove_copies(self.folder)
        return read_file(path, Manifest, f"snapshot {self.begun.name}")

    def _move(self, manifest: Path) -> None:
        """Moves a finished snapshot to the object store, if it is not there: it may be older than that setting."""
        if self._store:
            self._store.publish_missing(self.folder, manifest.read_bytes())
            self._store.remove_copies(self.folder)

    def _remove_results(self) -> None:
        for name in self.begun.resources:
            (self.folder / name / RESULT).unlink(missing_ok=True)

    def _read_sealed(self, resource: str) -> SealedResource | None:
        """What an earlier run sealed, None where there is nothing or a part has been lost since."""
        path = self.folder / resource / RESULT
        if not path.exists():
            return None
        try:
            sealed = read_file(path, SealedResource, f"snapshot {self.begun.name}")
        except Damaged:
            return None
        # By hash, since a part that a crash cut off has its name all the same.
        parts = [(self.folder / part.path, part.sha256) for part in sealed.files]
        if all(file.is_file() and sha256_file(file) == wanted for file, wanted in parts):
            return sealed
        return None


@contextlib.contextmanager
def begin_or_resume(
    workspace: Workspace,
    name: str | None,
    wanted: Begun,
    now: Callable[[], datetime],
    *,
    force_unlock: bool = False,
) -> Iterator[SnapshotWriter]:
    """The snapshot to write to, locked while the block runs. `wanted.name` is not looked at.

    **Raises**: UsageError for a bad name; Locked; WorkspaceError when the snapshot was begun for something else.
    """
    workspace.create()
    store = store_of(workspace)
    if store:
        store.fetch_manifests(workspace.snapshots)
    name = name if name is not None else _name(workspace, wanted, now)
    folder = workspace.folder_of(workspace.snapshots, name, "snapshot")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with workspace.lock(folder / LOCK, f"snapshot {name}", force=force_unlock):
        begun = _claim(folder, replace(wanted, name=name), store)
        path = folder / MANIFEST
        if path.exists():
            finished = read_file(path, Manifest, f"snapshot {name}")
        else:
            finished = None
        yield SnapshotWriter(folder, begun, finished, store)


def _name(workspace: Workspace, wanted: Begun, now: Callable[[], datetime]) -> str:
    """The newest unfinished snapshot made for the same project and resources, else a new name."""
    for name in reversed(workspace.names(workspace.snapshots)):
        folder = workspace.snapshots / name
        if (folder / MANIFEST).exists() or not (folder / BEGUN).exists():
            continue
        try:
            begun = read_file(folder / BEGUN, Begun, f"snapshot {name}")
        except WorkspaceError:
            continue  # not one that could be resumed; `status` shows it
        if _purpose(begun) == _purpose(wanted):
            return name
    return new_name(now(), lambda taken: (workspace.snapshots / taken).exists())


def _purpose(begun: Begun) -> tuple[object, ...]:
    return (
        begun.base_url,
        begun.project_id,
        begun.resources,
        begun.since,
        begun.expect,
        begun.encoding,
        begun.only_source,
    )


def _claim(folder: Path, wanted: Begun, store: SnapshotStore | None) -> Begun:
    """What the snapshot was begun for; its name is taken in the object store too, where there is one."""
    # A name that another one has in the store must not stay taken here by a folder without pages.
    is_new = not (folder / BEGUN).exists()
    begun = _begin(folder, wanted)
    try:
        if store:
            store.claim(wanted.name, folder / BEGUN)
    except MigrateError:
        if is_new:
            (folder / BEGUN).unlink()
        raise
    return begun


def _begin(folder: Path, wanted: Begun) -> Begun:
    path = folder / BEGUN
    if not path.exists():
        with disk_errors(path):
            write_json(path, asdict(wanted))
        return wanted
    begun = read_file(path, Begun, f"snapshot {wanted.name}")
    changed = differences(begun, wanted)
    if changed:
        raise WorkspaceError(
            f"snapshot {wanted.name} was begun with other settings; {'; '.join(changed)}",
            hint="give the same settings and resources as then, or another name: migrate extract --snapshot NEW-NAME",
        )
    return begun
