"""What a manifest is going to rely on is confirmed by the disk first."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from migrate.errors import WorkspaceError
from migrate.snapshot.parts import Syncing
from migrate.snapshot.records import IdentityFields, identify_page, identities_digest
from migrate.snapshot.spool import PageEntry, Spool
from migrate.source.extract import write_parts

FIELDS = IdentityFields(("id",), ("source",), ("updated",))


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The inodes of files and folders that the disk was asked to confirm."""
    found: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda handle: found.add(os.fstat(handle).st_ino))
    return found


def test_all_parts_and_their_names_are_confirmed(
    tmp_path: Path, synced: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those too that were written once more because they lacked a column."""
    monkeypatch.setattr("migrate.snapshot.parts.PART_PAGES", 1)
    spool = Spool(tmp_path / "sales")
    spool.open()
    for number, items in enumerate(([b'{"id":1}'], [b'{"id":2,"late":3}']), 1):
        records = identify_page(number, items, FIELDS)
        spool.record(
            spool.write(records, PageEntry(number, 1, 9, identities_digest(records), "", ""))
        )
    parts = write_parts(spool, {}, tmp_path)
    assert len(parts.entries) == 2
    assert {(tmp_path / part.path).stat().st_ino for part in parts.entries} | {
        spool.folder.stat().st_ino
    } <= synced


def test_a_disk_that_confirms_nothing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the work with the file's name."""

    def refuse(_handle: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    (tmp_path / "part").write_bytes(b"x")
    monkeypatch.setattr(os, "fsync", refuse)
    with (
        pytest.raises(WorkspaceError, match="part cannot be written: input/output error"),
        Syncing(tmp_path) as syncing,
    ):
        syncing.add(tmp_path / "part")


def test_an_error_inside_is_the_one_that_is_told(tmp_path: Path, synced: set[int]) -> None:
    """What waits for the disk then is no more of interest."""
    with pytest.raises(ZeroDivisionError), Syncing(tmp_path) as syncing:
        syncing.add(tmp_path / "gone")
        raise ZeroDivisionError
    assert not synced
