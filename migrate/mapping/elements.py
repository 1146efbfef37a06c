"""What the elements of lists hold beside what mappings take of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator

import msgspec
import polars as pl

from migrate.mapping.fields import element_names
from migrate.mapping.model import Mapping

LOOKED_AT_RECORDS = 20_000
# no field's name, as one may well be called `item`
_WHOLE = ""

Read = Callable[[Collection[str]], Iterator[pl.DataFrame]]


def unused_element_fields(
    fields: Collection[str], read: Read, mappings: Iterable[Mapping]
) -> dict[str, float]:
    """The fields of list elements that no mapping with `each` uses nor ignores, and the share of elements with a value.

    **Shape.** By name, as `items[].colour`. `fields` are the resource's, `read` gives its rows with some of them.
    The first records alone are looked at: elements are read one by one.
    """
    found: dict[str, float] = {}
    for each, names in _known_names(mappings).items():
        if _WHOLE in names or each not in fields:
            continue
        elements, filled = _count_filled(read([each]), each)
        left = sorted(name for name in filled if name.split(".")[0] not in names)
        found |= {f"{each}[].{name}": filled[name] / elements for name in left}
    return found


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
    many = list(value.values()) if isinstance(value, dict) else value
    return (
        [element for element in many if isinstance(element, dict)] if isinstance(many, list) else []
    )
