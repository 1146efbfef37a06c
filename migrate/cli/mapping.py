"""`migrate mapping check` and `migrate mapping schema`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from migrate.cli.app import App, Outcome, command, pass_app


@click.group("mapping", context_settings={"help_option_names": ["-h", "--help"]})
def mapping() -> None:
    """Check the mapping files; print their JSON Schema."""


@command("check", "migrate mapping check", "migrate mapping check mappings/contacts.yaml")
@click.argument("files", nargs=-1, type=click.Path(dir_okay=False, path_type=Path), metavar="[FILE]...")
@pass_app
def check(app: App, files: tuple[Path, ...]) -> None:
    """Report every problem of the mapping files at once, as file:line:column: what.

    Without FILE, all files of the project's mappings folder are read together.
    """
    from migrate.mapping.files import read_mapping, read_mappings
    from migrate.report.terminal import Row, render_table

    if files:
        found = [read_mapping(file) for file in files]
    else:
        found = list(read_mappings(app.open_project().mappings).values())
    rows: list[Row] = [[m.dataset, m.resource, ", ".join(m.key), len(m.columns), len(m.ignore)] for m in found]
    app.finish(
        Outcome(
            command="mapping check",
            text="No problem found.\n\n"
            + render_table(["dataset", "made from", "key", "columns", "fields left behind"], rows),
            data={"datasets": [m.dataset for m in found], "problems": []},
            next="migrate plan" if not files else None,
        )
    )


@command("schema", "migrate mapping schema", "migrate mapping schema > mappings/mapping.schema.json")
def schema() -> None:
    """Print the JSON Schema of mapping files, for editors and other tools."""
    from migrate.mapping.files import json_schema

    click.echo(json.dumps(json_schema(), ensure_ascii=False, indent=2))


mapping.add_command(check)
mapping.add_command(schema)
