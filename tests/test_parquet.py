"""The one door for Parquet: any legal name is one file's name, and nobody goes round it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import migrate
from migrate import parquet
from migrate.errors import Damaged
from tests.fuzz.targets import GIVES_UP

PACKAGE = Path(migrate.__file__).parent
POLARS_OWN = frozenset(
    {
        "scan_parquet",
        "read_parquet",
        "read_parquet_schema",
        "read_parquet_metadata",
        "write_parquet",
        "sink_parquet",
    }
)


def _calls(file: Path) -> Iterator[tuple[str, int]]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in POLARS_OWN:
            yield node.attr, node.lineno


def test_no_other_module_calls_polars_for_parquet():
    """polars takes a path for a pattern: so its functions for Parquet are called in one module only."""
    door = PACKAGE / "parquet.py"
    found = [
        f"{file.relative_to(PACKAGE)}:{line} {name}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if file != door
        for name, line in _calls(file)
    ]
    assert found == []
    assert {name for name, _ in _calls(door)} >= {
        "scan_parquet",
        "read_parquet",
        "write_parquet",
        "sink_parquet",
    }


def test_every_reading_of_the_door_takes_no_pattern():
    """A new function of the door cannot forget it: each call that reads says `glob=False`."""
    tree = ast.parse((PACKAGE / "parquet.py").read_text(encoding="utf-8"))
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    readings = [call for call in calls if call.func.attr in ("scan_parquet", "read_parquet")]  # type: ignore[attr-defined]
    in_memory = 1
    told = [any(word.arg == "glob" for word in call.keywords) for call in readings]
    assert told.count(False) == in_memory
    assert told.count(True) == 3


@pytest.mark.parametrize(
    "name",
    [
        "a[b]*? ü",
        "cust[12]",
        "**",
        "{a,b}",
        "a%5Bb",
        "s3:",
        "file:",
        "~",
        "x=1",
        "hf:",
        "a\nb",
        "'\"",
        "-",
    ],
)
def test_any_legal_name_is_one_files_name(tmp_path, name):
    """What was written is read from the very file, though a neighbour would match the name as a pattern."""
    folder = tmp_path / name
    folder.mkdir()
    for neighbour in ("ab", "cust1", "cust2", "a"):
        (tmp_path / neighbour).mkdir(exist_ok=True)
        pl.DataFrame({"whose": ["theirs"]}).write_parquet(tmp_path / neighbour / "p[1].parquet")
        pl.DataFrame({"whose": ["theirs"]}).write_parquet(tmp_path / neighbour / "p1.parquet")
    _check_round_trip(folder / "p[1].parquet")


@given(
    st.text(
        st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=40
    )
)
def test_generated_names(tmp_path_factory, name):
    """The same for whatever a file system takes as a name."""
    if name in (".", "..") or len(os.fsencode(name)) > 200:
        return
    folder = tmp_path_factory.mktemp("names") / name
    folder.mkdir()
    _check_round_trip(folder / "part-1.parquet")


def _check_round_trip(file: Path) -> None:
    frame = pl.DataFrame({"whose": ["ours"], "n": [1]})
    parquet.write(frame, file)
    assert parquet.read(file).equals(frame)
    assert parquet.read([file, file], columns=["n"]).height == 2
    assert parquet.scan(file).collect().equals(frame)
    assert parquet.schema(file) == frame.schema
    parquet.sink(parquet.scan([file, file]), file.with_name("two.parquet"))
    assert parquet.read(file.with_name("two.parquet")).height == 2
    assert parquet.parse(file.read_bytes()).equals(frame)


def test_bytes_over_which_polars_gives_up_are_damage(tmp_path):
    """It ends with what is no Exception there: for the tool's own files it is an error like any other."""
    with pytest.raises(pl.exceptions.PanicException):
        pl.read_parquet(GIVES_UP)
    file = tmp_path / "plans" / "p" / "contacts" / "rejects.parquet"
    file.parent.mkdir(parents=True)
    file.write_bytes(GIVES_UP.read_bytes())
    for read in (parquet.read, parquet.check_whole):
        with pytest.raises(
            Damaged, match=r"rejects\.parquet is not a plan.s rejects as this tool writes it"
        ):
            read(file)
    with pytest.raises(Damaged, match="cannot be read"):
        parquet.parse(GIVES_UP.read_bytes(), name=file)
    with pytest.raises(pl.exceptions.ComputeError):
        parquet.parse(GIVES_UP.read_bytes())


def test_a_relative_name_that_begins_like_a_url(tmp_path, monkeypatch):
    """A folder `s3:` in the working directory is a folder."""
    monkeypatch.chdir(tmp_path)
    Path("s3:").mkdir()
    _check_round_trip(Path("s3:") / "a.parquet")
