"""The order of records, by which rows of one key are told first and later: the verifier's own reading.

By when a record was created, none first; then by its source, its id, numbers in it by their value, and
the element's place. **Source**: docs/plan.md, "The order of records".
"""

from __future__ import annotations

import re

from migrate.verify.made import Row
from migrate.verify.typed import read_recency

CREATED_FIELDS = (
    "created",
    "created_at",
    "metadata.created",
    "metadata.created_at",
    "datetime",
    "metadata.datetime",
)
_BETWEEN = "\0"
_LAST_NUMBER = re.compile(r"\d*\Z", re.ASCII)
Place = tuple[str, str, str, int, str, str, int]


def said_created(text: str | None, zone: str) -> str:
    """What a record says of when it was created, to be read only where rows share their key."""
    return f"{zone}{_BETWEEN}{text}" if text else ""


def place_of(row: Row) -> Place:
    """What tells a row's place among others."""
    zone, _, text = row.created.partition(_BETWEEN)
    created = read_recency(text, zone) if text else None
    digits = _LAST_NUMBER.search(row.id)
    number = digits[0] if digits else ""
    value = number.lstrip("0")
    beginning = row.id[: len(row.id) - len(number)]
    return (
        created or "", row.source or "", beginning, len(value), value, row.id, row.position or 0,
    )  # fmt: skip
