"""The benches that stand on the insides of the tool still run: nothing else would notice that one does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.end_to_end
def test_the_plan_has_the_rows_of_a_script_for_duckdb(tmp_path) -> None:
    """Payloads, batches, changes and masterids, in the same order; and as many updates by each way of comparing."""
    figures = tmp_path / "figures.json"
    bench = Path(__file__).with_name("bench_plan.py")
    words = ["--rows", "3000", "--rounds", "1", "--doubles", "10", "--check"]
    cases = ["--cases", "ours,polars,plan,duckdb", "--figures", str(figures)]
    done = subprocess.run(
        [sys.executable, str(bench), *words, *cases], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(figures.read_text("utf-8"))) == {"ours", "polars", "plan", "duckdb"}
