"""What is the same at a glance is the same value by value."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.plan.shipments import text_recipes
from migrate.verify.compare import held_keys
from migrate.verify.naming import is_prepared, is_same, plain_form
from migrate.verify.rules import ColumnRule, DatasetRules

_DIGITS = st.text("0123456789", min_size=1, max_size=4)
NUMBERS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "-", "+"]),
    _DIGITS,
    st.sampled_from(["", ".", ".0", ".50", "e2"]),
)
TIMES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["2024-03-31", "2024-03-30"]),
    st.sampled_from(["", " 00:00:00", "T00:00:00", "T10:00:00", " 10:00:00"]),
    st.sampled_from(["", "Z", "+00:00", "+02:00", ".000Z", "+00:00Z"]),
)
TRUTHS = st.sampled_from(["true", "True", "t", "1", "f", "0", "false", "FALSE", "yes", ""])


def at_a_glance(kind: str, expected: str, found: str) -> bool:
    """Whether two values have one plain form."""
    frame = pl.DataFrame({"a": [expected], "b": [found]})
    forms = [plain_form(kind, pl.col(name)) for name in ("a", "b")]
    return bool(frame.select(forms[0].eq_missing(forms[1])).item())


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("float", NUMBERS),
        ("datetime", TIMES),
        ("date", TIMES),
        ("boolean", TRUTHS),
        ("text", TIMES),
    ],
)
def test_a_glance_never_hides_a_difference(kind: str, values: st.SearchStrategy[str]) -> None:
    """Two values of one plain form are equal by the rules of equality, too."""

    @given(expected=values, found=values)
    def check(expected: str, found: str) -> None:
        if at_a_glance(kind, expected, found):
            assert is_same(kind, expected, found) or (expected, found) == ("", "")

    check()


@pytest.mark.parametrize(
    ("kind", "expected", "found"),
    [
        ("datetime", "2024-03-31 10:00:00", "2024-03-31T10:00:00Z"),
        ("datetime", "2024-03-31 00:00:00", "2024-03-31"),
        ("date", "2024-03-31", "2024-03-31T00:00:00+00:00"),
        ("float", "19.99", "19.990000"),
        ("boolean", "true", "t"),
    ],
)
def test_what_the_target_usually_shows_is_seen_at_a_glance(
    kind: str, expected: str, found: str
) -> None:
    """So a whole dataset of such values is compared as sets."""
    assert at_a_glance(kind, expected, found)


@given(values=st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=5))
def test_the_key_of_several_columns_is_their_json(values: list[str]) -> None:
    """Whatever signs they have; a record that lacks a part of its key has none."""
    columns = {"a": ColumnRule("a", "text"), "n": ColumnRule("n", "integer")}
    rules = DatasetRules("d", "profiles", ("a", "n"), columns)
    held = pl.DataFrame({"a": [*values, "", "x"], "n": [*("7" for _ in values), "7", None]})
    keys = [json.dumps([text, 7], ensure_ascii=False, separators=(",", ":")) for text in values]
    assert held_keys(rules, held).to_list() == [*keys, None, None]


@pytest.mark.parametrize("recipe", text_recipes())
@given(text=st.text("aZ3 é'+_-", max_size=8))
def test_a_recipe_is_judged_by_what_it_makes(recipe: str, text: str) -> None:
    """Every recipe that a plan recognises is known by its words, and does the same to a text by either hand."""
    made = pl.DataFrame({"new": [text]}).select(text_recipes()[recipe]).item()
    assert is_prepared(recipe, text, made)
    assert not is_prepared(recipe, text, made + "x")
    assert not is_prepared("turns around", text, text[::-1])
