"""`migrate rejects list | show | export | replay | discard | keep`."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import click

from migrate.cli.app import App, CommandOutcome, command, group, pass_app
from migrate.cli.language import language_of, language_option

if TYPE_CHECKING:
    from migrate.workspace import Workspace

_plan = click.option(
    "--plan", "name", metavar="NAME", help="The plan whose rejects are meant [the newest]."
)


def _choice(function: Callable[..., Any]) -> Callable[..., Any]:
    named = click.argument("rejects", nargs=-1, metavar="[REJECT]...")
    return named(
        click.option("--reason", metavar="TEXT", help="All whose reason contains TEXT.")(function)
    )


@group("rejects", "migrate rejects list", "migrate rejects export --plan 20261121-210551")
def rejects() -> None:
    """Show the records that did not make it, of plan and load, and give them a second chance."""


@command("list", "migrate rejects list", "migrate rejects list --plan 20261121-210551 --json")
@_plan
@pass_app
def list_(app: App, name: str | None) -> None:
    """List the rejects by reason, the most frequent first."""
    from migrate.app.rejects import count_waiting, discards_of, rejects_of, undone_replays
    from migrate.load.rejects import group_rejects
    from migrate.report.rejects import (
        describe_discards,
        render_aside,
        render_groups,
        render_undone_replays,
        summarise_groups,
    )

    workspace = _workspace(app)
    rejects = rejects_of(workspace, name)
    plan, groups = rejects.plan, group_rejects(rejects.parts())
    discards = discards_of(workspace)
    data = {
        "plan": plan.name,
        **summarise_groups(groups),
        "waiting": count_waiting(workspace, plan),
        "undone_replays": undone_replays(workspace, plan),
        "discards": describe_discards(discards),
    }
    parts = [
        render_groups(plan.name, groups),
        *render_undone_replays(data["undone_replays"]),
        *render_aside(data["waiting"], discards),
    ]
    if data["open"]:
        following = f"migrate rejects show --plan {plan.name}"
    else:
        following = None
    app.finish(CommandOutcome("rejects list", "\n\n".join(parts), data, next=following))


@command(
    "show",
    "migrate rejects show contacts/p17",
    'migrate rejects show --reason "required" --limit 3',
)
@_choice
@_plan
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Show at most so many.",
)
@click.option(
    "--show-values", is_flag=True, help="Show keys, values and payloads as they are: personal data."
)
@pass_app
def show(
    app: App,
    rejects: tuple[str, ...],
    reason: str | None,
    name: str | None,
    limit: int,
    show_values: bool,
) -> None:
    """Show single rejects: where each comes from, why it failed, and what Octolis support asks for."""
    from migrate.app.rejects import failures_of, first_rejects, rejects_of
    from migrate.privacy.mask import workspace_masker
    from migrate.report.diff_view import shown_by_dataset
    from migrate.report.rejects import describe_rejects, render_rejects
    from migrate.report.shown import Shown

    workspace = _workspace(app)
    every = rejects_of(workspace, name)
    plan = every.plan
    chosen, count = first_rejects(every, rejects, reason, limit)
    if show_values:
        masker = None
    else:
        masker = workspace_masker(workspace.root)
    shown = shown_by_dataset(plan, Shown(masker, longest=None))
    described = describe_rejects(chosen, failures_of(workspace, plan.name), shown)
    text = render_rejects(described)
    if masker and described:
        text += "\n\nPersonal values are masked; --show-values shows them as they are."
    if count > limit:
        text += f"\n\n{count - limit:,} more; `migrate rejects export` writes them all."
    app.finish(CommandOutcome("rejects show", text, {"plan": plan.name, "rejects": described}))


@command(
    "export",
    "migrate rejects export",
    "migrate rejects export --format csv",
    "migrate rejects export --format xlsx --lang nl",
)
@_plan
@click.option(
    "--format",
    "form",
    type=click.Choice(["ndjson", "csv", "xlsx"]),
    default="ndjson",
    show_default=True,
)
@click.option(
    "--masked", is_flag=True, help="With xlsx: no personal value can be read in the workbook."
)
@language_option
@pass_app
def export(app: App, name: str | None, form: str, masked: bool) -> None:
    """Write the open rejects to files in the workspace: the permanent ones and the transient ones apart.

    With xlsx the permanent ones as a workbook for the customer: a sheet for each rule, and in it an empty cell for
    each right value. `migrate corrections import` takes it back.
    """
    from migrate.app.rejects import write_rejects
    from migrate.errors import UsageError
    from migrate.report.terminal import say_count

    if form == "xlsx":
        _export_book(app, name, masked=masked)
    if masked:
        raise UsageError("--masked goes with --format xlsx", hint="ndjson and csv are for machines")
    plan, count, paths = write_rejects(_workspace(app), name, form)
    lines = [
        f"{say_count(count, 'open reject')} of plan {plan.name}, with personal values:",
        *(f"  {p}" for p in paths),
    ]
    data = {"plan": plan.name, "open": count, "files": [str(path) for path in paths]}
    app.finish(CommandOutcome("rejects export", "\n".join(lines), data))


def _export_book(app: App, name: str | None, *, masked: bool) -> NoReturn:
    from migrate.app.to_correct import values_to_correct
    from migrate.privacy.mask import workspace_masker
    from migrate.report.reject_book import write_reject_book
    from migrate.report.terminal import say_count
    from migrate.report.words import words_of

    with app.context() as context:
        plan, values = values_to_correct(context, name)
        folder = context.workspace.exports / plan.name
        # The workbook holds the values as they were sent.
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = folder / f"rejects{'-masked' if masked else ''}.xlsx"
        words = words_of(language_of(app, context.project))
        masker = workspace_masker(context.workspace.root)
        rows = write_reject_book(values, file, words, masker, is_masked=masked)
    if masked:
        what = "masked"
    else:
        what = "as they were sent, which is personal data"
    text = f"{say_count(rows, 'value')} of plan {plan.name} to put right ({what}):\n  {file}"
    data = {"plan": plan.name, "values": rows, "masked": masked, "files": [str(file)]}
    following = f"migrate corrections import {shlex.quote(str(file))} --by NAME --why TEXT"
    app.finish(CommandOutcome("rejects export", text, data, next=following))


@command(
    "replay", "migrate rejects replay", "migrate rejects replay --plan 20261121-210551 --plan-only"
)
@_plan
@click.option("--plan-only", is_flag=True, help="Make the new plan and do not load it.")
@pass_app
def replay(app: App, name: str | None, plan_only: bool) -> None:
    """Send what was rejected through the same rules and gates again, after the mapping or the server was fixed.

    A new plan of the same snapshot is made and loaded: it plans only what the target does not hold yet.
    """
    from migrate.app.replay import replay as run_replay
    from migrate.report.load import left_behind, render_load, summarise_load
    from migrate.report.rejects import render_fates

    with app.context() as context:
        done = run_replay(context, name, plan_only=plan_only)
    text = render_fates(done)
    data: dict[str, Any] = {"plan": done.old, "new_plan": done.new.name, "rejects": done.rejects}
    data |= {"released": done.released, "fates": dict(done.fates)}
    if done.loaded is not None:
        text, data["load"] = f"{text}\n\n{render_load(done.loaded)}", summarise_load(done.loaded)
    behind = done.released < done.rejects or (done.loaded is not None and left_behind(done.loaded))
    following = f"migrate {'load' if plan_only else 'reconcile'} --plan {done.new.name}"
    status = "done, with rejects left" if behind else "done"
    app.finish(
        CommandOutcome(
            "rejects replay",
            text,
            data,
            exit_code=3 if behind else 0,
            status=status,
            next=following,
        )
    )


@command(
    "discard",
    'migrate rejects discard contacts/p17 --note "test account"',
    'migrate rejects discard --reason required --note "agreed with the customer"',
)
@_choice
@_plan
@click.option("--note", required=True, metavar="TEXT", help="Why: kept with the mark.")
@pass_app
def discard(
    app: App, rejects: tuple[str, ...], reason: str | None, name: str | None, note: str
) -> None:
    """Keep permanent rejects from every later plan, by the identity of their records.

    Plans count them as discarded, and `keep` takes it back. Nothing is deleted.
    """
    from migrate.app.rejects import discard as run_discard
    from migrate.errors import UsageError
    from migrate.report.terminal import say_count

    if not rejects and reason is None:
        raise UsageError(
            "name the rejects to discard",
            hint="by their names, or all of one reason with --reason TEXT",
        )
    with app.context() as context:
        plan, count = run_discard(context.workspace, name, rejects, reason, note)
    text = f"{say_count(count, 'reject')} of plan {plan.name} marked as discarded: {note}"
    data = {"plan": plan.name, "discarded": count, "note": note}
    app.finish(
        CommandOutcome(
            "rejects discard", text, data, next=f"migrate rejects list --plan {plan.name}"
        )
    )


@command(
    "keep",
    "migrate rejects keep contacts/p17",
    "migrate rejects keep --reason required --plan 20261121-210551",
)
@_choice
@click.option("--plan", "name", metavar="NAME", help="Only what was discarded of this plan [all].")
@pass_app
def keep(app: App, rejects: tuple[str, ...], reason: str | None, name: str | None) -> None:
    """Take discards back: the next plan has these records again."""
    from migrate.app.rejects import keep as run_keep
    from migrate.errors import UsageError
    from migrate.report.terminal import say_count

    if not rejects and reason is None:
        raise UsageError(
            "name the discards to take back",
            hint="by the names of their rejects, or all of one reason with --reason TEXT",
        )
    with app.context() as context:
        kept = run_keep(context.workspace, name, rejects, reason)
    text = f"{say_count(len(kept), 'record')} taken back: the next plan has them again"
    app.finish(CommandOutcome("rejects keep", text, {"kept": len(kept)}, next="migrate plan"))


def _workspace(app: App) -> Workspace:
    return app.open_workspace(app.open_project())


for _command in (list_, show, export, replay, discard, keep):
    rejects.add_command(_command)
