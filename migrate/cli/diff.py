"""`migrate diff`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app, utc_now
from migrate.cli.language import language_of, language_option
from migrate.cli.user_path import UserPath
from migrate.errors import Stale

if TYPE_CHECKING:
    from migrate.config import Project
    from migrate.load.standing import Standing
    from migrate.plan.open_plan import Plan
    from migrate.report.diff_lists import WrittenList
    from migrate.workspace import Workspace


@command("diff", "migrate diff --html report.html", "migrate diff PLAN_BEFORE PLAN_AFTER")
@click.argument("plans", nargs=-1, metavar="[PLAN_A PLAN_B]")
@click.option("--plan", "name", metavar="NAME", help="The plan to report on [the newest].")
@click.option(
    "--html",
    type=UserPath(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write a page.",
)
@click.option("--show-values", is_flag=True, help="Show personal values instead of masks.")
@click.option(
    "--start", metavar="TIME", help="When the load would begin, such as 2026-11-30T22:00 [now]."
)
@language_option
@pass_app
def diff(
    app: App,
    plans: tuple[str, ...],
    name: str | None,
    html: Path | None,
    show_values: bool,
    start: str | None,
) -> None:
    """Report what a plan would do, before anything is written, or how two plans differ.

    With two plans: what the second one would do differently from the first, for instance after a mapping was changed.
    --html writes one self-contained page, and beside it the full lists as Parquet and CSV.
    """
    if plans and (len(plans) != 2 or name or start):
        raise click.UsageError("give two plans to compare, or --plan NAME for the report of one")
    if plans:
        _compare(app, plans[0], plans[1], html, show_values)
    _report(app, name, html, show_values, start)


def _report(
    app: App,
    name: str | None,
    html: Path | None,
    show_values: bool,
    start: str | None,
) -> None:
    from migrate.app.remake import next_plan_command
    from migrate.app.standing import read_standing
    from migrate.app.verdict import judge_plan
    from migrate.plan.open_plan import read_totals
    from migrate.report.about import facts_of_plan
    from migrate.report.diff import render_diff, summarise_diff
    from migrate.report.diff_page import open_report, write_page
    from migrate.report.words import words_of
    from migrate.sentence import Sentence

    project = app.open_project()
    workspace = app.open_workspace(project)
    now = utc_now().astimezone()
    plan, view, shown = open_report(
        workspace, name, show_values=show_values, start=_time(start) or now
    )
    # A plan stops holding where its target was written to, or what it was made from has changed.
    standing = read_standing(workspace, plan)
    why = _staleness(project, workspace, plan)
    stale, reasons = (why.what, why.said) if why else (None, ())
    if standing.needs_new_plan:
        over = Sentence(
            "plan {plan} must not be loaded any more: {why}",
            plan=repr(plan.name),
            why=standing.told,
        )
        stale = f"{over}\n{stale}" if stale else str(over)
        reasons = (over, *reasons)
    if stale:
        view = replace(view, verdict=judge_plan(plan.document, read_totals(plan), reasons))
    data = {**summarise_diff(view), **standing.summarise(), "stale": stale}
    lines = [render_diff(view)]
    if stale:
        lines.append(stale)
    is_begun = standing.state != "planned"
    view = replace(view, about=facts_of_plan(plan, standing.state), is_begun=is_begun)
    if html:
        words = words_of(language_of(app, project))
        lists = write_page(plan, view, shown, html, made_at=words.moment(now), words=words)
        _tell_written(workspace, html, lists, data, lines)
    is_broken = any(finding["verdict"] == "broken" for finding in view.gates)
    following: str | None
    if stale:
        status = "the plan no longer holds"
        following = next_plan_command(workspace, plan, standing)
    else:
        status = "a gate stops this plan" if is_broken else "done"
        following = _next_of(standing, plan, is_broken=is_broken)
    app.finish(CommandOutcome("diff", "\n\n".join(lines), data, status=status, next=following))


def _next_of(standing: Standing, plan: Plan, *, is_broken: bool) -> str | None:
    """What comes after the report of a plan that still holds."""
    if standing.state == "loaded":
        return f"migrate reconcile --plan {plan.name}"
    return None if is_broken else f"migrate load --plan {plan.name}"


def _staleness(project: Project, workspace: Workspace, plan: Plan) -> Stale | None:
    """Why the plan cannot be loaded any more, None where it can."""
    from migrate.plan.open_plan import check_fresh

    try:
        check_fresh(plan, project, workspace)
    except Stale as error:
        return error
    return None


def _compare(
    app: App,
    first: str,
    second: str,
    html: Path | None,
    show_values: bool,
) -> None:
    from migrate.plan.open_plan import open_plan
    from migrate.report.diff_page import open_shown
    from migrate.report.diff_plans import compare_plans
    from migrate.report.diff_plans_page import write_comparison
    from migrate.report.diff_plans_text import render_comparison, summarise_comparison
    from migrate.report.words import words_of

    project = app.open_project()
    workspace = app.open_workspace(project)
    shown = open_shown(workspace, show_values=show_values)
    one = open_plan(workspace, first)
    two = open_plan(workspace, second)
    comparison = compare_plans(one, two, shown)
    data = summarise_comparison(comparison)
    lines = [render_comparison(comparison)]
    if html:
        words = words_of(language_of(app, project))
        made_at = words.moment(utc_now().astimezone())
        lists = write_comparison(one, two, comparison, shown, html, made_at=made_at, words=words)
        _tell_written(workspace, html, lists, data, lines)
    app.finish(CommandOutcome(command="diff", text="\n\n".join(lines), data=data))


def _tell_written(
    workspace: Workspace,
    html: Path,
    lists: list[WrittenList],
    data: dict[str, Any],
    lines: list[str],
) -> None:
    """Adds to the JSON object and to the text where the page and its lists are, and remembers them."""
    from migrate.privacy.written import note_written

    paths = list(chain.from_iterable(one.files for one in lists))
    for file in (html, *paths):
        note_written(workspace.root, file, "migrate diff")
    data |= {"report": str(html), "lists": list(map(str, paths))}
    lines.append(f"Report: {html}, with {len(lists)} full lists beside it")


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone() if text else None
    except ValueError:
        raise click.BadParameter(
            "write a time such as 2026-11-30T22:00", param_hint="--start"
        ) from None
