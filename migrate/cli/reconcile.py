"""`migrate reconcile`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app, target_option

if TYPE_CHECKING:
    from migrate.app.other_projects import AllProjects
    from migrate.app.parts import Parts
    from migrate.plan.open_plan import Plan
    from migrate.report.shown import Shown
    from migrate.totals.counts import ResourceCount
    from migrate.verify.reconcile import Reconciliation


@command(
    "reconcile",
    "migrate reconcile",
    "migrate reconcile --deep",
    "migrate reconcile --deep --repair",
    "migrate reconcile --totals --live",
    "migrate reconcile --projects",
    "migrate reconcile --totals --plan 20261121-210551 --json",
)
@click.option("--plan", "name", metavar="NAME", help="The plan that was loaded [the newest].")
@click.option(
    "--deep",
    is_flag=True,
    help="Read every record back and compare it with the snapshot, value by value.",
)
@click.option(
    "--totals",
    is_flag=True,
    help="Business totals of source, snapshot, plan and target, side by side.",
)
@click.option(
    "--live", is_flag=True, help="With --totals: ask the source how many records it announces now."
)
@click.option(
    "--repair", is_flag=True, help="With --deep: make a plan of only the records that differ."
)
@click.option(
    "--projects",
    is_flag=True,
    help="Records, totals and crosswalk of all `other_projects`, each and together.",
)
@click.option("--show-values", is_flag=True, help="Show values as they are instead of masked.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0, 3600), default=5.0, show_default=True, metavar="SECONDS",
    help="How long to wait before differences are read again; counts wait in proportion.",
)  # fmt: skip
@target_option
@pass_app
def reconcile(  # noqa: PLR0913, PLR0917  # one parameter an option
    app: App,
    name: str | None,
    target: str | None,
    deep: bool,
    totals: bool,
    live: bool,
    repair: bool,
    projects: bool,
    show_values: bool,
    wait_s: float,
) -> None:
    """Explain the target's counts: before + created - merged = after, for every dataset.

    The load took the count before, ahead of its first write. The ledger knows what was created and merged. The count
    after comes from the count endpoint, which is asked until it no longer changes. --deep reads every record back (one
    point per 50,000) and compares it with what a second evaluator makes of the snapshot; all differing keys go to
    exports/PLAN/differences-DATASET.parquet.

    Totals of the source are those of its records as they were sent. The source itself can be asked for their number
    only, which --live does.
    """
    from migrate.app.deep import run_repair
    from migrate.app.other_projects import add_up_projects
    from migrate.app.parts import parts_beside
    from migrate.app.reconcile import run_reconcile, summarise_reconciliation
    from migrate.app.totals import count_source, reconcile_with_totals
    from migrate.app.webhooks import message_of, tell_webhooks
    from migrate.plan.open_plan import choose_plan, open_plan
    from migrate.privacy.mask import workspace_masker
    from migrate.report.diff_view import shown_by_dataset
    from migrate.report.reconcile import judge_reconciliation, render_reconciliation
    from migrate.report.shown import Shown

    if repair and not deep:
        raise click.UsageError("--repair repairs what --deep finds; give both")
    if live and not totals:
        raise click.UsageError("--live adds to --totals; give both")
    with app.context() as context:
        name = choose_plan(context.workspace, name, target)
        if totals:
            reconciliation = reconcile_with_totals(context, name, deep=deep, wait_s=wait_s)
        else:
            reconciliation = run_reconcile(context, name, deep=deep, wait_s=wait_s)
        every = add_up_projects(context, reconciliation.plan) if projects else None
        counts = count_source(context, reconciliation.plan, live=live) if totals else []
        repaired = run_repair(context, reconciliation) if repair else None
        opened = open_plan(context.workspace, reconciliation.plan, check_files=False)
        parts = parts_beside(context.workspace, opened)
        shown = Shown(None if show_values else workspace_masker(context.workspace.root))
        exit_code, status = judge_reconciliation(reconciliation)
        ended = {"command": "reconcile", "exit_code": exit_code, "status": status}
        summary = {**ended, **summarise_reconciliation(reconciliation)}
        tell_webhooks(context, message_of(summary, context.now()))
    options = [name for name, on in (("--deep", deep), ("--totals", totals)) if on]
    data = summarise_reconciliation(reconciliation)
    text = render_reconciliation(reconciliation, shown_by_dataset(opened, shown))
    sections = [_tell_scope(opened, parts), _tell_projects(every, reconciliation)]
    if totals:
        sections.append(_tell_totals(reconciliation, counts, shown))
    for of_what, told_of in sections:
        data |= of_what
        text += told_of
    if repaired:
        data["repair_plan"] = repaired
        text += f"\n\nRepair plan {repaired}: only the records that are missing or differ."
    following = _next_of(reconciliation, status, repaired, options)
    app.finish(CommandOutcome("reconcile", text, data, exit_code, status, following))


def _next_of(
    reconciliation: Reconciliation, status: str, repaired: str | None, options: Sequence[str]
) -> str | None:
    """What comes after: what is left to load, the same again for what is pending, or the evidence of what agrees."""
    if repaired or reconciliation.remake:
        if repaired:
            return f"migrate load --plan {repaired}"
        return reconciliation.remake
    if not reconciliation.is_finished:
        return f"migrate load --plan {reconciliation.plan}"
    if status == "pending":
        return " ".join(["migrate reconcile", *options, f"--plan {reconciliation.plan}"])
    if status == "match":
        return f"migrate evidence --plan {reconciliation.plan}"
    return None


def _tell_scope(plan: Plan, parts: Parts | None) -> tuple[dict[str, Any], str]:
    """What a plan is of and which parts of the whole are in its target: for the JSON object, and as text."""
    from migrate.plan.open_plan import describe_scope
    from migrate.report.parts import render_parts, summarise_parts
    from migrate.report.terminal import inert

    scope = plan.document.scope
    data = {"scope": describe_scope(scope), "target": plan.document.target}
    if scope:
        text = f"\n\nThe plan is {inert(scope.told)}."
    else:
        text = ""
    if parts is None:
        return data, text
    return {**data, "parts": summarise_parts(parts)}, f"{text}\n\n{render_parts(parts)}"


def _tell_projects(
    every: AllProjects | None, reconciliation: Reconciliation
) -> tuple[dict[str, Any], str]:
    """What several projects have in the target, where that was asked for: for the JSON object, and as text."""
    from migrate.report.reconcile import render_projects, summarise_projects

    if every is None:
        return {}, ""
    return {
        "projects": summarise_projects(every, reconciliation)
    }, f"\n\n{render_projects(every, reconciliation)}"


def _tell_totals(
    reconciliation: Reconciliation, counts: Sequence[ResourceCount], shown: Shown
) -> tuple[dict[str, Any], str]:
    """The source's counts and the totals, by its own fields and by the plan's: for the JSON object, and as text."""
    from migrate.report.totals import (
        mask_examples,
        render_counts,
        render_tables,
        render_totals,
        summarise_counts,
        summarise_tables,
        summarise_totals,
    )

    tables = [mask_examples(table, shown) for table in reconciliation.tables]
    data = {
        "source": summarise_counts(counts),
        "totals": [*summarise_tables(tables), *summarise_totals(reconciliation.totals)],
        "totals_equal": reconciliation.totals_equal,
    }
    parts = [render_counts(counts), render_tables(tables), render_totals(reconciliation.totals)]
    return data, "".join(f"\n\n{part}" for part in parts if part)
