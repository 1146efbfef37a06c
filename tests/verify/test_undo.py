"""Undo after real merges, with columns that cannot be emptied, under faults, and killed in the middle."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from migrate.app.context import Context
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.undo import plan_undo, run_undo
from migrate.config import load_project
from migrate.project import start_project
from migrate.report.undo import judge_undo, render_undo
from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings
from migrate.verify import undo_split
from migrate.workspace import Workspace
from tests import forked
from tests.harness import wait_until

from .conftest import HEADERS, SOURCE_KEY, TARGET_KEY, make_job

KEYS = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
MAPPING = """
version: 1
dataset: contacts
resource: profiles
key: [contact_key]
alternative_keys: [[email]]
columns:
  contact_key: {from: id, type: text}
  email: {from: email, type: text}
  lastname: {from: lastname, type: text}
  city: {from: city, type: text}
  points: {from: points, type: integer}
  newsletter: {from: newsletter, type: boolean, values: {"1": true, "0": false}}
  birthdate: {from: dateofbirth, type: date}
"""
ACCOUNT = """
[contacts]
keys = [["contact_key"], ["email"]]
"""
MANDATORY = 'mandatory = ["lastname"]\n'


@dataclass
class Shop:
    """A project and its sandbox."""

    context: Context
    box: Sandbox

    def write(self, *rows: dict[str, Any]) -> None:
        """Somebody writes to the target, beside us."""
        url = f"{self.box.octolis_url}/datasets/contacts/records/batch?api-key={TARGET_KEY}"
        for start in range(0, len(rows), 500):
            httpx.post(url, json=rows[start : start + 500], headers=HEADERS).raise_for_status()

    def rows(self) -> dict[str, dict[str, Any]]:
        """What the target holds, by key, without the system's columns."""
        url = f"{self.box.octolis_url}/datasets/contacts/records?api-key={TARGET_KEY}"
        found = httpx.get(url, headers=HEADERS).json()["records"]
        return {
            r["contact_key"]: {
                name: value for name, value in r.items() if not name.startswith("__")
            }
            for r in found
        }

    def inject(self, *faults: str) -> None:
        """Puts faults in force."""
        httpx.post(f"{self.box.url}/_sandbox/faults", json=faults).raise_for_status()

    def patches(self) -> int:
        """How many update requests the target has seen."""
        log = httpx.get(f"{self.box.url}/_sandbox/log").json()["requests"]
        return sum(entry["method"] == "PATCH" for entry in log)

    def requests(self) -> int:
        """How many requests both services have seen."""
        return int(httpx.get(f"{self.box.url}/_sandbox/state").json()["total_requests"])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder with the mapping and the account in it."""
    start_project(tmp_path / "project")
    for file in (tmp_path / "project" / "mappings").glob("*.yaml"):
        file.unlink()
    (tmp_path / "project" / "mappings" / "contacts.yaml").write_text(MAPPING)
    (tmp_path / "account.toml").write_text(ACCOUNT)
    yield tmp_path


def settings(place: Path) -> SandboxSettings:
    """A sandbox with its memory in a file, so that it can be started again with other rules."""
    return SandboxSettings(
        db=place / "memory.sqlite", mappings=place / "project" / "mappings", datasets=place / "account.toml",
        datatrics_key=SOURCE_KEY, octolis_keys=(TARGET_KEY,), limits=Limits(enforce=False),
    )  # fmt: skip


def open_shop(place: Path, box: Sandbox) -> Shop:
    """The project that points to a running sandbox; its waits are a fiftieth."""
    (place / "project" / "migrate.toml").write_text(
        f'[datatrics]\nbase_url = "{box.datatrics_url}"\nproject_id = "demo"\nrequests_per_second = 1000\n'
        f'[octolis]\nbase_url = "{box.octolis_url}"\nlimit_speed = 50\n[octolis.datasets]\ncontacts = "contacts"\n'
        "[gates]\nmax_merges = 10\ncanary = 0\n"
    )
    return Shop(make_job(load_project(place / "project" / "migrate.toml", KEYS)), box)


def let_it_be_older(seconds: float = 1.1) -> None:
    """Until what was just written is surely older than the load: the service tells its time in whole seconds."""
    began = time.time()
    wait_until(lambda: time.time() - began > seconds)


def migrate(shop: Shop, *profiles: dict[str, Any]) -> None:
    """Extracts, plans and loads these profiles."""
    body = msgspec.json.encode([{"source": "Shop", **profile} for profile in profiles])
    httpx.post(f"{shop.box.url}/_sandbox/records/profiles", content=body).raise_for_status()
    run_extract(shop.context, ["profiles"])
    plan = run_plan(shop.context)
    run_load(shop.context, name=plan.name)


def listed(shop: Shop, name: str) -> list[dict[str, str]]:
    """The rows of one of the undo's lists."""
    [file] = shop.context.workspace.exports.glob(f"*/undo-{name}-contacts.csv")
    return list(csv.DictReader(file.read_text().splitlines()))


@pytest.mark.parametrize("together", [10_000, 1])
def test_merges_and_columns_that_cannot_be_emptied(
    place: Path, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each record goes as far back as the API lets it, and every list says what is left to be done by hand.

    So it is where the records are judged all together, and each almost alone.
    """
    monkeypatch.setattr(undo_split, "_PIECE_ROWS", together)
    with Sandbox(settings(place)) as box:
        shop = open_shop(place, box)
        shop.write(
            {"contact_key": "1", "lastname": "One", "city": "Old", "points": 5, "newsletter": True,
             "birthdate": "1970-05-11 00:00:00"},
            {"contact_key": "2", "city": "Old"},
            {"contact_key": "3"},
            {"contact_key": "4", "lastname": "Four", "city": "Old"},
            {"contact_key": "other", "email": "four@example.test", "lastname": "Lost", "city": "Lost Town"},
            {"contact_key": "5", "lastname": "Five", "city": "Old"},
        )  # fmt: skip
        before = shop.rows()
    (place / "account.toml").write_text(ACCOUNT + MANDATORY)
    with Sandbox(settings(place)) as box:
        shop = open_shop(place, box)
        migrate(
            shop,
            {"profileid": "1", "lastname": "Uno", "city": "New", "points": 6, "newsletter": 0,
             "dateofbirth": "1980-01-01", "email": "one@example.test"},
            {"profileid": "2", "lastname": "Two", "city": "New"},
            {"profileid": "3", "lastname": "Three"},
            {"profileid": "4", "lastname": "Quattro", "email": "four@example.test"},
            {"profileid": "5", "lastname": "Cinque"},
            {"profileid": "6", "lastname": "Six"},
        )  # fmt: skip
        shop.write({"contact_key": "5", "lastname": "Changed by others"})
        loaded = shop.rows()
        [entry] = plan_undo(shop.context, None).datasets
        kinds = ("restorable", "changed_since", "created", "merged", "survivors", "unreadable")
        assert [entry.count(kind) for kind in kinds] == [3, 1, 1, 1, 1, 0]
        done = run_undo(shop.context, None, wait_s=0)
        assert (done.restored, done.verified, done.partly, done.refused) == (2, 2, 1, 1)
        assert judge_undo(done) == (3, "restored in part")
        assert "cannot" in render_undo(done)
        now = shop.rows()
        assert now["1"] == before["1"]
        assert now["2"] == before["2"] | {"lastname": "Two"}
        assert {key: now[key] for key in "3456"} == {key: loaded[key] for key in "3456"}
        gone, survivor = listed(shop, "merged")
        assert (
            gone["merged_into"]
            == survivor["masterid"]
            == survivor["merged_into"]
            != gone["masterid"]
        )
        assert json.loads(gone["lost"]) == {"contact_key": "4", "lastname": "Four", "city": "Old"}
        assert json.loads(survivor["lost"]) == {
            "contact_key": "other", "email": "four@example.test", "lastname": "Lost", "city": "Lost Town",
        }  # fmt: skip
        assert [row["columns_not_restored"] for row in listed(shop, "partly")] == ["lastname"]
        assert [row["status"] for row in listed(shop, "refused")] == ["400"]
        again = run_undo(shop.context, None, wait_s=0)
        assert (again.restored, again.refused) == (0, 2)


def many(count: int, city: str) -> list[dict[str, Any]]:
    """Records of the target."""
    return [{"contact_key": str(n), "city": city, "points": n} for n in range(count)]


def profiles(count: int) -> list[dict[str, Any]]:
    """The same people with another city."""
    return [{"profileid": str(n), "city": "New"} for n in range(count)]


@pytest.mark.parametrize("after_s", [-3600, 3600])
def test_what_another_project_has_written_since_is_left_alone(place: Path, after_s: int) -> None:
    """What another project wrote after us is its own, be it the same value; what it wrote before is given back."""
    with Sandbox(settings(place)) as box:
        shop = open_shop(place, box)
        shop.write(*many(3, "Old"))
        migrate(shop, *profiles(3))
        other = place / "other"
        start_project(other)
        file = other / "migrate.toml"
        file.write_text(
            f'[datatrics]\nproject_id = "two"\n[octolis]\nbase_url = "{box.octolis_url}"\n'
            '[octolis.datasets]\ncontacts = "contacts"\n'
        )
        theirs = Workspace.of(load_project(file, KEYS)).ledger
        theirs.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(shop.context.workspace.ledger)) as ours:
            ours.execute("VACUUM INTO ?", (str(theirs),))
        with contextlib.closing(sqlite3.connect(theirs, isolation_level=None)) as books:
            books.execute("UPDATE records SET settled_at = settled_at + ?", (after_s,))
        project = shop.context.project.model_copy(update={"other_projects": (file,)})
        [entry] = plan_undo(replace(shop.context, project=project), None).datasets
    counts = (entry.count("restorable"), entry.count("changed_since"))
    assert counts == ((0, 3) if after_s > 0 else (3, 0))


def test_undo_stands_the_faults_that_a_load_stands(place: Path) -> None:
    """Refused for the rate, for a busy dataset, torn off before and after it was carried out: all is as it was."""
    with Sandbox(settings(place)) as box:
        shop = open_shop(place, box)
        shop.write(*many(1200, "Old"))
        before = shop.rows()
        migrate(shop, *profiles(1200))
        assert {row["city"] for row in shop.rows().values()} == {"New"}
        shop.inject(
            "octolis:429=1@method=PATCH,times=2", "octolis:423@method=PATCH,at=3+4", "octolis:reset@method=PATCH,at=5",
            "octolis:reset-after@method=PATCH,at=6", "octolis:500@method=PATCH,at=7,applied=1",
            "octolis:partial=4/423@method=PATCH,at=8",
        )  # fmt: skip
        done = run_undo(shop.context, None, wait_s=0)
        assert (done.restored, done.verified, judge_undo(done)) == (1200, 1200, (0, "restored"))
        assert shop.rows() == before


def test_a_larger_target_costs_an_undo_no_more_requests(place: Path) -> None:
    """Five records take as many where the target holds five and where it holds a thousand: pages, and no records."""
    asked = []
    with Sandbox(settings(place)) as box:
        shop = open_shop(place, box)
        for held in (5, 1_000):
            shop.write(*many(held, "Old"))
            migrate(shop, *profiles(5))
            before = shop.requests()
            assert run_undo(shop.context, None, wait_s=0).verified == 5
            asked.append(shop.requests() - before)
    assert asked[0] == asked[1]


@pytest.mark.parametrize(
    ("patches", "how"), [(1, signal.SIGKILL), (2, signal.SIGKILL), (1, signal.SIGTERM)]
)
def test_a_stopped_undo_goes_on(place: Path, patches: int, how: signal.Signals) -> None:
    """Killed or asked to stop, the same command restores the rest, and leaves alone what others changed meanwhile."""
    with Sandbox(settings(place)) as box:
        shop = open_shop(place, box)
        shop.write(*many(1200, "Old"))
        before = shop.rows()
        migrate(shop, *profiles(1200))
        shop.inject("octolis:slow=0.4@method=PATCH")
        command = ["-m", "migrate", "-q", "undo", "run", "--wait", "0"]
        process = forked.start(command, place / "project", {**os.environ, **KEYS})
        deadline = time.monotonic() + 60
        while shop.patches() < patches:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(how)
        _, said = process.communicate()
        if how == signal.SIGTERM:
            assert process.returncode == 130
            assert "migrate undo run --plan" in said
        shop.inject()
        shop.write({"contact_key": "7", "city": "Changed by others"})
        left = plan_undo(shop.context, None).datasets[0].count("restorable")
        done = run_undo(shop.context, None, wait_s=0)
        assert (done.restored, done.verified) == (left, left)
        assert shop.rows() == before | {"7": before["7"] | {"city": "Changed by others"}}
        assert shop.patches() <= 3 + 8 + 3


def sending(shop: Shop) -> int:
    """How many batches the ledger says are on their way."""
    ledger = shop.context.workspace.ledger
    if not ledger.exists():
        return 0
    with contextlib.closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            return int(
                connection.execute(
                    "SELECT count(*) FROM batches WHERE state = 'sending'"
                ).fetchone()[0]
            )
        except sqlite3.OperationalError:
            return 0  # the tables are being made


def test_answers_that_were_lost_are_settled_first(place: Path) -> None:
    """Of a load that was killed with a request on its way, the undo says what nobody knows yet."""
    with Sandbox(settings(place)) as box:
        shop = open_shop(place, box)
        shop.write(*many(3, "Old"))
        shop.inject("octolis:slow=20@method=POST,path=*batch")
        body = msgspec.json.encode([{"source": "Shop", **profile} for profile in profiles(3)])
        httpx.post(f"{box.url}/_sandbox/records/profiles", content=body).raise_for_status()
        run_extract(shop.context, ["profiles"])
        plan = run_plan(shop.context)
        command = ["-m", "migrate", "-q", "load", "--plan", plan.name]
        process = forked.start(command, place / "project", {**os.environ, **KEYS})
        deadline = time.monotonic() + 60
        while sending(shop) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
        process.communicate()
        found = plan_undo(shop.context, None)
        assert [entry.unsettled for entry in found.datasets] == [3]
        assert "settles them" in render_undo(found)


def test_a_key_that_a_create_took_over(place: Path) -> None:
    """A planned create that lands on a record of another key gives that record its own key back."""
    with Sandbox(settings(place)) as box:
        shop = open_shop(place, box)
        shop.write({"contact_key": "old:1", "email": "one@example.test", "city": "Old"})
        before = shop.rows()
        let_it_be_older()
        migrate(shop, {"profileid": "shop:2", "email": "one@example.test", "city": "New"})
        assert list(shop.rows()) == ["shop:2"]
        done = run_undo(shop.context, None, wait_s=0)
        assert (done.restored, done.verified, judge_undo(done)) == (1, 1, (0, "restored"))
        assert shop.rows() == before


def test_a_key_that_somebody_has_by_now(place: Path) -> None:
    """Where another record has the key since, the rest is given back, and the key is listed by name."""
    with Sandbox(settings(place)) as box:
        shop = open_shop(place, box)
        shop.write({"contact_key": "old:1", "email": "one@example.test", "city": "Old"})
        let_it_be_older()
        migrate(shop, {"profileid": "shop:2", "email": "one@example.test", "city": "New"})
        shop.write({"contact_key": "old:1", "city": "Somebody else"})
        done = run_undo(shop.context, None, wait_s=0)
        assert (done.restored, done.verified, done.partly) == (1, 1, 1)
        assert [row["columns_not_restored"] for row in listed(shop, "partly")] == ["contact_key"]
        assert shop.rows()["shop:2"]["city"] == "Old"


def test_keys_that_went_from_one_to_the_next(place: Path) -> None:
    """A record gets its key back only after the one that has it now: what was refused is sent again."""
    with Sandbox(settings(place)) as box:
        shop = open_shop(place, box)
        shop.write(
            {"contact_key": "a", "email": "one@example.test", "city": "Old"},
            {"contact_key": "b", "email": "two@example.test", "city": "Old"},
        )
        before = shop.rows()
        migrate(
            shop, {"profileid": "c", "email": "one@example.test", "updated": "2024-01-01 10:00:00"}
        )
        migrate(
            shop, {"profileid": "a", "email": "two@example.test", "updated": "2024-01-02 10:00:00"}
        )
        assert sorted(shop.rows()) == ["a", "c"]
        run_undo(shop.context, None, wait_s=0)
        assert sorted(shop.rows()) == ["b", "c"]
        assert before
