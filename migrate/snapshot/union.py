"""A whole snapshot A and a delta B as one: what a whole snapshot taken at B's time would hold, and what is gone since.

A delta may be of another delta: then A is itself such a union, down to the whole snapshot at the bottom.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain

import polars as pl

from migrate.errors import Damaged, Stale, UsageError, WorkspaceError
from migrate.snapshot.delta import WHOLE_LIST
from migrate.snapshot.reading import (
    POSITION,
    Snapshot,
    SnapshotResource,
    WithRaw,
    newest_whole,
    open_snapshot,
)
from migrate.workspace import Workspace

IDENTITY = ("_source", "_id")


@dataclass(frozen=True)
class UnionResource(SnapshotResource):
    """A resource of `base`, with the records of `delta` in place of what they replace.

    `result` is the delta's. `keys`: the identities in the delta; `hidden`: those that `frames` leaves out of the base,
    so that `kept` of its records stay. `gone`: `_source`, `_id` of records that are gone since the whole snapshot;
    `frames` has them all the same, since the target still holds them.

    **Guarantees**: each part is read and joined alone; beside it only the identities of the delta are in memory.
    """

    base: SnapshotResource = field(kw_only=True)
    delta: SnapshotResource = field(kw_only=True)
    keys: pl.DataFrame = field(kw_only=True, repr=False, compare=False)
    hidden: pl.DataFrame = field(kw_only=True, repr=False, compare=False)
    kept: int = field(kw_only=True)
    gone: pl.DataFrame = field(kw_only=True, repr=False, compare=False)

    @property
    def rows(self) -> int:
        """Records of both that `frames` gives."""
        return self.kept + self.delta.rows

    def frames(
        self, fields: Collection[str] | None = None, *, raw: WithRaw = True
    ) -> Iterator[pl.DataFrame]:
        """The base's records that the delta does not replace, then the delta's; see `SnapshotResource.frames`.

        **Guarantees**: `_position` runs over both; from `kept` on the records are the delta's.

        **Raises**: Damaged where the base holds other records than the delta was compared with.
        """
        names = self._fields(fields)
        position = 0
        for frame in self.base.frames(names, raw=raw):
            kept = frame.join(
                self.hidden, on=IDENTITY, how="anti", nulls_equal=True, maintain_order="left"
            )
            if kept.height:
                yield _placed(kept, position)
            position += kept.height
        if position != self.kept:
            raise Damaged(
                f"{self.name}: {position:,} records of the earlier snapshot stay, the delta says {self.kept:,}",
                hint="make the delta again: migrate extract --since SNAPSHOT",
            )
        for frame in self.delta.frames(names, raw=raw):
            yield _placed(frame, position)
            position += frame.height

    def replaced(self, fields: Collection[str] | None = None) -> Iterator[pl.DataFrame]:
        """The base's versions of the records that `frames` leaves out of it, as its own `frames` gives them.

        They are those that the delta changed; of what is `living` also those that are gone.
        """
        for frame in self.base.frames(self._fields(fields)):
            yield from _among(frame, self.hidden)

    def departed(self, fields: Collection[str] | None = None) -> Iterator[pl.DataFrame]:
        """The last versions of the records that are gone since the whole snapshot at the bottom."""
        names = self._fields(fields)
        if isinstance(self.base, UnionResource):
            before = self.base.departed(names)
        else:
            before = iter(())
        for frame in chain(before, living(self.base).frames(names)):
            yield from _among(frame, self.gone)

    def scan(self) -> pl.LazyFrame:
        """The stored columns of both, lazily and in any order; null where one has no such column."""
        kept = self.base.scan().join(self.hidden.lazy(), on=IDENTITY, how="anti", nulls_equal=True)
        return pl.concat([kept, self.delta.scan()], how="diagonal")

    def living(self) -> UnionResource:
        """The same without the records that are gone: what the source held at the delta's time."""
        base = living(self.base)
        # What was gone before and has come back since is in the delta, and so among its keys.
        hidden = pl.concat([self.keys, self.gone]).unique()
        kept = count_kept(base, hidden)
        return replace(self, base=base, hidden=hidden, kept=kept, touched_from=kept)


def has_field(resource: SnapshotResource, name: str) -> bool:
    """Whether records of a resource may have a field: it has a column, or may be in `_raw` alone."""
    if name in resource.columns:
        return True
    if isinstance(resource, UnionResource):
        return has_field(resource.base, name) or has_field(resource.delta, name)
    return isinstance(resource, SnapshotResource) and resource.is_only_in_raw(name)


def living(resource: SnapshotResource) -> SnapshotResource:
    """The resource without records that are gone; a whole snapshot has none such."""
    if isinstance(resource, UnionResource):
        return resource.living()
    return resource


def state_of(snapshot: Snapshot) -> Snapshot:
    """A snapshot as what the source held when it was made: of a delta the union, without what is gone."""
    alive = {name: living(resource) for name, resource in snapshot.resources.items()}
    return replace(snapshot, resources=alive)


def begun_at(snapshot: Snapshot, resource: str) -> datetime:
    """The moment from which on changes of a resource may be missing in the snapshot: when its reading was begun."""
    if resource in snapshot.manifest.resources or snapshot.base is None:
        return datetime.fromisoformat(snapshot.manifest.started)
    return begun_at(snapshot.base, resource)


def open_to_plan(workspace: Workspace, name: str | None, base: str | None = None) -> Snapshot:
    """The snapshot `name` if it is whole, or the newest whole one; a delta as the union with what it was made since.

    **Raises**: UsageError for a `base` that is none of this delta's; else like `open_snapshot` and `open_union`.
    """
    snapshot = open_snapshot(workspace, newest_whole(workspace) if name is None else name)
    if snapshot.manifest.since is not None:
        return put_on_base(workspace, snapshot, base)
    if base is not None:
        raise UsageError(
            f"snapshot {snapshot.name} is whole and needs no base",
            hint="--base goes with a delta: name it with --snapshot",
        )
    return snapshot


def open_union(
    workspace: Workspace, name: str, base: str | None = None, *, check_files: bool = True
) -> Snapshot:
    """The delta `name` on the snapshot it was compared with, or on `base` where it was compared with none.

    **Raises**: like `open_snapshot`; UsageError where the base is not to be known, or where records that were changed
    between the two are in neither; Stale where the base is another one than then.
    """
    return put_on_base(
        workspace, open_snapshot(workspace, name, check_files=check_files), base, check_files
    )


def open_living(workspace: Workspace, name: str) -> Snapshot:
    """The snapshot `name` as what the source held when it was made: of a delta the union, less what is gone."""
    snapshot = open_snapshot(workspace, name)
    if snapshot.manifest.since is None:
        return snapshot
    union = put_on_base(workspace, snapshot, None)
    return replace(
        union, resources={name: _counted(living(one)) for name, one in union.resources.items()}
    )


def _counted(resource: SnapshotResource) -> SnapshotResource:
    """The resource with the number of its own records in the place of the delta's."""
    return replace(resource, result=replace(resource.result, distinct=resource.rows))


def put_on_base(
    workspace: Workspace, delta: Snapshot, base: str | None, check_files: bool = True
) -> Snapshot:
    """An opened delta on its base, see `open_union`."""
    since = delta.manifest.since
    if since is None:
        raise UsageError(
            f"snapshot {delta.name} is no delta",
            hint="plan it as it is: migrate plan --snapshot NAME",
        )
    if since.snapshot and base not in (None, since.snapshot):
        raise UsageError(
            f"snapshot {delta.name} was compared with {since.snapshot}, not with {base}",
            hint="leave --base out",
        )
    wanted = since.snapshot or base
    if wanted is None:
        raise UsageError(
            f"snapshot {delta.name} holds what changed since {since.time}, and no earlier snapshot is known",
            hint=f"name the one that holds the rest: migrate plan --snapshot {delta.name} --base NAME",
        )
    below = _open_base(workspace, delta, wanted, check_files)
    resources = {name: _untouched(resource) for name, resource in below.resources.items()}
    for name, resource in delta.resources.items():
        if name not in below.resources:
            raise WorkspaceError(
                f"delta {delta.name} has {name}, snapshot {below.name} does not: only what changed of it is known",
                hint="make a whole snapshot: migrate extract",
            )
        _refuse_hole(delta, resource, below)
        resources[name] = _put_on(below.resources[name], resource)
    return replace(delta, resources=resources, base=below)


def _open_base(workspace: Workspace, delta: Snapshot, name: str, check_files: bool) -> Snapshot:
    since = delta.manifest.since
    below = open_snapshot(workspace, name, check_files=check_files)
    if since and since.snapshot_sha256 and since.snapshot_sha256 != below.manifest_sha256:
        raise Stale(
            f"snapshot {name} is not what delta {delta.name} was compared with: its manifest has changed",
            hint=f"make the delta again: migrate extract --since {name}",
        )
    if below.manifest.project_id != delta.manifest.project_id:
        raise UsageError(
            f"snapshot {name} is of project {below.manifest.project_id}, delta {delta.name} of "
            f"{delta.manifest.project_id}"
        )
    if below.manifest.since is None:
        return below
    return put_on_base(workspace, below, None, check_files)


def _refuse_hole(delta: Snapshot, resource: SnapshotResource, below: Snapshot) -> None:
    """Nothing, unless the delta began to look only after the base was begun."""
    since, counts = delta.manifest.since, resource.result.delta
    compared_all = resource.states is not None and counts is not None and counts.how == WHOLE_LIST
    began = begun_at(below, resource.name)
    if since is None or compared_all or datetime.fromisoformat(since.time) <= began:
        return
    raise UsageError(
        f"delta {delta.name} holds what changed since {since.time}, but snapshot {below.name} was begun at "
        f"{began.isoformat()}: {resource.name} that changed in between are in neither",
        hint=f"make a delta without the gap: migrate extract --since {below.name}",
    )


def _untouched(resource: SnapshotResource) -> SnapshotResource:
    return replace(resource, touched_from=resource.rows)


def _put_on(base: SnapshotResource, delta: SnapshotResource) -> UnionResource:
    # A record without an id replaces nothing: nobody can say which one it was before.
    identities = [frame.select(IDENTITY).drop_nulls("_id") for frame in delta.frames([], raw=False)]
    keys = pl.concat(
        [pl.DataFrame(schema=dict.fromkeys(IDENTITY, pl.String)), *identities]
    ).unique()
    changes = delta.changes()
    # A delta that was compared knows how many it replaces; else the whole base has to be gone through.
    if changes is None:
        kept = count_kept(base, keys)
    else:
        kept = base.rows - _count_replaced(base, keys, changes)
    return UnionResource(
        name=delta.name,
        folder=delta.folder,
        result=delta.result,
        columns=tuple(dict.fromkeys((*base.columns, *delta.columns))),
        parts=(),
        states=delta.states,
        touched_from=kept,
        base=base,
        delta=delta,
        keys=keys,
        hidden=keys,
        kept=kept,
        gone=_gone(base, keys, changes),
    )


def _gone(base: SnapshotResource, keys: pl.DataFrame, changes: pl.DataFrame | None) -> pl.DataFrame:
    nobody = keys.clear()
    before = _gone_before(base, keys).join(keys, on=IDENTITY, how="anti", nulls_equal=True)
    if changes is None:
        now = nobody
    else:
        now = changes.filter(state="gone").select(IDENTITY).drop_nulls("_id")
    return pl.concat([before, now]).unique().sort(IDENTITY)


def _gone_before(base: SnapshotResource, keys: pl.DataFrame) -> pl.DataFrame:
    if isinstance(base, UnionResource):
        return base.gone
    return keys.clear()


def _count_replaced(base: SnapshotResource, keys: pl.DataFrame, changes: pl.DataFrame) -> int:
    """The base's records that the delta replaces: the changed ones, and those that were gone and have come back."""
    back = _gone_before(base, keys).join(keys, on=IDENTITY, how="semi", nulls_equal=True)
    return changes.filter(state="changed").height + back.height


def count_kept(base: SnapshotResource, hidden: pl.DataFrame) -> int:
    """How many of a resource's records are none of these identities."""
    return sum(
        frame.select(IDENTITY).join(hidden, on=IDENTITY, how="anti", nulls_equal=True).height
        for frame in base.frames([], raw=False)
    )


def _among(frame: pl.DataFrame, who: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The records of some identities, if there are any."""
    theirs = frame.join(who, on=IDENTITY, how="semi", nulls_equal=True, maintain_order="left")
    if theirs.height:
        yield theirs


def _placed(frame: pl.DataFrame, position: int) -> pl.DataFrame:
    return frame.with_columns(
        pl.int_range(position, position + frame.height, dtype=pl.Int64).alias(POSITION)
    )
