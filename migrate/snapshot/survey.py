"""Which of the stored records are the same, and which one of them stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from migrate.snapshot.records import IdentityFields
from migrate.snapshot.spool import PageEntry, Spool
from migrate.workspace import sha256_bytes


@dataclass(frozen=True)
class Survey:
    """Counts over all pages that count, and the rows to leave out, as row numbers by page."""

    received: int
    without_id: int
    duplicates: int
    changed_duplicates: int
    left_out: Mapping[int, list[int]]

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


def survey(spool: Spool, fields: IdentityFields) -> Survey:
    """The stored pages' identities compared; of equal ones the newest by its `updated` text stays, else the last."""
    received = sum(entry.rows for entry in spool.pages.values())
    hashes = [_hashes(spool, entry) for entry in spool.entries()]
    known = pl.concat(hashes) if hashes else pl.Series("hash", [], dtype=pl.UInt64)
    repeated = known.filter(known.is_duplicated()).unique()
    without_id = received - len(known)
    if repeated.is_empty():
        return Survey(received, without_id, 0, 0, {})
    return _compare(_copies(spool, fields, repeated), received, without_id)


def _compare(copies: Iterator[tuple[tuple[str | None, str], _Copy]], received: int, without_id: int) -> Survey:
    stays: dict[tuple[str | None, str], _Copy] = {}
    left_out: dict[int, list[int]] = {}
    duplicates = changed = 0
    for identity, copy in copies:
        other = stays.get(identity)
        if other is None:
            stays[identity] = copy
            continue
        loser, stays[identity] = (other, copy) if copy.updated >= other.updated else (copy, other)
        left_out.setdefault(loser.page, []).append(loser.row)
        duplicates += 1
        changed += other.content != copy.content
    return Survey(received, without_id, duplicates, changed, left_out)


def _hashes(spool: Spool, entry: PageEntry) -> pl.Series:
    frame = spool.read(entry, ["_source", "_id"])
    return frame.filter(pl.col("_id").is_not_null()).select(_identity_hash()).to_series()


def _identity_hash() -> pl.Expr:
    # Used within one process only; equal hashes are compared by their texts.
    return pl.struct("_source", "_id").hash().alias("hash")


def _copies(
    spool: Spool, fields: IdentityFields, repeated: pl.Series
) -> Iterator[tuple[tuple[str | None, str], _Copy]]:
    for entry in spool.entries():
        names = spool.columns(entry)
        updated = [pl.col(name) for name in fields.updated if name in names]
        frame = (
            spool.read(entry)
            .with_row_index("row number")
            .filter(pl.col("_id").is_not_null())
            .filter(_identity_hash().is_in(repeated.implode()))
            .select("_source", "_id", "_raw", "row number", pl.coalesce(*updated, pl.lit("")).alias("updated"))
        )
        for source, id_, raw, row, moment in frame.iter_rows():
            yield (source, id_), _Copy(moment, entry.number, row, sha256_bytes(raw.encode()))
