"""A project of a few mappings beside a sandbox, all in this process: for tests that make many small plans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

from migrate.app.context import Context
from migrate.app.pipeline import run_plan
from migrate.config import load_project
from migrate.plan.open_plan import Plan
from migrate.project import start_project
from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings
from tests.verify.conftest import HEADERS, SOURCE_KEY, TARGET_KEY, make_job

KEYS = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}


class Shop:
    """The project in `folder`, whose mappings are there already."""

    gates = 'max_rejected = "100%"\nmax_unequal = "100%"'
    """They let everything through, so that each test says what it counts."""

    def __init__(self, box: Sandbox, folder: Path) -> None:
        self.box, self.folder = box, folder
        self.mappings = folder / "mappings"
        names = sorted(file.stem for file in self.mappings.glob("*.yaml"))
        datasets = "\n".join(f'{name} = "{name}"' for name in names)
        (folder / "migrate.toml").write_text(
            f'[datatrics]\nbase_url = "{box.datatrics_url}"\nproject_id = "demo"\n'
            "requests_per_second = 1000\n"
            f'[octolis]\nbase_url = "{box.octolis_url}"\nlimit_speed = 50\n'
            f"[octolis.datasets]\n{datasets}\n"
            f"[gates]\n{self.gates}\n"
        )
        self.context: Context = make_job(load_project(folder / "migrate.toml", KEYS))

    def send(self, resource: str, *records: dict[str, Any]) -> None:
        """Puts records into the source."""
        body = msgspec.json.encode([{"source": "Shop", **one} for one in records])
        url = f"{self.box.url}/_sandbox/records/{resource}"
        httpx.post(url, content=body).raise_for_status()

    def write(self, dataset: str, *rows: dict[str, Any]) -> None:
        """Somebody writes to the target, beside us."""
        url = f"{self.box.octolis_url}/datasets/{dataset}/records/batch?api-key={TARGET_KEY}"
        httpx.post(url, json=rows, headers=HEADERS).raise_for_status()

    def held(self, dataset: str, key: str) -> dict[str, dict[str, Any]]:
        """What the target holds, by key."""
        url = f"{self.box.octolis_url}/datasets/{dataset}/records?api-key={TARGET_KEY}"
        return {row[key]: row for row in httpx.get(url, headers=HEADERS).json()["records"]}

    def plan(self, name: str, **how: Any) -> Plan:
        """Makes a plan, whose counts add up."""
        made = run_plan(self.context, name=name, **how)
        for counts in made.document.datasets.values():
            aside = counts.discarded + counts.waiting
            kept = counts.collapsed + counts.planned + counts.outside_delta
            assert counts.read == counts.filtered + counts.rejected + aside + kept
        return made


AnyShop = TypeVar("AnyShop", bound=Shop)


@contextmanager
def open_shop(kind: type[AnyShop], folder: Path, mappings: Mapping[str, str]) -> Iterator[AnyShop]:
    """A shop of `kind` in a new folder, with these mappings and no others, while its sandbox runs."""
    start_project(folder)
    for file in (folder / "mappings").glob("*.yaml"):
        file.unlink()
    for name, text in mappings.items():
        (folder / "mappings" / f"{name}.yaml").write_text(text)
    settings = SandboxSettings(
        mappings=folder / "mappings",
        datatrics_key=SOURCE_KEY,
        octolis_keys=(TARGET_KEY,),
        limits=Limits(enforce=False),
    )
    with Sandbox(settings) as box:
        yield kind(box, folder)
