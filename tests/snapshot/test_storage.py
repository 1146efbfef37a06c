"""Snapshots that live in an object store: put there whole, read back checked, never half."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import obstore
import polars as pl
import pytest
from obstore.exceptions import NotSupportedError

from migrate.app.renew_manifests import renew_manifests
from migrate.errors import (
    ConfigError,
    Damaged,
    Interrupted,
    Locked,
    MigrateError,
    RemoteError,
    Unreachable,
)
from migrate.snapshot.inspection import inspect_snapshot
from migrate.snapshot.layout import BEGUN, MANIFEST, files_of
from migrate.snapshot.objects import Objects
from migrate.snapshot.reading import Snapshot, list_snapshots, open_snapshot
from migrate.snapshot.storage import (
    SnapshotStore,
    bring_copies,
    erase_stored,
    list_stored,
    return_copies,
    store_of,
)
from migrate.workspace import Workspace, sha256_file
from tests.object_store import BUCKET, ObjectStore, open_object_store
from tests.snapshot.test_reading import make, many_pages


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A store for all tests of this file."""
    with open_object_store(tmp_path_factory.mktemp("store")) as found:
        yield found


@pytest.fixture
def url(running: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A prefix of its own, with the store's credentials in the environment."""
    for name, value in running.environ.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/migrations/{tmp_path.name}"


@pytest.fixture
def workspace(url: str, tmp_path: Path) -> Workspace:
    """An empty workspace whose snapshots live in the store."""
    return Workspace(tmp_path / "here", url)


def elsewhere(workspace: Workspace, *, keeps_copies: bool = False) -> Workspace:
    """The workspace of another machine with the same store."""
    return Workspace(
        workspace.root.parent / "elsewhere", workspace.snapshots_at, keeps_copies=keeps_copies
    )


def objects_of(workspace: Workspace) -> Objects:
    """The store below the snapshots' URL."""
    store = store_of(workspace)
    assert store is not None
    return store.objects


def local_parts(workspace: Workspace) -> list[Path]:
    """The Parquet files in the workspace."""
    return sorted(workspace.snapshots.rglob("*.parquet"))


def content(snapshot: Snapshot) -> pl.DataFrame:
    """All records of the one resource."""
    return pl.concat(snapshot.resources["sales"].frames())


def test_a_sealed_snapshot_is_in_the_store_and_not_in_the_workspace(
    workspace: Workspace, tmp_path: Path
) -> None:
    """What its manifest lists is there and nothing else; it is read like one that never left the disk."""
    make(workspace, "a", many_pages())
    make(Workspace(tmp_path / "local"), "a", many_pages())
    found, local = (
        open_snapshot(workspace, None),
        open_snapshot(Workspace(tmp_path / "local"), None),
    )
    listed = {entry.path for entry in files_of(found.manifest)}
    assert set(objects_of(workspace).sizes("a")) == {
        f"a/{path}" for path in (BEGUN, MANIFEST, *listed)
    }
    assert local_parts(workspace) == []
    assert objects_of(workspace).get("a/manifest.json") == (found.folder / MANIFEST).read_bytes()
    assert content(found).equals(content(local))
    assert inspect_snapshot(found, ["sales"]) == inspect_snapshot(local, ["sales"])


def test_another_machine_finds_the_snapshots_by_their_url(workspace: Workspace) -> None:
    """An empty workspace lists them in their order and reads them; plain polars and its globs do as well."""
    for name in ("b", "a"):
        make(workspace, name, many_pages())
    other = elsewhere(workspace)
    assert [(state.name, state.finished) for state in list_snapshots(other)] == [
        ("a", True),
        ("b", True),
    ]
    assert content(open_snapshot(other, "b")).height == 120
    assert (
        open_snapshot(other, "b").manifest_sha256 == open_snapshot(workspace, "b").manifest_sha256
    )
    plain = pl.scan_parquet(
        f"{workspace.snapshots_at}/b/sales/part-*.parquet",
        storage_options={"aws_allow_http": "true"},
    )
    assert plain.select(pl.len()).collect().item() == 120


def test_copies_are_kept_where_that_is_wanted(workspace: Workspace) -> None:
    """The one who wrote keeps the parts, the one who reads has them after the first reading, by the same hashes."""
    workspace.keeps_copies = True
    make(workspace, "a", many_pages())
    other = elsewhere(workspace, keeps_copies=True)
    content(open_snapshot(other, "a"))
    assert [sha256_file(path) for path in local_parts(workspace)] == [
        sha256_file(p) for p in local_parts(other)
    ]
    assert len(local_parts(other)) == 3
    objects_of(workspace).delete(objects_of(workspace).sizes("a"))
    assert (
        content(open_snapshot(other, "a")).height == 120
    )  # from here on the store is not needed for it


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: None, "part-00002.parquet is missing"),
        (lambda data: data[:-1], "part-00002.parquet has "),
        (lambda data: data[:-9] + b"x" + data[-8:], "part-00002.parquet has other bytes"),
    ],
    ids=["missing", "cut", "altered"],
)
def test_an_altered_object_is_refused_by_name(workspace: Workspace, change, said: str) -> None:  # type: ignore[no-untyped-def]
    """Missing or cut at opening, altered at the latest when it is read: it becomes no frame."""
    make(workspace, "a", many_pages())
    objects, path = objects_of(workspace), "a/sales/part-00002.parquet"
    data = change(objects.get(path))
    objects.delete([path])
    if data is not None:
        objects.put(path, data)
    with pytest.raises(Damaged, match=said):
        content(open_snapshot(workspace, "a"))


class Cut(Objects):
    """A store that fails at its `after`-th put; counts what it was sent."""

    def __init__(self, url: str, after: int | None) -> None:
        super().__init__(url)
        self.after, self.sent = after, []  # type: ignore[var-annotated]

    def put(self, path: str, data: bytes) -> None:
        """Sends or fails."""
        if self.after is not None and len(self.sent) >= self.after:
            raise Unreachable("cut")
        self.sent.append(path)
        super().put(path, data)


def test_an_upload_that_was_cut_goes_on(workspace: Workspace, tmp_path: Path) -> None:
    """No manifest before all parts; the next try sends only what is missing, and removes what an earlier one left."""
    local = Workspace(tmp_path / "local")
    make(local, "a", many_pages())
    folder, manifest = local.snapshots / "a", (local.snapshots / "a" / MANIFEST).read_bytes()
    objects_of(workspace).put("a/sales/part-00009.parquet", b"of an earlier try")
    assert workspace.snapshots_at is not None
    cut = Cut(workspace.snapshots_at, 2)
    with pytest.raises(Unreachable):
        SnapshotStore(cut, keep_copies=False).publish(folder, manifest)
    assert cut.get("a/manifest.json") is None
    whole = Cut(workspace.snapshots_at, None)
    SnapshotStore(whole, keep_copies=False).publish(folder, manifest)
    assert len(cut.sent) == 2
    assert sorted(cut.sent + whole.sent) == [f"a/sales/part-0000{n}.parquet" for n in (1, 2, 3)]
    assert "a/sales/part-00009.parquet" not in whole.sizes("a")


def test_an_interrupted_upload_keeps_what_is_there(workspace: Workspace, tmp_path: Path) -> None:
    """Ctrl-C while parts are sent: no manifest, and the command that goes on."""
    make(Workspace(tmp_path / "local"), "a", many_pages())
    folder, stop, store = (
        tmp_path / "local" / "snapshots" / "a",
        threading.Event(),
        store_of(workspace),
    )
    stop.set()
    assert store is not None
    with pytest.raises(Interrupted) as caught:
        store.publish(folder, (folder / MANIFEST).read_bytes(), stop)
    assert caught.value.hint == "migrate extract --snapshot a"
    assert store.objects.get("a/manifest.json") is None


def test_two_extracts_cannot_have_one_name(workspace: Workspace) -> None:
    """The second is refused before it reads anything, and is not in the way of its own next extract."""
    make(workspace, "a", many_pages(), finish=False)
    other = elsewhere(workspace)
    other.snapshots.mkdir(parents=True)
    with pytest.raises(Locked, match="begun by another extract"):
        make_later(other, "a")
    assert not (other.snapshots / "a" / BEGUN).exists()
    make(workspace, "a", many_pages())
    assert open_snapshot(other, "a").manifest.name == "a"


def make_later(workspace: Workspace, name: str) -> None:
    """Like `make`, begun at another time."""
    from dataclasses import replace

    from migrate.snapshot.writing import begin_or_resume
    from tests.snapshot.test_reading import BEGUN as WANTED
    from tests.snapshot.test_reading import now

    with begin_or_resume(workspace, name, replace(WANTED, started="2026-01-02"), now):
        pass


def test_a_manifest_with_other_content_is_not_replaced(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Where two have finished all the same, the first stays; a second try of the same content is no conflict."""
    make(Workspace(tmp_path / "one"), "a", many_pages())
    make(Workspace(tmp_path / "two"), "a", many_pages()[:30])
    folders = [tmp_path / name / "snapshots" / "a" for name in ("one", "two")]
    store = store_of(workspace)
    assert store is not None
    first = store.publish(folders[0], (folders[0] / MANIFEST).read_bytes())
    later = first.replace(b'"finished": "2026-01-01', b'"finished": "2026-01-09')
    assert later != first
    assert store.publish(folders[0], later) == first
    with pytest.raises(Locked, match="another snapshot a"):
        store.publish(folders[1], (folders[1] / MANIFEST).read_bytes())
    assert store.objects.get("a/manifest.json") == first


def test_a_snapshot_older_than_the_setting_is_moved_by_the_next_extract(
    url: str, tmp_path: Path
) -> None:
    """It is read from the disk meanwhile."""
    make(Workspace(tmp_path), "a", many_pages())
    workspace = Workspace(tmp_path, url)
    assert content(open_snapshot(workspace, "a")).height == 120
    make_same(workspace)
    assert local_parts(workspace) == []
    assert content(open_snapshot(workspace, "a")).height == 120


def make_same(workspace: Workspace) -> None:
    """Asks for the finished snapshot once more."""
    from migrate.snapshot.writing import begin_or_resume
    from tests.snapshot.test_reading import BEGUN as WANTED
    from tests.snapshot.test_reading import now

    with begin_or_resume(workspace, "a", WANTED, now) as writer:
        assert writer.finished is not None


def test_parts_can_be_rewritten_and_erased_in_the_store(workspace: Workspace) -> None:
    """As an erasure does it: brought here, rewritten, put back with the manifest; at last removed, but for hashes."""
    make(workspace, "a", many_pages())
    bring_copies(workspace)
    part = local_parts(workspace)[0]
    pl.read_parquet(part).filter(pl.col("_id") != "7").write_parquet(part)
    renew_manifests(workspace, {}, lambda: None)
    return_copies(workspace)
    assert local_parts(workspace) == []
    found = content(open_snapshot(workspace, "a"))
    assert found.height == 119
    assert found.equals(content(open_snapshot(elsewhere(workspace), "a")))
    assert [Path(entry.path).name for entry in list_stored(workspace)] == [
        f"part-0000{n}.parquet" for n in (1, 2, 3)
    ]
    erase_stored(workspace)
    assert set(objects_of(workspace).sizes("a")) == {"a/begun.json", "a/manifest.json"}
    assert list_stored(workspace) == ()


def test_a_manifest_cannot_lead_out_of_the_workspace(workspace: Workspace) -> None:
    """What lies in a shared store may be anybody's: a path that climbs is refused; the rest is listed."""
    make(workspace, "a", many_pages())
    objects = objects_of(workspace)
    manifest = (objects.get("a/manifest.json") or b"").replace(
        b"sales/part-00002.parquet", b"../../part-00002.parquet"
    )
    objects.put("a/manifest.json", manifest)
    other = elsewhere(workspace)
    with pytest.raises(Damaged, match="which is no file of one"):
        open_snapshot(other, "a")
    assert [state.trouble for state in list_snapshots(other)] != [None]
    assert local_parts(other) == []


def test_the_only_copy_is_never_removed(url: str, tmp_path: Path) -> None:
    """A part that is not in the store, or whose snapshot is another one there, stays on the disk."""
    make(Workspace(tmp_path), "a", many_pages())
    workspace = Workspace(tmp_path, url)
    return_copies(workspace)  # as at the end of an erasure, before the snapshot was ever moved
    assert len(local_parts(workspace)) == 3
    store = store_of(workspace)
    assert store is not None
    store.publish(workspace.snapshots / "a", (workspace.snapshots / "a" / MANIFEST).read_bytes())
    store.objects.delete(["a/sales/part-00002.parquet"])
    return_copies(workspace)
    assert [path.name for path in local_parts(workspace)] == ["part-00002.parquet"]
    assert content(open_snapshot(workspace, "a")).height == 120


def test_a_store_that_cannot_write_on_condition_is_looked_at_first(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first writer gets through, the second is told; what is there stays."""
    objects, put = Objects(url), obstore.put

    def refuse_condition(*arguments, mode: str | None = None):  # type: ignore[no-untyped-def]
        if mode == "create":
            raise NotSupportedError("no conditions here")
        return put(*arguments)

    monkeypatch.setattr(obstore, "put", refuse_condition)
    assert objects.create("x", b"1") is True
    assert objects.create("x", b"1") is True
    assert objects.create("x", b"2") is False
    assert objects.get("x") == b"1"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong-wrong-wrong", "the credentials do not allow it"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "cannot be reached"),
        (
            "AWS_ENDPOINT_URL",
            "http://store.example.com",
            "plain http:// is for a store on this machine only",
        ),
    ],
)
def test_what_a_store_refuses_is_said_without_a_secret(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, said: str
) -> None:
    """The reason and a next step; nothing of the store's answer, which repeats parts of the credentials."""
    monkeypatch.setenv(name, value)
    with pytest.raises(RemoteError, match=said) as caught:
        list_snapshots(Workspace(tmp_path, url))
    assert caught.value.hint
    assert os.environ["AWS_ACCESS_KEY_ID"] not in str(caught.value)
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)


def test_without_the_package_the_message_names_it(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Object storage is an extra: who has not installed it is told how to."""
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(ConfigError) as caught:
        open_snapshot(Workspace(tmp_path, url), None)
    assert caught.value.hint == "pip install 'obstore>=0.9,<1'"


def test_a_store_that_is_away_stops_an_extract_before_it_begins(
    url: str, monkeypatch, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    """Not after hours of reading, and no half snapshot is left behind."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(MigrateError):
        make_later(Workspace(tmp_path, url), "a")
    assert not (tmp_path / "snapshots" / "a").exists()
