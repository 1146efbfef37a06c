"""`migrate check`."""

from __future__ import annotations

from dataclasses import asdict

import click

from migrate.cli.app import App, Outcome, command, pass_app


@command("check", "migrate check", "migrate check --json")
@pass_app
def check(app: App) -> None:
    """Preflight: what a migration needs, and what is missing. Reads only.

    Keys, all five lists, every dataset, mapped columns, mapping files, disk space, clock, leftover locks. Ends with
    exit code 4 where a check fails.
    """
    from migrate.stages.check import preflight

    with app.job() as job:
        findings = preflight(job.project, job.workspace, job.stop)
    colours = {"pass": "green", "warn": "yellow", "fail": "red"}
    lines = []
    for finding in findings:
        lines.append(
            f"  {click.style(f'{finding.level:<5}', fg=colours[finding.level])} {finding.name}: {finding.text}"
        )
        if finding.hint and finding.level != "pass":
            lines.append(f"        -> {finding.hint}")
    failed = sum(finding.level == "fail" for finding in findings)
    app.finish(
        Outcome(
            command="check",
            text="\n".join([*lines, "", f"{len(findings) - failed} of {len(findings)} checks passed."]),
            data={"checks": [asdict(finding) for finding in findings]},
            exit_code=4 if failed else 0,
            status="failed" if failed else "passed",
            next="migrate check" if failed else "migrate extract",
        )
    )
