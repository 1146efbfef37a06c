"""A workspace with a file of every kind that the tool writes, beside a running sandbox."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import msgspec
import polars as pl

from migrate.app.context import Context
from migrate.app.corrections import import_corrections
from migrate.app.file_door import HandOver, run_hand_over
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.undo import run_undo
from migrate.errors import MigrateError
from migrate.sandbox.serve import Sandbox

from .conftest import (
    DATASETS,
    HEADERS,
    SOURCE_KEY,
    TARGET_KEY,
    fill_target,
    make_job,
    plant_source,
    profiles,
    sales,
    sandbox_settings,
    write_project,
)
from .test_erasure import StopAfter, keep_beside
from .test_tampered import EXIT_CODES, run_here

RESOURCES = ["profiles", "sales", "interactions"]
BROKEN = {**sales()[0], "conversionid": "broken", "total": "n/a"}
COMMANDS = (
    "rejects list", "rejects export", "reconcile --deep --plan first", "reconcile --totals --plan first",
    "undo plan --plan first", "diff --plan first --html migration/reports/first-run.html",
    "trace profiles p1 --plan first", "evidence --plan first", "status",
)  # fmt: skip


@contextlib.contextmanager
def everything(folder: Path) -> Iterator[Path]:
    """The project's folder; commands can be given in it while the block runs."""
    folder.mkdir()
    before = os.umask(0o077)
    keys = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
    started = sandbox_settings(folder / "memory.sqlite", folder / "mappings")
    try:
        from migrate.project import start_project

        start_project(folder)
        with mock.patch.dict(os.environ, keys), Sandbox(started) as box:
            plant_source(box)
            fill_target(box)
            (folder / "migrate.toml").unlink()
            context = make_job(write_project(folder / "project", box))
            work(context, box)
            for command in COMMANDS:
                code, _out, err = run_here(folder / "project", *command.split())
                assert code in EXIT_CODES, (command, code, err)
            yield folder / "project"
    finally:
        os.umask(before)


def send(box: Sandbox, resource: str, *records: dict[str, object]) -> None:
    """The source gets records, or newer versions of them."""
    url = f"{box.url}/_sandbox/records/{resource}"
    httpx.post(url, content=msgspec.json.encode(records)).raise_for_status()


def work(context: Context, box: Sandbox) -> None:
    """A migration with all that can come: rejects, corrections, a night, an undo, a handover, what was interrupted."""
    send(box, "sales", BROKEN)
    run_extract(context, RESOURCES, "whole")
    line = profiles()[0]
    damaged = pl.DataFrame(
        {"_source": ["s"], "_id": ["d"], "_page": [1], "_raw": ['{"profileid":"d"}']}
    )
    received = pl.Series("_received", [b'{"profileid":"d\xff"}'], dtype=pl.Binary)
    keep_beside(
        context,
        {
            "profiles/vanished.ndjson": [{**line, "profileid": "gone"}],
            "profiles/damaged.parquet": damaged.with_columns(received),
        },
    )
    file = context.project.workspace.parent / "right.csv"
    file.write_text("resource,source,id,field,value\nprofiles,Magento 2,p1,city,Breda\n")
    import_corrections(context, file, {}, by="A. Jansen", why="asked the shop")
    run_plan(context, DATASETS, snapshot="whole", name="first")
    run_load(context, name="first")
    changed = [{**one, "city": "Goes", "updated": "2025-01-01 10:00:00"} for one in profiles()[:5]]
    send(box, "profiles", *changed)
    run_extract(context, RESOURCES, "night", since="whole")
    run_plan(context, DATASETS, snapshot="night", name="night")
    run_load(context, name="night")
    run_undo(context, "night", wait_s=0)
    url = f"{box.octolis_url}/datasets/interactions/records/batch?api-key={TARGET_KEY}"
    rows = [{"interaction_key": f"MailChimp:i{n}", "event": "old"} for n in range(5)]
    httpx.post(url, json=rows, headers=HEADERS).raise_for_status()
    run_plan(context, ["interactions"], snapshot="whole", name="handed")
    run_hand_over(context, (), "handed", HandOver(form="json"))
    interrupt(context)


def interrupt(context: Context) -> None:
    """An extract and a plan that were not finished."""
    project = context.project
    impatient = project.datatrics.model_copy(update={"retry_budget_s": 0.1})
    broken = replace(context, project=project.model_copy(update={"datatrics": impatient}))
    faults = f"{project.datatrics.base_url.removesuffix('/2.0')}/_sandbox/faults"
    httpx.post(faults, json=["datatrics:500@path=*interaction*"]).raise_for_status()
    with contextlib.suppress(MigrateError):
        run_extract(broken, RESOURCES, "half")
    httpx.post(faults, json=[]).raise_for_status()
    stopped: Any = StopAfter(6)
    with contextlib.suppress(MigrateError):
        run_plan(replace(context, stop=stopped), ["orders"], snapshot="whole", name="unfinished")
