"""`--confirm-merges` against a target that merges: refused without, done with, and kept who has confirmed it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from getpass import getuser
from pathlib import Path

import httpx
import pytest

from tests.harness import SOURCE_KEY, TARGET_KEY, Project

MAPPING = """
version: 1
dataset: contacts
resource: profiles
key: [contact_key]
alternative_keys: [[email]]
columns:
  contact_key: {from: profileid, type: text}
  email: {from: email, type: text}
  city: {from: city, type: text}
"""
DATASETS = '[contacts]\nkeys = [["contact_key"], ["email"]]\n[contacts.columns]\n' + "\n".join(
    f'{name} = "text"' for name in ("contact_key", "email", "city")
)
HELD = [
    {"contact_key": "1", "email": "old@example.org", "city": "Delft"},
    {"contact_key": "other", "email": "ann@example.org", "city": "Gouda"},
]
PROFILES = [
    {"profileid": "1", "source": "shop", "email": "ann@example.org", "city": "Delft"},
    {"profileid": "2", "source": "shop", "email": "bo@example.org", "city": "Gouda"},
]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A source whose person 1 has by now the address that another record of the target has."""
    from migrate.project import start_project
    from migrate.sandbox.limits import Limits
    from migrate.sandbox.serve import Sandbox, SandboxSettings

    (tmp_path / "datasets.toml").write_text(DATASETS)
    settings = SandboxSettings(
        datasets=tmp_path / "datasets.toml", datatrics_key=SOURCE_KEY,
        octolis_keys=(TARGET_KEY,), limits=Limits(enforce=False),
    )  # fmt: skip
    start_project(tmp_path / "project")
    mappings = tmp_path / "project" / "mappings"
    for file in mappings.glob("*.yaml"):
        file.unlink()
    (mappings / "contacts.yaml").write_text(MAPPING)
    with Sandbox(settings) as sandbox:
        made = Project(tmp_path / "project", sandbox)
        made.write(octolis="limit_speed = 100", datasets='contacts = "contacts"')
        records(made, "POST", "/batch", json=HELD)
        url = f"{sandbox.url}/_sandbox/records/profiles"
        httpx.post(url, json=PROFILES).raise_for_status()
        yield made


def records(project: Project, method: str, path: str = "", **more: object) -> httpx.Response:
    """A call to the dataset's records."""
    assert project.sandbox is not None
    url = f"{project.sandbox.octolis_url}/datasets/contacts/records{path}?api-key={TARGET_KEY}"
    headers = {"Accept": "*/*", "Content-Type": "application/json"}
    return httpx.request(method, url, headers=headers, **more).raise_for_status()  # type: ignore[arg-type]


def held(project: Project) -> list[tuple[str, str]]:
    """Key and address of each record of the target."""
    rows = records(project, "GET").json()["records"]
    return sorted((row["contact_key"], row["email"]) for row in rows)


def test_a_merge_is_done_only_where_somebody_has_confirmed_it(project: Project) -> None:
    """Nothing is sent before; then two records are one, and history and evidence say by whom and how many."""
    assert project.run("extract", "profiles", "-q").code in (0, 3)
    planned = project.run("plan", "--plan", "p", "--json", "-q")
    assert planned.summary["datasets"]["contacts"]["merges"]["masterids_lost"] == 1
    before = held(project)

    refused = project.run("load", "--plan", "p", "-q")
    assert (refused.code, held(project)) == (8, before)
    assert "--confirm-merges 1" in refused.stderr

    done = project.run("load", "--plan", "p", "--confirm-merges", "1", "--json", "-q")
    assert done.code == 0, done.stderr
    totals = done.summary["datasets"]["contacts"]
    assert (totals["written"], totals["merged"]) == (2, 1)
    assert held(project) == [("1", "ann@example.org"), ("2", "bo@example.org")]
    assert project.run("reconcile", "--plan", "p", "--deep", "-q").code == 0

    history = project.run("history", "--json").summary["runs"]
    [confirmed] = [run for run in history if run["confirmations"]]
    assert (confirmed["confirmations"], confirmed["exit_code"]) == ({"confirm_merges": 1}, 0)
    assert confirmed["user"] == getuser()
    archive = project.run("evidence", "--plan", "p", "--json").summary["file"]
    with zipfile.ZipFile(project.folder / archive) as packed:
        [name] = [name for name in packed.namelist() if name.endswith("history.json")]
        runs = json.loads(packed.read(name))["runs"]
    assert {"confirm_merges": 1} in [run["confirmations"] for run in runs]
