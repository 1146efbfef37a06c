"""The corrections that a plan was made with: kept in its folder, and whether they are still those of the workspace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.plan.carried import TextChange
from migrate.plan.corrections_used import CORRECTIONS_FOLDER, CorrectionsUsed
from migrate.plan.document import PlanDocument, PlannedFile
from migrate.plan.files import write_parquet
from migrate.sentence import Sentence
from migrate.snapshot.corrected import APPLIED, BEFORE, CHANGED, MISSING, PLANNED
from migrate.snapshot.corrections import WHERE, read_corrections
from migrate.workspace import Workspace

FILE = f"{CORRECTIONS_FOLDER}/corrections.parquet"
NO_CORRECTIONS = pl.DataFrame(schema=PLANNED)
_SHOWN_FIELDS = 5


def read_carried(plan_folder: Path) -> pl.DataFrame:
    """The corrections that a finished plan was made with, as PLANNED; none in one of an earlier version."""
    file = plan_folder / FILE
    if not file.is_file():
        return NO_CORRECTIONS
    return parquet.read(file).select(list(PLANNED))


def write_carried(corrections: pl.DataFrame, plan_folder: Path) -> list[PlannedFile]:
    """Writes them into a plan's folder; nothing where there are none."""
    if corrections.is_empty():
        return []
    folder = plan_folder / CORRECTIONS_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    # In one order, since the same inputs must give a plan of the same bytes.
    ordered = corrections.sort("state", *WHERE, "number", nulls_last=False)
    return [write_parquet(ordered, plan_folder / FILE, plan_folder)]


def used_corrections(corrections: pl.DataFrame) -> CorrectionsUsed | None:
    """What `plan.json` says of them: numbers only; None where there are none."""
    now = corrections.filter(pl.col("state") != BEFORE)
    if corrections.is_empty():
        return None
    counts = Counter(now.get_column("state").to_list())
    applied = now.filter(pl.col("state") == APPLIED)
    by_field = applied.group_by("resource", "field").len().sort("resource", "field")
    return CorrectionsUsed(
        values=counts[APPLIED],
        records=applied.select("resource", "source", "id").n_unique(),
        changed=counts[CHANGED],
        missing=counts[MISSING],
        by_field={f"{resource} {name}": count for resource, name, count in by_field.iter_rows()},
    )


def count_corrected(
    corrections: pl.DataFrame, resources: Collection[str], fields: Collection[str] | None = None
) -> int:
    """How many records of some resources have a right value in them; `fields`: in one of these, or inside of it."""
    mine = corrections.filter(pl.col("state") == APPLIED, pl.col("resource").is_in(list(resources)))
    if fields is not None:
        # of an element of a list (`items[2].price`) the list counts
        mine = mine.filter(pl.col("field").str.split("[").list.first().is_in(list(fields)))
    if mine.height:
        return mine.select("resource", "source", "id").n_unique()
    return 0


def correction_changes(
    plan_folder: Path, document: PlanDocument, workspace: Workspace
) -> Iterator[TextChange]:
    """What has changed of the corrections since a plan was made, of the resources that it is made of."""
    used = chain.from_iterable(mapping.files for mapping in document.mappings.values())
    resources = {file.resource for file in used}
    carried = read_carried(plan_folder).filter(pl.col("state") != BEFORE)
    then = carried.select(_COMPARED)
    now = read_corrections(workspace).select(_COMPARED)
    then, now = (one.filter(pl.col("resource").is_in(list(resources))) for one in (then, now))
    added = now.join(then, on=_COMPARED, how="anti", nulls_equal=True)
    removed = then.join(now, on=_COMPARED, how="anti", nulls_equal=True)
    if added.height:
        yield TextChange(
            Sentence(
                "{count} correction was added: {fields}",
                "{count} corrections were added: {fields}",
                count=added.height,
                fields=_fields(added),
            )
        )
    if removed.height:
        yield TextChange(
            Sentence(
                "{count} correction was taken back: {fields}",
                "{count} corrections were taken back: {fields}",
                count=removed.height,
                fields=_fields(removed),
            )
        )


def _fields(rows: pl.DataFrame) -> tuple[str, ...]:
    named = [
        f"{resource} {name}" for resource, name in rows.select("resource", "field").iter_rows()
    ]
    fields = list(dict.fromkeys(named))
    return (*fields[:_SHOWN_FIELDS], *(["…"] if len(fields) > _SHOWN_FIELDS else []))


_COMPARED = [*WHERE, "sent", "value"]
