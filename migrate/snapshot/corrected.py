"""A snapshot as it would be had the right values been sent: columns and `_raw` alike, the files as they were.

Of a delta every record with a correction, now or when its base was planned, counts as changed: whether a correction
was added since, taken back or is as it was, what it makes is compared with the target again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from migrate.snapshot.corrections import (
    ELEMENT,
    SCHEMA,
    CannotCorrect,
    Change,
    value_sent,
)
from migrate.snapshot.reading import POSITION, Snapshot, SnapshotResource, WithRaw
from migrate.snapshot.records import OWN_COLUMNS, pick_fields
from migrate.snapshot.union import IDENTITY, UnionResource, count_kept, living

BEFORE, APPLIED, CHANGED, MISSING = "before", "applied", "changed", "missing"
PLANNED = pl.Schema([*SCHEMA.items(), ("state", pl.String)])
"""What a plan keeps of corrections. `state`: what it made of one: `applied`; `changed`: the record has another value
now, and keeps it; `missing`: there is no such record. `before`: in force when a delta's base was planned."""
Patch = Callable[[str, Sequence[Change]], str]
"""Puts right values into a record's JSON."""
Who = tuple[str | None, str]


@dataclass(frozen=True)
class CorrectedResource(SnapshotResource):
    """A resource with right values in some of its records; see `SnapshotResource` for all else."""

    inner: SnapshotResource = field(kw_only=True)
    right: Mapping[Who, Sequence[Change]] = field(kw_only=True, repr=False, compare=False)
    patch: Patch = field(kw_only=True, repr=False, compare=False)

    @property
    def rows(self) -> int:
        """As many as without corrections."""
        return self.inner.rows

    def frames(
        self, fields: Collection[str] | None = None, *, raw: WithRaw = True
    ) -> Iterator[pl.DataFrame]:
        """As `SnapshotResource.frames`."""
        names = self._fields(fields)

        def needs_raw(frame: pl.DataFrame) -> bool:
            return bool(self._places(frame)) or (callable(raw) and raw(frame))

        for frame in self.inner.frames(names, raw=True if raw is True else needs_raw):
            corrected = self._correct(frame, names)
            yield corrected if raw else corrected.drop("_raw")

    def is_only_in_raw(self, name: str) -> bool:
        """As without corrections; a field that only a correction gives counts as a column."""
        return name not in self.columns and self.inner.is_only_in_raw(name)

    def scan(self) -> pl.LazyFrame:
        """The stored columns, as they were sent."""
        return self.inner.scan()

    def _places(self, frame: pl.DataFrame) -> list[int]:
        """The rows of the records that have a right value."""
        # By id first, which is quick: of all records hardly any has a correction.
        ids = list({id_ for _source, id_ in self.right})
        may_be = frame.select(pl.col("_id").is_in(ids).fill_null(value=False).arg_true())
        places = may_be.to_series().to_list()
        if not places:
            return []
        who = frame[places].select(IDENTITY).rows()
        return [at for at, one in zip(places, who, strict=True) if one in self.right]

    def _correct(self, frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        places = self._places(frame)
        if not places:
            return frame
        sent = frame["_raw"].gather(places).to_list()
        who = frame[places].select(IDENTITY).rows()
        right = [self.patch(raw, self.right[one]) for raw, one in zip(sent, who, strict=True)]
        before, after = _fields(sent, names), _fields(right, names)
        columns = [frame["_raw"].scatter(places, right)]
        for name in names:
            # Only what the patch has changed: the other columns stay as the snapshot has them, bytes and all.
            differs = before[name].ne_missing(after[name]).arg_true()
            if len(differs):
                rows = pl.Series(places).gather(differs)
                texts = frame[name].cast(pl.String)
                columns.append(texts.scatter(rows, after[name].gather(differs)))
        return frame.with_columns(columns)


@dataclass(frozen=True)
class _WithMore(SnapshotResource):
    """A delta's resource, and behind it some records of its base that count as changed."""

    delta: SnapshotResource | None = field(kw_only=True)
    base: SnapshotResource = field(kw_only=True)
    more: pl.DataFrame = field(kw_only=True, repr=False, compare=False)

    @property
    def rows(self) -> int:
        """Of both."""
        return (self.delta.rows if self.delta else 0) + self.more.height

    def frames(
        self, fields: Collection[str] | None = None, *, raw: WithRaw = True
    ) -> Iterator[pl.DataFrame]:
        """As `SnapshotResource.frames`."""
        names = self._fields(fields)
        position = 0
        for frame in self.delta.frames(names, raw=raw) if self.delta else ():
            yield frame
            position += frame.height
        for frame in self.base.frames(names, raw=raw):
            corrected = frame.join(
                self.more, on=IDENTITY, how="semi", nulls_equal=True, maintain_order="left"
            )
            if corrected.height:
                at = pl.int_range(position, position + corrected.height, dtype=pl.Int64)
                yield corrected.with_columns(at.alias(POSITION))
            position += corrected.height

    def is_only_in_raw(self, name: str) -> bool:
        """Whether it is in one of both."""
        both = [self.base, *([self.delta] if self.delta else [])]
        return name not in self.columns and any(one.is_only_in_raw(name) for one in both)


def corrected_snapshot(snapshot: Snapshot, corrections: pl.DataFrame, patch: Patch) -> Snapshot:
    """The snapshot with right values in it; `corrections` as PLANNED, those of other resources are left alone."""
    resources = dict(snapshot.resources)
    for name in corrections.get_column("resource").unique().sort():
        if name in resources:
            mine = corrections.filter(pl.col("resource") == name)
            resources[name] = _corrected(
                resources[name], mine, patch, is_delta=snapshot.base is not None
            )
    return replace(snapshot, resources=resources)


def judge_corrections(snapshot: Snapshot, corrections: pl.DataFrame) -> pl.DataFrame:
    """What becomes of each correction in a snapshot as it was sent; see PLANNED."""
    versions: dict[tuple[str, str | None, str], list[str]] = {}
    for name, resource in snapshot.resources.items():
        mine = corrections.filter(pl.col("resource") == name)
        for source, id_, raw in records_of(resource, mine):
            versions.setdefault((name, source, id_), []).append(raw)
    states = []
    for row in corrections.iter_rows(named=True):
        raws = versions.get((row["resource"], row["source"], row["id"]), [])
        states.append(state_of(raws, row["field"], row["sent"]))
    return corrections.with_columns(pl.Series("state", states, dtype=pl.String)).cast(PLANNED)


def state_of(raws: Sequence[str], name: str, sent: str | None) -> str:
    """Whether a correction of a field that was sent so fits one of a record's versions."""
    for raw in raws:
        try:
            # An empty text and no value are the same to a mapping, so they are here.
            if (value_sent(raw, name) or "") == (sent or ""):
                return APPLIED
        except CannotCorrect:
            continue
    return CHANGED if raws else MISSING


def records_of(
    resource: SnapshotResource, who: pl.DataFrame
) -> Iterator[tuple[str | None, str, str]]:
    """Source, id and JSON of the records, as they were sent, that `source` and `id` of a frame name."""
    wanted = set(who.select("source", "id").iter_rows())
    if not wanted:
        return
    ids = list({id_ for _source, id_ in wanted})

    def holds_some(frame: pl.DataFrame) -> bool:
        return bool(frame.select(pl.col("_id").is_in(ids).any()).item())

    for frame in living(resource).frames([], raw=holds_some):
        if holds_some(frame):
            some = frame.filter(pl.col("_id").is_in(ids)).select(*IDENTITY, "_raw")
            yield from (row for row in some.iter_rows() if row[:2] in wanted)


def _corrected(
    resource: SnapshotResource, corrections: pl.DataFrame, patch: Patch, *, is_delta: bool
) -> SnapshotResource:
    now = corrections.filter(pl.col("state") != BEFORE)
    if not is_delta:
        return _patched(resource, now, patch)
    return _touched(resource, corrections, patch)


def _patched(
    resource: SnapshotResource, corrections: pl.DataFrame, patch: Patch
) -> SnapshotResource:
    """The resource with right values, down to the whole snapshot at the bottom; as it is where there are none."""
    changes = _changes_of(corrections)
    if not changes:
        return resource
    if isinstance(resource, UnionResource):
        base = _patched(resource.base, corrections, patch)
        delta = _patched(resource.delta, corrections, patch)
        columns = tuple(dict.fromkeys((*base.columns, *delta.columns)))
        return replace(resource, base=base, delta=delta, columns=columns)
    return CorrectedResource(
        name=resource.name,
        folder=resource.folder,
        result=resource.result,
        columns=_with_fields(resource, corrections),
        parts=resource.parts,
        states=resource.states,
        touched_from=resource.touched_from,
        store=resource.store,
        inner=resource,
        right=changes,
        patch=patch,
    )


def _touched(
    resource: SnapshotResource, corrections: pl.DataFrame, patch: Patch
) -> SnapshotResource:
    """A resource of a delta, in which every record that has or had a correction counts as changed."""
    is_before = pl.col("state") == BEFORE
    before, now = corrections.filter(is_before), corrections.filter(~is_before)
    nobody = pl.DataFrame(schema=dict.fromkeys(IDENTITY, pl.String))
    base, own_delta, keys, gone = resource, None, nobody, nobody
    if isinstance(resource, UnionResource):
        gone = resource.gone
        # One that the delta does not have is untouched as a whole, and its base is all there is.
        if resource.touched_from == resource.kept:
            base, own_delta, keys = resource.base, resource.delta, resource.keys
    named = corrections.select(_source="source", _id="id").unique()
    # What the delta brings anew, or has taken away, need not be brought by us as well.
    asked = named.join(pl.concat([keys, gone]), on=IDENTITY, how="anti", nulls_equal=True)
    more = _records_among(base, asked)
    delta = _more_of(own_delta, base, more, resource)
    hidden = pl.concat([keys, more.unique()])
    kept = count_kept(base, hidden)
    # The base has the values that were right when it was planned, so that taking one back is a change.
    old, new = _patched(base, before, patch), _patched(delta, now, patch)
    columns = dict.fromkeys((*base.columns, *delta.columns, *old.columns, *new.columns))
    return UnionResource(
        name=resource.name,
        folder=resource.folder,
        result=resource.result,
        columns=tuple(columns),
        parts=(),
        states=resource.states,
        touched_from=kept,
        base=old,
        delta=new,
        keys=hidden,
        hidden=hidden,
        kept=kept,
        gone=gone,
    )


def _more_of(
    delta: SnapshotResource | None,
    base: SnapshotResource,
    more: pl.DataFrame,
    resource: SnapshotResource,
) -> SnapshotResource:
    of_delta = delta.columns if delta else ()
    return _WithMore(
        name=resource.name,
        folder=resource.folder,
        result=resource.result,
        columns=tuple(dict.fromkeys((*base.columns, *of_delta))),
        parts=(),
        delta=delta,
        base=base,
        more=more,
    )


def _records_among(resource: SnapshotResource, asked: pl.DataFrame) -> pl.DataFrame:
    """The identities of a resource's records that are among those asked for, one row a record."""
    frames = [asked.clear()]
    for frame in resource.frames([], raw=False) if asked.height else ():
        mine = frame.select(IDENTITY)
        frames.append(mine.join(asked, on=IDENTITY, how="semi", nulls_equal=True))
    return pl.concat(frames)


def _changes_of(corrections: pl.DataFrame) -> dict[Who, list[Change]]:
    changes: dict[Who, list[Change]] = {}
    columns = corrections.select("source", "id", "field", "sent", "value")
    for source, id_, name, sent, value in columns.iter_rows():
        changes.setdefault((source, id_), []).append(Change(name, sent, value))
    return changes


def _with_fields(resource: SnapshotResource, corrections: pl.DataFrame) -> tuple[str, ...]:
    """The columns, and fields that perhaps no record but a corrected one has."""
    named = [_field_of(name) for name in corrections.get_column("field").unique().sort()]
    new = [name for name in named if name not in OWN_COLUMNS and not resource.is_only_in_raw(name)]
    return tuple(dict.fromkeys((*resource.columns, *new)))


def _field_of(name: str) -> str:
    """The field of the record: of an element the list that it is of."""
    element = ELEMENT.fullmatch(name)
    return element["list"] if element else name


def _fields(raws: Sequence[str], names: Sequence[str]) -> pl.DataFrame:
    return pick_fields([raw.encode() for raw in raws], names)


__all__ = [
    "APPLIED",
    "BEFORE",
    "CHANGED",
    "MISSING",
    "PLANNED",
    "CorrectedResource",
    "Patch",
    "corrected_snapshot",
    "judge_corrections",
    "records_of",
    "state_of",
]
