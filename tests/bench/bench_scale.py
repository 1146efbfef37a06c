"""What a million records take on disk, told from any workspace; and what an object store costs beside a disk.

    python tests/bench/bench_scale.py sizes demo/20261121-210551/migration
    python tests/bench/bench_scale.py storage --records 200000

`storage` writes a snapshot of made-up records to a disk and to an object store on this machine, and reads it from both.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from migrate.snapshot.layout import Begun, ResourceResult, SealedResource
from migrate.snapshot.parts import plan_parts, write_part
from migrate.snapshot.reading import open_snapshot
from migrate.snapshot.records import IdentityFields, identify_page, identities_digest
from migrate.snapshot.spool import PageEntry, Spool
from migrate.snapshot.writing import begin_or_resume
from migrate.workspace import Workspace
from tests.object_store import BUCKET, open_object_store

PAGE = 500
FIELDS = IdentityFields(("id",), ("source",), ("updated",))
NAMES = ("emma", "liam", "noor", "milan", "zoe", "finn", "sara", "levi")


def tell(line: str) -> None:
    """Prints a line."""
    sys.stdout.write(line + "\n")


def sizes(workspace: Path) -> None:
    """Bytes a record, and what a million of them take."""
    for manifest in sorted(workspace.glob("snapshots/*/manifest.json")):
        for name, sealed in json.loads(manifest.read_bytes())["resources"].items():
            rows, stored = (sum(part[key] for part in sealed["parts"]) for key in ("rows", "bytes"))
            _tell_size(f"snapshot {manifest.parent.name}, {name}", rows, stored)
    for plan in sorted(workspace.glob("plans/*/plan.json")):
        for name, counts in json.loads(plan.read_bytes())["datasets"].items():
            folder = plan.parent / name
            stored = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            _tell_size(f"plan {plan.parent.name}, {name}", counts["planned"], stored)
    ledger = workspace / "ledger.sqlite"
    if ledger.exists():
        with sqlite3.connect(ledger) as connection:
            rows = connection.execute("SELECT count(*) FROM records").fetchone()[0]
        _tell_size("ledger", rows, ledger.stat().st_size)


def _tell_size(what: str, rows: int, stored: int) -> None:
    if rows:
        tell(
            f"{what}: {rows:,} rows, {stored / rows:,.0f} bytes a row, {stored / rows:,.0f} MB a million"
        )


def storage(records: int) -> None:
    """Seconds of wall clock and of processor for writing and reading the same snapshot at both places."""
    with tempfile.TemporaryDirectory() as folder, open_object_store(Path(folder)) as store:
        os.environ.update(store.environ)
        places = {"disk": None, "object store": f"s3://{BUCKET}/bench"}
        for name, url in places.items():
            workspace = Workspace(Path(folder) / name.replace(" ", "-"), url)
            measure(f"{name}: sealing {records:,} records", _seal(workspace, records))
            found = open_snapshot(workspace, "s").resources["sales"]
            stored = sum(part.bytes for part in found.parts) / 1e6
            measure(f"{name}: opening", lambda workspace=workspace: open_snapshot(workspace, "s"))
            measure(
                f"{name}: reading {stored:.0f} MB in {len(found.parts)} parts",
                lambda r=found: _count(r.frames()),
            )


def _count(frames: Iterator[object]) -> int:
    return sum(1 for _frame in frames)


def _seal(workspace: Workspace, records: int) -> Callable[[], object]:
    """Puts the records into parts, and gives what finishes the snapshot: only that is measured."""
    begun = Begun(
        1, "", "https://api.example.org", "1", ["sales"], {"sales": PAGE}, "0", "2026-01-01"
    )
    now = datetime(2026, 1, 1, tzinfo=UTC)
    context = begin_or_resume(workspace, "s", begun, lambda: now)
    writer = context.__enter__()
    spool = Spool(writer.folder / "sales")
    spool.open()
    for number in range(1, records // PAGE + 1):
        page = [_record(number * PAGE + place) for place in range(PAGE)]
        frame = identify_page(number, page, FIELDS)
        entry = PageEntry(
            number, PAGE, sum(map(len, page)), str(number), identities_digest(frame), "", ""
        )
        spool.record(spool.write(frame, entry))
    parts = [write_part(task) for task in plan_parts(spool, {})]
    result = ResourceResult(
        records, records, records, 0, 0, 0, 0, len(spool.pages), 1, 0.1, 0, "proven", ""
    )
    entries = [part.entry(writer.folder) for part in parts]
    writer.seal("sales", SealedResource(result, list(parts[0].columns), entries))

    def finish() -> None:
        writer.finish(now)
        context.__exit__(None, None, None)

    return finish


def _record(number: int) -> bytes:
    name = NAMES[number * 7919 % len(NAMES)]
    value = {
        "id": number, "source": "Shop", "updated": "2026-01-01 10:00:00", "email": f"{name}.{number}@example.com",
        "total": f"{number * 7919 % 90000 / 100:.2f}", "items": [{"sku": f"A-{number * 31 % 9973}"}],
        "token": hashlib.sha256(str(number).encode()).hexdigest(),
    }  # fmt: skip
    return json.dumps(value).encode()


def measure(what: str, act: Callable[[], object]) -> None:
    """Tells what `act` took of this process; the store's own work is not in the processor seconds."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    act()
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    tell(f"{what}: {wall:.2f} s, {used:.2f} s of processor, {after.ru_maxrss / 1024:.0f} MB")


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("sizes", "storage"))
    parser.add_argument("workspace", nargs="?", type=Path)
    parser.add_argument("--records", type=int, default=200_000)
    chosen = parser.parse_args()
    if chosen.what == "sizes":
        sizes(chosen.workspace)
    else:
        storage(chosen.records)


if __name__ == "__main__":
    main()
