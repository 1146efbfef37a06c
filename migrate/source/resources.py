"""The five resources of Datatrics v2: path, fixed query and where a record keeps its identity.

**Source**: the documents of the Datatrics v2 API; the alternatives are spellings seen in Datatrics' own plug-ins.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from migrate.errors import UsageError
from migrate.names import RESOURCE_GROUPS
from migrate.snapshot.records import IdentityFields


@dataclass(frozen=True)
class Resource:
    """One list of the API. `path` is below `/project/{id}/`; `query` is sent with every request."""

    name: str
    path: str
    query: tuple[tuple[str, str], ...]
    fields: IdentityFields


CREATED = ("created", "created_at", "metadata.created")
"""Where a record says when it was created, by which a list is asked to be sorted."""

_UPDATED = (
    "updated",
    "updated_at",
    "metadata.updated",
    *CREATED,
)


def _flat(name: str, path: str, id_: str, nested: str) -> Resource:
    return Resource(
        name,
        path,
        (),
        IdentityFields((id_,), ("source", "metadata.source", f"{nested}.source"), _UPDATED),
    )


def _content(name: str, kind: str, ids: tuple[str, ...]) -> Resource:
    # A read content record carries its source in `metadata`; the top level is the shape it was written in.
    fields = IdentityFields(ids, ("metadata.source", "source", "item.source"), _UPDATED)
    return Resource(name, "content", (("type", kind),), fields)


PROFILES = _flat("profiles", "profile", "profileid", "profile")
CONTENT_ITEMS = _content("content_items", "item", ("id", "itemid"))
CONTENT_CATEGORIES = _content("content_categories", "category", ("id", "itemid", "categoryid"))
SALES = _flat("sales", "sale", "conversionid", "conversion")
INTERACTIONS = _flat("interactions", "interaction", "interactionid", "interaction")
RESOURCES = {r.name: r for r in (PROFILES, CONTENT_ITEMS, CONTENT_CATEGORIES, SALES, INTERACTIONS)}


def resolve_resources(names: Sequence[str]) -> tuple[Resource, ...]:
    """The resources named on a command line, each once, in the order of the table; all of them for no name.

    **Raises**: UsageError for an unknown name, with the nearest known one.
    """
    wanted: set[str] = set()
    for name in names:
        if name not in RESOURCES and name not in RESOURCE_GROUPS:
            raise UsageError(f"there is no resource {name!r:.80}", hint=_suggestion(name))
        wanted.update(RESOURCE_GROUPS.get(name, (name,)))
    return tuple(resource for name, resource in RESOURCES.items() if not names or name in wanted)


def _suggestion(name: str) -> str:
    known = [*RESOURCES, *RESOURCE_GROUPS]
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
