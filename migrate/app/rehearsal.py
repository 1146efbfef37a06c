"""The whole migration against the sandbox, with data of our own: nothing leaves this machine.

The sandbox runs as a process of its own, as the services would, and ends with this one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

import polars as pl

from migrate import parquet
from migrate.app.context import Context
from migrate.app.pipeline import Run, run_all
from migrate.config import Project, load_project
from migrate.demo.feed import feed
from migrate.demo.sums import EventCount, RevenueRow, revenue_of, side_by_side
from migrate.errors import MigrateError
from migrate.language.files import dataset_names
from migrate.privacy.secrets import SandboxKeys, new_sandbox_keys
from migrate.project import shipped_mappings
from migrate.sentence import Sentence
from migrate.target.client import PAGE_ROWS, TargetClient
from migrate.workspace import Workspace

if TYPE_CHECKING:
    from migrate.demo.data import DemoData
    from migrate.progress import Progress

_PROJECT = """\
# Written by `migrate demo`. The sandbox it points to ran only during the demo; `migrate sandbox` starts another one.
workspace = "migration"
mappings  = "mappings"

[datatrics]
base_url            = "{datatrics}"
project_id          = "{project}"
requests_per_second = 1000

[datatrics.timezones]
"*" = "UTC"
"Prestashop-1" = "Europe/Amsterdam"

[datatrics.source_aliases]
"Magento2" = "Magento 2"

[octolis]
base_url    = "{octolis}"
limit_speed = {speed}

[octolis.datasets]
{datasets}
"""


@dataclass(frozen=True)
class Rehearsal:
    """A finished demo: the run, a sentence on what was not as in real life, and what the data say of themselves.

    That is: revenue and numbers of events in the data, the plan and the target.
    """

    folder: Path
    project: Project
    run: Run
    fed: dict[str, int]
    revenue: list[RevenueRow]
    events: list[EventCount]
    note: str


@dataclass(frozen=True)
class SandboxProcess:
    """The ready sandbox, as it says of itself."""

    url: str
    datatrics: str
    octolis: str
    project: str
    datatrics_key: str = field(repr=False)
    octolis_keys: str = field(repr=False)
    control_token: str = field(repr=False)


def rehearse(
    data: DemoData,
    folder: Path,
    *,
    speed: float,
    progress: Progress,
    stop: threading.Event,
    now: Callable[[], datetime],
) -> Rehearsal:
    """Feeds `data` into a fresh sandbox and migrates all of it; `speed` shortens the windows of the target's limits.

    **Raises**: whatever a stage raises; the workspace in `folder` stays for a look.
    """
    shutil.copytree(shipped_mappings(), folder / "mappings")
    with sandbox_process(folder / "mappings", speed) as sandbox:
        project = _write_project(folder, sandbox, speed)
        fed = feed(
            sandbox.datatrics, sandbox.project, project.secrets.datatrics_key(), data, progress
        )
        workspace = Workspace.of(project)
        workspace.create()
        run = run_all(Context(project, workspace, progress, stop, now))
        if run.loaded:
            revenue = compare_revenue(data, project, run)
        else:
            revenue = []
        if run.loaded:
            events = compare_events(data, project, run)
        else:
            events = []
    return Rehearsal(folder, project, run, fed, revenue, events, _note(speed, data))


def _note(speed: float, data: DemoData) -> str:
    if speed == 1:
        pace = Sentence("The target's limits ran at their documented speed.")
    else:
        pace = Sentence(
            "The target's limits ran {times} times as fast as documented; the forecast is for the documented ones.",
            times=float(speed),
        )
    return Sentence(
        "A rehearsal against the sandbox on this machine, with {data}. {pace}",
        data=data.description,
        pace=pace,
    )


@contextlib.contextmanager
def sandbox_process(
    mappings: Path, speed: float, *options: str, keys: int = 1
) -> Iterator[SandboxProcess]:
    """A running sandbox that declares the datasets of `mappings`; it ends with the block, and with this process.

    `options` are those of `migrate sandbox`. Its keys, `keys` of them for the target, are for this run only.
    """
    command = [
        sys.executable,
        "-m",
        "migrate",
        "sandbox",
        "--json",
        "--port",
        "0",
        "--speed",
        f"{speed:g}",
    ]
    command += ["--mappings", str(mappings), "--until-stdin-closes", *options]
    # In its environment no list of processes shows them; those of the real services, which may be there, are replaced.
    own = new_sandbox_keys(keys)
    environ = {**os.environ, **own.environ()}
    # In a session of its own Ctrl-C does not reach it: what is in flight is finished against a sandbox that answers.
    with subprocess.Popen(  # noqa: S603  # our own program
        command,
        # It ends when this closes, so also when this process is killed: no sandbox is left behind with people's
        # data.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environ,
    ) as process:
        try:
            yield _read_ready(process.stdout, own)
        finally:
            if process.stdin:
                process.stdin.close()
            # With its input closed it ends by itself; only one that does not is killed.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def _read_ready(stdout: IO[str] | None, keys: SandboxKeys) -> SandboxProcess:
    line = stdout.readline() if stdout else ""
    try:
        ready = json.loads(line)
        places = {name: str(ready[name]) for name in ("url", "datatrics", "octolis", "project")}
    except (ValueError, KeyError):
        raise MigrateError("the sandbox did not start; its own message is above") from None
    return SandboxProcess(
        **places,
        datatrics_key=keys.datatrics,
        octolis_keys=",".join(keys.octolis),
        control_token=keys.control,
    )


def _write_project(folder: Path, sandbox: SandboxProcess, speed: float) -> Project:
    names = dataset_names(folder / "mappings")
    text = _PROJECT.format(
        datatrics=sandbox.datatrics,
        octolis=sandbox.octolis,
        project=sandbox.project,
        speed=f"{speed:g}",
        datasets="\n".join(f'{name} = "{name}"' for name in names),
    )
    (folder / "migrate.toml").write_text(text, encoding="utf-8", newline="\n")
    keys = {"DATATRICS_API_KEY": sandbox.datatrics_key, "OCTOLIS_API_KEYS": sandbox.octolis_keys}
    return load_project(folder / "migrate.toml", keys)


def compare_revenue(data: DemoData, project: Project, run: Run) -> list[RevenueRow]:
    """Revenue per month from the data itself, from the plan's files, and from the target read back."""
    if run.plan is None:
        return []
    # Added up by the data themselves, so that a mistake in reading cannot be on both sides.
    source = {(row.month, row.currency): row.amount.normalize() for row in data.revenue()}
    files = [run.plan.file("orders", name) for name in ("records.parquet", "unchanged.parquet")]
    columns = ("created_at", "total", "currency")
    frames = [parquet.read(file, columns=list(columns)) for file in files if file.exists()]
    planned = revenue_of(pl.concat(frames), time="created_at", amount="total", currency="currency")
    stored = revenue_of(
        _read_back(project, "orders", columns),
        time="created_at",
        amount="total",
        currency="currency",
    )
    return side_by_side(source, planned, stored)


def compare_events(data: DemoData, project: Project, run: Run) -> list[EventCount]:
    """Interactions by event from the data itself, from the plan's files, and from the target read back."""
    if run.plan is None:
        return []
    files = [
        run.plan.file("interactions", name) for name in ("records.parquet", "unchanged.parquet")
    ]
    planned = [parquet.read(file, columns=["event"]) for file in files if file.exists()]
    places = [pl.concat(planned), _read_back(project, "interactions", ("event",))]
    source = data.event_counts()
    plan, target = (
        dict(frame.group_by(pl.col("event").fill_null("")).len().iter_rows()) for frame in places
    )
    return [
        EventCount(e, source.get(e, 0), plan.get(e, 0), target.get(e, 0))
        for e in sorted({*source, *plan, *target})
    ]


def _read_back(project: Project, dataset: str, columns: Sequence[str]) -> pl.DataFrame:
    stop = threading.Event()
    with TargetClient(
        project.octolis, project.secrets.octolis_keys(), state_file=None, stop=stop
    ) as client:
        pages = list(_pages(client, project.dataset_id(dataset), columns))
    if pages:
        return pl.concat(pages)
    return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))


def _pages(client: TargetClient, dataset_id: str, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    number = 1
    # To an empty page: a short one need not be the last.
    while True:
        body = client.export_csv(dataset_id, number, PAGE_ROWS, selection=columns)
        if body.strip():
            page = pl.read_csv(body, infer_schema=False)
        else:
            page = pl.DataFrame()
        if not page.height:
            return
        yield page.select(columns)
        number += 1
