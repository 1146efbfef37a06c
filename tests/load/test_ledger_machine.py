"""The ledger and the loader's decisions under faults, in simulated time: no socket, no sleep.

A simulated service keeps a target; a simulated process holds the workspace's lock, sends, may die at any moment, and is
started again. The machine plays crashes around each durable step, answers lost after the write was applied, writes
applied long after they were given up, storms of 423 and 429, partial, short and shuffled results, whole-batch refusals,
a second loader, a lock left by another machine, and a clock that jumps.
"""

from __future__ import annotations

import contextlib
import json
import random
import tempfile
from collections import deque
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from migrate.config import Gates, Octolis
from migrate.config_values import Limit
from migrate.errors import Locked
from migrate.load.ledger import Ledger
from migrate.load.ledger_opening import PlannedDataset
from migrate.load.loader import body_of
from migrate.load.outcome import Outcomes
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.load.readback import read_back
from migrate.load.scheduler import BatchRequest, DatasetQueue, Waits, next_request
from migrate.progress import Silence
from migrate.workspace import Workspace
from tests.load.simulated import (
    ANSWERED,
    BAD,
    DATASETS,
    FAILING,
    FakeClient,
    Service,
    all_keys,
    records_of,
)

ENDLESS_S, SHORT_S, NO_S = 1e9, 20.0, 0.0
ROUGH = ("misread", "misread", "misread", "whole-400", "423", "ok")


class LedgerMachine(RuleBasedStateMachine):
    """Sends, answers and crashes in any order."""

    @initialize(busy_budget_s=st.sampled_from((ENDLESS_S, SHORT_S, NO_S)))
    def begin(self, busy_budget_s: float) -> None:
        """A plan of two datasets, a new ledger, an empty target; patience with a busy dataset, or little of it."""
        self.folder = tempfile.TemporaryDirectory()
        self.workspace = Workspace(Path(self.folder.name))
        self.client = FakeClient(Octolis(busy_budget_s=busy_budget_s))
        self.service, self.now, self.requests, self.allowed = Service(), 0.0, 0, 0
        self.plan = PlanToLoad(
            "p",
            Path(),
            tuple(
                DatasetToLoad(name, name, ("id",), frozenset(), Path(), None, sum(rows), len(rows))
                for name, rows in DATASETS.items()
            ),
        )
        self.start()

    def start(self, *, force: bool = False) -> None:
        """A process takes the lock, opens the ledger and plans what is left."""
        self.process = contextlib.ExitStack()
        self.process.enter_context(self.lock(force=force))
        self.ledger = Ledger(self.workspace.ledger)
        self.ledger.open_plan(
            "p", [PlannedDataset(name, name, rows) for name, rows in DATASETS.items()]
        )
        self.queues = [self.queue(name) for name in DATASETS]
        self.flying: list[BatchRequest] = []
        self.outcomes = Outcomes(
            ledger=self.ledger,
            plan=self.plan,
            queues={queue.dataset: queue for queue in self.queues},
            gates=Gates(max_errors=Limit(text="100%", share=1.0)),
            client=self.client,  # type: ignore[arg-type]
            progress=Silence(),
            waits=Waits(),
            clock=lambda: self.now,
            rng=random.Random(0),
        )
        self.outcomes.start(self.ledger.totals())

    def lock(self, *, force: bool = False):  # type: ignore[no-untyped-def]
        """The lock that `load` takes."""
        return self.workspace.lock(
            self.workspace.ledger.with_suffix(".lock"), "the ledger", force=force
        )

    def die(self, host: str | None = None) -> None:
        """The process is gone: the system drops its lock, and what it wrote about itself stays behind."""
        self.allowed += sum(not request.reading for request in self.flying)
        holder = self.workspace.ledger.with_suffix(".holder")
        left = {**json.loads(holder.read_text()), "pid": 1, **({"host": host} if host else {})}
        self.ledger.close()
        self.process.close()
        holder.write_text(json.dumps(left))

    def queue(self, name: str) -> DatasetQueue:
        """What is left of a dataset."""

        def read(entry):  # type: ignore[no-untyped-def]
            settled = self.ledger.settled_positions(name, entry.batch)
            return [
                record
                for record in records_of(name, entry.batch)
                if record.sent.position not in settled
            ]

        return DatasetQueue(name, deque(self.ledger.open_batches(name)), read)

    @rule(count=st.integers(1, 4))
    def send(self, count: int) -> None:
        """Some requests leave."""
        for _ in range(count):
            self.send_one()

    @rule()
    def crash_before_sending(self) -> None:
        """The process dies between the durable word and the request."""
        request = next_request(self.queues, self.now)
        if request is not None:
            self.leave(request)
            self.crash()

    def leave(self, request: BatchRequest) -> None:
        """A request leaves, or a reading begins."""
        if not request.reading:
            self.ledger.mark_sending(request.dataset, request.batch)
            self.requests += 1
        self.outcomes.begin(request)
        self.flying.append(request)

    def end(self, request: BatchRequest, kind: str) -> None:
        """A request is answered, or a reading is over."""
        if request.reading:
            dataset = next(
                dataset for dataset in self.plan.datasets if dataset.name == request.dataset
            )
            self.outcomes.take_reading(
                request, read_back(self.service, dataset, request.records, None, lambda _s: None)
            )
            return
        if kind == "whole-400":
            self.allowed += 2 if len(request.records) > 1 else 0
        elif kind == "refused":
            self.allowed += 3
        elif kind == "partial" or kind in FAILING:
            self.allowed += 1
        halvings = self.outcomes.patience.halvings
        self.outcomes.take(request, self.service.answer(request, kind), body_of(request.records))
        self.allowed += self.outcomes.patience.halvings - halvings

    def send_one(self) -> None:
        """A request leaves, if one may."""
        request = next_request(self.queues, self.now)
        if request is None:
            self.now += 10.0
            return
        self.leave(request)
        keys = [record.sent.key for other in self.flying for record in other.records]
        assert len(keys) == len(set(keys)), "a key in two requests at a time"

    @rule(which=st.integers(0, 7))
    def crash_before_recording(self, which: int) -> None:
        """The service has written, and the process dies before it can write that down."""
        if self.flying:
            request = self.flying[which % len(self.flying)]
            if not request.reading:
                self.service.answer(request, "ok")
            self.crash()

    @precondition(lambda self: self.flying)
    @rule(kind=st.sampled_from(ANSWERED), which=st.integers(0, 7))
    def answer(self, kind: str, which: int) -> None:
        """An answer of any kind comes."""
        request = self.flying.pop(which % len(self.flying))
        self.end(request, kind)
        self.now += 0.1

    @rule(kind=st.sampled_from(("423", "429", "misread")), rounds=st.integers(2, 8))
    def storm(self, kind: str, rounds: int) -> None:
        """For a while everything is answered that the dataset is busy, that it was too much, or nothing clear."""
        for _ in range(rounds):
            self.send_one()
            while self.flying:
                self.end(self.flying.pop(), kind)
            self.now += 1.0

    @rule(kinds=st.lists(st.sampled_from(ROUGH), min_size=4, max_size=16), flying=st.integers(1, 3))
    def rough_times(self, kinds: list[str], flying: int) -> None:
        """Nothing clear, refused as a whole and busy by turns, with others in flight: what is given up on is mixed."""
        for kind in kinds:
            self.send(flying)
            if self.flying:
                self.end(self.flying.pop(0), kind)

    @rule(key=st.sampled_from(all_keys()), rounds=st.integers(8, 40))
    def poison(self, key: str, rounds: int) -> None:
        """For a while whatever holds one certain record makes the service fail, and the rest is taken."""
        for _ in range(rounds):
            self.send_one()
            while self.flying:
                request = self.flying.pop()
                self.end(
                    request,
                    "500" if key in [record.sent.key for record in request.records] else "ok",
                )
            self.now += 1.0

    @precondition(lambda self: not any(queue.ever_written for queue in self.queues))
    @rule(rounds=st.integers(1, 8))
    def closed(self, rounds: int) -> None:
        """Before anything is written, all is refused for a while, each record alone, too: no fault of theirs."""
        for _ in range(rounds):
            self.send_one()
            while self.flying:
                self.end(self.flying.pop(), "refused")
        if self.outcomes.reason is not None:
            self.die()
            self.start()

    @rule()
    def stop(self) -> None:
        """An orderly end: what has not left is called back, what nobody can tell of is unknown; another one starts."""
        while self.flying:
            request = self.flying.pop()
            self.requests -= not request.reading
            self.outcomes.unsent(request)
        self.outcomes.finish()
        self.die()
        self.start()

    @rule()
    def late_application(self) -> None:
        """The service carries out what it answered long ago with a time-out."""
        self.service.apply_late()

    @rule()
    def crash(self) -> None:
        """The process dies; what was under way may still be applied afterwards; another one starts."""
        late = [request for request in self.flying[:1] if not request.reading]
        self.die()
        self.start()
        for request in late:
            self.service.apply(json.loads(body_of(request.records)))

    @rule()
    def second_loader(self) -> None:
        """Another process wants to load: it is refused while this one lives, whatever it asks, and changes nothing."""
        before = self.ledger.totals()
        for force in (False, True):
            with pytest.raises(Locked, match="in use by process"), self.lock(force=force):
                pass
        assert self.ledger.totals() == before

    @rule()
    def another_machine(self) -> None:
        """The lock file of another machine cannot be judged from here: it holds until somebody says otherwise."""
        self.die(host="elsewhere")
        with pytest.raises(Locked, match="elsewhere"):
            self.start()
        self.start(force=True)

    @rule(seconds=st.floats(-5, 100))
    def clock_jumps(self, seconds: float) -> None:
        """Time passes, or seems to run backwards for a moment."""
        self.now += seconds

    @invariant()
    def sums_agree(self) -> None:
        """Planned = written + rejected + deferred + open; what is written is in the target."""
        for name, totals in self.ledger.totals().items():
            assert totals.planned == sum(DATASETS[name])
            assert (
                totals.planned == totals.written + totals.rejected + totals.deferred + totals.open
            )
            assert totals.unknown <= totals.open
            for batch in range(len(DATASETS[name])):
                settled = self.ledger.settled_positions(name, batch)
                keys = [
                    record.sent.key
                    for record in records_of(name, batch)
                    if record.sent.position in settled
                ]
                assert all(key in self.service.stored or key == BAD for key in keys)

    def teardown(self) -> None:
        """Whatever happened: a quiet end brings the target of a clean run, with bounded requests."""
        if not hasattr(self, "ledger"):
            return
        try:
            self.finish_quietly()
            assert self.outcomes.reason is None
            totals = self.ledger.totals()
            assert [(t.open, t.deferred) for t in totals.values()] == [(0, 0), (0, 0)]
            assert sum(t.rejected for t in totals.values()) == 1
            while self.service.late:
                self.service.apply_late()
            expected = {key: f"value of {key}" for key in all_keys() if key != BAD}
            assert self.service.stored == expected
            batches = sum(len(rows) for rows in DATASETS.values())
            # A failed or partial answer costs one request, a refused whole batch its two halves, a death what flew.
            assert self.requests <= batches + self.allowed
        finally:
            self.ledger.close()
            self.process.close()
            self.folder.cleanup()

    def finish_quietly(self) -> None:
        """Every request is answered well, and a run that left something behind is followed by another."""
        for _ in range(200):
            self.now += 100.0
            while (request := next_request(self.queues, self.now)) is not None:
                self.leave(request)
            while self.flying:
                self.end(self.flying.pop(), "ok")
            if all(queue.is_done for queue in self.queues):
                self.outcomes.finish()
                if not any(queue.unknown or queue.deferred or queue.held for queue in self.queues):
                    return
                self.die()
                self.start()
        raise AssertionError("the load never ends")


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.parametrize("seed", range(25))
def test_random_lives(seed: int) -> None:
    """Longer lives than the machine's, with every fault in each: the same invariants, the same quiet end."""
    rng, machine = random.Random(seed), LedgerMachine()
    machine.begin((ENDLESS_S, SHORT_S, NO_S)[seed % 3])
    for _ in range(60):
        chance = rng.random()
        if chance < 0.35:
            machine.send_one()
        elif chance < 0.86 and machine.flying:
            machine.answer(kind=rng.choice(ANSWERED), which=rng.randrange(8))
        elif chance < 0.89:
            machine.storm(kind=rng.choice(("423", "429", "misread")), rounds=rng.randrange(2, 8))
        elif chance < 0.91:
            machine.poison(key=rng.choice(all_keys()), rounds=rng.randrange(8, 40))
        elif chance < 0.92:
            machine.stop()
        elif chance < 0.93:
            machine.rough_times(kinds=rng.choices(ROUGH, k=12), flying=rng.randrange(1, 4))
        elif chance < 0.95:
            deaths = (machine.crash_before_sending, machine.another_machine, machine.second_loader)
            rng.choice((*deaths, lambda: machine.crash_before_recording(which=rng.randrange(8))))()
        else:
            machine.clock_jumps(seconds=rng.uniform(-5, 60))
            machine.late_application()
        machine.sums_agree()
    machine.teardown()


@pytest.fixture
def life():
    """A machine without any patience for a busy dataset; its quiet end is checked."""
    machine = LedgerMachine()
    machine.begin(NO_S)
    yield machine
    machine.teardown()


def sent(machine: LedgerMachine, *kinds: str) -> None:
    """So many requests leave one after the other, each answered as told."""
    for kind in kinds:
        machine.send_one()
        machine.end(machine.flying.pop(), kind)


def test_unknown_and_then_busy(life):
    """A batch whose answers were never clear waits with the rest of its dataset when that stays busy."""
    sent(life, *("misread", "read") * 3)
    assert [request.batch for request in life.queues[0].unknown] == [0]
    sent(life, "423")
    life.outcomes.finish()
    totals = life.ledger.totals()["contacts"]
    assert (totals.deferred, totals.unknown) == (8, 0)


@pytest.mark.parametrize("last", ["ok", "500", "whole-400", "misread", "lost", "423", "unsent"])
@pytest.mark.parametrize("piece", [True, False])
def test_in_flight_when_the_dataset_is_given_up(last, piece, life):
    """What was in flight then ends as it ends, and only what is left after it is deferred."""
    if piece:
        sent(life, "whole-400")
    life.send(2)
    other, busy = life.flying.pop(), life.flying.pop()
    life.end(busy, "423")
    assert life.ledger.totals()["contacts"].deferred == 0
    if last == "unsent":
        life.requests -= 1
        life.outcomes.unsent(other)
    else:
        life.end(other, last)
    totals = life.ledger.totals()["contacts"]
    assert totals.written == (
        sum(record.sent.key != BAD for record in other.records) if last == "ok" else 0
    )
    assert totals.deferred == 8 - totals.written - totals.rejected


def test_a_reading_in_flight_when_the_dataset_is_given_up(life):
    """What it shows is kept."""
    sent(life, "null")
    life.send(2)
    reading, busy = sorted(life.flying, key=lambda request: not request.reading)
    life.flying.clear()
    assert reading.reading
    life.end(busy, "423")
    life.end(reading, "")
    totals = life.ledger.totals()["contacts"]
    assert (totals.written, totals.deferred) == (3, 5)
