"""Some rows before and after a mapping, with what was rejected and why. Values are raw here; showing masks them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from itertools import chain

import polars as pl

from migrate.errors import MappingError
from migrate.mapping.fields import lookup_columns, needed_fields
from migrate.mapping.model import Mapping
from migrate.mapping.rules import explain
from migrate.mapping.source_rows import base_rows
from migrate.mapping.transform import Settings, WorkedRows, lookup_tables, map_rows, work_out
from migrate.mapping.types import render
from migrate.names import ResourceName

LOOKED_AT = 5_000

Read = Callable[[ResourceName, Collection[str]], Iterator[pl.DataFrame]]


@dataclass(frozen=True)
class PreviewedChange:
    """One column of a row: the text as sent, what is sent on (None: nothing), what got lost on the way."""

    column: str
    before: str | None
    after: str | None
    losses: tuple[str, ...]


@dataclass(frozen=True)
class PreviewRow:
    """One row: whose it is, its columns; where it is rejected, the rule, its column and the reason."""

    source: str | None
    id: str | None
    position: int | None
    changes: tuple[PreviewedChange, ...]
    rule: str | None = None
    column: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Preview:
    """The first accepted and the first rejected rows of the records looked at."""

    looked_at: int
    accepted: tuple[PreviewRow, ...]
    rejected: tuple[PreviewRow, ...]
    counts: dict[str, int]


def preview(
    mapping: Mapping, others: Dict[str, Mapping], read: Read, settings: Settings, rows: int
) -> Preview:
    """The first `rows` accepted and rejected rows among the first records of the mapping's resource.

    `others` are the mappings by dataset, for the look-ups; `read` gives a resource's rows, some at a time.
    **Raises.** MappingError where a looked-up dataset has no mapping.
    """
    records = next(read(mapping.resource, needed_fields(mapping)), None)
    if records is None:
        return Preview(0, (), (), {})
    # A preview is looked at by somebody who waits: the first records show what a mapping does.
    records = records.head(LOOKED_AT)
    tables = lookup_tables(
        mapping, _look_up_all(mapping, others, read, settings, records), settings
    )
    worked = work_out(mapping, records, tables, settings)
    late = worked.rejects["rule"].is_not_null()
    early = list(chain.from_iterable(part.iter_rows(named=True) for part in worked.early))
    told = [_told(row, ()) for row in early[:rows]]
    told += [_row(worked, mapping, at) for at in late.arg_true().head(rows)]
    counts = {
        "filtered": worked.filtered,
        "rejected": len(early) + int(late.sum()),
        "accepted": int((~late).sum()),
    }
    accepted = tuple(_row(worked, mapping, at) for at in (~late).arg_true().head(rows))
    return Preview(records.height, accepted, tuple(told[:rows]), counts)


def _row(worked: WorkedRows, mapping: Mapping, at: int) -> PreviewRow:
    changes = []
    for name in mapping.columns:
        computed = worked.computed[name]
        value = computed.value[at : at + 1].rename("v").to_frame()
        after = value.select(render("v", value.schema["v"])).item()
        if after is None and computed.sends_null is not None and computed.sends_null[at]:
            after = "null"
        losses = tuple(loss for loss, where in computed.losses.items() if where[at])
        changes.append(PreviewedChange(name, computed.origin[at], after, losses))
    return _told(worked.rejects.row(at, named=True), tuple(changes))


def _told(row: Dict[str, object], changes: tuple[PreviewedChange, ...]) -> PreviewRow:
    def text(name: str) -> str | None:
        return None if row[name] is None else str(row[name])

    place = row["_element"]
    position = place if isinstance(place, int) else None
    rule, value = text("rule"), text("value")
    reason = explain(rule, value) if rule else None
    return PreviewRow(text("_source"), text("_id"), position, changes, rule, text("column"), reason)


def _look_up_all(
    mapping: Mapping,
    others: Dict[str, Mapping],
    read: Read,
    settings: Settings,
    records: pl.DataFrame,
) -> dict[str, pl.DataFrame]:
    """The look-ups' frames, of no more records than these rows ask for."""
    base = base_rows(mapping, records)
    used = lookup_columns(mapping)
    looked_up = {}
    for name, lookup in mapping.lookups.items():
        other = others.get(lookup.dataset)
        if lookup.project is not None:
            raise MappingError(
                [
                    f"{mapping.file}: lookups.{name}: a preview does not read project {lookup.project}"
                ],
                hint="make a plan, which looks it up there, and see its rows: migrate diff",
            )
        if other is None:
            raise MappingError(
                [f"{mapping.file}: lookups.{name}: no mapping makes {lookup.dataset!r}"],
                hint="put its mapping into the mappings folder",
            )
        wanted = (
            pl.concat([base[f"f:{field}"].alias("id") for field in lookup.ids])
            .drop_nulls()
            .unique()
        )
        part = other.part_of(lookup.resource)
        looked_up[name] = _look_up(part, others, read, settings, wanted, used[name])
    return looked_up


def _look_up(  # the same values for every step down a chain of look-ups
    mapping: Mapping,
    others: Dict[str, Mapping],
    read: Read,
    settings: Settings,
    wanted: pl.Series,
    columns: Collection[str],
) -> pl.DataFrame:
    parts = [
        pl.DataFrame(
            schema={"source": pl.String, "id": pl.String, **dict.fromkeys(columns, pl.String)}
        )
    ]
    for frame in read(mapping.resource, needed_fields(mapping)):
        asked = frame.filter(pl.col("_id").is_in(wanted.implode()))
        if asked.is_empty():
            continue
        mapped = map_rows(
            mapping, asked, _look_up_all(mapping, others, read, settings, asked), settings
        ).accepted
        texts = [
            render(name, mapped.schema[name]).alias(name)
            for name in columns
            if name in mapped.columns
        ]
        parts.append(
            mapped.select(pl.col("_source").alias("source"), pl.col("_id").alias("id"), *texts)
        )
    return pl.concat(parts, how="diagonal")
