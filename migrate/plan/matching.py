"""Which row of the target a planned row is, by the dataset's key. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from migrate.plan.compare import comparable, read_text
from migrate.plan.tables import PlanTable, texts_of


@dataclass(frozen=True)
class Matched:
    """`places`: for each planned row the place of the row of the target that has its key, null where there is none.

    `foreign`: the places of the target's rows whose key no planned row has, in order. `repeated`: rows of the target
    beyond the first of a key. Places count from 0.
    """

    places: pl.Series
    foreign: pl.Series
    repeated: int


def match_rows(planned: PlanTable, held: PlanTable, key: Mapping[str, pl.DataType]) -> Matched:
    """The rows of both sides matched by `key`, by value in the types of its columns.

    Of several rows of the target with one key, the last (the most recently modified) is the match. A key of which a
    part has no value matches nothing.

    **Shape**: the keys of `planned` are unique.
    """
    names = list(key)
    theirs = _held_keys(held, key)
    last = (
        theirs
        if _is_unique(theirs.select(names))
        else theirs.unique(names, keep="last", maintain_order=True)
    )
    ours = _planned_keys(planned, key)
    places = ours.join(last, on=names, how="left", maintain_order="left").get_column("_held")
    is_foreign = (
        pl.select(pl.repeat(value=True, n=held.height))
        .to_series()
        .scatter(places.drop_nulls(), False)
    )
    repeated = theirs.height - last.height
    if repeated:
        earlier = theirs.join(last, on="_held", how="anti").join(ours, on=names, how="semi")
        is_foreign = is_foreign.scatter(earlier.get_column("_held"), False)
    return Matched(places.rename("_match"), is_foreign.arg_true(), repeated)


def _is_unique(keys: pl.DataFrame) -> bool:
    """True where all keys are surely different: so are their hashes. Two keys may have one hash: False says nothing."""
    return keys.hash_rows().n_unique() == keys.height


def _planned_keys(planned: PlanTable, key: Mapping[str, pl.DataType]) -> pl.DataFrame:
    parts = {name: planned.column(name) for name in key}
    frame = pl.DataFrame([part.alias(name) for name, part in parts.items() if part is not None])
    return frame.select(comparable(pl.col(name), dtype).alias(name) for name, dtype in key.items())


def _held_keys(held: PlanTable, key: Mapping[str, pl.DataType]) -> pl.DataFrame:
    texts = pl.DataFrame([texts_of(held, name) for name in key])
    keys = [read_text(pl.col(name), dtype).alias(name) for name, dtype in key.items()]
    return texts.select(*keys, pl.int_range(pl.len(), dtype=pl.UInt32).alias("_held")).drop_nulls(
        list(key)
    )
