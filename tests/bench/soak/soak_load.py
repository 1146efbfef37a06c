"""Ends a load hundreds of times at random moments, with random faults, and compares the end with an undisturbed one.

    python tests/bench/soak/soak_load.py --kills 300 --seed 1

Most lives of the process are ended by SIGKILL after a few requests; some are asked to stop, find the disk full, or a
second process beside them. Meanwhile the service resets, delays, lies about results and locks the dataset. At the end a
quiet run finishes the plan. Prints a line per fifty lives and the sums; ends with 1 when an invariant does not hold:

- the target holds exactly the planned records with the planned values;
- written = planned, nothing open, nothing rejected;
- requests ≤ batches + failed requests + refused parts + batches that were in flight when a life ended;
- the service has seen no write that the ledger did not announce.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

sys.path[:0] = [str(Path(__file__).parents[3]), str(Path(__file__).parent)]

from lives import LIVES  # noqa: E402 - the path has to be set first
from stage import CONCURRENCY, DATASETS, ROWS, Stage, write_plan  # noqa: E402 - the path has to be set first

from migrate.sandbox.faults import parse_fault  # noqa: E402 - the path has to be set first
from migrate.sandbox.limits import Limits  # noqa: E402 - the path has to be set first
from migrate.sandbox.serve import Sandbox, SandboxSettings  # noqa: E402 - the path has to be set first

SPEED, LINE_EVERY = 50.0, 50
FAULTS = (
    "octolis:500@p=0.03,path=*batch",
    "octolis:reset-after@p=0.03,path=*batch",
    "octolis:short-results@p=0.02,path=*batch",
    "octolis:423@p=0.02,path=*batch",
    "octolis:429=0.05@p=0.02,path=*batch",
    "octolis:partial=3/500@p=0.03,path=*batch",
)


def soak(lives: int, batches: int, seed: int) -> list[str]:
    """What does not hold; prints the numbers."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "datasets.toml").write_text(DATASETS)
        settings = SandboxSettings(
            datasets=root / "datasets.toml",
            limits=Limits(speed=SPEED),
            faults=tuple(parse_fault(fault) for fault in FAULTS),
            seed=seed,
            latency_s=0.02,
        )
        with Sandbox(settings) as box:
            stage = Stage(box, root, write_plan(root, batches), batches, random.Random(seed))
            ends = play(stage, lives)
            httpx.post(f"{box.url}/_sandbox/faults", json=[])
            code, said = stage.end(stage.start())
            if code:
                stage.wrong.append(f"the quiet run ended with {code}: {said:.300}")
            stage.count_partials()
            judge(stage, ends)
    return stage.wrong


def play(stage: Stage, lives: int) -> Counter[str]:
    """Lives and ends the process so many times; how often in which way."""
    names, weights = list(LIVES), [weight for _, weight in LIVES.values()]
    ends: Counter[str] = Counter()
    begun = time.monotonic()
    for number in range(1, lives + 1):
        [name] = stage.rng.choices(names, weights)
        LIVES[name][0](stage)
        ends[name] += 1
        stage.count_partials()
        if stage.totals()[0].open == 0:
            stage.wrong.append(f"the plan was done after {number} lives: give more --batches")
            break
        if number % LINE_EVERY == 0:
            sys.stdout.write(f"{number} lives, {time.monotonic() - begun:.0f} s\n")
            sys.stdout.flush()
    return ends


def judge(stage: Stage, ends: Counter[str]) -> None:
    """Compares what the ledger, the service and the plan say."""
    totals, failures = stage.totals()
    planned = stage.batches * ROWS
    if (totals.written, totals.open, totals.rejected, totals.deferred) != (planned, 0, 0, 0):
        stage.wrong.append(
            f"written {totals.written}, open {totals.open}, rejected {totals.rejected} of {planned}"
        )
    difference = stage.difference()
    if difference:
        stage.wrong.append(difference)
    most = stage.batches + failures + stage.partials + stage.resent
    if totals.requests > most or stage.resent > CONCURRENCY * ends.total():
        stage.wrong.append(
            f"{totals.requests} requests, {most} would be enough ({stage.resent} cut off in flight)"
        )
    if stage.writes() > totals.requests:
        stage.wrong.append(
            f"the service saw {stage.writes()} writes, the ledger announced {totals.requests}"
        )
    sys.stdout.write(
        f"{', '.join(f'{name} {number}' for name, number in sorted(ends.items()))}\n"
        f"batches {stage.batches}, records {planned}, written {totals.written}, requests {totals.requests} of at most "
        f"{most} = {stage.batches} + failed {failures} + refused in part {stage.partials} + cut off {stage.resent}; "
        f"read back {totals.readbacks}, 429: {totals.throttled_429}, 423: {totals.busy_423}\n"
    )


def main() -> int:
    """0 when every invariant holds."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--kills", type=int, default=30, help="how often the process is ended, in whichever way"
    )
    parser.add_argument("--batches", type=int, default=0, help="0 = 24 for each kill")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    wrong = soak(chosen.kills, chosen.batches or 24 * chosen.kills, chosen.seed)
    sys.stdout.write("".join(f"WRONG: {line}\n" for line in wrong) or "all invariants hold\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
