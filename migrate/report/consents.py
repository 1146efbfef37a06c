"""What becomes of each consent of a plan: who says yes and no, and whose answer is lost for what reason.

A lost consent looks in the target like one that was never given, so it has a list of its own.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from migrate import parquet
from migrate.sentence import Sentence

if TYPE_CHECKING:
    from migrate.plan.open_plan import Plan

Rows = list[dict[str, Any]]
_OF_CONSENTS = frozenset(("consent_unlisted", "consent_withheld"))
_YES_OF_ANOTHER = Sentence(
    "another record of the same key says yes; the one that wins does not, so it counts as no yes"
)


def view_consents(plan: Plan, dataset: str, losses: Rows) -> Rows:
    """Each consent of a dataset: its rows that say `yes`, `no` and nothing (`none`), and what is `lost`, by reason.

    `losses`: those of the dataset's columns, as the report shows them.
    """
    used = plan.document.mappings[dataset]
    lost_values = _lost_values(plan, dataset)
    rows = []
    for column in used.consent_columns or _columns_that_lose(losses):
        mine = [loss for loss in losses if loss["column"] == column and loss["harms"]]
        said = _answers(plan, dataset, used.stored_columns.get(column, column))
        # one that another record gave is no loss of a row: the row's own record never said it
        others = _yes_of_others(lost_values, column)
        if others:
            share = others / said.total() if said.total() else 0.0
            mine.append(
                {"column": column, "loss": "consent_of_another", "says": _YES_OF_ANOTHER}
                | {"rows": others, "share": share}
                | {"harms": True, "examples": []}
            )
        answers = {"yes": said["true"], "no": said["false"], "none": said["null"]}
        lost = sum(loss["rows"] for loss in mine)
        rows.append({"column": column, **answers, "lost_rows": lost, "lost": mine})
    return rows


def _columns_that_lose(losses: Rows) -> Sequence[str]:
    """The consents, as far as a plan of an earlier version tells: those of which something is lost."""
    return sorted({loss["column"] for loss in losses if loss["loss"] in _OF_CONSENTS})


def _answers(plan: Plan, dataset: str, stored: str) -> Counter[str]:
    counts = Counter[str]()
    for name in ("records.parquet", "unchanged.parquet"):
        file = plan.file(dataset, name)
        if file.is_file():
            values = parquet.read(file, columns=[stored]).get_column(stored)
            texts = values.cast(pl.String).fill_null("null").rename("value").value_counts()
            counts.update(dict(texts.iter_rows()))
    return counts


def _lost_values(plan: Plan, dataset: str) -> pl.Series:
    """What each record that went into another one has lost: JSON by column."""
    file = plan.file(dataset, "collapsed.parquet")
    if not file.is_file():
        return pl.Series("lost", [], dtype=pl.String)
    return parquet.read(file, columns=["lost"]).get_column("lost").drop_nulls()


def _yes_of_others(lost_values: pl.Series, column: str) -> int:
    """How many records that went into another one say yes where the row does not."""
    yes = f"{json.dumps(column, ensure_ascii=False)}:true"
    return int(lost_values.str.contains(yes, literal=True).sum())
