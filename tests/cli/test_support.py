"""The support bundle: useful, and without a key or a value of anybody's, wherever they were planted."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from migrate.app.support.bundle import refuse_leaks
from migrate.errors import WorkspaceError
from tests.harness import SOURCE_KEY, TARGET_KEY, Project

MakeProject = Callable[..., Project]
PLANTED = (
    "Willemijn",
    "Achterberg-Ünal",
    "w.achterberg@planted.example",
    "0687654321",
    "Fazantenlaan",
    "1987-06-05",
    "P-448812",
)
HEADER = "header-password-canary"


def read(folder: Path) -> dict[str, str]:
    """The members of the one bundle in a folder."""
    (file,) = folder.glob("support-*.zip")
    assert file.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(file) as archive:
        return {Path(name).name: archive.read(name).decode() for name in archive.namelist()}


def plant(project: Project) -> None:
    """Puts keys and values of people wherever the workspace can hold them."""
    workspace = project.folder / "migration"
    words = f"{' '.join(PLANTED)} with {SOURCE_KEY} and api-key={TARGET_KEY}"
    line = {
        "time": "2026-11-22T10:00:00.000Z",
        "level": "error",
        "logger": "migrate.load",
        "pid": 7,
        "message": words,
    }
    odd = {
        "time": words,
        "level": words,
        "logger": words,
        "pid": words,
        "message": "x",
        "traceback": f"E: {words}",
        words: 1,
    }
    with (workspace / "log" / "20200101.jsonl").open("w", encoding="utf-8") as log:
        log.write("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in (line, odd)))
        log.write(f"{words}\n[1]\n")
    for name in (*PLANTED, f"key-{SOURCE_KEY}"):
        (workspace / "reports" / f"{name}.html").parent.mkdir(exist_ok=True)
        (workspace / "reports" / f"{name}.html").write_text(words, encoding="utf-8")
        (workspace / name).write_text(words, encoding="utf-8")
    (workspace / "snapshots" / "broken").mkdir()
    (workspace / "snapshots" / "broken" / "manifest.json").write_text(
        f"{{{words}", encoding="utf-8"
    )
    ledger = sqlite3.connect(workspace / "ledger.sqlite")
    with ledger:
        failure = (1.0, 1, 0, 400, words, "req-1", f"00-{PLANTED[2]}", "ab")
        columns = "at, dataset, batch, status, reason, request_id, traceparent, payload_sha256"
        ledger.execute(f"INSERT INTO failures ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", failure)
        ledger.execute(
            "UPDATE records SET state = 'rejected', error = ? WHERE position = 0", (words,)
        )
    ledger.close()


@pytest.fixture
def loaded(make_project: MakeProject) -> Project:
    """A project with a snapshot, a plan and a load, and a webhook with a password."""
    project = make_project()
    assert project.run("extract", "profiles", "-q", "-v", "--snapshot", "first-try").code == 0
    assert project.run("plan", "contacts", "-q", "-v").code in (0, 3)
    assert project.run("load", "-q", "-v").code in (0, 3)
    file = project.folder / "migrate.toml"
    text = f'[octolis.webhooks.notify]\nid = "w"\nheaders = {{"x-password" = "{HEADER}"}}\n'
    file.write_text(file.read_text() + text)
    return project


def test_neither_keys_nor_people(loaded: Project) -> None:
    """Nothing planted and no value of the migrated people is in it; what helps is."""
    plant(loaded)
    done = loaded.run("support", "--json")
    assert done.code == 0, done.stderr
    members = read(loaded.folder)
    assert set(done.summary["members"]) == set(members)
    text = "\n".join(members.values())
    pieces = {piece for value in PLANTED for piece in (value, *value.split("-")) if len(piece) > 3}
    assert [
        word for word in (SOURCE_KEY, TARGET_KEY, HEADER, *sorted(pieces)) if word in text
    ] == []
    assert [value for value in sorted(values_of_people(loaded)) if value in text] == []
    check_usefulness(
        {name: json.loads(data) for name, data in members.items() if name.endswith(".json")},
        members,
    )


def values_of_people(project: Project) -> set[str]:
    """E-mail addresses, telephone numbers, streets and keys of the migrated contacts."""
    frame = pl.read_parquet(
        next((project.folder / "migration" / "plans").glob("*/contacts/records.parquet"))
    )
    names = ("email", "phone", "mobile", "address", "contact_key", "name", "lastname")
    found = {
        value
        for name in names
        if name in frame.columns
        for value in frame[name].drop_nulls().to_list()
    }
    assert len(found) > 1_000
    return {value for value in found if len(value) > 5}


def check_usefulness(found: dict[str, Any], members: dict[str, str]) -> None:
    """What somebody who helps looks for first."""
    assert found["about.json"]["packages"]["polars"] == pl.__version__
    assert found["settings.json"]["keys"] == {
        "from": {"DATATRICS_API_KEY": "the environment", "OCTOLIS_API_KEYS": "the environment"},
        "octolis": 1,
    }
    assert found["settings.json"]["octolis"]["webhooks"]["notify"]["headers"] == {
        "x-password": "***"
    }
    assert found["snapshots.json"]["first-try"]["resources"]["profiles"]["rows"] == 1_200
    assert found["snapshots.json"]["broken"]["trouble"]
    (plan,) = found["plans.json"].values()
    assert plan["datasets"]["contacts"]["read"] == 1_200
    (ledger,) = found["ledger.json"].values()
    # one for the canary, then 1,200 rows by the five hundred
    assert ledger["datasets"]["contacts"]["requests"] == 1 + 3
    assert ledger["datasets"]["contacts"]["unfinished_batches"] == {}
    assert (ledger["failures"], ledger["last_failures"][0]["request_id"]) == (1, "req-1")
    assert len(ledger["refused"]) == 1
    assert len(found["errors.json"]) == 1
    assert "load: done, exit code 0" in members["log.jsonl"]
    assert "GET Octolis/datasets/contacts/records/count: 200 in " in members["log.jsonl"]
    paths = {entry["path"]: entry for entry in found["files.json"]}
    assert "snapshots/first-try/profiles/part-00001.parquet" in paths
    assert paths["salt"]["sha256"] is None


def test_a_broken_workspace_is_packed_all_the_same(loaded: Project) -> None:
    """A bundle is wanted most where something is broken: what cannot be read is said, the rest is there."""
    for pattern, member in (
        ("plans/*/plan.json", "plans.json"),
        ("ledger.sqlite", "ledger.json"),
        ("snapshots/*/manifest.json", "snapshots.json"),
    ):
        next((loaded.folder / "migration").glob(pattern)).write_bytes(b"\xff broken" * 200)
        assert loaded.run("support", "-q", "--out", "support-x.zip").code == 0
        members = read(loaded.folder)
        assert '"trouble": "' in members[member]
        assert "GET Datatrics" in members["log.jsonl"]


def test_an_empty_workspace(bare_project: Project) -> None:
    """Before anything was done, versions and settings are there."""
    assert bare_project.run("support", "--out", "support-x.zip").code == 0
    assert json.loads(read(bare_project.folder)["about.json"])["migrate"]


@pytest.mark.parametrize("text", ["s3cret/key", "s3cret%2Fkey", "write to jan@example.com"])
def test_the_last_look(text: str) -> None:
    """Whatever goes wrong before: no key, as it is or in a URL, and no address is written; nor shown."""
    with pytest.raises(WorkspaceError) as caught:
        refuse_leaks({"about.json": b"fine", "log.jsonl": text.encode()}, ["s3cret/key"])
    assert "log.jsonl" in caught.value.what
    assert "s3cret" not in caught.value.what
    refuse_leaks({"about.json": b"fine"}, ["s3cret/key"])


@pytest.mark.parametrize("key", ["a", "1", "demo", "plans"])
def test_a_key_that_is_a_plain_word(bare_project: Project, key: str) -> None:
    """The bundle is written, and can be read."""
    done = bare_project.run(
        "support", "--out", "support-x.zip", DATATRICS_API_KEY=key, OCTOLIS_API_KEYS=f"{key}2"
    )
    assert done.code == 0, done.stderr
    members = read(bare_project.folder)
    for name in members.keys() - {"log.jsonl"}:
        json.loads(members[name])
    assert "migrate" in json.loads(members["about.json"])


def test_a_key_that_is_the_name_of_a_setting_does_not_get_through(bare_project: Project) -> None:
    """A longer key is looked for wherever it may stand."""
    done = bare_project.run(
        "support", "--out", "support-x.zip", DATATRICS_API_KEY="concurrency", OCTOLIS_API_KEYS="x"
    )
    assert done.code == 0, done.stderr
    assert "concurrency" not in read(bare_project.folder)["settings.json"]
