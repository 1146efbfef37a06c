"""No command writes a line that a terminal of 80 or 60 columns would break in the middle of a word."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from migrate.report.cells import width_of
from tests.cli.test_looks import shown_on_a_terminal
from tests.harness import Project

COMMANDS = (
    ("check",),
    ("extract", "--snapshot", "one"),
    ("inspect",),
    ("mapping", "check"),
    ("mapping", "preview", "mappings/categories.yaml"),
    ("plan", "--plan", "p"),
    ("diff",),
    ("load",),
    ("status",),
    ("reconcile",),
    ("rejects", "list"),
    ("history",),
    ("undo", "plan"),
    ("evidence",),
)
"""The main road, and what is asked beside it."""
PASTED = re.compile(r"\s*(?:next: |-> )?migrate |\S+$")
"""Commands, and what has no blank in it, stay in one piece."""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(__import__("os"), "openpty"), reason="no terminals here")
@pytest.mark.parametrize("columns", [80, 60])
def test_no_line_is_wider_than_the_terminal(
    make_project: Callable[..., Project], columns: int
) -> None:
    """Without the bars, which are drawn over themselves; each command ends with what comes next, or is an end."""
    project = make_project()
    for command in COMMANDS:
        shown = shown_on_a_terminal(project, *command, "-q", columns=columns)
        lines = re.sub(r"\x1b\[[\d;]*m", "", shown).replace("\r", "").split("\n")
        wide = [
            line for line in lines if width_of(line) > columns and not PASTED.match(line.strip())
        ]
        assert not wide, (command, wide)
        assert not re.search(r"error:|Traceback", shown), shown
