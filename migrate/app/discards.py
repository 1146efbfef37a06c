"""What a person has discarded: kept by identity and dataset, left out by every later plan, until it is taken back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from migrate import parquet
from migrate.errors import MigrateError, Stale
from migrate.load.ledger_notes import Discarded, LedgerNotes
from migrate.load.ledger_view import LedgerView
from migrate.load.rejects import reject_frames
from migrate.plan.open_plan import Plan, open_plan
from migrate.plan.set_aside import DISCARDS, NO_DISCARDS

if TYPE_CHECKING:
    from migrate.workspace import Workspace

_IDENTITY = ["resource", "source", "id", "position"]
_Source = tuple[str | None, str | None, str | None, int | None]


def read_discards(workspace: Workspace) -> pl.DataFrame:
    """All that is discarded, as `DISCARDS`. Reads files only."""
    if not workspace.ledger.exists():
        return NO_DISCARDS
    with LedgerView(workspace.ledger) as view:
        rows = [
            (
                d.what.dataset, d.what.resource or None, d.what.source, d.what.id, d.what.position,
                d.what.reason, d.what.note, d.who, d.what.plan, d.at,
            )
            for d in view.discards()
        ]  # fmt: skip
    return pl.DataFrame(rows, schema=DISCARDS, orient="row")


def adopt_old_discards(workspace: Workspace) -> None:
    """Keeps by identity what an earlier version has discarded by the name of a reject only."""
    if not workspace.ledger.exists():
        return
    with LedgerView(workspace.ledger) as view:
        known = {(entry.what.plan, entry.what.reject) for entry in view.discards()}
        every = marked_discards(workspace, view, only_old=True)
        unknown = [one for one in every if (one.plan, one.reject) not in known]
    if unknown:
        with LedgerNotes(workspace.ledger) as notes:
            notes.discard(unknown)


def marked_discards(
    workspace: Workspace, view: LedgerView, *, only_old: bool = False
) -> Iterator[Discarded]:
    """The records behind every reject that is marked as discarded, of each plan that can be read.

    One record may stand behind rejects of several plans.
    """
    names = {*view.plans(), *workspace.names(workspace.plans)}
    for name in sorted(names):
        marks = view.discard_marks(name, only_old=only_old)
        # A plan that is gone or damaged tells nothing; the others' discards must not be lost with it.
        with suppress(MigrateError):
            if marks:
                plan = open_plan(workspace, name, check_files=False)
                for part in reject_frames(plan, view):
                    marked = part.filter(pl.col("reject").is_in(list(marks)))
                    yield from identities_of(plan, marked, marks)


def identities_of(
    plan: Plan, rejects: pl.DataFrame, notes: Mapping[str, str]
) -> Iterator[Discarded]:
    """The records behind rejects of a plan: of a row that the target refused, all that went into it."""
    # What the target refused is a row: discarding one of its records would leave the row to the others.
    made_of = _sources_of(plan, rejects.filter(pl.col("stage") == "load"))
    for row in rejects.iter_rows(named=True):
        own = (row["resource"], row["source"], row["id"], row["position"])
        for resource, source, id_, position in made_of.get(row["reject"]) or [own]:
            if id_:
                yield Discarded(
                    row["dataset"], source, id_, position, plan.name, row["reject"],
                    row["reason"] or "", notes[row["reject"]], resource or "",
                )  # fmt: skip


def _sources_of(plan: Plan, rejects: pl.DataFrame) -> Mapping[str, list[_Source]]:
    """What went into the rows that the target refused, by the names of their rejects."""
    sources: dict[str, list[_Source]] = {}
    for (dataset,), some in rejects.group_by("dataset"):
        records = parquet.scan(plan.file(str(dataset), "records.parquet"))
        named = some.lazy().select("reject", "key", "batch")
        made = records.select("key", pl.col("batch").cast(pl.Int64), "sources").join(
            named, on=["key", "batch"], how="inner", maintain_order="left"
        )
        rows = made.select("reject", pl.col("sources")).explode("sources").unnest("sources")
        for reject, *source in rows.select("reject", *_IDENTITY).collect().iter_rows():
            sources.setdefault(reject, []).append(tuple(source))
    return sources


def _discarded_in(file: Path) -> pl.DataFrame:
    """What a plan left out as discarded, by identity; an earlier version did not write of which resource it is."""
    if not file.is_file():
        return NO_DISCARDS.select(_IDENTITY)
    discarded = parquet.read(file)
    if "resource" not in discarded.columns:
        discarded = discarded.with_columns(pl.lit(None, pl.String).alias("resource"))
    return discarded.select(_IDENTITY)


def check_discards(workspace: Workspace, plan: Plan) -> None:
    """Raises Stale where a record of the plan was discarded since it was made: it must not be sent."""
    now = read_discards(workspace)
    lines = []
    for dataset in plan.document.datasets:
        file = plan.file(dataset, "discarded.parquet")
        # What an earlier version discarded names no resource; then there was one file a dataset.
        resource = pl.col("resource").fill_null(plan.document.mappings[dataset].resource)
        then = _discarded_in(file).with_columns(resource)
        mine = now.filter(pl.col("dataset") == dataset).select(_IDENTITY).with_columns(resource)
        # A record without elements has null for its place, and null equals nothing in a plain join.
        new = mine.join(then, on=_IDENTITY, how="anti", nulls_equal=True)
        if not new.height:
            continue
        scan = parquet.scan(plan.file(dataset, "records.parquet")).select(
            pl.col("sources").explode()
        )
        sent = scan.unnest("sources").select(_IDENTITY)
        count = sent.join(new.lazy(), on=_IDENTITY, how="semi", nulls_equal=True).collect().height
        if count:
            lines.append(f"- {dataset}: {count:,}")
    if lines:
        raise Stale(
            f"records that plan {plan.name!r} would send were discarded since it was made:\n"
            + "\n".join(lines),
            hint="make a new plan with `migrate plan`, which leaves them out; or take the discard back: "
            "migrate rejects keep",
        )
