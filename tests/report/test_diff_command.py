"""`migrate diff` as a process, and its page in a real browser where there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.report.diff_project import make_bench

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
    "--virtual-time-budget=2000",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with two plans."""
    folder = tmp_path_factory.mktemp("project")
    bench = make_bench(folder)
    bench.plan("one")
    bench.plan("two", datasets=("contacts",))
    (folder / "migrate.toml").write_text('[datatrics]\nproject_id = "1"\n')
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in the project's folder."""
    command = [sys.executable, "-m", "migrate", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_the_command_prints_and_writes(project: Path) -> None:
    """A report for a person, one JSON object for a program, a page with lists for the customer; files are private."""
    done = run(project, "diff", "--plan", "one", "--html", "out.html", "--start", "2026-11-30T22:00")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Begun at 2026-11-30 22:00" in done.stdout
    assert (project / "out.html").stat().st_mode & 0o077 == 0
    assert (project / "out-lists" / "contacts-rows.csv").exists()
    found = json.loads(run(project, "--json", "diff", "--plan", "one").stdout)
    assert (found["command"], found["plan"], found["masked"]) == ("diff", "one", True)
    assert found["datasets"]["contacts"]["merges"]["masterids_lost"] == 1


def test_two_plans_are_compared_and_nothing_else_is_taken(project: Path) -> None:
    """Two names compare; one name, or two with --html, is a wrong use that says so."""
    done = run(project, "diff", "one", "two")
    assert done.returncode == 0
    assert "Plan two against plan one" in done.stdout
    for wrong in (("one",), ("one", "two", "--html", "x.html"), ("--start", "noon")):
        assert run(project, "diff", *wrong).returncode == 2, wrong
    assert run(project, "diff", "--plan", "none").returncode == 7


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_finds_nothing_to_refuse_and_the_filter_works(project: Path, tmp_path: Path) -> None:
    """The script runs under the page's own policy: it counts the rows; nothing is blocked or asked for; in time."""
    run(project, "diff", "--plan", "one", "--html", str(tmp_path / "page.html"), "--show-values")
    started = time.monotonic()
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [str(CHROMIUM), *FLAGS, profile, "--dump-dom", f"file://{tmp_path / 'page.html'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert re.search(r'id="said"[^>]*>\d+ sample rows<', done.stdout)
    assert "Content Security Policy" not in done.stderr
    assert "CONSOLE" not in done.stderr
    assert time.monotonic() - started < 20, "starting the browser included"
