"""Snapshot rows in, typed rows and rejects out."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field

import polars as pl

from migrate.mapping.columns import FIELD, Computed, compute, evaluate, first_value
from migrate.mapping.dates import read_datetimes, source_zones
from migrate.mapping.each import read_elements
from migrate.mapping.fields import (
    IDENTITY,
    element_names,
    lookup_columns,
    missing_fields,
    needed_fields,
    record_names,
    used_names,
)
from migrate.mapping.lookups import look_up
from migrate.mapping.model import Lookup, Mapping
from migrate.mapping.numbers import FloatDigits
from migrate.mapping.payload import keys
from migrate.mapping.types import polars_type

__all__ = ["Mapped", "Settings", "lookup_columns", "map_rows", "missing_fields", "needed_fields", "typed_schema"]

MAX_VALUE = 200
_PLACE = ("_source", "_id", "_position", "_element")


@dataclass(frozen=True)
class Settings:
    """What of the project file changes values: zones of naive times, other names of sources, what "6 digits" means."""

    timezones: Dict[str, str] = field(default_factory=dict)
    source_aliases: Dict[str, str] = field(default_factory=dict)
    float_digits: FloatDigits = "decimals"


@dataclass(frozen=True)
class Mapped:
    """What became of the rows.

    **Shape.** `accepted`: `_source`, `_id`, `_position`, `_element` (place from 1 with `each`, else null), `_recency`
    (naive UTC, null where no time is known), `_key`, the mapped columns, and a Boolean `_null:COLUMN` for columns that
    may send null.
    `rejected`: `_source`, `_id`, `_position`, `_element`, `rule`, `column`, `value` (at most 200 characters).
    `losses`: by column and loss, how many accepted rows.
    **Guarantees.** read == filtered + rejected + accepted. Order is the input's.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    read: int
    filtered: int
    empty_each: int
    orphans: dict[str, int]
    losses: dict[str, dict[str, int]]


def typed_schema(mapping: Mapping, float_digits: FloatDigits) -> dict[str, pl.DataType]:
    """The frame's type of each mapped column."""
    return {name: polars_type(column.type, float_digits) for name, column in mapping.columns.items()}


def map_rows(mapping: Mapping, rows: pl.DataFrame, lookups: Dict[str, pl.DataFrame], settings: Settings) -> Mapped:
    """The rows under a mapping.

    **Shape.** `rows` as a snapshot holds them; columns it lacks read as null. `lookups`: by look-up name a frame with
    `source`, `id` and the other dataset's typed columns.
    **Guarantees.** read == filtered + rejected + accepted; the input's order; the same input, the same output.
    **Raises.** MappingError when an expression cannot run.
    """
    good, early = _split_missing_ids(_base(mapping, rows))
    good, broken, empty = _explode(mapping, good) if mapping.each else (good, [], 0)
    read = good.height + sum(part.height for part in [*early, *broken])
    good, orphans = _add_lookups(mapping, good, lookups, settings)
    kept = _keep(mapping, good)
    filtered = good.height - int(kept.sum())
    good, orphans = good.filter(kept), {name: orphan.filter(kept) for name, orphan in orphans.items()}
    computed = {
        name: compute(name, column, good, mapping.is_required(name), settings.timezones, settings.float_digits)
        for name, column in mapping.columns.items()
    }
    rejects = _rejects(mapping, good, orphans, computed)
    accepted_mask = rejects["rule"].is_null()
    late = rejects.filter(~accepted_mask)
    return Mapped(
        accepted=_accepted(mapping, good, computed, settings).filter(accepted_mask),
        rejected=pl.concat([*early, *broken, late]).sort(
            "_position", "_element", maintain_order=True, nulls_last=False
        ),
        read=read,
        filtered=filtered,
        empty_each=empty,
        orphans={name: int(orphan.sum()) for name, orphan in orphans.items()},
        losses=_count_losses(computed, accepted_mask),
    )


def _base(mapping: Mapping, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with each field under a name that no expression can mistake: `f:NAME`."""
    wanted = record_names(mapping) | set(mapping.collapse.order_by) | ({mapping.each} if mapping.each else set())
    series = [rows[name] for name in ("_source", "_id", "_position")]
    series += [_field(rows, name).alias(FIELD + name) for name in sorted(wanted - set(IDENTITY))]
    series += [rows[column].alias(FIELD + name) for name, column in IDENTITY.items()]
    return pl.DataFrame(series).with_columns(pl.lit(None, dtype=pl.Int64).alias("_element"))


def _field(rows: pl.DataFrame, name: str) -> pl.Series:
    if name in rows.columns:
        return rows[name].cast(pl.String)
    return pl.Series(name, [None], dtype=pl.String).new_from_index(0, rows.height)


def _split_missing_ids(base: pl.DataFrame) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    missing = base["_id"].fill_null("") == ""
    if not missing.any():
        return base, []
    return base.filter(~missing), [_reject_all(base.filter(missing), "id_missing", "id", None)]


def _reject_all(rows: pl.DataFrame, rule: str, column: str, value: str | None) -> pl.DataFrame:
    text = pl.col(value).str.slice(0, MAX_VALUE) if value else pl.lit(None, dtype=pl.String)
    return rows.select(*_PLACE, rule=pl.lit(rule), column=pl.lit(column), value=text)


def _explode(mapping: Mapping, base: pl.DataFrame) -> tuple[pl.DataFrame, list[pl.DataFrame], int]:
    column = FIELD + str(mapping.each)
    elements = read_elements(base[column], sorted(element_names(mapping)))
    broken = (
        [_reject_all(base[elements.broken], "each_not_a_list", str(mapping.each), column)] if elements.broken else []
    )
    parents = pl.Series(elements.parents, dtype=pl.UInt32)
    places = pl.Series("_element", elements.places, dtype=pl.Int64)
    if str(mapping.each) not in used_names(mapping):
        base = base.drop(column)
    values = [pl.Series(FIELD + name, found, dtype=pl.String) for name, found in elements.values.items()]
    lines = base.select(pl.all().gather(parents)).with_columns(
        places, places.cast(pl.String).alias(FIELD + "position"), *values
    )
    return lines, broken, elements.empty


def _add_lookups(
    mapping: Mapping, rows: pl.DataFrame, lookups: Dict[str, pl.DataFrame], settings: Settings
) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    used = lookup_columns(mapping)
    orphans: dict[str, pl.Series] = {}
    found_columns: list[pl.Series] = []
    for name, rule in mapping.lookups.items():
        source, record_id = rows[FIELD + rule.source], _ids(rule, rows)
        found = look_up(source, record_id, lookups[name], used[name], settings.source_aliases)
        found_columns += [series.alias(f"{FIELD}{name}.{series.name}") for series in found.columns]
        orphans[name] = found.orphan
    return rows.with_columns(found_columns), orphans


def _ids(lookup: Lookup, rows: pl.DataFrame) -> pl.Series:
    return first_value([rows[FIELD + name] for name in lookup.ids])


def _keep(mapping: Mapping, rows: pl.DataFrame) -> pl.Series:
    """Which rows `where` keeps; unknown is left out."""
    if mapping.where is None:
        return pl.Series([True]).new_from_index(0, rows.height)
    return (evaluate("where", mapping.where, rows)).fill_null(False)


def _rejects(
    mapping: Mapping, rows: pl.DataFrame, orphans: dict[str, pl.Series], computed: dict[str, Computed]
) -> pl.DataFrame:
    """One row per row: the first rule it breaks, the column, the text; null where it breaks none."""
    found = pl.DataFrame([rows[name] for name in _PLACE]).with_columns(
        pl.lit(None, dtype=pl.String).alias(name) for name in ("rule", "column", "value")
    )
    for name, orphan in orphans.items():
        if mapping.lookups[name].on_orphan == "reject" and orphan.any():
            rule = pl.DataFrame({"o": orphan}).select(pl.when(pl.col("o")).then(pl.lit("orphan"))).to_series()
            found = _note(found, name, rule, _ids(mapping.lookups[name], rows))
    for name, column in computed.items():
        if column.rule.null_count() < rows.height:
            found = _note(found, name, column.rule, column.text)
    return found


def _note(found: pl.DataFrame, name: str, rule: pl.Series, text: pl.Series) -> pl.DataFrame:
    first = pl.col("rule").is_null() & pl.col("_rule").is_not_null()
    values = {"rule": pl.col("_rule"), "column": pl.lit(name), "value": pl.col("_text").str.slice(0, MAX_VALUE)}
    noted = found.with_columns(rule.alias("_rule"), text.alias("_text"))
    return noted.with_columns(
        pl.when(first).then(value).otherwise(pl.col(column)).alias(column) for column, value in values.items()
    ).drop("_rule", "_text")


def _accepted(mapping: Mapping, rows: pl.DataFrame, computed: dict[str, Computed], settings: Settings) -> pl.DataFrame:
    values = [column.value.alias(name) for name, column in computed.items()]
    nulls = [
        column.sends_null.alias(f"_null:{name}") for name, column in computed.items() if column.sends_null is not None
    ]
    typed = pl.DataFrame(values)
    place = [rows[name] for name in _PLACE]
    return pl.DataFrame(
        [
            *place,
            _recency(mapping, rows, settings).alias("_recency"),
            keys(mapping, typed).alias("_key"),
            *values,
            *nulls,
        ]
    )


def _recency(mapping: Mapping, rows: pl.DataFrame, settings: Settings) -> pl.Series:
    zones = source_zones(rows["_source"], settings.timezones)
    times = [read_datetimes(rows[FIELD + name], zones)["value"].alias(name) for name in mapping.collapse.order_by]
    return pl.DataFrame(times).select(pl.coalesce(pl.all()).alias("_recency")).to_series()


def _count_losses(computed: dict[str, Computed], accepted: pl.Series) -> dict[str, dict[str, int]]:
    counted: dict[str, dict[str, int]] = {}
    for name, column in computed.items():
        counts = {loss: int((lost & accepted).sum()) for loss, lost in column.losses.items()}
        counted[name] = {loss: count for loss, count in counts.items() if count}
    return {name: counts for name, counts in counted.items() if counts}
