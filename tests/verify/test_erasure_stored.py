"""A person in snapshots that live in an object store: gone from the objects, whatever an extract had put there."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from migrate.app.context import Context
from migrate.app.erasure import erase_person
from migrate.app.pipeline import run_plan
from migrate.app.purge import run_purge
from migrate.config import load_project
from migrate.progress import Silence
from migrate.project import start_project
from migrate.snapshot.objects import Objects
from migrate.workspace import Workspace
from tests.object_store import BUCKET, ObjectStore, open_object_store

from .conftest import make_job
from .test_erasure import KEYS, OTHERS, files_of, rows_left
from .test_erasure_unfinished import take_files

ADDRESS, ID = "a@example.test", "p-1717"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A store for all tests of this file."""
    with open_object_store(tmp_path_factory.mktemp("store")) as found:
        yield found


@pytest.fixture
def context(running: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Context:
    """A project with a snapshot in the store, and a plan in the workspace."""
    for name, value in running.environ.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "p"
    start_project(folder)
    url = f"s3://{BUCKET}/{tmp_path.name}"
    (folder / "migrate.toml").write_text(
        f'snapshots = "{url}"\n[datatrics]\nproject_id = "1"\n'
        '[octolis.datasets]\ncontacts = "contacts"\norders = "orders"\n'
    )
    project = load_project(folder / "migrate.toml", KEYS)
    made = replace(make_job(project), workspace=Workspace.of(project))
    take_files(made, files_of(tmp_path / "f", ID, ADDRESS), Silence(), threading.Event())
    run_plan(made, ("contacts", "orders"), offline=True)
    return made


def objects_of(context: Context) -> Objects:
    """What is below the snapshots' URL."""
    assert context.workspace.snapshots_at
    return Objects(context.workspace.snapshots_at)


def stored_rows(context: Context) -> dict[str, list[str]]:
    """The JSON of every record in the store, by resource."""
    objects = objects_of(context)
    found: dict[str, list[str]] = {}
    for name in objects.folders():
        for path in objects.sizes(name):
            if path.endswith(".parquet"):
                data = objects.get(path)
                assert data is not None
                rows = pl.read_parquet(io.BytesIO(data)).get_column("_raw").to_list()
                found.setdefault(path.split("/")[1], []).extend(rows)
    return found


def test_their_records_go_from_the_objects(context: Context) -> None:
    """The store has the new parts and the manifest of them; a plan can be made; the workspace has no copy."""
    assert ID in str(stored_rows(context))
    planned = erase_person(context, ADDRESS, None, dry_run=True)
    assert ID in str(stored_rows(context))
    assert sum(planned.rows.values()) > 3
    erased = erase_person(context, ADDRESS, None)
    assert (erased.records, erased.places) == (3, ())
    left = stored_rows(context)
    assert {name: len(rows) for name, rows in left.items()} == {
        "profiles": OTHERS, "sales": OTHERS, "interactions": OTHERS,
    }  # fmt: skip
    assert not [text for text in (ADDRESS, ID) if text in str(left)]
    assert rows_left(context, ADDRESS) == {}
    assert not list(context.workspace.snapshots.glob("*/*/*.parquet"))
    assert "older versions" in str(erased.outside)
    made = run_plan(context, ("contacts", "orders"), offline=True)
    assert made.document.datasets["contacts"].planned == OTHERS


@pytest.mark.parametrize("how", ["erase", "purge"])
def test_what_an_interrupted_extract_has_put_there_goes(context: Context, how: str) -> None:
    """Parts are put there before the manifest: no list names them, and they are found all the same."""
    objects = objects_of(context)
    [name] = objects.folders()
    manifest = context.workspace.snapshots / name / "manifest.json"
    for path in objects.sizes(name):
        data = objects.get(path)
        if path.endswith((".parquet", "begun.json")) and data is not None:
            objects.put(path.replace(name, "99990101-000000", 1), data)
    half = manifest.parent.with_name("99990101-000000")
    half.mkdir()
    (half / "begun.json").write_bytes((manifest.parent / "begun.json").read_bytes())
    if how == "erase":
        assert not erase_person(context, ADDRESS, None).places
        assert ID not in str(stored_rows(context))
    else:
        listed = [entry.path for entry in run_purge(context).files]
        assert [path for path in listed if "99990101-000000" in path]
        assert stored_rows(context) == {}
    assert list(objects.sizes("99990101-000000")) == ["99990101-000000/begun.json"]
