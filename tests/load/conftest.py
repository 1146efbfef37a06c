"""A sandbox, and small plans for it, as the plan stage would write them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from pydantic import SecretStr

from migrate.config import Octolis
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.sandbox.faults import parse_fault
from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings
from migrate.target.client import TargetClient
from migrate.workspace import Workspace

DATASETS = """
[contacts]
keys = [["contact_key"]]
mandatory = ["firstname"]
protected = ["lifetime_value"]
[contacts.columns]
contact_key = "text"
firstname = "text"
amount = "float"
seen_at = "datetime"
lifetime_value = "float"

[orders]
keys = [["order_key"]]
[orders.columns]
order_key = "text"
total = "float"

[people]
keys = [["person_key"], ["email"]]
[people.columns]
person_key = "text"
email = "text"

[view]
keys = [["contact_key"]]
read_only = true
[view.columns]
contact_key = "text"
"""

SPEED = 50.0


@pytest.fixture
def datasets_file(tmp_path: Path) -> Path:
    """The declaration of the sandbox's datasets."""
    file = tmp_path / "datasets.toml"
    file.write_text(DATASETS)
    return file


@pytest.fixture
def start_sandbox(datasets_file: Path) -> Iterator[Callable[..., Sandbox]]:
    """Starts sandboxes with the given faults; the limits run 50 times as fast."""
    running: list[Sandbox] = []

    def start(*faults: str, **settings: Any) -> Sandbox:
        settings.setdefault("limits", Limits(speed=SPEED))
        box = Sandbox(
            SandboxSettings(
                datasets=datasets_file,
                faults=tuple(parse_fault(fault) for fault in faults),
                **settings,
            )
        )
        running.append(box.__enter__())
        return box

    yield start
    for box in running:
        box.__exit__(None, None, None)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    place = Workspace(tmp_path / "migration")
    place.create()
    return place


@pytest.fixture
def client_of() -> Iterator[Callable[..., TargetClient]]:
    """Clients of a sandbox, closed at the end."""
    open_clients: list[TargetClient] = []

    def make(
        box: Sandbox,
        *,
        stop: threading.Event | None = None,
        keys: Sequence[str] = (),
        **settings: Any,
    ) -> Any:
        settings = {"limit_speed": SPEED, "retry_budget_s": 120, **settings}
        secrets = tuple(SecretStr(key) for key in keys or ("sandbox-octolis-key",))
        client = TargetClient(
            Octolis(base_url=box.octolis_url, **settings),
            secrets,
            state_file=None,
            stop=stop or threading.Event(),
        )
        open_clients.append(client)
        return client

    yield make
    for client in open_clients:
        client.close()


Row = dict[str, Any]


@pytest.fixture
def make_plan(tmp_path: Path) -> Callable[..., PlanToLoad]:
    """Writes a plan: datasets by name, each a list of batches, each a list of payloads."""

    def make(
        name: str = "first", *, change: str = "unknown", merge_forecast: int = 0, **datasets: Any
    ) -> PlanToLoad:
        folder = tmp_path / "migration" / "plans" / name
        made = [
            _write(folder / dataset, dataset, batches, change, merge_forecast)
            for dataset, batches in datasets.items()
        ]
        return PlanToLoad(name, folder, tuple(made))

    return make


def _write(
    folder: Path, name: str, batches: list[list[Row]], change: str, merge_forecast: int
) -> DatasetToLoad:
    folder.mkdir(parents=True, exist_ok=True)
    key = {
        "contacts": "contact_key",
        "orders": "order_key",
        "people": "person_key",
        "view": "contact_key",
    }[name]
    rows = [
        {
            "batch": batch,
            "position": position,
            "change": change,
            "key": row[key],
            "payload": json.dumps(row, ensure_ascii=False),
            "masterid": None,
            "changed": [],
            **row,
            "sources": [
                {
                    "resource": "profiles",
                    "source": "shop",
                    "id": row[key],
                    "position": batch * 500 + position,
                }
            ],
        }
        for batch, payloads in enumerate(batches)
        for position, row in enumerate(payloads)
    ]
    kinds = {
        "batch": pl.Int32, "position": pl.Int32, "masterid": pl.String, "changed": pl.List(pl.String),
    }  # fmt: skip
    frame = pl.DataFrame(rows, schema_overrides=kinds).with_columns(
        pl.selectors.integer().cast(pl.Int32), pl.selectors.float().cast(pl.Decimal(38, 6))
    )
    frame.write_parquet(folder / "records.parquet")
    return DatasetToLoad(
        name,
        name,
        (key,),
        frozenset(),
        folder / "records.parquet",
        None,
        len(rows),
        len(batches),
        merge_forecast,
    )


@pytest.fixture
def contacts() -> Callable[[int, int], list[list[Row]]]:
    """So many batches of so many good contacts."""

    def make(batches: int, rows: int) -> list[list[Row]]:
        return [[_contact(batch * rows + n) for n in range(rows)] for batch in range(batches)]

    return make


def _contact(n: int) -> Row:
    return {
        "contact_key": f"shop:{n}",
        "firstname": f"Name {n} é",
        "amount": n + 0.5,
        "seen_at": "2020-02-29 12:00:00",
    }


@pytest.fixture
def sandbox_state() -> Callable[[Sandbox], dict[str, Any]]:
    """What the sandbox says about itself."""
    return lambda box: httpx.get(f"{box.url}/_sandbox/state").json()
