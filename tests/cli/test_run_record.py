"""What is kept of a command line: who asked for what, never a key, a person or a place on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from migrate.app.history import describe_run, read_history
from migrate.cli.run_record import command_of, raised_gates, safe_command_line
from migrate.config import Gates
from migrate.load.ledger_notes import LedgerNotes, RunBegun
from migrate.report.history import render_history
from migrate.workspace import Workspace


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("load --plan p --confirm-merges 744", "migrate load --plan p --confirm-merges 744"),
        ("purge --subject jan@shop.test --source S", "migrate purge --subject ... --source S"),
        ("purge --subject=12345", "migrate purge --subject=..."),
        (
            "rejects discard contacts/p1 --note Jansen",
            "migrate rejects discard contacts/p1 --note ...",
        ),
        ("extract jan@shop.test", "migrate extract ..."),
        ("--project /srv/jan/acme/migrate.toml run", "migrate --project migrate.toml run"),
        ("corrections remove profiles 12345", "migrate corrections remove ..."),
    ],
)
def test_a_command_line_as_it_is_kept(typed: str, kept: str) -> None:
    """Options that name a person are kept without their values."""
    assert safe_command_line(typed.split()) == kept


def test_the_name_of_a_command() -> None:
    """With the step of those that have several, and without what was given."""
    assert command_of(["--json", "undo", "run", "--plan", "p"]) == "undo run"
    assert command_of(["load", "contacts"]) == "load"
    assert command_of(["--help"]) == "migrate"


def test_gates_that_were_raised() -> None:
    """Only those that differ from the defaults, as they stand in the file."""
    assert raised_gates(Gates()) == {}
    assert raised_gates(Gates.model_validate({"max_merges": 9, "max_errors": "5%"})) == {
        "max_merges": "9", "max_errors": "5%",
    }  # fmt: skip


def test_what_is_kept_of_a_run(tmp_path: Path) -> None:
    """Who, where, what, its begin and end, what was confirmed and which gates stood open: as data and as text."""
    workspace = Workspace(tmp_path)
    line = "migrate load --confirm-merges 744"
    with LedgerNotes(workspace.ledger) as notes:
        number = notes.begin_run(RunBegun("load", line, "1.2.3", {"max_merges": "9"}))
        notes.note_plan_of_run("p", {"merges": 744})
        notes.end_run(number, 8, "by gates:\nmax_rejected: 2\nmax_unequal: 3")
    history = read_history(workspace, "p")
    [run] = map(describe_run, history.runs)
    assert (run["command"], run["command_line"], run["version"]) == ("load", line, "1.2.3")
    assert (run["pid"], run["host"]) == (os.getpid(), os.uname().nodename)
    assert (run["exit_code"], run["plan"], run["stopped_by"].splitlines()[0]) == (
        8,
        "p",
        "by gates:",
    )
    assert run["began_at"] <= run["ended_at"]
    assert (run["confirmations"], run["gates_raised"]) == ({"merges": 744}, {"max_merges": "9"})
    text, who = render_history(history, 30), f"{run['user']}@{run['host']}"
    assert f"{who} confirmed merges 744" in text
    assert f"{who} had gates that differ from the defaults: max_merges = 9" in text
    assert f"{who} was stopped: by gates: max_rejected: 2; max_unequal: 3" in text
    assert line in text
