"""What a load costs beside the network: reopening a plan that is nearly done, CPU at the ceiling, memory by plan size.

    python tests/bench/bench_load.py [--rows 100000] [--seconds 20]

`--rows 1000000` is the full size. The sandbox runs in a process of its own, so the CPU and memory are the loader's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import polars as pl
from pydantic import SecretStr

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from migrate.config import Gates, Octolis  # noqa: E402 - the path has to be set first
from migrate.errors import Interrupted  # noqa: E402 - the path has to be set first
from migrate.load.ledger import Ledger, PlannedDataset  # noqa: E402 - the path has to be set first
from migrate.load.loader import load  # noqa: E402 - the path has to be set first
from migrate.load.planned import DatasetToLoad, PlannedRecords, PlanToLoad  # noqa: E402 - the path has to be set first
from migrate.progress import Silence  # noqa: E402 - the path has to be set first
from migrate.target.answer import Answer  # noqa: E402 - the path has to be set first
from migrate.target.client import TargetClient  # noqa: E402 - the path has to be set first
from migrate.target.results import Written  # noqa: E402 - the path has to be set first
from migrate.workspace import Workspace  # noqa: E402 - the path has to be set first

BATCH = 500
NAMES = [f"c{n}" for n in range(12)]


def write_plan(root: Path, rows: int) -> PlanToLoad:
    """A plan of `rows` contacts with fourteen columns."""
    file = root / "plans" / "p" / "contacts" / "records.parquet"
    file.parent.mkdir(parents=True)
    number = pl.int_range(0, rows, eager=True)
    columns = "".join(f',"{name}":"value of {name} {{}}"' for name in NAMES)
    values = [number] * (1 + len(NAMES))
    pl.DataFrame({"n": number}).select(
        (pl.col("n") // BATCH).cast(pl.Int32).alias("batch"),
        (pl.col("n") % BATCH).cast(pl.Int32).alias("position"),
        pl.lit("create").alias("change"),
        pl.format("shop:{}", "n").alias("key"),
        pl.format('{"k":"shop:{}"'.replace('{"', '\x01"') + columns + "\x02", *values)
        .str.replace_all("\x01", "{", literal=True)
        .str.replace_all("\x02", "}", literal=True)
        .alias("payload"),
        pl.concat_list(
            pl.struct(
                pl.lit("profiles").alias("resource"),
                pl.lit("shop").alias("source"),
                pl.col("n").cast(pl.String).alias("id"),
                pl.lit(None, dtype=pl.Int64).alias("position"),
            )
        ).alias("sources"),
    ).write_parquet(file, row_group_size=16_000, statistics=False)
    return plan_of(root, rows)


def plan_of(root: Path, rows: int) -> PlanToLoad:
    """The plan that `write_plan` has written."""
    file = root / "plans" / "p" / "contacts" / "records.parquet"
    dataset = DatasetToLoad("contacts", "contacts", ("k",), frozenset(), file, None, rows, -(-rows // BATCH))
    return PlanToLoad("p", file.parent.parent, (dataset,))


def measure_resume(place: Path, rows: int) -> float:
    """The median seconds of three reopenings, each in a process of its own; prints them with the memory."""
    command = [sys.executable, __file__, "--rows", str(rows), "--resume-in", str(place)]
    found = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
    seconds, peak = (statistics.median(float(words[n]) for words in found) for n in (0, 1))
    ledger = Workspace(place).ledger.stat().st_size / 1e6
    sys.stdout.write(
        f"resume of {rows:,} records, 90 % done: {seconds:.2f} s to the first request, peak memory {peak:.0f} MB, "
        f"ledger {ledger:.0f} MB\n"
    )
    return seconds


def fill_ledger(workspace: Workspace, plan: PlanToLoad, share: float) -> None:
    """Settles the first `share` of all batches."""
    [dataset] = plan.datasets
    records = PlannedRecords(dataset)
    with Ledger(workspace.ledger) as ledger:
        # Filling is not what is measured: without waiting for the disk it is many times as fast.
        ledger._connection.execute("PRAGMA synchronous = OFF")
        ledger.open_plan("p", [PlannedDataset("contacts", "contacts", records.batch_rows)])
        ledger.set_baseline("contacts", 0, None)
        for batch in range(int(dataset.batches * share)):
            ledger.mark_sending("contacts", batch)
            ledger.settle(
                "contacts",
                batch,
                [(Written(r.sent, f"{batch:08}-{r.sent.position:027}"), "create") for r in records.batch(batch)],
            )


class FirstSend(TargetClient):
    """A client that notes when the first batch leaves, and then stops the load."""

    left_at = 0.0

    def upsert_batch(self, dataset_id: str, body: bytes) -> Answer:
        """Notes the time."""
        self.left_at = self.left_at or time.monotonic()
        self._stop.set()
        return Answer(0, reason="bench", applied=False)


def resume_s(workspace: Workspace, plan: PlanToLoad) -> float:
    """Seconds from opening the plan to the first request."""
    stop = threading.Event()
    keys = (SecretStr("k"),)
    begun = time.monotonic()
    with FirstSend(Octolis(base_url="http://127.0.0.1:9"), keys, state_file=None, stop=stop) as client:
        try:
            load(client, workspace, plan, Gates(), Silence(), stop)
        except Interrupted:
            return client.left_at - begun
    raise AssertionError("nothing was sent")


def at_ceiling(root: Path, plan: PlanToLoad, url: str, seconds: float) -> tuple[float, float]:
    """Batches a minute and the share of a core used, at the documented limits."""
    workspace, stop = Workspace(root / "ceiling"), threading.Event()
    workspace.create()
    threading.Timer(seconds, stop.set).start()
    begun, cpu = time.monotonic(), time.process_time()
    with TargetClient(Octolis(base_url=url), (SecretStr("sandbox-octolis-key"),), state_file=None, stop=stop) as client:
        try:
            totals = load(client, workspace, plan, Gates(), Silence(), stop).datasets["contacts"]
        except Interrupted:
            from migrate.load.loader import result_so_far

            result = result_so_far(workspace, "p")
            assert result is not None
            totals = result.datasets["contacts"]
    took = time.monotonic() - begun
    return totals.batches_done / took * 60, (time.process_time() - cpu) / took


def main() -> int:
    """0 when resuming takes less than 2 s."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--resume-in", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.resume_in:
        seconds = resume_s(Workspace(chosen.resume_in), plan_of(chosen.resume_in, chosen.rows))
        sys.stdout.write(f"{seconds} {peak_mb()}\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "datasets.toml").write_text(
            '[contacts]\nkeys = [["k"]]\n[contacts.columns]\nk = "text"\n' + "".join(f'{n} = "text"\n' for n in NAMES)
        )
        worst_s = 0.0
        for rows in (chosen.rows // 10, chosen.rows):
            place = root / str(rows)
            fill_ledger(Workspace(place), write_plan(place, rows), 0.9)
            worst_s = max(worst_s, measure_resume(place, rows))
        plan = plan_of(root / str(chosen.rows), chosen.rows)
        command = [
            sys.executable,
            "-m",
            "migrate",
            "sandbox",
            "--datasets",
            str(root / "datasets.toml"),
            "--port",
            "18765",
        ]
        server = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=root,
        )
        try:
            time.sleep(4)
            rate, share = at_ceiling(root, plan, "http://127.0.0.1:18765/v1/data", chosen.seconds)
        finally:
            server.terminate()
            server.wait()
        sys.stdout.write(
            f"at the ceiling for {chosen.seconds:.0f} s: {rate:.0f} batches a minute, {share:.1%} of a core\n"
        )
    return 0 if worst_s < 2 else 1


def peak_mb() -> float:
    """The most memory this process has held; `ru_maxrss` would count its parent's at the fork, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    sys.exit(main())
