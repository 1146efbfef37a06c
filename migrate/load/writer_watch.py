"""Looks now and then, while a load runs, whether somebody else writes to its datasets."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from migrate.errors import GateError, MigrateError
from migrate.load.foreign import (
    MODIFIED_AT,
    ForeignWrites,
    KnownState,
    Modified,
    OtherProjects,
    key_columns,
    known_state,
    modified_since,
    named_by_masterid,
    not_our_own,
    say_records,
    without_others,
    writes_beside_ours,
)
from migrate.load.gates import LoadGates
from migrate.load.ledger import Ledger
from migrate.load.planned import DatasetToLoad
from migrate.load.totals import Totals
from migrate.names import MASTERID
from migrate.progress import Progress
from migrate.target.client import PAGE_ROWS, TargetClient

_LAG_S = 120.0
"""So long before its last settled record an earlier run may have left modifications that nobody has looked at."""
_PATIENCE_S = 30.0
"""So long a load that has sent everything waits for looks: they guard what is yet to be sent, which is nothing."""


@dataclass(frozen=True)
class _Seen:
    """What a look has found. `ahead_s`: by how much the service's clock is before this machine's."""

    records: list[Modified]
    ahead_s: float


@dataclass
class WriterWatch:
    """The looks at each dataset. Only the thread that owns the ledger calls it; the workers only read."""

    ledger: Ledger
    client: TargetClient
    gates: LoadGates
    progress: Progress
    every: int
    others: OtherProjects | None = None
    clock: Callable[[], float] = time.time
    _since: dict[str, datetime] = field(default_factory=dict)
    _looked_at: dict[str, int] = field(default_factory=dict)
    _asked: dict[str, Future[_Seen]] = field(default_factory=dict)
    _known: dict[str, KnownState | None] = field(default_factory=dict)
    _doubtful: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def start(self, totals: Mapping[str, Totals], newest: Mapping[str, datetime]) -> None:
        """Begins where nobody has looked yet: at the first write, or where an earlier run has ended.

        `newest`: by dataset the latest modification that was seen before the first write.
        """
        for name, entry in totals.items():
            last = self.ledger.lessons.last_written(name)
            began = entry.server_time if last is None else last - _LAG_S
            if began is not None:
                self._since[name] = datetime.fromtimestamp(began, UTC)
            if name in newest:
                # Finer than the service's clock, which tells whole seconds.
                self._since[name] = newest[name] + timedelta(milliseconds=1)
            # What happened between two runs is looked at before much is sent.
            self._looked_at[name] = entry.batches_done if last is None else -self.every

    def recall(self, datasets: Mapping[str, DatasetToLoad]) -> GateError | None:
        """Why a load must not go on: what an earlier call has seen others write, it would still write over.

        No look finds all of that again: it goes back two minutes behind the last write, and others may have
        been earlier.
        """
        for dataset in datasets.values():
            stopped = self._judge(dataset, {})
            if stopped is not None:
                return stopped
        return None

    def look(
        self,
        workers: ThreadPoolExecutor,
        datasets: Mapping[str, DatasetToLoad],
        totals: Mapping[str, Totals],
    ) -> GateError | None:
        """Takes what came, asks for what is due; why the load has to stop, None where it goes on."""
        stopped = self._take_those(
            datasets, [name for name, future in self._asked.items() if future.done()]
        )
        if stopped is not None:
            return stopped
        for name, dataset in datasets.items():
            done = totals[name].batches_done
            is_due = (
                done - self._looked_at.get(name, 0) >= self.every and done < totals[name].batches
            )
            if is_due and name not in self._asked and name in self._since:
                self._looked_at[name] = done
                self._asked[name] = workers.submit(self._read, dataset, self._since[name])
        return None

    def finish(self, datasets: Mapping[str, DatasetToLoad]) -> GateError | None:
        """Takes what the looks under way have seen, once more; why the load has to stop, as `look`.

        Waits half a minute for those that the service has not answered, and says which did not come.
        """
        patience_s = _PATIENCE_S / self.client.settings.limit_speed
        wait(self._asked.values(), timeout=patience_s)
        for name, future in list(self._asked.items()):
            if not future.done():
                del self._asked[name]
                self.progress.note(
                    f"{datasets[name].place}: whether others have written to it since "
                    f"{self._since[name]:%Y-%m-%d %H:%M:%S} UTC is not known, the service does not answer"
                )
        stopped = self._take_those(datasets, list(self._asked))
        for name in list(self._doubtful):
            self._tell_others(datasets[name], ())
        return stopped

    def _take_those(
        self, datasets: Mapping[str, DatasetToLoad], names: Sequence[str]
    ) -> GateError | None:
        for name in names:
            stopped = self._take(datasets[name], self._asked.pop(name))
            if stopped is not None:
                return stopped
        return None

    def _read(self, dataset: DatasetToLoad, since: datetime) -> _Seen:
        keys = key_columns(dataset)
        selection = tuple(dict.fromkeys((MASTERID, MODIFIED_AT, *keys)))
        # Modifications carry the service's time, our writes this machine's: the difference decides whose a write is.
        server_time = self.client.count(dataset.dataset_id).server_time
        if server_time is None:
            ahead_s = 0.0
        else:
            ahead_s = server_time.timestamp() - self.clock()
        every = modified_since(self.client, dataset.dataset_id, since, keys, selection, PAGE_ROWS)
        return _Seen(list(every), ahead_s)

    def _unread(self, dataset: DatasetToLoad, modified: list[Modified]) -> list[Modified]:
        """Without what the plan has read itself: a look goes back some time, and may reach behind the reading."""
        if modified and dataset.name not in self._known:
            self._known[dataset.name] = known_state(dataset.before)
        known = self._known.get(dataset.name)
        if known is None:
            return modified
        return list(known.unseen(modified))

    def _take(self, dataset: DatasetToLoad, future: Future[_Seen]) -> GateError | None:
        name = dataset.name
        try:
            seen = future.result()
            unread = self._unread(dataset, seen.records)
        except MigrateError:
            # The load itself will say what is wrong with the service; the next look comes in time.
            return None
        writes = self._not_ours(dataset, unread, seen.ahead_s)
        if unread:
            self._since[name] = max(record.at for record in unread)
        self._tell(dataset, writes)
        return self._judge(dataset, writes.planned)

    def _judge(self, dataset: DatasetToLoad, named: Mapping[str, str]) -> GateError | None:
        """Holds all that others were seen to write, and that is yet to be sent, against the limit.

        `named`: by masterid the source records of those that were seen just now.
        """
        known = self.ledger.lessons.yet_to_overwrite(dataset.name)
        unnamed = [masterid for masterid in known if masterid not in named]
        names = {**named_by_masterid(dataset, unnamed), **named}
        return self.gates.judge_writes(dataset, ForeignWrites(planned=names))

    def _not_ours(
        self, dataset: DatasetToLoad, modified: list[Modified], ahead_s: float
    ) -> ForeignWrites:
        name, lessons = dataset.name, self.ledger.lessons
        masterids = [record.masterid for record in modified]
        strangers = not_our_own(modified, lessons.written_at(name, masterids), ahead_s)
        written, _ = lessons.seen(name, masterids)
        return writes_beside_ours(dataset, strangers, lessons.begun_batches(name), written)

    def _tell(self, dataset: DatasetToLoad, writes: ForeignWrites) -> None:
        self._tell_others(dataset, writes.planned, writes.others)
        new = self.ledger.lessons.add_foreign_edits(dataset.name, (), (), writes.written)
        if new:
            self.progress.note(
                f"{dataset.place}: others have changed {new:,} records after this load wrote them, among "
                f"{say_records(writes.written)}; they are left as they are now"
            )

    def _tell_others(
        self, dataset: DatasetToLoad, planned: Collection[str], others: Sequence[str] = ()
    ) -> None:
        strangers = ForeignWrites(others=tuple(others))
        if self.others is not None:
            # Another project's ledger knows a record only once its answer is there: what is new to us gets until the
            # next look to be known.
            strangers = ForeignWrites(others=self._doubtful.pop(dataset.name, ()))
            strangers = without_others(strangers, dataset, self.others)
            if others:
                self._doubtful[dataset.name] = tuple(others)
        new = self.ledger.lessons.add_foreign_edits(dataset.name, planned, strangers.others)
        if new:
            self.progress.note(
                f"{dataset.place}: others are writing to it while it is loaded: {new:,} records so far"
            )
