"""Kills a load hundreds of times at random moments, with random faults, and compares the end with an undisturbed one.

    python tests/bench/soak/soak_load.py --kills 300 --seed 1

Each life of the process is ended by SIGKILL after a few requests, at any moment; meanwhile the service resets, delays,
lies about results and locks the dataset. At the end a quiet run finishes the plan. Prints one line per hundred kills
and the sums; ends with 1 when an invariant does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import polars as pl

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from migrate.load.ledger_view import LedgerView  # noqa: E402 - the path has to be set first
from migrate.sandbox.faults import parse_fault  # noqa: E402 - the path has to be set first
from migrate.sandbox.limits import Limits  # noqa: E402 - the path has to be set first
from migrate.sandbox.serve import Sandbox, SandboxSettings  # noqa: E402 - the path has to be set first

PROGRAM = ROOT / "tests" / "load" / "load_process.py"
CONCURRENCY, SPEED, ROWS = 8, 50.0, 5
DATASETS = """
[contacts]
keys = [["contact_key"]]
[contacts.columns]
contact_key = "text"
firstname = "text"
amount = "float"
"""
FAULTS = (
    "octolis:500@p=0.03,path=*batch",
    "octolis:reset-after@p=0.03,path=*batch",
    "octolis:short-results@p=0.02,path=*batch",
    "octolis:423@p=0.02,path=*batch",
    "octolis:429=0.05@p=0.02,path=*batch",
    "octolis:partial=3/500@p=0.03,path=*batch",
)


def write_plan(folder: Path, batches: int) -> Path:
    """The plan's one file of records."""
    rows = [
        {
            "batch": batch,
            "position": position,
            "change": "unknown",
            "key": f"shop:{batch * ROWS + position}",
            "payload": json.dumps(
                {"contact_key": f"shop:{batch * ROWS + position}", "firstname": f"N{position}", "amount": batch + 0.5}
            ),
            "sources": [{"resource": "profiles", "source": "shop", "id": str(position), "position": position}],
        }
        for batch in range(batches)
        for position in range(ROWS)
    ]
    file = folder / "plans" / "first" / "contacts" / "records.parquet"
    file.parent.mkdir(parents=True)
    pl.DataFrame(rows, schema_overrides={"batch": pl.Int32, "position": pl.Int32}).write_parquet(file)
    return file


def start(box: Sandbox, root: Path, records: Path, batches: int) -> subprocess.Popen[str]:
    """A process that loads."""
    arguments = (box.octolis_url, str(root), str(records), str(batches * ROWS), str(batches))
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, str(PROGRAM), *arguments], env=environ, stderr=subprocess.PIPE, text=True)


def wait_for_requests(box: Sandbox, process: subprocess.Popen[str], more: int) -> None:
    """Waits until the service has seen so many more batches, or the process has ended."""
    goal = writes(box) + more
    while writes(box) < goal and process.poll() is None:
        time.sleep(0.003)


def writes(box: Sandbox) -> int:
    """The batches that were answered, with whatever status."""
    seen = httpx.get(f"{box.url}/_sandbox/state").json()["requests"].get("octolis", {}).get("batch", {})
    return sum(seen.values())


def soak(kills: int, batches: int, seed: int) -> list[str]:
    """What does not hold; prints the numbers."""
    rng, wrong = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "datasets.toml").write_text(DATASETS)
        records = write_plan(root, batches)
        settings = SandboxSettings(
            datasets=root / "datasets.toml",
            limits=Limits(speed=SPEED),
            faults=tuple(parse_fault(fault) for fault in FAULTS),
            seed=seed,
            latency_s=0.02,
        )
        with Sandbox(settings) as box:
            begun, done = time.monotonic(), 0
            for number in range(kills):
                process = start(box, root, records, batches)
                wait_for_requests(box, process, rng.randint(1, 14))
                time.sleep(rng.uniform(0, 0.03))
                process.kill()
                process.communicate()
                if number % 100 == 99:
                    sys.stdout.write(f"{number + 1} kills, {time.monotonic() - begun:.0f} s\n")
            httpx.post(f"{box.url}/_sandbox/faults", json=[])
            process = start(box, root, records, batches)
            _, said = process.communicate(timeout=900)
            if process.returncode:
                wrong.append(f"the quiet run ended with {process.returncode}: {said}")
            state = httpx.get(f"{box.url}/_sandbox/state").json()
            with LedgerView(root / "ledger.sqlite") as view:
                totals = view.totals("first")["contacts"]
                done = view.totals("first")["contacts"].written
                failures = len(view.failures("first"))
            count, requests = state["datasets"]["contacts"]["count"], totals.requests
            if (done, count, totals.open) != (batches * ROWS, batches * ROWS, 0):
                wrong.append(f"written {done}, counted {count}, open {totals.open}, planned {batches * ROWS}")
            # A refused part of a batch is sent once more without being a failed request.
            most = batches + failures + kills * CONCURRENCY + state["requests"]["octolis"]["batch"].get("200", 0) // 10
            if requests > most:
                wrong.append(f"{requests} requests for {batches} batches, {failures} failures, {kills} kills")
            sys.stdout.write(
                f"kills {kills}, batches {batches}, written {done}, in the target {count}, requests {requests}, "
                f"failures {failures}, read back {totals.readbacks}, 429: {totals.throttled_429}, "
                f"423: {totals.busy_423}\n"
            )
    return wrong


def main() -> int:
    """0 when every invariant holds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--batches", type=int, default=0, help="0 = twelve for each kill")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    wrong = soak(chosen.kills, chosen.batches or 12 * chosen.kills, chosen.seed)
    sys.stdout.write("".join(f"WRONG: {line}\n" for line in wrong) or "all invariants hold\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
