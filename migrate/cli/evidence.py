"""`migrate evidence`."""

from __future__ import annotations

from pathlib import Path

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app


@command(
    "evidence",
    "migrate evidence",
    "migrate evidence --verify migration/reports/20261121-210551-evidence.zip",
)
@click.option("--plan", "name", metavar="NAME", help="The plan that was loaded [the newest].")
@click.option(
    "--verify",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Check an archive; needs no project.",
)
@click.option(
    "--head", metavar="HASH", help="With --verify: the head that was written down when it was made."
)
@pass_app
def evidence(app: App, name: str | None, file: Path | None, head: str | None) -> None:
    """Pack what was done into an archive that anybody can check: manifests, mappings, counts, verdicts, hash-chained.

    It holds no personal value. Write its head down elsewhere: an archive that was altered and packed anew has another.
    """
    from migrate.app.evidence import check_evidence, run_evidence
    from migrate.report.evidence import checked_outcome, render_evidence

    if file is not None:
        found = check_evidence(file, head)
        text, data = checked_outcome(file, found)
        app.finish(
            CommandOutcome(
                "evidence",
                text,
                data,
                4 if found.problems else 0,
                "altered" if found.problems else "sound",
            )
        )
    with app.context() as context:
        made = run_evidence(context, name)
    data = {"plan": made.plan, "file": str(made.file), "head": made.head, "parts": made.parts}
    data |= {"not_loaded": dict(made.not_loaded), **made.standing.summarise()}
    app.finish(
        CommandOutcome(
            "evidence", render_evidence(made), data, next=f"migrate evidence --verify {made.file}"
        )
    )
