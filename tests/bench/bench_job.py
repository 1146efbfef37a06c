"""A whole job at the documented limits, beside the least that its requests can take.

    python tests/bench/bench_job.py --rows 300000

As many profiles as `--rows` says, and as many sales that look them up, served by a sandbox process that enforces the
limits in real time and answers after `--latency`. Each command is a process of its own, started one after the other
with the project's defaults. The least is arithmetic: pages at the requests a second that the tool allows itself, and
batches at what the points of one key allow. What a stage takes beyond it is the tool's own time. Of ten profiles two
share a key.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import httpx
from bench_again import KEYS, PROJECT, ROOT, run, tell
from bench_memory import CONTACTS, ORDERS, write_records

PAGE_RECORDS = 500
PAGES_A_SECOND = 20
"""The default of `[datatrics] requests_per_second`."""
BATCH_RECORDS = 500
BATCHES_A_MINUTE = 135
"""Of one key: the documents give 67,500 records a minute."""


@dataclass(frozen=True)
class Stage:
    """A command of the job. Units: seconds by the clock, the least by arithmetic, and peak memory in MB."""

    name: str
    seconds: float
    least_s: float
    peak_mb: float


def main() -> None:
    """Runs the job once and prints its stages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--latency", type=float, default=0.05)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        show(list(measure(Path(folder), arguments.rows, arguments.latency)))


def measure(folder: Path, rows: int, latency_s: float) -> Iterator[Stage]:
    """The stages in turn."""
    (folder / "mappings").mkdir()
    (folder / "mappings" / "contacts.yaml").write_text(CONTACTS, encoding="utf-8")
    (folder / "mappings" / "orders.yaml").write_text(ORDERS, encoding="utf-8")
    write_records(folder / "saved", rows, changed=0)
    with serving(folder, latency_s) as port:
        project = PROJECT.replace("PORT", str(port)).replace("limit_speed = 1000\n", "")
        project = project.replace(
            'contacts = "contacts"', 'contacts = "contacts"\norders = "orders"'
        )
        project += 'max_unequal = "100%"\nmax_merges = 1000000\n'
        (folder / "migrate.toml").write_text(project, encoding="utf-8")
        pages = 2 * ceil(rows / PAGE_RECORDS)
        yield stage(folder, pages / PAGES_A_SECOND, "extract", "profiles", "sales")
        yield stage(folder, 0, "plan")
        out, load = stage_with_output(folder, "load", "--json")
        batches = sum(
            ceil(dataset["written"] / BATCH_RECORDS) for dataset in out["datasets"].values()
        )
        yield Stage(load.name, load.seconds, batches * 60 / BATCHES_A_MINUTE, load.peak_mb)
        yield stage(folder, 0, "reconcile")
        yield stage(folder, 0, "reconcile", "--deep")


def stage(folder: Path, least_s: float, *words: str) -> Stage:
    """A command of the job."""
    _, peak_mb, seconds = run(folder, *words)
    return Stage(" ".join(words), seconds, least_s, peak_mb)


def stage_with_output(folder: Path, *words: str) -> tuple[dict, Stage]:
    """The same with the object that the command prints."""
    printed, peak_mb, seconds = run(folder, *words)
    return json.loads(printed), Stage(words[0], seconds, 0, peak_mb)


@contextlib.contextmanager
def serving(folder: Path, latency_s: float) -> Iterator[int]:
    """The port of a sandbox that holds the saved records and keeps to the documented limits."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    words = ("--feed", "saved", "--mappings", "mappings", "--port", str(port))
    server = subprocess.Popen(
        [sys.executable, "-m", "migrate", "sandbox", *words, "--latency", str(latency_s), "--preparation", "0", "-q"],
        cwd=folder, env={**os.environ, **KEYS, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until_fed(port, server)
        yield port
    finally:
        server.terminate()
        server.wait()


def wait_until_fed(port: int, server: subprocess.Popen[bytes]) -> None:
    """Returns once the source answers: until then it is filled. Raises RuntimeError where the server has ended."""
    page = f"http://127.0.0.1:{port}/2.0/project/demo/profile?limit=1"
    headers = {"x-apikey": KEYS["DATATRICS_API_KEY"]}
    while server.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(page, headers=headers).is_success:
                return
        time.sleep(0.1)
    raise RuntimeError("the sandbox did not start")


def show(stages: list[Stage]) -> None:
    """One line a stage, and one of all."""
    tell(f"{'stage':20} {'seconds':>9} {'least':>9} {'beyond':>9} {'peak MB':>9}")
    for one in stages:
        beyond_s = one.seconds - one.least_s
        tell(
            f"{one.name:20} {one.seconds:9.1f} {one.least_s:9.1f} {beyond_s:9.1f} {one.peak_mb:9,.0f}"
        )
    whole_s = sum(one.seconds for one in stages)
    least_s = sum(one.least_s for one in stages)
    tell(
        f"{'all':20} {whole_s:9.1f} {least_s:9.1f} {whole_s - least_s:9.1f}   {whole_s / least_s:.3f} x"
    )


if __name__ == "__main__":
    main()
