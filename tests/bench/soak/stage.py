"""What a soak plays on: a sandbox, a plan, processes that load it, and what can be asked of the ledger from outside."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import polars as pl

from migrate.load.ledger_view import LedgerView
from migrate.load.totals import Totals
from migrate.sandbox.serve import Sandbox

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "tests" / "load" / "load_process.py"
CONCURRENCY, ROWS = 8, 5
DATASETS = """
[contacts]
keys = [["contact_key"]]
[contacts.columns]
contact_key = "text"
firstname = "text"
amount = "float"
"""


def payload_of(batch: int, position: int) -> dict[str, object]:
    """The record at a place of the plan."""
    return {
        "contact_key": f"shop:{batch * ROWS + position}",
        "firstname": f"N{position}",
        "amount": batch + 0.5,
    }


def write_plan(folder: Path, batches: int) -> Path:
    """The plan's one file of records."""
    rows = [
        {
            "batch": batch,
            "position": position,
            "change": "unknown",
            "key": f"shop:{batch * ROWS + position}",
            "payload": json.dumps(payload_of(batch, position)),
            "sources": [
                {
                    "resource": "profiles",
                    "source": "shop",
                    "id": str(position),
                    "position": position,
                }
            ],
        }
        for batch in range(batches)
        for position in range(ROWS)
    ]
    file = folder / "plans" / "first" / "contacts" / "records.parquet"
    file.parent.mkdir(parents=True)
    pl.DataFrame(rows, schema_overrides={"batch": pl.Int32, "position": pl.Int32}).write_parquet(
        file
    )
    return file


@dataclass
class Stage:
    """One soak. `resent` is what the lives that were cut off may cost in requests; `wrong` what must not have been."""

    box: Sandbox
    root: Path
    records: Path
    batches: int
    rng: random.Random
    resent: int = 0
    partials: int = 0
    wrong: list[str] = field(default_factory=list)
    _seen: int = 0

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.root / "ledger.sqlite"

    def start(self, largest_file: int | None = None) -> subprocess.Popen[str]:
        """A process that loads; one that can write no file beyond `largest_file` bytes finds the disk full there."""
        rows = str(self.batches * ROWS)
        arguments = (
            self.box.octolis_url,
            str(self.root),
            str(self.records),
            rows,
            str(self.batches),
        )
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        if largest_file is not None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest_file, largest_file))
        return process

    def end(self, process: subprocess.Popen[str], timeout_s: float = 900) -> tuple[int, str]:
        """The exit code and the last words; what was in flight then may be sent once more."""
        _, said = process.communicate(timeout=timeout_s)
        self.resent += self.sending()
        return process.returncode, said

    def sending(self) -> int:
        """The batches that the ledger has announced and has no answer of."""
        if not self.ledger.exists():
            return 0
        with LedgerView(self.ledger) as view:
            return sum(state == "sending" for _, state, _ in view.unfinished("first", "contacts"))

    def wait_for_requests(self, process: subprocess.Popen[str], more: int) -> None:
        """Waits until the service has seen so many more batches, or the process has ended."""
        goal = self.writes() + more
        while self.writes() < goal and process.poll() is None:
            time.sleep(0.003)

    def state(self) -> dict[str, dict[str, dict[str, dict[str, int]]]]:
        """What the sandbox says of itself."""
        found: dict[str, dict[str, dict[str, dict[str, int]]]] = httpx.get(
            f"{self.box.url}/_sandbox/state"
        ).json()
        return found

    def writes(self) -> int:
        """The batches that were answered, with whatever status."""
        return sum(self.state()["requests"].get("octolis", {}).get("batch", {}).values())

    def count_partials(self) -> None:
        """Adds the answers since the last look that refused a part of a batch for now."""
        entries = httpx.get(f"{self.box.url}/_sandbox/log", params={"since": self._seen}).json()[
            "requests"
        ]
        self._seen = max((entry["n"] for entry in entries), default=self._seen)
        self.partials += sum("partial" in fault for entry in entries for fault in entry["faults"])

    def totals(self) -> tuple[Totals, int]:
        """The ledger's sums, and how many requests it knows as failed."""
        with LedgerView(self.ledger) as view:
            return view.totals("first")["contacts"], len(view.failures("first"))

    def difference(self) -> str | None:
        """Where the target is not what one undisturbed run would have made it."""
        client = httpx.Client(
            params={"api-key": "sandbox-octolis-key"}, headers={"Content-Type": "application/json"}
        )
        with client:
            reply = client.get(
                f"{self.box.octolis_url}/datasets/contacts/records", params={"format": "csv"}
            )
        held = {row["contact_key"]: row for row in csv.DictReader(io.StringIO(reply.text))}
        planned = [
            payload_of(batch, place) for batch in range(self.batches) for place in range(ROWS)
        ]
        other = [
            key for row in planned if not _is_held(row, held.get(key := str(row["contact_key"])))
        ]
        if other or len(held) != len(planned):
            return f"{len(held)} records are held, {len(planned)} were planned, {len(other)} differ: {other[:3]}"
        return None


def _is_held(planned: dict[str, object], found: dict[str, str] | None) -> bool:
    if found is None:
        return False
    return (
        found["firstname"] == planned["firstname"] and float(found["amount"]) == planned["amount"]
    )


Life = Callable[[Stage], None]
