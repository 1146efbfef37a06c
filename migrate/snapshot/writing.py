"""Begins, resumes and finishes a snapshot's folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

from migrate.errors import Damaged, WorkspaceError
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
from migrate.workspace import Workspace, check_name, new_name, sha256_file, write_json


class SnapshotWriter:
    """A snapshot that this process holds the lock of. `sealed` are the resources that are done.

    `finished` is its manifest, where an earlier run ended right after writing it or the same was asked for twice.
    """

    def __init__(self, folder: Path, begun: Begun, finished: Manifest | None) -> None:
        self.folder = folder
        self.begun = begun
        self.finished = finished
        sealed = {} if finished else {name: self._read_sealed(name) for name in begun.resources}
        self.sealed = {name: found for name, found in sealed.items() if found is not None}
        for name in finished.resources if finished else self.sealed:
            Spool(folder / name).remove()
        if finished:
            self._remove_results()

    def seal(self, resource: str, sealed: SealedResource) -> None:
        """Records that a resource's parts are written, and removes its pages."""
        path = self.folder / resource / RESULT
        with disk_errors(path):
            write_json(path, asdict(sealed))
        self.sealed[resource] = sealed
        Spool(self.folder / resource).remove()

    def finish(self, finished: datetime) -> Manifest:
        """Writes the manifest: from here on the snapshot is finished and never changes."""
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
        )
        path = self.folder / MANIFEST
        with disk_errors(path):
            write_json(path, asdict(manifest))
        self._remove_results()
        return manifest

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
        files = [*sealed.parts, *([sealed.states] if sealed.states else [])]
        parts = [(self.folder / part.path, part.sha256) for part in files]
        return sealed if all(file.is_file() and sha256_file(file) == wanted for file, wanted in parts) else None


@contextlib.contextmanager
def begin_or_resume(
    workspace: Workspace, name: str | None, wanted: Begun, now: Callable[[], datetime], *, force_unlock: bool = False
) -> Iterator[SnapshotWriter]:
    """The snapshot to write to, locked while the block runs. `wanted.name` is not looked at.

    **Raises**: UsageError for a bad name; Locked; WorkspaceError when the snapshot was begun for something else.
    """
    workspace.create()
    name = check_name(name, "snapshot") if name is not None else _name(workspace, wanted, now)
    folder = workspace.snapshots / name
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with workspace.lock(folder / LOCK, f"snapshot {name}", force=force_unlock):
        begun = _begin(folder, replace(wanted, name=name))
        path = folder / MANIFEST
        finished = read_file(path, Manifest, f"snapshot {name}") if path.exists() else None
        yield SnapshotWriter(folder, begun, finished)


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
    return begun.base_url, begun.project_id, begun.resources, begun.since


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
