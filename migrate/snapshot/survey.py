"""Which of the stored records are the same, and which one of them stays."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import polars as pl

from migrate.moments import is_later, read_moments
from migrate.snapshot.layout import disk_errors
from migrate.snapshot.records import IdentityFields, pick_fields
from migrate.snapshot.spool import PageEntry, Spool
from migrate.workspace import sha256_bytes

_PAGES_AT_ONCE = 50
_HASHES_AT_ONCE = 500_000
_READ_BYTES = 8 * 100_000
_BYTES_IN_MEMORY = 8 * 500_000


@dataclass(frozen=True, slots=True)
class ChangedDuplicate:
    """A copy that was left out, by page and row, and the one that stayed and differs from it.

    `by_time`: the one that stayed says that it is newer; else it is the one in the later place.
    """

    page: int
    row: int
    kept_page: int
    kept_row: int
    by_time: bool


@dataclass(frozen=True)
class DuplicateSurvey:
    """Counts over all pages that count, and the rows to leave out, as row numbers by page."""

    received: int
    without_id: int
    duplicates: int
    left_out: Mapping[int, list[int]]
    changed: Sequence[ChangedDuplicate] = ()

    @property
    def changed_duplicates(self) -> int:
        """Copies that were left out and differ from the one that stayed."""
        return len(self.changed)

    @property
    def undated_duplicates(self) -> int:
        """Those of them of which it could not be told whether they are older."""
        return sum(not one.by_time for one in self.changed)

    @property
    def distinct(self) -> int:
        """Records with different identities; a record without an id is one of its own."""
        return self.received - self.duplicates


@dataclass(frozen=True)
class _Copy:
    updated: str
    page: int
    row: int
    content: str


def survey(spool: Spool, fields: IdentityFields) -> DuplicateSurvey:
    """The stored pages' identities compared; of equal ones the newest by its `updated` stays.

    Times are read in any spelling; where they do not tell which is newer, the last one stays.

    **Guarantees**: memory does not grow with the number of records, but with that of repeated ones.
    """
    entries = spool.filled()
    received = sum(entry.rows for entry in entries)
    with (
        disk_errors(spool.folder),
        tempfile.SpooledTemporaryFile(_BYTES_IN_MEMORY, dir=str(spool.folder)) as file,
    ):
        known = _write_hashes(spool, entries, file)
        repeated = _repeated(file, known)
    without_id = received - known
    if repeated.is_empty():
        return DuplicateSurvey(received, without_id, 0, {})
    return _compare(_copies(spool, fields, repeated), received, without_id)


def _write_hashes(spool: Spool, entries: Sequence[PageEntry], file: IO[bytes]) -> int:
    known = 0
    for at in range(0, len(entries), _PAGES_AT_ONCE):
        hashes = array("Q", _hashes(spool, entries[at : at + _PAGES_AT_ONCE]).to_list())
        file.write(hashes.tobytes())
        known += len(hashes)
    return known


def _repeated(file: IO[bytes], known: int) -> pl.Series:
    """The hashes that occur more than once, found in one slice of all possible ones after another."""
    slices = known // _HASHES_AT_ONCE + 1
    found = [pl.Series("hash", [], dtype=pl.UInt64)]
    for number in range(slices):
        kept = [hashes.filter(hashes % slices == number) for hashes in _stored_hashes(file)]
        of_slice = pl.concat(kept) if kept else found[0]
        found.append(of_slice.filter(of_slice.is_duplicated()).unique())
    return pl.concat(found)


def _stored_hashes(file: IO[bytes]) -> Iterator[pl.Series]:
    file.seek(0)
    while data := file.read(_READ_BYTES):
        yield pl.Series("hash", memoryview(data).cast("Q"), dtype=pl.UInt64)


def _compare(
    copies: Iterator[tuple[tuple[str | None, str], _Copy]], received: int, without_id: int
) -> DuplicateSurvey:
    groups: dict[tuple[str | None, str], list[_Copy]] = {}
    for identity, copy in copies:
        groups.setdefault(identity, []).append(copy)
    left_out: dict[int, list[int]] = {}
    changed: list[ChangedDuplicate] = []
    for group in groups.values():
        kept = _newest(group)
        for copy in group:
            if copy is kept:
                continue
            left_out.setdefault(copy.page, []).append(copy.row)
            if copy.content != kept.content:
                by_time = is_later(kept.updated, copy.updated) is True
                changed.append(ChangedDuplicate(copy.page, copy.row, kept.page, kept.row, by_time))
    duplicates = sum(len(group) - 1 for group in groups.values())
    return DuplicateSurvey(received, without_id, duplicates, left_out, changed)


def _newest(group: Sequence[_Copy]) -> _Copy:
    """The copy that none is newer than; of several such the one in the last place."""
    candidates: list[_Copy] = []
    for copy in group:
        if any(is_later(other.updated, copy.updated) for other in candidates):
            continue
        # What says the same, or no time at all, is told apart by nothing but its place.
        candidates = [other for other in candidates if not _gives_way(other, copy)]
        candidates.append(copy)
    return candidates[-1]


def _gives_way(other: _Copy, copy: _Copy) -> bool:
    neither_is_a_time = not (read_moments(other.updated) or read_moments(copy.updated))
    is_same = other.updated == copy.updated or neither_is_a_time
    return is_same or is_later(copy.updated, other.updated) is True


def _hashes(spool: Spool, entries: Sequence[PageEntry]) -> pl.Series:
    sources, ids = list[str | None](), list[str | None]()
    for entry in entries:
        more_sources, more_ids = spool.identities(entry)
        sources += more_sources
        ids += more_ids
    frame = pl.DataFrame(
        {"_source": sources, "_id": ids}, schema={"_source": pl.String, "_id": pl.String}
    )
    return frame.filter(pl.col("_id").is_not_null()).select(_identity_hash()).to_series()


def _identity_hash() -> pl.Expr:
    # Used within one process only; equal hashes are compared by their texts.
    return pl.struct("_source", "_id").hash().alias("hash")


def _copies(
    spool: Spool, fields: IdentityFields, repeated: pl.Series
) -> Iterator[tuple[tuple[str | None, str], _Copy]]:
    for entry in spool.filled():
        sources, ids = spool.identities(entry)
        frame = pl.DataFrame(
            {"_source": sources, "_id": ids}, schema={"_source": pl.String, "_id": pl.String}
        )
        is_repeated = pl.col("_id").is_not_null() & _identity_hash().is_in(repeated.implode())
        rows = frame.select(is_repeated.arg_true()).to_series().to_list()
        if not rows:
            continue
        copies = spool.read(entry).rows(rows)
        moments = map(_moment_of, pick_fields(copies.items, fields.updated).iter_rows())
        for row, source, id_, item, moment in zip(
            rows, copies.sources, copies.ids, copies.items, moments, strict=True
        ):
            if id_ is not None:
                yield (source, id_), _Copy(moment, entry.number, row, sha256_bytes(item))


def _moment_of(texts: Sequence[str | None]) -> str:
    """The first of a record's times that can be read; else the first text there is."""
    filled = [text for text in texts if text]
    return next(filter(read_moments, filled), filled[0] if filled else "")
