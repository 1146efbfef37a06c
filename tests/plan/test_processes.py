"""Plans made by real processes: the same on other threads and in another time zone, nothing half done after a kill."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from migrate.errors import Unfinished
from migrate.plan.open_plan import open_plan
from migrate.snapshot.layout import FORMAT, Manifest, ResourceResult, SealedResource
from migrate.workspace import entry_of, write_json
from tests import forked
from tests.forked import Process
from tests.harness import PATIENCE_S

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("plan_process.py")


def seal(bench) -> None:
    """The bench's snapshot as files, as an extract leaves them."""
    folder = bench.workspace.snapshots / "snap"
    sealed = {}
    for name, resource in bench.snapshot.resources.items():
        parts = []
        for number, frame in enumerate(resource.frames(None), 1):
            path = folder / name / f"part-{number:05d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.drop("_position").write_parquet(path)
            parts.append(entry_of(path, folder, frame.height))
        rows = resource.rows
        result = ResourceResult(rows, rows, rows, 0, 0, 0, 0, 1, 3, 0.1, 0, "proven", "")
        sealed[name] = SealedResource(result, [n for n in frame.columns if n != "_position"], parts)
    manifest = Manifest(FORMAT, "snap", "https://api.example.test", "1", "0", "", "", sealed)
    write_json(folder / "manifest.json", asdict(manifest))


def start(bench, name: str, *log: str, **environ: str) -> Process:
    """A process that makes plan `name`, against a slow target where a `log` is named."""
    file = bench.folder / "migrate.toml"
    file.write_text(
        '[datatrics]\nproject_id = "1"\n[octolis.datasets]\ncontacts = "c"\norders = "o"\n'
    )
    command = [str(PROGRAM), str(file), name, *log]
    return forked.start(command, ROOT, {**os.environ, **environ})


def finish(process: Process) -> None:
    """Waits for a process that should do well."""
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said


def hashes(folder: Path) -> dict[str, str]:
    """The hash of each file of a plan, but for the one that names it."""
    files = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "begun.json"
    ]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture
def many(bench, make_profile):
    """A bench with 3,000 profiles of 1,000 keys on disk."""
    resource = bench.snapshot.resources["profiles"]
    resource.part_rows = 500
    resource.records = [
        make_profile(number % 1_000, profileid=f"p{number}", name=f"N{number}", created=None)
        for number in range(3_000)
    ]
    seal(bench)
    return bench


def test_threads_and_time_zone_change_no_byte(many) -> None:
    """One thread in St. John's and four in Auckland write the same files, whatever the order of a set."""
    first = start(many, "first", POLARS_MAX_THREADS="1", TZ="America/St_Johns", PYTHONHASHSEED="1")
    second = start(
        many, "second", POLARS_MAX_THREADS="4", TZ="Pacific/Auckland", PYTHONHASHSEED="2"
    )
    finish(first)
    finish(second)
    plans = many.workspace.plans
    assert hashes(plans / "first") == hashes(plans / "second")
    assert open_plan(many.workspace, "first").document.datasets["contacts"].collapsed == 2_000


def test_a_killed_plan_is_none_and_can_be_made_again(many) -> None:
    """SIGKILL leaves no plan behind; the same command makes the plan that was not made."""
    process = start(many, "plan")
    begun = many.workspace.plans / "plan" / "contacts"
    until = time.monotonic() + 30
    while not begun.exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (many.workspace.plans / "plan" / "plan.json").exists()
    with pytest.raises(Unfinished):
        open_plan(many.workspace, "plan")
    finish(start(many, "plan"))
    assert open_plan(many.workspace, "plan").document.datasets["contacts"].planned == 1_000


def test_a_killed_reading_goes_on_at_the_page_it_lacks(many) -> None:
    """SIGKILL while the target is read, three times; the same command asks for no page that is on disk.

    At a kill one page may be on its way and the one before it be about to be written.
    """
    log = many.folder / "asked"
    log.touch()
    for pages in (5, 12, 20):
        process = start(many, "-", str(log))
        until = time.monotonic() + 30
        while (
            log.read_text().count("c ") < pages
            and time.monotonic() < until
            and process.poll() is None
        ):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(start(many, "-", str(log)))
    asked = log.read_text().splitlines()
    assert len([line for line in asked if line.startswith("c ")]) <= 30 + 1 + 6, (
        "pages, an empty one, two a kill"
    )
    assert len(many.workspace.names(many.workspace.plans)) == 1
    plan = open_plan(many.workspace)
    counts = plan.document.datasets["contacts"]
    assert (counts.update + counts.unchanged, counts.foreign) == (1_000, 2_000)
    assert plan.document.target_reading["contacts"].moving is False
    assert not list(plan.folder.rglob("reading.json"))
