"""The night of the cut-over, stage by stage: what is sent, what is built on, and how it goes on after a stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from migrate.app.context import Context
from migrate.app.cutover.loaded import read_loaded
from migrate.app.cutover.rehearse import fields_of, rehearse_cutover
from migrate.app.cutover.run import Cutover, CutoverRequest, again, prepare_cutover, run_cutover
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.status import PlanState, Status
from migrate.config import Gates
from migrate.demo.drift import Shares
from migrate.errors import (
    GateError,
    Interrupted,
    MigrateError,
    TargetChanged,
    UsageError,
    WorkspaceError,
)
from migrate.privacy.own import mark_rehearsal
from migrate.verify.reconcile import DatasetBooks
from migrate.workspace import Workspace
from tests.app.night_stage import Shop, profile, sale
from tests.harness import TARGET_KEY, Project, from_batch

NOTHING = (0, 0)


@pytest.fixture
def shop(make_project: Callable[..., Project]) -> Shop:
    """A small shop that was migrated weeks ago."""
    shop = Shop(make_project(feeding=False))
    shop.open()
    return shop


def night(context: Context, request: CutoverRequest | None = None) -> Cutover:
    """A whole night."""
    request = request or CutoverRequest()
    return run_cutover(context, prepare_cutover(context, request), request)


def written(cutover: Cutover) -> dict[str, int]:
    """Records written by dataset."""
    assert cutover.run is not None
    assert cutover.run.loaded is not None
    return {name: found.written for name, found in cutover.run.loaded.datasets.items()}


def state_of(context: Context, name: str) -> dict[str, Any]:
    """What the workspace keeps of a night."""
    found = json.loads((context.workspace.reports / f"{name}-cutover.json").read_bytes())
    assert isinstance(found, dict)
    return found


def test_only_what_changed_is_sent_and_nothing_is_left(shop: Shop) -> None:
    """Two changed and three new profiles and a new sale; then a whole plan has nothing to create or update."""
    shop.go_on()
    done = night(shop.context(), CutoverRequest(name="night"))
    assert done.base == "first"
    assert (written(done)["contacts"], written(done)["orders"]) == (5, 1)
    assert done.run is not None
    assert done.run.reconciliation is not None
    assert done.run.reconciliation.matches
    assert set(done.night.stages) == {"extract", "plan", "load", "reconcile"}
    assert all(step.actual_s is not None for step in done.night.steps)
    assert state_of(shop.context(), "night")["over"]
    left = shop.differences()
    assert (left["contacts"], left["orders"]) == (NOTHING, NOTHING)


def test_the_next_night_builds_on_the_last(shop: Shop) -> None:
    """What was loaded last is built on, also where it is a delta; a snapshot that was only looked at is not."""
    first = night(shop.context())
    shop.go_on()
    run_extract(shop.context(), ["profiles", "sales"], "only-looked-at", since="first")
    second = night(shop.context())
    assert (first.base, second.base) == ("first", first.name)
    assert written(second)["contacts"] == 5
    assert shop.differences()["contacts"] == NOTHING


@pytest.mark.parametrize("last", ["extract", "plan", "load"])
def test_a_night_that_stopped_goes_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """After each stage: the same request takes up the same delta and the same plan, and nothing is sent twice."""
    shop.go_on()
    context, request = shop.context(), CutoverRequest()
    ready = prepare_cutover(context, request)

    def stop(_cutover: Cutover, stage: str) -> None:
        if stage == last:
            raise RuntimeError("the machine fell asleep")

    with pytest.raises(RuntimeError, match="fell asleep"):
        run_cutover(context, ready, request, stop)
    assert not state_of(context, ready.name)["over"]
    again = night(shop.context())
    assert (again.name, again.base) == (ready.name, ready.base)
    assert written(again)["contacts"] == 5
    assert again.run is not None
    assert again.run.loaded is not None
    assert sum(found.requests for found in again.run.loaded.datasets.values()) == 2
    assert list(again.before)[-1] == last
    assert all(again.night.stages[stage] > seconds for stage, seconds in again.before.items())
    later = replace(shop.context(), now=lambda: datetime.now(UTC) + timedelta(minutes=5))
    assert prepare_cutover(later, request).base == again.name
    assert prepare_cutover(later, request).name != again.name


def test_an_interruption_names_the_command_that_goes_on(shop: Shop) -> None:
    """Whatever stage it fell into."""
    context = shop.context()
    context.stop.set()
    with pytest.raises(Interrupted) as caught:
        night(context, CutoverRequest(name="tonight"))
    assert caught.value.hint == "migrate cutover --since first --name tonight"


def test_a_gate_stops_before_the_load(shop: Shop) -> None:
    """Nothing is written, and the night goes on once the gate is opened."""
    shop.go_on()
    context = shop.context()
    closed = replace(
        context,
        project=context.project.model_copy(
            update={"gates": Gates.model_validate({"max_updates": 0})}
        ),
    )
    stopped = night(closed, CutoverRequest(name="night"))
    assert stopped.run is not None
    assert isinstance(stopped.run.stopped, GateError)
    assert stopped.run.loaded is None
    assert stopped.night.actual_s is None
    assert written(night(context))["contacts"] == 5


def test_a_night_whose_target_was_written_to_is_not_gone_on_with(shop: Shop) -> None:
    """Its plan would be stopped again: without a name another night begins, and that one reads the target anew."""
    shop.go_on()
    context = shop.context()
    ready = prepare_cutover(context, CutoverRequest(name="night"))

    def write(_cutover: Cutover, stage: str) -> None:
        if stage == "plan":
            write_contact(shop, "shop:4")

    stopped = run_cutover(context, ready, CutoverRequest(name="night"), write)
    assert stopped.run is not None
    assert isinstance(stopped.run.stopped, TargetChanged)
    assert again(stopped) == "migrate cutover --since first --name ANOTHER"
    other = night(after(shop, minutes=1))
    assert (other.name != "night", other.base) == (True, "first")
    assert written(other)["contacts"] == 5
    assert shop.differences()["contacts"] == NOTHING


def write_contact(shop: Shop, key: str) -> None:
    """Somebody changes a contact in the target."""
    assert shop.project.sandbox is not None
    url = f"{shop.project.sandbox.octolis_url}/datasets/contacts/records/batch"
    headers = {"Accept": "*/*", "Content-Type": "application/json"}
    body = [{"contact_key": key, "firstname": "By hand"}]
    httpx.post(url, params={"api-key": TARGET_KEY}, json=body, headers=headers).raise_for_status()


def after(shop: Shop, **passed: float) -> Context:
    """The shop's job some time from now."""
    return replace(shop.context(), now=lambda: datetime.now(UTC) + timedelta(**passed))


def called_off(shop: Shop) -> Cutover:
    """A night that a gate has stopped before its load."""
    shop.go_on()
    closed = shop.context().project.model_copy(
        update={"gates": Gates.model_validate({"max_updates": 0})}
    )
    return night(replace(shop.context(), project=closed), CutoverRequest(name="night"))


def test_a_delta_of_long_ago_is_not_loaded(shop: Shop) -> None:
    """Under the name of a night called off the day before, what changed since would be missing: nothing is asked."""
    called_off(shop)
    before = shop.project.state()["total_requests"]
    with pytest.raises(
        UsageError, match=r"night 'night' is 23 h 00 min old and nothing of it was loaded"
    ) as caught:
        night(after(shop, hours=23), CutoverRequest(name="night"))
    assert caught.value.hint == (
        "migrate cutover --since first --name ANOTHER makes a new one; to load the old one on purpose: "
        "migrate load --plan night"
    )
    assert shop.project.state()["total_requests"] == before
    assert prepare_cutover(after(shop, hours=23), CutoverRequest()).name != "night"


def test_the_age_of_a_delta_is_told(shop: Shop) -> None:
    """A night that goes on after hours says what is not in it; one that goes on at once has nothing to say."""
    called_off(shop)
    assert prepare_cutover(shop.context(), CutoverRequest()).doubts == ()
    late = prepare_cutover(after(shop, hours=3, minutes=5), CutoverRequest())
    assert late.name == "night"
    assert [doubt.partition(", begun at")[0] for doubt in late.doubts] == [
        "the delta is 3 h 05 min old"
    ]


def test_a_load_that_was_begun_is_finished_however_late(shop: Shop) -> None:
    """What was sent cannot be unsent: the rest of it goes the same way, days later too."""
    called_off(shop)
    cut_load(shop, "night", 2)
    done = night(after(shop, days=3), CutoverRequest(name="night"))
    assert [doubt.partition(", begun at")[0] for doubt in done.doubts] == [
        "the delta is 3 days old"
    ]
    assert written(done)["contacts"] == 5
    assert shop.differences() == {"contacts": NOTHING, "orders": NOTHING}


def test_an_unproven_delta_wants_another_name(shop: Shop) -> None:
    """Under the same one it would stop the night again, so that is not what is offered."""
    shop.go_on()
    shop.project.set_faults(("datatrics:wrong-total=+5@path=*profile*",))
    stopped = night(shop.context(), CutoverRequest(name="night"))
    assert stopped.run is not None
    assert "not proven complete" in stopped.run.stopped.what
    assert again(stopped) == "migrate cutover --since first --name ANOTHER"


def test_a_name_that_is_taken_by_another_plan(shop: Shop) -> None:
    """A plan never changes: another name is asked for."""
    run_plan(shop.context(), ["contacts"], snapshot="first", name="taken")
    with pytest.raises(UsageError, match="made from snapshot 'first'"):
        night(shop.context(), CutoverRequest(name="taken"))


def test_the_forecast_of_a_known_shop(shop: Shop) -> None:
    """Pages at the measured rate, rows at the last plan's, requests by share, or as an earlier delta has seen."""
    request = CutoverRequest(shares=Shares(0.5, 0.1, 0))
    steps = {
        (step.stage, step.part): step
        for step in prepare_cutover(shop.context(), request).night.steps
    }
    assert steps["extract", "profiles"].basis.endswith("as in first")
    assert steps["load", "contacts"].basis == "1 request, if 60.0% are new or changed"
    assert steps["plan", ""].basis.endswith("as last time")
    shop.go_on()
    run_extract(shop.context(), ["profiles"], "what-changed", since="first")
    steps = {
        (step.stage, step.part): step
        for step in prepare_cutover(shop.context(), request).night.steps
    }
    assert steps["load", "contacts"].basis == "1 request, at the pace of what-changed"
    assert steps["load", "orders"].basis == "0 requests, at the pace of what-changed"


def test_a_base_that_was_never_loaded_is_a_doubt(make_project: Callable[..., Project]) -> None:
    """The user is told before the night begins; without any snapshot there is nothing to build on."""
    shop = Shop(make_project(feeding=False))
    with pytest.raises(WorkspaceError, match="there is no snapshot"):
        prepare_cutover(shop.context(), CutoverRequest())
    run_extract(shop.context(), ["profiles"], "first")
    (doubt,) = prepare_cutover(shop.context(), CutoverRequest()).doubts
    assert "no plan of snapshot first was loaded" in doubt


@pytest.mark.parametrize(
    ("target", "scope", "left", "snapshots", "cut_short"),
    [
        (None, None, 0, ["contacts"], []),
        (None, None, 3, ["contacts"], ["contacts"]),
        (None, "a part: source MailChimp", 0, [], []),
        (None, "a part: source MailChimp", 3, ["contacts"], ["contacts"]),
        ("test", "a sample", 0, [], []),
        ("test", None, 3, [], []),
    ],
)
def test_what_the_night_builds_on(
    tmp_path: Path,
    target: str | None,
    scope: str | None,
    left: int,
    snapshots: list[str],
    cut_short: list[str],
) -> None:
    """A sample in the test datasets is no load of the real ones, nor is a part one of the whole."""
    books = DatasetBooks("contacts", "id", 10, 0, 10 - left, 0, 0, 10 - left, 0, 0, 0, left)
    plan = PlanState(
        "one",
        finished=True,
        snapshot="first",
        books={"contacts": books},
        target=target,
        scope=scope,
    )
    loaded = read_loaded(Workspace(tmp_path), Status((), (plan,), None), "night")
    assert (list(loaded.snapshots), list(loaded.cut_short)) == (snapshots, cut_short)


def test_a_rehearsal_touches_neither_service(shop: Shop) -> None:
    """The user's records through all stages against a sandbox of its own; nothing of it stays."""
    context = shop.context()
    before = shop.project.state()["total_requests"]
    leftover = mark_rehearsal(context.workspace.root) / "from-a-killed-one"
    leftover.mkdir()
    shown: list[str] = []
    request = CutoverRequest(shares=Shares(0.1, 0.05, 0.05))
    with rehearse_cutover(
        context, request, speed=100, show=lambda cutover, _stage: shown.append(cutover.base)
    ) as done:
        assert not leftover.exists()
        assert written(done.cutover)["contacts"] == 6
    assert done.made_up == {"profiles": (4, 2, 2), "sales": (2, 1, 1)}
    run = done.cutover.run
    assert run is not None
    assert run.reconciliation is not None
    assert run.reconciliation.matches
    assert run.loaded is not None
    assert run.loaded.exports is None
    delta = run.extraction.resources["profiles"].delta
    assert delta is not None
    assert (delta.changed, delta.new, delta.gone) == (4, 2, 2)
    assert set(shown) == {"first"}
    assert shop.project.state()["total_requests"] == before
    assert not leftover.parent.exists()
    assert not list(context.workspace.reports.glob("*-cutover.json"))


def test_the_fields_that_a_rehearsal_may_change(shop: Shop) -> None:
    """What the mappings read, but for keys, look-ups, filters and what ranks records."""
    from migrate.mapping.files import read_mappings

    mappings = read_mappings(shop.context().project.mappings)
    found = fields_of("sales", mappings)
    assert {"total", "currency", "state"} <= set(found.changeable)
    assert not {"id", "source", "profileid", "updated", "items", "conversionid"} & set(
        found.changeable
    )
    assert found.ids == ("conversionid",)


def test_a_rehearsal_that_is_stopped_leaves_nothing(shop: Shop) -> None:
    """Wherever it stops, the hint is the rehearsal's own command, and the room is empty."""
    context = shop.context()

    def stop(_cutover: Cutover, _stage: str) -> None:
        context.stop.set()

    with (
        pytest.raises(Interrupted, match="neither service was asked anything") as caught,
        rehearse_cutover(context, CutoverRequest(), speed=100, show=stop),
    ):
        pass
    assert caught.value.hint == "migrate cutover --rehearse"
    assert not (context.workspace.root / "rehearsal").exists()


def test_two_rehearsals_do_not_meet(shop: Shop) -> None:
    """The second is refused while the first holds the room."""
    context = shop.context()
    with (
        context.workspace.lock(Path(context.workspace.root / ".rehearsal.lock"), "a rehearsal"),
        pytest.raises(WorkspaceError, match="in use"),
        rehearse_cutover(context, CutoverRequest(), speed=100, show=lambda _cutover, _stage: None),
    ):
        pass


def test_nothing_is_missed_of_what_was_loaded_at_different_times(shop: Shop) -> None:
    """The base is the oldest of the snapshots that the datasets were last loaded from; a later one leaves a doubt."""
    run_extract(shop.context(), ["profiles", "sales"], "second")
    run_plan(shop.context(), ["contacts"], snapshot="second", name="second")
    run_load(shop.context(), name="second")
    ready = prepare_cutover(shop.context(), CutoverRequest())
    assert (ready.base, ready.datasets, ready.doubts) == ("first", ("contacts", "orders"), ())
    (doubt,) = prepare_cutover(shop.context(), CutoverRequest(since="second")).doubts
    assert (
        doubt
        == "orders was last loaded from snapshot first: what changed from then to second is not sent tonight"
    )
    run_plan(shop.context(), ["orders"], snapshot="second", name="rest")
    run_load(shop.context(), name="rest")
    assert prepare_cutover(shop.context(), CutoverRequest()).base == "second"


def test_a_feed_goes_along(make_project: Callable[..., Project]) -> None:
    """A mapping that goes to a webhook: on the night only the rows that the delta touches are handed over."""
    project = make_project(feeding=False)
    (project.folder / "mappings" / "visits.yaml").write_text(
        "version: 1\ndataset: visits\ntarget: webhook\nresource: profiles\nkey: [visit]\ncolumns:\n"
        "  visit: {from: id, type: text}\n  firstname: {from: firstname, type: text}\n",
        encoding="utf-8",
    )
    project.write(octolis='[octolis.webhooks.visits]\nid = "w"')
    shop = Shop(project)
    shop.open(["contacts", "orders", "visits"])
    shop.go_on()
    assert written(night(shop.context())) == {"contacts": 5, "orders": 1, "visits": 5}


def test_what_was_never_loaded_is_not_loaded_by_the_night(shop: Shop) -> None:
    """A project has more mappings than were loaded: the night goes on with those that were, by whichever plan."""
    assert prepare_cutover(shop.context(), CutoverRequest()).datasets == ("contacts", "orders")
    run_plan(shop.context(), ["order_items"], snapshot="first", name="lines")
    run_load(shop.context(), name="lines")
    assert prepare_cutover(shop.context(), CutoverRequest()).datasets == (
        "contacts",
        "orders",
        "order_items",
    )


def cut_load(shop: Shop, plan: str, batch: int, settings: str = "") -> None:
    """A load whose requests fail from that batch on."""
    shop.project.write(octolis=f"retry_budget_s = 0.5\nconcurrency = 1\n{settings}")
    shop.project.set_faults((from_batch(batch, "503"),))
    with pytest.raises(MigrateError):
        run_load(shop.context(), name=plan)
    shop.project.set_faults(())
    shop.project.write(octolis=settings)


def test_what_was_loaded_in_part_is_loaded_first(make_project: Callable[..., Project]) -> None:
    """The night would send its changes only: it is refused before anything is asked, and tells how it can begin."""
    shop = Shop(make_project(feeding=False))
    small = "batch_bytes = 10000"
    shop.project.write(octolis=small)
    shop.ask(
        "POST", "profile/bulk", {"profiles": [profile(f"old-{n}", "Name " * 20) for n in range(60)]}
    )
    shop.open(["orders"])
    run_plan(shop.context(), ["contacts"], snapshot="first", name="people")
    cut_load(shop, "people", 2, small)
    shop.go_on()
    ready = prepare_cutover(shop.context(), CutoverRequest(name="night"))
    assert (ready.base, set(ready.datasets)) == ("first", {"orders", "contacts"})
    assert any(
        "are not loaded, and the night does not begin before" in doubt for doubt in ready.doubts
    )
    before = shop.project.state()["total_requests"]
    with pytest.raises(
        WorkspaceError, match=r"contacts: \d+ of 100 records of plan people are not loaded"
    ) as caught:
        night(shop.context(), CutoverRequest(name="night"))
    assert "migrate load --plan people" in (caught.value.hint or "")
    assert shop.project.state()["total_requests"] == before
    run_load(shop.context(), name="people")
    assert written(night(shop.context(), CutoverRequest(name="night"))) == {
        "orders": 1,
        "contacts": 5,
    }
    assert shop.differences()["contacts"] == NOTHING


def test_a_night_that_was_called_off_in_its_load_keeps_no_other_from_beginning(shop: Shop) -> None:
    """All that it was to send has changed since the whole load, so another night plans it anew, and says so."""
    shop.go_on()
    run_extract(shop.context(), ["profiles", "sales"], "called-off", since="first")
    run_plan(shop.context(), ["contacts", "orders"], snapshot="called-off", name="called-off")
    cut_load(shop, "called-off", 2)
    done = night(shop.context(), CutoverRequest(name="night"))
    assert done.doubts == (
        "orders: 1 of 1 records of plan called-off are not loaded; the night plans them again",
    )
    assert (done.base, written(done)["orders"]) == ("first", 1)
    assert shop.differences() == {"contacts": NOTHING, "orders": NOTHING}


def test_a_load_that_sent_nothing_is_told(shop: Shop) -> None:
    """A dataset whose load was begun before its first request failed is not part of the night, and that is said."""
    run_plan(shop.context(), ["order_items"], snapshot="first", name="lines")
    shop.project.write(octolis="retry_budget_s = 0.5")
    shop.project.set_faults(("octolis:503@path=*count*",))
    with pytest.raises(MigrateError):
        run_load(shop.context(), name="lines")
    shop.project.set_faults(())
    shop.project.write()
    ready = prepare_cutover(shop.context(), CutoverRequest())
    assert ready.datasets == ("contacts", "orders")
    assert ready.doubts == (
        "order_items is not part of the night: a load of plan lines was begun, but nothing of it was sent",
    )


def test_a_delta_of_what_was_never_loaded_is_not_loaded(shop: Shop) -> None:
    """By hand too: of the base's order lines none is in the target, and no delta would ever send them."""
    shop.ask("POST", "sale/bulk", {"items": [sale(900, 7)]})
    run_extract(shop.context(), ["profiles", "sales"], "delta", since="first")
    run_plan(shop.context(), ["order_items"], snapshot="delta", name="too-early")
    with pytest.raises(
        GateError, match="order_items: 20 rows of the delta's base are not in the target"
    ):
        run_load(shop.context(), name="too-early")
    run_plan(shop.context(), ["order_items"], snapshot="first", name="lines")
    run_load(shop.context(), name="lines")
    plan = run_plan(shop.context(), ["order_items"], snapshot="delta", name="in-time")
    assert plan.document.datasets["order_items"].outside_missing == 0
    assert run_load(shop.context(), name="in-time").datasets["order_items"].written == 1
