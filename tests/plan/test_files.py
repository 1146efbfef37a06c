"""Names and bytes of the plan's files."""

from __future__ import annotations

import stat

import polars as pl
import pytest

from migrate.errors import WorkspaceError
from migrate.plan.files import stored_columns, write_parquet


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
