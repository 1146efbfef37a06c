"""The night of the cut-over by the command line: for real, as a forecast, rehearsed, killed, and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from migrate.app.pipeline import run_extract
from tests.app.night_stage import Shop, profile
from tests.harness import SOURCE_KEY, TARGET_KEY, Project, from_batch

FINE = (0, 3)


@pytest.fixture
def shop(make_project: Callable[..., Project]) -> Shop:
    """A small shop that was migrated weeks ago, and has gone on since."""
    shop = Shop(make_project(feeding=False, latency_s=0.01))
    shop.open()
    shop.go_on()
    return shop


def requests_of(shop: Shop) -> int:
    """All requests that either service has answered."""
    found = shop.project.state()["total_requests"]
    assert isinstance(found, int)
    return found


def test_the_night(shop: Shop) -> None:
    """A gate stops it before the load; once it is opened the same night goes on, and tells what each step took."""
    shop.project.write(gates="max_updates = 0")
    done = shop.project.run("cutover", "--json", "-q", "--name", "night")
    assert done.code == 8, done.stderr
    assert "max_updates" in done.summary["stopped"]
    assert done.summary["next"] == "migrate cutover --since first --name night"
    assert done.summary["load"] == {}
    shop.project.write()
    done = shop.project.run("cutover", "--json", "--start", "22:00")
    assert done.code == 0, done.stderr
    found = done.summary
    assert (found["status"], found["snapshot"], found["plan"], found["since"]) == (
        "done",
        "night",
        "night",
        "first",
    )
    assert found["delta"] == {"base": "first", "new": 4, "changed": 2, "unchanged": 57, "gone": 1}
    assert {name: d["written"] for name, d in found["load"]["datasets"].items()} == {
        "contacts": 5,
        "orders": 1,
    }
    assert {d["verdict"] for d in found["reconcile"]["datasets"].values()} == {"match"}
    assert all(step["actual_seconds"] is not None and step["basis"] for step in found["steps"])
    assert sum(s["actual_seconds"] for s in found["stages"].values()) == pytest.approx(
        found["actual_seconds"], abs=0.01
    )
    start, ends = (
        datetime.fromisoformat(found["start"]),
        datetime.fromisoformat(found["freeze_ends"]),
    )
    assert start == datetime(start.year, start.month, start.day, 22).astimezone()
    assert abs((ends - start).total_seconds() - found["forecast_seconds"]) < 2
    assert "by the forecast it ends at 22:0" in done.stderr
    assert "The plan is made; what is left, by it" in done.stderr
    assert Path(found["report"]).is_file()


def test_a_forecast_asks_nobody_and_writes_nothing(shop: Shop) -> None:
    """Clock times from the start on and a basis for each number; neither service hears of it."""
    before, files = requests_of(shop), sorted(shop.project.folder.rglob("*.json"))
    done = shop.project.run(
        "cutover", "--forecast", "--start", "21:30", "--changed", "50%", "--new", "0.01"
    )
    assert done.code == 0, done.stderr
    assert "21:30:00" in done.stdout
    assert "/s as in first" in done.stdout
    assert "if 51.0% are new or changed" in done.stdout
    assert "Freeze from 21:30; by the forecast it ends at 21:3" in done.stdout
    assert "next: migrate cutover --since first" in done.stdout
    assert (requests_of(shop), sorted(shop.project.folder.rglob("*.json"))) == (before, files)


def test_a_rehearsal(shop: Shop) -> None:
    """It is the whole night, without any key of the user's and without a word to the services; only a report stays."""
    before = requests_of(shop)
    shares = ("--changed", "10%", "--new", "5%", "--gone", "2.5%")
    shop.project.environ = {"DATATRICS_API_KEY": "", "OCTOLIS_API_KEYS": ""}
    done = shop.project.run("cutover", "--rehearse", "--json", "--speed", "100", *shares)
    assert done.code == 0, done.stderr
    found = done.summary
    assert requests_of(shop) == before
    assert found["made_up"]["profiles"] == {"changed": 4, "new": 2, "gone": 1}
    assert [found["delta"][kind] for kind in ("new", "changed", "gone")] == [3, 6, 2]
    assert found["load"]["datasets"]["contacts"]["created"] == 2
    assert "Neither service was asked anything" in found["rehearsal"]
    assert found["next"] == "migrate cutover --since first"
    assert not (shop.project.folder / "migration" / "rehearsal").exists()
    report = (
        shop.project.folder / "migration" / "reports" / f"{found['name']}-run.json"
    ).read_text(encoding="utf-8")
    for secret in (SOURCE_KEY, TARGET_KEY, "@example.org"):
        assert secret not in done.stdout + done.stderr + report


def test_a_night_that_was_killed_goes_on(shop: Shop) -> None:
    """After kill -9 the same command takes up the same delta; it tells people what was found, and nothing is left."""
    reports = shop.project.folder / "migration" / "reports"

    def state() -> dict[str, object]:
        found = [json.loads(file.read_bytes()) for file in reports.glob("*-cutover.json")]
        return found[0] if found else {"stages": {}}

    shop.project.set_faults((from_batch(1, "stall"),))
    shop.project.kill_when(lambda: "extract" in state()["stages"], "cutover", "-q")  # type: ignore[operator]  # a mapping
    shop.project.set_faults(())
    begun = state()
    assert not begun["over"]
    done = shop.project.run("cutover", "-q")
    assert (done.code, done.stderr) == (0, "")
    assert (
        f"Delta {begun['name']} on first: 6 records of 63 (4 new, 2 changed), 1 gone."
        in done.stdout
    )
    assert "It took" in done.stdout
    assert state()["over"]
    left = shop.differences()
    assert (left["contacts"], left["orders"]) == ((0, 0), (0, 0))


def test_what_cannot_be_is_refused(bare_project: Project) -> None:
    """With a sentence, before anything begins."""
    for words, says in (
        (["--start", "25:00"], "no time of day"),
        (["--changed", "200%"], "is no share"),
        (["--new", "many"], "is no share"),
        (["--rehearse", "--forecast"], "do not go together"),
        (["--name", "../outside", "--forecast"], "cannot be the name"),
    ):
        done = bare_project.run("cutover", *words)
        assert done.code == 2, done
        assert says in done.stderr
    done = bare_project.run("cutover", "--since", "nowhere", "--forecast")
    assert done.code == 7
    assert "there is no snapshot" in done.stderr


def test_a_delta_is_planned_by_hand(shop: Shop) -> None:
    """By name, as the union with what it was made since; and the plan says what it was made of."""
    run_extract(shop.context(), ["profiles", "sales"], "delta", since="first")
    done = shop.project.run("plan", "contacts", "orders", "--snapshot", "delta", "--json")
    assert done.code == 0, done.stderr
    assert done.summary["delta"] == {
        "base": "first",
        "new": 4,
        "changed": 2,
        "unchanged": 57,
        "gone": 1,
    }
    assert [(d["create"], d["update"]) for d in done.summary["datasets"].values()] == [
        (3, 2),
        (1, 0),
    ]
    done = shop.project.run("plan", "contacts", "--snapshot", "delta", "--base", "other")
    assert done.code == 2
    assert "was compared with first, not with other" in done.stderr


def test_a_delta_since_a_time_needs_a_base(make_project: Callable[..., Project]) -> None:
    """Where no snapshot was known when it was made, the one that holds the rest has to be named."""
    shop = Shop(make_project(feeding=False))
    shop.ask("POST", "profile/bulk", {"profiles": [profile(n, "Name") for n in range(3)]})
    done = shop.project.run(
        "extract", "profiles", "--since", "2020-01-01", "--snapshot", "delta", "--json"
    )
    assert (done.code, done.summary["next"]) == (3, "migrate extract")
    run_extract(shop.context(), ["profiles"], "whole")
    done = shop.project.run("plan", "contacts", "--snapshot", "delta")
    assert done.code == 2
    assert "--base NAME" in done.stderr
    done = shop.project.run("plan", "contacts", "--snapshot", "delta", "--base", "whole")
    assert done.code == 0, done.stderr
    assert "Delta delta on whole: 3 records; which of them are new" in done.stdout
