"""A dataset's records through its mapping, part by part: of each of its files the records of one resource."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import polars as pl

from migrate.mapping.mapped import FILTERED, LossExamples, Mapped, join_examples, join_mapped
from migrate.mapping.model import Mapping
from migrate.mapping.source_rows import DISCARDED, NOTHING_DISCARDED, gather_frames, needs_raw
from migrate.mapping.transform import RowMapper, Settings, needed_fields
from migrate.plan.batches import large_rows
from migrate.plan.collapse import CREATED, CREATED_FIELDS, PART, created_times
from migrate.plan.partitions import Partitions, own_copy, read_ahead, work_ahead
from migrate.plan.scope import Inside
from migrate.plan.tally import Tally, add_tallies, count_values
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

EXAMPLES_SCHEMA = dict.fromkeys(["column", "loss", "before", "after", "source", "id"], pl.String)


FACTS = pl.Schema({"_hash": pl.UInt64(), "_recency": pl.Datetime("us"), CREATED: pl.Datetime("us")})


@dataclass(frozen=True)
class Narrow:
    """What decides of each accepted row whether it is sent, and when, in the rows' order: eight bytes a row each.

    `facts` has the columns of `FACTS`; they are read when they are asked for. `touched`: whether the plan is of the
    row: inside of its scope, or perhaps changed by a delta; None where all rows are planned.
    """

    facts: Partitions
    touched: pl.Series | None = None

    @property
    def keys(self) -> pl.Series:
        """Hashes of the keys: rows of one key have the same, and so may others."""
        return self._column("_hash")

    @property
    def recency(self) -> pl.Series:
        """What tells which of two rows is newer."""
        return self._column("_recency")

    @property
    def created(self) -> pl.Series:
        """When the records were created."""
        return self._column(CREATED)

    def _column(self, name: str) -> pl.Series:
        nothing = pl.Series(name, dtype=FACTS[name])
        column: pl.Series = pl.concat(
            [nothing, *(frame[name] for frame in self.facts.frames([name]))], rechunk=True
        )
        return column


@dataclass(frozen=True)
class MappedRows:
    """All records of a dataset mapped. `accepted` is as `map_rows` gives it but for `_touched`; where several files
    make the dataset it has the columns of all, and `_part`. `tallies`: what was counted of each file.

    `rejected` has the columns of `REJECTS_SCHEMA`. `large`: rows that fit in no request, with `_at`, their place among
    the accepted, and `value`. `examples` of losses as EXAMPLES_SCHEMA, not masked. `set_aside`: rows
    that were discarded or wait for their parent, with `resource`. `withheld`: `_source, _id` (and `_part`) of records
    of which a row was rejected or set aside. `left_out`: `resource, reason` and who they are, of records that the
    plan is of and that were left out on purpose: `filtered` or `discarded`.
    """

    accepted: Partitions
    narrow: Narrow
    rejected: Partitions
    large: pl.DataFrame
    tally: Tally
    examples: pl.DataFrame
    set_aside: pl.DataFrame
    withheld: pl.DataFrame
    left_out: pl.DataFrame
    before: Sequence[pl.DataFrame] = ()
    tallies: Sequence[Tally] = ()


@dataclass(frozen=True)
class Way:
    """How a resource is mapped: the mapping, what it looks up, the settings, and the bound of a request's body.

    `lookups_before`: of a delta, what was looked up in its base. `inside`: which records the plan is of; None for all.
    """

    mapping: Mapping
    lookups: Dict[str, pl.DataFrame]
    settings: Settings
    batch_bytes: int
    is_delta: bool = False
    lookups_before: Dict[str, pl.DataFrame] = field(default_factory=dict)
    discarded: pl.DataFrame = field(default_factory=lambda: NOTHING_DISCARDED)
    inside: Inside | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether rows are worked out that are not planned: of a delta's base, or outside of a part or a sample."""
        return self.is_delta or self.inside is not None

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


def map_files(
    mapping: Mapping,
    files: Sequence[tuple[SnapshotResource, Way]],
    folder: Path,
    tick: Callable[[int], None],
) -> MappedRows:
    """Every row of a dataset: of each of its files, in their order, the rows of its resource.

    They are accepted, or rejected, or counted as filtered; all but a few stand in files below `folder`. `tick` is told
    the records of each part as it is done, and may raise to stop.
    """
    stores = (
        Partitions(folder / "accepted"),
        Partitions(folder / "rejects"),
        Partitions(folder / "facts"),
    )
    mappers = [_FileMapper(*file) for file in files]
    schema = dict(mappers[0].schema)
    for mapper in mappers[1:]:
        schema |= {name: kind for name, kind in mapper.schema.items() if name not in schema}
    if len(files) > 1:
        schema[PART] = pl.UInt8()
    taking = [
        _Taking(mapping, mapper, number, schema, *stores) for number, mapper in enumerate(mappers)
    ]
    for one in taking:
        one.take_all(tick)
    return _joined(taking)


def fit_rows(rows: pl.DataFrame, schema: Dict[str, pl.DataType], number: int = 0) -> pl.DataFrame:
    """The rows of one file of a dataset with the columns of all of its files; `number` is the file's place from 0."""
    lacking = [
        _blank(name, kind, number) for name, kind in schema.items() if name not in rows.columns
    ]
    return rows.with_columns(lacking).select(list(schema))


def _blank(name: str, kind: pl.DataType, number: int) -> pl.Expr:
    """What a row has in a column that its own file does not make: no value, and no word that there is none."""
    if name == PART:
        return pl.lit(number, kind).alias(name)
    if name.startswith(("_null:", "_default:")):
        value = False
    else:
        value = None
    return pl.lit(value, kind).alias(name)


class _FileMapper:
    """One file of a dataset, with the records of its resource."""

    def __init__(self, resource: SnapshotResource, way: Way) -> None:
        self.resource, self.way = resource, way
        self.touched_from = resource.touched_from if way.is_delta else 0
        self.fields = read_fields(resource, way.mapping)
        if way.inside is not None:
            seen = {name for name in way.inside.fields if has_field(resource, name)}
            self.fields = sorted({*self.fields, *seen})
        self.mapper = RowMapper(
            way.mapping, way.lookups, way.settings, self.touched_from, way.discarded
        )
        if way.lookups_before:
            self.before = way.mapper_before()
        else:
            self.before = self.mapper
        self.no_records = _no_rows(self.fields)
        self.no_rows = self.mapper.map(self.no_records)

    @property
    def schema(self) -> Dict[str, pl.DataType]:
        """The columns of its rows."""
        return self.no_rows.accepted.drop("_touched").schema

    def run(self) -> Iterator[tuple[_Records, Mapped]]:
        """Its records, some at a time, and what became of them; no records at least once."""
        # Some parts together: each costs a mapping 7 to 10 ms beside its rows (docs/speed.md).
        frames = gather_frames(self.resource.frames(self.fields, raw=needs_raw(self.way.mapping)))
        parts = chain.from_iterable(_apart(frame, self.way, self.touched_from) for frame in frames)
        yield from work_ahead(lambda part: (part, self.mapper.map(part.records)), read_ahead(parts))
        # So that a resource without records has its columns all the same.
        yield _Records(self.no_records, is_planned=True), self.no_rows


@dataclass(frozen=True)
class _Records:
    """Some records of one frame, and whether the plan is of them."""

    records: pl.DataFrame
    is_planned: bool


def _apart(frame: pl.DataFrame, way: Way, touched_from: int) -> Iterator[_Records]:
    """The records that the plan is of and the others apart: what is counted of them differs."""
    if way.inside is None:
        for part in _at(frame, touched_from):
            yield _Records(part, not part.height or part.item(0, "_position") >= touched_from)
        return
    inside = way.inside.of(str(way.mapping.resource), frame)
    for is_planned, records in ((True, frame.filter(inside)), (False, frame.filter(~inside))):
        if records.height:
            yield _Records(records, is_planned)


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
    """What one file's records are on their way into the dataset's rows."""

    mapping: Mapping
    file: _FileMapper
    number: int
    schema: Dict[str, pl.DataType]
    accepted: Partitions
    rejected: Partitions
    facts: Partitions
    anew: list[pl.DataFrame] = field(default_factory=list)
    touched: list[pl.Series] = field(default_factory=list)
    large: list[pl.DataFrame] = field(default_factory=list)
    counted: list[Mapped] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)
    withheld: list[pl.DataFrame] = field(default_factory=list)
    read: int = 0
    outside: int = 0

    def take_all(self, tick: Callable[[int], None]) -> None:
        """Takes every record."""
        for part, mapped in self.file.run():
            self.take(part.records, mapped, is_planned=part.is_planned)
            tick(part.records.height)

    def take(self, frame: pl.DataFrame, mapped: Mapped, *, is_planned: bool) -> None:
        """Takes some records. Of those that the plan is not of only the accepted rows are kept: they are looked up."""
        self.read += mapped.read
        rows = mapped.accepted
        if self.file.way.inside is not None:
            rows = rows.with_columns(pl.lit(is_planned).alias("_touched"))
        self._accept(frame, rows)
        self._note_looked_up_anew(frame, mapped.looked_up_anew)
        for left in (mapped.rejected, mapped.set_aside):
            self.withheld.append(left.select("_source", "_id").drop_nulls("_id").unique())
        if not is_planned:
            aside = mapped.set_aside.height
            self.outside += mapped.filtered + mapped.rejected.height + aside
            return
        self.rejected.add(own_copy(as_rejects(mapped.rejected, self.file.way.mapping.resource)))
        self.rules.update(count_values(mapped.rejected.get_column("rule")))
        # The counts alone: the rows are in files by now.
        self.counted.append(
            replace(mapped, accepted=mapped.accepted.clear(), rejected=mapped.rejected.clear())
        )

    def _note_looked_up_anew(self, frame: pl.DataFrame, positions: pl.Series) -> None:
        """Keeps what the base's records gave there, whose look-ups have changed since."""
        theirs = positions.filter(positions < self.file.touched_from)
        if len(theirs):
            records = frame.filter(pl.col("_position").is_in(theirs.implode()))
            before = map_before(records, self.file.before, self.file.way.settings)
            columns = {**self.schema, CREATED: before.schema[CREATED]}
            self.anew.append(own_copy(fit_rows(before, columns, self.number)))

    def _accept(self, frame: pl.DataFrame, made: pl.DataFrame) -> None:
        way = self.file.way
        rows = fit_rows(made.drop("_touched"), self.schema, self.number)
        large = large_rows(self.mapping, rows, way.batch_bytes)
        self.large.append(large.with_columns(pl.col("_at") + self.accepted.height))
        # A hash, not the text, where rows are looked at by their keys.
        keys = rows.get_column("_key").hash().alias("_hash")
        created = created_of(frame, rows, way.settings)
        self.facts.add(pl.DataFrame([keys, rows.get_column("_recency"), created]))
        self.touched.append(made.get_column("_touched"))
        self.accepted.add(rows)

    def tally(self) -> Tally:
        """What was counted, once the last record was taken."""
        whole = join_mapped(self.counted)
        return Tally(
            read=self.read,
            filtered=whole.filtered,
            empty_each=whole.empty_each,
            orphans=dict(whole.orphans),
            losses=whole.losses,
            rejected_by_rule=dict(self.rules),
            outside=self.outside,
        )


def _joined(files: Sequence[_Taking]) -> MappedRows:
    """What became of all records, once the last one was taken."""
    first = files[0]
    first.accepted.settle()
    first.facts.settle()
    counted = [join_mapped(one.counted) for one in files]
    tallies = [one.tally() for one in files]
    set_aside = []
    withheld = []
    left_out = []
    for one, mapped in zip(files, counted, strict=True):
        resource = pl.lit(one.file.way.mapping.resource).alias("resource")
        set_aside.append(mapped.set_aside.with_columns(resource))
        withheld.append(_withheld_of(one))
        left_out.append(_left_out(one, mapped))
    return MappedRows(
        first.accepted,
        _narrow_of(files),
        first.rejected,
        pl.concat(list(chain.from_iterable(one.large for one in files))),
        add_tallies(tallies),
        _examples(join_examples(mapped.loss_examples for mapped in counted)),
        pl.concat(set_aside),
        pl.concat(withheld),
        pl.concat(left_out),
        list(chain.from_iterable(one.anew for one in files)),
        tallies,
    )


def _narrow_of(files: Sequence[_Taking]) -> Narrow:
    def whole(parts: Iterable[Sequence[pl.Series]]) -> pl.Series:
        together: pl.Series = pl.concat(list(chain.from_iterable(parts)), rechunk=True)
        return together

    return Narrow(
        files[0].facts,
        whole(file.touched for file in files) if files[0].file.way.is_narrow else None,
    )


def _withheld_of(file: _Taking) -> pl.DataFrame:
    withheld = pl.concat(file.withheld).unique(maintain_order=True)
    if PART not in file.schema:
        return withheld
    return withheld.with_columns(pl.lit(file.number, pl.UInt8).alias(PART))


def _left_out(file: _Taking, mapped: Mapped) -> pl.DataFrame:
    """The records of one file that were filtered or discarded."""
    aside = mapped.set_aside.filter(pl.col("bucket") == DISCARDED)
    resource = pl.lit(str(file.file.way.mapping.resource)).alias("resource")
    return pl.concat(
        rows.select(resource, *FILTERED, pl.lit(reason).alias("reason"))
        for reason, rows in (("filtered", mapped.filtered_rows), (DISCARDED, aside))
    )


def _examples(examples: LossExamples) -> pl.DataFrame:
    rows: list[tuple[str | None, ...]] = []
    for column, losses in sorted(examples.items()):
        for loss, pairs in sorted(losses.items()):
            rows += [(column, loss, *pair) for pair in pairs]
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


def as_rejects(rejected: pl.DataFrame, resource: str | None = None) -> pl.DataFrame:
    """Rejected rows of a mapping as the plan's `rejects.parquet` has them; of a `resource`, or each of its own."""
    return rejected.select(
        pl.col("_source").alias("source"),
        pl.col("_id").alias("id"),
        pl.col("_element").cast(pl.Int64).alias("position"),
        "rule",
        "column",
        "value",
        "resource" if resource is None else pl.lit(resource).alias("resource"),
        pl.col("_position").cast(pl.Int64).alias("snapshot_row"),
    ).cast(REJECTS_SCHEMA)  # type: ignore[arg-type]  # polars types its own schema too narrowly
