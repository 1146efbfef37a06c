"""What a set of demo data offers: its records as the source is fed with them, and its totals by another way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import msgspec

# Parents before children, so that a source that is read while it is being fed has no orphans.
RESOURCES = ("profiles", "content_categories", "content_items", "sales", "interactions")

# The literal of a Decimal, digit by digit: 1.50 stays 1.50 and no binary fraction comes near it.
_ENCODER = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, order=True)
class Revenue:
    """The turnover of one month: the sum of the totals of its sales, by the month their timestamps spell."""

    month: str  # YYYY-MM
    currency: str
    amount: Decimal


class DemoData(Protocol):
    """Retail data to feed the source with.

    **Guarantees**: the same data give the same records, byte by byte and in the same order, however often they are
    asked for. `revenue` and `event_counts` are computed from the data, never from the records, so that they can
    witness against them. A sale whose total is broken on purpose is in no sum.
    """

    @property
    def name(self) -> str:
        """The word a user chooses it by."""

    @property
    def description(self) -> str:
        """One sentence: what the data are and where they come from."""

    def counts(self) -> dict[str, int]:
        """Number of records by resource."""

    def records(self, resource: str) -> Iterator[bytes]:
        """The JSON text of every record of a resource, in the shape the documented write calls take."""

    def revenue(self) -> list[Revenue]:
        """Turnover by month and currency, ascending."""

    def event_counts(self) -> dict[str, int]:
        """Number of interactions by event, in alphabetical order."""


def encode(record: dict[str, Any]) -> bytes:
    """The JSON text of a record; a Decimal becomes a number with exactly its digits."""
    return _ENCODER.encode(record)
