"""The ledger and the loader's decisions under faults, in simulated time: no socket, no sleep.

A simulated service keeps a target; a simulated process sends, may die at any moment, and is started again. The machine
plays crashes around each durable step, answers lost after the write was applied, late application, 423 and 429
storms, partial, short and shuffled results, whole-batch refusals, and a clock that jumps.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections import deque
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from migrate.config import Gates, Limit, Octolis
from migrate.load.ledger import Ledger, PlannedDataset
from migrate.load.loader import body_of
from migrate.load.outcome import Outcomes
from migrate.load.planned import DatasetToLoad, PlannedRecord, PlanToLoad
from migrate.load.readback import read_back
from migrate.load.scheduler import Job, Lane, Waits, next_job
from migrate.progress import Silence
from migrate.target.answer import Answer
from migrate.target.results import RawRecord, SentRecord

DATASETS = {"contacts": [3, 2, 3], "orders": [2, 1]}
BAD = "contacts-1-1"
FAILING = ("429", "423", "500", "html200", "lost", "never-arrived", "short", "shuffled", "null")
ANSWERED = ("ok", "partial", "whole-400", *FAILING)


class Service:
    """The target: records by key, with one record it will never take."""

    def __init__(self) -> None:
        self.stored: dict[str, str] = {}
        self.writes: dict[str, int] = {}

    def list_records(self, _dataset_id: str, _page: int, _size: int, any_of=None):  # type: ignore[no-untyped-def]
        """The records that are stored, as the export shows them."""
        keys = [key for key in self.stored if key in any_of[1]]
        rows = [{"id": key, "value": self.stored[key], "__masterid__": f"m-{key}"} for key in keys]
        return [msgspec.json.decode(json.dumps(row), type=RawRecord) for row in rows]

    def apply(self, records: list[dict[str, str]], failing: frozenset[int] = frozenset()) -> list[dict[str, object]]:
        """Upserts a batch; gives the results."""
        results: list[dict[str, object]] = []
        for place, record in enumerate(records):
            key = record["id"]
            if key == BAD:
                results.append({"written": False, "error": {"title": "Bad", "status": 400}})
            elif place in failing:
                results.append({"written": False, "error": {"title": "Later", "status": 500}})
            else:
                self.stored[key] = record["value"]
                self.writes[key] = self.writes.get(key, 0) + 1
                results.append({"written": True, "record": {**record, "__masterid__": f"m-{key}"}})
        return results


class FakeClient:
    """What the loader's decisions ask of a client."""

    settings = Octolis(busy_budget_s=1e9)
    retry_budget_s = 1e9


class LedgerMachine(RuleBasedStateMachine):
    """Sends, answers and crashes in any order."""

    @initialize()
    def begin(self) -> None:
        """A plan of two datasets, a new ledger, an empty target."""
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "ledger.sqlite"
        self.service, self.now, self.crashes, self.failures, self.requests = Service(), 0.0, 0, 0, 0
        self.plan = PlanToLoad(
            "p",
            Path(),
            tuple(
                DatasetToLoad(name, name, ("id",), frozenset(), Path(), None, sum(rows), len(rows))
                for name, rows in DATASETS.items()
            ),
        )
        self.start()

    def start(self) -> None:
        """A process opens the ledger and plans what is left."""
        self.ledger = Ledger(self.file)
        self.ledger.open_plan("p", [PlannedDataset(name, name, rows) for name, rows in DATASETS.items()])
        self.lanes = [self.lane(name) for name in DATASETS]
        self.flying: list[Job] = []
        self.outcomes = Outcomes(
            ledger=self.ledger,
            plan=self.plan,
            lanes={lane.dataset: lane for lane in self.lanes},
            gates=Gates(max_errors=Limit(text="100%", share=1.0)),
            client=FakeClient(),  # type: ignore[arg-type]
            progress=Silence(),
            waits=Waits(),
            clock=lambda: self.now,
            rng=random.Random(0),
        )
        self.outcomes.start(self.ledger.totals())

    def lane(self, name: str) -> Lane:
        """What is left of a dataset."""

        def read(entry):  # type: ignore[no-untyped-def]
            settled = self.ledger.settled_positions(name, entry.batch)
            return [record for record in records_of(name, entry.batch) if record.sent.position not in settled]

        return Lane(name, deque(self.ledger.open_batches(name)), read)

    @rule(count=st.integers(1, 4))
    def send(self, count: int) -> None:
        """Some requests leave."""
        for _ in range(count):
            self.send_one()

    @rule()
    def crash_before_sending(self) -> None:
        """The process dies between the durable word and the request."""
        job = next_job(self.lanes, self.now)
        if job is not None:
            self.leave(job)
            self.crash()

    def leave(self, job: Job) -> None:
        """A request leaves, or a reading begins."""
        if not job.reading:
            self.ledger.mark_sending(job.dataset, job.batch)
            self.requests += 1
        self.outcomes.begin(job)
        self.flying.append(job)

    def end(self, job: Job, kind: str) -> None:
        """A request is answered, or a reading is over."""
        if job.reading:
            dataset = next(dataset for dataset in self.plan.datasets if dataset.name == job.dataset)
            self.outcomes.take_reading(job, read_back(self.service, dataset, job.records, None, lambda _s: None))
            return
        reply = self.reply(job, kind)
        self.failures += kind in FAILING or kind in ("partial", "whole-400")
        self.outcomes.take(job, reply, body_of(job.records))

    def send_one(self) -> None:
        """A request leaves, if one may."""
        job = next_job(self.lanes, self.now)
        if job is None:
            self.now += 10.0
            return
        self.leave(job)
        keys = [record.sent.key for other in self.flying for record in other.records]
        assert len(keys) == len(set(keys)), "a key in two requests at a time"

    @rule(which=st.integers(0, 7))
    def crash_before_recording(self, which: int) -> None:
        """The service has written, and the process dies before it can write that down."""
        if self.flying:
            job = self.flying.pop(which % len(self.flying))
            if not job.reading:
                self.reply(job, "ok")
            self.crash()

    @precondition(lambda self: self.flying)
    @rule(kind=st.sampled_from(ANSWERED), which=st.integers(0, 7))
    def answer(self, kind: str, which: int) -> None:
        """An answer of any kind comes."""
        job = self.flying.pop(which % len(self.flying))
        self.end(job, kind)
        self.now += 0.1

    def reply(self, job: Job, kind: str) -> Answer:
        """What the service says, having done it or not."""
        records = json.loads(body_of(job.records))
        if kind in ("423", "429", "500"):
            return Answer(int(kind), retry_after_s=1.0 if kind == "429" else None)
        if kind == "whole-400":
            return Answer(400, b'{"title": "Invalid", "status": 400}') if len(records) > 1 else self.reply(job, "ok")
        if kind == "never-arrived":
            return Answer(0, reason="refused", applied=False)
        results = self.service.apply(records, frozenset({0}) if kind == "partial" else frozenset())
        if kind == "lost":
            return Answer(0, reason="reset")
        if kind == "html200":
            return Answer(200, b"<html>")
        if kind == "short":
            results = results[:-1]
        if kind == "shuffled":
            results = results[1:] + results[:1] if len(results) > 1 else []
        return Answer(200, json.dumps({"results": None if kind == "null" else results}).encode())

    @rule()
    def crash(self) -> None:
        """The process dies; what was under way may still be applied afterwards; another one starts."""
        self.crashes += 1
        late = self.flying[:1]
        self.ledger.close()
        self.start()
        for job in (job for job in late if not job.reading):
            self.service.apply(json.loads(body_of(job.records)))

    @rule(seconds=st.floats(-5, 100))
    def clock_jumps(self, seconds: float) -> None:
        """Time passes, or seems to run backwards for a moment."""
        self.now += seconds

    @invariant()
    def sums_agree(self) -> None:
        """Planned = written + rejected + deferred + open; what is written is in the target."""
        for name, totals in self.ledger.totals().items():
            assert totals.planned == sum(DATASETS[name])
            assert totals.planned == totals.written + totals.rejected + totals.deferred + totals.open
            for batch in range(len(DATASETS[name])):
                settled = self.ledger.settled_positions(name, batch)
                keys = [record.sent.key for record in records_of(name, batch) if record.sent.position in settled]
                assert all(key in self.service.stored or key == BAD for key in keys)

    def teardown(self) -> None:
        """Whatever happened: a quiet end brings the target of a clean run, with bounded requests."""
        if not hasattr(self, "ledger"):
            return
        try:
            for _ in range(200):
                self.now += 100.0
                while (job := next_job(self.lanes, self.now)) is not None:
                    self.leave(job)
                while self.flying:
                    self.end(self.flying.pop(), "ok")
                if all(lane.is_done for lane in self.lanes):
                    self.outcomes.finish()
                    if not any(lane.unknown for lane in self.lanes):
                        break
                    self.ledger.close()
                    self.start()
            assert self.outcomes.reason is None
            totals = self.ledger.totals()
            assert [t.open for t in totals.values()] == [0, 0]
            assert sum(t.rejected for t in totals.values()) == 1
            expected = {key: f"value of {key}" for key in all_keys() if key != BAD}
            assert self.service.stored == expected
            batches = sum(len(rows) for rows in DATASETS.values())
            # A crash costs what was in flight; a refused whole batch costs its two halves.
            assert self.requests <= batches + 2 * self.failures + batches * self.crashes
        finally:
            self.ledger.close()
            self.folder.cleanup()


def records_of(name: str, batch: int) -> list[PlannedRecord]:
    """The planned records of a batch."""
    keys = [f"{name}-{batch}-{n}" for n in range(DATASETS[name][batch])]
    return [
        PlannedRecord(SentRecord(n, key, json.dumps({"id": key, "value": f"value of {key}"})), "create")
        for n, key in enumerate(keys)
    ]


def all_keys() -> list[str]:
    """Every key of the plan."""
    return [r.sent.key for name, rows in DATASETS.items() for b in range(len(rows)) for r in records_of(name, b)]


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("seed", range(25))
def test_random_lives(seed: int) -> None:
    """Longer lives than the machine's, with every fault in each: the same invariants, the same quiet end."""
    rng, machine = random.Random(seed), LedgerMachine()
    machine.begin()
    for _ in range(60):
        chance = rng.random()
        if chance < 0.35:
            machine.send_one()
        elif chance < 0.9 and machine.flying:
            machine.answer(kind=rng.choice(ANSWERED), which=rng.randrange(8))
        elif chance < 0.93:
            machine.crash_before_sending()
        elif chance < 0.96:
            machine.crash_before_recording(which=rng.randrange(8))
        else:
            machine.clock_jumps(seconds=rng.uniform(-5, 60))
        machine.sums_agree()
    machine.teardown()
