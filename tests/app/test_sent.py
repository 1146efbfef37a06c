"""A recipe of the target, or a change of ours: told apart by what was loaded from this workspace."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.reconcile import run_reconcile
from migrate.app.undo import run_undo
from migrate.errors import GateError
from migrate.plan.document import DatasetPlan
from tests.app.night_stage import PROFILES, Shop, profile
from tests.harness import TARGET_KEY, Project
from tests.verify.conftest import HEADERS

RECIPE = """
[contacts]
keys = [["contact_key"]]
[contacts.columns]
contact_key = {type = "text"}
city = {type = "text", recipe = "uppercase"}
"""


def write_mapping(shop: Shop, apply: str) -> None:
    """The mapping of contacts with these functions on the city."""
    (shop.project.folder / "mappings" / "contacts.yaml").write_text(
        "version: 1\ndataset: contacts\nresource: profiles\nkey: [contact_key]\ncolumns:\n"
        f"  contact_key: {{from: profileid, type: text}}\n  city: {{from: city, type: text, apply: [{apply}]}}\n",
        encoding="utf-8",
    )


def open_shop(make_project: Callable[..., Project], apply: str, **sandbox: object) -> Shop:
    """A shop of forty contacts in a snapshot; nothing is loaded."""
    shop = Shop(make_project(feeding=False, **sandbox))
    for file in (shop.project.folder / "mappings").glob("*.yaml"):
        file.unlink()
    write_mapping(shop, apply)
    shop.ask(
        "POST",
        "profile/bulk",
        {"profiles": [profile(number, "Name") for number in range(PROFILES)]},
    )
    run_extract(shop.context(), ["profiles"], "first")
    return shop


def plan(shop: Shop, name: str) -> DatasetPlan:
    """The counts of a new plan."""
    return run_plan(shop.context(), ["contacts"], snapshot="first", name=name).document.datasets[
        "contacts"
    ]


def overwrite(shop: Shop, key: str, city: str) -> None:
    """Somebody else gives one contact another city."""
    assert shop.project.sandbox is not None
    url = f"{shop.project.sandbox.octolis_url}/datasets/contacts/records"
    body = {"contact_key": key, "city": city}
    reply = httpx.post(url, params={"api-key": TARGET_KEY}, json=body, headers=HEADERS)
    reply.raise_for_status()


def test_a_recipe_is_believed_once_a_load_has_proven_it(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    """Before, all is sent, also what another tool has written; a proof that is gone proves nothing; and a value
    that no recipe makes is damage, though the column has one."""
    (tmp_path / "datasets.toml").write_text(RECIPE, encoding="utf-8")
    shop = open_shop(make_project, "trim", datasets=tmp_path / "datasets.toml", mappings=None)
    assert plan(shop, "one").create == PROFILES
    with pytest.raises(GateError, match="stored with other capital letters"):
        run_load(shop.context(), name="one")
    run_load(shop.context(), name="one", canary=0)
    for name in ("two", "three"):
        counts = plan(shop, name)
        assert (counts.unchanged, counts.update, counts.recipes) == (
            PROFILES,
            0,
            {"city": "uppercases"},
        )
        run_load(shop.context(), name=name)
    overwrite(shop, "3", "Utrecht")
    deep = run_reconcile(shop.context(), "three", deep=True, wait_s=0).datasets["contacts"].deep
    assert deep is not None
    assert (deep.recipe_changed, deep.different, deep.cells) == (PROFILES - 1, 1, {"city": 1})
    overwrite(shop, "3", "City 3")
    shutil.rmtree(shop.context().workspace.plans / "one")
    counts = plan(shop, "four")
    assert (counts.update, counts.recipes) == (PROFILES, {})
    (warning,) = counts.warnings
    assert "city is sent, though the target looks as if it uppercases every value" in warning
    assert "declare `recipe: true`" in warning


def test_a_change_of_the_mapping_is_no_recipe(make_project: Callable[..., Project]) -> None:
    """The target holds capitals because we sent them: what the mapping says now is sent, also after an undo."""
    shop = open_shop(make_project, "uppercase")
    plan(shop, "upper")
    run_load(shop.context(), name="upper")
    write_mapping(shop, "lowercase")
    counts = plan(shop, "lower")
    assert (counts.update, counts.change_counts, counts.recipes) == (
        PROFILES,
        {"city": PROFILES},
        {},
    )
    assert any(
        "though the target looks as if it uppercases" in warning for warning in counts.warnings
    )
    run_load(shop.context(), name="lower")
    assert plan(shop, "same").unchanged == PROFILES
    run_undo(shop.context(), "lower", wait_s=0)
    assert plan(shop, "again").update == PROFILES


@pytest.mark.parametrize("other", [{"contacts": '"other"'}, {}])
def test_another_dataset_proves_nothing(
    make_project: Callable[..., Project], other: dict[str, str]
) -> None:
    """What was sent to the dataset of a trial says nothing of the one that is loaded now."""
    from migrate.app.shipments import find_shipments

    shop = open_shop(make_project, "uppercase")
    plan(shop, "upper")
    run_load(shop.context(), name="upper")
    if other:
        shop.project.write(datasets=f"contacts = {other['contacts']}")
    context = shop.context()
    assert len(find_shipments(context.project, context.workspace)("contacts")) == (
        0 if other else 1
    )
