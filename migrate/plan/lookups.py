"""The frames that other datasets look rows up in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Mapping as Dict
from itertools import chain

import polars as pl

from migrate.mapping.fields import referring_columns
from migrate.mapping.model import Mapping
from migrate.mapping.source_rows import TOUCHED, WITHHELD
from migrate.plan.collapse import PART, resource_of
from migrate.plan.collapsed_rows import FinalRows
from migrate.plan.document import ParentUsed

RESOURCE = "_resource"
"""Of which resource a record is, that a look-up finds; only where a dataset is made of several."""


def lookup_frame(
    rows: FinalRows, columns: Collection[str], resources: Sequence[str]
) -> pl.DataFrame:
    """Where each source record ended: `source, id` and `columns` of the final row it went into.

    `resources`: what the dataset is made of; where that is more than one, `_resource` is with each record.

    **Shape**: one row per record that went into a row, so the records that were collapsed lead to the row that
    survived. Where one record gave several rows (`each`), the first of them comes first, and it is the one that a
    look-up finds. With a delta, `_touched` tells whether the row is planned. A mapped column `source` or `id` is not
    among them: these names are the record's own.
    """
    named = _named(columns)
    frames = _told(rows, named)
    return _in_order(chain.from_iterable(_identified(frame, named, resources) for frame in frames))


def lookup_rows(
    rows: pl.DataFrame, columns: Collection[str], resources: Sequence[str]
) -> pl.DataFrame:
    """The same of rows that `collapse_rows` made."""
    return _in_order(_identified(rows, _named(columns), resources))


def withheld_rows(records: pl.DataFrame, resources: Sequence[str]) -> pl.DataFrame:
    """Records that gave no row for a reason that may pass: who they are, and `_withheld` true."""
    return records.select(*identity_of(resources), pl.lit(value=True).alias(WITHHELD))


def unsendable_rows(records: pl.DataFrame, resources: Sequence[str]) -> pl.DataFrame:
    """The same of records that went into a row which fits in no request: `resource, source, id`."""
    named = records.rename({"resource": RESOURCE})
    return named.select(*names_of(resources), pl.lit(value=True).alias(WITHHELD))


def identity_of(resources: Sequence[str]) -> list[pl.Expr]:
    """Which record a row is of: `source, id`, and `_resource` where a dataset is made of several."""
    own = [pl.col("_source").alias("source"), pl.col("_id").alias("id")]
    if len(resources) == 1:
        return own
    return [*own, resource_of(resources).alias(RESOURCE)]


def names_of(resources: Sequence[str]) -> list[str]:
    """The columns of `identity_of`."""
    if len(resources) == 1:
        return ["source", "id"]
    return ["source", "id", RESOURCE]


def parents_used(mapping: Mapping, every: Dict[str, Mapping]) -> tuple[ParentUsed, ...]:
    """The datasets to whose rows a mapping's rows refer by their whole key, whichever of its files makes them."""
    parents: list[ParentUsed] = []
    for part in mapping.parts:
        for lookup, rule in part.lookups.items():
            if rule.project is not None:
                continue  # what is refused of another project this one's load does not know
            key = every[rule.dataset].key
            referring = referring_columns(part, lookup)
            columns = {column: read for column, read in referring.items() if read in key}
            used = ParentUsed(dataset=rule.dataset, columns=columns)
            if set(columns.values()) == set(key) and used not in parents:
                parents.append(used)
    return tuple(parents)


def _named(columns: Collection[str]) -> list[str]:
    return sorted(set(columns) - {"source", "id"})


def _in_order(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    rows = pl.concat(list(parts))
    # Only elements of a list have a place; without any, the rows stand in order already.
    if rows.get_column("_place").null_count() < rows.height:
        rows = rows.sort("_place", nulls_last=False, maintain_order=True)
    return rows.drop("_place")


def _told(rows: FinalRows, named: list[str]) -> Iterator[pl.DataFrame]:
    """The rows part by part with what identifies them, and `_touched` where it matters."""
    at = 0
    who = [*named, "_source", "_id", "_element", *([PART] if PART in rows.accepted.schema else [])]
    for frame in rows.frames(list(dict.fromkeys(who))):
        if rows.touched is None:
            columns = []
        else:
            columns = [rows.touched.slice(at, frame.height).alias(TOUCHED)]
        yield frame.with_columns(columns)
        at += frame.height


def _identified(
    frame: pl.DataFrame, named: list[str], resources: Sequence[str]
) -> Iterator[pl.DataFrame]:
    known = [*named, *(name for name in (TOUCHED,) if name in frame.columns)]
    single = pl.col("_sources").is_null()
    place = pl.col("_element").cast(pl.Int64).alias("_place")
    yield frame.filter(single).select(*identity_of(resources), place, *known)
    merged = frame.filter(~single)
    if merged.height:
        who = pl.col("_sources").struct
        exploded = merged.select(*known, "_sources").explode("_sources", empty_as_null=False)
        identity = [who.field(name.removeprefix("_")).alias(name) for name in names_of(resources)]
        yield exploded.select(*identity, who.field("position").alias("_place"), *known)
