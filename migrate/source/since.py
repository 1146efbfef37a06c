"""What changed since an earlier moment: what was asked for, how it is read, and what can be said of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from migrate.errors import UsageError, WorkspaceError
from migrate.snapshot.delta import NEWEST_FIRST, WHOLE_LIST, DeltaComparison, compare
from migrate.snapshot.layout import MANIFEST, DeltaCounts, SinceRecord
from migrate.snapshot.reading import Snapshot, SnapshotResource, known_store, open_snapshot
from migrate.snapshot.survey import survey
from migrate.snapshot.union import begun_at, open_living
from migrate.source.fetch import ListOrder, PageSize
from migrate.source.newest import read_newest
from migrate.source.read_pages import ListContext
from migrate.source.reading import ListReading, begin_task, read_list
from migrate.source.verdict import Observation
from migrate.workspace import Workspace


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
            f"{said} is before snapshot {self.base.name}, which this delta stands on: "
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
        return self.base.name if self.base and by_name else self.time.isoformat()

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
            found = open_snapshot(workspace, name)
            is_whole = found.manifest.since is None and found.manifest.only_source is None
            if is_whole and found.manifest.project_id == project_id:
                return found
    return None


def read_since(context: ListContext, since: Since) -> DeltaReading:
    """What changed: by reading the whole list, or newest first where that is allowed, the server can, and counts agree.

    Only the whole list can be proven complete. Newest first, a record that is gone and another one
    that came with an older `updated`, such as an imported one, cancel out in the counts.
    """
    spool = context.spool
    base = since.base.resource(context.name) if since.base else None
    if spool.stage != WHOLE_LIST:
        may_be_quick = since.newest_first or base is None  # nothing to compare the whole list with
        quick = _read_newest(context, since, base) if may_be_quick else None
        if quick is not None:
            return quick
        if may_be_quick:
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
    spool, fields = context.spool, context.fetcher.resource.fields
    limit = context.fetcher.limit
    newest = context.fetcher.sorted(ListOrder("updated", -1))
    oldest = context.fetcher.sorted(ListOrder("updated", 1), limit=1)
    found = read_newest(
        spool,
        lambda number: newest.fetch(number, PageSize(limit)),
        lambda: oldest.fetch(1, PageSize(1)),
        since.time,
    )
    if found is None:
        return None
    counted = survey(spool, fields)
    read = f"{counted.distinct:,} of {found.total:,} announced records were read, newest first"
    seen = Observation(found.total, found.total, counted.distinct, False, 0)
    if base is None:
        seen = replace(seen, partly=f"{read}; there is no snapshot to hold their number against")
        counts = DeltaCounts(None, None, None, None, f"{NEWEST_FIRST}; nothing to compare with")
        spool.keep_aside([])
        return DeltaReading(ListReading(seen, counted, 0, counted.left_out), None, counts)
    comparison = compare(spool, counted.left_out, base, NEWEST_FIRST)
    if base.result.distinct + (comparison.counts.new or 0) != found.total:
        return None  # some are gone, or new ones lie deeper: only the whole list can tell
    spool.keep_aside([])
    seen = replace(seen, partly=f"{read}; {_doubts(base)}")
    reading = ListReading(seen, counted, 0, counted.left_out)
    return DeltaReading(reading, comparison, comparison.counts)


def _doubts(base: SnapshotResource) -> str:
    verdict = base.result.verdict
    below = (
        "" if verdict == "proven" else f", though the snapshot compared with is {verdict} itself"
    )
    return (
        f"the counts agree{below}, but a record that is gone and one added with an older `updated` would cancel out; "
        "with require_proven = true the whole list is read, which can be proven"
    )
