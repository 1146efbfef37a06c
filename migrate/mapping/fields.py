"""The text fields a mapping reads, and where each comes from."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from migrate.mapping.model import Mapping
from migrate.mapping.sql import SqlRefused, guard_sql

IDENTITY = {"source": "_source", "id": "_id"}


def used_names(mapping: Mapping) -> set[str]:
    """Every name that columns, `where` and `lookups` read: fields, `item.…`, `position`, look-up columns."""
    return {name for _, name in named_uses(mapping)}


def named_uses(mapping: Mapping) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each use of a name, with the path of where it is used; expressions that are refused use nothing."""
    for column, rule in mapping.columns.items():
        for name in rule.fields:
            yield ("columns", column, "from"), name
        for name in sql_names(rule.sql):
            yield ("columns", column, "sql"), name
    for name in sql_names(mapping.where):
        yield ("where",), name
    for lookup, rule_ in mapping.lookups.items():
        yield ("lookups", lookup, "source"), rule_.source
        for name in rule_.ids:
            yield ("lookups", lookup, "id"), name


def sql_names(text: str | None) -> tuple[str, ...]:
    """The names in an expression, none if it is refused."""
    if text is None:
        return ()
    try:
        return guard_sql(text).fields
    except SqlRefused:
        return ()


def lookup_of(mapping: Mapping, name: str) -> str | None:
    """The look-up a name belongs to, as `contact` in `contact.contact_key`."""
    head, dot, _ = name.partition(".")
    return head if dot and head in mapping.lookups else None


def element_names(mapping: Mapping) -> set[str]:
    """The names that are an element's, with `each`: `item` and `item.…`."""
    if mapping.each is None:
        return set()
    return {name for name in used_names(mapping) if name == "item" or name.startswith("item.")}


def record_names(mapping: Mapping) -> set[str]:
    """The names that are fields of the record itself."""
    taken = element_names(mapping) | set(IDENTITY) | ({"position"} if mapping.each else set())
    return {name for name in used_names(mapping) if name not in taken and lookup_of(mapping, name) is None}


def needed_fields(mapping: Mapping) -> set[str]:
    """The snapshot's field columns this mapping reads, so that a reader can leave out the rest."""
    return record_names(mapping) | set(mapping.collapse.order_by) | ({mapping.each} if mapping.each else set())


def missing_fields(mapping: Mapping, available: Collection[str]) -> list[str]:
    """The needed fields that a snapshot does not have; they read as null."""
    return sorted(needed_fields(mapping) - set(available) - set(IDENTITY))


def lookup_columns(mapping: Mapping) -> dict[str, set[str]]:
    """By look-up, the columns of the looked-up dataset that are read."""
    found: dict[str, set[str]] = {name: set() for name in mapping.lookups}
    for name in used_names(mapping):
        lookup = lookup_of(mapping, name)
        if lookup is not None:
            found[lookup].add(name.partition(".")[2])
    return found
