"""Business totals of source, snapshot, plan and target side by side, and what the source announces now.

All are held against the source's own fields; which rows there should be, the verifier works out.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from migrate import parquet
from migrate.app.as_loaded import as_loaded, check_snapshot
from migrate.app.deep import Beside, expect_all, open_used_snapshot
from migrate.app.reconcile import keep_report, run_reconcile
from migrate.app.target_client import open_target, reading_folder, readings_folder
from migrate.errors import MigrateError
from migrate.mapping.transform import Settings
from migrate.plan.corrections import read_carried
from migrate.plan.open_plan import Plan, open_plan
from migrate.plan.scope import read_inside
from migrate.plan.totals import corrected_of, rows_won, rule_used, title_of, total_dataset
from migrate.snapshot.union import living
from migrate.source.client import SourceClient
from migrate.source.resources import RESOURCES
from migrate.target.client import TargetClient
from migrate.totals.account import with_target
from migrate.totals.counts import (
    SOURCE_PLACE,
    ResourceCount,
    Total,
    TotalsTable,
    add_up,
    find_totals,
    says_something,
    set_side_by_side,
)
from migrate.totals.own import Reader, by_own_fields
from migrate.totals.rule import Rule
from migrate.totals.table import Table
from migrate.verify.expected import Expected
from migrate.verify.known import planned_texts
from migrate.verify.readback import Reading, forget_reading, read_pages
from migrate.verify.reconcile import Reconciliation
from migrate.verify.rules import DatasetRules

if TYPE_CHECKING:
    from migrate.app.context import Context


def prove_totals(context: Context, name: str | None) -> list[Table]:
    """What orders are worth, when events were, how many lines there are: in source, plan and target.

    Worked out from the snapshot and the plan's files as the plan itself has done it; of the target only records that
    have a key of the plan.
    """
    plan = _origin(context, open_plan(context.workspace, name))
    context = as_loaded(context, plan)
    snapshot = open_used_snapshot(context, plan)
    datatrics = context.project.datatrics
    zones = datatrics.timezones
    settings = Settings(zones, datatrics.source_aliases)
    inside = read_inside(plan.folder, plan.document.scope, settings)
    corrections = read_carried(plan.folder)
    tables = []
    with open_target(context) as client:
        for dataset, counts in plan.document.datasets.items():
            for number, used in enumerate(counts.totals):
                made_of = used.resource or plan.document.mappings[dataset].resource
                resource = snapshot.resource(made_of)
                if resource is None:
                    continue
                rule = rule_used(dataset, used)
                # as the plan did: records that are gone from the source are none of its rows
                alive = living(resource)
                if snapshot.base is not None and inside is None:
                    touched_from = alive.touched_from
                else:
                    touched_from = 0
                table = total_dataset(
                    rule,
                    alive,
                    plan.folder / dataset,
                    zones,
                    filtered=counts.filtered_of(made_of),
                    touched_from=touched_from,
                    inside=inside,
                    aliases=datatrics.source_aliases,
                )
                if dataset in plan.document.dataset_ids:
                    table = with_target(rule, table, _held_of(context, client, plan, rule))
                name = title_of(dataset, made_of if number else "")
                corrected = corrected_of(rule, corrections)
                tables.append(replace(table, dataset=name, corrected=corrected))
    return tables


def _held_of(context: Context, client: TargetClient, plan: Plan, rule: Rule) -> pl.DataFrame:
    """The rule's columns of the target's records that have a key of the plan, by what they are."""
    dataset = rule.dataset
    key = list(plan.document.mappings[rule.dataset].key)
    planned, target_rows = _planned_and_held(context, client, plan, dataset, key, rule.columns)
    if plan.document.mappings[dataset].after:
        # the rows of the dataset's other files are no part of these totals
        planned = pl.concat(_won(rule, file, key) for file in _files_of(plan, dataset))
    # Others write into the dataset as well: what is theirs is no part of this plan's totals.
    ours = target_rows.join(planned.select(key), on=key, how="semi")
    named = {"amount": rule.amount, "time": rule.time, "label": rule.label}
    # a rule without columns counts rows all the same, so none of the others is dropped
    return ours.with_columns(
        pl.col(name).alias(part) for part, name in named.items() if name is not None
    )


def _won(rule: Rule, file: Path, key: Sequence[str]) -> pl.DataFrame:
    """The key columns, as texts, of the rows that a record of the rule's resource has won."""
    won = rows_won(rule, file.parent, file.name).get_column("key")
    is_won = parquet.read(file, ["key"]).get_column("key").is_in(won.implode())
    return planned_texts(file, key).filter(is_won)


def _files_of(plan: Plan, dataset: str) -> list[Path]:
    return [plan.file(dataset, f"{name}.parquet") for name in ("records", "unchanged")]


def _planned_and_held(
    context: Context,
    client: TargetClient,
    plan: Plan,
    dataset: str,
    key: Sequence[str],
    columns: Sequence[str],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Some columns of the planned records and of all of the target's, as texts."""
    named = sorted({*columns, *key})
    planned = pl.concat([planned_texts(file, named) for file in _files_of(plan, dataset)])
    reading = Reading(reading_folder(context, plan, dataset), context.now, context.stop)
    target_rows = read_pages(client, plan.document.dataset_ids[dataset], reading).whole(named)
    # A column that nobody has filled may be missing from the export.
    absent = [
        pl.lit(None, pl.String).alias(name) for name in named if name not in target_rows.columns
    ]
    return planned, target_rows.with_columns(absent).select(named)


def run_totals(context: Context, name: str | None) -> list[TotalsTable]:
    """How many rows there are of each kind in source, snapshot, plan and target; of the target only planned records.

    `source` is what was sent, before anything is filtered, rejected or collapsed; `snapshot` what should come of it.
    """
    plan = _origin(context, open_plan(context.workspace, name))
    again = f"`migrate reconcile --totals --plan {plan.name}`"
    context = as_loaded(context, plan, "adding up", again)
    check_snapshot(context, plan, "adding up", again)
    adding = _Adding(context, plan)
    with open_target(context) as client:
        for _, expected in expect_all(context, plan, list(plan.document.datasets), _columns_of):
            if isinstance(expected, Expected):
                with contextlib.closing(expected.shelf):
                    adding.take(client, expected)
    forget_reading(readings_folder(context, plan))
    return adding.tables


def reconcile_with_totals(
    context: Context, name: str | None, *, deep: bool, wait_s: float
) -> Reconciliation:
    """What `run_reconcile` finds, with the business totals, which the report then has as well.

    A deep verification and the totals take one pass over the snapshot and the target. Of a repair the totals are those
    of the plan that it repairs, and take a pass of their own.
    """
    plan = open_plan(context.workspace, name, check_files=False)
    if deep and _origin(context, plan) is plan:
        adding = _Adding(context, plan)
        beside = Beside(_columns_of, adding.take, "--totals")
        reconciliation = run_reconcile(context, plan.name, deep=True, wait_s=wait_s, beside=beside)
        tables = adding.tables
    else:
        reconciliation = run_reconcile(context, plan.name, deep=deep, wait_s=wait_s)
        tables = run_totals(context, plan.name)
    proven = prove_totals(context, plan.name)
    forget_reading(readings_folder(context, plan))
    reconciliation = replace(reconciliation, totals=tuple(tables), tables=tuple(proven))
    keep_report(context, reconciliation)
    return reconciliation


def count_source(context: Context, name: str, *, live: bool) -> list[ResourceCount]:
    """How many records of each resource were announced, are in the snapshot and, if `live`, are announced now."""
    snapshot = open_used_snapshot(context, open_plan(context.workspace, name, check_files=False))
    counts = [ResourceCount(n, r.result.announced, r.rows) for n, r in snapshot.resources.items()]
    if not live:
        return counts
    try:
        client = SourceClient(
            context.project.datatrics,
            context.project.secrets.datatrics_key(),
            stop=context.stop,
            note=context.progress.note,
        )
    except MigrateError as error:
        # The source may be shut off by now; what is here can be added up all the same.
        return [_asked(count, None, error.what) for count in counts]
    with contextlib.closing(client):
        return [_ask(client, count) for count in counts]


def _ask(client: SourceClient, count: ResourceCount) -> ResourceCount:
    try:
        # One record is enough: the announced total comes with any page.
        now = client.page(RESOURCES[count.resource], 1, 1).announced_records
    except MigrateError as error:
        return _asked(count, None, error.what)
    return _asked(count, now, None if now is not None else "the source announces no total")


def _asked(count: ResourceCount, now: int | None, why: str | None) -> ResourceCount:
    return ResourceCount(count.resource, count.announced, count.in_snapshot, now, why)


def _origin(context: Context, plan: Plan) -> Plan:
    """The plan itself, or the one that it repairs: a repair has only a few of the records."""
    try:
        repaired = json.loads((plan.folder / "begun.json").read_bytes()).get("repairs")
    except (OSError, ValueError):
        return plan
    if repaired:
        return _origin(context, open_plan(context.workspace, repaired))
    return plan


def _columns_of(rules: DatasetRules) -> list[str]:
    return sorted(set(chain.from_iterable(total.columns for total in find_totals(rules))))


def _can_be_told(total: Total, expected: Expected) -> bool:
    return set(total.columns) <= set(expected.columns) - set(expected.unverifiable)


def _doubt_of(total: Total, known: Collection[str | None], rules: DatasetRules) -> str:
    """What the source's own fields cannot tell of a total."""
    untold = [name for name in total.columns if name not in known]
    if not untold:
        return ""
    return (
        f"{', '.join(untold)} read as the mapping says, for no field of the source is known to be meant; name it under "
        f"[datatrics.totals.{rules.resource}.columns]"
    )


class _Adding:
    """The tables of a plan's datasets, one dataset after another."""

    def __init__(self, context: Context, plan: Plan) -> None:
        self.context, self.plan = context, plan
        self.tables: list[TotalsTable] = []

    def take(self, client: TargetClient, expected: Expected) -> None:
        """Adds up one dataset; a webhook's cannot be read back, and has no table."""
        # A total over a column that the verifier cannot work out would be a guess.
        wanted = [total for total in find_totals(expected.rules) if _can_be_told(total, expected)]
        if wanted and not expected.rules.is_feed:
            self.tables += self._tables_of(client, expected, wanted)

    def _tables_of(
        self, client: TargetClient, expected: Expected, wanted: Sequence[Total]
    ) -> list[TotalsTable]:
        columns = sorted(set(chain.from_iterable(total.columns for total in wanted)))
        planned, target_rows = self._sides_of(client, expected, columns)
        own = self._own_of(expected, columns)
        places = {
            SOURCE_PLACE: by_own_fields(expected.texts_as_sent(columns), own),
            "snapshot": by_own_fields(expected.texts(columns), own),
            "plan": planned,
            "target": target_rows,
        }
        known = {*own.columns, expected.rules.source_column()}
        tables = []
        for total in wanted:
            sums = {place: add_up(total, rows) for place, rows in places.items()}
            doubt = _doubt_of(total, known, expected.rules)
            tables.append(set_side_by_side(total, sums, doubt))
        return [table for table in tables if says_something(table)]

    def _own_of(self, expected: Expected, columns: Sequence[str]) -> pl.DataFrame:
        """The columns by the source's own fields, of each of the dataset's files."""
        datatrics = self.context.project.datatrics
        snapshot = open_used_snapshot(self.context, self.plan)
        frames = []
        for number, part in enumerate(expected.rules.parts):
            resource = snapshot.resource(part.resource)
            if resource is None:
                continue
            named = datatrics.counted_by(part.resource)
            reader = Reader(
                living(resource), part.columns, named, datatrics.source_aliases, bool(part.each)
            )
            wanted = [name for name in columns if name in part.columns]
            own = reader.read(wanted)
            frames.append(own.with_columns(pl.lit(number, pl.Int64).alias("_part")))
        return pl.concat(frames, how="diagonal")

    def _sides_of(
        self, client: TargetClient, expected: Expected, columns: Sequence[str]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Some columns of the planned records, and of those of the target that have a key of theirs."""
        dataset = expected.rules.dataset
        key = list(expected.rules.key)
        planned, target_rows = _planned_and_held(
            self.context, client, self.plan, dataset, key, columns
        )
        return planned, target_rows.join(planned.select(key), on=key, how="semi")
