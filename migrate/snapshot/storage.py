"""Snapshots on an object store: the same files below `URL/NAME/` as in a folder, put there when a snapshot is sealed.

begun.json is put first and claims the name; parts follow, each read back and compared; manifest.json comes last, so
that there is never a manifest without its parts. Manifests are also kept in the workspace, where other rooms look.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import msgspec
import polars as pl

from migrate import parquet
from migrate.errors import Damaged, Interrupted, Locked
from migrate.progress import Progress, Silence
from migrate.snapshot.layout import BEGUN, MANIFEST, Manifest, disk_errors, files_of, read_file
from migrate.snapshot.objects import Objects
from migrate.workspace import FileEntry, Workspace, is_name, sha256_bytes, write_bytes

_AT_ONCE = 8
_AHEAD = 2
_TASK = "upload"
_SILENCE = Silence()


class SnapshotStore:
    """The snapshots below a URL. `keep_copies`: parts stay in the workspace too, and those fetched are kept there."""

    def __init__(self, objects: Objects, *, keep_copies: bool) -> None:
        self.objects = objects
        self.keep_copies = keep_copies

    def claim(self, name: str, begun: Path) -> None:
        """Takes the name, for the extract that wrote `begun`. Raises Locked when another one has it."""
        if not self.objects.create(f"{name}/{BEGUN}", begun.read_bytes()):
            raise Locked(
                f"snapshot {name} in {self.objects.url} was begun by another extract",
                hint="give the snapshot another name: migrate extract --snapshot NEW-NAME",
            )

    def publish(
        self,
        folder: Path,
        manifest: bytes,
        stop: threading.Event | None = None,
        progress: Progress = _SILENCE,
    ) -> bytes:
        """Puts a sealed snapshot's parts there, then its manifest; gives back the manifest that stands there.

        **Guarantees**: called again after any interruption it goes on; what is there already is compared, not sent.

        **Raises**: Damaged for a part that is not what the manifest says; Locked when another extract has finished a
        snapshot of this name with other content; Interrupted; RemoteError.
        """
        name, entries = folder.name, files_of(_decoded(manifest))
        there = self.objects.sizes(name)

        def send(entry: FileEntry) -> None:
            if stop is not None and stop.is_set():
                raise Interrupted(
                    f"interrupted; what {self.objects.url} has already is kept",
                    hint=f"migrate extract --snapshot {name}",
                )
            self._send(folder, entry, there.get(f"{name}/{entry.path}"))

        progress.begin(_TASK, total=len(entries), unit="parts")
        try:
            for _sent in _each(send, entries):
                progress.advance(_TASK, 1)
        finally:
            progress.end(_TASK)
        paths = [BEGUN, MANIFEST, *(entry.path for entry in entries)]
        wanted = {f"{name}/{path}" for path in paths}
        # Parts of an earlier try would be found by who reads the folder with a pattern.
        self.objects.delete(sorted(there.keys() - wanted))
        return self._put_manifest(name, manifest)

    def publish_missing(self, folder: Path, manifest: bytes) -> None:
        """Publishes a finished snapshot that is not there yet."""
        if self.objects.get(f"{folder.name}/{MANIFEST}") is None:
            self.publish(folder, manifest)

    def _send(self, folder: Path, entry: FileEntry, size_there: int | None) -> None:
        path = f"{folder.name}/{entry.path}"
        with disk_errors(folder / entry.path, act="read"):
            data = (folder / entry.path).read_bytes()
        if sha256_bytes(data) != entry.sha256:
            raise Damaged(f"{folder / entry.path} is not what was sealed", hint="migrate extract")
        # Read and not only counted: an object of the same size may be an earlier try with other bytes.
        if size_there == len(data) and self.objects.get(path) == data:
            return
        self.objects.put(path, data)
        # Once the source is switched off, what the store has lost cannot be fetched again.
        if self.objects.get(path) != data:
            raise Damaged(
                f"{self.objects.url}: {path} came back with other bytes",
                hint="give the same command again",
            )

    def _put_manifest(self, name: str, manifest: bytes) -> bytes:
        path = f"{name}/{MANIFEST}"
        if self.objects.create(path, manifest):
            return manifest
        stored = self.objects.get(path) or b""
        # A run that was killed right after writing it, at another time of the clock, is the same snapshot.
        if not stored or _decoded(stored).resources != _decoded(manifest).resources:
            raise Locked(
                f"{self.objects.url} has another snapshot {name}, finished by another extract",
                hint="give the snapshot another name: migrate extract --snapshot NEW-NAME",
            )
        return stored

    def remove_copies(self, folder: Path) -> None:
        """Removes from the workspace the parts that the store has as well, unless copies are kept.

        **Guarantees**: a part that is not there in its size, under this very manifest, stays.
        """
        if self.keep_copies or not (folder / MANIFEST).is_file():
            return
        if self.objects.get(f"{folder.name}/{MANIFEST}") != (folder / MANIFEST).read_bytes():
            return
        there = self.objects.sizes(folder.name)
        for entry in files_of(read_file(folder / MANIFEST, Manifest, f"snapshot {folder.name}")):
            if there.get(f"{folder.name}/{entry.path}") == entry.bytes:
                with disk_errors(folder / entry.path, act="removed"):
                    (folder / entry.path).unlink(missing_ok=True)

    def read(self, folder: Path, entry: FileEntry) -> bytes:
        """A file of a snapshot, compared with its hash. Raises Damaged, RemoteError."""
        data = self.objects.get(f"{folder.name}/{entry.path}")
        if data is None or sha256_bytes(data) != entry.sha256:
            raise Damaged(
                f"{self.objects.url}: {folder.name}/{entry.path} "
                + ("is missing" if data is None else "has other bytes"),
                hint="bring the object back from a backup, or make a new snapshot: migrate extract",
            )
        if self.keep_copies:
            with disk_errors(folder / entry.path, len(data)):
                write_bytes(folder / entry.path, data)
        return data

    def read_all(self, folder: Path, entries: Sequence[FileEntry]) -> Iterator[bytes]:
        """The files in order, the next ones already on their way while one is worked on."""
        with ThreadPoolExecutor(_AHEAD) as pool:
            waiting = [pool.submit(self.read, folder, entry) for entry in entries[:_AHEAD]]
            for entry in [*entries[_AHEAD:], *[None] * len(waiting)]:
                first = waiting.pop(0)
                if entry is not None:
                    waiting.append(pool.submit(self.read, folder, entry))
                yield first.result()

    def scan(self, folder: Path, entries: Sequence[FileEntry]) -> pl.LazyFrame:
        """The files as one lazy frame, of which only what is asked for is fetched."""
        urls = [f"{self.objects.url}/{folder.name}/{entry.path}" for entry in entries]
        return parquet.scan_stored(urls, self.objects.options())

    def fetch_manifests(self, snapshots: Path) -> None:
        """Brings begun.json and manifest.json of the finished snapshots that the workspace does not know yet."""
        for name in self.objects.folders():
            folder = snapshots / name
            if not is_name(name) or folder.is_symlink() or (folder / MANIFEST).exists():
                continue
            begun, manifest = (self.objects.get(f"{name}/{file}") for file in (BEGUN, MANIFEST))
            ours = (folder / BEGUN).read_bytes() if (folder / BEGUN).exists() else begun
            if begun is None or manifest is None or ours != begun:
                continue  # unfinished, or another extract's of the same name
            with disk_errors(folder):
                write_bytes(folder / BEGUN, begun)
                write_bytes(folder / MANIFEST, manifest)

    def renew(self, folder: Path) -> None:
        """Puts there what was changed in the workspace on purpose: changed parts, then the manifest."""
        manifest = (folder / MANIFEST).read_bytes()
        path = f"{folder.name}/{MANIFEST}"
        stored = self.objects.get(path)
        if stored in (None, manifest):
            return
        before = {entry.path: entry.sha256 for entry in files_of(_decoded(stored))}
        for entry in files_of(_decoded(manifest)):
            if before.get(entry.path) != entry.sha256:
                self._send(folder, entry, None)
        self.objects.put(path, manifest)


def _each(act: Callable[[FileEntry], None], entries: Iterable[FileEntry]) -> Iterator[None]:
    """Acts on several at a time and yields as they are done; after a failure what had not begun never begins."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = [pool.submit(act, entry) for entry in entries]
        try:
            for one in waiting:
                yield one.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def store_of(workspace: Workspace) -> SnapshotStore | None:
    """Where the workspace's finished snapshots live, None for in the workspace itself. Raises ConfigError."""
    if workspace.snapshots_at is None:
        return None
    return SnapshotStore(Objects(workspace.snapshots_at), keep_copies=workspace.keeps_copies)


def list_stored(workspace: Workspace) -> tuple[FileEntry, ...]:
    """The parts that the object store holds of the workspace's snapshots; `path` is the whole URL."""
    store = store_of(workspace)
    if store:
        stored = [*_stored(store, workspace), *_half_put(store, workspace)]
    else:
        stored = []
    return tuple(replace(entry, path=f"{workspace.snapshots_at}/{path}") for path, entry in stored)


def erase_stored(workspace: Workspace) -> None:
    """Removes the parts from the object store; the manifests, which hold counts and hashes, stay."""
    store = store_of(workspace)
    if store:
        stored = [*_stored(store, workspace), *_half_put(store, workspace)]
        store.objects.delete([path for path, _entry in stored])


def bring_copies(workspace: Workspace) -> None:
    """Brings every part of every snapshot into the workspace, where it can be rewritten."""
    store = store_of(workspace)
    if store:
        for path, entry in list(_stored(store, workspace)):
            folder = workspace.snapshots / path.partition("/")[0]
            if not (folder / entry.path).exists():
                write_bytes(folder / entry.path, store.read(folder, entry))


def return_copies(workspace: Workspace) -> None:
    """Puts rewritten parts and manifests back, and removes the copies that `bring_copies` made.

    What an interrupted extract has put there goes: the extract that goes on puts it there again, as it is by then.
    """
    store = store_of(workspace)
    if store:
        store.objects.delete([path for path, _entry in _half_put(store, workspace)])
        for folder, _entries in _finished(store, workspace):
            store.renew(folder)
            store.remove_copies(folder)


def _stored(store: SnapshotStore, workspace: Workspace) -> Iterator[tuple[str, FileEntry]]:
    """The parts that the store holds, with their paths there."""
    for folder, entries in _finished(store, workspace):
        there = store.objects.sizes(folder.name)
        yield from (
            (path, entry) for entry in entries if (path := f"{folder.name}/{entry.path}") in there
        )


def _half_put(store: SnapshotStore, workspace: Workspace) -> Iterator[tuple[str, FileEntry]]:
    """What the store holds of this workspace's snapshots that were being put there, with an entry without a hash."""
    for name in workspace.names(workspace.snapshots):
        begun = workspace.snapshots / name / BEGUN
        is_ours = begun.is_file() and store.objects.get(f"{name}/{BEGUN}") == begun.read_bytes()
        if is_ours and store.objects.get(f"{name}/{MANIFEST}") is None:
            for path, size in store.objects.sizes(name).items():
                if path != f"{name}/{BEGUN}":
                    yield path, FileEntry(path, 0, size, "")


def _finished(store: SnapshotStore, workspace: Workspace) -> Iterator[tuple[Path, list[FileEntry]]]:
    store.fetch_manifests(workspace.snapshots)
    for name in workspace.names(workspace.snapshots):
        folder = workspace.snapshots / name
        if (folder / MANIFEST).exists():
            yield folder, files_of(read_file(folder / MANIFEST, Manifest, f"snapshot {name}"))


def _decoded(manifest: bytes) -> Manifest:
    try:
        return msgspec.json.decode(manifest, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"a manifest in the object store is damaged: {error}") from None
