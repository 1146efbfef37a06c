"""A delta on its base holds what a whole snapshot of the same moment holds, and what is gone."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import Damaged, Stale, UsageError, WorkspaceError
from migrate.snapshot.delta import NEWEST_FIRST, WHOLE_LIST, compare, write_states
from migrate.snapshot.layout import Begun, ResourceResult, SealedResource, SinceRecord
from migrate.snapshot.reading import Snapshot, SnapshotResource, newest_whole, open_snapshot
from migrate.snapshot.records import IdentityFields, identify_page, identities_digest
from migrate.snapshot.same_records import survey
from migrate.snapshot.spool import PageEntry, Spool
from migrate.snapshot.union import UnionResource, begun_at, open_living, open_to_plan, open_union
from migrate.snapshot.writing import begin_or_resume
from migrate.source.extract import write_parts
from migrate.workspace import Workspace

FIELDS = IdentityFields(("id",), ("source",), ("updated",))
START = datetime(2026, 1, 1, tzinfo=UTC)
PAGE_RECORDS = 3
World = dict[tuple[str | None, str], int]


def record(source: str | None, id_: str | None, **fields: object) -> bytes:
    """A record as sent, without what is None."""
    identity = {"source": source, "id": id_}
    return json.dumps(
        {**{name: text for name, text in identity.items() if text}, **fields}
    ).encode()


def seal(
    workspace: Workspace,
    name: str,
    records: list[bytes] | dict[str, list[bytes]],
    *,
    base: Snapshot | None = None,
    since: SinceRecord | None = None,
    how: str = WHOLE_LIST,
) -> Snapshot:
    """A snapshot of sales, or of what is named; with `base` what differs from it, with `since` alone what is given."""
    lists = records if isinstance(records, dict) else {"sales": records}
    known = SinceRecord(base.manifest.started, base.name, base.manifest_sha256) if base else None
    sizes = dict.fromkeys(lists, PAGE_RECORDS)
    begun = Begun(
        1,
        "",
        "https://api.example.org",
        "1",
        [*lists],
        sizes,
        "0",
        START.isoformat(),
        since or known,
    )
    with begin_or_resume(workspace, name, begun, lambda: START) as writer:
        for resource, some in lists.items():
            writer.seal(
                resource,
                sealed(
                    writer.folder, resource, some, base.resource(resource) if base else None, how
                ),
            )
        writer.finish(START)
    return open_snapshot(workspace, name)


def sealed(
    root: Path, resource: str, records: list[bytes], base: SnapshotResource | None, how: str
) -> SealedResource:
    """One resource's parts, and its states where it is compared with a base."""
    spool = Spool(root / resource)
    spool.open()
    for number in range(1, len(records) // PAGE_RECORDS + 2):
        some = records[(number - 1) * PAGE_RECORDS : number * PAGE_RECORDS]
        frame = identify_page(number, some, FIELDS)
        entry = PageEntry(number, len(some), sum(map(len, some)), identities_digest(frame), "", "")
        spool.record(spool.write(frame, entry))
    found = survey(spool, FIELDS)
    compared = compare(spool, found.left_out, base, how) if base else None
    parts = write_parts(spool, compared.left_out if compared else found.left_out, root)
    result = ResourceResult(
        found.received, found.received, found.distinct, found.duplicates, 0, found.without_id, 0, 1, 1, 0.1, 0,
        "proven", "", delta=compared.counts if compared else None,
    )  # fmt: skip
    states = write_states(compared.states, spool.folder, root) if compared else None
    return SealedResource(result, parts.columns, parts.entries, states)


def raws(snapshot: Snapshot, resource: str = "sales") -> Counter[str]:
    """The records of a resource as sent."""
    found = snapshot.resource(resource)
    assert found is not None
    return Counter(raw for frame in found.frames([]) for raw in frame["_raw"])


def union_of(snapshot: Snapshot, resource: str = "sales") -> UnionResource:
    """The resource, which is a union."""
    found = snapshot.resource(resource)
    assert isinstance(found, UnionResource)
    return found


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path)


identities = st.tuples(
    st.sampled_from(["a", "b", None]), st.sampled_from(["1", "2", "3", "4", "5"])
)
worlds = st.dictionaries(identities, st.integers(0, 2), max_size=12)
strays = st.sets(st.integers(0, 3), max_size=2)
_numbers = count()


def as_sent(world: World, stray: set[int], late: str = "") -> list[bytes]:
    """The records of a source, and those without an id; `late` names a field that only these have."""
    extra = {late: "x"} if late else {}
    named = [
        record(source, id_, version=version, **extra) for (source, id_), version in world.items()
    ]
    return named + [record("a", None, stray=number) for number in sorted(stray)]


@given(before=worlds, after=worlds, without=strays, without_after=strays)
def test_the_union_is_the_whole_and_what_is_gone(
    tmp_path_factory: pytest.TempPathFactory,
    before: World,
    after: World,
    without: set[int],
    without_after: set[int],
) -> None:
    """Whatever came, changed and went: nothing is lost, nothing doubled, and each part says where it stands."""
    workspace = Workspace(tmp_path_factory.mktemp("union") / str(next(_numbers)))
    a = seal(workspace, "a", as_sent(before, without))
    seal(workspace, "b", as_sent(after, without_after), base=a)
    whole = seal(workspace, "whole", as_sent(after, without_after))
    union = union_of(open_union(workspace, "b"))
    gone = before.keys() - after.keys()
    stays = Counter(
        raw.decode()
        for raw in as_sent({i: v for i, v in before.items() if i in gone}, without - without_after)
    )
    assert raws(open_union(workspace, "b")) == raws(whole) + stays
    assert set(union.gone.iter_rows()) == gone
    frames = list(union.frames())
    positions = [p for frame in frames for p in frame["_position"]]
    assert positions == list(range(union.rows))
    fresh = [
        raw
        for frame in frames
        for p, raw in frame.select("_position", "_raw").iter_rows()
        if p >= union.touched_from
    ]
    named = {
        identity: version for identity, version in after.items() if before.get(identity) != version
    }
    assert Counter(fresh) == Counter(
        raw.decode() for raw in as_sent(named, without_after - without)
    )
    changed = {i: v for i, v in before.items() if i in after and after[i] != v}
    old = Counter(raw for frame in union.replaced() for raw in frame["_raw"])
    assert old == Counter(raw.decode() for raw in as_sent(changed, set()))


@given(first=worlds, second=worlds, third=worlds)
def test_a_delta_of_a_delta(
    tmp_path_factory: pytest.TempPathFactory,
    first: World,
    second: World,
    third: World,
) -> None:
    """Three moments, two deltas: the last holds what is now and all that is gone, also what came back meanwhile."""
    workspace = Workspace(tmp_path_factory.mktemp("chain") / str(next(_numbers)))
    a = seal(workspace, "a", as_sent(first, set()))
    seal(workspace, "b", as_sent(second, set()), base=a)
    living = open_living(workspace, "b")
    assert raws(living) == Counter(raw.decode() for raw in as_sent(second, set()))
    resource = living.resource("sales")
    assert resource is not None
    assert resource.result.distinct == resource.rows == len(second)
    seal(workspace, "c", as_sent(third, set()), base=living)
    union = union_of(open_union(workspace, "c"))
    gone = (first.keys() | second.keys()) - third.keys()
    assert set(union.gone.iter_rows()) == gone
    stays = {identity: second.get(identity, first.get(identity, 0)) for identity in gone}
    assert raws(open_union(workspace, "c")) == Counter(
        raw.decode() for raw in as_sent({**third, **stays}, set())
    )
    touched = third.items() - second.items()
    assert union.rows - union.touched_from == len(touched)


def test_columns_of_both_and_any_field(workspace: Workspace) -> None:
    """A field that only one of the two has is null in the other's rows; all frames have the same columns."""
    a = seal(workspace, "a", [record("s", "1", old="x"), record("s", "2", old="y")])
    seal(workspace, "b", [record("s", "1", old="x"), record("s", "2", new="z")], base=a)
    union = union_of(open_union(workspace, "b"))
    assert [name for name in union.columns if not name.startswith("_")] == [
        "source",
        "id",
        "old",
        "new",
    ]
    frame = pl.concat(list(union.frames()))
    assert frame.select("_id", "old", "new").rows() == [("1", "x", None), ("2", None, "z")]
    frame = pl.concat(list(union.frames(["new", "nowhere"])))
    assert frame.columns == ["_position", "_source", "_id", "_page", "_raw", "new", "nowhere"]
    assert sorted(union.scan().select("_id", "old", "new").collect().rows()) == [
        ("1", "x", None),
        ("2", None, "z"),
    ]
    assert [
        row for frame in union.replaced(["old"]) for row in frame.select("_id", "old").iter_rows()
    ] == [("2", "y")]


def test_a_resource_that_the_delta_left_alone(workspace: Workspace) -> None:
    """It is all there, also on a union, and none of it may have changed; what was read later is the delta's time."""
    a = seal(workspace, "a", {"sales": [record("s", "1")], "profiles": [record("s", "9")]})
    b = seal(workspace, "b", [record("s", "1", v=2)], base=a)
    seal(workspace, "c", {"profiles": [record("s", "8")]}, base=open_living(workspace, "b"))
    union = open_union(workspace, "b")
    assert union.base is not None
    assert (union.name, union.base.name, union.manifest_sha256) == ("b", "a", b.manifest_sha256)
    profiles, sales = union.resource("profiles"), open_union(workspace, "c").resource("sales")
    assert profiles is not None
    assert sales is not None
    assert (profiles.rows, profiles.touched_from) == (1, 1)
    assert (sales.rows, sales.touched_from) == (1, 1)
    assert raws(open_union(workspace, "c")) == Counter([record("s", "1", v=2).decode()])
    late = replace(
        union, manifest=replace(union.manifest, started=(START + timedelta(days=1)).isoformat())
    )
    assert (begun_at(late, "sales"), begun_at(late, "profiles")) == (
        START + timedelta(days=1),
        START,
    )


def test_names_choose_whole_or_union(workspace: Workspace) -> None:
    """Without a name the newest whole snapshot; by name whichever it is; a base only where it is needed."""
    a = seal(workspace, "a", [record("s", "1")])
    seal(workspace, "b", [record("s", "2")], base=a)
    assert newest_whole(workspace) == "a"
    assert open_to_plan(workspace, None).name == "a"
    assert open_to_plan(workspace, "b").base is not None
    assert open_to_plan(workspace, "b", "a").base is not None
    with pytest.raises(UsageError, match="needs no base"):
        open_to_plan(workspace, "a", "a")
    with pytest.raises(UsageError, match="compared with a, not with b"):
        open_to_plan(workspace, "b", "b")
    with pytest.raises(UsageError, match="is no delta"):
        open_union(workspace, "a")


def test_a_delta_since_a_time_needs_a_base(workspace: Workspace) -> None:
    """One is named, and records changed between the two are not silently left out."""
    seal(workspace, "a", [record("s", "1"), record("s", "2", v=1)])
    seal(
        workspace,
        "b",
        [record("s", "2", v=2), record("s", "3")],
        since=SinceRecord(START.isoformat()),
    )
    with pytest.raises(UsageError, match="no earlier snapshot is known") as caught:
        open_union(workspace, "b")
    assert "--base" in (caught.value.hint or "")
    union = union_of(open_union(workspace, "b", "a"))
    assert (union.rows, union.touched_from, union.gone.height) == (3, 1, 0)
    late = SinceRecord((START + timedelta(days=2)).isoformat())
    seal(workspace, "late", [record("s", "2", v=3)], since=late)
    with pytest.raises(UsageError, match="in between are in neither"):
        open_union(workspace, "late", "a")
    with pytest.raises(WorkspaceError, match="there is no snapshot nowhere"):
        open_union(workspace, "late", "nowhere")


def test_a_late_delta_that_compared_everything_has_no_hole(workspace: Workspace) -> None:
    """What was compared record by record with the whole list misses nothing, whatever time was asked for."""
    a = seal(workspace, "a", [record("s", "1")])
    late = SinceRecord((START + timedelta(days=2)).isoformat(), "a", a.manifest_sha256)
    seal(workspace, "b", [record("s", "1", v=2)], base=a, since=late)
    assert union_of(open_union(workspace, "b")).touched_from == 0
    seal(workspace, "quick", [record("s", "1", v=2)], base=a, since=late, how=NEWEST_FIRST)
    with pytest.raises(UsageError, match="sales that changed in between"):
        open_union(workspace, "quick")


def test_another_base_is_not_taken_for_the_right_one(workspace: Workspace) -> None:
    """A base that was made again under its name, one of another content, and one that lacks the resource."""
    a = seal(workspace, "a", [record("s", "1"), record("s", "2")])
    seal(workspace, "b", [record("s", "1", v=2), record("s", "2")], base=a)
    union = union_of(open_union(workspace, "b"))
    other = seal(workspace, "other", [record("s", "8"), record("s", "9")]).resource("sales")
    assert other is not None
    with pytest.raises(Damaged, match="the delta says 1"):
        list(replace(union, base=other).frames())
    manifest = workspace.snapshots / "a" / "manifest.json"
    manifest.write_bytes(
        manifest.read_bytes().replace(b'"tool_version": "0"', b'"tool_version": "1"')
    )
    with pytest.raises(Stale, match="its manifest has changed"):
        open_union(workspace, "b")
    seal(workspace, "people", {"profiles": [record("s", "1")]})
    seal(workspace, "some", [record("s", "1")], since=SinceRecord(START.isoformat()))
    with pytest.raises(WorkspaceError, match="snapshot people does not"):
        open_union(workspace, "some", "people")
