"""Values put right by people: taken in, listed, taken back; and those that a plan is made with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from migrate.app.bases import chain_of
from migrate.app.deep import open_as_sent
from migrate.errors import UsageError
from migrate.names import ID_FIELDS, RESOURCE_NAMES, SOURCE_FIELDS
from migrate.plan.corrections import NO_CORRECTIONS, read_carried
from migrate.plan.open_plan import open_plan, readable_plans
from migrate.privacy.mask import Masker, workspace_masker
from migrate.sheets import Cell, Number, SheetRow, Spoilt, read_rows
from migrate.snapshot.corrected import (
    APPLIED,
    BEFORE,
    PLANNED,
    judge_corrections,
    records_of,
)
from migrate.snapshot.corrections import (
    SCHEMA,
    WHERE,
    CannotCorrect,
    read_corrections,
    store_lock,
    value_sent,
    write_corrections,
)
from migrate.snapshot.union import open_to_plan
from migrate.spreadsheet import defuse_text

if TYPE_CHECKING:
    from migrate.app.context import Context
    from migrate.snapshot.reading import Snapshot
    from migrate.workspace import Workspace

EMPTY_MARKS = ("(empty)", "(leeg)", "(vide)", "(leer)")
"""In the place of a right value: the field should be empty."""
# As many characters as a cell of Excel holds.
_LONGEST = 32_767
_COLUMNS = ("resource", "source", "id", "field", "sent", "value", "by", "why", "check")
_NAMES = {"who": "by"}
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)(?:[.,][0-9]+)?")
_ZEROS = "a number, of which zeros may be lost; format the cell as text and type it again"
_SHAPE = re.compile(r"c([1-9][0-9]{0,17})")


@dataclass(frozen=True)
class Refusal:
    """A row that was not taken: where it stands, of which field of which record it is, and why."""

    place: str
    resource: str
    source: str | None
    id: str
    field: str
    why: str


@dataclass(frozen=True)
class Imported:
    """What came of a file: values that are `new`, `replaced` earlier ones, were known (`same`); rows left `empty`."""

    snapshot: str
    new: int = 0
    replaced: int = 0
    same: int = 0
    empty: int = 0
    refused: tuple[Refusal, ...] = ()

    @property
    def taken(self) -> int:
        """How many corrections of the file are in force now."""
        return self.new + self.replaced + self.same


@dataclass(frozen=True)
class Given:
    """A right value as a row of a file gives it. `sent` and `check`: what the file says was sent; None: nothing."""

    place: str
    resource: str
    source: str | None
    id: str
    field: str
    value: str | None
    by: str
    why: str
    sent: str | None
    check: str | None
    is_whole_number: bool = False

    @property
    def record(self) -> tuple[str, str | None, str]:
        """Of which record it is."""
        return self.resource, self.source, self.id

    def refused(self, why: str) -> Refusal:
        """It, as what was not taken."""
        return Refusal(self.place, *self.record, self.field, why)


def corrections_for(workspace: Workspace, snapshot: Snapshot) -> pl.DataFrame:
    """The corrections that a plan of a snapshot is made with, as PLANNED.

    Of a delta also those `before`: that plans of it, or of what it stands on, were made with last.
    """
    now = read_corrections(workspace)
    if now.height:
        judged = judge_corrections(snapshot, now)
    else:
        judged = NO_CORRECTIONS
    if snapshot.base is None:
        return judged
    # A record that a delta leaves alone has to be planned again where its correction is new, or taken back.
    chain = {snapshot.name, *chain_of(snapshot)}
    carried = [
        read_carried(plan.folder).filter(pl.col("state") == APPLIED)
        for plan in readable_plans(workspace)
        if plan.document.corrections is not None and plan.document.snapshot.name in chain
    ]
    # The newest first: of two plans that carried a correction the last one says what was sent.
    before = pl.concat([NO_CORRECTIONS, *reversed(carried)]).unique(
        list(WHERE), keep="first", maintain_order=True
    )
    return pl.concat([judged, before.with_columns(state=pl.lit(BEFORE))])


def list_corrections(workspace: Workspace) -> pl.DataFrame:
    """All that are kept, as SCHEMA."""
    return read_corrections(workspace)


def remove_corrections(
    context: Context, names: Sequence[str], by: str | None, *, every: bool
) -> pl.DataFrame:
    """Takes corrections back, by name (`c3`), all that somebody gave, or every one; gives them.

    **Raises**: UsageError where none fits; Locked where somebody else changes them.
    """
    workspace = context.workspace
    with workspace.lock(store_lock(workspace), "the corrections", force=context.force_unlock):
        known = read_corrections(workspace)
        numbers = [_number_of(name) for name in names]
        missing = [number for number in numbers if number not in known.get_column("number")]
        if missing:
            raise UsageError(
                f"there is no correction c{missing[0]}", hint="migrate corrections list"
            )
        if names:
            fits = pl.col("number").is_in(numbers)
        else:
            fits = pl.lit(value=every or by is not None)
        chosen = known.filter(fits & (True if by is None else pl.col("by") == by))
        if chosen.is_empty():
            raise UsageError("no correction fits", hint="migrate corrections list")
        left = known.join(chosen, on="number", how="anti", maintain_order="left")
        write_corrections(workspace, left)
    return chosen


def _number_of(name: str) -> int:
    match = _SHAPE.fullmatch(name)
    if match is None:
        raise UsageError(
            f"{name!r:.80} names no correction", hint="`migrate corrections list` says their names"
        )
    return int(match[1])


def import_corrections(
    context: Context,
    file: Path,
    heads: Mapping[str, str],
    *,
    by: str | None = None,
    why: str | None = None,
    plan: str | None = None,
) -> Imported:
    """Takes the right values of a file in, each held against the record as it was sent.

    `heads`: the names of columns by what stands over them, where that is not the name itself. `by`, `why`: who says so
    and for what reason, where the file does not. `plan`: of whose snapshot the records are; unless named the newest
    plan's, or without a plan the newest whole snapshot's.

    **Guarantees**: a row that does not fit is refused with its reason and changes nothing; all others are taken.

    **Raises**: UsageError for a file without these columns; Locked.
    """
    workspace = context.workspace
    snapshot = _snapshot_of(context, plan)
    reading = _Reading(heads, by or "", why or "")
    given = [*reading.rows(file)]
    checking = _Checking(snapshot, workspace_masker(workspace.root))
    # Before the lock: reading the snapshot may take long, and what others correct meanwhile is read below.
    fitting = checking.fitting(given)
    refused = (*reading.refused, *checking.refused)
    with workspace.lock(store_lock(workspace), "the corrections", force=context.force_unlock):
        known = read_corrections(workspace)
        kept, counts = _joined(known, fitting, context.now().timestamp())
        if counts["new"] or counts["replaced"]:
            write_corrections(workspace, kept)
    return Imported(
        snapshot.name, counts["new"], counts["replaced"], counts["same"], reading.empty, refused
    )


def _snapshot_of(context: Context, plan: str | None) -> Snapshot:
    has_plans = any(True for _ in readable_plans(context.workspace))
    if plan is None and not has_plans:
        return open_to_plan(context.workspace, None)
    return open_as_sent(context, open_plan(context.workspace, plan, check_files=False))


def _joined(
    known: pl.DataFrame, fitting: Sequence[tuple[Given, str | None]], now: float
) -> tuple[pl.DataFrame, Counter[str]]:
    """All corrections with the new ones in their places, and how many came to what."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {
        tuple(row[name] for name in WHERE): row for row in known.iter_rows(named=True)
    }
    number = max((row["number"] for row in rows.values()), default=0)
    counts: Counter[str] = Counter()
    for one, sent in fitting:
        where = (*one.record, one.field)
        before = rows.get(where)
        # Not counted as new, so a file that comes back twice makes no plan stale.
        if before is not None and (before["sent"], before["value"]) == (sent, one.value):
            counts["same"] += 1
            continue
        counts["new" if before is None else "replaced"] += 1
        number += 1
        named = dict(zip(WHERE, where, strict=True))
        more = {"sent": sent, "value": one.value, "by": one.by, "why": one.why, "at": now}
        rows[where] = {"number": number, **named, **more}
    return pl.DataFrame(list(rows.values()), schema=SCHEMA, orient="row"), counts


@dataclass
class _Reading:
    """The rows of a file as right values; those that say too little are refused."""

    heads: Mapping[str, str]
    by: str
    why: str
    empty: int = 0
    refused: list[Refusal] = field(default_factory=list)

    def rows(self, file: Path) -> Iterator[Given]:
        """The right values, in the order of the file. Raises UsageError."""
        has_columns = False
        for row in read_rows(file):
            cells = self._named(row)
            if not {"resource", "id", "field", "value"} <= cells.keys():
                continue
            has_columns = True
            if cells["value"] is None:
                self.empty += 1
                continue
            given = self._given(row.place, cells)
            if given is not None:
                yield given
        if not has_columns:
            raise UsageError(
                f"{file} has no row with the columns resource, source, id, field and value",
                hint="take the file of `migrate rejects export --format xlsx`, with its heads as they were",
            )

    def _named(self, row: SheetRow) -> dict[str, Cell]:
        cells: dict[str, Cell] = {}
        for head, cell in row.cells.items():
            plain = self.heads.get(head, head.lower())
            name = _NAMES.get(plain, plain)
            if name in _COLUMNS:
                cells[name] = cell
        return cells

    def _given(self, place: str, cells: Mapping[str, Cell]) -> Given | None:
        texts = {name: _shown(cells.get(name)) for name in _COLUMNS}
        given = Given(
            place,
            texts["resource"] or "",
            texts["source"],
            texts["id"] or "",
            texts["field"] or "",
            None,
            texts["by"] or self.by,
            texts["why"] or self.why,
            _sent(texts["sent"], has_column="sent" in cells),
            texts["check"],
        )
        why = _why_not(given, cells)
        if why is not None:
            self.refused.append(given.refused(why))
            return None
        value = cells["value"]
        is_whole = isinstance(value, Number) and value.is_whole
        return replace(given, value=_value(value), is_whole_number=is_whole)


def _sent(text: str | None, *, has_column: bool) -> str | None:
    return (text or "") if has_column else None


def _shown(cell: Cell) -> str | None:
    if isinstance(cell, Number):
        return cell.text
    return cell if isinstance(cell, str) else None


def _value(cell: Cell) -> str | None:
    text = _shown(cell)
    if text is not None and text.strip().lower() in EMPTY_MARKS:
        return None
    return text


def _why_not(given: Given, cells: Mapping[str, Cell]) -> str | None:
    """Why a row cannot be taken, whatever the record is; None where it can."""
    for name in ("resource", "source", "id", "field", "value"):
        cell = cells.get(name)
        # A spreadsheet turns what is typed into days, truths and rounded numbers: nobody can tell what was meant.
        if isinstance(cell, Spoilt):
            return f"{name}: {cell.why}; format the cell as text and type it again"
        if name != "value" and isinstance(cell, Number):
            return f"{name}: {_ZEROS}"
    if given.resource not in RESOURCE_NAMES:
        return f"resource: there is none of this name; there are {', '.join(RESOURCE_NAMES)}"
    named = [*ID_FIELDS[given.resource], *SOURCE_FIELDS[given.resource]]
    if not given.id or not given.field:
        return "it says no id or no field"
    if given.field in named:
        return "field: by it the record is known; it cannot be another one"
    if len(_shown(cells["value"]) or "") > _LONGEST:
        return f"value: more than {_LONGEST:,} characters"
    # Evidence counts corrections by who gave them and why.
    if not given.by.strip() or not given.why.strip():
        return "it does not say who says so and why; give --by and --why, or fill these columns"
    return None


@dataclass
class _Checking:
    """Right values held against the records of a snapshot as they were sent."""

    snapshot: Snapshot
    masker: Masker
    refused: list[Refusal] = field(default_factory=list)

    def fitting(self, given: Sequence[Given]) -> list[tuple[Given, str | None]]:
        """Those that fit, with the value that was sent."""
        raws = self._raws({one.record for one in given})
        # Two right values of one field: neither is taken, since the last line is no better than the first.
        twice = _told_twice(given)
        verdicts: dict[tuple[Any, ...], tuple[Given, str | None]] = {}
        for one in given:
            where = (*one.record, one.field)
            try:
                if where in twice:
                    self.refused.append(one.refused("the file gives two right values for it"))
                else:
                    verdicts[where] = (one, self._checked(one, raws.get(one.record, [])))
            except ValueError as why:
                self.refused.append(one.refused(str(why)))
        return list(verdicts.values())

    def _raws(self, records: Collection[tuple[str, str | None, str]]) -> dict[Any, list[str]]:
        raws: dict[Any, list[str]] = {}
        schema = dict.fromkeys(("resource", "source", "id"), pl.String)
        asked = pl.DataFrame(list(records), schema=schema, orient="row")
        for name, resource in self.snapshot.resources.items():
            for source, id_, raw in records_of(resource, asked.filter(pl.col("resource") == name)):
                raws.setdefault((name, source, id_), []).append(raw)
        return raws

    def _checked(self, one: Given, raws: Sequence[str]) -> str | None:
        """The value as it was sent. Raises ValueError with the reason why the correction does not fit."""
        if not raws and one.source is None:
            raise ValueError(
                f"snapshot {self.snapshot.name} has no such record without a source, and the row names none; "
                "the column source may be gone from the file"
            )
        if not raws:
            raise ValueError(
                f"snapshot {self.snapshot.name} has no such record; a spreadsheet may have changed its id"
            )
        try:
            values = [value_sent(raw, one.field) for raw in raws]
        except CannotCorrect as error:
            raise ValueError(f"the field cannot be reached in the record: {error}") from None
        # A value that the source has changed since was put right by the source itself.
        fits = [value for value in values if self._is_sent(one, value)]
        if not fits:
            raise ValueError("the record has another value now than the one that was put right")
        # A cell with the number 7 may have been `007`: it is taken only where a number was sent.
        if one.is_whole_number and not _WHOLE.fullmatch(fits[0] or ""):
            raise ValueError("value: " + _ZEROS)
        if (fits[0] or "") == (one.value or ""):
            raise ValueError("it is the value that was sent")
        return fits[0]

    def _is_sent(self, one: Given, value: str | None) -> bool:
        if one.check:
            # A masked export holds no value, so it says by a keyed hash which one was put right.
            return self.masker.seal(value or "") == one.check
        if one.sent is None:
            return True
        # what a cell shows: a guard before it, and no signs that nobody sees
        shown = {value or "", defuse_text(value or "")}
        return one.sent in shown or defuse_text(one.sent) in shown


def _told_twice(given: Sequence[Given]) -> set[tuple[Any, ...]]:
    values: dict[tuple[Any, ...], set[str | None]] = {}
    for one in given:
        values.setdefault((*one.record, one.field), set()).add(one.value)
    return {where for where, said in values.items() if len(said) > 1}


__all__ = [
    "EMPTY_MARKS",
    "PLANNED",
    "Imported",
    "Refusal",
    "corrections_for",
    "import_corrections",
    "list_corrections",
    "remove_corrections",
]
