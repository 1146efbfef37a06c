"""A resource of the snapshot through a mapping, part by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass

import msgspec
import polars as pl

from migrate.mapping.fields import element_names, unused_fields
from migrate.mapping.mapped import LossExamples, Mapped, join_mapped
from migrate.mapping.model import Mapping
from migrate.mapping.transform import Settings, map_rows, needed_fields
from migrate.plan.document import Unmapped
from migrate.plan.totals import source_totals, totals_rule
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

_ELEMENT_RECORDS = 20_000
EXAMPLES_SCHEMA = dict.fromkeys(["column", "loss", "before", "after"], pl.String)


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
    """A whole resource mapped. `accepted` is as `map_rows` gives it, `rejected` has the columns of `REJECTS_SCHEMA`.

    `examples` of losses: `column, loss, before, after`, not masked. `totals`: what `source_totals` gave of each part.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    tally: Tally
    examples: pl.DataFrame
    totals: tuple[pl.DataFrame, ...] = ()


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
    rule = totals_rule(mapping)
    done: list[Mapped] = []
    totals: list[pl.DataFrame] = []
    for frame in resource.frames(fields):
        done.append(map_rows(mapping, frame, lookups, settings))
        totals += [source_totals(rule, mapping, frame, settings.timezones)] if rule else []
        tick(frame.height)
    whole = join_mapped(done or [map_rows(mapping, _no_rows(fields), lookups, settings)])
    return MappedRows(
        accepted=whole.accepted,
        rejected=as_rejects(whole.rejected, mapping.resource),
        tally=Tally(whole.read, whole.filtered, whole.empty_each, _sorted(whole.orphans), _by_column(whole.losses)),
        examples=_examples(whole.loss_examples),
        totals=tuple(totals),
    )


def _sorted(counts: Dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _by_column(losses: Dict[str, Dict[str, int]]) -> dict[str, dict[str, int]]:
    return {column: _sorted(counts) for column, counts in sorted(losses.items())}


def _examples(found: LossExamples) -> pl.DataFrame:
    rows = [
        (column, loss, before, after)
        for column, losses in sorted(found.items())
        for loss, pairs in sorted(losses.items())
        for before, after in pairs
    ]
    return pl.DataFrame(rows, schema=EXAMPLES_SCHEMA, orient="row")


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


def unmapped_fields(resource: SnapshotResource, mappings: Iterable[Mapping]) -> tuple[Unmapped, ...]:
    """The fields that none of the resource's mappings uses nor ignores, and the share of records that have a value.

    A field inside an object counts as used where the whole object is; an object of which a field is listed is not.
    """
    left = unused_fields([name for name in resource.columns if not _is_system(name)], mappings)
    if not left:
        return ()
    rows, filled = 0, Counter[str]()
    for frame in resource.frames(left):
        rows += frame.height
        has_value = frame.select((pl.col(left).is_not_null() & (pl.col(left) != "")).sum())
        filled.update(has_value.row(0, named=True))
    return tuple(Unmapped(field=field, filled=round(filled[field] / rows, 4) if rows else 0.0) for field in left)


def unmapped_element_fields(resource: SnapshotResource, mappings: Iterable[Mapping]) -> tuple[Unmapped, ...]:
    """The fields of list elements that no mapping with `each` uses nor ignores, named `items[].colour`.

    Looks at the first 20,000 records of the snapshot at most: elements are read one by one.
    """
    known: dict[str, set[str]] = {}
    for mapping in mappings:
        if mapping.each:
            used = {name.removeprefix("item.") for name in element_names(mapping)}
            mine = {
                name.rpartition(".")[2] for name in mapping.ignore if name.startswith(("item.", f"{mapping.each}."))
            }
            known.setdefault(mapping.each, set()).update(used, mine)
    found: list[Unmapped] = []
    for each, names in known.items():
        elements, filled = _element_fields(resource, each)
        left = {
            name: count for name, count in filled.items() if name.split(".")[0] not in names and "item" not in names
        }
        found += [Unmapped(field=f"{each}[].{name}", filled=round(left[name] / elements, 4)) for name in sorted(left)]
    return tuple(found)


def _element_fields(resource: SnapshotResource, each: str) -> tuple[int, Counter[str]]:
    elements, filled, left = 0, Counter[str](), _ELEMENT_RECORDS
    for frame in resource.frames([each]) if each in resource.columns else ():
        for text in frame.get_column(each).head(left).drop_nulls():
            for element in _elements_of(text):
                elements += 1
                filled.update(name for name, value in element.items() if value not in (None, ""))
        left -= frame.height
        if left <= 0:
            break
    return elements, filled


def _elements_of(text: str) -> list[dict[str, object]]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return []
    many = list(value.values()) if isinstance(value, dict) else value
    return [element for element in many if isinstance(element, dict)] if isinstance(many, list) else []


def _is_system(name: str) -> bool:
    return name in ("_source", "_id", "_page", "_raw", "_position")
