"""Saved files into a snapshot: what `extract` does, with files in the place of the API."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from migrate import __version__
from migrate.errors import Interrupted
from migrate.progress import Progress
from migrate.snapshot.layout import FORMAT, Begun, SealedResource
from migrate.snapshot.spool import Spool
from migrate.snapshot.survey import survey
from migrate.snapshot.writing import SnapshotWriter, begin_or_resume
from migrate.source.extract import Extraction
from migrate.source.files import find_files, read_pages
from migrate.source.resources import Resource
from migrate.source.seal_snapshot import describe, write_parts
from migrate.source.settle import ListReading
from migrate.source.verdict import Observation
from migrate.source.work import store_page
from migrate.source.worker_pool import WorkerPool, open_workshop
from migrate.workspace import Workspace


@dataclass(frozen=True)
class ImportRequest:
    """What to take from `folder`; `named` are the resources asked for by name. For the rest see ExtractRequest."""

    folder: Path
    resources: tuple[Resource, ...]
    named: Sequence[str]
    snapshot: str | None
    page_sizes: Mapping[str, int]
    project_id: str
    force_unlock: bool = False


def import_files(
    workspace: Workspace,
    request: ImportRequest,
    progress: Progress,
    stop: threading.Event,
    now: Callable[[], datetime],
) -> Extraction:
    """A finished snapshot of what the files hold.

    **Guarantees**: as for an extract, but an interrupted resource is read again from its first file.

    **Raises**: UsageError, Damaged, WorkspaceError; Interrupted.
    """
    files = find_files(request.folder, request.resources, request.named)
    begun = Begun(
        format=FORMAT,
        name="",
        base_url=request.folder.resolve().as_uri(),
        project_id=request.project_id,
        resources=[resource.name for resource in request.resources],
        page_sizes={
            resource.name: request.page_sizes[resource.name] for resource in request.resources
        },
        tool_version=__version__,
        started=now().isoformat(),
    )
    with begin_or_resume(
        workspace, request.snapshot, begun, now, force_unlock=request.force_unlock
    ) as writer:
        manifest = writer.finished
        if manifest is None:
            with open_workshop() as workshop:
                for resource in request.resources:
                    if resource.name not in writer.sealed:
                        task = _Import(
                            writer, workshop, resource, files[resource.name], progress, stop
                        )
                        writer.seal(resource.name, task.run(request.page_sizes[resource.name]))
            manifest = writer.finish(now(), stop, progress)
    return Extraction(
        manifest.name, writer.folder, {n: sealed.result for n, sealed in manifest.resources.items()}
    )


@dataclass(frozen=True)
class _Import:
    writer: SnapshotWriter
    workshop: WorkerPool
    resource: Resource
    paths: Sequence[Path]
    progress: Progress
    stop: threading.Event

    def run(self, size: int) -> SealedResource:
        began = time.monotonic()
        spool = Spool(self.writer.folder / self.resource.name)
        spool.open()
        spool.forget(1)
        self.progress.begin(self.resource.name, total=None, unit="records")
        try:
            totals = self._store(spool, size)
            found = survey(spool, self.resource.fields)
            parts = write_parts(self.workshop, spool, found.left_out, self.writer.folder)
        finally:
            self.progress.end(self.resource.name)
        troubles = (
            [f"{parts.unparsed:,} records hold text that is no JSON object"]
            if parts.unparsed
            else []
        )
        first, last = (totals[0], totals[-1]) if totals else (None, None)
        seen = Observation(first, last, found.distinct, len(set(totals)) > 1, 0, troubles)
        result = describe(spool, ListReading(seen, found, 0), parts, 0, time.monotonic() - began)
        return SealedResource(result, parts.columns, parts.entries)

    def _store(self, spool: Spool, size: int) -> list[int | None]:
        totals: list[int | None] = []
        for page in read_pages(self.resource, self.paths, size):
            if self.stop.is_set():
                raise Interrupted(
                    f"{self.resource.name}: interrupted; what was read of it is read again",
                    hint=f"migrate extract --from-files DIR --snapshot {self.writer.begun.name}",
                )
            totals.append(page.announced_records)
            spool.record(store_page(page, spool, self.resource.fields))
            self.progress.advance(self.resource.name, len(page.items))
        return totals
