"""Snapshot rows in, typed rows and rejects out."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import polars as pl

from migrate.mapping.columns import FIELD, Computed, compute, evaluate
from migrate.mapping.dates import source_zones
from migrate.mapping.each import read_elements
from migrate.mapping.fields import (
    element_names,
    lookup_columns,
    missing_fields,
    needed_fields,
)
from migrate.mapping.mapped import (
    FILTERED,
    MAX_VALUE,
    LossExamples,
    Mapped,
    count_losses,
    find_rejects,
    join_examples,
    join_mapped,
    lookup_ids,
)
from migrate.mapping.model import Mapping
from migrate.mapping.numbers import FloatDigits
from migrate.mapping.recency import ORDER_BY, Ranking, rank_rows
from migrate.mapping.source_rows import (
    DISCARDED,
    LIST,
    NOTHING_DISCARDED,
    PLACE,
    TOUCHED,
    WAITING,
    LookupTable,
    are_discarded,
    as_set_aside,
    base_rows,
    first_waiting,
    parents_of,
    reject_all,
    slices,
    split_missing_ids,
    take_discarded,
)
from migrate.mapping.types import keys, polars_type

__all__ = [
    "LossExamples",
    "Mapped",
    "RowMapper",
    "Settings",
    "join_examples",
    "lookup_columns",
    "map_rows",
    "missing_fields",
    "needed_fields",
    "typed_schema",
]

MAX_THREADS = 4
PARTS_AT_ONCE = 2
# of a look-up, beside the fields, which all begin with `f:`
_TOUCHED_BY = TOUCHED + ":"


@dataclass(frozen=True)
class Settings:
    """What of the project file changes values: zones of naive times, other names of sources, what "6 digits" means,
    and the number of the project."""

    timezones: Dict[str, str] = field(default_factory=dict)
    source_aliases: Dict[str, str] = field(default_factory=dict)
    float_digits: FloatDigits = "decimals"
    project: str = ""


def typed_schema(mapping: Mapping, float_digits: FloatDigits) -> dict[str, pl.DataType]:
    """The frame's type of each mapped column."""
    return {
        name: polars_type(column.type, float_digits) for name, column in mapping.columns.items()
    }


def map_rows(
    mapping: Mapping,
    rows: pl.DataFrame,
    lookups: Dict[str, pl.DataFrame],
    settings: Settings,
    touched_from: int = 0,
) -> Mapped:
    """The rows under a mapping; see `RowMapper`."""
    return RowMapper(mapping, lookups, settings, touched_from).map(rows)


class RowMapper:
    """Maps rows, some at a time; what it looks up is made ready once. May be asked by several threads.

    **Shape.** `lookups`: by look-up name a frame with `source`, `id` and the other dataset's typed columns.
    `touched_from`: with a delta snapshot, the position from which on records are the delta's; `_touched` then tells the
    rows that it can have changed: its own, and those whose look-up found a row of which the look-up's frame says
    `_touched`. A frame without that column touches nothing. `discarded`: identities that are left out.
    """

    def __init__(
        self,
        mapping: Mapping,
        lookups: Dict[str, pl.DataFrame],
        settings: Settings,
        touched_from: int = 0,
        discarded: pl.DataFrame | None = None,
    ) -> None:
        self._discarded = NOTHING_DISCARDED if discarded is None else discarded
        self._mapping = mapping
        self._tables = lookup_tables(mapping, lookups, settings)
        self._settings = settings
        self._touched_from = touched_from

    def map(self, rows: pl.DataFrame) -> Mapped:
        """The rows, as a snapshot holds them, under the mapping; columns they lack read as null.

        **Guarantees.** read == filtered + rejected + set aside + accepted; the input's order; the same
        input, the same output.
        Memory beyond input and output does not grow with the rows.
        **Raises.** MappingError when an expression cannot run.
        """
        parts = list(slices(self._mapping, rows))
        if len(parts) == 1:
            return self._map_slice(parts[0])
        # a part's columns are worked on by several threads, but not all that is done with it
        with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
            return join_mapped(list(pool.map(self._map_slice, parts)))

    def _map_slice(self, rows: pl.DataFrame) -> Mapped:
        # of columns in several pieces polars would make one for nearly each step
        return _map_slice(
            self._mapping,
            rows.rechunk(),
            self._tables,
            self._settings,
            self._touched_from,
            self._discarded,
        )


@dataclass(frozen=True)
class Exploded:
    """One row per element of the records' lists; what was rejected on the way; records without an element, and those
    that held something else than a list, by its shape."""

    rows: pl.DataFrame
    rejected: list[pl.DataFrame] = field(default_factory=list)
    empty: int = 0
    shapes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkedRows:
    """One run of rows with everything that was worked out of it.

    **Shape.** `rows`, `computed` and `rejects` have one entry per row that came to its columns; a row of `rejects`
    whose rule is null is accepted. `early` are rejects from before. `set_aside`: rows that were discarded,
    or wait for their parent, as `SET_ASIDE`. `filtered_rows`: those that `where` left out.
    """

    rows: pl.DataFrame
    computed: dict[str, Computed]
    rejects: pl.DataFrame
    early: list[pl.DataFrame]
    orphans: dict[str, int]
    filtered_rows: pl.DataFrame
    lines: Exploded
    looked_up_anew: pl.Series
    set_aside: pl.DataFrame

    @property
    def filtered(self) -> int:
        """How many rows `where` left out."""
        return self.filtered_rows.height


def lookup_tables(
    mapping: Mapping, lookups: Dict[str, pl.DataFrame], settings: Settings
) -> dict[str, LookupTable]:
    """The frames of a mapping's look-ups, ready to be asked."""
    used = lookup_columns(mapping)
    return {
        name: LookupTable(lookups[name], used[name], settings.source_aliases)
        for name in mapping.lookups
    }


def work_out(
    mapping: Mapping,
    rows: pl.DataFrame,
    tables: Dict[str, LookupTable],
    settings: Settings,
    discarded: pl.DataFrame = NOTHING_DISCARDED,
) -> WorkedRows:
    """Every column of every row, and which rows are rejected."""
    good, early = split_missing_ids(base_rows(mapping, rows, settings.project))
    lines = _explode(mapping, good) if mapping.each else Exploded(good)
    early, aside = take_discarded([*early, *lines.rejected], discarded)
    good, orphans, waiting = _add_lookups(mapping, lines.rows, tables)
    looked_up_anew = _looked_up_anew(good)
    kept, failed = _keep(mapping, good)
    left_out = are_discarded(good, discarded) & (kept | failed)
    failed &= ~left_out
    if failed.any():
        early += [reject_all(good.filter(failed), "not_computable", "where", None)]
    filtered = good.filter(~(kept | left_out | failed)).select(list(FILTERED)).cast(FILTERED)
    lookup = first_waiting(waiting, good.height)
    waits = lookup.is_not_null() & kept & ~left_out
    set_aside = [
        *aside,
        as_set_aside(good.filter(left_out), DISCARDED),
        _waiting_rows(mapping, good, lookup, waits),
    ]
    stays = kept & ~left_out & ~waits
    if not stays.all():
        good = good.filter(stays)
        orphans = {name: orphan.filter(stays) for name, orphan in orphans.items()}
    computed = _compute_all(mapping, good, settings)
    rejects = find_rejects(mapping, good, orphans, computed)
    counted = {name: int(orphan.sum()) for name, orphan in orphans.items()}
    left = pl.concat(set_aside)
    return WorkedRows(
        good, computed, rejects, early, counted, filtered, lines, looked_up_anew, left
    )


def _waiting_rows(
    mapping: Mapping, rows: pl.DataFrame, lookup: pl.Series, waits: pl.Series
) -> pl.DataFrame:
    """The rows that wait for the row that a look-up should find, with the id that it was asked for."""
    # To work the ids out takes as long as the look-ups themselves, and mostly nothing waits.
    lookups = mapping.lookups if waits.any() else {}
    ids = {name: lookup_ids(rule, rows) for name, rule in lookups.items()}
    parents = parents_of(lookup, ids)
    return as_set_aside(rows.filter(waits), WAITING, lookup.filter(waits), parents.filter(waits))


def _compute_all(mapping: Mapping, rows: pl.DataFrame, settings: Settings) -> dict[str, Computed]:
    """Every column, several at a time: polars leaves Python free while it works, and each column stands alone."""

    zones = source_zones(rows["_source"], settings.timezones, settings.source_aliases)

    def run(name: str) -> Computed:
        required = mapping.is_required(name)
        return compute(name, mapping.columns[name], rows, required, zones, settings.float_digits)

    with ThreadPoolExecutor(min(MAX_THREADS, pl.thread_pool_size())) as pool:
        return dict(zip(mapping.columns, pool.map(run, mapping.columns), strict=True))


def _map_slice(
    mapping: Mapping,
    rows: pl.DataFrame,
    tables: Dict[str, LookupTable],
    settings: Settings,
    touched_from: int,
    discarded: pl.DataFrame,
) -> Mapped:
    worked = work_out(mapping, rows, tables, settings, discarded)
    mask = worked.rejects["rule"].is_null()
    late = worked.rejects.filter(~mask)
    touched = _touched(worked.rows, touched_from)
    zones = source_zones(worked.rows["_source"], settings.timezones, settings.source_aliases)
    ranking = rank_rows(mapping, worked.rows, worked.computed, zones)
    accepted = _accepted(mapping, worked.rows, worked.computed, touched, ranking)
    told = {**worked.computed, ORDER_BY: ranking.as_column()}
    losses, examples = count_losses(told, worked.rows, mask)
    if worked.lines.shapes:
        # of records, not of rows: told beside the columns under the name of the list
        losses = {
            **losses,
            str(mapping.each): {**losses.get(str(mapping.each), {}), **worked.lines.shapes},
        }
    return Mapped(
        accepted=accepted.filter(mask) if late.height else accepted,
        rejected=pl.concat([*worked.early, late]).sort(
            "_position", "_element", maintain_order=True, nulls_last=False
        ),
        read=worked.rows.height
        + worked.filtered
        + worked.set_aside.height
        + sum(part.height for part in worked.early),
        filtered=worked.filtered,
        empty_each=worked.lines.empty,
        orphans=worked.orphans,
        losses=losses,
        loss_examples=examples,
        looked_up_anew=worked.looked_up_anew,
        set_aside=worked.set_aside,
        filtered_rows=worked.filtered_rows,
    )


def _explode(mapping: Mapping, base: pl.DataFrame) -> Exploded:
    elements = read_elements(base[LIST], sorted(element_names(mapping)))
    offending = pl.col(LIST).str.slice(0, MAX_VALUE)
    broken = [reject_all(base[elements.broken], "each_not_a_list", str(mapping.each), offending)]
    values = [found.alias(FIELD + name) for name, found in elements.values.items()]
    lines = base.drop(LIST)[elements.parents].with_columns(
        elements.places.alias("_element"),
        elements.places.cast(pl.String).alias(FIELD + "position"),
        *values,
    )
    lines, without = _split_empty(mapping, lines, list(elements.values))
    return Exploded(lines, [*broken, *without], elements.empty, elements.shapes)


def _split_empty(
    mapping: Mapping, lines: pl.DataFrame, names: list[str]
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """The lines, and as rejects those in whose element no field that the mapping reads has a value."""
    if not names:
        return lines, []
    said = [(pl.col(FIELD + name).fill_null("") != "") for name in names]
    has_any = lines.select(pl.any_horizontal(said).alias("has")).to_series()
    if has_any.all():
        return lines, []
    empty = lines.filter(~has_any)
    return lines.filter(has_any), [reject_all(empty, "empty_element", str(mapping.each), None)]


def _touched(rows: pl.DataFrame, touched_from: int) -> pl.Series:
    """Which rows a delta snapshot can have changed; all of them where there is none."""
    if touched_from <= 0:
        return pl.Series([True]).new_from_index(0, rows.height)
    looked_up = [pl.col(name) for name in rows.columns if name.startswith(_TOUCHED_BY)]
    return rows.select(
        pl.any_horizontal(pl.col("_position") >= touched_from, *looked_up)
    ).to_series()


def _looked_up_anew(rows: pl.DataFrame) -> pl.Series:
    """The positions of records that look up a row which a delta may have changed."""
    looked_up = [pl.col(name) for name in rows.columns if name.startswith(_TOUCHED_BY)]
    if not looked_up:
        return pl.Series(dtype=pl.Int64)
    found = rows.filter(pl.any_horizontal(looked_up)).get_column("_position")
    return found.cast(pl.Int64).unique(maintain_order=True)


def _add_lookups(
    mapping: Mapping, rows: pl.DataFrame, tables: Dict[str, LookupTable]
) -> tuple[pl.DataFrame, dict[str, pl.Series], dict[str, pl.Series]]:
    """The rows with what they look up; by look-up, which are orphans, and which wait for a parent."""
    orphans: dict[str, pl.Series] = {}
    waiting: dict[str, pl.Series] = {}
    found_columns: list[pl.Series] = []
    for name, rule in mapping.lookups.items():
        found = tables[name].find(rows[FIELD + rule.source], lookup_ids(rule, rows))
        found_columns += [series.alias(f"{FIELD}{name}.{series.name}") for series in found.columns]
        if found.touched is not None:
            found_columns.append(found.touched.alias(_TOUCHED_BY + name))
        orphans[name], waiting[name] = found.orphan, found.waiting
    return rows.with_columns(found_columns), orphans, waiting


def _keep(mapping: Mapping, rows: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Which rows `where` keeps, unknown is left out; and for which it cannot be worked out."""
    no = pl.Series([False]).new_from_index(0, rows.height)
    if mapping.where is None:
        return ~no, no
    found = evaluate("where", mapping.where, rows)
    if found.fails is None:
        failed = no
    else:
        failed = found.fails.fill_null(value=False)
    return found.values.cast(pl.Boolean).fill_null(value=False) & ~failed, failed


def _defaults(mapping: Mapping, computed: dict[str, Computed], rows: int) -> list[pl.Series]:
    """Which values are only their column's default, where rows of one key ask for that: see `collapse_rows`."""
    asked = [
        name
        for name, column in mapping.columns.items()
        if column.default is not None and (column.consent or mapping.collapse.fill_gaps)
    ]
    none = pl.Series([False]).new_from_index(0, rows)
    return [
        computed[name].losses.get("defaulted", none).alias(f"_default:{name}") for name in asked
    ]


def _accepted(
    mapping: Mapping,
    rows: pl.DataFrame,
    computed: dict[str, Computed],
    touched: pl.Series,
    ranking: Ranking,
) -> pl.DataFrame:
    values = [column.value.alias(name) for name, column in computed.items()]
    nulls = [
        column.sends_null.alias(f"_null:{name}")
        for name, column in computed.items()
        if column.sends_null is not None
    ]
    typed = pl.DataFrame(values)
    place = [rows[name] for name in PLACE]
    return pl.DataFrame(
        [
            *place,
            ranking.times.alias("_recency"),
            keys(mapping, typed).alias("_key"),
            touched.alias(TOUCHED),
            *values,
            *nulls,
            *_defaults(mapping, computed, rows.height),
        ]
    )
