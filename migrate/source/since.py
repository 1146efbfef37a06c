"""What changed since an earlier moment: what was asked for, how it is read, and what can be said of it.

A list is read newest first, by `updated`, until a watermark is safely passed, where the server can
do it. That an answer is sorted as asked is not believed but seen: `updated` falls from record to
record while `created` does not. A server that ignores `sort`, a list whose records have no
`updated`, or one that shows no record that was updated after it was created, is not read this way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

import polars as pl

from migrate.errors import UsageError, WorkspaceError
from migrate.sentence import Sentence, one_after_other
from migrate.snapshot.delta import NEWEST_FIRST, WHOLE_LIST, DeltaComparison, compare
from migrate.snapshot.layout import MANIFEST, DeltaCounts, SinceRecord
from migrate.snapshot.reading import Snapshot, SnapshotResource, known_store, open_snapshot
from migrate.snapshot.records import pick_fields
from migrate.snapshot.same_records import survey
from migrate.snapshot.spool import PageEntry, Spool
from migrate.snapshot.union import begun_at, open_living
from migrate.source.fetch import ListOrder, PageSize
from migrate.source.read_pages import ListContext
from migrate.source.reading import ListReading, begin_task, read_list
from migrate.source.resources import CREATED
from migrate.source.verdict import Observation
from migrate.workspace import Workspace

# Time stamps without a zone may be up to 14 hours from UTC, and clocks differ.
MARGIN = timedelta(hours=24)
MAX_ROUNDS = 3
_UPDATED = ("updated", "metadata.updated")
_MOMENT = r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d"


@dataclass(frozen=True)
class Since:
    """The watermark, and the finished snapshot that records are compared with, where there is one.

    `newest_first` allows to read only what changed, which is quick and can never be proven complete.
    """

    time: datetime
    base: Snapshot | None
    newest_first: bool = False

    def notes(self, now: datetime) -> list[str]:
        """What somebody should know who chose this watermark."""
        said = f"--since {self.time.isoformat(timespec='seconds')}"
        if self.time > now:
            return [f"{said} lies in the future: {self._what_counts('nothing can have changed')}"]
        if self.base is None or self.time >= _moment_of(self.base):
            return []
        return [
            f"{said} is before snapshot {self.base.name}, which this delta is based on: "
            f"{self._what_counts('what changed until then is in that snapshot')}"
        ]

    def _what_counts(self, instead: str) -> str:
        if self.base is None:
            return f"{instead} since"
        begun = _moment_of(self.base).isoformat(timespec="seconds")
        return (
            f"{instead}, and the delta holds what is new or changed since {self.base.name} "
            f"was begun ({begun})"
        )

    @property
    def words(self) -> str:
        """What names it on a command line again."""
        by_name = self.base is not None and self.time == _moment_of(self.base)
        if self.base and by_name:
            return self.base.name
        return self.time.isoformat()

    @property
    def record(self) -> SinceRecord:
        """What the manifest says of it."""
        name, sha256 = (self.base.name, self.base.manifest_sha256) if self.base else (None, None)
        return SinceRecord(self.time.isoformat(), name, sha256)


@dataclass(frozen=True)
class DeltaReading:
    """A reading, the comparison with what was there before, and a doubt about it, where there is one."""

    reading: ListReading
    comparison: DeltaComparison | None
    counts: DeltaCounts


def resolve_since(
    workspace: Workspace, text: str, project_id: str, *, newest_first: bool = False
) -> Since:
    """The watermark named on a command line: a snapshot, or a time (UTC where it names no zone).

    A delta stands for what it and the snapshots below it hold together. A time is compared with the newest finished
    snapshot of the same project that is no delta itself.

    **Raises**: UsageError for what is neither; WorkspaceError for a snapshot that cannot be compared with.
    """
    known_store(workspace)
    if (workspace.snapshots / text / MANIFEST).is_file():
        base = open_living(workspace, text)
        if base.manifest.project_id != project_id:
            raise WorkspaceError(
                f"snapshot {text} is of project {base.manifest.project_id}, not of {project_id}"
            )
        return Since(_moment_of(base), base, newest_first)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        known = ", ".join(workspace.names(workspace.snapshots)[-5:])
        raise UsageError(
            f"--since {text!r:.80} is neither a finished snapshot nor a time",
            hint=f"write a time such as 2026-11-21T20:00:00+01:00, or a snapshot: {known or 'there is none yet'}",
        ) from None
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return Since(aware.astimezone(UTC), _newest_full(workspace, project_id), newest_first)


def _moment_of(base: Snapshot) -> datetime:
    return min(begun_at(base, name) for name in base.resources)


def _newest_full(workspace: Workspace, project_id: str) -> Snapshot | None:
    for name in reversed(workspace.names(workspace.snapshots)):
        if (workspace.snapshots / name / MANIFEST).is_file():
            snapshot = open_snapshot(workspace, name)
            is_whole = snapshot.manifest.since is None and snapshot.manifest.only_source is None
            if is_whole and snapshot.manifest.project_id == project_id:
                return snapshot
    return None


def read_since(context: ListContext, since: Since) -> DeltaReading:
    """What changed: by reading the whole list, or newest first where that is allowed, the server can, and counts agree.

    Only the whole list can be proven complete. Newest first, a record that is gone and another one
    that came with an older `updated`, such as an imported one, cancel out in the counts.
    """
    spool = context.spool
    if since.base:
        base = since.base.resource(context.name)
    else:
        base = None
    # A run that was interrupted in the whole list goes on with it: what is stored is of that order.
    if spool.stage != WHOLE_LIST:
        # Without a base there is nothing to compare the whole list with.
        if since.newest_first or base is None:
            newest = _read_newest(context, since, base)
            if newest is not None:
                return newest
            context.progress.note(
                f"{context.name}: cannot be read newest first; reading the whole list"
            )
        spool.set_aside(1)
        spool.enter(WHOLE_LIST)
        context.progress.end(context.name)
        begin_task(context)
    reading = read_list(context)
    if base is None:
        counts = DeltaCounts(None, None, None, None, "the whole list, nothing to compare with")
        return DeltaReading(reading, None, counts)
    comparison = compare(spool, reading.left_out, base, WHOLE_LIST)
    return DeltaReading(reading, comparison, comparison.counts)


def _read_newest(
    context: ListContext, since: Since, base: SnapshotResource | None
) -> DeltaReading | None:
    """The delta read newest first; None where the server cannot do it, or the counts do not agree."""
    spool, fetcher = context.spool, context.fetcher
    newest_first = fetcher.sorted(ListOrder("updated", -1))
    oldest_first = fetcher.sorted(ListOrder("updated", 1), limit=1)
    newest = read_newest(
        spool,
        lambda number: newest_first.fetch(number, PageSize(fetcher.limit)),
        lambda: oldest_first.fetch(1, PageSize(1)),
        since.time,
    )
    if newest is None:
        return None
    counted = survey(spool, fetcher.resource.fields)
    total = newest.total
    says = [
        Sentence(
            "{distinct} of {total} announced records were read, newest first",
            distinct=counted.distinct,
            total=total,
        )
    ]
    comparison = None
    if base is None:
        says.append(Sentence("there is no snapshot to hold their number against"))
        counts = DeltaCounts(None, None, None, None, f"{NEWEST_FIRST}; nothing to compare with")
    else:
        comparison = compare(spool, counted.left_out, base, NEWEST_FIRST)
        counts = comparison.counts
        if base.result.distinct + (counts.new or 0) != total:
            return None  # some are gone, or new ones lie deeper: only the whole list can tell
        says += _doubts(base)
    spool.keep_aside([])
    seen = Observation(total, total, counted.distinct, False, 0, partly=one_after_other(says))
    return DeltaReading(ListReading(seen, counted, 0, counted.left_out), comparison, counts)


def _doubts(base: SnapshotResource) -> Iterator[Sentence]:
    verdict = base.result.verdict
    if verdict != "proven":
        yield Sentence("the snapshot compared with is {verdict} itself", verdict=Sentence(verdict))
    yield Sentence(
        "the counts agree, but a record that is gone and one added with an older `updated` would cancel out"
    )
    yield Sentence("with require_proven = true the whole list is read, which can be proven")


class Sorted(Enum):
    """What the pages read so far say about the server's order."""

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


@dataclass(frozen=True)
class Newest:
    """Pages read newest first. `total` is what the server announced, the same before and after."""

    total: int
    pages: int


class _Watch:
    """Looks at pages in the order they were asked for."""

    def __init__(self, floor: str) -> None:
        self._floor = floor
        self._last_updated: str | None = None
        self._last_created: str | None = None
        self.order = Sorted.MAYBE
        self.passed = False

    def see(self, moments: Sequence[tuple[str | None, str | None]]) -> None:
        """Takes a page's `updated` and `created`, in order."""
        for updated, created in moments:
            if updated is None or (self._last_updated is not None and updated > self._last_updated):
                self.order = Sorted.NO
                return
            if created is not None:
                if self._last_created is not None and created > self._last_created:
                    self.order = Sorted.YES
                self._last_created = created
            self._last_updated = updated
        self.passed = self._last_updated is not None and self._last_updated < self._floor


def read_newest(
    spool: Spool,
    fetch: Callable[[int], PageEntry],
    oldest: Callable[[], PageEntry],
    since: datetime,
) -> Newest | None:
    """The pages down to the watermark, in the spool; None, and nothing in the spool, where the server cannot do it.

    `fetch` asks for a page newest first, `oldest` for one record oldest first: records without `updated` come there.
    """
    floor = (since - MARGIN).strftime("%Y-%m-%d %H:%M")
    for _ in range(MAX_ROUNDS):
        spool.forget(1)
        newest = _read_once(spool, fetch, floor)
        if newest is None or not _has_updated(spool, oldest()):
            break
        # Pages shift while records are updated: the reading counts if its first page is as it was.
        again = fetch(1)
        first = spool.pages.get(1)
        if first is None:
            is_still = not again.rows
        else:
            is_still = again.identities_sha256 == first.identities_sha256
        spool.discard(again)
        if is_still and again.announced_records == newest.total:
            return newest
    spool.set_aside(1)
    return None


def _read_once(spool: Spool, fetch: Callable[[int], PageEntry], floor: str) -> Newest | None:
    watch = _Watch(floor)
    number = 0
    totals = set[int | None]()
    while not watch.passed:
        number += 1
        entry = fetch(number)
        spool.record(entry)
        totals.add(entry.announced_records)
        # Of an unreadable record nobody knows when it was updated.
        if entry.unread or len(totals) > 1:
            return None
        if not entry.rows:
            break
        watch.see(_moments(spool, entry))
        if watch.order is Sorted.NO:
            return None
    total = totals.pop()
    # Where the end came before the watermark, there is nothing that the order could hide.
    is_seen_whole = not watch.passed
    if total is None or not (is_seen_whole or watch.order is Sorted.YES):
        return None
    return Newest(total, number)


def _has_updated(spool: Spool, entry: PageEntry) -> bool:
    moments = _moments(spool, entry) if entry.rows else []
    spool.discard(entry)
    return all(updated is not None for updated, _ in moments)


def _moments(spool: Spool, entry: PageEntry) -> list[tuple[str | None, str | None]]:
    fields = pick_fields(spool.read(entry).items, (*_UPDATED, *CREATED))
    return list(
        fields.select(_moment(_UPDATED, "updated"), _moment(CREATED, "created")).iter_rows()
    )


def _moment(names: Sequence[str], alias: str) -> pl.Expr:
    """The first of some fields that is a time; as text, since what sorts by its letters needs no reading."""
    moments = []
    for name in names:
        text = pl.col(name).str.replace("T", " ", literal=True)
        moments.append(pl.when(text.str.contains(_MOMENT)).then(text))
    return pl.coalesce(*moments).alias(alias)
