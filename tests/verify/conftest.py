"""A small shop migrated once against a sandbox with its memory in a file, so that tests can damage copies of it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import msgspec
import pytest
from pydantic import SecretStr

from migrate.app.context import Context
from migrate.app.deep import expect_all
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.config import Project, load_project
from migrate.plan.open_plan import Plan, open_plan
from migrate.progress import Silence
from migrate.project import start_project
from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings
from migrate.target.client import TargetClient
from migrate.verify.expected import Expected
from migrate.verify.known import Known, read_known
from migrate.workspace import Workspace
from tests import forked
from tests.harness import PATIENCE_S

SOURCE_KEY, TARGET_KEY = "source-key", "target-key"
PEOPLE, ORDERS, STALE = 40, 60, 12
HEADERS = {"Accept": "*/*", "Content-Type": "application/json"}
CONTACTS = """
version: 1
dataset: contacts
resource: profiles
key: [email]
collapse: {by: latest, order_by: [updated]}
columns:
  email: {from: email, type: text}
  city: {from: city, type: text}
"""
"""A mapping in which the newest record of a key wins."""
DATASETS = ("contacts", "orders", "order_items", "interactions")


def profiles() -> list[dict[str, Any]]:
    """People of two sources; some are in the target already, with another city."""
    return [
        {
            "profileid": f"p{n}", "source": "Magento 2" if n % 3 else "Shop: two", "email": f" Person{n}@Example.test ",
            "firstname": f"Anneliese{n}", "lastname": "van der Meulen", "city": f"Amsterdam-{n:02d}",
            "newsletter": n % 2, "optin": "" if n % 5 else "yes", "dateofbirth": f"19{n + 40}-0{n % 9 + 1}-11",
            "created": f"2023-0{n % 9 + 1}-15 10:30:00", "updated": f"2024-0{n % 9 + 1}-15 10:30:00",
        }
        for n in range(PEOPLE)
    ]  # fmt: skip


def sales() -> list[dict[str, Any]]:
    """Orders of one to three lines; numbers as shops spell them."""
    return [
        {
            "conversionid": f"{n:09d}", "source": "Magento2", "profileid": f"p{n % PEOPLE}", "currency": "EUR",
            "email": f"person{n}@example.test", "created": f"2024-{n % 12 + 1:02d}-28 23:1{n % 10}:00",
            "total": f"{n}.1000", "items": [
                {"itemid": f"sku-{n}-{line}", "name": f"Woollen blanket {line}", "price": "19.99", "quantity": "1.0000"}
                for line in range(n % 3 + 1)
            ],
        }
        for n in range(ORDERS)
    ]  # fmt: skip


def interactions() -> list[dict[str, Any]]:
    """Opens and clicks."""
    return [
        {
            "interactionid": f"i{n}", "source": "MailChimp", "objecttype": "interaction",
            "metadata": {"datetime": f"2024-05-{n % 28 + 1:02d}T08:00:00Z", "profileid": f"p{n}",
                         "event": "open" if n % 2 else "click", "emailid": "987654321"},
        }
        for n in range(30)
    ]  # fmt: skip


@dataclass
class Migrated:
    """A finished migration: its job, plan, what the verifier expects and knows, and the target's memory."""

    context: Context
    plan: Plan
    memory: Path
    port: int
    expected: dict[str, Expected]
    known: dict[str, Known]

    @contextmanager
    def target(
        self, folder: Path, damage: Callable[[sqlite3.Connection], None] | None = None
    ) -> Iterator[TargetClient]:
        """The target with damage done to it, at a port of its own."""
        copy = folder / "memory.sqlite"
        shutil.copy(self.memory, copy)
        if damage is not None:
            with closing(sqlite3.connect(copy)) as connection, connection:
                damage(connection)
        with Sandbox(sandbox_settings(copy, self.context.project.mappings)) as box:
            settings = self.context.project.octolis.model_copy(update={"base_url": box.octolis_url})
            with TargetClient(
                settings, (SecretStr(TARGET_KEY),), state_file=None, stop=Event()
            ) as client:
                yield client


def sandbox_settings(memory: Path, mappings: Path, port: int = 0) -> SandboxSettings:
    """A sandbox without limits, with its memory in a file."""
    return SandboxSettings(
        db=memory, port=port, mappings=mappings, datatrics_key=SOURCE_KEY, octolis_keys=(TARGET_KEY,),
        limits=Limits(enforce=False),
    )  # fmt: skip


def plant_source(box: Sandbox) -> None:
    """Puts the small shop into the sandbox's Datatrics."""
    records = {"profiles": profiles(), "sales": sales(), "interactions": interactions()}
    for resource, rows in records.items():
        httpx.post(
            f"{box.url}/_sandbox/records/{resource}", content=msgspec.json.encode(rows)
        ).raise_for_status()


def write_project(folder: Path, box: Sandbox) -> Project:
    """A project folder that points to the sandbox."""
    start_project(folder)
    datasets = "\n".join(f'{name} = "{name}"' for name in DATASETS)
    (folder / "migrate.toml").write_text(
        f'[datatrics]\nbase_url = "{box.datatrics_url}"\nproject_id = "demo"\nrequests_per_second = 1000\n'
        '[datatrics.timezones]\n"*" = "Europe/Amsterdam"\n[datatrics.source_aliases]\n"Magento2" = "Magento 2"\n'
        f'[octolis]\nbase_url = "{box.octolis_url}"\n[octolis.datasets]\n{datasets}\n'
    )
    return load_project(
        folder / "migrate.toml", {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
    )


OLD: dict[str, tuple[str, str]] = {
    "contacts": ("city", "Old Town"), "orders": ("currency", "NLG"), "order_items": ("name", "Old blanket"),
    "interactions": ("event", "bounce"),
}  # fmt: skip
"""By dataset, a column and what it held before in the records that were there already."""


def old_keys(dataset: str) -> list[str]:
    """The keys of records of ours that the target holds already."""
    names = {
        "contacts": [f"{'Magento 2' if n % 3 else 'Shop%3A two'}:p{n}" for n in range(STALE)],
        "orders": [f"Magento2:{n:09d}" for n in range(STALE)],
        "order_items": [f"Magento2:{n:09d}:1" for n in range(STALE)],
        "interactions": [f"MailChimp:i{n}" for n in range(STALE)],
    }
    return names[dataset]


def fill_target(box: Sandbox) -> None:
    """What the target holds before: some of our records with another value, and two contacts that are nobody's."""
    for dataset, (column, value) in OLD.items():
        key = f"{dataset.removesuffix('s')}_key"
        rows = [{key: name, column: value} for name in old_keys(dataset)]
        rows += [
            {key: name, column: value} for name in ("Till:1", "Till:2") if dataset == "contacts"
        ]
        url = f"{box.octolis_url}/datasets/{dataset}/records/batch?api-key={TARGET_KEY}"
        httpx.post(url, json=rows, headers=HEADERS).raise_for_status()


@dataclass
class Served:
    """A copy of the finished migration beside a running copy of its sandbox, for a test to do with what it likes."""

    context: Context
    box: Sandbox
    plan: str

    def call(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """The command as a process: its exit code and its JSON object."""
        keys = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
        folder = self.context.project.workspace.parent
        words = ["-m", "migrate", *arguments, "--json", "-q"]
        done = forked.run(words, folder, {**os.environ, **keys}, PATIENCE_S)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def records(self, dataset: str) -> list[dict[str, Any]]:
        """What the target holds."""
        url = f"{self.box.octolis_url}/datasets/{dataset}/records?api-key={TARGET_KEY}"
        return list(httpx.get(url, headers=HEADERS).json()["records"])

    def write(self, dataset: str, *rows: dict[str, Any]) -> None:
        """Somebody else writes."""
        url = f"{self.box.octolis_url}/datasets/{dataset}/records/batch?api-key={TARGET_KEY}"
        httpx.post(url, json=rows, headers=HEADERS).raise_for_status()


Serve = Callable[..., Served]


@pytest.fixture
def serve(migrated: Migrated, tmp_path: Path) -> Iterator[Serve]:
    """Starts a copy of the finished migration at its old port, with damage done to the target."""
    with ExitStack() as stack:

        def start(damage: Callable[[sqlite3.Connection], None] | None = None) -> Served:
            memory = tmp_path / "memory.sqlite"
            shutil.copy(migrated.memory, memory)
            if damage is not None:
                with closing(sqlite3.connect(memory)) as connection, connection:
                    damage(connection)
            folder = tmp_path / "project"
            shutil.copytree(migrated.context.project.workspace.parent, folder)
            box = stack.enter_context(
                Sandbox(sandbox_settings(memory, folder / "mappings", migrated.port))
            )
            keys = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
            return Served(
                make_job(load_project(folder / "migrate.toml", keys)), box, migrated.plan.name
            )

        yield start


def make_job(project: Project) -> Context:
    """What a stage is given."""
    workspace = Workspace(project.workspace)
    workspace.create()
    return Context(project, workspace, Silence(), Event(), lambda: datetime.now(UTC))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Migrated:
    """The small shop, extracted, planned and loaded; nobody may change what this gives."""
    folder = tmp_path_factory.mktemp("migrated")
    start_project(folder / "mappings-of")
    with Sandbox(
        sandbox_settings(folder / "memory.sqlite", folder / "mappings-of" / "mappings")
    ) as box:
        port = int(box.url.rpartition(":")[2])
        plant_source(box)
        fill_target(box)
        context = make_job(write_project(folder / "project", box))
        run_extract(context, ["profiles", "sales", "interactions"])
        plan = run_plan(context, DATASETS)
        run_load(context, name=plan.name)
    plan = open_plan(context.workspace, plan.name)
    expected = {
        name: made
        for name, made in expect_all(context, plan, DATASETS)
        if isinstance(made, Expected)
    }
    known = {
        name: read_known(context.workspace.ledger, plan.folder, plan.name, expected[name].rules, ())
        for name in expected
    }
    return Migrated(context, plan, folder / "memory.sqlite", port, expected, known)
