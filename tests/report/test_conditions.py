"""What a mapping's condition leaves out, in words."""

from __future__ import annotations

import pytest

from migrate.report.conditions import say_left_out


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("email IS NOT NULL", "Left out are rows without a value in email."),
        ("TRIM(email) <> ''", "Left out are rows without a value in email."),
        (
            "COALESCE(newsletter, '') <> '' OR COALESCE(optin, '') <> ''",
            "Left out are rows without a value in any of: newsletter, optin.",
        ),
        (
            "email IS NOT NULL AND phone <> ''",
            "Left out are rows that lack a value in one of: email, phone.",
        ),
        # What is more than that is not put into words that might be wrong.
        (
            "goalid IS NULL OR goalid <> '-1'",
            "Which rows are left out is decided by these fields: goalid.",
        ),
        ("email IS NULL", "Which rows are left out is decided by these fields: email."),
        ("SELECT 1", "Left out are rows that do not meet the condition of the mapping."),
    ],
)
def test_conditions_in_words(where: str, says: str) -> None:
    """A condition that only asks for values is said as what lacks them, any other by the fields it reads."""
    assert say_left_out(where) == says
