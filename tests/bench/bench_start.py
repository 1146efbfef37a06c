"""Prints how long the command line takes to answer, beside Python itself doing nothing.

Run by hand: `python tests/bench/bench_start.py`. Target: `migrate --help` takes at most 150 ms of processor time more
than `python -c pass`, and so does a press of Tab. Both are started in turns, and the median counts, so that others who
use the machine hardly matter.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT_S = 0.150
TAB = {
    "_MIGRATE_COMPLETE": "bash_complete",
    "COMP_WORDS": "migrate load --plan ",
    "COMP_CWORD": "3",
}
CALLS: dict[str, tuple[list[str], dict[str, str]]] = {
    "python -c pass": (["-c", "pass"], {}),
    "migrate --help": (["-m", "migrate", "--help"], {}),
    "migrate load --help": (["-m", "migrate", "load", "--help"], {}),
    "Tab after migrate load --plan": (["-m", "migrate"], TAB),
}


def measure(arguments: list[str], environ: dict[str, str], folder: Path) -> float:
    """The processor seconds of one process, its own and the system's for it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **environ},
        stdout=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """0 when the target is met."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=20, help="how often each is started")
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "migrate.toml").write_text("", encoding="utf-8")
        runs = [
            {name: measure(*call, Path(folder)) for name, call in CALLS.items()}
            for _ in range(times + 1)
        ][1:]
    medians = {name: statistics.median(run[name] for run in runs) for name in CALLS}
    nothing_s = medians["python -c pass"]
    for name, median_s in medians.items():
        more_s = median_s - nothing_s
        sys.stdout.write(
            f"{name:<32} {1000 * median_s:6.0f} ms  {median_s / nothing_s:5.1f} x  +{1000 * more_s:.0f} ms\n"
        )
    return 0 if max(medians.values()) - nothing_s <= LIMIT_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
