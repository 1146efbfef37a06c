"""`migrate diff` as a process, and its page in a real browser where there is one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import forked
from tests.harness import PATIENCE_S
from tests.report.diff_project import make_bench

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    *(
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-sync",
    ),
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
    return forked.run(["-m", "migrate", *arguments], folder, os.environ, PATIENCE_S)


def test_the_command_prints_and_writes(project: Path) -> None:
    """A report for a person, one JSON object for a program, a page with lists for the customer; files are private."""
    done = run(
        project, "diff", "--plan", "one", "--html", "out.html", "--start", "2026-11-30T22:00"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Begun at 2026-11-30 22:00" in done.stdout
    assert (project / "out.html").stat().st_mode & 0o077 == 0
    assert (project / "out-lists" / "contacts-rows.csv").exists()
    found = json.loads(run(project, "--json", "diff", "--plan", "one").stdout)
    assert (found["command"], found["plan"], found["masked"]) == ("diff", "one", True)
    assert found["datasets"]["contacts"]["merges"]["masterids_lost"] == 1


def test_two_plans_are_compared_and_nothing_else_is_taken(project: Path) -> None:
    """Two names compare, on a page too; one name, or two with --plan, is a wrong use that says so."""
    done = run(project, "diff", "one", "two", "--html", "both.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Plan two against plan one" in done.stdout
    assert (project / "both.html").stat().st_mode & 0o077 == 0
    for wrong in (
        ("one",),
        ("one", "two", "--plan", "one"),
        ("one", "two", "--start", "noon"),
        ("--start", "noon"),
    ):
        assert run(project, "diff", *wrong).returncode == 2, wrong
    assert run(project, "diff", "--plan", "none").returncode == 7


def dump(page: Path, profile: Path, fragment: str = "") -> tuple[str, str]:
    """The page as the browser has it once its script has run, and what the browser complained of."""
    command = [
        str(CHROMIUM),
        *FLAGS,
        f"--user-data-dir={profile}",
        "--dump-dom",
        f"file://{page}{fragment}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    return done.stdout, done.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_finds_nothing_to_refuse(project: Path, tmp_path: Path) -> None:
    """The script runs under the page's own policy: it counts the rows; nothing is blocked or asked for."""
    run(project, "diff", "--plan", "one", "--html", str(tmp_path / "page.html"), "--show-values")
    run(project, "diff", "one", "two", "--html", str(tmp_path / "both.html"), "--show-values")
    for name in ("page", "both"):
        found, complaints = dump(tmp_path / f"{name}.html", tmp_path / "profile")
        assert re.search(r'id="said"[^>]*>\d+ sample rows?<', found)
        assert "Content Security Policy" not in complaints
        assert "CONSOLE" not in complaints


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_filter_leaves_what_fits(project: Path, tmp_path: Path) -> None:
    """A search named in the address shows the rows that have every word, hides the others, and says how many."""
    page = tmp_path / "page.html"
    run(project, "diff", "--plan", "one", "--html", str(page), "--show-values")
    everything, _ = dump(page, tmp_path / "profile")
    total = len(re.findall(r"<tr data-f=", everything))
    found, _ = dump(page, tmp_path / "profile", "#q=old+name&d=contacts&k=change")
    rows = re.findall(r"<tr (data-f=[^>]*)>(.*?)</tr>", found, re.DOTALL)
    shown = [text for attributes, text in rows if "hidden" not in attributes]
    assert 0 < len(shown) < total == len(rows)
    assert all("Old name" in text for text in shown)
    assert f"{len(shown)} of {total} sample rows shown" in found
    by_column, _ = dump(page, tmp_path / "profile", "#q=created_at")
    # a row is found by the column and the rule that it stands under
    assert not re.search(r"\b0 of \d+ sample rows", by_column)
