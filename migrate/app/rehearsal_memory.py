"""How much memory a rehearsal will take, and how much this machine can still give.

The sandbox keeps every record, and every row that the mappings make of them.

What each takes beside its own size was measured by rehearsing with a million profiles of 500 bytes that became rows of
700: 2.2 GB in the sandbox, 1.0 GB in the tool. tests/sandbox/test_memory.py watches over it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from migrate.errors import UsageError
from migrate.mapping.fields import column_of, record_names, sql_names
from migrate.mapping.model import parts_of

# bytes that the sandbox takes beside their own size for a record of the source, and for a row of the target
RECORD_EXTRA, ROW_EXTRA = 500, 500
_SANDBOX = 64 << 20
_TOOL = 700 << 20
_TOOL_A_RECORD = 350
_SAMPLE = 2_000
_MEMBER_SIGNS = (
    8  # of a member of a row, beside its name and value: quotes, colon, comma, or the word null
)
_LOOKED_UP = 24
# A forecast from the first records: only what is beyond doubt refuses, the rest is said.
_CLEARLY = 1.25
_GIB = 1 << 30
_KILO = 1024

if TYPE_CHECKING:
    from migrate.mapping.model import Column
    from migrate.mapping.model import Mapping as MappingFile
    from migrate.snapshot.reading import Snapshot, SnapshotResource


@dataclass(frozen=True)
class Need:
    """What a rehearsal will hold: records of the source, rows of the target, and bytes in all of its processes."""

    records: int
    rows: int
    size: int

    def told(self, memory: Memory | None) -> str:
        """One sentence, beside what the machine has."""
        has = ""
        if memory is not None:
            has = f"; this machine has {_gib(memory.size)}{'' if memory.is_total else ' available'}"
        what = f"{self.records:,} records and about {self.rows:,} rows made of them"
        return f"the rehearsal keeps {what} in memory, about {_gib(self.size)} in all{has}"


def forecast_need(snapshot: Snapshot, mappings: Iterable[MappingFile]) -> Need:
    """What rehearsing with this snapshot and these mappings will hold, going by the first records of each resource."""
    mappings = parts_of(mappings)
    records, rows, size = 0, 0.0, 0.0
    for name, resource in snapshot.resources.items():
        sample = _Sample(resource)
        records += resource.rows
        size += resource.rows * (sample.sizes.get("_raw", 0.0) + RECORD_EXTRA)
        for mapping in mappings:
            if mapping.resource == name:
                made = resource.rows * sample.rows_a_record(mapping)
                rows += made
                size += made * (sample.row_size(mapping) + ROW_EXTRA)
    return Need(records, round(rows), round(size) + _SANDBOX + _TOOL + records * _TOOL_A_RECORD)


def refuse_too_large(need: Need, memory: Memory | None) -> None:
    """Nothing, unless the machine clearly has too little. **Raises**: UsageError."""
    if memory is not None and need.size > memory.size * _CLEARLY:
        raise UsageError(
            f"this machine has too little memory: {need.told(memory)}",
            hint="end other programs, or take the project's folder to a machine with more memory; "
            "`migrate cutover --forecast` needs none of it",
        )


class _Sample:
    """The first records of a resource: the mean size of each field's text, in bytes."""

    def __init__(self, resource: SnapshotResource) -> None:
        first = next(iter(resource.frames()), pl.DataFrame())
        self._frame = first.head(_SAMPLE)
        texts = [name for name, kind in self._frame.schema.items() if kind == pl.String]
        if texts:
            sums = self._frame.select(pl.col(texts).str.len_bytes().sum()).row(0, named=True)
        else:
            sums = {}
        self.sizes: Mapping[str, float] = {
            name: total / max(self._frame.height, 1) for name, total in sums.items()
        }

    def rows_a_record(self, mapping: MappingFile) -> float:
        """How many rows a record becomes: one, or one for each element of its list."""
        if mapping.each is None:
            return 1.0
        if mapping.each not in self._frame.columns:
            return 0.0
        lists = self._frame.get_column(mapping.each).drop_nulls()
        return sum(map(_count_elements, lists)) / max(self._frame.height, 1)

    def row_size(self, mapping: MappingFile) -> float:
        """Bytes of a row as the target keeps it: all columns by name, with what the fields they are made of hold."""
        element = self.sizes.get(mapping.each or "", 0.0) / max(self.rows_a_record(mapping), 1.0)
        own = record_names(mapping)
        columns = 0.0
        for name, column in mapping.columns.items():
            values = sum(self._size(field, own) for field in _fields_of(column))
            columns += len(name) + _MEMBER_SIGNS + values
        return columns + element

    def _size(self, field: str, own: set[str]) -> float:
        if field in ("source", "id"):
            return self.sizes.get(f"_{field}", 0.0)
        if field in own:
            return self.sizes.get(column_of(field), 0.0)
        return _LOOKED_UP if not field.startswith("item") else 0.0


def _fields_of(column: Column) -> tuple[str, ...]:
    return (*column.fields, *sql_names(column.sql))


def _count_elements(text: str) -> int:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return 0
    return len(value) if isinstance(value, list | dict) else 0


def _gib(size: int) -> str:
    return f"{size / _GIB:,.1f} GiB"


@dataclass(frozen=True)
class Memory:
    """Bytes: what is available, or, where a system does not tell that (`is_total`), all that is built in."""

    size: int
    is_total: bool = False


def read_memory(root: Path = Path("/")) -> Memory | None:
    """What the system says, no more than the container's limit leaves; None where nothing tells.

    **Source**: proc(5) for `MemAvailable`; the kernel's cgroup-v2 and cgroup-v1 documents for the limits.
    """
    # In a container the machine's memory is not what one may take.
    free = [size for size in (_available(root), _container_left(root)) if size is not None]
    if free:
        return Memory(max(min(free), 0))
    total = _built_in()
    return Memory(total, is_total=True) if total else None


def _available(root: Path) -> int | None:
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        # Not MemFree: what is only kept of files counts as used there, and can be given back.
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
        most = _read(folder / limit).strip()
        now = _read(folder / used).strip()
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
