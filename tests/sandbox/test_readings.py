"""What the documents leave open, read in other ways; and the main job in every one of them."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from migrate.app.context import Context
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.reconcile import run_reconcile
from migrate.app.totals import reconcile_with_totals
from migrate.cli.app import utc_now
from migrate.config import load_project
from migrate.errors import UsageError
from migrate.progress import Silence
from migrate.sandbox.declare import CHOICES, parse_readings
from migrate.sandbox.serve import Sandbox, SandboxSettings
from migrate.source.extract import Extraction
from migrate.workspace import Workspace

CONTACTS = """
version: 1
dataset: contacts
resource: profiles
key: [contact_key]
alternative_keys: [[email]]
columns:
  contact_key: {from: id, type: text}
  email: {from: email, type: text}
  city: {from: city, type: text}
"""
DATASETS = """
[contacts]
id = "contacts"
keys = [["contact_key"], ["email"]]
[contacts.columns]
contact_key = "text"
email = "text"
city = "text"
"""
QUERY = {"api-key": "sandbox-octolis-key"}
HEADERS = {"Content-Type": "application/json", "Accept": "*/*"}


def upsert(box: Sandbox, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Some records written by somebody else."""
    path = f"{box.octolis_url}/datasets/contacts/records/batch"
    answer = httpx.post(path, params=QUERY, headers=HEADERS, json=records)
    return [result["record"] for result in answer.json()["results"]]


def context_of(box: Sandbox, folder: Path) -> Context:
    """A project with four profiles to load."""
    (folder / "mappings").mkdir(parents=True)
    (folder / "mappings" / "contacts.yaml").write_text(CONTACTS)
    (folder / "migrate.toml").write_text(
        f'[datatrics]\nproject_id = "demo"\nbase_url = "{box.datatrics_url}"\n'
        f'[octolis]\nbase_url = "{box.octolis_url}"\nlimit_speed = 50.0\n'
        '[octolis.datasets]\ncontacts = "contacts"\n[gates]\nmax_merges = 9\n'
    )
    keys = {"DATATRICS_API_KEY": "sandbox-datatrics-key", "OCTOLIS_API_KEYS": QUERY["api-key"]}
    project = load_project(folder / "migrate.toml", keys)
    return Context(project, Workspace(project.workspace), Silence(), Event(), utc_now)


def feed(box: Sandbox) -> None:
    """Four profiles; the last one shares its e-mail with a record of the target."""
    url = f"{box.datatrics_url}/project/demo/profile"
    for number in range(4):
        email = "old0@x.test" if number == 3 else f"p{number}@x.test"
        body = {
            "profileid": f"p{number}", "source": "shop",
            "profile": {"email": email, "city": "Gent", "created": f"2024-01-0{number + 1} 10:00:00"},
        }  # fmt: skip
        httpx.post(url, headers={"x-apikey": "sandbox-datatrics-key"}, json=body).raise_for_status()


SWITCHED = [f"{name}={value}" for name, values in CHOICES.items() for value in values[1:]]


@pytest.mark.parametrize("reading", ["list_ids=json", *SWITCHED])
def test_the_main_job_ends_the_same_in_every_reading(reading: str, tmp_path: Path) -> None:
    """A record merged long ago is updated, two records become one, the others are made: the same numbers everywhere."""
    (tmp_path / "datasets.toml").write_text(DATASETS)
    settings = SandboxSettings(
        datasets=tmp_path / "datasets.toml", readings=parse_readings([reading])
    )
    with Sandbox(settings) as box:
        feed(box)
        # two records became one long before: the answers go on naming the id that is gone
        upsert(
            box,
            [
                {"contact_key": "p0", "email": "p0@x.test"},
                {"contact_key": "q", "email": "q@x.test"},
            ],
        )
        upsert(box, [{"contact_key": "p0", "email": "q@x.test"}])
        # and two that this load makes one: it has the key of the one and the e-mail of the other
        upsert(
            box,
            [
                {"contact_key": "p3", "email": "p3@x.test"},
                {"contact_key": "o", "email": "old0@x.test"},
            ],
        )
        context = context_of(box, tmp_path / "project")
        made: Extraction = run_extract(context, ["profiles"])
        plan = run_plan(context, snapshot=made.snapshot)
        loaded = run_load(context, name=plan.name).datasets["contacts"]
        assert (loaded.created, loaded.updated, loaded.merged) == (2, 2, 1)
        found = run_reconcile(context, plan.name, deep=True, wait_s=0)
        one = found.datasets["contacts"]
        assert (one.books.count_before, one.expected, one.count_after) == (3, 4, 4)
        assert (found.verdict, one.deep and one.deep.verdict) == ("match", "match")
        assert reconcile_with_totals(context, plan.name, deep=False, wait_s=0).matches


def test_readings_are_named_and_checked() -> None:
    """A wrong name or value tells the right ones."""
    assert parse_readings(["merged_id=new"]).merged_id == "new"
    for text in ("merged=new", "merged_id=old", "x"):
        with pytest.raises(UsageError):
            parse_readings([text])


def test_a_count_may_be_lines_of_text_and_a_filter_in_other_letters(tmp_path: Path) -> None:
    """As the document's parameters and its example filter say."""
    (tmp_path / "datasets.toml").write_text(DATASETS)
    with Sandbox(SandboxSettings(datasets=tmp_path / "datasets.toml")) as box:
        upsert(box, [{"contact_key": "a", "email": "a@x.test"}])
        path = f"{box.octolis_url}/datasets/contacts/records/count"
        for header, body in (("true", "count\r\n1\r\n"), ("false", "1\r\n")):
            answer = httpx.get(
                path, params={**QUERY, "format": "csv", "header": header}, headers=HEADERS
            )
            assert (answer.headers["content-type"].split(";")[0], answer.text) == ("text/csv", body)
        params = {**QUERY, "filter": "email:a@x.test,eMail:b@x.test"}
        assert json.loads(httpx.get(path, params=params, headers=HEADERS).content) == {"count": 1}
