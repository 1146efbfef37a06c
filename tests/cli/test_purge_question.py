"""What `purge` asks before it removes anything."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from migrate.cli.purge import is_confirmed


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("yes", True),
        ("Y", True),
        ("no", False),
        ("n", False),
        ("", False),
        ("maybe\nyes", True),
        ("maybe\nno", False),
    ],
)
def test_only_a_yes_removes(typed: str, answer: bool) -> None:
    """Enter alone is a no, and after anything else the answers are named and the question is asked again."""
    with CliRunner().isolation(input=f"{typed}\n") as streams:
        assert is_confirmed() is answer
    shown = streams[1].getvalue().decode()
    assert ("Type yes" in shown) == typed.startswith("maybe")
