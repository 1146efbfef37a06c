"""A load in real time against a sandbox process that enforces the documented limits."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import SecretStr

from migrate.config import Gates, Octolis
from migrate.errors import Interrupted
from migrate.load.ledger_view import LedgerView
from migrate.load.loader import load
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.progress import Silence
from migrate.target.client import TargetClient
from migrate.workspace import Workspace

ROOT = Path(__file__).parents[2]
KEYS = ("first-key", "second-key")
CEILINGS = {1: 135, 2: 200}
SLOW_S = 1.0
"""From here on the opening burst of 17 requests needs more of them in flight than the usual 8."""
DATASETS = '[contacts]\nkeys = [["k"]]\n[contacts.columns]\nk = "text"\n'


@dataclass(frozen=True)
class Pace:
    """What a load reached. Units: batches a minute, refusals in a hundred requests, share of one core."""

    batches_a_minute: float
    refused: float
    core: float


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def sandbox_process(
    folder: Path, datasets: str, *options: str, keys: Sequence[str]
) -> Iterator[str]:
    """The base URL of a sandbox in a process of its own, which enforces the limits in real time."""
    port, declared = free_port(), folder / "datasets.toml"
    declared.write_text(datasets, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "migrate",
        "sandbox",
        "--datasets",
        str(declared),
        "--port",
        str(port),
        *options,
    ]
    server = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OCTOLIS_API_KEYS": ",".join(keys)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if time.monotonic() > deadline or server.poll() is not None:
                raise RuntimeError("the sandbox did not start")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1/data"
    finally:
        server.terminate()
        server.wait()


def load_for(
    workspace: Workspace, plan: PlanToLoad, settings: Octolis, keys: int, seconds: float
) -> Pace:
    """What a load of `plan` on a new ledger reaches in so many seconds.

    What is in flight when they are over is waited for and counted; the wait is not, since nothing may leave in it.
    """
    workspace.create()
    stop = threading.Event()
    timer = threading.Timer(seconds, stop.set)
    timer.start()
    begun, cpu = time.monotonic(), time.process_time()
    secrets = tuple(SecretStr(key) for key in KEYS[:keys])
    with (
        TargetClient(
            settings, secrets, state_file=workspace.root / "budget.json", stop=stop
        ) as client,
        contextlib.suppress(Interrupted),
    ):
        load(client, workspace, plan, Gates(), Silence(), stop)
    took_s = time.monotonic() - begun
    timer.cancel()
    with LedgerView(workspace.ledger) as view:
        totals = view.totals(plan.name)["contacts"]
    core = (time.process_time() - cpu) / took_s
    pace = totals.batches_done / min(took_s, seconds) * 60
    return Pace(pace, 100 * totals.throttled_429 / max(1, totals.requests), core)


def small_plan(folder: Path, batches: int) -> PlanToLoad:
    """A plan of batches of one record: at the limits a batch costs the same whatever its size."""
    file = folder / "records.parquet"
    keys = [f"k{n}" for n in range(batches)]
    columns = {
        "change": ["create"] * batches,
        "key": keys,
        "payload": [f'{{"k":"{key}"}}' for key in keys],
    }
    source = {"resource": "profiles", "source": "shop", "id": "1", "position": 0}
    places = {"batch": range(batches), "position": [0] * batches}
    pl.DataFrame(
        {**places, **columns, "sources": [[source]] * batches},
        schema_overrides={"batch": pl.Int32, "position": pl.Int32},
    ).write_parquet(file)
    dataset = DatasetToLoad(
        "contacts", "contacts", ("k",), frozenset(), file, None, batches, batches
    )
    return PlanToLoad("p", folder, (dataset,))


def pace_at(keys: int, latency_s: float, windows: str, seconds: float) -> Pace:
    """What a load by so many keys reaches where the service takes so long for an answer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = ["--latency", str(latency_s), "--windows", windows]
        with sandbox_process(folder, DATASETS, *options, keys=KEYS[:keys]) as url:
            settings = Octolis(base_url=url, concurrency=8 if latency_s < SLOW_S else 24)
            return load_for(
                Workspace(folder / "migration"), small_plan(folder, 2_000), settings, keys, seconds
            )
