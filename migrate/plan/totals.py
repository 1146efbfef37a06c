"""Business totals of a dataset of a plan: the source's own fields against the plan's finished files.

The plan and whoever verifies it later call the same function on the same files, so the two cannot
say different things.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Dict
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.config import Project
from migrate.mapping.model import Mapping
from migrate.plan.document import DatasetPlan, PlannedFile, TotalsUsed
from migrate.plan.files import stored_columns, write_parquet
from migrate.snapshot.reading import SnapshotResource
from migrate.snapshot.union import has_field
from migrate.totals.account import (
    FATES_SCHEMA,
    PLANNED_SCHEMA,
    Outcome,
    account,
    planned_rows,
)
from migrate.totals.declared import SourceFields
from migrate.totals.records import Asked, identity, read_records
from migrate.totals.rule import ColumnFacts, DatasetFacts, Rule, rule_of
from migrate.totals.table import Example, Table, groups_of, to_frame

FILE, UNREADABLE = "totals.parquet", "unreadable.parquet"
_EXAMPLES = dict.fromkeys(("source", "id", "text"), pl.String)
_ROWS = ("records.parquet", "unchanged.parquet")
_LISTS = {
    "rejects.parquet": "rejected",
    "discarded.parquet": "discarded",
    "waiting.parquet": "waiting",
}


def totals_rule(
    mapping: Mapping,
    source_names: Dict[str, Sequence[str]] | None = None,
    column_names: Dict[str, str] | None = None,
) -> Rule | None:
    """How a dataset is totalled, None where it holds nothing that is."""
    columns = {
        name: ColumnFacts(column.type, tuple(column.fields), column.format)
        for name, column in mapping.columns.items()
    }
    facts = DatasetFacts(mapping.dataset, str(mapping.resource), mapping.each, columns)
    return rule_of(facts, source_names, column_names)


def totals_rule_of(mapping: Mapping, project: Project) -> Rule | None:
    """How a dataset is totalled by the names that the project file adds to the usual ones."""
    source = project.datatrics.totals_of(str(mapping.resource))
    return totals_rule(mapping, source, project.octolis.totals_of(mapping.dataset))


def used_of(rule: Rule, table: Table) -> TotalsUsed:
    """The rule as `plan.json` keeps it, and how the totals stand by it."""
    return TotalsUsed(
        kind=rule.kind,
        amount=rule.amount,
        time=rule.time,
        label=rule.label,
        cents=rule.cents,
        as_days=rule.as_days,
        spelling=rule.spelling,
        source_amount=rule.fields.amount,
        source_time=rule.fields.time,
        source_label=rule.fields.label,
        source_lines=rule.fields.lines,
        equal=table.equal,
        doubts=table.doubts,
    )


def rule_used(dataset: str, used: TotalsUsed) -> Rule:
    """The rule that a plan was made with."""
    fields = SourceFields(
        used.source_amount, used.source_time, used.source_label, used.source_lines
    )
    return Rule(
        dataset, used.kind, fields, used.amount, used.time, used.label,
        cents=used.cents, as_days=used.as_days, spelling=used.spelling,
    )  # fmt: skip


def write_totals(table: Table, folder: Path, plan_folder: Path) -> list[PlannedFile]:
    """Writes the groups, and examples of amounts that cannot be read."""
    examples = pl.DataFrame(
        [(example.source, example.id, example.text) for example in table.examples],
        schema=_EXAMPLES,
        orient="row",
    )
    return [
        write_parquet(to_frame(table), folder / FILE, plan_folder),
        write_parquet(examples, folder / UNREADABLE, plan_folder),
    ]


def read_tables(plan_folder: Path, datasets: Dict[str, DatasetPlan]) -> dict[str, Table]:
    """The tables that a plan was finished with, by dataset."""
    found: dict[str, Table] = {}
    for dataset, counts in datasets.items():
        used = counts.totalled
        if used is None:
            continue
        groups = groups_of(parquet.read(plan_folder / dataset / FILE))
        rows = parquet.read(plan_folder / dataset / UNREADABLE).iter_rows()
        examples = tuple(Example(*row) for row in rows)
        rule = rule_used(dataset, used)
        found[dataset] = Table(dataset, rule.kind, rule.by, groups, examples, used.doubts)
    return found


def total_dataset(
    rule: Rule,
    resource: SnapshotResource,
    folder: Path,
    zones: Dict[str, str],
    *,
    filtered: int,
    touched_from: int = 0,
) -> Table:
    """The totals of a dataset whose files are in `folder`, the target left aside."""
    asked = _asked(rule, zones)
    names = [name for name in rule.fields.names if has_field(resource, name)]
    records, examples = read_records(resource.frames(names, raw=False), asked)
    planned = pl.concat([pl.DataFrame(schema=PLANNED_SCHEMA), *_planned(rule, folder)])
    outcome = Outcome(planned, _fates(folder), filtered, touched_from)
    return account(rule, records, outcome, examples)


def _asked(rule: Rule, zones: Dict[str, str]) -> Asked:
    fields = rule.fields
    if rule.kind != "revenue" or rule.amount is None:
        # Where no column holds the amount, there is nothing to hold the source's against.
        fields = SourceFields((), fields.time, fields.label, fields.lines)
    return Asked(
        rule.kind, fields, zones, rule.as_days, rule.spelling,
        by_period=rule.time is not None, by_label=rule.label is not None,
    )  # fmt: skip


def plan_columns(rule: Rule) -> dict[str, str]:
    """The rule's columns as the plan's files name them, by `amount`, `time` and `label`."""
    stored = stored_columns(rule.columns)
    named = {"amount": rule.amount, "time": rule.time, "label": rule.label}
    return {part: stored[name] for part, name in named.items() if name is not None}


def _planned(rule: Rule, folder: Path) -> Iterator[pl.DataFrame]:
    """The planned rows, each under the record that won its key."""
    winners = _winners(folder)
    columns = plan_columns(rule)
    for name in _ROWS:
        file = folder / name
        if not file.is_file():
            continue
        first = pl.col("sources").list.first()
        rows = parquet.read(file, columns=["key", "sources", *dict.fromkeys(columns.values())])
        told = rows.select(
            pl.col("key"),
            *(
                first.struct.field(part).alias(f"own_{part}")
                for part in ("source", "id", "position")
            ),
            *(pl.col(column).alias(part) for part, column in columns.items()),
        ).join(winners, on="key", how="left", maintain_order="left")
        is_merged = pl.col("is_merged").fill_null(value=False)
        yield planned_rows(
            rule,
            told.with_columns(
                *(
                    pl.when(is_merged).then(f"winner_{part}").otherwise(f"own_{part}").alias(at)
                    for part, at in (("source", "source"), ("id", "id"), ("position", "element"))
                )
            ),
        )


_WINNER = ("winner_source", "winner_id", "winner_position")


def _winners(folder: Path) -> pl.DataFrame:
    """By key the record that won it, of keys that several share."""
    file = folder / "collapsed.parquet"
    if not file.is_file():
        schema = {"key": pl.String, "winner_source": pl.String, "winner_id": pl.String}
        empty = pl.DataFrame(schema={**schema, "winner_position": pl.Int64})
        return empty.with_columns(pl.lit(value=True).alias("is_merged"))
    found = parquet.read(file, columns=["key", *_WINNER]).unique("key")
    return found.with_columns(pl.lit(value=True).alias("is_merged"))


def _fates(folder: Path) -> pl.DataFrame:
    """Every row that the plan lists as not planned."""
    found = [pl.DataFrame(schema=FATES_SCHEMA)]
    nobody = (
        pl.lit(None, pl.UInt64).alias("winner"), pl.lit(None, pl.Int64).alias("winner_element"),
    )  # fmt: skip
    who = identity(pl.col("source"), pl.col("id")).alias("who")
    element = pl.col("position").fill_null(0).alias("element")
    for name, reason in _LISTS.items():
        file = folder / name
        if file.is_file():
            rows = parquet.read(file, columns=["source", "id", "position", "snapshot_row"])
            place = pl.col("snapshot_row").alias("place")
            found.append(rows.select(who, element, place, pl.lit(reason).alias("reason"), *nobody))
    file = folder / "collapsed.parquet"
    if file.is_file():
        rows = parquet.read(file, columns=["source", "id", "position", *_WINNER])
        winner = identity(pl.col("winner_source"), pl.col("winner_id")).alias("winner")
        found.append(
            rows.select(
                who, element, pl.lit(None, pl.Int64).alias("place"),
                pl.lit("collapsed").alias("reason"), winner,
                pl.col("winner_position").fill_null(0).alias("winner_element"),
            )
        )  # fmt: skip
    return pl.concat([frame.cast(pl.Schema(FATES_SCHEMA)) for frame in found])
