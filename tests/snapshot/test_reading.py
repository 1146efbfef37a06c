"""Finished snapshots are checked and read; others are refused with the reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from migrate.errors import Damaged, Unfinished, UsageError, WorkspaceError
from migrate.snapshot import reading
from migrate.snapshot.layout import Begun, ResourceResult, SealedResource
from migrate.snapshot.reading import Snapshot, list_snapshots, open_snapshot
from migrate.snapshot.records import IdentityFields, identify_page, identities_digest
from migrate.snapshot.same_records import survey
from migrate.snapshot.spool import PageEntry, Spool
from migrate.snapshot.writing import begin_or_resume
from migrate.source.extract import write_parts
from migrate.workspace import Workspace

FIELDS = IdentityFields(("id",), ("source",), ("updated",))
BEGUN = Begun(1, "", "https://api.example.org", "1", ["sales"], {"sales": 2}, "0", "2026-01-01")


def now() -> datetime:
    """A fixed moment."""
    return datetime(2026, 1, 1, tzinfo=UTC)


def store(spool: Spool, number: int, records: list[bytes]) -> PageEntry:
    """Puts a page into a spool."""
    frame = identify_page(number, records, FIELDS)
    entry = PageEntry(
        number, len(records), sum(map(len, records)), identities_digest(frame), "", ""
    )
    entry = spool.write(frame, entry)
    spool.record(entry)
    return entry


def make(
    workspace: Workspace, name: str | None, pages: list[list[bytes]], *, finish: bool = True
) -> None:
    """A snapshot of one resource."""
    with begin_or_resume(workspace, name, BEGUN, now) as writer:
        spool = Spool(writer.folder / "sales")
        spool.open()
        for number, records in enumerate(pages, 1):
            store(spool, number, records)
        if not finish:
            return
        found = survey(spool, FIELDS)
        parts = write_parts(spool, found.left_out, writer.folder)
        result = ResourceResult(
            found.received, found.received, found.distinct, found.duplicates, found.changed_duplicates,
            found.without_id, 0, len(pages), 1, 0.1, 0, "proven", "", [], parts.unlisted_fields,
        )  # fmt: skip
        writer.seal("sales", SealedResource(result, parts.columns, parts.entries))
        writer.finish(now())


def many_pages() -> list[list[bytes]]:
    """Sixty pages of two records each; a field that comes late."""
    return [
        [
            b'{"id":%d,"source":"s"%b}' % (2 * n + k, b',"late":"x"' if n == 59 else b"")
            for k in range(2)
        ]
        for n in range(60)
    ]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path)


def opened(workspace: Workspace) -> Snapshot:
    """The newest snapshot, with sixty pages in it."""
    make(workspace, None, many_pages())
    return open_snapshot(workspace, None)


def test_frames_count_positions_over_all_parts(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several parts are one sequence; all have the same columns, also of a field that comes late."""
    snapshot = opened(workspace)
    sales = snapshot.resource("sales")
    assert sales is not None
    monkeypatch.setattr(reading, "RUN_BYTES", sum(part.bytes for part in sales.parts[:2]))
    frames = list(sales.frames(["late", "source", "nowhere"]))
    assert [part.rows for part in sales.parts] == [50, 50, 20]
    assert [frame.height for frame in frames] == [100, 20]
    assert frames[0].columns == [
        "_position",
        "_source",
        "_id",
        "_page",
        "_raw",
        "late",
        "source",
        "nowhere",
    ]
    whole = pl.concat(frames)
    assert whole["_position"].to_list() == list(range(120))
    assert whole["_id"].to_list() == [str(n) for n in range(120)]
    assert whole["late"].drop_nulls().len() == 2
    assert whole["nowhere"].dtype == pl.String
    assert pl.concat(sales.frames(["late", "source", "nowhere"], raw=False)).equals(
        whole.drop("_raw")
    )
    assert sales.rows == 120
    assert sales.columns == ("_source", "_id", "_page", "_raw", "id", "source", "late")
    assert next(sales.frames()).columns == ["_position", *sales.columns]
    assert snapshot.resource("profiles") is None


def test_json_of_the_parts_that_need_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads is asked frame by frame, without the JSON; where it is not wanted there is null."""
    sales = opened(workspace).resources["sales"]
    monkeypatch.setattr(reading, "RUN_BYTES", 0)
    asked: list[pl.DataFrame] = []

    def is_second(frame: pl.DataFrame) -> bool:
        asked.append(frame)
        return len(asked) == 2

    frames = list(sales.frames(["late"], raw=is_second))
    assert [frame.columns for frame in asked] == [["_source", "_id", "_page", "late"]] * 3
    wanted = list(sales.frames(["late"]))
    assert frames[1].equals(wanted[1])
    for place in (0, 2):
        assert frames[place].drop("_raw").equals(wanted[place].drop("_raw"))
        assert frames[place]["_raw"].null_count() == frames[place].height
        assert frames[place].schema == wanted[place].schema


def test_the_same_pages_give_the_same_bytes(workspace: Workspace) -> None:
    """Parts of two snapshots of the same pages have equal hashes."""
    make(workspace, "a", many_pages())
    make(workspace, "b", many_pages())
    parts = [open_snapshot(workspace, name).resources["sales"].parts for name in ("a", "b")]
    assert parts[0] == parts[1]


def test_a_damaged_part_is_refused_by_name(workspace: Workspace) -> None:
    """Cut, altered, removed: the file is named; without the check only reading fails."""
    path = opened(workspace).folder / "sales" / "part-00002.parquet"
    whole = path.read_bytes()
    altered = bytearray(whole)
    altered[len(whole) // 2] ^= 1
    for data, words in (
        (whole[:-10], "bytes, its manifest says"),
        (bytes(altered), "SHA-256"),
        (b"", "0 bytes"),
    ):
        path.write_bytes(data)
        with pytest.raises(Damaged, match=rf"part-00002\.parquet has.*{words}"):
            open_snapshot(workspace, None)
    path.unlink()
    with pytest.raises(Damaged, match="is missing"):
        open_snapshot(workspace, None)
    sales = open_snapshot(workspace, None, check_files=False).resources["sales"]
    with pytest.raises(Damaged, match=r"part-00002\.parquet is missing"):
        list(sales.frames([]))


def test_an_unfinished_or_missing_snapshot_is_refused_with_the_next_step(
    workspace: Workspace,
) -> None:
    """Each case has its own words and a command."""
    with pytest.raises(WorkspaceError, match="there is no snapshot in"):
        open_snapshot(workspace, None)
    make(workspace, "half", many_pages(), finish=False)
    with pytest.raises(Unfinished, match="unfinished: half"):
        open_snapshot(workspace, None)
    with pytest.raises(Unfinished, match="half is unfinished") as caught:
        open_snapshot(workspace, "half")
    assert caught.value.hint == "migrate extract --snapshot half"
    with pytest.raises(WorkspaceError, match="there is no snapshot other") as missing:
        open_snapshot(workspace, "other")
    assert missing.value.hint == "there are half"
    with pytest.raises(UsageError):
        open_snapshot(workspace, "../half")


def test_a_manifest_of_another_format_or_none_at_all(workspace: Workspace) -> None:
    """A newer format is named; nonsense is damage."""
    path = opened(workspace).folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(WorkspaceError, match="format 99"):
        open_snapshot(workspace, None)
    for text in ("{", "[]", "{}", '{"format":1}'):
        path.write_text(text)
        with pytest.raises(Damaged, match=r"manifest\.json is damaged"):
            open_snapshot(workspace, None)


def test_the_state_of_all_snapshots(workspace: Workspace) -> None:
    """Finished, half done and unreadable ones, each with what is known."""
    make(workspace, "done", many_pages())
    make(workspace, "half", many_pages()[:3], finish=False)
    (workspace.snapshots / "bad").mkdir()
    (workspace.snapshots / "bad" / "begun.json").write_text("{")
    (workspace.snapshots / "none").mkdir()
    states = {state.name: state for state in list_snapshots(workspace)}
    assert states["done"].finished
    assert (states["done"].resources["sales"].rows, states["done"].resources["sales"].verdict) == (
        120,
        "proven",
    )
    half = states["half"].resources["sales"]
    assert (half.rows, half.pages, half.finished) == (6, 3, False)
    assert "damaged" in (states["bad"].trouble or "")
    assert states["none"].trouble == "it has no begun.json"


def test_a_resource_whose_parts_were_lost_is_extracted_again(workspace: Workspace) -> None:
    """A resource counts as sealed only while its parts are whole."""
    with begin_or_resume(workspace, "x", BEGUN, now) as writer:
        spool = Spool(writer.folder / "sales")
        spool.open()
        parts = write_parts(spool, {}, writer.folder)
        result = ResourceResult(0, 0, 0, 0, 0, 0, 0, 0, 1, 0.1, 0, "proven", "")
        writer.seal("sales", SealedResource(result, parts.columns, parts.entries))
    with begin_or_resume(workspace, None, BEGUN, now) as again:
        assert list(again.sealed) == ["sales"]
        (again.folder / parts.entries[0].path).write_bytes(b"")
    with begin_or_resume(workspace, None, BEGUN, now) as again:
        assert again.begun.name == "x"
        assert not again.sealed


def test_an_unreadable_snapshot_keeps_nobody_from_making_another(workspace: Workspace) -> None:
    """Without a name, what cannot be read is passed over."""
    (workspace.snapshots / "bad").mkdir(parents=True)
    (workspace.snapshots / "bad" / "begun.json").write_text("{")
    with begin_or_resume(workspace, None, BEGUN, now) as writer:
        assert writer.begun.name == "20260101-000000"


def test_forgotten_pages_stay_forgotten(workspace: Workspace) -> None:
    """What is to be read again does not come back by a crash."""
    folder = workspace.root / "sales"
    spool = Spool(folder)
    spool.open()
    for number in (1, 2, 3):
        store(spool, number, [b'{"id":%d}' % number])
    spool.forget(2)
    store(spool, 3, [b'{"id":9}'])
    later = Spool(folder)
    later.open()
    assert sorted(later.pages) == [1, 3]
    assert later.read(later.pages[3]).ids == ["9"]
