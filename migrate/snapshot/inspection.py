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
    found = [
        inspect_resource(snapshot.resources[name]) for name in names if name in snapshot.resources
    ]
    sources = dict.fromkeys(chain.from_iterable(resource.sources for resource in found))
    return Inspection(snapshot.name, found, find_spellings(list(sources)))


def inspect_resource(resource: SnapshotResource) -> ResourceInspection:
    """What is in a resource."""
    tallies, months, sources, examples = [], [], [], dict[str, list[str]]()
    extremes = Extremes()
    folded = resource.result.folded
    # A snapshot of an earlier version does not name the objects that crowded its columns.
    if folded or not resource.result.unlisted_fields:
        known = folded
    else:
        known = None
    for chunk in _chunks(resource):
        found = _long(chunk, resource.columns, known)
        sources.append(chunk.group_by("source").len())
        if found is not None:
            tallies.append(_tally(found))
            months.append(_months(found))
            extremes.add(found)
            _keep_examples(found, examples)
    by_source = (
        dict(pl.concat(sources).group_by("source").sum().sort("source").iter_rows())
        if sources
        else {}
    )
    tally = _summed(tallies)
    by_month = pl.concat(months).group_by("field", "month").sum().sort("month") if months else None
    ids = {(source, shape): count for source, shape, count in _id_shapes(resource)}
    names = [name for name in dict.fromkeys(tally["field"])] if tally is not None else []
    distinct = _distinct(resource)
    fields = [
        _field(
            name,
            tally.filter(pl.col("field") == name),
            by_source,
            distinct.get(name, DistinctCount(0)),
            extremes,
            examples.get(name, []),
            by_month,
        )
        for name in names
        if tally is not None
    ]
    traps = [
        *find_uncolumned(resource.result),
        *find_traps(resource.name, tally, ids, resource.rows),
    ]
    return ResourceInspection(resource.name, resource.rows, by_source, fields, traps)


def _chunks(resource: SnapshotResource) -> Iterator[pl.DataFrame]:
    for frame in resource.frames([]):
        records = frame.select(
            pl.col("_source").fill_null("").alias("source"), pl.col("_raw").alias("raw")
        )
        by_rows = pl.int_range(pl.len()) // _CHUNK_ROWS
        by_bytes = pl.col("raw").str.len_bytes().cum_sum() // _CHUNK_BYTES
        chunk = pl.struct(by_rows, by_bytes.alias("bytes")).rle_id()
        yield from records.with_columns(chunk.alias("chunk")).partition_by(
            "chunk", maintain_order=True, include_key=False
        )


def _long(
    chunk: pl.DataFrame, columns: Collection[str], folded: Mapping[str, int] | None
) -> pl.DataFrame | None:
    """One row per record and field that it has: `field`, `source`, `literal`, `value`."""
    fields = RecordFields([raw.encode() for raw in chunk["raw"]], folded=folded)
    names = [name for name in fields.columns if name in columns]
    if not names:
        return None
    values = fields.values(names)
    frames = [_one_field(chunk, name, fields.columns[name], values[name]) for name in names]
    return pl.concat(frames)


def _one_field(
    chunk: pl.DataFrame, name: str, column: SnapshotColumn, values: pl.Series
) -> pl.DataFrame:
    literals = pl.Series(column.texts(), dtype=pl.String)
    sources = chunk["source"]
    if column.rows is not None:
        sources, values = sources.gather(list(column.rows)), values.gather(list(column.rows))
    field = pl.Series([name], dtype=pl.String).new_from_index(0, len(literals))
    found = {"field": field, "source": sources, "literal": literals, "value": values}
    return pl.DataFrame(found).filter(pl.col("literal") != "")


def _tally(found: pl.DataFrame) -> pl.DataFrame:
    literal, value = pl.col("literal"), pl.col("value")
    kinds = [literal.str.contains(pattern).sum().alias(kind) for kind, pattern in _KINDS]
    return found.group_by("field", "source", maintain_order=True).agg(
        pl.len().alias("present"),
        (value == "").sum().alias("empty"),
        *kinds,
        *(count.alias(name) for name, count in TRAP_COUNTS.items()),
        value.str.len_chars().max().alias("longest"),
    )


def _summed(tallies: Sequence[pl.DataFrame]) -> pl.DataFrame | None:
    if not tallies:
        return None
    sums = [name for name in tallies[0].columns if name not in ("field", "source", "longest")]
    return (
        pl.concat(tallies)
        .group_by("field", "source", maintain_order=True)
        .agg(pl.col(sums).sum(), pl.col("longest").max())
    )


def _months(found: pl.DataFrame) -> pl.DataFrame:
    moments = found.filter(pl.col("value").str.contains(MOMENT))
    return moments.group_by("field", pl.col("value").str.slice(0, 7).alias("month")).len()


def _keep_examples(found: pl.DataFrame, examples: dict[str, list[str]]) -> None:
    # The commonest values of the first chunk that has the field; more would not say more.
    new = found.filter(~pl.col("field").is_in(list(examples)) & (pl.col("value") != ""))
    counted = (
        new.group_by("field", "value")
        .len()
        .sort(["field", "len", "value"], descending=[False, True, False])
    )
    for field, value in (
        counted.group_by("field", maintain_order=True)
        .head(_EXAMPLES)
        .select("field", "value")
        .rows()
    ):
        examples.setdefault(field, []).append(value)


def _distinct(resource: SnapshotResource) -> Mapping[str, DistinctCount]:
    names = [name for name in resource.columns if name not in ("_page", "_raw")]
    frames = resource.frames(names, raw=False)
    return count_distinct((frame.select(names) for frame in frames), len(names))


def _id_shapes(resource: SnapshotResource) -> Iterator[tuple[str, str, int]]:
    text = pl.col("_id")
    shape = (
        pl.when(text.str.contains(r"^0\d+$"))
        .then(pl.lit(LEADING_ZEROS))
        .when(text.str.contains(r"^\d+(-\d+)*$"))
        .then(pl.lit(PLAIN_NUMBERS))
        .when(text.str.contains(r"^[0-9a-f]{6,}$"))
        .then(pl.lit(HEXADECIMAL))
        .otherwise(pl.lit(TEXTS))
    )
    frames = [
        frame.filter(text.is_not_null())
        .group_by(pl.col("_source").fill_null(""), shape.alias("shape"))
        .len()
        for frame in resource.frames([], raw=False)
    ]
    if frames:
        yield from (
            pl.concat(frames)
            .group_by("_source", "shape")
            .sum()
            .sort("_source", "shape")
            .iter_rows()
        )


def _field(
    name: str,
    tally: pl.DataFrame,
    sources: Mapping[str, int],
    distinct: DistinctCount,
    extremes: Extremes,
    examples: Sequence[str],
    months: pl.DataFrame | None,
) -> FieldInspection:
    by_source = {
        row["source"]: _counts(row, sources[row["source"]]) for row in tally.iter_rows(named=True)
    }
    for source, rows in sources.items():
        by_source.setdefault(source, FieldCounts(rows, rows, 0, 0, {}))
    counts = _total(list(by_source.values()))
    of_month = (
        months.filter(pl.col("field") == name).select("month", "len").rows()
        if months is not None
        else []
    )
    return FieldInspection(
        name=name,
        counts=counts,
        by_source=dict(sorted(by_source.items())),
        distinct=distinct,
        extremes=extremes.of(name, counts.filled),
        longest=_largest(tally["longest"]),
        examples=examples,
        months=dict(of_month),
    )


def _counts(row: Mapping[str, int], rows: int) -> FieldCounts:
    known = sum(row[kind] for kind, _ in _KINDS)
    types = {kind: row.get(kind, 0) for kind in TYPES} | {"other": row["present"] - known}
    return FieldCounts(
        rows,
        rows - row["present"],
        row["null"],
        row["empty"],
        {k: n for k, n in types.items() if n},
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


def _largest(lengths: pl.Series) -> int:
    largest = lengths.max()
    return largest if isinstance(largest, int) else 0
