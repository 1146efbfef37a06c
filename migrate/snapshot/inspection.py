"""What is in a snapshot, field by field and source by source: a pass over the records as sent, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import polars as pl

from migrate.snapshot.field_measures import (
    MOMENT,
    DistinctCount,
    Extremes,
    FieldRange,
    count_distinct,
)
from migrate.snapshot.json_text import SnapshotColumn
from migrate.snapshot.literals import RecordFields
from migrate.snapshot.reading import Snapshot, SnapshotResource
from migrate.snapshot.traps import (
    HEXADECIMAL,
    LEADING_ZEROS,
    PLAIN_NUMBERS,
    TEXTS,
    TRAP_COUNTS,
    Trap,
    find_spellings,
    find_traps,
    find_uncolumned,
)

TYPES = ("text", "integer", "decimal", "boolean", "object", "list", "other")
_CHUNK_ROWS = 5_000
_CHUNK_BYTES = 16 << 20
"""Records a chunk, and the JSON in it: what is taken apart at once, whatever the size of a record."""
_EXAMPLES = 3
_KINDS = (
    ("null", "^null$"),
    ("text", '^"'),
    ("integer", r"^-?\d+$"),
    ("decimal", r"^-?\d+(\.|[eE])"),
    ("boolean", "^(true|false)$"),
    ("object", r"^\{"),
    ("list", r"^\["),
)


@dataclass(frozen=True)
class FieldCounts:
    """How many records of some source have a field, and as what. `filled` is neither null nor ''."""

    rows: int
    absent: int
    null: int
    empty: int
    types: Mapping[str, int]

    @property
    def filled(self) -> int:
        """Records with a value."""
        return self.rows - self.absent - self.null - self.empty


@dataclass(frozen=True)
class FieldInspection:
    """A field over all sources. `extremes`: the least and the most of its numbers, or else of its dates and times.

    `examples` are values as sent, for the report to mask; `months` counts dates by year and month.
    """

    name: str
    counts: FieldCounts
    by_source: Mapping[str, FieldCounts]
    distinct: DistinctCount
    extremes: FieldRange | None
    longest: int
    examples: Sequence[str]
    months: Mapping[str, int]


@dataclass(frozen=True)
class ResourceInspection:
    """A resource: rows by source ('' for none), its fields in the order they were seen, and the traps recognised."""

    name: str
    rows: int
    sources: Mapping[str, int]
    fields: Sequence[FieldInspection]
    traps: Sequence[Trap]


@dataclass(frozen=True)
class Inspection:
    """A snapshot: its resources, and the traps that show only across them."""

    snapshot: str
    resources: Sequence[ResourceInspection]
    traps: Sequence[Trap]


def inspect_snapshot(snapshot: Snapshot, names: Sequence[str]) -> Inspection:
    """What is in the resources named, of those that the snapshot has."""
    known = [snapshot.resources[name] for name in names if name in snapshot.resources]
    resources = [inspect_resource(resource) for resource in known]
    sources = dict.fromkeys(chain.from_iterable(resource.sources for resource in resources))
    return Inspection(snapshot.name, resources, find_spellings(list(sources)))


def inspect_resource(resource: SnapshotResource) -> ResourceInspection:
    """What is in a resource."""
    counts = _FieldCounting(resource)
    for chunk in _chunks(resource):
        counts.add(chunk)
    by_source = counts.sources()
    tally = counts.tally()
    fields = []
    if tally is not None:
        distinct, months = _distinct(resource), counts.months()
        for name in dict.fromkeys(tally["field"]):
            of_field = tally.filter(pl.col("field") == name)
            of_name = distinct.get(name, DistinctCount(0))
            fields.append(counts.field(name, of_field, months, by_source, of_name))
    ids = {(source, shape): count for source, shape, count in _id_shapes(resource)}
    traps = [
        *find_uncolumned(resource.result),
        *find_traps(resource.name, tally, ids, resource.rows),
    ]
    return ResourceInspection(resource.name, resource.rows, by_source, fields, traps)


class _FieldCounting:
    """What is seen of a resource's fields, chunk after chunk."""

    def __init__(self, resource: SnapshotResource) -> None:
        self._columns = resource.columns
        result = resource.result
        self._folded: Mapping[str, int] | None = result.folded
        # A snapshot of an earlier version does not name the objects that crowded its columns.
        if not result.folded and result.unlisted_fields:
            self._folded = None
        self._sources: list[pl.DataFrame] = []
        self._tallies: list[pl.DataFrame] = []
        self._months: list[pl.DataFrame] = []
        self._extremes = Extremes()
        self._examples: dict[str, list[str]] = {}

    def add(self, chunk: pl.DataFrame) -> None:
        """Takes in some records: their `source` and `raw`."""
        self._sources.append(chunk.group_by("source").len())
        values = _long(chunk, self._columns, self._folded)
        if values is not None:
            self._tallies.append(_tally(values))
            self._months.append(_months(values))
            self._extremes.add(values)
            _keep_examples(values, self._examples)

    def sources(self) -> dict[str, int]:
        """The records of each source, '' for none."""
        if not self._sources:
            return {}
        counts = pl.concat(self._sources).group_by("source").sum().sort("source")
        return dict(counts.iter_rows())

    def tally(self) -> pl.DataFrame | None:
        """By field and source how many values there are, of which kind and with which sign of a trap."""
        if not self._tallies:
            return None
        counted = self._tallies[0].columns
        sums = [name for name in counted if name not in ("field", "source", "longest")]
        together = pl.concat(self._tallies).group_by("field", "source", maintain_order=True)
        return together.agg(pl.col(sums).sum(), pl.col("longest").max())

    def months(self) -> pl.DataFrame:
        """How many dates and times each field has of each month."""
        together = pl.concat(self._months).group_by("field", "month")
        return together.agg(pl.col("len").sum()).sort("month")

    def field(
        self,
        name: str,
        tally: pl.DataFrame,
        months: pl.DataFrame,
        sources: Mapping[str, int],
        distinct: DistinctCount,
    ) -> FieldInspection:
        """What is in one field, of which `tally` has the rows by source."""
        by_source = {}
        for row in tally.iter_rows(named=True):
            by_source[row["source"]] = _counts(row, sources[row["source"]])
        for source, rows in sources.items():
            by_source.setdefault(source, FieldCounts(rows, rows, 0, 0, {}))
        counts = _total(list(by_source.values()))
        of_field = months.filter(pl.col("field") == name)
        longest = tally["longest"].max()
        return FieldInspection(
            name=name,
            counts=counts,
            by_source=dict(sorted(by_source.items())),
            distinct=distinct,
            extremes=self._extremes.of(name, counts.filled),
            longest=longest if isinstance(longest, int) else 0,
            examples=self._examples.get(name, []),
            months=dict(of_field.select("month", "len").iter_rows()),
        )


def _chunks(resource: SnapshotResource) -> Iterator[pl.DataFrame]:
    """The records in chunks that are taken apart at once: `source` and `raw`."""
    for frame in resource.frames([]):
        source = pl.col("_source").fill_null("").alias("source")
        records = frame.select(source, pl.col("_raw").alias("raw"))
        by_rows = pl.int_range(pl.len()) // _CHUNK_ROWS
        # By their bytes too: taken apart a record needs many times its size, and some are megabytes.
        by_bytes = pl.col("raw").str.len_bytes().cum_sum() // _CHUNK_BYTES
        chunk = pl.struct(by_rows, by_bytes.alias("bytes")).rle_id().alias("chunk")
        numbered = records.with_columns(chunk)
        yield from numbered.partition_by("chunk", maintain_order=True, include_key=False)


def _long(
    chunk: pl.DataFrame, columns: Collection[str], folded: Mapping[str, int] | None
) -> pl.DataFrame | None:
    """One row per record and field that it has: `field`, `source`, `literal`, `value`."""
    fields = RecordFields([raw.encode() for raw in chunk["raw"]], folded=folded)
    names = [name for name in fields.columns if name in columns]
    if not names:
        return None
    values = fields.values(names)
    sources, columns = chunk["source"], fields.columns
    return pl.concat([_one_field(name, sources, columns[name], values[name]) for name in names])


def _one_field(
    name: str, sources: pl.Series, column: SnapshotColumn, values: pl.Series
) -> pl.DataFrame:
    if column.rows is not None:
        # The literals of a field that few records have are of those records alone.
        rows = list(column.rows)
        sources, values = sources.gather(rows), values.gather(rows)
    literals = pl.Series(column.texts(), dtype=pl.String)
    field = pl.Series([name], dtype=pl.String).new_from_index(0, len(literals))
    frame = pl.DataFrame({"field": field, "source": sources, "literal": literals, "value": values})
    return frame.filter(pl.col("literal") != "")


def _tally(values: pl.DataFrame) -> pl.DataFrame:
    literal, value = pl.col("literal"), pl.col("value")
    kinds = [literal.str.contains(pattern).sum().alias(kind) for kind, pattern in _KINDS]
    signs = [count.alias(name) for name, count in TRAP_COUNTS.items()]
    return values.group_by("field", "source", maintain_order=True).agg(
        pl.len().alias("present"),
        (value == "").sum().alias("empty"),
        *kinds,
        *signs,
        value.str.len_chars().max().alias("longest"),
    )


def _months(values: pl.DataFrame) -> pl.DataFrame:
    moments = values.filter(pl.col("value").str.contains(MOMENT))
    return moments.group_by("field", pl.col("value").str.slice(0, 7).alias("month")).len()


def _keep_examples(values: pl.DataFrame, examples: dict[str, list[str]]) -> None:
    # The commonest values of the first chunk that has the field; more would not say more.
    is_new = ~pl.col("field").is_in(list(examples)) & (pl.col("value") != "")
    counted = values.filter(is_new).group_by("field", "value").len()
    commonest_first = counted.sort(["field", "len", "value"], descending=[False, True, False])
    few = commonest_first.group_by("field", maintain_order=True).head(_EXAMPLES)
    for field, value in few.select("field", "value").iter_rows():
        examples.setdefault(field, []).append(value)


def _distinct(resource: SnapshotResource) -> Mapping[str, DistinctCount]:
    names = [name for name in resource.columns if name not in ("_page", "_raw")]
    frames = resource.frames(names, raw=False)
    return count_distinct((frame.select(names) for frame in frames), len(names))


def _id_shapes(resource: SnapshotResource) -> Iterator[tuple[str, str, int]]:
    """How many ids of each source look how."""
    text = pl.col("_id")
    shape = (
        pl.when(text.str.contains(r"^0\d+$"))
        .then(pl.lit(LEADING_ZEROS))
        .when(text.str.contains(r"^\d+(-\d+)*$"))
        .then(pl.lit(PLAIN_NUMBERS))
        .when(text.str.contains(r"^[0-9a-f]{6,}$"))
        .then(pl.lit(HEXADECIMAL))
        .otherwise(pl.lit(TEXTS))
        .alias("shape")
    )
    source = pl.col("_source").fill_null("")
    frames = resource.frames([], raw=False)
    counts = [frame.filter(text.is_not_null()).group_by(source, shape).len() for frame in frames]
    if counts:
        summed = pl.concat(counts).group_by("_source", "shape").sum()
        yield from summed.sort("_source", "shape").iter_rows()


def _counts(row: Mapping[str, int], rows: int) -> FieldCounts:
    known = sum(row[kind] for kind, _ in _KINDS)
    # What is of no kind of JSON came from a lenient writer, as NaN.
    types = {kind: row.get(kind, 0) for kind in TYPES} | {"other": row["present"] - known}
    return FieldCounts(
        rows=rows,
        absent=rows - row["present"],
        null=row["null"],
        empty=row["empty"],
        types={kind: count for kind, count in types.items() if count},
    )


def _total(parts: Sequence[FieldCounts]) -> FieldCounts:
    counted = sum((Counter(part.types) for part in parts), Counter[str]())
    types = {kind: counted[kind] for kind in TYPES}
    return FieldCounts(
        sum(part.rows for part in parts),
        sum(part.absent for part in parts),
        sum(part.null for part in parts),
        sum(part.empty for part in parts),
        {kind: count for kind, count in types.items() if count},
    )
