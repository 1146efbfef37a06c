"""A page's file: what its bytes say, and what stands in for it while it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrate.errors import WorkspaceError
from migrate.snapshot.spool import PageEntry, Spool
from migrate.source.fetch import store_page
from migrate.source.page import read_page
from migrate.source.resources import PROFILES


def spool(folder: Path) -> Spool:
    """An open spool."""
    opened = Spool(folder)
    opened.open()
    return opened


def stored(spool: Spool, number: int, body: bytes) -> PageEntry:
    """The entry of a page whose records come from the list's start."""
    return store_page(read_page(number, body), spool, PROFILES.fields, 0)


def test_the_hash_of_a_pages_file_is_of_its_records_only(tmp_path: Path) -> None:
    """Totals may move; a record's boundary may not. So a page that comes twice is known again."""
    pages = spool(tmp_path)
    bodies = (b'{"total_items":1,"items":["ab","c"]}', b'["ab","c"]', b'["a","bc"]')
    one, same, other = (
        stored(pages, number, body).file_sha256 for number, body in enumerate(bodies, 1)
    )
    assert one == same != other


def test_what_a_kill_left_half_written_goes(tmp_path: Path) -> None:
    """Nobody would look for it under its name."""
    half = tmp_path / ".part-00001.parquet.4711.tmp"
    half.write_bytes(b"PAR1")
    spool(tmp_path)
    assert not half.exists()


def test_a_folder_that_is_gone_is_a_fault_of_the_workspace(tmp_path: Path) -> None:
    """With its path, so that it can be looked for."""
    pages = Spool(tmp_path / "gone")
    with pytest.raises(WorkspaceError, match="gone"):
        stored(pages, 1, b'{"items":[{"profileid":"1"}]}')
