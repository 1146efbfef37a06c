"""A small shop beside a sandbox, loaded once: what the tests of a cut-over night begin with."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from migrate.app.context import Context
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.config import load_project
from migrate.progress import Silence
from migrate.workspace import Workspace
from tests.harness import SOURCE_KEY, TARGET_KEY, Project

PROFILES, SALES = 40, 20
LONG_AGO = "2024-05-01 10:00:00"


def profile(number: int | str, firstname: str, updated: str = LONG_AGO) -> dict[str, object]:
    """A profile as it is written."""
    values = {"firstname": firstname, "email": f"p{number}@example.org", "city": f"City {number}"}
    return {
        "profileid": str(number),
        "source": "shop",
        "profile": {**values, "created": "2024-01-01 10:00:00", "updated": updated},
    }


def sale(number: int, profileid: int) -> dict[str, object]:
    """A sale of one line as it is written."""
    line = {"itemid": "7", "name": "Cap", "price": "9.95", "quantity": 1, "total": "9.95"}
    values = {"profileid": str(profileid), "total": "9.95", "currency": "EUR", "items": [line]}
    return {
        "conversionid": str(number),
        "source": "shop",
        "conversion": {**values, "created": "2024-02-01 10:00:00", "updated": LONG_AGO},
    }


@dataclass
class Shop:
    """A project beside a sandbox, and calls to both."""

    project: Project

    def ask(self, method: str, path: str, body: object = None, **params: str) -> Any:
        """One documented call to the source."""
        assert self.project.sandbox is not None
        url = f"{self.project.sandbox.datatrics_url}/project/demo/{path}"
        reply = httpx.request(
            method, url, headers={"x-apikey": SOURCE_KEY}, json=body, params=params
        )
        return reply.raise_for_status().json()

    def open(self, datasets: Sequence[str] = ("contacts", "orders")) -> None:
        """The shop's first records, and the migration of weeks ago: snapshot and plan `first`, loaded."""
        profiles = [profile(number, f"Name {number}") for number in range(PROFILES)]
        self.ask("POST", "profile/bulk", {"profiles": profiles})
        self.ask("POST", "sale/bulk", {"items": [sale(number, number) for number in range(SALES)]})
        context = self.context()
        run_extract(context, ["profiles", "sales"], "first")
        run_plan(context, datasets, snapshot="first", name="first")
        run_load(context, name="first")

    def go_on(self) -> None:
        """What the shop did since: two profiles changed, three came, a sale came for an old one, a profile went."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        changed = [profile(number, "Changed", now) for number in (4, 5)]
        self.ask(
            "POST",
            "profile/bulk",
            {"profiles": changed + [profile(f"new-{n}", "New", now) for n in range(3)]},
        )
        self.ask("POST", "sale/bulk", {"items": [sale(900, 7)]})
        self.ask("DELETE", "profile/39", source="shop")

    def context(self) -> Context:
        """What a stage is given."""
        keys = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
        project = load_project(self.project.folder / "migrate.toml", keys)
        workspace = Workspace.of(project)
        workspace.create()
        return Context(project, workspace, Silence(), threading.Event(), lambda: datetime.now(UTC))

    def differences(self) -> dict[str, tuple[int, int]]:
        """What a plan of a whole new snapshot would still create and update."""
        context = self.context()
        run_extract(context, ["profiles", "sales"], "control")
        plan = run_plan(context, ["contacts", "orders"], snapshot="control", name="control")
        return {
            name: (found.create, found.update) for name, found in plan.document.datasets.items()
        }
