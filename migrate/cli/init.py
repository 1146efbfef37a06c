"""`migrate init`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app


@command("init", "migrate init", "migrate init acme-migration")
@click.argument(
    "directory", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path)
)
@pass_app
def init(app: App, directory: Path) -> None:
    """Write a starter project: migrate.toml, .env.example, .gitignore and the shipped mappings.

    Asks nothing and overwrites nothing; every file explains itself. migrate.toml begins with the way from here to the
    last count.
    """
    from migrate.project import start_project

    written = start_project(directory)
    lines = [f"  {path}" for path in written]
    steps = (
        "Now set project_id and the dataset ids in migrate.toml, which begins with the way from here on,\n"
        "and put both services' keys into .env (see .env.example)."
    )
    inside = "" if directory == Path() else f"cd {shlex.quote(str(directory))} && "
    app.finish(
        CommandOutcome(
            command="init",
            text="\n".join(["Wrote", *lines, "", steps]),
            data={"files": [str(path) for path in written]},
            next=f"{inside}migrate check",
        )
    )
