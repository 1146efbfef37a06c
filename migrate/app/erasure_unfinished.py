"""A person in a snapshot without a manifest: pages on their way to parts, and parts that nothing lists yet.

A page that holds them is removed as a whole. The extract that goes on sees that it is gone and reads it again, so it
costs one request and no other record; its journal names pages by number and hash, never a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.app.erasure_beside import line_records
from migrate.app.erasure_files import is_bare
from migrate.errors import Damaged, MigrateError
from migrate.names import RESOURCE_NAMES
from migrate.snapshot.layout import LOCK, MANIFEST, VANISHED
from migrate.snapshot.reading import SnapshotState, list_snapshots, open_snapshot
from migrate.snapshot.records import OWN_COLUMNS, is_page_file, read_page_file
from migrate.workspace import Workspace

IsTheirs = Callable[[pl.DataFrame, str], bool]
"""Whether a frame of a resource's records has one of the person's."""


@dataclass(frozen=True)
class UnfinishedSnapshot:
    """The folder of a snapshot that cannot be read as one: an extract was interrupted, or a file of it is damaged."""

    name: str
    folder: Path

    @property
    def lock(self) -> Path:
        """What an extract holds while it writes here."""
        return self.folder / LOCK

    @property
    def is_unfinished(self) -> bool:
        """Whether an extract may go on here."""
        return not (self.folder / MANIFEST).exists()

    @property
    def resources(self) -> list[str]:
        """The resources that there is anything of."""
        return [name for name in RESOURCE_NAMES if (self.folder / name).is_dir()]

    def frames(self, resource: str) -> Iterator[pl.DataFrame]:
        """Its records, wherever they stand: `_source`, `_id`, `_page`, `_raw`. What cannot be read is passed over."""
        for page in self.pages(resource):
            frame = _records_of(page)
            if frame is not None:
                yield frame
        for part in sorted((self.folder / resource).glob("*.parquet")):
            try:
                yield parquet.read(part).select(OWN_COLUMNS)
            except (pl.exceptions.PolarsError, OSError, Damaged):
                continue  # named by the second look, which cannot read it either
        if (self.folder / resource / VANISHED).is_file():
            yield from line_records(self.folder / resource / VANISHED, resource)

    def pages(self, resource: str) -> list[Path]:
        """The files of its pages, also those that a crash has left without a line in the journal."""
        return sorted(filter(is_page_file, (self.folder / resource / "pages").glob("*")))

    def pages_of(self, is_theirs: IsTheirs) -> list[Path]:
        """The page files that hold a record of the person, or that nobody can read, with what belongs to them."""
        pages: list[Path] = []
        for resource in self.resources:
            for page in self.pages(resource):
                frame = _records_of(page)
                # Of a page that nobody can read nobody can say that it holds nothing of them.
                if frame is None or is_theirs(frame, resource):
                    # What belongs to a page goes with it; the extract reads it again at the cost of one request.
                    pages += sorted(page.parent.glob(f"{page.name}*"))
        return pages


def unfinished_snapshots(workspace: Workspace) -> list[UnfinishedSnapshot]:
    """The snapshots without a manifest that hold a byte of any record."""
    return _those(workspace, lambda state: not state.finished)


def unreadable_snapshots(workspace: Workspace) -> list[UnfinishedSnapshot]:
    """Those, and the ones of which a file is not what the manifest says: their records are read as they lie there."""
    return _those(workspace, lambda state: not state.finished or not _opens(workspace, state.name))


def _those(
    workspace: Workspace, is_wanted: Callable[[SnapshotState], bool]
) -> list[UnfinishedSnapshot]:
    snapshots = [
        UnfinishedSnapshot(state.name, workspace.snapshots / state.name)
        for state in list_snapshots(workspace)
        if is_wanted(state)
    ]
    # One that came to nothing holds nobody, and must not keep an erasure from ending.
    return [snapshot for snapshot in snapshots if not is_bare(snapshot.folder)]


def _opens(workspace: Workspace, name: str) -> bool:
    try:
        open_snapshot(workspace, name)
    except MigrateError:
        return False
    return True


def _records_of(page: Path) -> pl.DataFrame | None:
    records = read_page_file(page)
    return None if records is None else records.frame()
