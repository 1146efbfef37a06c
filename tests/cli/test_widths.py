"""No command writes a line that a terminal of 80 or 60 columns would break in the middle of a word."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator

import click
import httpx
import pytest

from migrate.cli.main import cli
from migrate.report.cells import width_of
from tests.cli.test_looks import shown_on_a_terminal
from tests.harness import TEST_COPIES, TEST_TARGET, Project

ROAD = (
    "check", "extract --snapshot one", "inspect", "inspect profiles --html inspected.html", "mapping check",
    "mapping new sales --out new.yaml", "mapping preview mappings/orders.yaml", "mapping functions", "plan --plan p",
    "plan --plan q --offline", "plan --plan r --sample 2 --target test", "diff --plan p",
    "diff --plan p --html report.html", "diff p q", "load --plan p", "", "status", "reconcile --plan p",
    "reconcile --plan p --deep --totals", "rejects list --plan p", "rejects show --plan p", "rejects export --plan p",
    "rejects export --plan p --format xlsx", "corrections import corrections.csv --by Ann --why typo",
    "corrections list", "trace sales o1", "trace profiles p1",
    "rejects discard --plan p --reason not_a_number --note gone",
    "rejects list --plan p", "rejects keep --reason not_a_number", "rejects replay --plan p",
    "history", "undo plan --plan p",
    "undo run --plan p", "corrections remove --all", "evidence --plan p", "run", "cutover --forecast", "cutover",
    "cutover --rehearse --speed 100 --changed 1 --new 1 --gone 0", "support", "purge --dry-run",
    "purge --subject p2@shop.example --dry-run", "purge --subject p2@shop.example --yes", "purge --yes", "init other",
    "init third --sandbox", "completion bash",
)  # fmt: skip
"""The main road, and what is asked beside it."""
READ_AGAIN = (
    "check", "inspect", "diff --plan p", "diff p q", "status", "rejects list --plan p", "history", "purge --dry-run",
)  # fmt: skip
"""What changes nothing is asked for in both widths."""
WRONG = (
    "nonsense", "plan --plna x", "plan --plan nothing-of-this-name --snapshot none", "load --plan none", "init",
    "trace profiles nobody", "--project nowhere status", "purge", "reconcile --repair", "rejects discard", "load",
)  # fmt: skip
"""What people get wrong: the message has to fit as well."""
PASTED = re.compile(r"(?:next: |-> )?(?:cd \S+ && )?migrate |[\w.]+ ?= ?\S|\S+$|\$ ")
"""Commands, settings, and what has no blank in it, such as a path, stay in one piece: they are pasted."""
RECORDS = {
    "profiles": [
        {"profileid": f"p{n}", "source": "Magento 2", "email": f"p{n}@shop.example", "dateofbirth": born}
        for n, born in enumerate(("1980-02-01", "13/04/1977", "0000-00-00"))
    ],
    "sales": [
        {"conversionid": f"o{n}", "source": "Magento 2", "profileid": "p1", "total": total, "created": "2024-01-01"}
        for n, total in enumerate(("1.10", "no amount at all, and a long text that says why there is none", "2"))
    ],
}  # fmt: skip


def wide_lines(shown: str, columns: int) -> list[str]:
    """The lines that a terminal would break; colours take no room."""
    lines = re.sub(r"\x1b\[[\d;]*[mKA]", "", shown).replace("\r", "").split("\n")
    return [one for one in lines if width_of(one) > columns and not PASTED.match(one.strip())]


def leaves(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    """Every command and group, with its context."""
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from leaves(inner, click.Context(inner, info_name=name, parent=context))


@pytest.mark.parametrize("columns", [80, 60])
def test_every_help_fits(columns: int) -> None:
    """Of each command and group; the examples are commands."""
    whole = click.Context(cli, info_name="migrate", terminal_width=columns)
    for context in leaves(cli, whole):
        assert not wide_lines(context.get_help(), columns), context.command_path


def feed(project: Project) -> None:
    """A few records, one of which breaks a rule."""
    assert project.sandbox is not None
    for resource, records in RECORDS.items():
        url = f"{project.sandbox.url}/_sandbox/records/{resource}"
        httpx.post(url, content=json.dumps(records)).raise_for_status()


@pytest.mark.skipif(not hasattr(__import__("os"), "openpty"), reason="no terminals here")
def test_no_line_is_wider_than_the_terminal(make_project: Callable[..., Project]) -> None:
    """Of any command, right or wrong, in 60 columns; of those that change nothing in 80 as well. Without the bars."""
    project = make_project(copies=TEST_COPIES, feeding=False)
    project.write(more=TEST_TARGET, gates='max_rejected = "100%"\nmax_unequal = "100%"')
    feed(project)
    head = "resource,source,id,field,value\n"
    rows = "sales,Magento 2,o1,total,12\nsales,Magento 2,nobody,total,12\n"
    (project.folder / "corrections.csv").write_text(head + rows, encoding="utf-8")
    for words in (*ROAD, *WRONG):
        for columns in (60, 80) if words in READ_AGAIN else (60,):
            shown = shown_on_a_terminal(project, *shlex.split(words), "-q", columns=columns)
            assert not wide_lines(shown, columns), (words, columns, wide_lines(shown, columns))
            assert "Traceback" not in shown, shown
            has_failed = re.search(r"^(\x1b\[\d+m)*[Ee]rror(\x1b\[0m)?:", shown, re.MULTILINE)
            assert bool(has_failed) is (words in WRONG), (words, shown)
