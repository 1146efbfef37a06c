"""A sandbox that begins with data: made-up, saved or extracted, and a project that needs no edit to use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from migrate.app.sandbox_feed import SandboxAddress, feed_sandbox
from migrate.config import load_project
from migrate.errors import UsageError
from migrate.progress import Silence
from migrate.project import SANDBOX_URL, start_project
from migrate.sandbox.faults import parse_fault
from migrate.sandbox.serve import Sandbox, SandboxSettings
from tests import forked
from tests.harness import PATIENCE_S

SAVED = '{"profileid":"7","source":"Shop","lastname":"Zo\\u00eb","points":1.10}'


@pytest.fixture
def sandbox() -> Iterator[SandboxAddress]:
    """An empty sandbox."""
    settings = SandboxSettings(datatrics_key="k", control_token="t")
    with Sandbox(settings) as running:
        yield SandboxAddress(running.url, "demo", SecretStr("k"), SecretStr("t"))


def feed(sandbox: SandboxAddress, what: str, snapshots: Path | None = None) -> dict[str, int]:
    """Feeds it."""
    return feed_sandbox(
        sandbox, what, snapshots, Silence(), threading.Event(), lambda: datetime.now(UTC)
    )


def profiles(sandbox: SandboxAddress) -> bytes:
    """The list of profiles as the sandbox answers it."""
    headers = {"x-apikey": "k", "Content-Type": "application/json"}
    url = f"{sandbox.url}/2.0/project/demo/profile"
    return httpx.get(url, headers=headers).raise_for_status().content


def test_saved_files_come_out_as_they_were_saved(sandbox: SandboxAddress, tmp_path: Path) -> None:
    """Every byte of a record: no number is read and written again."""
    (tmp_path / "profiles.ndjson").write_text(SAVED + "\n", encoding="utf-8", newline="\n")
    assert feed(sandbox, str(tmp_path))["profiles"] == 1
    assert SAVED.encode() in profiles(sandbox)


def test_made_up_data(sandbox: SandboxAddress) -> None:
    """`demo` is what `migrate demo` migrates: 1,200 profiles."""
    assert feed(sandbox, "demo")["profiles"] == 1_200
    assert json.loads(profiles(sandbox))["total_elements"] == 1_200


def test_what_is_nothing_is_refused(sandbox: SandboxAddress, tmp_path: Path) -> None:
    """The message names what would do."""
    with pytest.raises(UsageError, match="nothing to feed under 'nowhere'") as refused:
        feed(sandbox, "nowhere", tmp_path / "snapshots")
    assert "--feed demo" in str(refused.value.hint)


def test_a_rehearsal_is_like_the_project_it_is_made_from(tmp_path: Path) -> None:
    """Its mappings, time zones and aliases; addresses on this machine; keys that are new each time."""
    start_project(tmp_path / "shop")
    file = tmp_path / "shop" / "migrate.toml"
    text = file.read_text(encoding="utf-8").replace(
        '"*" = "UTC"', '"My \\"Shop\\"" = "Europe/Paris"'
    )
    file.write_text(text.replace("CHANGE-ME", "4711"), encoding="utf-8", newline="\n")
    (tmp_path / "shop" / "mappings" / "orders.yaml").write_text("# mine\n", encoding="utf-8")
    like = load_project(file, {})
    start_project(tmp_path / "one", sandbox=True, like=like)
    start_project(tmp_path / "two", sandbox=True, like=like)
    one, two = (load_project(tmp_path / name / "migrate.toml", {}) for name in ("one", "two"))
    assert one.datatrics.timezones == {'My "Shop"': "Europe/Paris"}
    assert one.datatrics.project_id == "4711"
    assert one.octolis.base_url == f"{SANDBOX_URL}/v1/data"
    assert (one.mappings / "orders.yaml").read_text(encoding="utf-8") == "# mine\n"
    assert one.secrets.texts() != two.secrets.texts()
    assert (tmp_path / "one" / ".env").stat().st_mode & 0o077 == 0


@contextmanager
def running(folder: Path, *options: str) -> Iterator[str]:
    """`migrate sandbox` as a process; gives what it printed once it was ready."""
    command = [sys.executable, "-m", "migrate", "sandbox", "--port", "0", *options]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(
        [*command, "--until-stdin-closes"], cwd=folder, text=True, **pipes
    ) as process:
        assert process.stdout is not None
        text = ""
        while "x-sandbox-token" not in text:
            line = process.stdout.readline()
            assert line, "it ended before it was ready"
            text += line
        yield text
        process.communicate()


@pytest.mark.parametrize("what", ["demo", "saved"])
def test_nobody_is_answered_before_it_is_full(tmp_path: Path, what: str) -> None:
    """An extract in that second would be proven and lack records: both services say that it is too early.

    No fault hits what fills it, however many are asked for.
    """
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "profiles.ndjson").write_text(SAVED + "\n", encoding="utf-8")
    faults = tuple(parse_fault(f"{side}:500") for side in ("datatrics", "octolis"))
    settings = SandboxSettings(
        datatrics_key="k", octolis_keys=("o",), control_token="t", is_open=False, faults=faults
    )
    with Sandbox(settings) as running:
        asked = (
            f"{running.datatrics_url}/project/demo/profile",
            f"{running.octolis_url}/o/contacts/count",
        )
        headers = {"x-apikey": "k", "Accept": "*/*", "Content-Type": "application/json"}
        for url in asked:
            early = httpx.get(url, headers=headers)
            assert (early.status_code, early.headers["retry-after"]) == (503, "1")
            assert "still being fed" in early.text
        address = SandboxAddress(running.url, "demo", SecretStr("k"), SecretStr("t"))
        counts = feed(address, "demo" if what == "demo" else str(tmp_path / "saved"))
        assert counts["profiles"] == (1200 if what == "demo" else 1)
        running.open()
        assert [httpx.get(url, headers=headers).status_code for url in asked] == [500, 500]


def test_what_it_prints_can_be_pasted(tmp_path: Path) -> None:
    """Outside of a project: TOML that the tool reads, also where any project id is taken."""
    with running(tmp_path, "--project-id", "*", "--speed", "20") as text:
        shown = text[text.index("[datatrics]") : text.index("and this into .env")]
        values = tomllib.loads(shown)
        (tmp_path / "migrate.toml").write_text(shown, encoding="utf-8", newline="\n")
        keys = dict(line.split("=", 1) for line in text.splitlines() if "_KEY" in line[:20])
        project = load_project(tmp_path / "migrate.toml", keys)
    assert values["octolis"]["limit_speed"] == 20
    assert project.datatrics.project_id == "demo"
    assert project.octolis.datasets["contacts"] == "contacts"


def test_two_commands_to_a_rehearsal(tmp_path: Path) -> None:
    """A project made for the sandbox takes the sandbox's port from itself; --port would differ, and that is said."""
    start_project(tmp_path / "r", sandbox=True)
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "profiles.ndjson").write_text(SAVED + "\n", encoding="utf-8", newline="\n")
    with running(tmp_path / "r", "--feed", str(saved)) as text:
        assert "with profiles (1)" in text
        assert "(as set)" in text
        file = tmp_path / "r" / "migrate.toml"
        url = text[text.index('base_url = "') + 12 :].split("/2.0", 1)[0]
        file.write_text(
            file.read_text(encoding="utf-8").replace(SANDBOX_URL, url),
            encoding="utf-8",
            newline="\n",
        )
        words = ["-m", "migrate", "--json", "extract", "profiles"]
        done = forked.run(words, tmp_path / "r", os.environ, PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["resources"]["profiles"]["distinct"] == 1
