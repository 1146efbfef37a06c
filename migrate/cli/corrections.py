"""`migrate corrections import | list | remove`."""

from __future__ import annotations

from pathlib import Path

import click

from migrate.cli.app import App, CommandOutcome, command, group, pass_app
from migrate.cli.user_path import UserPath


@group(
    "corrections",
    'migrate corrections import rejects.xlsx --by "A. Jansen" --why "asked the shop"',
    "migrate corrections list",
)
def corrections() -> None:
    """Values of single records put right by people, kept apart from the data and applied before the mapping."""


@command(
    "import",
    'migrate corrections import rejects.xlsx --by "A. Jansen" --why "asked the shop"',
    "migrate corrections import right.csv",
)
@click.argument("file", type=UserPath(dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--by", metavar="NAME", help="Who says so, where the file does not.")
@click.option("--why", metavar="TEXT", help="For what reason, where the file does not say it.")
@click.option(
    "--plan", "name", metavar="NAME", help="The plan whose snapshot has the records [the newest]."
)
@pass_app
def import_(app: App, file: Path, by: str | None, why: str | None, name: str | None) -> None:
    """Take right values in: the workbook of `rejects export --format xlsx`, or CSV.

    Columns: resource, source, id, field, value, who, why; optional sent, the value as it was sent. A row is refused
    where the record has another value by now. The next plan has the right values; a plan that was made before is stale.
    """
    from migrate.app.corrections import import_corrections
    from migrate.report.corrections import render_import, summarise_import
    from migrate.report.reject_book import heads_by_word

    with app.context() as context:
        done = import_corrections(context, file, heads_by_word(), by=by, why=why, plan=name)
    data = summarise_import(done)
    code = 3 if done.refused else 0
    status = "done, with rows refused" if done.refused else "done"
    following = "migrate plan" if done.new or done.replaced else None
    app.finish(
        CommandOutcome(
            "corrections import", render_import(done), data, code, status, next=following
        )
    )


@command("list", "migrate corrections list", "migrate corrections list --show-values --json")
@click.option("--show-values", is_flag=True, help="Show values as they are: personal data.")
@pass_app
def list_(app: App, show_values: bool) -> None:
    """List what has been put right, by whom and why."""
    from migrate.app.corrections import list_corrections
    from migrate.privacy.mask import workspace_masker
    from migrate.report.corrections import describe_corrections, render_corrections
    from migrate.report.shown import Shown

    workspace = app.open_workspace(app.open_project())
    if show_values:
        masker = None
    else:
        masker = workspace_masker(workspace.root)
    shown = Shown(masker, longest=None)
    described = describe_corrections(list_corrections(workspace), shown)
    text = render_corrections(described, is_masked=masker is not None)
    app.finish(CommandOutcome("corrections list", text, {"corrections": described}))


@command(
    "remove",
    "migrate corrections remove c3 c4",
    'migrate corrections remove --by "A. Jansen"',
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--by", metavar="NAME", help="Only what this person has put right.")
@click.option("--all", "every", is_flag=True, help="Every one.")
@pass_app
def remove(app: App, names: tuple[str, ...], by: str | None, every: bool) -> None:
    """Take corrections back: the next plan has the values as they were sent."""
    from migrate.app.corrections import remove_corrections
    from migrate.errors import UsageError
    from migrate.report.terminal import say_count

    if not names and by is None and not every:
        raise UsageError(
            "name the corrections to take back",
            hint="by name, such as c3; with --by NAME; or --all",
        )
    with app.context() as context:
        gone = remove_corrections(context, names, by, every=every)
    removed = [f"c{number}" for number in gone.get_column("number")]
    text = f"{say_count(len(removed), 'correction')} taken back: the next plan has what was sent"
    app.finish(
        CommandOutcome("corrections remove", text, {"removed": removed}, next="migrate plan")
    )


for _command in (import_, list_, remove):
    corrections.add_command(_command)
