"""`migrate purge`."""

from __future__ import annotations

import sys

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app


@command(
    "purge",
    "migrate purge --dry-run",
    "migrate purge --yes",
    "migrate purge --subject jan@example.com",
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

    On a terminal it asks first; where nobody can be asked it needs --yes. With --subject one person is found and
    removed from every file, for an erasure request, and it says where else they are: their masterids in Octolis, and
    the source.
    """
    from migrate.app.purge import run_purge, run_subject_purge
    from migrate.report.evidence import (
        render_erased,
        render_purged,
        summarise_erased,
        summarise_purged,
    )

    if subject is not None and dry_run:
        raise click.UsageError(
            "--dry-run is for the whole workspace; `migrate trace` shows one record"
        )
    if not (yes or dry_run):
        if not sys.stdin.isatty():
            raise click.UsageError(
                "nobody can be asked here; --yes says that personal data is to be removed for good"
            )
        click.confirm(
            "Personal data will be removed from the workspace for good. Go on?",
            abort=True,
            err=True,
        )
    with app.context() as context:
        if subject is not None:
            erased = run_subject_purge(context, subject, source)
            app.finish(
                CommandOutcome(
                    "purge", render_erased(erased), summarise_erased(erased), status="erased"
                )
            )
        found = run_purge(context, dry_run=dry_run)
    text, status = render_purged(found, dry_run), "planned" if dry_run else "purged"
    app.finish(
        CommandOutcome(
            "purge", text, summarise_purged(found), 0, status, "migrate purge" if dry_run else None
        )
    )
