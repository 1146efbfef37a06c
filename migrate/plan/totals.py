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
from migrate.errors import ConfigError
from migrate.mapping.fields import sql_names
from migrate.mapping.formats import refuse_format
from migrate.mapping.model import Mapping
from migrate.names import ID_FIELDS
from migrate.plan.corrections import count_corrected, read_carried
from migrate.plan.document import DatasetPlan, PlannedFile, TotalsUsed
from migrate.plan.files import stored_columns, write_parquet
from migrate.plan.scope import Inside
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
from migrate.totals.table import RowExample, Table, groups_of, to_frame

_EXAMPLES = dict.fromkeys(("source", "id", "text", "what"), pl.String)
_WHO = {**dict.fromkeys(("resource", "source", "id"), pl.String), "position": pl.Int64}
_LISTED = {
    **_WHO, "snapshot_row": pl.Int64,
    **dict.fromkeys(("rule", "column", "lookup"), pl.String),
}  # fmt: skip
LEFT_OUT = {
    "lookup": pl.String,
    "snapshot_row": pl.Int64,
    "reason": pl.String,
    "found": pl.Boolean,
}
"""Of lines: by which look-up, the place of the record whose lines they are, why its order was left out, and whether
another one is found in its place."""
LEFT_OUT_FILE = "orders_left_out.parquet"
_COLLAPSED = {**_WHO, **{f"winner_{name}": kind for name, kind in _WHO.items()}}
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
    spelling: str | None = None,
) -> Rule | None:
    """How a dataset is totalled, None where it holds nothing that is; `spelling`: of the source's times."""
    columns = {
        name: ColumnFacts(column.type, tuple(column.fields))
        for name, column in mapping.columns.items()
    }
    facts = DatasetFacts(
        mapping.dataset, str(mapping.resource), mapping.each, columns, _is_row_each(mapping)
    )
    return rule_of(facts, source_names, column_names, spelling)


def _is_row_each(mapping: Mapping) -> bool:
    """Whether a record's own id is in the key, so that each record makes a row of its own."""
    own = ID_FIELDS[mapping.resource]
    names = {"id", "record.id", *own, *(f"metadata.{one}" for one in own)}
    key = [mapping.columns[name] for name in mapping.key]
    return any(names.intersection((*column.fields, *sql_names(column.sql))) for column in key)


def totals_rules_of(mapping: Mapping, project: Project) -> list[Rule]:
    """How the rows of each of a dataset's files are totalled, by the names that the project adds to the usual ones."""
    columns = project.octolis.totals_of(mapping.dataset)
    source = project.datatrics
    rules = (
        totals_rule(
            part, source.totals_of(part.resource), columns, _spelling(project, part.resource)
        )
        for part in mapping.parts
    )
    return [rule for rule in rules if rule is not None]


def _spelling(project: Project, resource: str) -> str | None:
    """How the project says that the times of a resource are spelt. Raises ConfigError for no format."""
    spelling = project.datatrics.time_format_of(resource)
    problem = None if spelling is None else refuse_format(spelling)
    if problem is not None:
        raise ConfigError(
            f"[datatrics.totals.{resource}] time_format: {problem}",
            hint='write it as the `format` of a column, e.g. time_format = "%d/%m/%Y %H:%M"',
        )
    return spelling


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
        unread_times=table.unread_times,
        resource=rule.resource,
    )


def rule_used(dataset: str, used: TotalsUsed) -> Rule:
    """The rule that a plan was made with."""
    fields = SourceFields(
        used.source_amount, used.source_time, used.source_label, used.source_lines
    )
    return Rule(
        dataset, used.kind, fields, used.amount, used.time, used.label,
        cents=used.cents, as_days=used.as_days, spelling=used.spelling, resource=used.resource,
    )  # fmt: skip


def write_totals(
    table: Table, folder: Path, plan_folder: Path, resource: str = ""
) -> list[PlannedFile]:
    """Writes the groups, and examples of amounts that cannot be read. `resource`: of a dataset's further totals."""
    groups, unreadable = _files(resource)
    examples = pl.DataFrame(
        [(example.source, example.id, example.text, example.what) for example in table.examples],
        schema=_EXAMPLES,
        orient="row",
    )
    return [
        write_parquet(to_frame(table), folder / groups, plan_folder),
        write_parquet(examples, folder / unreadable, plan_folder),
    ]


def _files(resource: str) -> tuple[str, str]:
    ending = f"-{resource}.parquet" if resource else ".parquet"
    return f"totals{ending}", f"unreadable{ending}"


def read_tables(plan_folder: Path, datasets: Dict[str, DatasetPlan]) -> dict[str, Table]:
    """The tables that a plan was finished with, by dataset."""
    tables: dict[str, Table] = {}
    corrections = read_carried(plan_folder)
    for dataset, counts in datasets.items():
        for number, used in enumerate(counts.totals):
            files = _files(used.resource if number else "")
            groups = parquet.read(plan_folder / dataset / files[0])
            rows = _read(plan_folder / dataset / files[1], _EXAMPLES)
            # An earlier version kept examples of amounts only.
            rows = rows.with_columns(pl.col("what").fill_null("amount"))
            examples = tuple(RowExample(*row) for row in rows.iter_rows())
            name = title_of(dataset, used.resource if number else "")
            rule = rule_used(dataset, used)
            tables[name] = Table(
                name,
                rule.kind,
                rule.by,
                groups_of(groups),
                examples,
                used.doubts,
                used.unread_times,
                used.resource,
                corrected_of(rule, corrections),
            )
    return tables


def corrected_of(rule: Rule, corrections: pl.DataFrame) -> int:
    """How many records have a right value in a field by which they are totalled: of worth, time, currency, lines."""
    fields = rule.fields
    summed = {"revenue": fields.amount, "events": (), "lines": fields.lines}[rule.kind]
    return count_corrected(corrections, [rule.resource], (*summed, *fields.time, *fields.label))


def title_of(dataset: str, resource: str) -> str:
    """Under what name totals are shown: of a dataset's further totals with the resource whose rows they are of."""
    return f"{dataset} ({resource})" if resource else dataset


def _lines_left_out(folder: Path) -> pl.DataFrame:
    """As `LEFT_OUT`: whose lines look for an order that somebody has left out."""
    file = folder / LEFT_OUT_FILE
    if file.is_file():
        return _read(file, LEFT_OUT)
    return pl.DataFrame(schema=LEFT_OUT)


def _kept(left_out: pl.DataFrame, records: pl.DataFrame) -> pl.DataFrame:
    """`who, reason` of records whose lines are sent although their order is left out."""
    named = records.select(pl.col("place").alias("snapshot_row"), "who").unique("snapshot_row")
    why = pl.when(pl.col("found")).then(pl.lit("adopted")).otherwise(pl.lit("kept"))
    reasons = left_out.join(named, on="snapshot_row", how="inner").select(
        "who", why.alias("reason")
    )
    return reasons.unique("who", keep="first", maintain_order=True)


def total_dataset(
    rule: Rule,
    resource: SnapshotResource,
    folder: Path,
    zones: Dict[str, str],
    *,
    filtered: int,
    touched_from: int = 0,
    inside: Inside | None = None,
    aliases: Dict[str, str] | None = None,
) -> Table:
    """The totals of a dataset whose files are in `folder`, the target left aside."""
    asked = _asked(rule, zones, aliases or {})
    wanted = {*rule.fields.names, *(inside.fields if inside else ())}
    names = sorted(name for name in wanted if has_field(resource, name))
    are_inside: list[pl.Series] = [pl.Series(dtype=pl.Boolean)]

    def frames() -> Iterator[pl.DataFrame]:
        for frame in resource.frames(names, raw=False):
            if inside is not None:
                are_inside.append(inside.of(resource.name, frame))
            yield frame

    records, examples = read_records(frames(), asked)
    planned = pl.concat([pl.DataFrame(schema=PLANNED_SCHEMA), *_planned(rule, folder)])
    by_place = pl.concat(are_inside) if inside is not None else None
    left_out = _lines_left_out(folder)
    fates = _fates(folder, left_out, rule.resource)
    kept = _kept(left_out, records)
    outcome = Outcome(planned, fates, filtered, touched_from, by_place, kept)
    return account(rule, records, outcome, examples)


def _asked(rule: Rule, zones: Dict[str, str], aliases: Dict[str, str]) -> Asked:
    fields = rule.fields
    if rule.kind != "revenue" or rule.amount is None:
        # Where no column holds the amount, there is nothing to hold the source's against.
        fields = SourceFields((), fields.time, fields.label, fields.lines)
    return Asked(
        rule.kind, fields, zones, rule.as_days, rule.spelling, aliases,
        by_period=rule.time is not None, by_label=rule.label is not None,
    )  # fmt: skip


def plan_columns(rule: Rule) -> dict[str, str]:
    """The rule's columns as the plan's files name them, by `amount`, `time` and `label`."""
    stored = stored_columns(rule.columns)
    named = {"amount": rule.amount, "time": rule.time, "label": rule.label}
    return {part: stored[name] for part, name in named.items() if name is not None}


def _planned(rule: Rule, folder: Path) -> Iterator[pl.DataFrame]:
    """The planned rows, each under the record that won its key."""
    for name in _ROWS:
        if (folder / name).is_file():
            yield planned_rows(rule, rows_won(rule, folder, name).rename({"position": "element"}))


def rows_won(rule: Rule, folder: Path, name: str) -> pl.DataFrame:
    """The rows of one of a plan's files that a record of the rule's resource has won.

    **Shape**: `key`, the winner's `resource, source, id, position`, and the rule's columns as `amount, time, label`.
    """
    columns = plan_columns(rule)
    first = pl.col("sources").list.first()
    rows = parquet.read(folder / name, columns=["key", "sources", *dict.fromkeys(columns.values())])
    placed = rows.select(
        pl.col("key"),
        *(first.struct.field(part).alias(f"own_{part}") for part in _WHO),
        *(pl.col(column).alias(part) for part, column in columns.items()),
    ).join(_winners(folder), on="key", how="left", maintain_order="left")
    is_merged = pl.col("is_merged").fill_null(value=False)
    won = placed.with_columns(
        pl.when(is_merged).then(f"winner_{part}").otherwise(f"own_{part}").alias(part)
        for part in _WHO
    )
    if rule.resource:
        return won.filter(pl.col("resource") == rule.resource)
    return won


def _winners(folder: Path) -> pl.DataFrame:
    """By key the record that won it, of keys that several share."""
    file = folder / "collapsed.parquet"
    schema = {"key": pl.String, **{f"winner_{name}": kind for name, kind in _WHO.items()}}
    winners = pl.DataFrame(schema=schema)
    if file.is_file():
        winners = _read(file, schema).unique("key")
    return winners.with_columns(pl.lit(value=True).alias("is_merged"))


def _read(file: Path, schema: Dict[str, type[pl.DataType]]) -> pl.DataFrame:
    """Some columns of a plan's file; those that an earlier version did not write are null."""
    there = parquet.schema(file)
    absent = [pl.lit(None, kind).alias(name) for name, kind in schema.items() if name not in there]
    known = parquet.read(file, columns=[name for name in schema if name in there])
    return known.with_columns(absent).select(list(schema))


def _fates(folder: Path, left_out: pl.DataFrame, resource: str = "") -> pl.DataFrame:
    """Every row that the plan lists as not planned; of one `resource` where it is said.

    A line that lacks nothing but its order is left out for the reason that `left_out` has of the order.
    """
    fates = [pl.DataFrame(schema=FATES_SCHEMA)]
    nobody = (
        pl.lit(None, pl.UInt64).alias("winner"), pl.lit(None, pl.Int64).alias("winner_element"),
    )  # fmt: skip
    who = identity(pl.col("source"), pl.col("id")).alias("who")
    element = pl.col("position").fill_null(0).alias("element")
    if resource:
        ours = pl.col("resource").fill_null(resource) == resource
    else:
        ours = pl.lit(value=True)
    for name, reason in _LISTS.items():
        file = folder / name
        if file.is_file():
            rows = _with_parents(_read(file, _LISTED).filter(ours), left_out)
            place = pl.col("snapshot_row").alias("place")
            why = pl.col("left_out").fill_null(reason).alias("reason")
            fates.append(rows.select(who, element, place, why, *nobody))
    file = folder / "collapsed.parquet"
    if file.is_file():
        rows = _read(file, _COLLAPSED).filter(ours)
        # a winner of another resource is none of the records that are totalled here
        same = pl.col("winner_resource").eq_missing(pl.col("resource"))
        winner = pl.when(same).then(identity(pl.col("winner_source"), pl.col("winner_id")))
        fates.append(
            rows.select(
                who, element, pl.lit(None, pl.Int64).alias("place"),
                pl.lit("collapsed").alias("reason"), winner.alias("winner"),
                pl.col("winner_position").fill_null(0).alias("winner_element"),
            )
        )  # fmt: skip
    return pl.concat([frame.cast(pl.Schema(FATES_SCHEMA)) for frame in fates])


def _with_parents(rows: pl.DataFrame, left_out: pl.DataFrame) -> pl.DataFrame:
    """The rows with `left_out`: why the parent that each of them lacks was, null where it was not."""
    is_orphan = pl.col("rule") == "orphan"
    placed = rows.with_columns(
        pl.coalesce("lookup", pl.when(is_orphan).then("column")).alias("lookup")
    )
    why = left_out.select("lookup", "snapshot_row", pl.col("reason").alias("left_out"))
    why = why.unique(["lookup", "snapshot_row"], keep="first", maintain_order=True)
    return placed.join(why, on=["lookup", "snapshot_row"], how="left", maintain_order="left")
