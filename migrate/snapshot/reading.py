"""Finished snapshots as frames, checked before anything relies on them; and the state of all snapshots."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.errors import Damaged, MigrateError, Unfinished, WorkspaceError
from migrate.snapshot.layout import (
    BEGUN,
    MANIFEST,
    RESULT,
    Begun,
    Manifest,
    ResourceResult,
    SealedResource,
    files_of,
    joined,
    read_file,
)
from migrate.snapshot.literals import is_below
from migrate.snapshot.records import OWN_COLUMNS, pick_fields
from migrate.snapshot.spool import journaled_pages
from migrate.snapshot.storage import SnapshotStore, store_of
from migrate.workspace import FileEntry, Workspace, sha256_bytes, sha256_file

POSITION = "_position"
STATES = ("_source", "_id", "state")
RUN_BYTES = 4 << 20
"""Parts of so many bytes are read together; what is read of them has ten times as many in memory, or more."""

WithRaw = bool | Callable[[pl.DataFrame], bool]


@dataclass(frozen=True)
class SnapshotResource:
    """One resource of a finished snapshot: `parts`, below `folder` or, those that are not there, in `store`.

    `touched_from`: records from this position on may have changed since the last plan; 0 in a whole snapshot.
    """

    name: str
    folder: Path
    result: ResourceResult
    columns: tuple[str, ...]
    parts: tuple[FileEntry, ...]
    states: FileEntry | None = None
    touched_from: int = 0
    store: SnapshotStore | None = field(default=None, repr=False, compare=False)

    @property
    def rows(self) -> int:
        """Rows over all parts."""
        return sum(part.rows for part in self.parts)

    def frames(
        self, fields: Collection[str] | None = None, *, raw: WithRaw = True
    ) -> Iterator[pl.DataFrame]:
        """The parts in order, a few a frame; all fields for None, and the records' JSON, most of them, only with `raw`.

        Where `raw` is a function, it is asked of each frame without the JSON; where it says no, `_raw` may be null.

        **Shape**: one row per record; `_position` (Int64, counted over the resource from 0), `_source`, `_id`, `_page`,
        `_raw`, then the fields as text. A field without a column is read from the
        records themselves, where they may have it; one that no record has is a column of nulls.
        """
        # The JSON is most of a part's bytes, so it is read only where somebody asks for it.
        own = [name for name in OWN_COLUMNS if raw or name != "_raw"]
        wanted = [*own, *self._fields(fields)]
        without_column = [name for name in wanted if self.is_only_in_raw(name)]
        stored = [name for name in wanted if name in self.columns and name != "_raw"]
        stored += ["_raw"] if raw is True or without_column else []
        position = 0
        runs = list(self._runs())
        for run, frame in zip(runs, self._read(runs, stored), strict=True):
            found = frame
            if without_column:
                items = [text.encode() for text in frame["_raw"]]
                found = frame.hstack(pick_fields(items, without_column))
            elif callable(raw) and raw(frame):
                found = frame.hstack(next(self._read([run], ["_raw"])))
            yield found.select(
                pl.int_range(position, position + found.height, dtype=pl.Int64).alias(POSITION),
                *(
                    pl.col(n) if n in found.columns else pl.lit(None, pl.String).alias(n)
                    for n in wanted
                ),
            )
            position += found.height

    def is_only_in_raw(self, name: str) -> bool:
        """Whether a field that has no column may stand in some record all the same."""
        if name in self.columns or name in (*OWN_COLUMNS, POSITION):
            return False
        return self.result.unlisted_fields > 0 or is_below(name, self.result.folded)

    def changes(self) -> pl.DataFrame | None:
        """In a delta that was compared with a snapshot: `_source, _id, state` of what is new, changed and gone."""
        if self.states:
            return next(self._read([[self.states]], STATES))
        return None

    def scan(self) -> pl.LazyFrame:
        """The stored columns of all parts, lazily; parts in the object store are not compared with their hashes."""
        local = [self.folder / part.path for part in self.parts]
        if self.store is None or all(path.exists() for path in local):
            return parquet.scan(local)
        return self.store.scan(self.folder, self.parts)

    def _runs(self) -> Iterator[list[FileEntry]]:
        """The parts that are read together: few local ones, as each reading costs something however small the file."""
        run: list[FileEntry] = []
        for part in self.parts:
            alone = self._is_away(part)
            if run and (alone or sum(other.bytes for other in (*run, part)) > RUN_BYTES):
                yield run
                run = []
            run.append(part)
            if alone:
                yield run
                run = []
        if run:
            yield run

    def _is_away(self, part: FileEntry) -> bool:
        return self.store is not None and not (self.folder / part.path).exists()

    def _read(
        self, runs: Sequence[Sequence[FileEntry]], columns: Sequence[str]
    ) -> Iterator[pl.DataFrame]:
        """A frame for each run; parts in the object store are read one at a time, compared with their hashes."""
        there = [run[0] for run in runs if self._is_away(run[0])]
        if self.store:
            fetched = self.store.read_all(self.folder, there)
        else:
            fetched = iter(())
        away = {part.path for part in there}
        for run in runs:
            paths = [self.folder / part.path for part in run]
            if run[0].path in away:
                yield _read_part(paths[0], io.BytesIO(next(fetched)), columns)
            else:
                yield _read_parts(paths, columns)

    def _fields(self, fields: Collection[str] | None) -> list[str]:
        names = self.columns if fields is None else fields
        return [name for name in dict.fromkeys(names) if name not in (*OWN_COLUMNS, POSITION)]


@dataclass(frozen=True)
class Snapshot:
    """A finished snapshot. `manifest_sha256` stands for all of its content.

    `base`: what a delta was put on, so that the resources are the union of both; see `snapshot/union.py`.
    """

    name: str
    folder: Path
    manifest: Manifest
    manifest_sha256: str
    resources: Mapping[str, SnapshotResource]
    base: Snapshot | None = None

    def resource(self, name: str) -> SnapshotResource | None:
        """The resource, None where the snapshot was made without it."""
        return self.resources.get(name)

    def rows_of(self, resource: str, fields: Collection[str]) -> Iterator[pl.DataFrame]:
        """The rows of a resource with some of its fields; none where the snapshot was made without it."""
        resource_rows = self.resources.get(resource)
        known = [
            name for name in fields if resource_rows is not None and name in resource_rows.columns
        ]
        raw = "_raw" in fields
        if resource_rows is None or not (known or raw):
            return iter(())
        return resource_rows.frames([name for name in known if name != "_raw"], raw=raw)


@dataclass(frozen=True)
class ResourceState:
    """How far a resource is. `rows` and `pages` are what is stored so far."""

    rows: int
    pages: int
    finished: bool
    verdict: str | None = None


@dataclass(frozen=True)
class SnapshotState:
    """A snapshot as `status` shows it; `trouble` says why it cannot be read, if so.

    `is_delta`: it holds only what was new or changed since a time or another snapshot.
    `only_source`: the one source whose records it holds, where others were left out.
    """

    name: str
    finished: bool
    started: str
    project_id: str
    resources: Mapping[str, ResourceState]
    trouble: str | None = None
    is_delta: bool = False
    only_source: str | None = None

    @property
    def is_whole(self) -> bool:
        """True where it holds everything that there was."""
        return self.finished and not self.is_delta and self.only_source is None

    @property
    def holds_pages(self) -> bool:
        """True when anything at all was stored."""
        return any(resource.pages or resource.finished for resource in self.resources.values())


def open_snapshot(workspace: Workspace, name: str | None, *, check_files: bool = True) -> Snapshot:
    """The snapshot `name`, or the newest finished one. With `check_files` every part's size and hash is compared.

    Of parts in an object store the size is compared here and the hash whenever one is read.

    **Raises**: UsageError for a bad name; WorkspaceError when there is none; Unfinished; Damaged; RemoteError.
    """
    store = known_store(workspace)
    name = _newest(workspace) if name is None else name
    folder = workspace.folder_of(workspace.snapshots, name, "snapshot")
    path = folder / MANIFEST
    if not path.exists():
        _refuse_missing(workspace, name)
    manifest = read_file(path, Manifest, f"snapshot {name}")
    # Before anything is read: a manifest from a shared store may name files of others.
    files_of(manifest)
    resources = {r: _resource(r, folder, sealed, store) for r, sealed in manifest.resources.items()}
    # One listing of all parts, instead of a request for each.
    if store and check_files:
        there = store.objects.sizes(name)
    else:
        there = {}
    for resource in resources.values() if check_files else ():
        _check(resource, name, there)
    return Snapshot(name, folder, manifest, sha256_bytes(path.read_bytes()), resources)


def newest_whole(workspace: Workspace) -> str | None:
    """The name of the newest finished snapshot that is no delta nor of one source, None where there is none."""
    whole = [state.name for state in list_snapshots(workspace) if state.is_whole]
    return whole[-1] if whole else None


def list_snapshots(workspace: Workspace) -> list[SnapshotState]:
    """The state of every snapshot, oldest first. Never raises for a single snapshot that cannot be read."""
    known_store(workspace)
    return [_state(workspace.snapshots / name) for name in workspace.names(workspace.snapshots)]


def known_store(workspace: Workspace) -> SnapshotStore | None:
    """The object store, the manifests of its snapshots brought here; None where the project has none."""
    store = store_of(workspace)
    if store is not None:
        store.fetch_manifests(workspace.snapshots)
    return store


def _resource(
    name: str, folder: Path, sealed: SealedResource, store: SnapshotStore | None
) -> SnapshotResource:
    columns, parts = tuple(sealed.columns), tuple(sealed.parts)
    return SnapshotResource(name, folder, sealed.result, columns, parts, sealed.states, store=store)


def _newest(workspace: Workspace) -> str:
    names = workspace.names(workspace.snapshots)
    finished = [name for name in names if (workspace.snapshots / name / MANIFEST).exists()]
    if finished:
        return finished[-1]
    if names:
        raise Unfinished(
            f"there is no finished snapshot; unfinished: {joined(names)}", hint="migrate extract"
        )
    raise WorkspaceError(
        f"there is no snapshot in {workspace.snapshots}", hint="make one: migrate extract"
    )


def _refuse_missing(workspace: Workspace, name: str) -> None:
    if (workspace.snapshots / name).is_dir():
        raise Unfinished(
            f"snapshot {name} is unfinished: it has no {MANIFEST}",
            hint=f"migrate extract --snapshot {name}",
        )
    known = workspace.names(workspace.snapshots)
    raise WorkspaceError(
        f"there is no snapshot {name} in {workspace.snapshots}",
        hint=f"there are {joined(known)}" if known else "make one: migrate extract",
    )


def _check(resource: SnapshotResource, snapshot: str, there: Mapping[str, int]) -> None:
    for part in (*resource.parts, *([resource.states] if resource.states else [])):
        path = resource.folder / part.path
        size = there.get(f"{snapshot}/{part.path}")
        if size is None or path.exists():
            trouble = _trouble_of(path, part)
        else:
            trouble = _trouble_with(size, part)
        if trouble:
            raise Damaged(
                f"snapshot {snapshot}: {part.path} {trouble}",
                hint="bring the file back from a backup, or make a new snapshot: migrate extract",
            )


@lru_cache(maxsize=10_000)
def _sha256_of(path: Path, _inode: int, _changed: int, _size: int) -> str:
    """Of a file as it is now: one command may open a snapshot several times."""
    return sha256_file(path)


def _trouble_of(path: Path, part: FileEntry) -> str | None:
    try:
        now = path.stat()
        trouble = _trouble_with(now.st_size, part)
        if trouble:
            return trouble
        sha256 = _sha256_of(path, now.st_ino, now.st_mtime_ns, now.st_size)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if sha256 != part.sha256:
        return f"has SHA-256 {sha256[:16]}…, its manifest says {part.sha256[:16]}…"
    if path.suffix == ".parquet":
        parquet.check_columns(path)
    return None


def _trouble_with(size: int, part: FileEntry) -> str | None:
    if size == part.bytes:
        return None
    return f"has {size:,} bytes, its manifest says {part.bytes:,}"


def _read_parts(paths: Sequence[Path], columns: Sequence[str]) -> pl.DataFrame:
    try:
        return parquet.read(list(paths), columns=list(columns))
    except (OSError, pl.exceptions.PolarsError):
        # which of them it is, polars need not say
        return pl.concat(
            [_read_part(path, path, columns) for path in paths], how="vertical_relaxed"
        )


def _read_part(path: Path, content: Path | io.BytesIO, columns: Sequence[str]) -> pl.DataFrame:
    try:
        if isinstance(content, io.BytesIO):
            return parquet.parse(content, columns, name=path)
        return parquet.read(content, columns)
    except FileNotFoundError:
        raise Damaged(
            f"{path} is missing",
            hint="a purge removes such files; make a new snapshot: migrate extract",
        ) from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise Damaged(
            f"{path} cannot be read: {type(error).__name__}",
            hint="make a new snapshot: migrate extract",
        ) from None


def _state(folder: Path) -> SnapshotState:
    finished = (folder / MANIFEST).exists()
    try:
        if finished:
            manifest = read_file(folder / MANIFEST, Manifest, f"snapshot {folder.name}")
            files_of(manifest)
            states = {name: _sealed_state(sealed) for name, sealed in manifest.resources.items()}
            is_delta = manifest.since is not None
            return SnapshotState(
                folder.name,
                True,
                manifest.started,
                manifest.project_id,
                states,
                is_delta=is_delta,
                only_source=manifest.only_source,
            )
        if not (folder / BEGUN).exists():
            return SnapshotState(folder.name, False, "", "", {}, f"it has no {BEGUN}")
        begun = read_file(folder / BEGUN, Begun, f"snapshot {folder.name}")
        states = {name: _unfinished_state(folder / name) for name in begun.resources}
        is_delta = begun.since is not None
        return SnapshotState(
            folder.name, False, begun.started, begun.project_id, states, is_delta=is_delta
        )
    except MigrateError as error:
        return SnapshotState(folder.name, finished, "", "", {}, error.what)


def _sealed_state(sealed: SealedResource) -> ResourceState:
    # of a delta only what is new or changed is stored, however much was read to find it
    rows = sum(part.rows for part in sealed.parts)
    return ResourceState(rows, sealed.result.pages, True, sealed.result.verdict)


def _unfinished_state(folder: Path) -> ResourceState:
    if (folder / RESULT).exists():
        return _sealed_state(read_file(folder / RESULT, SealedResource, folder.name))
    pages = journaled_pages(folder)
    return ResourceState(sum(page.rows for page in pages.values()), len(pages), False)
