"""Recipes of the target are recognised by what they did to every value, or not at all."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from migrate.plan.classify import ComparedColumns, label_rows
from migrate.plan.shipments import (
    LEAST_ROWS,
    Shipment,
    is_spelling_only,
    was_sent,
)
from migrate.plan.tables import FrameTable

NEW = [" Jan  de Vries", "ANNA B", "piet c", "Ó Brien ", "x y", "+31 (0)6-1"]


def recognise(new: list[str], old: list[str | None]) -> str | None:
    """What is recognised between two columns, before anything proves it."""
    keys = [str(number) for number in range(len(new))]
    ours = pl.DataFrame({"_key": keys, "key": keys, "name": new})
    texts = {"__masterid__": keys, "key": keys, "name": old}
    theirs = pl.DataFrame(texts, schema_overrides={"name": pl.String})
    columns = ComparedColumns({"key": pl.String(), "name": pl.String()}, ["key"])
    nowhere = Path("nothing is put aside of so few rows")
    found = label_rows(FrameTable(ours), FrameTable(theirs), columns, nowhere)
    return found.unproven.get("name")


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("lowercases", str.lower),
        ("uppercases", str.upper),
        ("removes spaces", lambda text: "".join(text.split())),
        ("trims and lowercases", lambda text: text.strip().lower()),
    ],
)
def test_a_recipe_that_explains_every_value_is_named(name: str, made) -> None:
    """Enough values changed, all of them as the recipe does, the others as it leaves them."""
    new = NEW * 2
    assert recognise(new, [made(text) for text in new]) == name


def test_one_value_that_it_does_not_explain_is_enough_against_it() -> None:
    """A real change hides behind no recipe."""
    assert recognise(NEW * 2, [*[text.lower() for text in NEW * 2][:-1], "other"]) is None


def test_few_values_prove_nothing() -> None:
    """Fewer than five may be changes of the source that look like a recipe."""
    few = [f"Name {n}" for n in range(LEAST_ROWS - 1)]
    old = [text.lower() for text in few]
    assert recognise(few, old) is None
    assert recognise([*few, "Name"], [*old, "name"]) == "lowercases"
    pairs = pl.DataFrame({"new": few, "old": old})
    assert is_spelling_only(pairs, pl.String())
    assert not is_spelling_only(pairs, pl.Int32())


def test_an_empty_target_is_no_recipe() -> None:
    """A column that the target does not hold differs everywhere, and has to be sent."""
    assert recognise(["a b"] * 9, [None] * 9) is None
    assert recognise(["abc"] * 9, [""] * 9) is None


def test_a_recognised_column_makes_no_update(bench, make_profile) -> None:
    """It is report-only, said in the warnings, once what is planned was sent; `recipe: false` sends it all the same."""
    bench.snapshot.resources["profiles"].records = [
        make_profile(n, name=f"Name {n}") for n in range(1, 9)
    ]
    bench.target.datasets["id-contacts"] = [
        {"__masterid__": f"m{n}", "contact_key": f"a{n}@example.test", "name": f"NAME {n}"}
        | {"created_at": f"2024-01-{n % 28 + 1:02d} 10:00:00"}
        for n in range(1, 9)
    ]
    first = bench.plan("first", datasets=("contacts",))
    counts = first.document.datasets["contacts"]
    assert (counts.update, counts.change_counts, counts.recipes) == (8, {"name": 8}, {})
    assert any(
        "though the target looks as if it uppercases" in warning for warning in counts.warnings
    )
    bench.sent = lambda _dataset: [
        Shipment(first.file("contacts", "records.parquet"), {}, arrived=True)
    ]
    counts = bench.plan("one", datasets=("contacts",)).document.datasets["contacts"]
    assert (counts.unchanged, counts.recipe_counts, counts.recipes) == (
        8,
        {"name": 8},
        {"name": "uppercases"},
    )
    assert any("recipe: false" in warning for warning in counts.warnings)
    text = (bench.project.mappings / "contacts.yaml").read_text()
    bench.write_mapping(
        "contacts",
        text.replace("{from: name, type: text}", "{from: name, type: text, recipe: false}"),
    )
    counts = bench.plan("two", datasets=("contacts",)).document.datasets["contacts"]
    assert (counts.update, counts.recipes) == (8, {})


def ship(
    folder: Path, number: int, sent: dict[str, str | None], *, arrived: bool = True
) -> Shipment:
    """A load of these values by key."""
    file = folder / f"{number}.parquet"
    pl.DataFrame(
        {"key": list(sent), "_name": list(sent.values())},
        schema=dict.fromkeys(["key", "_name"], pl.String),
    ).write_parquet(file)
    return Shipment(file, {"name": "_name"}, arrived)


KEYS = [f"k{number}" for number in range(LEAST_ROWS)]
OURS, OTHERS = dict.fromkeys(KEYS, "Jan"), dict.fromkeys(KEYS, "JAN")


@pytest.mark.parametrize(
    ("loads", "proven"),
    [
        ([], False),
        ([(OURS, True)], True),
        ([(OURS, False)], False),
        ([(OTHERS, True)], False),
        ([(OTHERS, True), (OURS, True)], True),
        ([(OURS, True), (OTHERS, True)], False),
        ([(OURS, True), (OTHERS, False)], False),
        ([(OURS, True), (OURS, False)], False),
        ([(OURS, True), ({"k0": "JAN"}, True)], False),
        ([(OURS, True), ({"k0": None}, True)], False),
        ([(OURS, True), ({"elsewhere": "JAN"}, True), ({}, True)], True),
        ([({"k0": "Jan"}, True)], False),
        ([(dict.fromkeys(KEYS[:2], "Jan"), True), (dict.fromkeys(KEYS[2:], "Jan"), True)], True),
    ],
)
def test_what_proves_that_a_value_was_sent(
    tmp_path: Path, loads: list[tuple[dict, bool]], proven: bool
) -> None:
    """The last of each row counts: five the same that arrived, none another; what may not have, proves nothing."""
    shipments = [
        ship(tmp_path, number, sent, arrived=arrived)
        for number, (sent, arrived) in enumerate(loads)
    ]
    asked = pl.DataFrame({"key": [*KEYS, "never-sent"], "new": "Jan"})
    assert was_sent(shipments, "name", asked) is proven


def test_a_load_without_the_column_says_nothing(tmp_path: Path) -> None:
    """An earlier mapping had no such column."""
    shipments = [
        ship(tmp_path, 1, OURS),
        Shipment(ship(tmp_path, 2, OTHERS).records, {}, arrived=True),
    ]
    assert was_sent(shipments, "name", pl.DataFrame({"key": KEYS, "new": "Jan"}))
