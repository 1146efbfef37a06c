"""A mapping held against a snapshot: what only the data can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Literal

import polars as pl

from migrate.language.yaml_text import Path, read_yaml
from migrate.mapping.elements import unused_element_fields
from migrate.mapping.fields import (
    column_of,
    named_uses,
    needed_fields,
    record_names,
    unused_fields,
)
from migrate.mapping.messages import suggest
from migrate.mapping.model import Mapping
from migrate.plain_file import read_plain

Level = Literal["problem", "warning"]
Found = Iterator[tuple[Level, Path, str]]


@dataclass(frozen=True)
class SnapshotFindings:
    """What a snapshot shows of one resource: its fields, its sources, and of each field the share of records with a
    value (at least of those that no mapping uses); of the fields inside list elements those that no mapping uses."""

    fields: Collection[str]
    sources: Collection[str]
    filled: Dict[str, float]
    unused_elements: Dict[str, float] = field(default_factory=dict)
    uncolumned: Sequence[str] = ()


@dataclass(frozen=True)
class Remark:
    """One thing about a mapping and a snapshot, as `file:line:column: what`. A problem fails a check."""

    level: Level
    text: str


def look_at(
    fields: Collection[str],
    read: Callable[[Collection[str]], Iterator[pl.DataFrame]],
    mappings: Sequence[Mapping],
    uncolumned: Sequence[str] = (),
) -> SnapshotFindings:
    """What a resource's rows show, as far as it matters to its mappings.

    `read` gives the rows with some fields; `uncolumned` says what of them has no column.
    """
    unused = unused_fields(fields, mappings)
    named = {name for mapping in mappings for name in needed_fields(mapping)}
    # A field that is named without having a column may stand in the records all the same.
    without_column = sorted(named - set(fields))
    counted = [*unused, *without_column]
    rows, filled, sources = 0, Counter[str](), set[str]()
    for frame in read(counted):
        rows += frame.height
        sources |= set(frame["_source"].fill_null("").unique())
        has_value = pl.col(counted).fill_null("") != ""
        filled.update(frame.select(has_value.sum()).row(0, named=True) if counted else {})
    shares = {name: filled[name] / rows if rows else 0.0 for name in unused}
    shown = [*fields, *(name for name in without_column if filled[name])]
    elements = unused_element_fields(shown, read, mappings)
    return SnapshotFindings(shown, sources, shares, elements, tuple(uncolumned))


def check_against(
    mapping: Mapping, shown: SnapshotFindings, same_resource: Sequence[Mapping]
) -> list[Remark]:
    """What a snapshot says against a mapping; its file is read again for the places.

    `same_resource` are all mappings of the resource: a field that another one uses is no unused field.
    """
    document = read_yaml(read_plain(File(mapping.file)))
    found = []
    for level, path, what in _check(mapping, shown, same_resource):
        place = document.place(path, of_key=len(path) == 2 and path[0] == "columns")
        text = f"{File(mapping.file).name}:{place.line}:{place.column}: {'.'.join(map(str, path))}: {what}"
        found.append((place.line, place.column, Remark(level, text)))
    return [remark for _, _, remark in sorted(found, key=lambda entry: entry[:2])]


def _check(mapping: Mapping, shown: SnapshotFindings, same_resource: Sequence[Mapping]) -> Found:
    yield from _check_sources(mapping, shown)
    yield from _check_unused(mapping, shown, same_resource)
    yield from _check_absent(mapping, shown)
    if mapping is same_resource[0]:  # told once for the resource
        for sentence in shown.uncolumned:
            yield "warning", ("resource",), sentence


def _check_sources(mapping: Mapping, shown: SnapshotFindings) -> Found:
    for index, source in enumerate(mapping.collapse.source_order):
        if source not in shown.sources:
            yield (
                "problem",
                ("collapse", "source_order", index),
                f"no record of {mapping.resource} is of source {source!r}{suggest(source, shown.sources)}",
            )


def _check_unused(
    mapping: Mapping, shown: SnapshotFindings, same_resource: Sequence[Mapping]
) -> Found:
    level: Level = "problem" if mapping.unmapped == "fail" else "warning"
    if level == "warning" and mapping is not same_resource[0]:
        return  # told once for the resource
    shares = {**shown.filled, **shown.unused_elements}
    for name in (*unused_fields(shown.fields, same_resource), *shown.unused_elements):
        filled = f" ({shares[name]:.0%} filled)" if name in shares else ""
        yield (
            level,
            ("unmapped",),
            f"no mapping uses the field {name!r}{filled} nor names it under `ignore`",
        )


def _check_absent(mapping: Mapping, shown: SnapshotFindings) -> Found:
    """Uses of which no field is there: of several fields to choose from, one is enough."""
    known = record_names(mapping)
    uses: dict[Path, list[str]] = {}
    for path, name in named_uses(mapping):
        uses.setdefault(path, []).append(name)
    for at, names in uses.items():
        own = [name for name in names if name in known]
        if len(own) == len(names) and not any(column_of(name) in shown.fields for name in own):
            place = at[:2] if at[0] == "columns" else at
            yield (
                "warning",
                place,
                f"the snapshot never shows {' nor '.join(own)}{suggest(own[0], shown.fields)}",
            )
    if mapping.each is not None and mapping.each not in shown.fields:
        yield (
            "warning",
            ("each",),
            f"the snapshot never shows {mapping.each}{suggest(mapping.each, shown.fields)}",
        )
