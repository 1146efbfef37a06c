"""Names and bytes of the plan's files."""

from __future__ import annotations

import stat
from collections.abc import Iterator

import polars as pl
import pytest

from migrate.errors import Interrupted, WorkspaceError
from migrate.plan.files import stored_columns, write_frames, write_parquet


def test_a_taken_name_steps_aside() -> None:
    """Each mapped column has a name of its own in the file; most keep theirs."""
    names = stored_columns(["email", "position", "key"])
    assert names == {"email": "email", "position": "_position", "key": "_key"}


def test_chunks_change_no_byte(tmp_path) -> None:
    """A frame put together of pieces is written as one that was made at once."""
    whole = pl.DataFrame({"a": range(100), "b": [f"text {n}" for n in range(100)]})
    pieces = pl.concat([whole[:33], whole[33:]], rechunk=False)
    one, two = (write_parquet(frame, tmp_path / "f.parquet", tmp_path) for frame in (whole, pieces))
    assert one == two
    assert (one.path, one.rows) == ("f.parquet", 100)
    assert stat.S_IMODE((tmp_path / "f.parquet").stat().st_mode) == 0o600


LISTS = pl.DataFrame(
    {
        "n": range(40_000),
        "text": [f"text number {n} that is not short" for n in range(40_000)],
        "names": [["one", "two"][: n % 3] for n in range(40_000)],
    }
)


@pytest.mark.parametrize("step", [40_000, 7_001, 16_000])
def test_frames_one_by_one_change_no_byte(tmp_path, step) -> None:
    """Wherever one frame ends, and whatever its rows were cut or filtered from; also on the way from other rows."""
    whole = write_frames([LISTS], LISTS.schema, tmp_path / "f.parquet", tmp_path)
    padded = pl.concat([LISTS[:5], LISTS]).with_columns(
        pl.Series("keep", [False] * 5 + [True] * 40_000)
    )
    pieces = (
        padded.filter("keep").drop("keep")[start : start + step] for start in range(0, 40_000, step)
    )
    assert write_frames(pieces, LISTS.schema, tmp_path / "f.parquet", tmp_path) == whole
    assert pl.read_parquet(tmp_path / "f.parquet").equals(LISTS)
    assert (whole.rows, stat.S_IMODE((tmp_path / "f.parquet").stat().st_mode)) == (40_000, 0o600)


def test_no_frames_are_an_empty_file(tmp_path) -> None:
    """With its columns."""
    assert write_frames([], LISTS.schema, tmp_path / "f.parquet", tmp_path).rows == 0
    assert pl.read_parquet_schema(tmp_path / "f.parquet") == LISTS.schema


def test_what_stops_the_frames_stops_the_file(tmp_path) -> None:
    """An error on the way comes through as it is, and no half file stands."""

    def frames() -> Iterator[pl.DataFrame]:
        yield LISTS
        raise Interrupted("stopped")

    with pytest.raises(Interrupted, match="stopped"):
        write_frames(frames(), LISTS.schema, tmp_path / "f.parquet", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_clear_error(bench, monkeypatch) -> None:
    """The file is named, the same command goes on, and nothing is taken for a finished plan."""

    def full(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(WorkspaceError, match="No space left") as caught:
        bench.plan("one", offline=True)
    assert caught.value.hint is not None
    assert "same command again" in caught.value.hint
    assert not (bench.workspace.plans / "one" / "plan.json").exists()
