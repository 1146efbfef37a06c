"""The five resources of Datatrics v2: path, fixed query and where a record keeps its identity.

**Source**: the documents of the Datatrics v2 API; the alternatives are spellings seen in Datatrics' own plug-ins.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from migrate.errors import UsageError
from migrate.names import ID_FIELDS, RESOURCE_GROUPS, SOURCE_FIELDS, ResourceName
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

# A record that never says when it changed was last changed when it was created.
_UPDATED = (
    "updated",
    "updated_at",
    "metadata.updated",
    *CREATED,
)


def _resource(name: ResourceName, path: str, *query: tuple[str, str]) -> Resource:
    return Resource(
        name, path, query, IdentityFields(ID_FIELDS[name], SOURCE_FIELDS[name], _UPDATED)
    )


PROFILES = _resource("profiles", "profile")
CONTENT_ITEMS = _resource("content_items", "content", ("type", "item"))
CONTENT_CATEGORIES = _resource("content_categories", "content", ("type", "category"))
SALES = _resource("sales", "sale")
INTERACTIONS = _resource("interactions", "interaction")
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
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known are {', '.join(known)}"
