"""A whole migration whose snapshots live in an object store, killed in the middle of the upload."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import polars as pl
import pytest

from migrate.snapshot.objects import Objects
from tests.harness import PATIENCE_S, Project
from tests.object_store import BUCKET, SECRET_KEY, ObjectStore, open_object_store

LEGAL_EVERYWHERE = re.compile(r'[^<>:"/\\|?*\x00-\x1f]*[^<>:"/\\|?*\x00-\x1f. ]')
URL = f"s3://{BUCKET}/retailer/2026"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A store for all tests of this file."""
    with open_object_store(tmp_path_factory.mktemp("store")) as found:
        yield found


class Stalling:
    """A way to the store that stops carrying anything at the `at`-th object of Parquet; `stalled` tells when."""

    def __init__(self, endpoint: str, at: int) -> None:
        parts = urlsplit(endpoint)
        self._target = (parts.hostname, parts.port)
        self._at, self._lock, self.seen = at, threading.Lock(), 0
        self.stalled = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                try:
                    server = socket.create_connection(self._target)
                except OSError:
                    client.close()
                    continue
                threading.Thread(
                    target=self._carry, args=(client, server, self._count), daemon=True
                ).start()
                threading.Thread(
                    target=self._carry, args=(server, client, lambda _data: None), daemon=True
                ).start()

    def _count(self, data: bytes) -> None:
        if data.startswith(b"PUT ") and b".parquet" in data[:300]:
            with self._lock:
                self.seen += 1
                if self.seen >= self._at:
                    self.stalled.set()

    def _carry(
        self, source: socket.socket, target: socket.socket, look: Callable[[bytes], None]
    ) -> None:
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(1 << 16):
                look(data)
                if self.stalled.is_set():
                    return
                target.sendall(data)

    def close(self) -> None:
        """Takes no further connections."""
        self._listener.close()


@pytest.fixture
def project(make_project: Callable[..., Project], running: ObjectStore) -> Project:
    """A project whose snapshots live in the store."""
    found = make_project()
    found.environ = running.environ
    file = found.folder / "migrate.toml"
    file.write_text(f'snapshots = "{URL}"\n' + file.read_text(encoding="utf-8"), encoding="utf-8")
    return found


@pytest.fixture
def objects(running: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """The store, looked at from beside the tool."""
    for name, value in running.environ.items():
        monkeypatch.setenv(name, value)
    return Objects(URL)


def list_pages(project: Project) -> int:
    """How many pages of lists the source was asked for."""
    assert project.sandbox is not None
    log = httpx.get(f"{project.sandbox.url}/_sandbox/log").json()["requests"]
    return sum("/project/" in entry["path"] and entry["method"] == "GET" for entry in log)


def parts(project: Project) -> list[Path]:
    """Parquet files of snapshots in the workspace."""
    return sorted((project.folder / "migration" / "snapshots").rglob("*.parquet"))


def test_a_migration_from_an_object_store(
    project: Project, objects: Objects, running: ObjectStore
) -> None:
    """Killed while uploading: no manifest; resumed, it reads no page again; then all read from there."""
    kill_while_uploading(project, running)
    assert "cut/manifest.json" not in objects.sizes("cut")
    asked = list_pages(project)
    done = project.run("extract", "--snapshot", "cut", "-q")
    assert (done.code, done.stderr) == (0, "")
    assert list_pages(project) == asked
    assert "cut/manifest.json" in objects.sizes("cut")
    assert parts(project) == []

    one = (
        pl.scan_parquet(f"{URL}/cut/profiles/part-*.parquet", storage_options=objects.options())
        .select("_id")
        .first()
    )
    commands = (
        ("inspect",), ("status",), ("plan", "-q"), ("load", "-q"), ("reconcile", "--deep", "-q"), ("evidence",),
        ("trace", "profiles", one.collect().item()), ("mapping", "preview", "mappings/contacts.yaml"),
        ("extract", "--since", "cut", "--snapshot", "later", "-q"),
    )  # fmt: skip
    for command in commands:
        ended = project.run(*command)
        assert ended.code in (0, 3), (command, ended.stdout, ended.stderr)
    assert "later/manifest.json" in objects.sizes("later")
    assert parts(project) == []
    names = [file.name for file in project.folder.rglob("*")]
    assert [name for name in names if not LEGAL_EVERYWHERE.fullmatch(name)] == []


def test_purging_reaches_the_store(project: Project, objects: Objects) -> None:
    """One person, then everybody: gone from there too, manifests stay; nothing has held the store's secret."""
    assert project.run("extract", "--snapshot", "gone", "-q").code == 0
    checked = project.run("check").stdout
    assert re.search(rf"object store: {URL} answers and holds \d+ snapshots", checked), checked
    email = profiles_of(objects).filter(pl.col("email").str.contains("@"))["email"][0]
    manifest = objects.get("gone/manifest.json")
    erased = project.run("purge", "--subject", email, "--yes")
    assert erased.code == 0, erased.stderr
    theirs = pl.col("_raw").str.to_lowercase().str.contains(email.lower(), literal=True)
    assert profiles_of(objects).filter(theirs).height == 0
    assert objects.get("gone/manifest.json") != manifest
    assert project.run("inspect", "--snapshot", "gone").code == 0

    stored = [path for path in objects.sizes("gone") if path.endswith(".parquet")]
    assert project.run("purge", "--dry-run", "--json").summary["files"] >= len(stored) > 0
    purged = project.run("purge", "--yes")
    assert purged.code == 0, purged.stderr
    listed = (project.folder / "migration" / "purged.json").read_text(encoding="utf-8")
    assert f"{URL}/gone/profiles/part-00001.parquet" in listed
    assert set(objects.sizes("gone")) == {"gone/begun.json", "gone/manifest.json"}
    for file in project.folder.rglob("*"):
        assert not (file.is_file() and SECRET_KEY.encode() in file.read_bytes()), file


def profiles_of(objects: Objects) -> pl.DataFrame:
    """The profiles as they lie in the store."""
    found = [
        objects.get(path)
        for path in sorted(objects.sizes("gone/profiles"))
        if path.endswith(".parquet")
    ]
    return pl.concat([pl.read_parquet(io.BytesIO(data or b"")) for data in found])


def kill_while_uploading(project: Project, running: ObjectStore) -> None:
    """An extract that is killed for real when the third part is on its way."""
    way = Stalling(running.endpoint, 3)
    process = project.start("extract", "--snapshot", "cut", "-q", AWS_ENDPOINT_URL=way.endpoint)
    try:
        assert way.stalled.wait(PATIENCE_S), "the upload never came so far"
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    finally:
        way.close()
    assert process.returncode == -signal.SIGKILL
