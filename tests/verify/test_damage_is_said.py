"""A file whose rows somebody changed looks whole: a command that reads it, or vouches for it, says that it is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from .test_tampered import kept, run_here

__all__ = ["kept"]

pytestmark = pytest.mark.end_to_end

DAMAGED = 7
TRACE = ("trace", "profiles", "p1", "--offline")
READERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("plans/*/contacts/records.parquet", TRACE),
    ("plans/*/contacts/records.parquet", ("rejects", "list")),
    ("plans/*/contacts/records.parquet", ("rejects", "export")),
    ("plans/*/contacts/records.parquet", ("diff",)),
    ("plans/*/contacts/records.parquet", ("undo", "plan")),
    ("plans/*/contacts/records.parquet", ("reconcile", "--totals")),
    ("plans/*/orders/before-*.parquet", ("undo", "plan")),
    ("snapshots/*/profiles/part-*.parquet", TRACE),
    ("snapshots/*/profiles/part-*.parquet", ("inspect",)),
)
"""By file the commands that read it."""


@pytest.fixture
def project(kept: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copytree(kept, tmp_path / "project"))


def drop_a_row(project: Path, pattern: str) -> Path:
    """Writes one of the files again without its first row: any reader takes it."""
    file = next(project.glob(f"migration/{pattern}"))
    pl.read_parquet(file).slice(1).write_parquet(file)
    return file


@pytest.mark.parametrize(("pattern", "command"), READERS)
def test_who_reads_it_says_so(project: Path, pattern: str, command: tuple[str, ...]) -> None:
    """With exit code 7 and the name of the file."""
    file = drop_a_row(project, pattern)
    code, _, err = run_here(project, *command, "-q")
    assert code == DAMAGED, err
    assert file.name in err


@pytest.mark.parametrize("folder", ["plans/*/*", "snapshots/*/*"])
def test_evidence_vouches_for_every_file(project: Path, folder: str) -> None:
    """An archive of hashes would prove files that are no longer there as they were."""
    names = sorted({file.name for file in project.glob(f"migration/{folder}/*.parquet")})
    assert names
    for name in names:
        file = next(project.glob(f"migration/{folder}/{name}"))
        before = file.read_bytes()
        file.write_bytes(before[:-9])
        code, _, err = run_here(project, "evidence", "-q")
        assert (code, name in err) == (DAMAGED, True), err
        file.write_bytes(before)
    assert run_here(project, "evidence", "-q")[0] == 0


def test_evidence_packs_no_broken_report(project: Path) -> None:
    """It has no hash to compare with, but it must be one."""
    report = next(project.glob("migration/reports/*-reconcile.json"), None)
    if report is None:
        assert run_here(project, "reconcile", "-q")[0] == 0
        report = next(project.glob("migration/reports/*-reconcile.json"))
    report.write_bytes(report.read_bytes()[:50])
    code, _, err = run_here(project, "evidence", "-q")
    assert (code, report.name in err) == (DAMAGED, True), err
