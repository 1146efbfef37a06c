"""Plans, loads, parts, undos, discards, edits of others and crashes in any order, beside a model of the target.

The target is the dataset of a sandbox. The model knows what each plan may send, hears what leaves for the target, and
works out for itself what the target holds and in which state each plan is. Whatever happens, wherever a command is
killed, the target and the workspace say the same as the model, and nothing is written that no plan has planned.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import msgspec
import polars as pl
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.reconcile import run_reconcile
from migrate.app.rejects import discard, keep, rejects_of
from migrate.app.standing import read_standing
from migrate.app.status import read_status
from migrate.app.undo import run_undo
from migrate.config import Limit, load_project
from migrate.errors import GateError, Stale
from migrate.load import ledger_schema
from migrate.names import MASTERID
from migrate.plan.open_plan import open_plan
from migrate.project import start_project
from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings
from migrate.target.client import TargetClient
from tests.verify.conftest import HEADERS, SOURCE_KEY, TARGET_KEY, make_job

KEYS = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
DATASETS = ("people", "shops")
PEOPLE = ("1", "2", "3")
GOOD = ("New", "Newer", "Newest")
BAD = "?"
"""A city that the mapping rejects."""
PAD = "x" * 6_000
"""So long that no two records fit into one batch: each is a request of its own, and a load can stop between them."""
MAPPING = """
version: 1
dataset: {dataset}
resource: profiles
key: [key]
columns:
  key: {{from: id, type: text}}
  city: {{from: city, type: text, values: {{New: New, Newer: Newer, Newest: Newest}}, unlisted: reject}}
  pad: {{value: "{pad}", type: text}}
"""
SETTINGS = """
[datatrics]
base_url = "{box.datatrics_url}"
project_id = "demo"
requests_per_second = 1000
[octolis]
base_url = "{box.octolis_url}"
limit_speed = 999
batch_bytes = 10000
concurrency = 1
[octolis.datasets]
people = "people"
shops = "shops"
[gates]
max_target_change = 100
max_unequal = "100%"
max_rejected = "100%"
"""
MOST_PLANS = 4
IS_DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"

Rows = dict[str, str]
"""City by person."""


class Crash(BaseException):
    """The process is gone: nothing in the product catches it."""


class Fate:
    """Kills a command at a moment: before or after its n-th durable step, or around its n-th request."""

    def __init__(self) -> None:
        self.left: dict[str, int] = {}
        self.heard: list[dict[str, Any]] = []

    def is_due(self, moment: str) -> None:
        """Raises Crash where this is the moment."""
        if moment in self.left:
            self.left[moment] -= 1
            if self.left[moment] == 0:
                raise Crash(moment)

    @contextlib.contextmanager
    def falling(self, crash: tuple[str, int] | None) -> Iterator[None]:
        """The command within may be killed; what it sends is heard."""
        self.left, self.heard = dict([crash] if crash else []), []
        try:
            yield
        finally:
            self.left = {}

    def over_transaction(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Durable steps that may be the last."""

        @contextlib.contextmanager
        def transaction(*arguments: Any) -> Iterator[Any]:
            with real(*arguments) as db:
                yield db
                self.is_due("before a commit")
            self.is_due("after a commit")

        return transaction

    def over_request(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Requests that may be the last, with what they carry kept once they were answered."""

        def send(client: TargetClient, dataset_id: str, body: bytes) -> Any:
            self.is_due("before a request")
            answer = real(client, dataset_id, body)
            self.heard += [{**row, "dataset": dataset_id} for row in json.loads(body)]
            self.is_due("after a request")
            return answer

        return send


MOMENTS = ("before a commit", "after a commit", "before a request", "after a request")
CRASHES = st.none() | st.tuples(st.sampled_from(MOMENTS), st.integers(1, 14))


@dataclass
class ModelPlan:
    """What a plan is by the model. `sends`: what it would write; `before`: what the target held at its reading.

    `settled`: what the ledger knows as written; `announced`: by dataset the requests that left, or were about to.
    `doubted`: a canary that others had changed before it was read back; the next load may write it anew. `given_back`:
    by an undo; `anothers`: by an undo, and written by another plan after that; `maybe_anothers`: the same where a
    command was killed, and nobody knows whether the ledger has its last step.
    """

    read_at: int
    before: dict[str, Rows]
    sends: dict[str, Rows]
    rejected: frozenset[str]
    left_out: frozenset[tuple[str, str]]
    settled: dict[str, set[str]] = field(default_factory=dict)
    announced: dict[str, int] = field(default_factory=dict)
    doubted: set[tuple[str, str]] = field(default_factory=set)
    given_back: set[tuple[str, str]] = field(default_factory=set)
    maybe_given_back: set[tuple[str, str]] = field(default_factory=set)
    anothers: set[tuple[str, str]] = field(default_factory=set)
    maybe_anothers: set[tuple[str, str]] = field(default_factory=set)
    counted: dict[str, int] = field(default_factory=dict)
    was_killed: bool = False
    is_undone: bool = False

    def left(self, name: str) -> set[str]:
        """Who is still to be sent."""
        return set(self.sends[name]) - self.settled.get(name, set())


class PlansMachine(RuleBasedStateMachine):
    """One workspace, one target, one model."""

    @initialize()
    def begin(self) -> None:
        """A source of three people, and a target in which one of them is already."""
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory())) / "p"
        start_project(folder)
        for file in (folder / "mappings").glob("*.yaml"):
            file.unlink()
        for name in DATASETS:
            text = MAPPING.format(dataset=name, pad=PAD)
            (folder / "mappings" / f"{name}.yaml").write_text(text)
        sandbox = SandboxSettings(
            mappings=folder / "mappings", datatrics_key=SOURCE_KEY,
            octolis_keys=(TARGET_KEY,), limits=Limits(enforce=False),
        )  # fmt: skip
        self.box = self.stack.enter_context(Sandbox(sandbox))
        self.http = self.stack.enter_context(httpx.Client(headers=HEADERS, timeout=60))
        (folder / "migrate.toml").write_text(SETTINGS.format(box=self.box))
        self.context = make_job(load_project(folder / "migrate.toml", KEYS))
        self.fate = Fate()
        for place, name, wrap in (
            (ledger_schema, "transaction", self.fate.over_transaction),
            (TargetClient, "upsert_batch", self.fate.over_request),
            (TargetClient, "patch_batch", self.fate.over_request),
        ):
            self.stack.enter_context(mock.patch.object(place, name, wrap(getattr(place, name))))
        self.target: dict[str, Rows] = {name: {} for name in DATASETS}
        self.source: Rows = {}
        self.plans: dict[str, ModelPlan] = {}
        self.moment = 0
        self.shipped: dict[str, list[tuple[int, str]]] = {name: [] for name in DATASETS}
        self.edited: dict[str, list[tuple[int, str]]] = {name: [] for name in DATASETS}
        self.discards: dict[tuple[str, str], str] = {}
        self.marks: set[tuple[str, str, str]] = set()
        for name in DATASETS:
            self.edit_by_others(name, "1", "Old")
        for person in PEOPLE:
            self.change_source(person, "New")

    def tick(self) -> int:
        """The next moment."""
        self.moment += 1
        return self.moment

    @rule(person=st.sampled_from(PEOPLE), city=st.sampled_from((*GOOD, BAD)))
    def change_source(self, person: str, city: str) -> None:
        """Somebody's record changes at the source."""
        self.source[person] = city
        body = msgspec.json.encode([{"source": "Shop", "profileid": person, "city": city}])
        url = f"{self.box.url}/_sandbox/records/profiles"
        self.http.post(url, content=body).raise_for_status()

    @rule(
        name=st.sampled_from(DATASETS),
        person=st.sampled_from(PEOPLE),
        city=st.sampled_from(("Theirs", "Old")),
    )
    def edit_by_others(self, name: str, person: str, city: str) -> None:
        """Somebody else writes to the target."""
        url = f"{self.box.octolis_url}/datasets/{name}/records/batch?api-key={TARGET_KEY}"
        self.http.post(url, json=[{"key": person, "city": city, "pad": PAD}]).raise_for_status()
        self.target[name][person] = city
        self.edited[name].append((self.tick(), person))

    @precondition(lambda self: len(self.plans) < MOST_PLANS)
    @rule(names=st.sampled_from([("people",), ("shops",), DATASETS]), crash=CRASHES)
    def make_plan(self, names: tuple[str, ...], crash: tuple[str, int] | None) -> None:
        """A snapshot of what the source has now, and a plan of it, which may be killed before it is noted down."""
        number = f"p{len(self.plans)}"
        run_extract(self.context, ["profiles"], number)
        read_at = self.tick()
        with self.fate.falling(crash), contextlib.suppress(Crash):
            run_plan(self.context, list(names), snapshot=number, name=number)
        before = {name: dict(self.target[name]) for name in names}
        left_out = frozenset(one for one in self.discards if one[0] in names)
        rejected = frozenset(person for person, city in self.source.items() if city == BAD)
        sends = {
            name: {
                person: city
                for person, city in self.source.items()
                if city not in (BAD, before[name].get(person)) and (name, person) not in left_out
            }
            for name in names
        }
        self.plans[number] = ModelPlan(read_at, before, sends, rejected, left_out)

    @precondition(lambda self: any(self.rejects()))
    @rule(which=st.integers(0, 20))
    def discard(self, which: int) -> None:
        """A person is kept from a dataset for good."""
        rejects = sorted(self.rejects())
        number, name, person = rejects[which % len(rejects)]
        discard(self.context.workspace, number, [self.reject_of(number, name, person)], None, "why")
        self.discards[name, person] = number
        self.marks.add((number, name, person))

    @precondition(lambda self: self.discards)
    @rule(which=st.integers(0, 20))
    def keep(self, which: int) -> None:
        """That is taken back, whichever plan it was said of."""
        chosen = sorted(self.discards)
        name, person = chosen[which % len(chosen)]
        number = self.discards.pop((name, person))
        kept = keep(self.context.workspace, number, [self.reject_of(number, name, person)], None)
        assert [(one.what.dataset, one.what.id) for one in kept] == [(name, person)]
        self.marks -= {(number, name, person) for number in self.plans}

    def rejects(self) -> set[tuple[str, str, str]]:
        """The open rejects of every plan: its name, the dataset, and who."""
        every = {
            (number, name, person)
            for number, plan in self.plans.items()
            for name in plan.sends
            for person in plan.rejected
            if (name, person) not in plan.left_out
        }
        return every - self.marks

    def reject_of(self, number: str, name: str, person: str) -> str:
        """The name of a reject."""
        rows = pl.concat(rejects_of(self.context.workspace, number).parts()).iter_rows(named=True)
        [found] = [r["reject"] for r in rows if (r["dataset"], r["id"]) == (name, person)]
        return str(found)

    def state(self, number: str) -> str:
        """The state of a plan as the model sees it."""
        plan = self.plans[number]
        if plan.is_undone:
            return "undone"
        others = [
            who
            for name in plan.sends
            for at, who in self.shipped[name]
            if at > plan.read_at and who != number
        ]
        if others:
            return "overtaken"
        is_left = any(plan.left(name) for name in plan.sends)
        if not plan.counted or (is_left and not plan.announced):
            return "planned"
        return "loading" if is_left else "loaded"

    def changed_by_others(self, plan: ModelPlan, name: str) -> set[str]:
        """Whose record others have written since a plan was read."""
        return {person for at, person in self.edited[name] if at > plan.read_at}

    @precondition(lambda self: self.plans)
    @rule(which=st.integers(0, 3), is_part=st.booleans(), is_strict=st.booleans(), crash=CRASHES)
    def load(
        self, which: int, is_part: bool, is_strict: bool, crash: tuple[str, int] | None
    ) -> None:
        """A plan is loaded, or its first dataset only; never one that is overtaken or undone."""
        number = list(self.plans)[which % len(self.plans)]
        plan = self.plans[number]
        names = list(plan.sends)[:1] if is_part else list(plan.sends)
        discarded = {
            (name, person)
            for name, person in self.discards
            if person in plan.sends.get(name, ()) and (name, person) not in plan.left_out
        }
        if self.state(number) in ("overtaken", "undone") or discarded:
            self.expect_refusal(Stale, names, number)
            return
        begun = {name for name in names if name in plan.announced}
        if is_strict and not begun and self.would_be_overwritten(plan, names):
            self.expect_refusal(GateError, names, number)
            return
        counts = {name: len(self.target[name]) for name in names}
        foreign = {name: self.changed_by_others(plan, name) for name in names}
        stopped, is_killed = None, False
        with self.fate.falling(crash):
            try:
                result = run_load(self.context, names, name=number)
            except Crash:
                is_killed = plan.was_killed = True
            except GateError as error:
                stopped = error
        self.take_what_was_sent(plan, is_killed=is_killed)
        self.take_what_is_known(number, plan, counts)
        if stopped is not None:
            self.doubt_canary(plan, stopped)
            return
        if not plan.was_killed:
            assert not any(plan.left(name) for name in names)
        if crash:
            return
        for name in names:
            planned = len(foreign[name] & set(plan.sends[name]))
            told = result.foreign.get(name, (0, 0, 0))
            if plan.was_killed or name in begun:
                assert sum(told) <= len(foreign[name])
            else:
                assert told == (planned, len(foreign[name]) - planned, 0)

    def doubt_canary(self, plan: ModelPlan, error: GateError) -> None:
        """The canary stops a load where others have come between: they changed it, or made what was to be new."""
        assert "the canary is not what was sent" in error.what
        [(name, masterid)] = [who for who in self.people() if who[1] in error.what]
        person = self.people()[name, masterid]
        assert person in self.changed_by_others(plan, name)
        assert plan.was_killed or person not in plan.before[name]
        plan.doubted.add((name, person))

    def would_be_overwritten(self, plan: ModelPlan, names: list[str]) -> bool:
        """Whether others have come between a plan's reading and now."""
        return any(
            self.changed_by_others(plan, name) & set(plan.sends[name])
            or len(self.target[name]) != len(plan.before[name])
            for name in names
        )

    def expect_refusal(self, error: type[Exception], names: list[str], number: str) -> None:
        """A load that must not be is refused, and sends nothing."""
        gates = self.context.project.gates
        strict = gates.model_copy(update={"max_target_change": Limit(text="0", number=0)})
        project = self.context.project.model_copy(update={"gates": strict})
        with self.fate.falling(None):
            try:
                run_load(replace(self.context, project=project), names, name=number)
            except error:
                assert not self.fate.heard
                return
        raise AssertionError("a plan that must not be loaded was")

    def take_what_was_sent(self, plan: ModelPlan, *, is_killed: bool) -> None:
        """The target holds what was sent; all of it was planned, and none of it was settled before."""
        for row in self.fate.heard:
            name, person = row["dataset"], row["key"]
            assert plan.sends[name][person] == row["city"]
            assert person not in plan.settled.get(name, ()) or (name, person) in plan.doubted
            self.target[name][person] = row["city"]
        sent = [(row["dataset"], row["key"]) for row in self.fate.heard]
        assert len(sent) == len(set(sent))
        for other in self.plans.values():
            if other is not plan:
                other.anothers |= other.given_back & set(sent[:-1] if is_killed else sent)
                other.maybe_anothers |= (other.given_back | other.maybe_given_back) & set(sent)

    def take_what_is_known(self, number: str, plan: ModelPlan, counts: dict[str, int]) -> None:
        """What the ledger has of a load that may have been killed: only of its last step there is a choice."""
        sent = [(row["dataset"], row["key"]) for row in self.fate.heard]
        known = self.known(number)
        before = {(name, person) for name, some in plan.settled.items() for person in some}
        assert (before - plan.doubted) | set(sent[:-1]) <= known["settled"] <= before | set(sent)
        if not plan.was_killed:
            assert known["settled"] == before | set(sent)
        plan.settled = {name: set() for name in plan.sends}
        for name, person in known["settled"]:
            plan.settled[name].add(person)
        plan.doubted -= set(sent)
        for name, requests in known["announced"].items():
            new = requests - plan.announced.get(name, 0)
            assert 0 <= new - sum(one == name for one, _ in sent) <= 1
            if new:
                self.shipped[name].append((self.tick(), number))
        plan.announced = known["announced"]
        for name, count in known["counted"].items():
            # What the target held before the first write; others may write later on.
            assert plan.counted.setdefault(name, counts.get(name, -1)) == count

    def known(self, number: str) -> dict[str, Any]:
        """What the ledger has of a plan."""
        file = self.context.workspace.ledger
        if not file.exists():
            return {"settled": set(), "announced": {}, "counted": {}}
        with closing(ledger_schema.connect_read_only(file)) as db:
            mine = "FROM datasets d JOIN plans p ON p.id = d.plan"
            settled = (
                f"SELECT d.name, r.key {mine} JOIN records r ON r.dataset = d.id WHERE p.name = ?"
            )
            announced = f"SELECT d.name, d.shipments {mine} WHERE p.name = ? AND d.shipments > 0"
            counted = (
                f"SELECT d.name, d.count_before {mine} WHERE p.name = ? AND count_before NOT NULL"
            )
            return {
                "settled": set(db.execute(settled, (number,))),
                "announced": dict(db.execute(announced, (number,)).fetchall()),
                "counted": dict(db.execute(counted, (number,)).fetchall()),
            }

    def announced_undos(self, number: str) -> dict[str, int]:
        """By dataset the requests that undos of a plan have announced."""
        query = (
            "SELECT d.name, sum(d.shipments) FROM datasets d JOIN plans p ON p.id = d.plan"
            " WHERE p.undoes = ? AND d.shipments > 0 GROUP BY 1"
        )
        with closing(ledger_schema.connect_read_only(self.context.workspace.ledger)) as db:
            return dict(db.execute(query, (number,)).fetchall())

    @precondition(lambda self: any(plan.counted for plan in self.plans.values()))
    @rule(which=st.integers(0, 3), crash=CRASHES)
    def undo(self, which: int, crash: tuple[str, int] | None) -> None:
        """A load is taken back: what it is known to have changed, and nobody has changed since."""
        loaded = [number for number, plan in self.plans.items() if plan.counted]
        number = loaded[which % len(loaded)]
        plan, announced = self.plans[number], self.announced_undos(number)
        wanted = {
            (name, person): plan.before[name][person]
            for name, some in plan.settled.items()
            for person in some
            if plan.before[name].get(person) is not None
            and self.target[name][person] == plan.sends[name][person]
            and (name, person) not in plan.anothers
        }
        done = None
        with self.fate.falling(crash), contextlib.suppress(Crash):
            done = run_undo(self.context, number, wait_s=0)
        people = self.people()
        given_back = [
            (row["dataset"], people[row["dataset"], row[MASTERID]]) for row in self.fate.heard
        ]
        assert len(given_back) == len(set(given_back))
        for (name, person), row in zip(given_back, self.fate.heard, strict=True):
            assert wanted[name, person] == row["city"]
            self.target[name][person] = row["city"]
        for name, requests in self.announced_undos(number).items():
            if requests > announced.get(name, 0):
                # Whatever came of it: from here on nobody knows what the plan left there.
                self.shipped[name].append((self.tick(), f"undo of {number}"))
                plan.is_undone = True
        plan.given_back |= set(given_back if done is not None else given_back[:-1])
        plan.maybe_given_back |= set(given_back)
        if done is not None:
            assert set(wanted) - plan.maybe_anothers <= set(given_back) <= set(wanted)
            assert (done.restored, done.verified) == (len(given_back), len(given_back))

    def people(self) -> dict[tuple[str, str], str]:
        """Who a masterid of the target is."""
        return {
            (name, row[MASTERID]): row["key"] for name in DATASETS for row in self.records(name)
        }

    @precondition(lambda self: any(plan.counted for plan in self.plans.values()))
    @rule(which=st.integers(0, 3))
    def reconcile(self, which: int) -> None:
        """The verdict is the model's, and so is the state that is told with it."""
        loaded = [number for number, plan in self.plans.items() if plan.counted]
        number = loaded[which % len(loaded)]
        plan = self.plans[number]
        found = run_reconcile(self.context, number, wait_s=0)
        assert found.standing["state"] == self.state(number)
        if plan.is_undone:
            assert found.verdict == "undone"
            return
        is_left = any(plan.left(name) for name in plan.sends)
        is_alone = not any(
            self.changed_by_others(plan, name) or self.state(number) == "overtaken"
            for name in plan.sends
        )
        if is_alone and not is_left:
            assert found.verdict == "match"
        if is_left:
            # An answer that was lost may leave a record too many, which only the next load explains.
            assert found.verdict in ("unfinished", "mismatch", "pending")
        if found.verdict == "match":
            assert self.state(number) in ("loaded", "overtaken")

    def records(self, name: str) -> list[dict[str, Any]]:
        """What the target shows."""
        url = f"{self.box.octolis_url}/datasets/{name}/records?api-key={TARGET_KEY}"
        found: list[dict[str, Any]] = self.http.get(url).json()["records"]
        return found

    @invariant()
    def target_is_the_models(self) -> None:
        """Nothing was written that was not planned, and nothing planned is missing that was loaded."""
        if not hasattr(self, "target"):
            return
        for name, rows in self.target.items():
            assert {row["key"]: row["city"] for row in self.records(name)} == rows

    @invariant()
    def states_are_the_models(self) -> None:
        """Each plan is told to be in the state that the model works out."""
        if not hasattr(self, "plans"):
            return
        told = {
            plan.name: plan.standing.state for plan in read_status(self.context.workspace).plans
        }
        assert told == {number: self.state(number) for number in self.plans}
        for number in self.plans:
            plan = open_plan(self.context.workspace, number, check_files=False)
            assert read_standing(self.context.workspace, plan).state == told[number]

    def teardown(self) -> None:
        """Everything is closed."""
        if hasattr(self, "stack"):
            self.stack.close()


TestPlansMachine = PlansMachine.TestCase
TestPlansMachine.settings = settings(
    max_examples=300 if IS_DEEP else 4,
    stateful_step_count=40 if IS_DEEP else 9,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
