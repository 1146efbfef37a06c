"""What the commands say and refuse as plans are loaded, overtaken and undone, against a sandbox in this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from migrate.app.context import Context
from migrate.app.cutover.run import CutoverRequest, prepare_cutover, run_cutover
from migrate.app.damage import find_damage
from migrate.app.evidence import run_evidence
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.reconcile import run_reconcile, summarise_reconciliation
from migrate.app.remake import next_plan_command
from migrate.app.standing import read_standing
from migrate.app.status import read_status
from migrate.app.trace import run_trace
from migrate.app.undo import run_undo
from migrate.config import Limit
from migrate.errors import Damaged, GateError, Stale, TargetChanged
from migrate.load.ledger_view import LedgerView
from migrate.plan.open_plan import check_fresh, open_plan
from migrate.progress import Silence
from migrate.report.about import conditions_of
from migrate.report.reconcile import judge_reconciliation
from migrate.report.status import render_status, summarise_status
from migrate.report.undo import render_undo, summarise_undo
from tests.app.shop import Shop, open_shop

MAPPING = """
version: 1
dataset: contacts
resource: profiles
key: [contact_key]
columns:
  contact_key: {from: id, type: text}
  city: {from: city, type: text}
"""


class Notes(Silence):
    """Keeps what was noted."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        """Kept."""
        self.told.append(text)


class Town(Shop):
    """A shop whose customers move."""

    gates = ""

    def feed(self, *people: dict[str, Any]) -> None:
        """The source gets records, or newer versions of them."""
        self.send("profiles", *people)

    def cities(self) -> dict[str, str]:
        """What the target holds."""
        rows = self.held("contacts", "contact_key")
        return {key: row["city"] for key, row in rows.items()}

    def state(self, plan: str) -> str:
        """The state of a plan."""
        return read_standing(self.context.workspace, open_plan(self.context.workspace, plan)).state

    def load(self, name: str) -> None:
        """Loads it."""
        run_load(self.context, name=name)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Town]:
    """Ten people at the source, all of them in the target already with an older city."""
    with open_shop(Town, tmp_path / "project", {"contacts": MAPPING}) as made:
        made.feed(*({"profileid": str(n), "city": "New"} for n in range(10)))
        made.write("contacts", *({"contact_key": str(n), "city": "Old"} for n in range(10)))
        run_extract(made.context, ["profiles"], "first")
        yield made


def test_what_a_later_plan_wrote_is_judged_with_that_plan(shop: Town) -> None:
    """Of an older plan the rest is verified; where nothing is left, nothing is proven of it."""
    shop.plan("a")
    shop.load("a")
    for name, people in (("b", range(3)), ("c", range(10))):
        shop.feed(*({"profileid": str(n), "city": name} for n in people))
        run_extract(shop.context, ["profiles"], f"of-{name}")
        shop.plan(name, snapshot=f"of-{name}")
        shop.load(name)
        found = run_reconcile(shop.context, "a", deep=True, wait_s=0).datasets["contacts"].deep
        assert found is not None
        written = 3 if name == "b" else 10
        assert (found.different, found.verified, sum(found.unsettled.values())) == (
            0,
            10 - written,
            written,
        )
        assert found.verdict == ("match" if found.verified else "unverified")


def test_an_overtaken_plan_is_not_loaded(shop: Town) -> None:
    """An older plan must not write over what a newer one has written, and says which one that was."""
    shop.plan("a")
    shop.feed(*({"profileid": str(n), "city": "Newest"} for n in range(10)))
    run_extract(shop.context, ["profiles"], "second")
    shop.plan("b", snapshot="second")
    shop.load("b")
    assert (shop.state("a"), shop.state("b")) == ("overtaken", "loaded")
    with pytest.raises(Stale, match="overtaken: plan b was later loaded into contacts") as caught:
        shop.load("a")
    # Of the snapshot that plan a is of a new plan would do the same as this one.
    assert str(caught.value.hint).endswith(": migrate plan")
    assert set(shop.cities().values()) == {"Newest"}
    status = read_status(shop.context.workspace)
    assert [plan["state"] for plan in summarise_status(status)["plans"]] == ["overtaken", "loaded"]
    assert "a: overtaken: plan b was later loaded" in render_status(status)
    told = {}
    for snapshot in ("first", "second"):
        notes = Notes()
        run_plan(replace(shop.context, progress=notes), name=f"of-{snapshot}", snapshot=snapshot)
        told[snapshot] = [text for text in notes.told if "gives back what was true then" in text]
    assert told["second"] == []
    assert "plan b of the newer snapshot second was loaded before" in told["first"][0]


def test_a_canary_that_stopped_a_load_is_told(shop: Town) -> None:
    """The status says why nothing was sent, until the load goes on."""
    shop.plan("a")
    faults = f"{shop.box.url}/_sandbox/faults"
    httpx.post(faults, json=["octolis:400@path=*batch"]).raise_for_status()
    with pytest.raises(GateError, match="refuses the canary"):
        shop.load("a")
    assert "a: the canary of contacts was refused" in render_status(
        read_status(shop.context.workspace)
    )
    httpx.post(faults, json=[]).raise_for_status()
    shop.load("a")
    assert "canary" not in render_status(read_status(shop.context.workspace))


def strict(shop: Town, allowed: int = 0) -> Context:
    """The shop's job with so many changes of the target allowed."""
    limit = Limit(text=str(allowed), number=allowed)
    gates = shop.context.project.gates.model_copy(update={"max_target_change": limit})
    project = shop.context.project.model_copy(update={"gates": gates})
    return replace(shop.context, project=project)


def test_a_load_that_a_changed_target_has_stopped_is_not_suggested_again(shop: Town) -> None:
    """The same load would be stopped alike: a new plan comes next, until somebody lets this one go on."""
    shop.plan("a")
    shop.write("contacts", {"contact_key": "3", "city": "Theirs"})
    with pytest.raises(TargetChanged, match="1 planned record changed") as caught:
        run_load(strict(shop), name="a")
    assert caught.value.remake == "migrate plan --snapshot first"
    assert caught.value.remake in str(caught.value.hint)
    status = read_status(shop.context.workspace)
    assert status.next == "migrate plan --snapshot first"
    assert "a: others have written to contacts since it was read" in render_status(status)
    [told] = summarise_status(status)["plans"]
    assert (told["state"], told["changed_target"]["datasets"]) == ("planned", ["contacts"])
    run_load(strict(shop, 1), name="a")
    status = read_status(shop.context.workspace)
    assert (status.next, shop.state("a")) == ("migrate reconcile --plan a", "loaded")
    assert "others have written" not in render_status(status)


def test_what_stopped_one_dataset_is_not_forgotten_over_another(tmp_path: Path) -> None:
    """Another dataset of the plan is loaded, and the first one still needs a new plan."""
    texts = {"contacts": MAPPING, "people": MAPPING.replace("dataset: contacts", "dataset: people")}
    with open_shop(Town, tmp_path / "project", texts) as shop:
        shop.feed(*({"profileid": str(n), "city": "New"} for n in range(3)))
        for name in texts:
            shop.write(name, *({"contact_key": str(n), "city": "Old"} for n in range(3)))
        run_extract(shop.context, ["profiles"], "first")
        shop.plan("a")
        shop.write("people", {"contact_key": "1", "city": "Theirs"})
        with pytest.raises(TargetChanged):
            run_load(strict(shop), ["people"], name="a")
        run_load(strict(shop), ["contacts"], name="a")
        status = read_status(shop.context.workspace)
        assert (shop.state("a"), status.next) == ("loading", "migrate plan --snapshot first")
        assert "others have written to people since" in render_status(status)


def test_what_comes_after_an_undo_takes_nothing_newer_back(shop: Town) -> None:
    """Where a night was loaded since, the base comes back first and then the night; never the base alone at last."""
    shop.plan("a")
    shop.load("a")
    shop.plan("x")
    shop.feed(*({"profileid": str(n), "city": "Newest"} for n in range(2)))
    run_extract(shop.context, ["profiles"], "night", since="first")
    shop.plan("n", snapshot="night")
    shop.load("n")
    with pytest.raises(Stale, match="overtaken: plan n") as caught:
        shop.load("x")
    night = "migrate plan --snapshot night --base first"
    assert str(caught.value.hint).endswith(f": {night}")
    run_undo(shop.context, "a", wait_s=0)
    workspace = shop.context.workspace
    plan = open_plan(workspace, "a")
    first = next_plan_command(workspace, plan, read_standing(workspace, plan))
    assert first == "migrate plan --snapshot first"
    shop.plan("b", snapshot="first")
    shop.load("b")
    assert next_plan_command(workspace, plan, read_standing(workspace, plan)) == night
    shop.plan("m", snapshot="night", base="first")
    shop.load("m")
    assert sorted(shop.cities().values()) == ["New"] * 8 + ["Newest"] * 2


def test_an_undone_plan_says_so_everywhere(shop: Town) -> None:
    """Status, reconcile and evidence tell of the undo; the plan is not loaded again; a new one is."""
    shop.plan("a")
    shop.load("a")
    done = run_undo(shop.context, "a", wait_s=0)
    assert (done.restored, done.verified) == (10, 10)
    assert set(shop.cities().values()) == {"Old"}
    assert run_undo(shop.context, "a", wait_s=0).restored == 0
    with LedgerView(shop.context.workspace.ledger) as view:
        # Whoever looks again has not undone it: the word of who did, and when, is the first one.
        assert [event.event for event in view.events("a")].count("undone") == 1
    status = read_status(shop.context.workspace)
    assert status.next == "migrate plan --snapshot first"
    [plan] = summarise_status(status)["plans"]
    assert (plan["state"], plan["undone"]["scope"]) == ("undone", "whole")
    assert plan["undone"]["restored"] == {"contacts": 10}
    with pytest.raises(Stale, match="undone: 10 records restored"):
        shop.load("a")
    found = run_reconcile(shop.context, "a", wait_s=0)
    assert judge_reconciliation(found) == (4, "undone")
    summary = summarise_reconciliation(found)
    assert (summary["state"], summary["datasets"]["contacts"]["verdict"]) == ("undone", "undone")
    assert run_evidence(shop.context, "a").standing.state == "undone"
    shop.plan("c")
    shop.load("c")
    assert (shop.state("a"), shop.state("c")) == ("undone", "loaded")
    assert set(shop.cities().values()) == {"New"}


def test_a_night_does_not_stand_on_an_undone_load(shop: Town) -> None:
    """Neither a delta's plan nor the cut-over goes on from it: eight of ten people would never be sent."""
    shop.plan("a")
    shop.load("a")
    run_undo(shop.context, "a", wait_s=0)
    shop.feed(*({"profileid": str(n), "city": "Newest"} for n in range(2)))
    run_extract(shop.context, ["profiles"], "night", since="first")
    with pytest.raises(Stale, match="10 records hold what they held before plan a") as caught:
        shop.plan("n", snapshot="night")
    assert "migrate plan --snapshot first" in str(caught.value.hint)
    request = CutoverRequest()
    with pytest.raises(Stale, match="which was undone"):
        run_cutover(shop.context, prepare_cutover(shop.context, request), request)
    shop.plan("c", snapshot="first")
    shop.load("c")
    shop.plan("n2", snapshot="night")
    shop.load("n2")
    assert sorted(shop.cities().values()) == ["New"] * 8 + ["Newest"] * 2


def test_the_undo_of_a_night_leaves_its_base(shop: Town) -> None:
    """What was put back of the night is what the base has loaded: the next night goes on from there."""
    shop.plan("a")
    shop.load("a")
    shop.feed(*({"profileid": str(n), "city": "Newest"} for n in range(2)))
    run_extract(shop.context, ["profiles"], "night", since="first")
    shop.plan("n", snapshot="night")
    shop.load("n")
    run_undo(shop.context, "n", wait_s=0)
    assert set(shop.cities().values()) == {"New"}
    assert run_reconcile(shop.context, "a", wait_s=0).verdict == "unverified"
    assert run_reconcile(shop.context, "a", deep=True, wait_s=0).verdict == "match"
    request = CutoverRequest(name="again")
    ready = prepare_cutover(shop.context, request)
    assert (ready.base, ready.broken) == ("first", ())
    done = run_cutover(shop.context, ready, request)
    assert done.run is not None
    assert done.run.stopped is None
    assert sorted(shop.cities().values()) == ["New"] * 8 + ["Newest"] * 2


def test_a_plan_that_found_all_there_before_an_undo_proves_nothing(shop: Town) -> None:
    """It has nothing to send and no equation, and what it found equal was taken away below it."""
    shop.plan("a")
    shop.load("a")
    shop.plan("b")
    assert judge_reconciliation(run_reconcile(shop.context, "b", wait_s=0)) == (0, "match")
    run_undo(shop.context, "a", wait_s=0)
    assert shop.state("b") == "overtaken"
    assert judge_reconciliation(run_reconcile(shop.context, "b", wait_s=0)) == (4, "unverified")


def test_the_undo_of_one_of_two(shop: Town) -> None:
    """A plan that found the other's values equal is overtaken by the undo of that one, and by nothing else."""
    shop.plan("a")
    shop.load("a")
    shop.plan("b")
    shop.load("b")
    run_undo(shop.context, "a", wait_s=0)
    assert (shop.state("a"), shop.state("b")) == ("undone", "overtaken")
    with pytest.raises(Stale, match="plan a was later undone in contacts"):
        shop.load("b")
    counted = run_reconcile(shop.context, "b", wait_s=0)
    assert counted.datasets["contacts"].difference == 0
    assert judge_reconciliation(counted) == (4, "unverified")
    assert "plan a was later undone" in counted.datasets["contacts"].explanations[0]
    assert judge_reconciliation(run_reconcile(shop.context, "b", deep=True, wait_s=0))[0] == 4


def test_an_undo_takes_back_nothing_of_the_plan_after_it(shop: Town) -> None:
    """What was taken back and written again by a new plan is that plan's, though the value is the same."""
    shop.plan("a")
    shop.load("a")
    run_undo(shop.context, "a", wait_s=0)
    shop.plan("c")
    shop.load("c")
    loaded = shop.cities()
    again = run_undo(shop.context, "a", wait_s=0)
    assert (again.restored, again.datasets[0].count("changed_since")) == (0, 10)
    assert (shop.cities(), shop.state("c")) == (loaded, "loaded")
    assert run_undo(shop.context, "c", wait_s=0).restored == 10


def test_what_was_loaded_is_looked_at_with_its_own_mapping(shop: Town) -> None:
    """After the mapping was fixed, undo, deep verification, trace and evidence of the first plan still work."""
    shop.plan("a")
    shop.load("a")
    mapping = shop.context.project.mappings / "contacts.yaml"
    mapping.write_text(
        MAPPING.replace("from: city", "from: town") + "  zip: {from: zip, type: text}\n"
    )
    with pytest.raises(
        Stale, match=r"mapping contacts.yaml \(contacts\) was edited: 2 lines"
    ) as caught:
        check_fresh(
            open_plan(shop.context.workspace, "a"), shop.context.project, shop.context.workspace
        )
    assert "+  city: {from: town, type: text}" in caught.value.what
    found = run_reconcile(shop.context, "a", deep=True, wait_s=0)
    assert found.verdict == "match"
    assert run_evidence(shop.context, "a").parts
    facts = run_trace(shop.context, "profiles", "3", "Shop", "a", live=False)
    assert set(facts["datasets"]["contacts"]["mapped"][0]["columns"]) == {"contact_key", "city"}
    mapping.unlink()
    done = run_undo(shop.context, "a", wait_s=0)
    assert (done.restored, done.verified) == (10, 10)
    assert set(shop.cities().values()) == {"Old"}


def test_the_texts_of_a_plan_are_not_edited(shop: Town) -> None:
    """A plan whose own copy of a mapping was touched is damaged, and says so."""
    shop.plan("a")
    shop.load("a")
    (shop.context.workspace.plans / "a" / "mappings" / "contacts.yaml").write_text(
        MAPPING + "# touched\n"
    )
    with pytest.raises(Damaged, match=r"contacts.yaml is not what plan.json says"):
        run_undo(shop.context, "a", wait_s=0)
    plan = open_plan(shop.context.workspace, "a")
    (plan.folder / "mappings" / "contacts.yaml").unlink()
    with pytest.raises(Damaged, match=r"contacts.yaml is not what plan.json says"):
        conditions_of(plan, "contacts")
    damage = find_damage(shop.context.workspace)
    assert damage is not None
    assert "contacts.yaml is not what plan.json says" in damage.what


def test_an_undo_names_what_others_have_written(shop: Town) -> None:
    """Records that others changed between the reading and the load are counted and listed: theirs is what is lost."""
    gates = shop.context.project.gates.model_copy(
        update={"max_target_change": Limit(text="5", number=5)}
    )
    project = shop.context.project.model_copy(update={"gates": gates})
    shop.context = replace(shop.context, project=project)
    shop.plan("a")
    shop.write("contacts", *({"contact_key": str(n), "city": "Theirs"} for n in (3, 4)))
    shop.load("a")
    done = run_undo(shop.context, "a", wait_s=0)
    assert (done.restored, done.foreign) == (10, {"contacts": 2})
    [file] = [file for file in done.lists if file.name == "undo-foreign-contacts.csv"]
    lines = file.read_text("utf-8-sig").splitlines()
    assert lines[0] == '"dataset_id","masterid","of_the_plan","after_our_write","seen_at"'
    assert [line.split(",")[2] for line in lines[1:]] == ['"yes"', '"yes"']
    assert "Others were seen to write" in render_undo(done)
    assert summarise_undo(done)["foreign"] == {"contacts": 2}
