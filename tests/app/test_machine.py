"""How much memory is there, on systems of several kinds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from migrate.app.rehearsal_memory import Memory, read_memory

MEMINFO = "MemTotal:  16000000 kB\nMemAvailable:   8000000 kB\nHugePages_Total: 0\n"
LIMIT, USED = 4 << 30, 3 << 30


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system of which nothing is known yet."""
    for folder in ("proc", "sys/fs/cgroup/memory"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def test_what_is_available_counts(root: Path) -> None:
    """Not what is built in."""
    (root / "proc/meminfo").write_text(MEMINFO)
    assert read_memory(root) == Memory(8_000_000 * 1024)


@pytest.mark.parametrize(
    ("folder", "limit", "used", "cache"),
    [
        ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
        (
            "sys/fs/cgroup/memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ],
)
def test_a_container_has_what_its_limit_leaves(
    root: Path, folder: str, limit: str, used: str, cache: str
) -> None:
    """Of both kinds; what only keeps files can be given back, and a limit that is none changes nothing."""
    (root / "proc/meminfo").write_text(MEMINFO)
    (root / folder / limit).write_text(f"{LIMIT}\n")
    (root / folder / used).write_text(f"{USED}\n")
    assert read_memory(root) == Memory(LIMIT - USED)
    (root / folder / "memory.stat").write_text(f"anon 5\n{cache} 4096\n")
    assert read_memory(root) == Memory(LIMIT - USED + 4096)
    (root / folder / limit).write_text(
        "max\n" if limit == "memory.max" else f"{(1 << 63) - 4096}\n"
    )
    assert read_memory(root) == Memory(8_000_000 * 1024)


def test_a_system_that_tells_only_what_is_built_in(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken as such; where nothing is told at all, nothing is known."""
    monkeypatch.setattr(
        os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}[name]
    )
    assert read_memory(root) == Memory(4_096_000, is_total=True)
    monkeypatch.delattr(os, "sysconf")
    assert read_memory(root) is None
