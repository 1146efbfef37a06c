"""From the pages of a resource to its parts, and what the manifest says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from migrate.sentence import write_parts as write_sentence
from migrate.snapshot.beside import count_damaged
from migrate.snapshot.layout import ResourceResult, UnreadRecord
from migrate.snapshot.parts import (
    Syncing,
    align_part,
    plan_alignment,
    plan_parts,
    remove_parts,
    write_part,
)
from migrate.snapshot.spool import Spool
from migrate.source.reading import ListReading
from migrate.source.verdict import judge
from migrate.workspace import FileEntry


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
    found, entries = reading.survey, spool.entries()
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
        announced=seen.announced_end if seen.announced_end is not None else seen.announced_start,
        received=found.received + reading.kept,
        distinct=found.distinct + reading.kept,
        duplicates=found.duplicates,
        changed_duplicates=found.changed_duplicates,
        without_id=found.without_id,
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
        undated_duplicates=found.undated_duplicates,
        unlisted_fields=parts.unlisted_fields,
        unread=unread,
        readings=seen.rounds + 1,
        kept=reading.kept,
        vanished=reading.vanished.height,
        damaged=damaged,
    )
