"""A resource of the snapshot through a mapping, part by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from migrate.mapping.base import gather_frames, needs_raw
from migrate.mapping.mapped import LossExamples, Mapped, join_mapped
from migrate.mapping.model import Mapping
from migrate.mapping.set_aside import NOTHING_DISCARDED
from migrate.mapping.transform import RowMapper, Settings, needed_fields
from migrate.plan.batches import large_rows
from migrate.plan.partitions import Partitions, own_copy
from migrate.plan.prefetch import read_ahead, work_ahead
from migrate.plan.record_order import CREATED, CREATED_FIELDS, created_times
from migrate.snapshot.reading import SnapshotResource
from migrate.snapshot.union import has_field

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

EXAMPLES_SCHEMA = dict.fromkeys(["column", "loss", "before", "after"], pl.String)


@dataclass(frozen=True)
class Tally:
    """What was counted while a resource was mapped. Units: rows; `empty_each` records without an element.

    `outside`: filtered and rejected records of a base snapshot, which a delta leaves as they are.
    """

    read: int
    filtered: int
    empty_each: int
    orphans: dict[str, int]
    losses: dict[str, dict[str, int]]
    rejected_by_rule: dict[str, int]
    outside: int = 0


@dataclass(frozen=True)
class Narrow:
    """What decides of each accepted row whether it is sent, and when: few bytes a row, in the rows' order.

    `keys` are hashes: rows of one key have the same, and so may others. `touched`: whether a delta can have changed the
    row; None where all rows are planned.
    """

    keys: pl.Series
    recency: pl.Series
    created: pl.Series
    touched: pl.Series | None = None


@dataclass(frozen=True)
class MappedRows:
    """A whole resource mapped. `accepted` is as `map_rows` gives it but for `_touched`.

    `rejected` has the columns of `REJECTS_SCHEMA`. `large`: rows that fit in no request, with `_at`, their place among
    the accepted, and `value`. `examples` of losses: `column, loss, before, after`, not masked. `set_aside`: rows
    that were discarded or wait for their parent. `withheld`: `_source, _id` of records of which a
    row was rejected or set aside.
    """

    accepted: Partitions
    narrow: Narrow
    rejected: Partitions
    large: pl.DataFrame
    tally: Tally
    examples: pl.DataFrame
    set_aside: pl.DataFrame
    withheld: pl.DataFrame
    before: Sequence[pl.DataFrame] = ()


@dataclass(frozen=True)
class Way:
    """How a resource is mapped: the mapping, what it looks up, the settings, and the bound of a request's body.

    `lookups_before`: of a delta, what was looked up in its base.
    """

    mapping: Mapping
    lookups: Dict[str, pl.DataFrame]
    settings: Settings
    batch_bytes: int
    is_delta: bool = False
    lookups_before: Dict[str, pl.DataFrame] = field(default_factory=dict)
    discarded: pl.DataFrame = field(default_factory=lambda: NOTHING_DISCARDED)

    def mapper_before(self) -> RowMapper:
        """What makes the rows that the base's records gave in the base."""
        lookups = self.lookups_before or self.lookups
        return RowMapper(self.mapping, lookups, self.settings, discarded=self.discarded)


def read_fields(resource: SnapshotResource, mapping: Mapping) -> list[str]:
    """The fields to read for a mapping, and for the order of records, as far as there are any.

    Those that the snapshot lacks are left to the mapping: columns of nulls would only be moved about.
    """
    wanted = needed_fields(mapping) | set(CREATED_FIELDS)
    return sorted(name for name in wanted if has_field(resource, name))


def map_before(frame: pl.DataFrame, mapper: RowMapper, settings: Settings) -> pl.DataFrame:
    """The accepted rows of some records as they were in the base, with `_created`."""
    rows = mapper.map(frame).accepted.drop("_touched")
    return rows.with_columns(created_of(frame, rows, settings))


def created_of(frame: pl.DataFrame, rows: pl.DataFrame, settings: Settings) -> pl.Series:
    """When the record of each row was created; `frame` has the records in the order of their positions."""
    times = created_times(frame, settings.timezones, settings.source_aliases)
    places = frame["_position"].cast(pl.Int64).search_sorted(rows["_position"].cast(pl.Int64))
    return times.gather(places).alias(CREATED)


def map_resource(
    resource: SnapshotResource, way: Way, folder: Path, tick: Callable[[int], None]
) -> MappedRows:
    """Every row of the resource, accepted or rejected or counted as filtered; all but a few in files below `folder`.

    `tick` is told the records of each part as it is done, and may raise to stop.
    """
    touched_from = resource.touched_from if way.is_delta else 0
    fields = read_fields(resource, way.mapping)
    mapper = RowMapper(way.mapping, way.lookups, way.settings, touched_from, way.discarded)
    stores = (Partitions(folder / "accepted"), Partitions(folder / "rejects"))
    before = way.mapper_before() if way.lookups_before else mapper
    taking = _Taking(way, touched_from, *stores, before=before)
    frames = gather_frames(resource.frames(fields, raw=needs_raw(way.mapping)))
    parts = (part for frame in frames for part in _at(frame, touched_from))
    for part, mapped in work_ahead(lambda part: (part, mapper.map(part)), read_ahead(parts)):
        taking.take(part, mapped)
        tick(part.height)
    if not taking.counted:
        nothing = _no_rows(fields)
        taking.take(nothing, mapper.map(nothing))
    return taking.done()


def _at(frame: pl.DataFrame, touched_from: int) -> Iterator[pl.DataFrame]:
    """The records of the base and those of the delta apart: what is counted of them differs."""
    if (
        not frame.height
        or frame.item(0, "_position") >= touched_from
        or frame.item(-1, "_position") < touched_from
    ):
        yield frame
        return
    yield from (
        frame.filter(pl.col("_position") < touched_from),
        frame.filter(pl.col("_position") >= touched_from),
    )


@dataclass
class _Taking:
    """A resource on its way through a mapping."""

    way: Way
    touched_from: int
    accepted: Partitions
    rejected: Partitions
    before: RowMapper
    keys: list[pl.Series] = field(default_factory=list)
    created: list[pl.Series] = field(default_factory=list)
    anew: list[pl.DataFrame] = field(default_factory=list)
    recency: list[pl.Series] = field(default_factory=list)
    touched: list[pl.Series] = field(default_factory=list)
    large: list[pl.DataFrame] = field(default_factory=list)
    counted: list[Mapped] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)
    withheld: list[pl.DataFrame] = field(default_factory=list)
    read: int = 0
    outside: int = 0

    def take(self, frame: pl.DataFrame, mapped: Mapped) -> None:
        """Takes some records. Of a base's records only the accepted rows are kept: the delta says nothing of others."""
        self.read += mapped.read
        self._accept(frame, mapped.accepted)
        self._note_looked_up_anew(frame, mapped.looked_up_anew)
        for left in (mapped.rejected, mapped.set_aside):
            self.withheld.append(left.select("_source", "_id").drop_nulls("_id").unique())
        if frame.height and frame.item(0, "_position") < self.touched_from:
            aside = mapped.set_aside.height
            self.outside += mapped.filtered + mapped.rejected.height + aside
            return
        self.rejected.add(own_copy(as_rejects(mapped.rejected, self.way.mapping.resource)))
        self.rules.update(count_values(mapped.rejected.get_column("rule")))
        self.counted.append(
            replace(mapped, accepted=mapped.accepted.clear(), rejected=mapped.rejected.clear())
        )

    def _note_looked_up_anew(self, frame: pl.DataFrame, positions: pl.Series) -> None:
        """Keeps what the base's records gave there, whose look-ups have changed since."""
        theirs = positions.filter(positions < self.touched_from)
        if len(theirs):
            records = frame.filter(pl.col("_position").is_in(theirs.implode()))
            self.anew.append(own_copy(map_before(records, self.before, self.way.settings)))

    def _accept(self, frame: pl.DataFrame, rows: pl.DataFrame) -> None:
        large = large_rows(self.way.mapping, rows, self.way.batch_bytes)
        self.large.append(large.with_columns(pl.col("_at") + self.accepted.height))
        self.keys.append(rows.get_column("_key").hash())
        self.recency.append(rows.get_column("_recency"))
        self.created.append(created_of(frame, rows, self.way.settings))
        self.touched.append(rows.get_column("_touched"))
        self.accepted.add(rows.drop("_touched"))

    def done(self) -> MappedRows:
        """All of it, once the last record was taken."""
        self.accepted.settle()
        whole = join_mapped(self.counted)
        tally = Tally(
            read=self.read,
            filtered=whole.filtered,
            empty_each=whole.empty_each,
            orphans=_sorted(whole.orphans),
            losses=_by_column(whole.losses),
            rejected_by_rule=_sorted(self.rules),
            outside=self.outside,
        )
        touched = pl.concat(self.touched, rechunk=True) if self.way.is_delta else None
        narrow = Narrow(
            pl.concat(self.keys, rechunk=True),
            pl.concat(self.recency, rechunk=True),
            pl.concat(self.created, rechunk=True),
            touched,
        )
        large = pl.concat(self.large)
        examples = _examples(whole.loss_examples)
        return MappedRows(
            self.accepted,
            narrow,
            self.rejected,
            large,
            tally,
            examples,
            whole.set_aside,
            pl.concat(self.withheld).unique(maintain_order=True),
            self.anew,
        )


def count_values(values: pl.Series) -> dict[str, int]:
    """How often each value stands in a column of texts, sorted by value."""
    counted = values.rename("value").value_counts()
    return {str(value): int(count) for value, count in sorted(counted.iter_rows())}


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
    system = {
        "_source": pl.String,
        "_id": pl.String,
        "_page": pl.Int64,
        "_raw": pl.String,
        "_position": pl.Int64,
    }
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
