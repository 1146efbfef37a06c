"""Help: two examples or more for every command, each of which the command line takes; and at once."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from migrate.cli.app import App
from migrate.cli.main import cli
from migrate.cli.registry import COMMANDS
from tests.harness import Project

HEAVY = (
    "polars",
    "httpx",
    "pydantic",
    "msgspec",
    "jinja2",
    "ruamel",
    "tqdm",
    "starlette",
    "uvicorn",
    "keyring",
    "dotenv",
)


def all_commands(
    command: click.Command, context: click.Context
) -> Iterator[tuple[str, click.Command]]:
    """Every command and group below `command`, and itself, by its whole name."""
    yield context.command_path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from all_commands(found, click.Context(found, parent=context, info_name=name))


EVERY = dict(all_commands(cli, click.Context(cli, info_name="migrate")))


def parse(line: str) -> click.Command:
    """The command that a line calls, parsed to the last option as the tool would, and not run. Raises UsageError."""
    words = shlex.split(re.split(r" [>|] ", line)[0])
    assert words[0] == "migrate", line
    context = cli.make_context("migrate", words[1:], obj=App())
    command: click.Command = cli
    while isinstance(command, click.Group):
        _, found, words = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        if found is None:
            return command
        context, command = found.make_context(found.name, words, parent=context), found
    return command


@pytest.mark.parametrize("name", EVERY)
def test_two_examples_that_work(name: str) -> None:
    """Two different ones, shown as they are; each calls the command, or one of the group's, with options it has."""
    command = EVERY[name]
    examples = getattr(command, "examples", ())
    assert len(set(examples)) >= 2
    shown = command.get_help(click.Context(command, info_name=name))
    for example in examples:
        assert f"\n  {example}\n" in f"{shown}\n"
        assert example.startswith(f"{name} ") or name in (example, "migrate")
        called = parse(example)
        assert called is command or isinstance(command, click.Group), example
    assert command.help


@pytest.mark.parametrize(
    "line",
    [
        "migrate load --no-such",
        "migrate extrakt",
        "migrate load --confirm-merges x",
        "migrate init a b",
    ],
)
def test_an_example_that_does_not_work_would_be_found(line: str) -> None:
    """The check above can fail: options, commands, types and numbers of arguments."""
    with pytest.raises(click.UsageError):
        parse(line)


def test_every_option_says_what_it_is() -> None:
    """No option without a word of help, but for those whose name and default say it."""
    silent = [
        f"{name} {option.opts[0]}"
        for name, command in EVERY.items()
        for option in command.params
        if isinstance(option, click.Option)
        and not option.hidden
        and not option.help
        and not option.show_default
    ]
    assert silent == []


LOADED = f"""
import json, runpy, sys
try:
    runpy.run_module("migrate", run_name="__main__")
except SystemExit:
    pass
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]
)
def test_help_needs_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    """Help and version answer at once: no library for data, network or validation is imported for them."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert json.loads(done.stderr.splitlines()[-1]) == []
    assert done.stdout


def test_migrate_alone(bare_project: Project, tmp_path: Path) -> None:
    """In a project: where it stands and what is next. Elsewhere: the help, with the first thing to try."""
    (tmp_path / "elsewhere").mkdir()
    alone = Project(tmp_path / "elsewhere").run()
    assert (alone.code, alone.stderr) == (0, "")
    assert "migrate demo" in alone.stdout
    inside = bare_project.run()
    assert inside.code == 0
    assert "next: migrate check" in inside.stdout


def test_what_init_writes_explains_itself(tmp_path: Path) -> None:
    """It asks nothing; the way to the last count stands first, with commands that exist; blanks are quoted."""
    project = Project(tmp_path)
    done = project.run("init", "our shop")
    assert done.code == 0
    assert "next: cd 'our shop' && migrate check" in done.stdout
    text = (tmp_path / "our shop" / "migrate.toml").read_text(encoding="utf-8")
    named = re.findall(r"^#   \d\. (migrate \w+)", text, re.MULTILINE)
    assert len(named) == 6
    assert [line for line in named if parse(line) is cli] == []
    assert Project(tmp_path / "our shop").run("status").code == 0
    again = project.run("init", "our shop")
    assert (again.code, "exists already" in again.stderr) == (2, True)
