"""The rejects of a plan as what a customer can put right: of each the field, the value as it was sent, and the rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import polars as pl

from migrate.app.as_loaded import as_loaded
from migrate.app.deep import open_as_sent
from migrate.app.rejects import rejects_of
from migrate.load.rejects import PERMANENT, open_rejects
from migrate.mapping.fields import fields_behind
from migrate.mapping.files import read_mappings
from migrate.snapshot.corrected import records_of
from migrate.snapshot.corrections import CannotCorrect, value_sent

if TYPE_CHECKING:
    from migrate.app.context import Context
    from migrate.mapping.model import Mapping as DatasetMapping
    from migrate.plan.open_plan import Plan

Record = tuple[str, str | None, str]


TO_CORRECT = {
    name: pl.String() for name in ("rule", "dataset", "resource", "source", "id", "field", "sent")
}
"""A value to be put right. `field`: '' where nothing tells which it is; `rule`: what it breaks, or what the target
said; `sent`: its text as it was sent."""
_ONCE = ["rule", "resource", "source", "id", "field"]
# The snapshot is searched once for so many rejects.
_PART_ROWS = 100_000


def values_to_correct(context: Context, name: str | None) -> tuple[Plan, pl.DataFrame]:
    """A plan, the newest where none is named, and the values of its open permanent rejects, as `TO_CORRECT`.

    A value that breaks rules of several rows stands there once for each rule; a record without an id is left out,
    since nobody could tell it again.
    """
    rejects = rejects_of(context.workspace, name)
    plan = rejects.plan
    mappings = read_mappings(as_loaded(context, plan).project.mappings)
    values = pl.DataFrame(schema=TO_CORRECT)
    for part in _in_parts(rejects.parts()):
        raws = _records(context, plan, part)
        rows = chain.from_iterable(
            _values(row, mappings, raws) for row in part.iter_rows(named=True)
        )
        both = pl.concat([values, pl.DataFrame(list(rows), schema=TO_CORRECT, orient="row")])
        values = both.unique(_ONCE, keep="first", maintain_order=True)
    return plan, values


def _in_parts(rejects: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Those that somebody can put right, in as few parts as fit in memory beside their records."""
    waiting: list[pl.DataFrame] = []
    for part in rejects:
        # Without an id no correction could say of which record it is.
        is_told = pl.col("id").fill_null("") != ""
        waiting.append(open_rejects(part).filter(is_told, pl.col("kind") == PERMANENT))
        if sum(one.height for one in waiting) >= _PART_ROWS:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)


def _records(context: Context, plan: Plan, rejects: pl.DataFrame) -> Mapping[Record, str]:
    snapshot = open_as_sent(context, plan)
    raws: dict[Record, str] = {}
    for name, resource in snapshot.resources.items():
        for source, id_, raw in records_of(resource, rejects.filter(pl.col("resource") == name)):
            raws[name, source, id_] = raw
    return raws


def _values(
    row: Mapping[str, Any], mappings: Mapping[str, DatasetMapping], raws: Mapping[Record, str]
) -> Iterator[tuple[str | None, ...]]:
    """The fields of one reject: of several that a column takes the first with a value, of an expression all."""
    who: Record = (row["resource"], row["source"], row["id"])
    mapping = mappings.get(row["dataset"])
    if mapping is None:
        part = None
    else:
        part = mapping.part_of(row["resource"])
    names = () if part is None else fields_behind(part, row["column"], row["position"])
    values = [(name, _sent(raws.get(who), name)) for name in names]
    is_one = (
        part is not None and row["column"] in part.columns and part.columns[row["column"]].fields
    )
    # Of several fields a column takes the first that has a value: only that one can have broken the rule.
    for name, sent in _first_filled(values) if is_one else values or [("", row["value"])]:
        yield row["reason"] or "", row["dataset"], *who, name, sent


def _first_filled(
    values: Sequence[tuple[str, str | None]],
) -> Sequence[tuple[str, str | None]]:
    filled = [one for one in values if one[1]]
    return (filled or values)[:1]


def _sent(raw: str | None, name: str) -> str | None:
    try:
        return None if raw is None else value_sent(raw, name)
    except CannotCorrect:
        return None
