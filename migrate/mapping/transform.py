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

    @property
    def read(self) -> int:
        """All rows that came in, whatever became of them."""
        rejected_early = sum(part.height for part in self.early)
        return self.rows.height + self.filtered + self.set_aside.height + rejected_early


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
    base, without_id = split_missing_ids(base_rows(mapping, rows, settings.project))
    if mapping.each:
        lines = _explode(mapping, base)
    else:
        lines = Exploded(base)
    early, aside = take_discarded([*without_id, *lines.rejected], discarded)
    looked_up = _look_up(mapping, lines.rows, tables)
    judged = looked_up.rows
    # Every row goes one way: set aside by hand, not computable, filtered, waiting, or on to its columns.
    wanted, failed = _judge_where(mapping, judged)
    by_hand = are_discarded(judged, discarded) & (wanted | failed)
    failed &= ~by_hand
    if failed.any():
        early.append(reject_all(judged.filter(failed), "not_computable", "where", None))
    filtered = judged.filter(~(wanted | by_hand | failed))
    waits_by = first_waiting(looked_up.waiting, judged.height)
    waits = waits_by.is_not_null() & wanted & ~by_hand
    aside += [
        as_set_aside(judged.filter(by_hand), DISCARDED),
        _waiting_rows(mapping, judged, waits_by, waits),
    ]
    stays = wanted & ~by_hand & ~waits
    good, orphans = judged, looked_up.orphans
    # Nearly always every row stays, and then nothing is copied.
    if not stays.all():
        good = judged.filter(stays)
        orphans = {name: orphan.filter(stays) for name, orphan in orphans.items()}
    computed = _compute_all(mapping, good, settings)
    return WorkedRows(
        rows=good,
        computed=computed,
        rejects=find_rejects(mapping, good, orphans, computed),
        early=early,
        orphans={name: int(orphan.sum()) for name, orphan in orphans.items()},
        filtered_rows=filtered.select(list(FILTERED)).cast(FILTERED),
        lines=lines,
        looked_up_anew=_looked_up_anew(judged),
        set_aside=pl.concat(aside),
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

    # Few threads, since polars has a pool of its own and more of ours would only wait for it.
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
    is_accepted = worked.rejects["rule"].is_null()
    late = worked.rejects.filter(~is_accepted)
    zones = source_zones(worked.rows["_source"], settings.timezones, settings.source_aliases)
    ranking = rank_rows(mapping, worked.rows, worked.computed, zones)
    accepted = _typed_rows(mapping, worked, _touched(worked.rows, touched_from), ranking)
    if late.height:
        accepted = accepted.filter(is_accepted)
    # Times that rank nothing are counted like what gets lost in a column.
    counted = {**worked.computed, ORDER_BY: ranking.as_column()}
    losses, examples = count_losses(counted, worked.rows, is_accepted)
    if worked.lines.shapes:
        # Of records, not of rows: told beside the columns under the name of the list.
        list_name = str(mapping.each)
        losses[list_name] = losses.get(list_name, {}) | worked.lines.shapes
    rejected = pl.concat([*worked.early, late])
    return Mapped(
        accepted=accepted,
        rejected=rejected.sort("_position", "_element", maintain_order=True, nulls_last=False),
        read=worked.read,
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
    """One row per element of each record's list."""
    list_name = str(mapping.each)
    elements = read_elements(base[LIST], sorted(element_names(mapping)))
    offending = pl.col(LIST).str.slice(0, MAX_VALUE)
    broken = reject_all(base[elements.broken], "each_not_a_list", list_name, offending)
    fields = [texts.alias(FIELD + name) for name, texts in elements.values.items()]
    lines = base.drop(LIST)[elements.parents].with_columns(
        elements.places.alias("_element"),
        elements.places.cast(pl.String).alias(FIELD + "position"),
        *fields,
    )
    if not fields:
        return Exploded(lines, [broken], elements.empty, elements.shapes)
    has_value = [pl.col(field.name).fill_null("") != "" for field in fields]
    says_any = lines.select(pl.any_horizontal(has_value).alias("says_any")).to_series()
    if says_any.all():
        return Exploded(lines, [broken], elements.empty, elements.shapes)
    # An element without any field that is read would become a row of nulls that nobody sent.
    silent = reject_all(lines.filter(~says_any), "empty_element", list_name, None)
    return Exploded(lines.filter(says_any), [broken, silent], elements.empty, elements.shapes)


def _touched(rows: pl.DataFrame, touched_from: int) -> pl.Series:
    """Which rows a delta snapshot can have changed; all of them where there is none."""
    if touched_from <= 0:
        return pl.Series([True]).new_from_index(0, rows.height)
    is_own = pl.col("_position") >= touched_from
    return rows.select(pl.any_horizontal(is_own, *_looked_up_touched(rows))).to_series()


def _looked_up_touched(rows: pl.DataFrame) -> list[str]:
    """The columns that say whether the row which a look-up found may have changed."""
    return [name for name in rows.columns if name.startswith(_TOUCHED_BY)]


def _looked_up_anew(rows: pl.DataFrame) -> pl.Series:
    """The positions of records that look up a row which a delta may have changed."""
    looked_up = _looked_up_touched(rows)
    if not looked_up:
        return pl.Series(dtype=pl.Int64)
    positions = rows.filter(pl.any_horizontal(looked_up)).get_column("_position")
    return positions.cast(pl.Int64).unique(maintain_order=True)


@dataclass(frozen=True)
class _LookedUpRows:
    """The rows with what they look up; by look-up, which are orphans, and which wait for a parent."""

    rows: pl.DataFrame
    orphans: dict[str, pl.Series]
    waiting: dict[str, pl.Series]


def _look_up(mapping: Mapping, rows: pl.DataFrame, tables: Dict[str, LookupTable]) -> _LookedUpRows:
    columns: list[pl.Series] = []
    orphans: dict[str, pl.Series] = {}
    waiting: dict[str, pl.Series] = {}
    for name, rule in mapping.lookups.items():
        looked_up = tables[name].find(rows[FIELD + rule.source], lookup_ids(rule, rows))
        prefix = f"{FIELD}{name}."
        columns += [series.alias(prefix + series.name) for series in looked_up.columns]
        if looked_up.touched is not None:
            columns.append(looked_up.touched.alias(_TOUCHED_BY + name))
        orphans[name] = looked_up.orphan
        waiting[name] = looked_up.waiting
    return _LookedUpRows(rows.with_columns(columns), orphans, waiting)


def _judge_where(mapping: Mapping, rows: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Which rows `where` wants, unknown is left out; and for which it cannot be worked out."""
    no = pl.Series([False]).new_from_index(0, rows.height)
    if mapping.where is None:
        return ~no, no
    answers = evaluate("where", mapping.where, rows)
    if answers.fails is None:
        failed = no
    else:
        failed = answers.fails.fill_null(value=False)
    wanted = answers.values.cast(pl.Boolean).fill_null(value=False)
    return wanted & ~failed, failed


def _default_marks(mapping: Mapping, computed: dict[str, Computed], rows: int) -> list[pl.Series]:
    """Which values are only their column's default, where rows of one key ask for that: see `collapse_rows`."""
    no = pl.Series([False]).new_from_index(0, rows)
    marks = []
    for name, column in mapping.columns.items():
        is_asked_for = column.consent or mapping.collapse.fill_gaps
        if column.default is not None and is_asked_for:
            defaulted = computed[name].losses.get("defaulted", no)
            marks.append(defaulted.alias(f"_default:{name}"))
    return marks


def _typed_rows(
    mapping: Mapping, worked: WorkedRows, touched: pl.Series, ranking: Ranking
) -> pl.DataFrame:
    """The rows as `Mapped.accepted` has them, those that are rejected among them."""
    rows, computed = worked.rows, worked.computed
    values = [column.value.alias(name) for name, column in computed.items()]
    nulls = []
    for name, column in computed.items():
        if column.sends_null is not None:
            nulls.append(column.sends_null.alias(f"_null:{name}"))
    return pl.DataFrame(
        [
            *(rows[name] for name in PLACE),
            ranking.times.alias("_recency"),
            keys(mapping, pl.DataFrame(values)).alias("_key"),
            touched.alias(TOUCHED),
            *values,
            *nulls,
            *_default_marks(mapping, computed, rows.height),
        ]
    )
