"""Writes docs/cli.md from the commands' own help; with --check, fails where the file is not what it would write."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from migrate.cli.app import App, global_options
from migrate.cli.main import cli

TARGET = Path(__file__).with_name("cli.md")
HEAD = """\
# Command line

Made by `python docs/generate.py` from the commands' own help; do not edit.

stdout is for results; progress and logs go to stderr. `--json` prints exactly one JSON object on stdout at the end,
with `command`, `exit_code` and `status`; only `migrate mapping schema` prints a document of its own, the JSON Schema.

The options of `migrate` itself (`--project`, `--json`, `--quiet`, `--verbose`, `--help`) stand before or after any
command's name. They are shown once, below `migrate`.

Exit codes: 0 done; 1 a bug in the tool; 2 usage; 3 done, but rows were rejected or deferred, an extract is not proven,
or a count is still pending; 4 a difference was found, or something asked for could not be verified; 5 project file,
mapping or environment wrong; 6 the remote refused or could not be reached; 7 snapshot, plan or ledger unusable, locked,
stale, overtaken or undone; 8 stopped by a safety gate; 130 interrupted, resumable.
"""


def render() -> str:
    """The whole page."""
    return HEAD + "".join(_section(context) for context in _contexts(cli, None, "migrate"))


def _contexts(
    command: click.Command, parent: click.Context | None, name: str
) -> Iterator[click.Context]:
    context = click.Context(
        command, info_name=name, parent=parent, obj=App(), max_content_width=100, terminal_width=100
    )
    context.help_option_names = ["-h", "--help"] if parent is None else []
    yield context
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from _contexts(found, context, child)


def _section(context: click.Context) -> str:
    common = [] if context.parent is None else _common_options(context.command)
    for option in common:
        option.hidden = True
    try:
        text = context.get_help().rstrip()
    finally:
        for option in common:
            option.hidden = False
    return f"\n## {context.command_path}\n\n```\n{text}\n```\n"


def _common_options(command: click.Command) -> list[click.Option]:
    names = {option.name for option in global_options()}
    options = [option for option in command.params if isinstance(option, click.Option)]
    return [option for option in options if option.name in names]


if __name__ == "__main__":
    from generated import write_or_check  # stands beside this script

    raise SystemExit(write_or_check(TARGET, render(), sys.argv))
