"""What the documents of the Data API leave open, and how this sandbox reads it; each can be switched.

The first of each is the default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from migrate.errors import UsageError

CHOICES: Mapping[str, tuple[str, ...]] = {
    # The list's sample shows no such column; in a CSV it may be JSON or a database's array.
    "list_ids": ("json", "array", "none"),
    # In both samples with merged ids the record's own id is not among them.
    "own_id": ("listed", "left_out"),
    # Both samples show a merged record under an id that is none of those that are gone.
    "merged_id": ("kept", "new"),
    # Only an upsert is said to need the mandatory columns.
    "update_mandatory": ("not_null", "required"),
    # A help page says that keys are compared as given.
    "keys": ("exact", "folded"),
}


@dataclass(frozen=True, slots=True)
class Readings:
    """One reading of each open question, as `CHOICES` has them."""

    list_ids: str = "json"
    own_id: str = "listed"
    merged_id: str = "kept"
    update_mandatory: str = "not_null"
    keys: str = "exact"


DEFAULT = Readings()


def parse_readings(texts: Iterable[str]) -> Readings:
    """The readings of `NAME=VALUE` texts over the defaults. Raises UsageError."""
    found = Readings()
    for text in texts:
        name, _, value = text.partition("=")
        found = choose(found, name.strip(), value.strip())
    return found


def choose(readings: Readings, name: str, value: str) -> Readings:
    """The readings with one of them switched. Raises UsageError."""
    if name not in CHOICES:
        raise UsageError(
            f"there is no reading {name!r}",
            hint=f"there are {', '.join(f.name for f in fields(Readings))}",
        )
    if value not in CHOICES[name]:
        raise UsageError(
            f"reading {name} cannot be {value!r}", hint=f"one of {', '.join(CHOICES[name])}"
        )
    return replace(readings, **{name: value})
