"""The text fields a mapping reads, where each comes from, and what lists hold that no mapping takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import Any

import msgspec
import polars as pl

from migrate.language.sql import SqlRefused, parse_sql
from migrate.mapping.model import Mapping

IDENTITY = {"source": "_source", "id": "_id"}
PROJECT = "project"
"""The number of the Datatrics project that the records are from: the same for all of them."""
# the record's own fields of the names that mean something else in a mapping
OWN = {
    "record.source": "source",
    "record.project": PROJECT,
    "record.id": "id",
    "record.position": "position",
    "record.item": "item",
}
LOOKED_AT_RECORDS = 20_000
# no field's name, as one may well be called `item`
_WHOLE = ""
Read = Callable[[Collection[str]], Iterator[pl.DataFrame]]


def value_at(record: Any, path: str) -> Any:
    """What stands at a dotted name in a record's JSON, None for nothing; the longest name that exists comes first."""
    if not isinstance(record, dict):
        return None
    if path in record:
        return record[path]
    parts = path.split(".")
    heads = (".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1))
    inner = (value_at(record.get(head), path[len(head) + 1 :]) for head in heads)
    return next((value for value in inner if value is not None), None)


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
        return parse_sql(text).fields
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
    taken = element_names(mapping) | {*IDENTITY, PROJECT}
    if mapping.each:
        taken.add("position")
    return {
        name
        for name in used_names(mapping)
        if name not in taken and lookup_of(mapping, name) is None
    }


def text_fields(mapping: Mapping) -> set[str]:
    """The names that are read of the record as texts: by columns, `where` and look-ups, and for the ranking."""
    return record_names(mapping) | (set(mapping.collapse.order_by) - {*IDENTITY, PROJECT})


def record_fields(mapping: Mapping) -> set[str]:
    """All names that are read of the record: as texts, and the list that `each` names."""
    return text_fields(mapping) | ({mapping.each} if mapping.each else set())


def column_of(name: str) -> str:
    """The snapshot's column of a record's field: of its own name, but for `record.id` and its like."""
    return OWN.get(name, name)


def needed_fields(mapping: Mapping) -> set[str]:
    """The snapshot's field columns this mapping reads, so that a reader can leave out the rest."""
    return {column_of(name) for name in record_fields(mapping)}


def missing_fields(mapping: Mapping, available: Collection[str]) -> list[str]:
    """The needed fields that a snapshot does not have; they read as null."""
    return sorted(needed_fields(mapping) - set(available))


def lookup_columns(mapping: Mapping) -> dict[str, set[str]]:
    """By look-up, the columns of the looked-up dataset that are read."""
    columns: dict[str, set[str]] = {name: set() for name in mapping.lookups}
    for name in used_names(mapping):
        lookup = lookup_of(mapping, name)
        if lookup is not None:
            columns[lookup].add(name.partition(".")[2])
    return columns


def referring_columns(mapping: Mapping, lookup: str) -> dict[str, str]:
    """The columns that read a column of the looked-up row, with that one's name; of several the first counts."""
    columns: dict[str, str] = {}
    taken: set[str] = set()
    for path, name in named_uses(mapping):
        read = name.partition(".")[2]
        if path[0] != "columns" or lookup_of(mapping, name) != lookup or read in taken:
            continue
        columns.setdefault(path[1], read)
        taken.add(read)
    return columns


def fields_behind(mapping: Mapping, column: str | None, position: int | None) -> tuple[str, ...]:
    """The fields of the record that a column, or a look-up, is made of, as a correction names them.

    `position`: of which element of the list the row is; then a field of its own is `items[2].price`.
    """
    if column == mapping.each:
        return () if mapping.each is None else (mapping.each,)
    if column in mapping.lookups:
        names: tuple[str, ...] = mapping.lookups[column].ids
    elif column in mapping.columns:
        rule = mapping.columns[column]
        names = (*rule.fields, *sql_names(rule.sql))
    else:
        return ()
    corrected = (_as_corrected(mapping, name, position) for name in names)
    return tuple(dict.fromkeys(name for name in corrected if name is not None))


def _as_corrected(mapping: Mapping, name: str, position: int | None) -> str | None:
    """A name of a mapping as a correction says it; None for what is no value of the record."""
    is_element = mapping.each is not None and (name == "item" or name.startswith("item."))
    if is_element:
        return f"{mapping.each}[{position or 1}]{name.removeprefix('item')}"
    if name in IDENTITY or name in {PROJECT, "position"} or lookup_of(mapping, name) is not None:
        return None
    return column_of(name)


def unused_fields(fields: Collection[str], mappings: Iterable[Mapping]) -> list[str]:
    """The fields that none of the mappings uses nor ignores.

    A field inside an object counts as used where the whole object is; an object of which a field is listed is not.
    """
    known = set(IDENTITY) | set(
        chain.from_iterable((*needed_fields(mapping), *mapping.ignore) for mapping in mappings)
    )
    parents = set(chain.from_iterable(map(_parents, fields)))
    return sorted(
        field
        for field in fields
        if field not in parents and field not in known and not known & set(_parents(field))
    )


def _parents(field: str) -> list[str]:
    parts = field.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def unused_element_fields(
    fields: Collection[str], read: Read, mappings: Iterable[Mapping]
) -> dict[str, float]:
    """The fields of list elements that no mapping with `each` uses nor ignores, and the share of elements with a value.

    **Shape.** By name, as `items[].colour`. `fields` are the resource's, `read` gives its rows with some of them.
    The first records alone are looked at: elements are read one by one.
    """
    shares: dict[str, float] = {}
    for each, names in _known_names(mappings).items():
        if _WHOLE in names or each not in fields:
            continue
        elements, filled = _count_filled(read([each]), each)
        left = sorted(name for name in filled if name.split(".")[0] not in names)
        shares |= {f"{each}[].{name}": filled[name] / elements for name in left}
    return shares


def _known_names(mappings: Iterable[Mapping]) -> dict[str, set[str]]:
    """By list, the names of an element's fields that some mapping uses or ignores; `_WHOLE` stands for all of them."""
    known: dict[str, set[str]] = {}
    for mapping in mappings:
        if mapping.each:
            used = {
                _WHOLE if name == "item" else name.split(".")[1] for name in element_names(mapping)
            }
            left = [
                name for name in mapping.ignore if name.startswith(("item.", f"{mapping.each}."))
            ]
            known.setdefault(mapping.each, set()).update(
                used, (name.rpartition(".")[2] for name in left)
            )
    return known


def _count_filled(frames: Iterable[pl.DataFrame], each: str) -> tuple[int, Counter[str]]:
    elements, filled, left = 0, Counter[str](), LOOKED_AT_RECORDS
    for frame in frames:
        for text in frame.get_column(each).head(left).drop_nulls():
            for element in _elements_of(text):
                elements += 1
                filled.update(name for name, value in element.items() if value not in (None, ""))
        left -= frame.height
        if left <= 0:
            break
    return elements, filled


def _elements_of(text: str) -> list[dict[str, object]]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return []
    if isinstance(value, dict):
        many = list(value.values())
    else:
        many = value
    if isinstance(many, list):
        return [element for element in many if isinstance(element, dict)]
    return []
