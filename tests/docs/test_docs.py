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
    """Every relative link of a page names a file that is there, and a heading of it where it names one."""
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        is_there = "://" in link or (
            target.exists() and (not heading or heading in anchors(target))
        )
        broken += [] if is_there else [link]
    assert broken == []


def test_the_index_has_every_page() -> None:
    """docs/README.md, or the index of the design notes that it names, links to each page and runbook."""
    indices = [ROOT / "docs" / "README.md", ROOT / "docs" / "design" / "README.md"]
    linked = {
        (index.parent / link.split("#")[0]).resolve()
        for index in indices
        for link in LINK.findall(index.read_text(encoding="utf-8"))
    }
    pages = {*ROOT.glob("docs/**/*.md"), *ROOT.glob("runbooks/*.md")} - {indices[0]}
    assert sorted(page.name for page in pages if page.resolve() not in linked) == []


def anchors(page: Path) -> set[str]:
    """The names by which a page's headings are linked: lower case, dashes for spaces, no other signs."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_documents_exist(page: Path) -> None:
    """Every `migrate …` line in a shell block has a known command and known options."""
    for arguments in command_lines(page):
        parse(arguments)


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=lambda page: page.name
)
def test_commands_within_sentences_exist(page: Path) -> None:
    """So does every `migrate …` in a sentence or a table, where it is a whole command."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for line in re.findall(r"`migrate ([a-z][^`]*)`", text):
        if not re.search(r"[\[|…]", line):
            parse_part(shlex.split(line.split(" > ")[0]))


def parse_part(arguments: list[str]) -> None:
    """As `parse`, but an option's value may be missing, as where a sentence only names the option."""
    try:
        parse(arguments)
    except click.BadOptionUsage as error:
        if "requires an argument" not in error.message:
            raise


def test_the_readme_migrates_as_the_runbook_does() -> None:
    """The commands under "A real migration" are those of the full migration, which the tests run."""
    runbook = command_lines(ROOT / "runbooks" / "full-migration.md")
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## A real migration")[1]
    block = BLOCK.findall(section)[0]
    said = [shlex.split(line, comments=True) for line in re.split(r"\n|&&", block)]
    assert [
        words for words in said if words and words[0] == "migrate" and words[1:] not in runbook
    ] == []


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
