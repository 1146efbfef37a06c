"""One dataset of a plan: its rows collapsed, compared with the target, cut into batches and written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from migrate.mapping.model import Mapping
from migrate.mapping.payload import payloads
from migrate.plan.batches import in_sending_order, too_large, with_batches
from migrate.plan.classify import Classified, Columns, classify_rows, classify_unread
from migrate.plan.collapse import CollapseRule, collapse_rows
from migrate.plan.cost import POINTS_A_BATCH
from migrate.plan.document import DatasetPlan, PlannedFile, TargetReading, Unmapped
from migrate.plan.files import LEADING, stored_columns, write_parquet
from migrate.plan.merges import Forecasted, forecast_merges
from migrate.plan.reading import Held
from migrate.plan.rows import MappedRows, Tally, as_rejects
from migrate.plan.totals import compare_totals, plan_totals, totals_rule

_PAYLOAD_ROWS = 100_000


@dataclass(frozen=True)
class Final:
    """A dataset's rows before they are compared: in sending order, unique by `_key`, with `_payload` and `_sources`."""

    mapping: Mapping
    tally: Tally
    rows: pl.DataFrame
    rejected: pl.DataFrame
    losers: pl.DataFrame
    examples: pl.DataFrame
    totals: pl.DataFrame


def finish_rows(mapping: Mapping, mapped: MappedRows, batch_bytes: int) -> Final:
    """The mapped rows collapsed by key, with their payloads; one that no request can carry is rejected, `too_large`."""
    consents = [name for name, column in mapping.columns.items() if column.consent]
    how = mapping.collapse
    rule = CollapseRule(how.by, how.source_order, how.fill_gaps, consents)
    collapsed = collapse_rows(mapped.accepted, list(mapping.columns), rule, mapping.resource)
    rows = in_sending_order(collapsed.rows)
    rows = rows.with_columns(_payloads(mapping, rows))
    large = rows.filter(too_large("_payload", batch_bytes))
    if large.height:
        rows = rows.filter(~too_large("_payload", batch_bytes))
    rejected = pl.concat([mapped.rejected, _too_large_rejects(large, mapping.resource)])
    of = totals_rule(mapping)
    totals = compare_totals(of, mapped.totals, plan_totals(of, rows) if of else rows)
    return Final(mapping, mapped.tally, rows, rejected, collapsed.losers, mapped.examples, totals)


def _payloads(mapping: Mapping, rows: pl.DataFrame) -> pl.Series:
    """The payload of each row, made some at a time: the texts on the way are several times the result."""
    made = [payloads(mapping, some) for some in rows.iter_slices(_PAYLOAD_ROWS)]
    return pl.concat([pl.Series(dtype=pl.String), *made]).alias("_payload")


def _too_large_rejects(large: pl.DataFrame, resource: str) -> pl.DataFrame:
    size = pl.format("{} bytes", pl.col("_payload").str.len_bytes())
    named = large.with_columns(rule=pl.lit("too_large"), column=pl.lit(None, pl.String), value=size)
    return as_rejects(named, resource)


@dataclass(frozen=True)
class Compared:
    """The rows with what each will do in the target, and which records would become one."""

    classified: Classified
    merges: Forecasted


def compare_rows(final: Final, held: Held | None, types: Dict[str, pl.DataType]) -> Compared:
    """The rows against the target; `unknown` where it was not read."""
    mapping = final.mapping
    recipes = [name for name, column in mapping.columns.items() if column.recipe]
    settled = [name for name, column in mapping.columns.items() if "recipe" in column.model_fields_set]
    columns = Columns(types, mapping.key, recipes, settled)
    classified = classify_unread(final.rows, columns) if held is None else classify_rows(final.rows, held, columns)
    repeated = classified.repeated_keys > 0
    merges = forecast_merges(classified.rows, held, columns, mapping.alternative_keys, repeated=repeated)
    return Compared(classified, merges)


@dataclass(frozen=True)
class Written:
    """A dataset's files, and the batches its rows were cut into."""

    files: tuple[PlannedFile, ...]
    batches: int


def write_dataset(final: Final, compared: Compared, folder: Path, plan_folder: Path, batch_bytes: int) -> Written:
    """Writes the dataset's Parquet files: what is sent, what needs no sending, what was rejected and what collapsed."""
    classified = compared.classified
    still = classified.rows.get_column("_change") == "unchanged"
    unsent = classified.rows.filter(still)
    records = with_batches(classified.rows.filter(~still) if unsent.height else classified.rows, batch_bytes)
    mapped = [pl.col(name).alias(stored) for name, stored in stored_columns(list(final.mapping.columns)).items()]
    leading = [pl.col(working).alias(name) for name, working in LEADING.items()]
    frames = {
        "records": records.select(*leading, *mapped),
        "unchanged": unsent.select(*leading[2:], *mapped),
        "rejects": final.rejected,
        "collapsed": final.losers,
        "samples": classified.samples,
        "foreign": classified.foreign,
        "merges": compared.merges.clusters,
        "keys": compared.merges.odd,
        "losses": final.examples,
        "totals": final.totals,
    }
    files = tuple(write_parquet(frame, folder / f"{name}.parquet", plan_folder) for name, frame in frames.items())
    return Written(files, records.get_column("_batch").n_unique())


@dataclass(frozen=True)
class Notes:
    """What a reader of the plan should know beside the counts."""

    unmapped: tuple[Unmapped, ...] = ()
    warnings: tuple[str, ...] = ()


def count_dataset(final: Final, compared: Compared, batches: int, minutes: float, notes: Notes) -> DatasetPlan:
    """The dataset's counts. Raises AssertionError, a bug, where they do not add up."""
    classified, merges = compared.classified, compared.merges.counts
    tally, rows = final.tally, classified.rows
    changes = count_values(rows.get_column("_change"))
    rejected = final.rejected.height
    if tally.read != tally.filtered + rejected + final.losers.height + rows.height:
        raise AssertionError(
            f"{final.mapping.dataset}: filtered, rejected, collapsed and planned are not what was read"
        )
    return DatasetPlan(
        read=tally.read,
        filtered=tally.filtered,
        rejected=rejected,
        collapsed=final.losers.height,
        planned=rows.height,
        create=changes.get("create", 0),
        update=changes.get("update", 0),
        unchanged=changes.get("unchanged", 0),
        unknown=changes.get("unknown", 0),
        merge_forecast=merges.masterids_lost + merges.rows_fused,
        batches=batches,
        points=batches * POINTS_A_BATCH,
        minutes=minutes,
        rejected_by_rule=count_values(final.rejected.get_column("rule")),
        by_source=count_values(rows.get_column("_source").fill_null("")),
        change_counts=classified.change_counts,
        recipe_counts=classified.recipe_counts,
        losses=tally.losses,
        orphans=tally.orphans,
        unmapped=notes.unmapped,
        foreign=classified.foreign.height,
        empty_each=tally.empty_each,
        warnings=notes.warnings,
        merges=merges,
        recipes=_recipes(final.mapping, classified),
    )


def _recipes(mapping: Mapping, classified: Classified) -> dict[str, str]:
    declared = {name: "declared" for name, column in mapping.columns.items() if column.recipe}
    return declared | dict(classified.recognised)


def count_values(values: pl.Series) -> dict[str, int]:
    """How often each value stands in a column of texts, sorted by value."""
    counted = values.rename("value").value_counts()
    return {str(value): int(count) for value, count in sorted(counted.iter_rows())}


def target_warnings(reading: TargetReading, classified: Classified, mapping: Mapping) -> tuple[str, ...]:
    """What is odd about the target as it was read: columns it does not show, rows that moved, keys that come twice.

    An empty dataset may show no columns of its own; then nothing is said about them.
    """
    shown = any(not name.startswith("__") for name in reading.columns)
    warnings = _column_warnings(reading.columns, mapping.columns) if shown else []
    if reading.moving:
        warnings.append("the target was written to each time it was read: the changes are those of one moment")
    if reading.repeated_keys:
        warnings.append(f"{reading.repeated_keys:,} rows of the target have the key of another row there")
    warnings += [
        f"key column {name} is a recipe's: rows that the target spells otherwise look new"
        for name in mapping.key
        if mapping.columns[name].recipe
    ]
    warnings += [
        f"{name} is compared as report-only: the target {recipe} every value; `recipe: false` sends it all the same"
        for name, recipe in classified.recognised.items()
    ]
    warnings += [
        f"{name} differs in letter case and spaces only: if the target's own recipe does that, declare `recipe: true`"
        for name in classified.recipe_suspects
    ]
    return tuple(warnings)


def _column_warnings(header: Sequence[str], columns: Iterable[str]) -> list[str]:
    by_fold = {name.casefold(): name for name in header}
    missing = [name for name in columns if name not in header]
    twins = {name: by_fold[name.casefold()] for name in missing if name.casefold() in by_fold}
    plain = [name for name in missing if name not in twins]
    warnings = [f"the target has a column {twin!r}, the mapping {name!r}: case matters" for name, twin in twins.items()]
    if plain:
        warnings.append(f"missing_columns: the target shows no column {', '.join(plain)}")
    return warnings
