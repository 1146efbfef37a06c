"""The canary: the first record of a dataset, written and compared before anything else of it is sent.

Octolis shows no schema. Which types a column has, which columns must be filled or take no writes, by which keys records
become one, what becomes of a date or a fraction: all that is learnt from the first write, and none of it can be taken
back. So one record goes first, the one with most columns filled, and is read back before the others follow.

It is a part of the load: a request with some records of a batch, settled in the ledger like any other. So a load that
is killed between the two goes on with reading it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, groupby

from migrate.errors import CanaryUnseen, GateError
from migrate.load.canary_choice import ChosenRecord, choose_canary
from migrate.load.ledger import Ledger
from migrate.load.lessons import CanaryVerdict, WrittenPlace
from migrate.load.planned import DatasetToLoad, PlannedRecord, PlannedRecords
from migrate.load.proof import CanaryRecord, Proof
from migrate.load.scheduler import BatchRequest, DatasetQueue
from migrate.load.stops import say_answers
from migrate.load.totals import Totals
from migrate.progress import Progress
from migrate.sentence import Sentence
from migrate.target.results import Rejected, Written

Place = tuple[int, int]


@dataclass
class Canary:
    """The canary of one dataset on its way. `expected`: by place the masterid that the plan updates, None of a new one.

    `spares`: further records, tried where every one before was refused; `taken`: what the target has, to be read back.
    """

    dataset: DatasetToLoad
    waiting: deque[BatchRequest]
    spares: deque[BatchRequest]
    expected: Mapping[Place, str | None]
    since: datetime | None = None
    taken: list[CanaryRecord] = field(default_factory=list)
    refused: list[Rejected] = field(default_factory=list)

    @property
    def is_exhausted(self) -> bool:
        """Whether there is nothing to write any more, and nothing to read."""
        return not (self.waiting or self.taken or self.spares)

    def next_request(self) -> BatchRequest | None:
        """The next record to write; once all were tried and one was taken, the reading of those that were."""
        if self.waiting:
            return self.waiting.popleft()
        if self.taken:
            records = [taken.record for taken in self.taken]
            return BatchRequest(self.dataset.name, self.taken[0].batch, records, proving=True)
        return self.spares.popleft() if self.spares else None

    def take(self, batch: int, record: PlannedRecord, written: Written) -> None:
        """The target has taken a record."""
        place = (batch, record.sent.position)
        # Where the mapping declares other keys the target may find a record by them: that is no surprise.
        is_unknown = record.change == "create" and not self.dataset.several_keys
        was_there = is_unknown and written.was_there(self.since)
        self.taken.append(CanaryRecord(batch, record, written, self.expected.get(place), was_there))


@dataclass(frozen=True)
class Canaries:
    """Begins the canaries of a load, and says what their ends mean."""

    ledger: Ledger
    plan: str
    progress: Progress

    def begin(
        self,
        queue: DatasetQueue,
        dataset: DatasetToLoad,
        records: PlannedRecords | None,
        count: int,
        totals: Totals,
        since: datetime | None,
    ) -> None:
        """Puts a canary of `count` records before what is left of a dataset, where it needs one.

        It needs none where this mapping was loaded into it before, or where the load is beyond its canary.
        """
        lessons = self.ledger.lessons
        queue.is_known = lessons.was_loaded_before(dataset.name)
        if not count or records is None or not dataset.rows:
            return
        # A webhook cannot be read back, so its canary would prove nothing.
        if dataset.webhook is not None or queue.is_known:
            return
        # With several keys the order of writing decides what the target merges, so the first records stay the first.
        chosen = choose_canary(dataset.records, count, in_order=dataset.several_keys)
        places = [(one.batch, one.position) for one in chosen]
        written = lessons.written_places(dataset.name, places)
        if totals.written > len(written):
            return
        verdict = lessons.canary(dataset.name)
        if verdict is not None and verdict.verdict == "differs":
            # What was wrong may be fixed by now, and only a new write shows it.
            for one in written:
                self.ledger.unsettle(dataset.name, one.batch, [one.position])
            written = []
        queue.canary = self._canary(dataset, records, chosen, count, written, since)
        queue.backlog = deque(self.ledger.open_batches(dataset.name))

    def _canary(
        self,
        dataset: DatasetToLoad,
        records: PlannedRecords,
        chosen: Sequence[ChosenRecord],
        count: int,
        written: Iterable[WrittenPlace],
        since: datetime | None,
    ) -> Canary:
        done = {(one.batch, one.position): one for one in written}
        left = [one for one in chosen if (one.batch, one.position) not in done]
        # A load that was killed in its canary goes on with reading it: its record is written once.
        first = [] if done else left[:count]
        canary = Canary(
            dataset,
            waiting=deque(_requests(dataset, records, first)),
            spares=deque(
                chain.from_iterable(_requests(dataset, records, [one]) for one in left[count:])
            ),
            expected={(one.batch, one.position): one.masterid for one in chosen},
            since=since,
        )
        for (batch, position), one in done.items():
            record = records.batch(batch)[position]
            earlier = Written(record.sent, one.masterid, one.merged_from, one.protected)
            canary.take(batch, record, earlier)
        return canary

    @staticmethod
    def take(queue: DatasetQueue, request: BatchRequest, written: Written) -> None:
        """A record was written, maybe the canary's."""
        if isinstance(queue.canary, Canary):
            record = next(r for r in request.records if r.sent.position == written.sent.position)
            queue.canary.take(request.batch, record, written)

    def refuse(self, queue: DatasetQueue, refused: Sequence[Rejected]) -> GateError | None:
        """Why the load has to stop, once every record that was tried is refused; None while there is another."""
        canary = queue.canary
        if not isinstance(canary, Canary):
            return None
        canary.refused.extend(refused)
        if not canary.is_exhausted:
            return None
        reasons = tuple(dict.fromkeys(one.error for one in canary.refused))
        self.ledger.lessons.judge_canary(queue.dataset, CanaryVerdict("refused", (), reasons))
        head = Sentence(
            "{place} refuses the canary: it took none of {refused} records, and nothing else of it was sent",
            place=canary.dataset.place,
            refused=len(canary.refused),
        )
        return GateError(
            f"{head}:\n" + "\n".join(f"- {text}" for text in reasons),
            said=[head, say_answers(reasons)],
            hint="fix the mapping and make a new plan with `migrate plan`, or have the dataset fixed in Octolis (its "
            "id, a read-only SQL dataset, mandatory columns, types); none of its records counts as rejected; then "
            f"migrate load --plan {self.plan}",
        )

    def judge(self, queue: DatasetQueue, proof: Proof) -> GateError | None:
        """Lets the rest of the dataset go where the canary is stored as it was sent; else why the load has to stop."""
        canary = queue.canary
        if not isinstance(canary, Canary):
            return None
        masterids = tuple(dict.fromkeys(taken.written.masterid for taken in canary.taken))
        if proof.unseen:
            return _unseen(canary.dataset, proof, self.plan)
        verdict = "differs" if proof.differences else "kept"
        judgement = CanaryVerdict(verdict, masterids, proof.differences)
        self.ledger.lessons.judge_canary(queue.dataset, judgement)
        if proof.differences:
            return _differs(canary.dataset, judgement, proof.columns, self.plan)
        self.progress.note(f"{canary.dataset.place}: the canary is stored as it was sent; going on")
        queue.canary = None
        queue.backlog = deque(self.ledger.open_batches(queue.dataset))
        return None


def _requests(
    dataset: DatasetToLoad, records: PlannedRecords, chosen: Sequence[ChosenRecord]
) -> Iterable[BatchRequest]:
    """One request for the chosen records of each batch, since the ledger settles batch by batch."""
    in_order = sorted(chosen, key=lambda one: (one.batch, one.position))
    for batch, some in groupby(in_order, key=lambda one: one.batch):
        every = records.batch(batch)
        yield BatchRequest(dataset.name, batch, [every[one.position] for one in some])


def _say_differing(judgement: CanaryVerdict, columns: Sequence[str]) -> Iterator[str]:
    if columns:
        yield Sentence("stored in another way than sent: {columns}", columns=tuple(columns))
    yield Sentence(
        "created already, and to check by hand: masterid {masterids}",
        masterids=judgement.masterids,
    )


def _differs(
    dataset: DatasetToLoad, judgement: CanaryVerdict, columns: Sequence[str], plan: str
) -> GateError:
    head = Sentence(
        "{place}: the canary is not what was sent; nothing else of the dataset was sent",
        place=dataset.place,
    )
    return GateError(
        f"{head}:\n"
        + "\n".join(f"- {text}" for text in judgement.told)
        + f"\ncreated already, and to check by hand: masterid {', '.join(judgement.masterids)}",
        said=[head, *_say_differing(judgement, columns)],
        hint="fix the mapping (`recipe: true` for a column that the target prepares itself) and make a new plan, or "
        f"have the dataset fixed in Octolis and give this again: migrate load --plan {plan}; to load it as it is: "
        f"migrate load --plan {plan} --canary 0",
    )


def _unseen(dataset: DatasetToLoad, proof: Proof, plan: str) -> CanaryUnseen:
    return CanaryUnseen(
        Sentence(
            "{place}: the canary was written and cannot be read yet (masterid {masterids}); "
            "nothing else of the dataset was sent",
            place=dataset.place,
            masterids=", ".join(proof.unseen),
        ),
        hint="the target prepares what is written in its own time; the same command reads it again and goes on: "
        f"migrate load --plan {plan}",
    )
