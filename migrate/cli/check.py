"""`migrate check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app, target_option

if TYPE_CHECKING:
    from migrate.app.check.preflight import CheckResult
    from migrate.app.context import Context

_COLOURS = {"pass": "green", "warn": "yellow", "fail": "red"}


@command("check", "migrate check", "migrate check --json")
@click.option(
    "--lift-waits",
    is_flag=True,
    help="Ask again although the service told to wait: for when it has taken that back.",
)
@target_option
@pass_app
def check(app: App, lift_waits: bool, target: str | None) -> None:
    """Preflight: what a migration needs, and what is missing. Reads only.

    Keys, all five resources, every dataset, mapped columns, mapping files, disk space, clock, leftover locks; once
    there is a snapshot, also fields of it that would stop a plan (`unmapped: fail`). Ends with exit code 4 where a
    check fails.
    """
    from migrate.app.check.preflight import preflight

    with app.context() as opened:
        context = replace(opened, project=opened.project.for_target(target))
        if lift_waits:
            # First: while a wait stands, nothing that asks Octolis is sent.
            lift(context)
        findings = preflight(
            context.project, context.workspace, context.stop, context.progress.note
        )
    count = Counter[str](finding.level for finding in findings)
    failed = count["fail"]
    counts = [
        f"{count[level]} {word}"
        for level, word in (("fail", "failed"), ("warn", "to look at"))
        if count[level]
    ]
    counts.append(f"{count['pass']} of {len(findings)} checks passed")
    lines = list(chain.from_iterable(render_finding(app, finding) for finding in findings))
    app.finish(
        CommandOutcome(
            command="check",
            text="\n".join([*lines, "", ", ".join(counts) + "."]),
            data={"checks": [describe_finding(app, finding) for finding in findings]},
            exit_code=4 if failed else 0,
            status="failed" if failed else "passed",
            next="migrate check" if failed else "migrate extract",
        )
    )


def render_finding(app: App, finding: CheckResult) -> Iterator[str]:
    """The lines of one finding, and what to do about it."""
    from migrate.report.terminal import inert

    first, *more = [inert(line) for line in finding.text.splitlines()] or [""]
    yield f"  {click.style(f'{finding.level:<5}', fg=_COLOURS[finding.level])} {finding.name}: {first}"
    yield from (f"        {line}" for line in more)
    if finding.hint and finding.level != "pass":
        yield f"        -> {inert(app.full(finding.hint))}"


def describe_finding(app: App, finding: CheckResult) -> dict[str, str | None]:
    """The finding's part of the JSON object."""
    hint = app.full(finding.hint) if finding.hint else None
    return {"name": finding.name, "level": finding.level, "text": finding.text, "hint": hint}


def lift(context: Context) -> None:
    """Forgets the waits that the service has asked of the project's keys, and says how many."""
    from migrate.target.spent import fingerprints, lift_waits, windows_file

    octolis = context.project.octolis
    file = windows_file(octolis.base_url, context.workspace.root)
    count = lift_waits(file, fingerprints(context.project.secrets.octolis))
    context.progress.note(
        f"waits lifted: {count}; where the service still wants them, it says so again"
    )
