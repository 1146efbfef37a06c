"""Datatrics into a snapshot: the main path.

for each resource:   read its pages to the end, again where the source moved   (settle)
                     say what can be said of its completeness                  (verdict)
                     turn its pages into parts                                 (parts)
when all are done:   write the manifest, which makes the snapshot a snapshot
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from migrate import __version__
from migrate.errors import Interrupted
from migrate.progress import Progress
from migrate.snapshot.layout import FORMAT, Begun, ResourceResult, SealedResource
from migrate.snapshot.parts import write_parts
from migrate.snapshot.spool import Spool
from migrate.snapshot.writing import SnapshotWriter, begin_or_resume
from migrate.source.client import SourceClient
from migrate.source.crawl import Crawl
from migrate.source.resources import Resource
from migrate.source.settle import Reading, read_until_settled
from migrate.source.verdict import judge
from migrate.workspace import Workspace


@dataclass(frozen=True)
class ExtractRequest:
    """What to extract. `snapshot` None resumes the newest unfinished one made for the same, else begins a new one.

    `page_sizes` has an entry for each resource, in records. `force_unlock` breaks a lock that another host left.
    """

    resources: tuple[Resource, ...]
    snapshot: str | None
    page_sizes: Mapping[str, int]
    project_id: str
    base_url: str
    concurrency: int
    force_unlock: bool = False


@dataclass(frozen=True)
class Extraction:
    """A finished snapshot and what became of each resource."""

    snapshot: str
    folder: Path
    resources: dict[str, ResourceResult]


@dataclass(frozen=True)
class _Tools:
    client: SourceClient
    request: ExtractRequest
    progress: Progress
    stop: threading.Event


def extract(
    client: SourceClient,
    workspace: Workspace,
    request: ExtractRequest,
    progress: Progress,
    stop: threading.Event,
    now: Callable[[], datetime],
) -> Extraction:
    """A finished snapshot of all resources asked for.

    **Guarantees**: after a kill at any moment the same call goes on at the first page that is not stored, and the parts
    are the same bytes as without the kill, where the source stood still. A named snapshot that is finished already is
    given back as it is, without a request.

    **Raises**: RemoteError; WorkspaceError (Locked, a snapshot made for something else, a full disk); Interrupted.
    """
    tools = _Tools(client, request, progress, stop)
    wanted = _begun(request, now)
    with begin_or_resume(workspace, request.snapshot, wanted, now, force_unlock=request.force_unlock) as writer:
        manifest = writer.finished
        if manifest is None:
            _extract_all(writer, tools)
            manifest = writer.finish(now())
    return Extraction(manifest.name, writer.folder, {n: sealed.result for n, sealed in manifest.resources.items()})


def _extract_all(writer: SnapshotWriter, tools: _Tools) -> None:
    try:
        for resource in tools.request.resources:
            if tools.stop.is_set():
                raise Interrupted("interrupted; what was read so far is kept")
            if resource.name not in writer.sealed:
                writer.seal(resource.name, _extract_resource(resource, writer, tools))
    except Interrupted as error:
        raise Interrupted(error.what, hint=f"migrate extract --snapshot {writer.begun.name}") from None


def _begun(request: ExtractRequest, now: Callable[[], datetime]) -> Begun:
    return Begun(
        format=FORMAT,
        name="",
        base_url=request.base_url,
        project_id=request.project_id,
        resources=[resource.name for resource in request.resources],
        page_sizes={resource.name: request.page_sizes[resource.name] for resource in request.resources},
        tool_version=__version__,
        started=now().isoformat(),
    )


def _extract_resource(resource: Resource, writer: SnapshotWriter, tools: _Tools) -> SealedResource:
    began, requests_before = time.monotonic(), tools.client.requests
    spool = Spool(writer.folder / resource.name)
    spool.open()
    size = tools.request.page_sizes[resource.name]
    crawl = Crawl(tools.client, resource, size, tools.request.concurrency, spool, tools.progress, tools.stop)
    crawl.begin()
    try:
        reading = read_until_settled(crawl)
        parts, columns, unlisted = write_parts(spool, spool.folder, writer.folder, reading.survey.left_out)
    finally:
        tools.progress.end(resource.name)
    requests, seconds = tools.client.requests - requests_before, time.monotonic() - began
    return SealedResource(_result(spool, reading, requests, seconds, unlisted), columns, parts)


def _result(spool: Spool, reading: Reading, requests: int, seconds: float, unlisted: int) -> ResourceResult:
    seen, found, entries = reading.observation, reading.survey, spool.entries()
    verdict, reason = judge(seen)
    return ResourceResult(
        announced=seen.announced_end if seen.announced_end is not None else seen.announced_start,
        received=found.received,
        distinct=found.distinct,
        duplicates=found.duplicates,
        changed_duplicates=found.changed_duplicates,
        without_id=found.without_id,
        unparsed=sum(entry.unparsed for entry in entries),
        pages=len(entries),
        requests=requests,
        seconds=round(seconds, 3),
        resumed_pages=reading.resumed_pages,
        verdict=verdict,
        reason=reason,
        shared_names=sorted({name for entry in entries for name in entry.shared_names}),
        unlisted_fields=unlisted,
    )
