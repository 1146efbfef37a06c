"""The names and numbers that several rooms share: resources, system columns, the size of a request. Imports nothing.

The sandbox and the verifier keep copies of their own, on purpose: what shared a constant with the code it checks would
share its mistake.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

ResourceName = Literal["profiles", "content_items", "content_categories", "sales", "interactions"]
"""The lists of Datatrics v2; the two content lists are one path with two types."""

RESOURCE_NAMES: Final[tuple[ResourceName, ...]] = get_args(ResourceName)

RESOURCE_GROUPS: Final[dict[str, tuple[ResourceName, ...]]] = {
    "content": ("content_items", "content_categories")
}
"""Names that stand for several resources on a command line."""

MASTERID: Final = "__masterid__"
ALL_MASTERIDS: Final = "__all_masterids__"
"""**Source**: Octolis Data API, "System columns"."""

BATCH_ROWS: Final = 500
"""**Source**: Octolis Data API, "Upsert multiple records": at most 500 records a request."""

PASSING_STATUSES: Final = frozenset({408, 424, 425, 429})
"""Answers after which the same request may succeed. **Source**: RFC 9110, RFC 6585; the documents for 424."""
