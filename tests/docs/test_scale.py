"""The examples of docs/scale.md work: the settings are settings, and other engines read a snapshot as it is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import duckdb
import polars as pl
import pytest
from pydantic import ValidationError

from migrate.config import Project
from migrate.workspace import Workspace
from tests.snapshot.test_reading import make, many_pages

PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
NAME = "20261121-210551"


def block(kind: str) -> str:
    """The page's one block of that kind."""
    (found,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def settings(text: str) -> Project:
    """The project of a project file."""
    return Project.model_validate({**tomllib.loads(text), "datatrics": {"project_id": "1"}})


@pytest.fixture
def local(tmp_path: Path) -> str:
    """The folder that stands for the page's URL, with a snapshot in it."""
    make(Workspace(tmp_path), NAME, many_pages())
    return str(tmp_path / "snapshots")


def test_the_settings_are_known() -> None:
    """Both keys, with the values shown; without them snapshots are in the workspace."""
    shown, plain = settings(block("toml")), settings("")
    assert (shown.snapshots, shown.keep_local_snapshots) == ("s3://bucket/prefix", False)
    assert (plain.snapshots, plain.keep_local_snapshots) == (None, False)


@pytest.mark.parametrize(
    "url", ["gs://bucket/prefix", "az://container/prefix", "s3://bucket", "s3://bucket/a/"]
)
def test_a_store_is_named_by_its_url(url: str) -> None:
    """The three schemes; a slash at the end says nothing."""
    assert settings(f'snapshots = "{url}"').snapshots == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "bucket/prefix",
        "http://bucket/x",
        "s3://",
        "s3://key:secret@bucket/x",
        "s3://bucket/x?key=1",
        "file:///x",
    ],
)
def test_what_is_no_store_is_refused(url: str) -> None:
    """Other schemes, no bucket, and above all a key in the URL, which is not repeated."""
    with pytest.raises(ValidationError) as caught:
        settings(f'snapshots = "{url}"')
    assert "secret" not in str(caught.value)


def test_polars_reads_a_snapshot(local: str) -> None:
    """The page's example, with a folder in the place of the URL."""
    code = block("python").replace("s3://bucket/prefix", local)
    statements, last = code.rstrip().rsplit("\n", 1)
    names = {"pl": pl}
    exec(statements, names)
    assert eval(last, names).item() == 120


def test_duckdb_reads_a_snapshot(local: str) -> None:
    """The page's example, with a folder in the place of the URL."""
    found = duckdb.sql(block("sql").replace("s3://bucket/prefix", local)).fetchall()
    assert found == [("s", 120)]
