"""What is kept of a command line: who asked for what, never a key, a person or a place on this machine."""

from __future__ import annotations

import pytest

from migrate.cli.run_record import command_of, raised_gates, safe_command_line
from migrate.config import Gates


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
