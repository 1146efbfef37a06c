"""Plans, loads, parts, undos and edits of others in any order, beside a model of the target.

The target is the dataset of a sandbox; the model knows what each load has sent. Whatever happens, the
target holds what the model says, and the states that the workspace tells are those that the model works out for itself.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.reconcile import run_reconcile
from migrate.app.standing import read_standing
from migrate.app.status import read_status
from migrate.app.undo import run_undo
from migrate.config import load_project
from migrate.errors import GateError, Stale
from migrate.plan.open_plan import open_plan
from migrate.project import start_project
from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings
from tests.verify.conftest import HEADERS, SOURCE_KEY, TARGET_KEY, make_job

KEYS = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
DATASETS = ("people", "shops")
PEOPLE = ("1", "2", "3")
MAPPING = """
version: 1
dataset: {dataset}
resource: profiles
key: [key]
columns:
  key: {{from: id, type: text}}
  city: {{from: city, type: text}}
"""
IS_DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"


class PlansMachine(RuleBasedStateMachine):
    """One workspace, one target, one model."""

    @initialize()
    def begin(self) -> None:
        """A source of three people, and a target in which two of them are already."""
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory())) / "p"
        start_project(folder)
        for file in (folder / "mappings").glob("*.yaml"):
            file.unlink()
        for name in DATASETS:
            (folder / "mappings" / f"{name}.yaml").write_text(MAPPING.format(dataset=name))
        box = self.stack.enter_context(
            Sandbox(
                SandboxSettings(
                    mappings=folder / "mappings", datatrics_key=SOURCE_KEY,
                    octolis_keys=(TARGET_KEY,), limits=Limits(enforce=False),
                )
            )
        )  # fmt: skip
        self.box = box
        (folder / "migrate.toml").write_text(
            f'[datatrics]\nbase_url = "{box.datatrics_url}"\nproject_id = "demo"\n'
            "requests_per_second = 1000\n"
            f'[octolis]\nbase_url = "{box.octolis_url}"\nlimit_speed = 999\n'
            '[octolis.datasets]\npeople = "people"\nshops = "shops"\n'
            '[gates]\nmax_target_change = "100%"\nmax_unequal = "100%"\n'
        )
        self.context = make_job(load_project(folder / "migrate.toml", KEYS))
        self.target: dict[str, dict[str, str]] = {name: {} for name in DATASETS}
        self.source: dict[str, str] = {}
        # of each plan: when it was read, what it sends, what it found, what was sent, whether it was undone
        self.plans: dict[str, dict[str, Any]] = {}
        self.moment = 0
        self.shipped: dict[str, list[tuple[int, str]]] = {name: [] for name in DATASETS}
        for name in DATASETS:
            self.edit_by_others(name, "1", "Old")
        for person in PEOPLE:
            self.change_source(person, "New")

    def tick(self) -> int:
        """The next moment."""
        self.moment += 1
        return self.moment

    @rule(person=st.sampled_from(PEOPLE), city=st.sampled_from(("New", "Newer", "Newest")))
    def change_source(self, person: str, city: str) -> None:
        """Somebody's record changes at the source."""
        self.source[person] = city
        body = msgspec.json.encode([{"source": "Shop", "profileid": person, "city": city}])
        httpx.post(f"{self.box.url}/_sandbox/records/profiles", content=body).raise_for_status()

    @rule(
        name=st.sampled_from(DATASETS),
        person=st.sampled_from(PEOPLE),
        city=st.sampled_from(("Theirs", "Old")),
    )
    def edit_by_others(self, name: str, person: str, city: str) -> None:
        """Somebody else writes to the target."""
        url = f"{self.box.octolis_url}/datasets/{name}/records/batch?api-key={TARGET_KEY}"
        row = [{"key": person, "city": city}]
        httpx.post(url, json=row, headers=HEADERS).raise_for_status()
        self.target[name][person] = city

    @precondition(lambda self: len(self.plans) < 4)
    @rule(names=st.sampled_from([("people",), ("shops",), DATASETS]))
    def make_plan(self, names: tuple[str, ...]) -> None:
        """A snapshot of what the source has now, and a plan of it."""
        number = f"p{len(self.plans)}"
        run_extract(self.context, ["profiles"], number)
        read_at = self.tick()
        run_plan(self.context, list(names), snapshot=number, name=number)
        before = {name: dict(self.target[name]) for name in names}
        sends = {
            name: {p: c for p, c in self.source.items() if before[name].get(p) != c}
            for name in names
        }
        self.plans[number] = {
            "read_at": read_at, "sends": sends, "before": before, "sent": set(), "undone": False,
        }  # fmt: skip

    def state(self, number: str) -> str:
        """The state of a plan as the model sees it."""
        plan = self.plans[number]
        if plan["undone"]:
            return "undone"
        others = [
            who
            for name in plan["sends"]
            for at, who in self.shipped[name]
            if at > plan["read_at"] and who != number
        ]
        if others:
            return "overtaken"
        left = [name for name, rows in plan["sends"].items() if rows and name not in plan["sent"]]
        if not plan["sent"]:
            return "planned"
        return "loading" if left else "loaded"

    @precondition(lambda self: self.plans)
    @rule(which=st.integers(0, 3), part=st.booleans())
    def load(self, which: int, part: bool) -> None:
        """A plan is loaded, or its first dataset only; never one that is overtaken or undone."""
        number = list(self.plans)[which % len(self.plans)]
        plan = self.plans[number]
        names = list(plan["sends"])[:1] if part else list(plan["sends"])
        if self.state(number) in ("overtaken", "undone"):
            try:
                run_load(self.context, names, name=number)
            except Stale:
                return
            raise AssertionError("a plan that must not be loaded was")
        run_load(self.context, names, name=number)
        for name in names:
            if name in plan["sent"]:
                continue
            plan["sent"].add(name)
            if plan["sends"][name]:
                self.target[name] |= plan["sends"][name]
                self.shipped[name].append((self.tick(), number))

    @precondition(lambda self: any(plan["sent"] for plan in self.plans.values()))
    @rule(which=st.integers(0, 3))
    def undo(self, which: int) -> None:
        """A load is taken back: what it changed and nobody has changed since."""
        loaded = [number for number, plan in self.plans.items() if plan["sent"]]
        number = loaded[which % len(loaded)]
        plan = self.plans[number]
        done = run_undo(self.context, number, wait_s=0)
        restored = 0
        for name in plan["sent"]:
            mine = 0
            for person, city in plan["sends"][name].items():
                was = plan["before"][name].get(person)
                if was is not None and was != city and self.target[name].get(person) == city:
                    self.target[name][person] = was
                    mine += 1
            if mine:
                self.shipped[name].append((self.tick(), f"undo of {number}"))
                plan["undone"] = True
            restored += mine
        assert (done.restored, done.verified) == (restored, restored)

    @precondition(lambda self: any(plan["sent"] for plan in self.plans.values()))
    @rule(which=st.integers(0, 3))
    def reconcile(self, which: int) -> None:
        """The verdict never says match of a plan that was undone, and tells the state that the model sees."""
        loaded = [number for number, plan in self.plans.items() if plan["sent"]]
        number = loaded[which % len(loaded)]
        try:
            found = run_reconcile(self.context, number, wait_s=0)
        except GateError:
            return
        assert found.standing["state"] == self.state(number)
        assert (found.verdict == "undone") == self.plans[number]["undone"]

    @invariant()
    def target_is_the_models(self) -> None:
        """Nothing was written that was not planned, and nothing planned is missing that was loaded."""
        if not hasattr(self, "target"):
            return
        for name, rows in self.target.items():
            url = f"{self.box.octolis_url}/datasets/{name}/records?api-key={TARGET_KEY}"
            held = httpx.get(url, headers=HEADERS).json()["records"]
            assert {row["key"]: row["city"] for row in held} == rows

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
    max_examples=200 if IS_DEEP else 4,
    stateful_step_count=40 if IS_DEEP else 9,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
