"""Recognising what the target's own recipes do to a column, from what it was sent and what it shows. Pure.

**Source**: Octolis help, "Transform a dataset": recipes run on each record after it was written; the export shows
prepared values only, so a column that a recipe changes differs for ever from what is sent.
"""

from __future__ import annotations

import polars as pl

LEAST_ROWS = 5
"""So many values must show a recipe at work before it is believed: fewer may be changes that happen to look like it."""

_BLANKS = r"\s+"


def text_recipes() -> dict[str, pl.Expr]:
    """What a recipe of the target makes of a text, by the words that say it."""
    new = pl.col("new")
    spaced = new.str.strip_chars().str.replace_all(_BLANKS, " ")
    return {
        "trims": new.str.strip_chars(),
        "collapses spaces": spaced,
        "removes spaces": new.str.replace_all(_BLANKS, ""),
        "lowercases": new.str.to_lowercase(),
        "trims and lowercases": new.str.strip_chars().str.to_lowercase(),
        "uppercases": new.str.to_uppercase(),
        "trims and uppercases": new.str.strip_chars().str.to_uppercase(),
        "capitalises each word": new.str.to_titlecase(),
        "capitalises the first letter": new.str.slice(0, 1).str.to_uppercase()
        + new.str.slice(1).str.to_lowercase(),
        "keeps digits and plus only": new.str.replace_all(r"[^0-9+]", ""),
        "keeps digits only": new.str.replace_all(r"[^0-9]", ""),
    }


def recognise_recipe(pairs: pl.DataFrame, differing: pl.Series, dtype: pl.DataType) -> str | None:
    """The name of a recipe that explains every value the target holds, None where there is none.

    One recipe must give exactly the target's value from ours in each row, whether it changes that value or not, and
    change enough of them.

    **Shape**: `pairs` has `new`, ours, `old`, the target's text, and `sent`, whether the row sends a value; `differing`
    tells which of those that do differ.
    """
    if dtype != pl.String or int(differing.sum()) < LEAST_ROWS:
        return None
    # Most recipes are ruled out by the few rows that differ; the rest is looked at only for those that are left.
    left = _explaining(pairs.filter(differing), list(text_recipes()))
    found = _explaining(pairs.filter("sent"), left) if left else []
    return found[0] if found else None


def _explaining(pairs: pl.DataFrame, names: list[str]) -> list[str]:
    recipes = text_recipes()
    # A column that the target does not hold is empty there, and no recipe's doing.
    held = pl.when(pl.col("old") != "").then(pl.col("old"))
    is_made = ((recipes[name] == held).fill_null(value=False).all().alias(name) for name in names)
    told = pairs.select(is_made).row(0, named=True)
    return [name for name in names if told[name]]


def is_spelling_only(pairs: pl.DataFrame, dtype: pl.DataType) -> bool:
    """Whether all pairs of texts are the same but for letter case and spaces: too few, or not by one known recipe."""
    if dtype != pl.String:
        return False
    new, old = (
        pl.col(name).str.to_lowercase().str.replace_all(_BLANKS, "") for name in ("new", "old")
    )
    return bool(pairs.select(new.eq_missing(old).all()).item())
