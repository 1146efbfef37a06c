"""Datatrics into a snapshot: the main path.

for each resource:   read its pages to the end, again where the source moved   (reading)
                     say what can be said of its completeness                  (verdict)
                     turn its pages into parts                                 (snapshot/parts)
when all are done:   write the manifest, which makes the snapshot a snapshot
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path

from migrate import __version__
from migrate.errors import Interrupted
from migrate.progress import Progress
from migrate.sentence import Sentence
from migrate.sentence import write_parts as write_sentence
from migrate.snapshot.delta import DeltaComparison, write_states
from migrate.snapshot.layout import (
    FORMAT,
    Begun,
    DeltaCounts,
    ResourceResult,
    SealedResource,
    SinceRecord,
    UnreadRecord,
)
from migrate.snapshot.parts import (
    Syncing,
    align_part,
    count_damaged,
    plan_alignment,
    plan_parts,
    remove_parts,
    write_beside,
    write_doubles,
    write_part,
)
from migrate.snapshot.spool import Spool
from migrate.snapshot.writing import SnapshotWriter, begin_or_resume
from migrate.source.client import SourceClient
from migrate.source.fetch import ListOrder, PageFetcher
from migrate.source.read_pages import ListContext
from migrate.source.reading import ListReading, begin_task, read_list
from migrate.source.resources import RESOURCES, Resource
from migrate.source.since import Since, read_since
from migrate.source.verdict import judge
from migrate.workspace import FileEntry, Workspace


@dataclass(frozen=True)
class ExtractRequest:
    """What to extract. `snapshot` None resumes the newest unfinished one made for the same, else begins a new one.

    `page_sizes` has an entry for each resource, in records. `force_unlock` breaks a lock that another host left.
    `since` makes the snapshot a delta: only records that are new or changed are in its parts.
    `only_source` asks for the profiles of one source.
    """

    resources: tuple[Resource, ...]
    snapshot: str | None
    page_sizes: Mapping[str, int]
    project_id: str
    base_url: str
    concurrency: int
    force_unlock: bool = False
    since: Since | None = None
    only_source: str | None = None


@dataclass(frozen=True)
class Extraction:
    """A finished snapshot and what became of each resource. `notes`: what is odd in what was asked for."""

    snapshot: str
    folder: Path
    resources: dict[str, ResourceResult]
    since: SinceRecord | None = None
    only_source: str | None = None
    notes: Sequence[str] = ()


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
    notes = request.since.notes(now()) if request.since else []
    for note in notes:
        progress.note(note)
    wanted = _begun(request, now)
    with begin_or_resume(
        workspace, request.snapshot, wanted, now, force_unlock=request.force_unlock
    ) as writer:
        manifest = writer.finished
        if manifest is None:
            _extract_all(writer, _Tools(client, request, progress, stop))
            manifest = writer.finish(now(), stop, progress)
    results = {name: sealed.result for name, sealed in manifest.resources.items()}
    return Extraction(
        manifest.name, writer.folder, results, manifest.since, manifest.only_source, notes
    )


def _extract_all(writer: SnapshotWriter, tools: _Tools) -> None:
    try:
        for resource in tools.request.resources:
            if tools.stop.is_set():
                raise Interrupted("interrupted; what was read so far is kept")
            if resource.name not in writer.sealed:
                writer.seal(resource.name, _extract_resource(resource, writer, tools))
    except Interrupted as error:
        raise Interrupted(error.what, hint=_same_again(writer.begun.name, tools.request)) from None


def _same_again(snapshot: str, request: ExtractRequest) -> str:
    """The command that resumes a snapshot."""
    words = ["migrate extract"]
    if len(request.resources) < len(RESOURCES):
        # A snapshot is resumed for the very resources that it was begun for.
        words += [resource.name for resource in request.resources]
    if request.only_source is not None:
        words.append(f"--source {shlex.quote(request.only_source)}")
    words.append(f"--snapshot {snapshot}")
    if request.since:
        words.append(f"--since {request.since.words}")
    return " ".join(words)


def _begun(request: ExtractRequest, now: Callable[[], datetime]) -> Begun:
    return Begun(
        format=FORMAT,
        name="",
        base_url=request.base_url,
        project_id=request.project_id,
        resources=[resource.name for resource in request.resources],
        page_sizes={
            resource.name: request.page_sizes[resource.name] for resource in request.resources
        },
        tool_version=__version__,
        started=now().isoformat(),
        since=request.since.record if request.since else None,
        only_source=request.only_source,
    )


def _extract_resource(resource: Resource, writer: SnapshotWriter, tools: _Tools) -> SealedResource:
    began, requests_before = time.monotonic(), tools.client.requests
    spool = Spool(writer.folder / resource.name)
    spool.open()
    # What an earlier run stored is taken up by the spool, page by page; nothing else is remembered.
    limit = tools.request.page_sizes[resource.name]
    order = ListOrder(source=tools.request.only_source)
    context = ListContext(
        service=tools.client,
        fetcher=PageFetcher(tools.client, resource, limit, spool, order),
        spool=spool,
        progress=tools.progress,
        stop=tools.stop,
        concurrency=tools.request.concurrency,
    )
    begin_task(context)
    try:
        delivered = _read(context, tools.request.since)
        if delivered.comparison:
            left_out = delivered.comparison.left_out
        else:
            left_out = delivered.reading.left_out
        parts = write_parts(spool, left_out, writer.folder)
    finally:
        tools.progress.end(resource.name)
    states = None
    if delivered.comparison:
        states = write_states(delivered.comparison.states, spool.folder, writer.folder)
    beside = [
        *write_beside(spool, left_out, delivered.reading.vanished, writer.folder),
        *write_doubles(spool, delivered.reading.survey.changed, writer.folder),
    ]
    requests, seconds = tools.client.requests - requests_before, time.monotonic() - began
    reading = _with_strangers(spool, delivered.reading, tools.request.only_source)
    result = describe(spool, reading, parts, requests, seconds)
    result = replace(result, delta=delivered.counts)
    return SealedResource(result, parts.columns, parts.entries, states, beside)


@dataclass(frozen=True)
class _Found:
    reading: ListReading
    comparison: DeltaComparison | None = None
    counts: DeltaCounts | None = None


def _read(context: ListContext, since: Since | None) -> _Found:
    if since is None:
        return _Found(read_list(context))
    delta = read_since(context, since)
    return _Found(delta.reading, delta.comparison, delta.counts)


def _with_strangers(spool: Spool, reading: ListReading, only_source: str | None) -> ListReading:
    """The reading, with a trouble where records of other sources came than were asked for."""
    if only_source is None:
        return reading
    sources = chain.from_iterable(spool.identities(entry)[0] for entry in spool.stored())
    strangers = sum(source != only_source for source in sources)
    if not strangers:
        return reading
    trouble = Sentence(
        "{count} record of another source than {source} came",
        "{count} records of other sources than {source} came",
        count=strangers,
        source=only_source,
    )
    seen = reading.observation
    return replace(reading, observation=replace(seen, troubles=(*seen.troubles, trouble)))


@dataclass(frozen=True)
class WrittenParts:
    """The parts of a resource, all with the same columns; and what was noticed in their records."""

    entries: list[FileEntry]
    columns: list[str]
    unparsed: int
    shared_names: list[str]
    folded: dict[str, int]
    unlisted_fields: int


def write_parts(spool: Spool, left_out: Mapping[int, list[int]], root: Path) -> WrittenParts:
    """Writes all parts, one at a time, so that memory stays flat. Raises WorkspaceError."""
    remove_parts(spool)
    # The manifest names these files: a power cut must not leave it alone.
    with Syncing(spool.folder) as syncing:
        first = []
        for task in plan_parts(spool, left_out):
            first.append(write_part(task))
            syncing.add(Path(task.path))
        to_align, columns = plan_alignment(first)
        aligned = {}
        for alignment in to_align:
            aligned[alignment.done.path] = align_part(alignment)
            syncing.add(Path(alignment.done.path))
    parts = [aligned.get(part.path, part) for part in first]
    return WrittenParts(
        entries=[part.entry(root) for part in parts],
        columns=list(columns.names),
        unparsed=sum(part.unparsed for part in parts),
        shared_names=sorted(frozenset[str]().union(*(part.shared_names for part in parts))),
        folded=dict(sorted(columns.folded.items())),
        unlisted_fields=columns.unlisted_fields,
    )


def describe(
    spool: Spool, reading: ListReading, parts: WrittenParts, requests: int, seconds: float
) -> ResourceResult:
    """What the manifest says of a resource."""
    duplicates, entries = reading.survey, spool.entries()
    damaged = count_damaged(spool, reading.left_out)
    unread = []
    for entry in entries:
        unread += [
            UnreadRecord(entry.number, record.position, record.reason, record.file)
            for record in entry.unread
        ]
    seen = replace(
        reading.observation, damaged=damaged, unread=len(unread), unparsed=parts.unparsed
    )
    verdict, reason = judge(seen)
    return ResourceResult(
        # The later number is nearer to what was received.
        announced=seen.announced_end if seen.announced_end is not None else seen.announced_start,
        received=duplicates.received + reading.kept,
        distinct=duplicates.distinct + reading.kept,
        duplicates=duplicates.duplicates,
        changed_duplicates=duplicates.changed_duplicates,
        without_id=duplicates.without_id,
        unparsed=parts.unparsed,
        pages=len(entries),
        requests=requests,
        seconds=round(seconds, 3),
        resumed_pages=reading.resumed_pages,
        verdict=verdict,
        reason=str(reason),
        reason_parts=write_sentence(reason),
        shared_names=parts.shared_names,
        folded=parts.folded,
        undated_duplicates=duplicates.undated_duplicates,
        unlisted_fields=parts.unlisted_fields,
        unread=unread,
        readings=seen.rounds + 1,
        kept=reading.kept,
        vanished=reading.vanished.height,
        damaged=damaged,
    )
