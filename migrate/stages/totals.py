"""Business totals of source, snapshot, plan and target side by side, and what the source announces now."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from migrate.errors import MigrateError
from migrate.plan.opening import Plan, check_fresh, open_plan
from migrate.source.client import SourceClient
from migrate.source.resources import RESOURCES
from migrate.stages.deep import expect_all, open_used_snapshot
from migrate.stages.target import open_target, reading_folder, readings_folder
from migrate.target.client import TargetClient
from migrate.verify.business import SOURCE_PLACE, Total, add_up, find_totals, says_something, set_side_by_side
from migrate.verify.expected import Expected
from migrate.verify.known import planned_texts
from migrate.verify.readback import Reading, forget_reading, read_pages
from migrate.verify.rules import DatasetRules, read_rules
from migrate.verify.totals import ResourceCount, TotalsTable

if TYPE_CHECKING:
    from migrate.stages.run import Job


def run_totals(job: Job, name: str) -> list[TotalsTable]:
    """Business totals of source, snapshot, plan and target; of the target only records that the plan has.

    `source` is what was sent, before anything is filtered, rejected or collapsed; `snapshot` what should come of it.
    """
    plan = _origin(job, open_plan(job.workspace, name, check_files=False))
    check_fresh(plan, job.project, job.workspace)
    tables: list[TotalsTable] = []
    sent_to_datasets = [d for d, rules in read_rules(job.project.mappings).items() if not rules.is_feed]
    with open_target(job) as client:
        for dataset, expected in expect_all(job, plan, list(plan.document.datasets), _columns_of):
            if isinstance(expected, str):
                continue
            wanted = [total for total in find_totals(expected.rules) if _can_be_told(total, expected)]
            if wanted and dataset in sent_to_datasets:
                tables += _totals_of(job, client, plan, expected, wanted)
            expected.shelf.close()
    forget_reading(readings_folder(job, plan))
    return tables


def count_source(job: Job, name: str, *, live: bool) -> list[ResourceCount]:
    """How many records of each resource were announced, are in the snapshot and, if `live`, are announced now."""
    snapshot = open_used_snapshot(job, open_plan(job.workspace, name, check_files=False))
    counts = [ResourceCount(n, r.result.announced, r.rows) for n, r in snapshot.resources.items()]
    if not live:
        return counts
    try:
        client = SourceClient(
            job.project.datatrics, job.project.secrets.datatrics_key(), stop=job.stop, note=job.progress.note
        )
    except MigrateError as error:
        return [_asked(count, None, error.what) for count in counts]
    with contextlib.closing(client):
        return [_ask(client, count) for count in counts]


def _ask(client: SourceClient, count: ResourceCount) -> ResourceCount:
    try:
        now = client.page(RESOURCES[count.resource], 1, 1).announced_records
    except MigrateError as error:
        return _asked(count, None, error.what)
    return _asked(count, now, None if now is not None else "the source announces no total")


def _asked(count: ResourceCount, now: int | None, why: str | None) -> ResourceCount:
    return ResourceCount(count.resource, count.announced, count.in_snapshot, now, why)


def _origin(job: Job, plan: Plan) -> Plan:
    """The plan itself, or the one that it repairs: a repair has only a few of the records."""
    try:
        repaired = json.loads((plan.folder / "begun.json").read_bytes()).get("repairs")
    except (OSError, ValueError):
        return plan
    return _origin(job, open_plan(job.workspace, repaired, check_files=False)) if repaired else plan


def _columns_of(rules: DatasetRules) -> list[str]:
    return sorted({name for total in find_totals(rules) for name in total.columns})


def _can_be_told(total: Total, expected: Expected) -> bool:
    return set(total.columns) <= set(expected.columns) - set(expected.unverifiable)


def _totals_of(
    job: Job, client: TargetClient, plan: Plan, expected: Expected, wanted: Sequence[Total]
) -> list[TotalsTable]:
    dataset, key = expected.rules.dataset, list(expected.rules.key)
    columns = sorted({name for total in wanted for name in total.columns})
    named = sorted({*columns, *key})
    planned = pl.concat(
        [planned_texts(plan.file(dataset, f"{file}.parquet"), named) for file in ("records", "unchanged")]
    )
    reading = Reading(reading_folder(job, plan, dataset), job.now, job.stop, lambda _rows: None)
    held = read_pages(client, plan.document.dataset_ids[dataset], reading).whole(named)
    absent = [pl.lit(None, pl.String).alias(name) for name in named if name not in held.columns]
    ours = held.with_columns(absent).select(named).join(planned.select(key), on=key, how="semi")
    places = {
        SOURCE_PLACE: expected.texts_as_sent(columns), "snapshot": expected.texts(columns), "plan": planned,
        "target": ours,
    }  # fmt: skip
    made = (set_side_by_side(total, {at: add_up(total, rows) for at, rows in places.items()}) for total in wanted)
    return [table for table in made if says_something(table)]
