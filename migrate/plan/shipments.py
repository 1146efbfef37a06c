"""What the target's own recipes do to a column, and the proof of it: what earlier loads have sent. Pure.

A target that shows DELFT where we plan delft has a recipe, or was sent DELFT by us when the mapping said so. What it
shows cannot tell the two apart; what it was sent can. Where nothing proves the recipe, the value is sent.

**Source**: Octolis help, "Transform a dataset": recipes run on each record after it was written; the export shows
prepared values only, so a column that a recipe changes differs for ever from what is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from migrate import parquet

LEAST_ROWS = 5
"""So many values must show a recipe at work before it is believed: fewer may be changes that happen to look like it."""
_BLANKS = r"\s+"


@dataclass(frozen=True)
class Shipment:
    """The records that one loaded plan sent to a dataset.

    `stored`: columns that stand in the file under another name. `arrived`: whether the target surely took them: loaded
    to the end and not undone since. What may not have arrived can speak against a recipe, and never for it.
    """

    records: Path
    stored: Mapping[str, str]
    arrived: bool


Shipments = Callable[[str], Sequence[Shipment]]
"""By dataset what was sent to it, oldest first; asked for only where there is a recipe to prove."""


def nothing_sent(_dataset: str) -> Sequence[Shipment]:
    """No shipment: nothing was loaded from here."""
    return ()


def was_sent(shipments: Sequence[Shipment], column: str, asked: pl.DataFrame) -> bool:
    """Whether the last that was sent of these rows are the very values: of five at least, and of none another.

    **Shape**: `asked` has `key` and `new`, the value that is planned. Rows that were never sent from here say nothing.
    """
    frames = [pl.DataFrame(schema={"key": pl.String, "value": pl.String, "arrived": pl.Boolean})]
    for shipment in shipments:
        records = parquet.scan(shipment.records)
        name = shipment.stored.get(column, column)
        if name in records.collect_schema():
            sent = records.select(
                "key", value=pl.col(name).cast(pl.String), arrived=pl.lit(shipment.arrived)
            )
            frames.append(sent.join(asked.lazy().select("key"), on="key", how="semi").collect())
    # Only what was sent last can be what the target shows now, changed by a recipe or not.
    last = pl.concat(frames).unique("key", keep="last", maintain_order=True)
    both = last.join(asked, on="key").select(
        same=pl.col("value").eq_missing(pl.col("new")), arrived="arrived"
    )
    proven = both.filter("same", "arrived").height
    return proven >= LEAST_ROWS and bool(both.get_column("same").all())


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


def explaining(
    dtype: pl.DataType | None,
    pairs: pl.DataFrame | None = None,
    names: Sequence[str] | None = None,
) -> list[str]:
    """The recipes, of those with these `names` (None: of all), that make each value that the target holds from ours.

    Exactly so, in each row, whether it changes that value or not. Of a type that is no text there are none.

    **Shape**: `pairs` has `new`, ours, and `old`, the target's text.
    """
    if dtype != pl.String:
        return []
    recipes = text_recipes()
    left = list(recipes if names is None else names)
    if pairs is None or not left:
        return left
    # A column that the target does not hold is empty there, and no recipe's doing.
    stored = pl.when(pl.col("old") != "").then(pl.col("old"))
    is_made = ((recipes[name] == stored).fill_null(value=False).all().alias(name) for name in left)
    explains = pairs.select(is_made).row(0, named=True)
    return [name for name in left if explains[name]]


def is_spelling_only(pairs: pl.DataFrame, dtype: pl.DataType) -> bool:
    """Whether all pairs of texts are the same but for letter case and spaces: too few, or not by one known recipe."""
    if dtype != pl.String:
        return False
    new, old = (
        pl.col(name).str.to_lowercase().str.replace_all(_BLANKS, "") for name in ("new", "old")
    )
    return bool(pairs.select(new.eq_missing(old).all()).item())
