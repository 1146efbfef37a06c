"""What each column type accepts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.sandbox.declare import Column, DatasetSpec
from migrate.sandbox.octolis_values import canonical, column_checks, find_problems
from migrate.sandbox.raw_json import read_values, write_json


def problems(column_type: str, literal: str, float_digits: str = "decimals") -> list[str]:
    """The problems of one value sent to a column of that type."""
    spec = DatasetSpec("d", "d", (Column("c", column_type),), (("c",),), float_digits=float_digits)
    return find_problems(column_checks(spec), {"c": read_values(literal.encode())})


@pytest.mark.parametrize(
    ("column_type", "literals"),
    [
        ("text", ['"a"', '""', '"5"', "null"]),
        ("json", ['"{}"', "null"]),
        ("boolean", ["true", "false", "null"]),
        ("integer", ["0", "-2147483648", "2147483647", "null"]),
        ("float", ["19.99", "5", "1e2", "0.123456", "-0.0", "2147483647", "1.1000000000"]),
        ("datetime", ['"1978-06-23 00:00:00"', '"2024-02-29 23:59:59"', "null"]),
        ("date", ['"1978-06-23 00:00:00"']),
    ],
)
def test_accepted(column_type: str, literals: list[str]) -> None:
    """The documented forms pass."""
    assert [literal for literal in literals if problems(column_type, literal)] == []


@pytest.mark.parametrize(
    ("column_type", "literals"),
    [
        ("text", ["5", "true", "[]", "{}", "1.5"]),
        ("json", ["{}", "[]"]),
        ("boolean", ["0", "1", '"true"', '"0"', '""', "1.0"]),
        (
            "integer",
            [
                "2147483648",
                "-2147483649",
                "1.0",
                "1e3",
                '"5"',
                "true",
                "123456789012345678901234567890",
            ],
        ),
        (
            "float",
            [
                "0.1234567",
                "1e-7",
                "2147483647.5",
                "1e400",
                "1e99999999999999999999",
                '"1.5"',
                "true",
                "123456789012345678901234567890",
            ],
        ),
        (
            "datetime",
            [
                '"1978-06-23"',
                '"1978-06-23T00:00:00"',
                '"1978-06-23 00:00:00Z"',
                '"0000-00-00 00:00:00"',
            ],
        ),
        (
            "datetime",
            [
                '"2023-02-29 00:00:00"',
                '"2023-01-01 24:00:00"',
                '""',
                "1",
                '"2023-01-01 00:00:00.000"',
            ],
        ),
        ("date", ['"1978-06-23"', "0"]),
    ],
)
def test_refused(column_type: str, literals: list[str]) -> None:
    """Everything else is a problem that names the column."""
    assert [literal for literal in literals if not problems(column_type, literal)] == []


def test_documented_wording() -> None:
    """The message of the document's own example, to the letter."""
    spec = DatasetSpec("d", "d", (Column("consent_sms", "boolean"),), (("consent_sms",),))
    found = find_problems(column_checks(spec), {"consent_sms": 25})
    assert found == ["consent_sms (#/properties/consent_sms/type) - must be boolean"]


def test_significant_digits_count_all_of_them() -> None:
    """With the other reading of "6 digits" 12345.67 has too many and 123456 has not."""
    assert problems("float", "12345.67", "significant")
    assert not problems("float", "12345.67", "decimals")
    assert not problems("float", "123456", "significant")
    assert not problems("float", "1234560", "significant")


@given(st.decimals(-(10**9), 10**9, places=6))
def test_canonical_floats_keep_their_value(number: Decimal) -> None:
    """Storing changes how a number is written, never which number it is."""
    stored = write_json(canonical(read_values(f"{number:.6f}".encode()))).decode()
    assert Decimal(stored) == number
    assert "." not in stored or not stored.endswith("0")
