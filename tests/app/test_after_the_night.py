"""The other commands after a night: they take the delta for what it is, the last part of a union."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from migrate.app.cutover.run import CutoverRequest, prepare_cutover, run_cutover
from migrate.app.erasure import erase_person
from migrate.app.pipeline import run_plan
from migrate.app.status import read_status
from migrate.app.trace import run_trace
from migrate.errors import UsageError
from migrate.plan.open_plan import check_fresh, open_plan
from migrate.snapshot.union import UnionResource, open_union
from tests.app.night_stage import Shop
from tests.harness import Project


@pytest.fixture
def shop(make_project: Callable[..., Project]) -> Shop:
    """A small shop after its night."""
    shop = Shop(make_project(feeding=False))
    shop.open()
    shop.go_on()
    context, request = shop.context(), CutoverRequest(name="night")
    run_cutover(context, prepare_cutover(context, request), request)
    return shop


def test_the_night_is_the_last_thing_that_was_done(shop: Shop) -> None:
    """Its plan is loaded and counted, so its evidence is next; the old whole snapshot is not planned again."""
    assert read_status(shop.context().workspace).next == "migrate evidence --plan night"


def test_a_record_is_traced_wherever_it_lies(shop: Shop) -> None:
    """One of the delta as it is now, one that the delta left alone from the base."""
    changed = run_trace(shop.context(), "profiles", "4", None, "night", live=False)
    assert '"Changed"' in changed["snapshot"]["record"]
    same = run_trace(shop.context(), "profiles", "10", None, "night", live=False)
    assert '"Name 10"' in same["snapshot"]["record"]
    assert set(same["datasets"]) == {"contacts"}


def test_a_person_is_erased_and_the_next_night_still_builds_on_it(shop: Shop) -> None:
    """The manifests of base and delta get new hashes, and each goes on naming the other's."""
    found = erase_person(shop.context(), "p4@example.org", None)
    assert found.records
    context = shop.context()
    resource = open_union(context.workspace, "night").resource("profiles")
    assert isinstance(resource, UnionResource)
    assert "4" not in {id_ for frame in resource.frames([]) for id_ in frame["_id"]}
    check_fresh(open_plan(context.workspace, "night"), context.project, context.workspace)
    request = CutoverRequest(name="later")
    done = run_cutover(context, prepare_cutover(context, request), request)
    assert done.base == "night"


@pytest.mark.parametrize("left", ["nothing", "plan.json"])
def test_the_name_of_a_loaded_plan_is_not_given_again(shop: Shop, left: str) -> None:
    """Though its files are gone: the ledger's counts would be taken for the new plan's. The target is not asked."""
    folder = shop.context().workspace.plans / "night"
    shutil.rmtree(folder) if left == "nothing" else (folder / "plan.json").unlink()
    before = shop.project.state()["total_requests"]
    with pytest.raises(UsageError, match="a plan 'night' was loaded before") as caught:
        run_plan(shop.context(), ["contacts"], snapshot="first", name="night")
    assert "another --plan" in (caught.value.hint or "")
    assert shop.project.state()["total_requests"] == before
    assert (
        run_plan(shop.context(), ["contacts"], snapshot="first", name="another", offline=True).name
        == "another"
    )
