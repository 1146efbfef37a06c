"""What a column accepts, and the messages for what it does not.

Source: Octolis data API, "Data format" (quoted date-times, true/false/null, quoted text, numbers within int32, floats
of at most 6 digits) and the wording of its one sample: `consent_sms (#/properties/consent_sms/type) - must be boolean`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from migrate.sandbox.declare import DatasetSpec

# "All numbers must lie in" int32, the document says of whole numbers and floats alike.
INT_MIN = -2147483648
INT_MAX = 2147483647
MAX_DIGITS = 6

Check = Callable[[Any], tuple[str, str] | None]
"""Gives back (the rule broken, what must hold), or None where the value is fine."""

# A float that is right, and stored as it is, by its looks alone:
# nearly all are, and no Decimal is made.
_SHORT_FLOAT = re.compile(rb"-?(?:0|[1-9][0-9]{0,8})\.[0-9]{0,5}[1-9]")
_DATE_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


def check_text(value: Any) -> tuple[str, str] | None:
    """Only a JSON string is text."""
    if type(value) is str:
        return None
    return ("type", "must be string")


def check_boolean(value: Any) -> tuple[str, str] | None:
    """Only true and false: not 1, not "true"."""
    # Not isinstance, here and below: to Python True is an int.
    if type(value) is bool:
        return None
    return ("type", "must be boolean")


def check_integer(value: Any) -> tuple[str, str] | None:
    """A number without fraction or exponent, within int32."""
    if type(value) is not int:
        return ("type", "must be integer")
    return _check_range(value)


@lru_cache(maxsize=8192)
def _is_date_time(text: str) -> bool:
    if not _DATE_TIME.fullmatch(text):
        return False
    try:
        # Only whether the day exists: by itself it would take spellings that the document does not.
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def check_date_time(value: Any) -> tuple[str, str] | None:
    """A day that exists and a time, in exactly the documented form."""
    if type(value) is not str:
        return ("type", "must be string")
    if _is_date_time(value):
        return None
    return ("format", 'must match format "date-time" (YYYY-MM-DD HH:MM:SS)')


def check_decimals(value: Any) -> tuple[str, str] | None:
    """At most six digits after the point."""
    if type(value) is Raw and _SHORT_FLOAT.fullmatch(value):
        return None
    return _check_float(value, lambda number: -int(number.as_tuple().exponent))


def check_significant(value: Any) -> tuple[str, str] | None:
    """At most six significant digits."""
    return _check_float(value, lambda number: len(number.as_tuple().digits))


def _check_float(value: Any, digits: Callable[[Decimal], int]) -> tuple[str, str] | None:
    if type(value) is not Raw and type(value) is not int:
        return ("type", "must be number")
    try:
        number = to_decimal(value)
    except InvalidOperation:  # an exponent beyond what even a decimal can hold
        return ("type", "must be number")
    broken = _check_range(number)
    if broken is None and digits(number.normalize()) > MAX_DIGITS:
        return ("digits", f"must have at most {MAX_DIGITS} digits")
    return broken


def _check_range(number: int | Decimal) -> tuple[str, str] | None:
    if number < INT_MIN:
        return ("minimum", f"must be >= {INT_MIN}")
    if number > INT_MAX:
        return ("maximum", f"must be <= {INT_MAX}")
    return None


def to_decimal(value: Raw | int) -> Decimal:
    """The number, exactly."""
    if isinstance(value, Raw):
        return Decimal(bytes(value).decode("ascii"))
    return Decimal(value)


def canonical(value: Any) -> Any:
    """A checked value as it is stored: a number without exponent and without needless zeros, all else as sent."""
    if type(value) is not Raw or _SHORT_FLOAT.fullmatch(value):
        return value
    number = to_decimal(value)
    whole = int(number)
    if whole == number:
        return whole
    return Raw(f"{number.normalize():f}".encode())


def column_checks(spec: DatasetSpec) -> dict[str, Check]:
    """Column name → its check."""
    if spec.float_digits == "significant":
        floats = check_significant
    else:
        floats = check_decimals
    by_type: dict[str, Check] = {
        "text": check_text,
        "json": check_text,
        "boolean": check_boolean,
        "integer": check_integer,
        "float": floats,
        "datetime": check_date_time,
        "date": check_date_time,
    }
    return {column.name: by_type[column.type] for column in spec.columns}


def find_problems(checks: dict[str, Check], record: dict[str, Any]) -> list[str]:
    """Every broken rule of a record in the document's wording; null is allowed everywhere."""
    problems = []
    for name, value in record.items():
        check = checks.get(name)
        if check is None:
            problems.append(
                f"{name} (#/additionalProperties) - must NOT have additional properties"
            )
        elif value is not None:
            broken = check(value)
            if broken is not None:
                problems.append(f"{name} (#/properties/{name}/{broken[0]}) - {broken[1]}")
    return problems


def encode_members(record: dict[str, Any]) -> bytes:
    """The members of a JSON object, without its braces."""
    return msgspec.json.encode(record)[1:-1]
