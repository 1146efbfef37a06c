"""Writes docs/cli.md from the commands' own help, and docs/errors.md from the program's errors.

With --check, fails where one of them is not what it would write.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from migrate.cli.app import App, global_options
from migrate.cli.main import cli

HERE = Path(__file__).parent
TARGET = HERE / "cli.md"
SHARED_BY = 4
"""So many commands have an option, in the same words, that is told once for all."""
HEAD = """\
# Command line

Made by `python docs/generate.py` from the commands' own help; do not edit.

Results go to stdout, progress and logs to stderr. `--json` prints one JSON object on stdout at the end, with `command`,
`exit_code` and `status`; only `migrate mapping schema` prints a document of its own, the JSON Schema.

`--project`, `--json`, `--quiet`, `--verbose` and `--help` stand before or after any command's name. They are shown
once, below `migrate`. What the messages mean: [help by error text](errors.md).

| exit code | means |
|---|---|
| 0 | done |
| 1 | a bug in the tool |
| 2 | the command line is wrong |
| 3 | done, but rows were rejected or deferred, an extract is not proven, or a count is still pending |
| 4 | a difference was found, or something asked for could not be verified |
| 5 | the project file, a mapping or the environment is wrong |
| 6 | a service refused or could not be reached |
| 7 | a snapshot, plan or ledger is unusable, locked, stale, overtaken or undone |
| 8 | stopped by a safety gate |
| 130 | interrupted; the same command goes on |
"""
COMMON = """
## Common options

Several commands have these. They are not repeated below; the last line of a command names those it has.

"""


def render() -> str:
    """The whole page of the command line."""
    contexts = list(_contexts(cli, None, "migrate"))
    common = _common(contexts)
    lines = "".join(f"- {_told(option)}\n" for option in common.values())
    sections = "".join(_section(context, common) for context in contexts)
    return HEAD + COMMON + lines + sections


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


def _common(contexts: Sequence[click.Context]) -> dict[str, click.Option]:
    """The options that several commands have, and all of them in the same words, by what is shown of each."""
    shown = {_told(option): option for context in contexts for option in _options(context)}
    times = Counter(_told(option) for context in contexts for option in _options(context))
    meanings = Counter(option.name for option in shown.values())
    return {
        told: shown[told]
        for told in sorted(times)
        if times[told] >= SHARED_BY and meanings[shown[told].name] == 1
    }


def _options(context: click.Context) -> list[click.Option]:
    """The options of a command, without those of `migrate` itself."""
    of_all = {option.name for option in global_options()} if context.parent else set()
    found = [option for option in context.command.params if isinstance(option, click.Option)]
    return [option for option in found if option.name not in of_all]


def _told(option: click.Option) -> str:
    """What help says of an option, on one line."""
    record = option.get_help_record(click.Context(click.Command("none")))
    return f"`{record[0]}`: {' '.join(record[1].split())}" if record else option.opts[0]


def _section(context: click.Context, common: dict[str, click.Option]) -> str:
    told_once = [option for option in _options(context) if _told(option) in common]
    hidden = [*told_once, *(_of_all(context) if context.parent else [])]
    for option in hidden:
        option.hidden = True
    try:
        text = context.get_help().rstrip()
    finally:
        for option in hidden:
            option.hidden = False
    names = ", ".join(f"`{option.opts[0]}`" for option in told_once)
    also = f"\nAlso: {names}.\n" if names else ""
    return f"\n## {context.command_path}\n\n```\n{text}\n```\n{also}"


def _of_all(context: click.Context) -> list[click.Option]:
    names = {option.name for option in global_options()}
    options = [option for option in context.command.params if isinstance(option, click.Option)]
    return [option for option in options if option.name in names]


if __name__ == "__main__":
    import errors_page  # stands beside this script, as does the next one
    from generated import write_or_check

    outcomes = [
        write_or_check(TARGET, render(), sys.argv),
        write_or_check(errors_page.TARGET, errors_page.render(), sys.argv),
    ]
    raise SystemExit(max(outcomes))
