"""How long a browser takes to open the dry run's page, whatever the size of the plan behind it.

    python tests/bench/bench_report.py [--rows 10000 1000000] [--rounds 5]

For each size a plan of so many rows is made, with its page; headless Chromium opens it, runs its script and prints
what it made of it. An empty page is opened in turn with it: what the browser itself takes to start is subtracted. Needs
Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench_plan import NOW, _plan, prepare

from migrate.report.diff_page import open_report, write_page
from migrate.report.words import words_of
from migrate.workspace import Workspace

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    *(
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-sync",
    ),
    *("--disable-background-networking", "--disable-component-update", "--dump-dom"),
)


def main() -> None:
    """Makes a page of each size, opens it in turn with an empty one, prints one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if BROWSER is None:
        raise SystemExit("there is no Chromium on this machine")
    print(f"{'rows':>10} {'page kB':>8} {'empty page s':>13} {'page s':>7} {'opening s':>10}")  # noqa: T201  # the table
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as name:
            page = make_page(Path(name), rows)
            empty = page.with_name("empty.html")
            empty.write_text("<!doctype html><title>empty</title>", encoding="utf-8")
            found = [
                (open_once(empty, Path(name)), open_once(page, Path(name)))
                for _ in range(options.rounds)
            ]
            nothing, whole = (statistics.median(times) for times in zip(*found, strict=True))
            size = page.stat().st_size / 1000
        print(f"{rows:10,} {size:8,.0f} {nothing:13.2f} {whole:7.2f} {whole - nothing:10.2f}")  # noqa: T201  # the table


def make_page(folder: Path, rows: int) -> Path:
    """A plan of so many rows against as many in the target, and its page."""
    (folder / "data").mkdir()
    prepare(folder / "data", rows)
    (folder / "data" / "doubles").write_text("0", encoding="utf-8")
    _plan(folder / "data", folder)
    plan, view, shown = open_report(Workspace(folder / "w"), "plan", show_values=False, start=NOW)
    page = folder / "report.html"
    write_page(plan, view, shown, page, made_at="now", words=words_of("en"))
    return page


def open_once(page: Path, folder: Path) -> float:
    """Seconds until the browser has opened the page, run its script and ended."""
    profile = tempfile.mkdtemp(dir=folder)
    started = time.perf_counter()
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", f"file://{page}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    if page.name == "report.html" and "sample rows<" not in done.stdout:
        raise SystemExit("the page's script did not run")
    return seconds


if __name__ == "__main__":
    main()
