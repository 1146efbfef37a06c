"""The names and numbers that several rooms share: resources, system columns, the size of a request. Imports nothing.

The sandbox and the verifier keep copies of their own, on purpose: what shared a constant with the code it checks would
share its mistake.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

ResourceName = Literal["profiles", "content_items", "content_categories", "sales", "interactions"]
"""The lists of Datatrics v2; the two content lists are one path with two types."""

RESOURCE_NAMES: Final[tuple[ResourceName, ...]] = get_args(ResourceName)

ID_FIELDS: Final[dict[ResourceName, tuple[str, ...]]] = {
    "profiles": ("profileid",),
    "content_items": ("id", "itemid"),
    "content_categories": ("id", "itemid", "categoryid"),
    "sales": ("conversionid",),
    "interactions": ("interactionid",),
}
"""Where a record keeps its id: the first of these names that has a value."""

# A read content record carries its source in `metadata`; the top level is the shape it was written in.
_OF_CONTENT: Final = ("metadata.source", "source", "item.source")
SOURCE_FIELDS: Final[dict[ResourceName, tuple[str, ...]]] = {
    "profiles": ("source", "metadata.source", "profile.source"),
    "content_items": _OF_CONTENT,
    "content_categories": _OF_CONTENT,
    "sales": ("source", "metadata.source", "conversion.source"),
    "interactions": ("source", "metadata.source", "interaction.source"),
}
"""Where a record keeps the source it came from; the first that has a value."""

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

Language = Literal["en", "nl", "fr", "de"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
"""What pages, lists and workbooks can be read in; terminal and logs are English."""
