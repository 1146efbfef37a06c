"""From the pages of a resource to its parts, and what the manifest says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from migrate.sentence import write_parts as write_sentence
from migrate.snapshot.beside import count_damaged
from migrate.snapshot.layout import ResourceResult, UnreadRecord
from migrate.snapshot.parts import (
    PartDone,
    PartTask,
    Syncing,
    plan_alignment,
    plan_parts,
    remove_other_parts,
)
from migrate.snapshot.spool import Spool
from migrate.source.early import EarlyParts
from migrate.source.reading import ListReading
from migrate.source.verdict import judge
from migrate.source.work import Failed, Result, Task
from migrate.source.worker_pool import WorkerPool
from migrate.workspace import FileEntry


@dataclass(frozen=True)
class Parts:
    """The parts of a resource, all with the same columns; and what was noticed in their records."""

    entries: list[FileEntry]
    columns: list[str]
    unparsed: int
    shared_names: list[str]
    folded: dict[str, int]
    unlisted_fields: int


def write_parts(
    workshop: WorkerPool,
    spool: Spool,
    left_out: Mapping[int, list[int]],
    root: Path,
    early: EarlyParts | None = None,
) -> Parts:
    """Writes all parts that `early` has not written yet. Raises what went wrong, when something did."""
    with Syncing(spool.folder) as syncing:
        first = _write_first(workshop, spool, plan_parts(spool, left_out), early, syncing)
        tasks, columns = plan_alignment(first)
        again = {part.path: part for part in workshop.spread(_performing(workshop, syncing), tasks)}
    parts = [again.get(part.path, part) for part in first]
    return Parts(
        entries=[part.entry(root) for part in parts],
        columns=list(columns.names),
        unparsed=sum(part.unparsed for part in parts),
        shared_names=sorted(frozenset[str]().union(*(part.shared_names for part in parts))),
        folded=dict(sorted(columns.folded.items())),
        unlisted_fields=columns.unlisted_fields,
    )


def _write_first(
    workshop: WorkerPool,
    spool: Spool,
    tasks: Sequence[PartTask],
    early: EarlyParts | None,
    syncing: Syncing,
) -> list[PartDone]:
    begun = early.finish(tasks) if early else {}
    remove_other_parts(spool, begun)
    perform = _performing(workshop, syncing)

    def obtain(task: PartTask) -> PartDone:
        return (
            _confirmed(begun[task.path].result(), syncing) if task.path in begun else perform(task)
        )

    return workshop.spread(obtain, tasks)


def _performing(workshop: WorkerPool, syncing: Syncing) -> Callable[[Task], PartDone]:
    return lambda task: _confirmed(workshop.perform(task), syncing)


def _confirmed(result: Result, syncing: Syncing) -> PartDone:
    done = _done(result)
    syncing.add(Path(done.path))
    return done


def _done(result: Result) -> PartDone:
    if isinstance(result, Failed):
        raise result.error()
    if not isinstance(result, PartDone):
        raise TypeError("a part became something else")
    return result


def describe(
    spool: Spool, reading: ListReading, parts: Parts, requests: int, seconds: float
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
