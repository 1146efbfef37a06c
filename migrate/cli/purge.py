"""`migrate purge`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app
from migrate.cli.streams import say

if TYPE_CHECKING:
    from migrate.app.context import Context

_KEPT = CommandOutcome("purge", "Nothing was removed.", status="nothing removed")


@command(
    "purge",
    "migrate purge --dry-run",
    "migrate purge --yes",
    "migrate purge --subject jan@example.com --dry-run",
    "migrate purge --subject jan@example.com --yes",
)
@click.option(
    "--subject",
    metavar="EMAIL|ID",
    help="Remove one person only: an e-mail address or a profile's id.",
)
@click.option("--source", metavar="S", help="With --subject: only the profile of this source.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_app
def purge(app: App, subject: str | None, source: str | None, dry_run: bool, yes: bool) -> None:
    """Remove personal data from the workspace; counts, verdicts and hashes stay.

    It shows what it is going to remove; on a terminal it asks, and where nobody can be asked it needs --yes. Only files
    that the tool made and still knows as its own are removed. With --subject one person is found in every spelling,
    with their orders and interactions in all sources, and removed from every file, for an erasure request; then every
    file is searched again, and the exit code is 4 where something is left. It says where else they are: their
    masterids in Octolis, the source, files that were handed over.
    """
    if source is not None and subject is None:
        raise click.UsageError("--source goes with --subject")
    if subject is not None and not subject.strip():
        raise click.UsageError("--subject names nobody")
    if not (yes or dry_run or sys.stdin.isatty()):
        raise click.UsageError(
            "nobody can be asked here; --yes says that personal data is to be removed for good, "
            "--dry-run shows what"
        )
    with app.context() as context:
        if subject is not None:
            _erase(app, context, subject, source, dry_run=dry_run, ask=not yes)
        else:
            _purge(app, context, dry_run=dry_run, ask=not yes)


def _erase(
    app: App, context: Context, subject: str, source: str | None, *, dry_run: bool, ask: bool
) -> None:
    from migrate.app.erasure import erase_person
    from migrate.report.purge import exit_code_of, render_erased, status_of, summarise_erased

    # Only for the question: it searches every file of the workspace once more.
    if ask and not dry_run:
        planned = erase_person(context, subject, source, dry_run=True)
        say(render_erased(planned), err=True)
        if not is_confirmed():
            app.finish(_KEPT)
            return
    erased = erase_person(context, subject, source, dry_run=dry_run)
    app.finish(
        CommandOutcome(
            "purge",
            render_erased(erased),
            summarise_erased(erased),
            exit_code_of(erased),
            status_of(erased),
        )
    )


def _purge(app: App, context: Context, *, dry_run: bool, ask: bool) -> None:
    from migrate.app.purge import run_purge
    from migrate.report.purge import render_purged, summarise_purged

    if not dry_run:
        planned = run_purge(context, dry_run=True)
        say(render_purged(planned, dry_run=True), err=True)
        if ask and not is_confirmed():
            app.finish(_KEPT)
            return
    purged = run_purge(context, dry_run=dry_run)
    status = "planned" if dry_run else "purged"
    app.finish(
        CommandOutcome(
            "purge",
            render_purged(purged, dry_run=dry_run),
            summarise_purged(purged),
            0,
            status,
            "migrate purge" if dry_run else None,
        )
    )


def is_confirmed() -> bool:
    """Asks until the answer is yes or no; Enter alone is a no."""
    question = "Personal data will be removed from the workspace for good. Go on? (yes or no)"
    while True:
        answer = click.prompt(question, default="no", show_default=False, err=True).strip().lower()
        if answer in {"yes", "y"}:
            return True
        if answer in {"no", "n"}:
            return False
        say(
            "Type yes to remove them, or no (or Enter alone) to leave everything as it is.",
            err=True,
        )
