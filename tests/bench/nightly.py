"""The plan's bench at a small size, as ratios of CPU time and as memory, beside those of the last night.

    python tests/bench/nightly.py [--rows 200000] [--last .bench/ratios.json]

A ratio above 1 is in the tool's favour. Nothing fails by a figure: who reads the table judges, and a machine with other
work shifts both sides of a ratio alike. The file keeps the figures of one night for the next.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

BENCH = Path(__file__).parent / "bench_plan.py"
PAIRS = {
    "plan, CPU of duckdb's script / ours": ("duckdb", "plan"),
    "reading and comparing, CPU of polars by hand / ours": ("polars", "ours"),
}


def main() -> None:
    """Measures, prints the ratios beside the last ones, and keeps them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--last", type=Path, default=Path(".bench/ratios.json"))
    arguments = parser.parse_args()
    ratios = measure(arguments.rows)
    last = {}
    if arguments.last.exists():
        last = json.loads(arguments.last.read_text(encoding="utf-8"))
    for name, ratio in ratios.items():
        before = f"{last[name]:10.2f}" if name in last else f"{'-':>10}"
        sys.stdout.write(f"{name:56} {ratio:10.2f}   last {before}\n")
    arguments.last.parent.mkdir(parents=True, exist_ok=True)
    arguments.last.write_text(json.dumps(ratios, indent=1), encoding="utf-8")


def measure(rows: int) -> dict[str, float]:
    """The ratios by their names, and the plan's peak of memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.json")
        command = [sys.executable, str(BENCH), "--rows", str(rows), "--doubles", "10"]
        cases = ("--cases", "ours,polars,plan,duckdb", "--figures", str(file))
        subprocess.run([*command, *cases], check=True)
        figures = json.loads(file.read_text(encoding="utf-8"))
    ratios = {
        name: figures[peer]["cpu"] / figures[ours]["cpu"] for name, (peer, ours) in PAIRS.items()
    }
    return {**ratios, "plan, peak MB": figures["plan"]["peak_mb"]}


if __name__ == "__main__":
    main()
