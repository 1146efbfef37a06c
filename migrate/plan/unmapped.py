"""Fields of a resource that no mapping takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

import polars as pl

from migrate.mapping.fields import unused_element_fields, unused_fields
from migrate.mapping.model import Mapping
from migrate.plan.document import Unmapped
from migrate.snapshot.reading import SnapshotResource

_MOST_LINES = 10


def unmapped_fields(
    resource: SnapshotResource, mappings: Iterable[Mapping]
) -> tuple[Unmapped, ...]:
    """The fields that none of the resource's mappings uses nor ignores, and the share of records that have a value.

    A field inside an object counts as used where the whole object is; an object of which a field is listed is not.
    """
    left = unused_fields([name for name in resource.columns if not _is_system(name)], mappings)
    if not left:
        return ()
    rows = 0
    filled = Counter[str]()
    for frame in resource.frames(left, raw=False):
        rows += frame.height
        # Magento's plug-in fills what it does not have with '', which is no value.
        has_value = frame.select((pl.col(left).is_not_null() & (pl.col(left) != "")).sum())
        filled.update(has_value.row(0, named=True))
    return tuple(
        Unmapped(field=field, filled=round(filled[field] / rows, 4) if rows else 0.0)
        for field in left
    )


def unmapped_element_fields(
    resource: SnapshotResource, mappings: Iterable[Mapping]
) -> tuple[Unmapped, ...]:
    """The fields of list elements that no mapping with `each` uses nor ignores, named `items[].colour`."""
    unused = unused_element_fields(resource.columns, partial(resource.frames, raw=False), mappings)
    return tuple(Unmapped(field=field, filled=round(share, 4)) for field, share in unused.items())


def say_unmapped(part: Mapping, fields: Sequence[Unmapped]) -> list[str]:
    """A line for each field that a strict mapping leaves unmapped; of very many the first ones."""
    lines = [
        f"{part.file}: no mapping uses field {field.field!r} of {part.resource}"
        for field in fields[:_MOST_LINES]
    ]
    more = len(fields) - len(lines)
    if more:
        return [*lines, f"{part.file}: and {more:,} more"]
    return lines


def _is_system(name: str) -> bool:
    return name in ("_source", "_id", "_page", "_raw", "_position")
