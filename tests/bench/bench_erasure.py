"""What it costs to erase one person of many: time, CPU time and memory, from a snapshot and a plan made of it.

    python tests/bench/bench_erasure.py --records 1000000

Makes so many profiles and a quarter as many orders, written as PHP writes JSON, takes them in, plans them without a
target, and erases one person, all in a folder that is gone afterwards. `--dry-run` only says what would be removed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from migrate.app.context import Context
from migrate.app.erasure import erase_person
from migrate.app.pipeline import run_plan
from migrate.config import load_project
from migrate.progress import Silence
from migrate.project import start_project
from migrate.source.import_files import ImportRequest, import_files
from migrate.source.resources import RESOURCES
from migrate.workspace import Workspace

KEYS = {"DATATRICS_API_KEY": "a", "OCTOLIS_API_KEYS": "b"}
DATASETS = ("contacts", "consents", "orders", "order_items")
NAMES = ("Ann", "Jan", "Zo\u00eb", "J\u00fcrgen", "Noor", "Milan", "Sara", "Levi")


def profiles(count: int) -> Iterator[dict[str, Any]]:
    """People of two shops, each with an address and a phone of their own."""
    for n in range(count):
        yield {
            "profileid": f"p{n}", "source": "Shop" if n % 3 else "Till", "email": f"person{n}@example.test",
            "firstname": NAMES[n % 8], "lastname": f"Name{n % 5_000}", "zip": f"{1_000 + n % 8_999} AB",
            "street": f"Lane/{n % 700} {n % 90}", "phone": f"+316{10_000_000 + n}", "newsletter": n % 2,
            "created": "2023-01-15 10:30:00", "updated": f"2024-0{n % 9 + 1}-15 10:30:00",
        }  # fmt: skip


def sales(count: int) -> Iterator[dict[str, Any]]:
    """An order of every fourth of them."""
    for n in range(count // 4):
        yield {
            "conversionid": f"s{n}", "source": "Shop", "profileid": f"p{n * 4}", "currency": "EUR",
            "email": f"person{n * 4}@example.test", "created": "2024-02-28 23:10:00", "total": f"{n % 300}.10",
            "items": [{"itemid": f"sku-{n % 900}", "name": "Mug", "price": "19.99", "quantity": "1"}],
        }  # fmt: skip


def prepare(folder: Path, count: int) -> None:
    """Makes a project with a snapshot of the records and a plan."""
    files = folder / "files"
    files.mkdir()
    for name, records in (("profiles", profiles(count)), ("sales", sales(count))):
        with (files / f"{name}.ndjson").open("w", encoding="utf-8") as out:
            for record in records:
                out.write(json.dumps(record).replace("/", "\\/") + "\n")
    start_project(folder / "project")
    datasets = "\n".join(f'{name} = "{name}"' for name in DATASETS)
    (folder / "project" / "migrate.toml").write_text(
        f'[datatrics]\nproject_id = "1"\n[octolis.datasets]\n{datasets}\n'
    )
    context = open_project(folder)
    resources = tuple(RESOURCES[name] for name in ("profiles", "sales"))
    request = ImportRequest(
        folder=files, resources=resources, named=(), snapshot=None,
        page_sizes={one.name: 500 for one in resources}, project_id="1",
    )  # fmt: skip
    import_files(context.workspace, request, context.progress, context.stop, context.now)
    run_plan(context, DATASETS, offline=True)


def open_project(folder: Path) -> Context:
    """What the commands are given."""
    project = load_project(folder / "project" / "migrate.toml", KEYS)
    return Context(project, Workspace.of(project), Silence(), Event(), lambda: datetime.now(UTC))


def main() -> None:
    """Prints one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--dry-run", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        # In a process of its own: planning has another peak of memory.
        making = multiprocessing.get_context("spawn").Process(
            target=prepare, args=(Path(name), chosen.records)
        )
        making.start()
        making.join()
        context = open_project(Path(name))
        started, cpu = time.monotonic(), time.process_time()
        erased = erase_person(context, "person400@example.test", None, dry_run=chosen.dry_run)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        sys.stdout.write(
            f"{chosen.records:,} profiles: {erased.records} records of one person, {sum(erased.rows.values())} rows, "
            f"{len(erased.places)} places left; {time.monotonic() - started:,.0f} s, "
            f"{time.process_time() - cpu:,.0f} s of CPU, peak {peak_mb:,} MB\n"
        )


if __name__ == "__main__":
    main()
