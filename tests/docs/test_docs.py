"""The documents tell the truth: commands exist, links lead somewhere, the reference is what the commands say."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from migrate.cli.app import App, Command
from migrate.cli.main import cli
from migrate.cli.registry import COMMANDS
from tests.readme_command import command, quick_start_commands

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("runbooks/*.md"),
    ]
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"```(?:sh|console)\n(.*?)```", re.DOTALL)


def command_lines(page: Path) -> list[list[str]]:
    """The arguments of every `migrate …` line in a page's shell blocks."""
    found = []
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in re.split(r"\n|&&|\|\||;", block):
            words = shlex.split(line, comments=True)
            if words and Path(words[0]).name == "migrate":
                found.append(words[1:])
    return found


def parse(arguments: list[str]) -> None:
    """Reads a command line as the tool would, without running it. Raises click's usage errors."""
    context = click.Context(cli, info_name="migrate", obj=App())
    group: click.Group = cli
    while arguments and arguments[0].startswith("-"):
        options, arguments, _ = cli.make_parser(context).parse_args(list(arguments))
        if "help" in options or "version" in options:
            return
    while isinstance(group, click.Group):
        found = group.get_command(context, arguments[0]) if arguments else None
        if found is None:
            raise click.UsageError(f"no command {arguments[:1]}")
        context = click.Context(found, info_name=arguments[0], parent=context, obj=App())
        arguments = arguments[1:]
        if not isinstance(found, click.Group):
            found.make_parser(context).parse_args(list(arguments))
            return
        group = found


def test_the_quick_start_has_exactly_two_commands() -> None:
    """One shows a migration, one passes the tests; both install what they need."""
    commands = quick_start_commands((ROOT / "README.md").read_text(encoding="utf-8"))
    assert commands == [command("demo"), command("test")]
    assert all("--require-hashes" in line and "\n" not in line for line in commands)


def test_the_command_line_reference_is_current() -> None:
    """docs/cli.md is what the commands say of themselves, docs/errors.md what their errors say."""
    script = ROOT / "docs" / "generate.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that is there."""
    targets = [
        link.split("#")[0]
        for link in LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in link
    ]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_documents_exist(page: Path) -> None:
    """Every `migrate …` line in a shell block has a known command and known options."""
    for arguments in command_lines(page):
        parse(arguments)


def test_a_wrong_command_in_a_document_would_be_found() -> None:
    """The check above can fail."""
    with pytest.raises(click.UsageError):
        parse(["extract", "--snapshoot", "x"])
    with pytest.raises(click.UsageError):
        parse(["extrakt"])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_examples(name: str) -> None:
    """Each command, and each of a group's, shows examples in its help, and they parse."""
    found = cli.get_command(click.Context(cli), name)
    leaves = list(found.commands.values()) if isinstance(found, click.Group) else [found]
    for leaf in leaves:
        assert isinstance(leaf, Command)
        assert leaf.help
        assert leaf.examples
        for example in leaf.examples:
            parse([word for word in shlex.split(example.split(" > ")[0])][1:])
    assert f"## migrate {name}" in (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
