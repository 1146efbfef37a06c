"""How much memory this machine can still give."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_KILO = 1024


@dataclass(frozen=True)
class Memory:
    """Bytes: what is available, or, where a system does not tell that (`is_total`), all that is built in."""

    size: int
    is_total: bool = False


def read_memory(root: Path = Path("/")) -> Memory | None:
    """What the system says, no more than the container's limit leaves; None where nothing tells.

    **Source**: proc(5) for `MemAvailable`; the kernel's cgroup-v2 and cgroup-v1 documents for the limits.
    """
    free = [size for size in (_available(root), _container_left(root)) if size is not None]
    if free:
        return Memory(max(min(free), 0))
    total = _built_in()
    return Memory(total, is_total=True) if total else None


def _available(root: Path) -> int | None:
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * _KILO
    return None


def _container_left(root: Path) -> int | None:
    """What the limit leaves; what is only kept of files can be given back and counts as free."""
    for limit, used, cache, folder in (
        ("memory.max", "memory.current", "inactive_file", root / "sys/fs/cgroup"),
        (
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
            root / "sys/fs/cgroup/memory",
        ),
    ):
        most, now = _read(folder / limit).strip(), _read(folder / used).strip()
        if most.isdecimal() and now.isdecimal():
            kept = dict(line.split() for line in _read(folder / "memory.stat").splitlines())
            return int(most) - int(now) + int(kept.get(cache, 0))
    return None


def _built_in() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None  # Windows has no such call, and not every system all of the names


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, ValueError):
        return ""
