"""A resource of the snapshot through a mapping, part by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass

import polars as pl

from migrate.mapping.model import Mapping
from migrate.mapping.transform import Mapped, Settings, map_rows, needed_fields
from migrate.plan.document import Unmapped
from migrate.snapshot.reading import SnapshotResource

REJECTS_SCHEMA = {
    "source": pl.String,
    "id": pl.String,
    "position": pl.Int64,
    "rule": pl.String,
    "column": pl.String,
    "value": pl.String,
    "resource": pl.String,
    "snapshot_row": pl.Int64,
}
"""`position`: the element's place from 1 where the mapping has `each`; `snapshot_row`: the record's place from 0."""


@dataclass(frozen=True)
class Tally:
    """What was counted while a resource was mapped. Units: rows; `empty_each` records without an element."""

    read: int
    filtered: int
    empty_each: int
    orphans: dict[str, int]
    losses: dict[str, dict[str, int]]


@dataclass(frozen=True)
class MappedRows:
    """A whole resource mapped. `accepted` is as `map_rows` gives it, `rejected` has the columns of `REJECTS_SCHEMA`."""

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    tally: Tally


def map_resource(
    resource: SnapshotResource,
    mapping: Mapping,
    lookups: dict[str, pl.DataFrame],
    settings: Settings,
    tick: Callable[[int], None],
) -> MappedRows:
    """Every row of the resource, accepted or rejected or counted as filtered.

    `tick` is told the records of each part as it is done, and may raise to stop.
    """
    fields = sorted(needed_fields(mapping))
    done: list[Mapped] = []
    for frame in resource.frames(fields):
        done.append(map_rows(mapping, frame, lookups, settings))
        tick(frame.height)
    if not done:
        done.append(map_rows(mapping, _no_rows(fields), lookups, settings))
    return MappedRows(
        accepted=pl.concat([mapped.accepted for mapped in done]),
        rejected=pl.concat([as_rejects(mapped.rejected, mapping.resource) for mapped in done]),
        tally=Tally(
            read=sum(mapped.read for mapped in done),
            filtered=sum(mapped.filtered for mapped in done),
            empty_each=sum(mapped.empty_each for mapped in done),
            orphans=_summed(mapped.orphans for mapped in done),
            losses=_summed_losses(mapped.losses for mapped in done),
        ),
    )


def _no_rows(fields: Collection[str]) -> pl.DataFrame:
    system = {"_source": pl.String, "_id": pl.String, "_page": pl.Int64, "_raw": pl.String, "_position": pl.Int64}
    return pl.DataFrame(schema={**system, **dict.fromkeys(fields, pl.String)})


def as_rejects(rejected: pl.DataFrame, resource: str) -> pl.DataFrame:
    """Rejected rows of a mapping as the plan's `rejects.parquet` has them."""
    return rejected.select(
        pl.col("_source").alias("source"),
        pl.col("_id").alias("id"),
        pl.col("_element").cast(pl.Int64).alias("position"),
        "rule",
        "column",
        "value",
        pl.lit(resource).alias("resource"),
        pl.col("_position").cast(pl.Int64).alias("snapshot_row"),
    ).cast(REJECTS_SCHEMA)  # type: ignore[arg-type]  # polars types its own schema too narrowly


def _summed(counts: Iterable[Dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in counts:
        total.update(part)
    return dict(sorted(total.items()))


def _summed_losses(parts: Iterable[Dict[str, Dict[str, int]]]) -> dict[str, dict[str, int]]:
    total: dict[str, list[Dict[str, int]]] = {}
    for part in parts:
        for column, losses in part.items():
            total.setdefault(column, []).append(losses)
    return {column: _summed(losses) for column, losses in sorted(total.items())}


def unmapped_fields(resource: SnapshotResource, mappings: Iterable[Mapping]) -> tuple[Unmapped, ...]:
    """The fields that none of the resource's mappings uses nor ignores, and the share of records that have a value.

    A field inside an object counts as used where the whole object is; an object of which a field is listed is not.
    """
    known = {"source", "id"} | {field for mapping in mappings for field in (*needed_fields(mapping), *mapping.ignore)}
    left = _left_over([name for name in resource.columns if not _is_system(name)], known)
    if not left:
        return ()
    rows, filled = 0, Counter[str]()
    for frame in resource.frames(left):
        rows += frame.height
        has_value = frame.select((pl.col(left).is_not_null() & (pl.col(left) != "")).sum())
        filled.update(has_value.row(0, named=True))
    return tuple(Unmapped(field=field, filled=round(filled[field] / rows, 4) if rows else 0.0) for field in left)


def _is_system(name: str) -> bool:
    return name in ("_source", "_id", "_page", "_raw", "_position")


def _left_over(fields: Collection[str], known: Collection[str]) -> list[str]:
    def is_known(field: str) -> bool:
        parts = field.split(".")
        return any(".".join(parts[:count]) in known for count in range(1, len(parts) + 1))

    parents = {".".join(field.split(".")[:count]) for field in fields for count in range(1, field.count(".") + 1)}
    return sorted(field for field in fields if field not in parents and not is_known(field))
