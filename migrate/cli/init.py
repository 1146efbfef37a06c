"""`migrate init`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app
from migrate.cli.user_path import UserPath

_EDIT = (
    "Now set project_id and the dataset ids in migrate.toml, which begins with the way from here on,\n"
    "and put both services' keys into .env (see .env.example)."
)
_REHEARSE = (
    "Nothing to edit. Keep the services running in a terminal of their own:\n"
    "  {inside}migrate sandbox --feed demo\n"
    "(--feed FOLDER takes files saved from the API, --feed SNAPSHOT an extracted snapshot), and then here:"
)


@command("init", "migrate init", "migrate init acme-migration", "migrate init rehearsal --sandbox")
@click.argument(
    "directory", metavar="[DIR]", default=".", type=UserPath(file_okay=False, path_type=Path)
)
@click.option(
    "--sandbox",
    is_flag=True,
    help="A rehearsal against `migrate sandbox`, ready to run; with the mappings of the project it is made from.",
)
@pass_app
def init(app: App, directory: Path, sandbox: bool) -> None:
    """Write a starter project: migrate.toml, .env.example, .gitignore and the shipped mappings.

    Asks nothing and overwrites nothing; every file explains itself. migrate.toml begins with the way from here to the
    last count.

    With --sandbox the project is complete: made-up keys, the sandbox's addresses, its dataset ids. Called where there
    is a project already, it takes over that project's mappings, time zones and source aliases.
    """
    from migrate.project import start_project

    if sandbox and app.project_file.exists():
        like = app.open_project()
    else:
        like = None
    written = start_project(directory, sandbox=sandbox, like=like)
    lines = [f"  {path}" for path in written]
    if like:
        lines.append(f"based on {like.file}: its mappings, time zones and source aliases")
    if directory == Path():
        inside = ""
    else:
        inside = f"cd {shlex.quote(str(directory))} && "
    steps = _REHEARSE.format(inside=inside) if sandbox else _EDIT
    app.finish(
        CommandOutcome(
            command="init",
            text="\n".join(["Wrote", *lines, "", steps]),
            data={"files": [str(path) for path in written]},
            next=f"{inside}migrate {'run' if sandbox else 'check'}",
        )
    )
