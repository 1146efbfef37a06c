"""Which records a plan is of, where it is a sample or a part: the verifier's own reading of what `plan.json` says.

Of a sample the plan lists the records; of a part it says sources and days, and each record is asked for its time here.

**Source**: docs/plan.md, "A sample, or a part".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from migrate import parquet
from migrate.errors import Damaged
from migrate.verify.fields import read_columns
from migrate.verify.mapping_query import CREATED_FIELDS
from migrate.verify.rules import Conventions
from migrate.verify.typed import read_recency

_UPDATED_FIELDS = ("updated", "updated_at", "metadata.updated", "metadata.updated_at")
_WHO = ("_source", "_id")


def are_inside(
    plan_folder: Path,
    scope: Mapping[str, Any] | None,
    resource: str,
    frames: Iterable[pl.DataFrame],
    conventions: Conventions,
) -> pl.Series | None:
    """By its place in the snapshot, whether the plan is of each record; None where it is of all.

    **Shape**: `frames` have `_source`, `_id` and `_raw`, in the order of their places.
    """
    if scope is None:
        return None
    if scope["kind"] == "sample":
        # The records that are listed and not a sample drawn anew: what was looked at is what is verified.
        listed = _listed(plan_folder / "scope" / f"{resource}.parquet")
        answers_of = [[who in listed for who in frame.select(_WHO).iter_rows()] for frame in frames]
    elif scope["kind"] == "part":
        part = _Part.of(scope, conventions)
        answers_of = [part.among(frame) for frame in frames]
    else:
        raise Damaged(f"{plan_folder.name}: what this plan is of is not known to this version")
    parts = [pl.Series(answers, dtype=pl.Boolean) for answers in answers_of]
    return pl.concat([pl.Series(dtype=pl.Boolean), *parts])


def _listed(file: Path) -> frozenset[tuple[str | None, str | None]]:
    """The identities of a sample's records; a resource without a file has none."""
    if not file.is_file():
        return frozenset()
    return frozenset(parquet.read(file, ["source", "id"]).iter_rows())


@dataclass(frozen=True)
class _Part:
    """Sources (none: all), and the first and last second of a span in UTC as texts that sort."""

    sources: frozenset[str]
    begins: str | None
    ends: str | None
    fields: tuple[str, ...]
    conventions: Conventions

    @classmethod
    def of(cls, scope: Mapping[str, Any], conventions: Conventions) -> _Part:
        """The part as `plan.json` says it."""
        first = scope["first_day"]
        last = scope["last_day"]
        by_update = scope["field"] == "updated"
        return cls(
            frozenset(scope["sources"]),
            f"{first} 00:00:00" if first else None,
            f"{last} 23:59:59" if last else None,
            (*_UPDATED_FIELDS, *CREATED_FIELDS) if by_update else CREATED_FIELDS,
            conventions,
        )

    def among(self, frame: pl.DataFrame) -> list[bool]:
        """Whether each of some records is of the part."""
        raws = [raw.encode() for raw in frame.get_column("_raw")]
        texts = read_columns(raws, self.fields)
        nobody = [None] * frame.height
        said = zip(*(texts.get(name, nobody) for name in self.fields), strict=True)
        first = [next((text for text in record if text), None) for record in said]
        sources = frame.get_column("_source").fill_null("")
        return [self._has(source, text) for source, text in zip(sources, first, strict=True)]

    def _has(self, source: str, time: str | None) -> bool:
        """Whether a record is of the part; one without a readable time is where the part has no first day."""
        if self.sources and source not in self.sources:
            return False
        if self.begins is None and self.ends is None:
            return True
        if time:
            moment = read_recency(time, _zone_of(source, self.conventions))
        else:
            moment = None
        if moment is None:
            # So that of parts that follow one another exactly one has it.
            return self.begins is None
        has_begun = self.begins is None or moment >= self.begins
        return has_begun and (self.ends is None or moment <= self.ends)


def _zone_of(source: str, conventions: Conventions) -> str:
    """The zone of a source's naive times: its own, that of another name of it, or the usual one."""
    zones, aliases = conventions.timezones, conventions.source_aliases
    if source in zones:
        return zones[source]
    mine = aliases.get(source, source)
    same = (zone for name, zone in zones.items() if aliases.get(name, name) == mine)
    return next(same, zones.get("*", "UTC"))
