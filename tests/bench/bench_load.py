"""What a load costs beside the network: reopening a plan that is nearly done, CPU at the ceiling, memory by plan size.

    python tests/bench/bench_load.py [--rows 100000] [--seconds 20] [--latency 0.3]

`--rows 1000000 --seconds 120` is the full size. Each measurement is made for a tenth of the rows, too. The sandbox,
which enforces the documented limits, runs in a process of its own, so the CPU and memory are the loader's.
"""

from __future__ import annotations

import argparse
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
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "bench")]

from real_load import KEYS, load_for, sandbox_process  # noqa: E402 - the path has to be set first

from migrate.config import Gates, Octolis  # noqa: E402 - the path has to be set first
from migrate.errors import Interrupted  # noqa: E402 - the path has to be set first
from migrate.load.ledger import Ledger  # noqa: E402 - the path has to be set first
from migrate.load.ledger_opening import PlannedDataset  # noqa: E402 - the path has to be set first
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
    dataset = DatasetToLoad(
        "contacts", "contacts", ("k",), frozenset(), file, None, rows, -(-rows // BATCH)
    )
    return PlanToLoad("p", file.parent.parent, (dataset,))


def measure_resume(place: Path, rows: int) -> float:
    """The median seconds of three reopenings, each in a process of its own; prints them with the memory."""
    command = [sys.executable, __file__, "--rows", str(rows), "--resume-in", str(place)]
    found = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(3)
    ]
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
                [
                    (Written(r.sent, f"{batch:08}-{r.sent.position:027}"), "create")
                    for r in records.batch(batch)
                ],
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
    with FirstSend(
        Octolis(base_url="http://127.0.0.1:9"), keys, state_file=None, stop=stop
    ) as client:
        try:
            load(client, workspace, plan, Gates(), Silence(), stop)
        except Interrupted:
            return client.left_at - begun
    raise AssertionError("nothing was sent")


def measure_ceiling(
    place: Path, rows: int, seconds: float, latency_s: float
) -> tuple[float, float]:
    """Share of a core and peak memory of a load at the documented limits, each in a process of its own; prints them."""
    columns = "".join(f'{name} = "text"\n' for name in NAMES)
    declared = f'[contacts]\nkeys = [["k"]]\n[contacts.columns]\nk = "text"\n{columns}'
    with sandbox_process(place, declared, "--latency", str(latency_s), keys=KEYS[:1]) as url:
        command = [
            sys.executable,
            __file__,
            "--rows",
            str(rows),
            "--seconds",
            str(seconds),
            "--load-in",
            str(place),
        ]
        words = subprocess.run(
            [*command, "--url", url], capture_output=True, text=True, check=True
        ).stdout.split()
    rate, share, peak = map(float, words)
    sys.stdout.write(
        f"at the ceiling for {seconds:.0f} s with {rows:,} records planned: {rate:.0f} batches a minute, "
        f"{share:.1%} of a core, peak memory {peak:.0f} MB\n"
    )
    return share, peak


def main() -> int:
    """0 when resuming takes at most 2 s, loading less than 15 % of a core, and memory does not grow with the plan."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument(
        "--latency", type=float, default=0.3, help="seconds that the service takes for an answer"
    )
    parser.add_argument("--resume-in", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--load-in", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.resume_in:
        seconds = resume_s(Workspace(chosen.resume_in), plan_of(chosen.resume_in, chosen.rows))
        sys.stdout.write(f"{seconds} {peak_mb()}\n")
        return 0
    if chosen.load_in:
        workspace = Workspace(chosen.load_in / "ceiling")
        settings = Octolis(base_url=chosen.url)
        pace = load_for(
            workspace, plan_of(chosen.load_in, chosen.rows), settings, 1, chosen.seconds
        )
        sys.stdout.write(f"{pace.batches_a_minute} {pace.core} {peak_mb()}\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return measure_all(Path(folder), chosen.rows, chosen.seconds, chosen.latency)


def measure_all(root: Path, rows: int, seconds: float, latency_s: float) -> int:
    """0 when all targets are met, for a tenth of the rows and for all of them."""
    missed, peaks = [], []
    for some in (rows // 10, rows):
        place = root / str(some)
        fill_ledger(Workspace(place), write_plan(place, some), 0.9)
        if measure_resume(place, some) > 2:
            missed.append("resume within 2 s")
        share, peak = measure_ceiling(place, some, seconds, latency_s)
        peaks.append(peak)
        if share >= 0.15:
            missed.append("less than 15 % of a core")
    if peaks[1] > peaks[0] * 1.1:
        missed.append("memory that does not grow with the plan")
    sys.stdout.write(f"missed: {', '.join(missed)}\n" if missed else "all targets met\n")
    return 1 if missed else 0


def peak_mb() -> float:
    """The most memory this process has held; `ru_maxrss` would count its parent's at the fork, too."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    sys.exit(main())
