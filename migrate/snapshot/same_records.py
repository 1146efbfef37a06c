"""Which of the stored records are the same, and which one of them stays; and what only earlier readings have.

Pages set aside hold every record that was received. Most of them came again, byte for byte, and are not wanted any
more; what is left is little, unless the whole list has moved: records that the last reading did not deliver, or
delivered in another version.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    # In slices by their value: so equal ones meet, and no more than a slice is ever in memory.
    slices = known // _HASHES_AT_ONCE + 1
    nothing = pl.Series("hash", [], dtype=pl.UInt64)
    repeated = [nothing]
    for number in range(slices):
        of_slice = [hashes.filter(hashes % slices == number) for hashes in _stored_hashes(file)]
        together = pl.concat([nothing, *of_slice])
        repeated.append(together.filter(together.is_duplicated()).unique())
    return pl.concat(repeated)


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
    duplicates = 0
    for group in groups.values():
        kept = _newest(group)
        duplicates += len(group) - 1
        for copy in group:
            if copy is kept:
                continue
            left_out.setdefault(copy.page, []).append(copy.row)
            # A copy of the same bytes is no loss, and nobody has to look at it.
            if copy.content != kept.content:
                by_time = is_later(kept.updated, copy.updated) is True
                changed.append(ChangedDuplicate(copy.page, copy.row, kept.page, kept.row, by_time))
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
    named = _names_frame(sources, ids).filter(pl.col("_id").is_not_null())
    return named.select(_identity_hash()).to_series()


def _identity_hash() -> pl.Expr:
    # Used within one process only; equal hashes are compared by their texts.
    return pl.struct("_source", "_id").hash().alias("hash")


def _copies(
    spool: Spool, fields: IdentityFields, repeated: pl.Series
) -> Iterator[tuple[tuple[str | None, str], _Copy]]:
    """The records with a repeated identity, page by page; of the others nothing is read but their names."""
    is_repeated = pl.col("_id").is_not_null() & _identity_hash().is_in(repeated.implode())
    for entry in spool.filled():
        names = _names_frame(*spool.identities(entry))
        rows = names.select(is_repeated.arg_true()).to_series().to_list()
        if not rows:
            continue
        copies = spool.read(entry).rows(rows)
        moments = map(_moment_of, pick_fields(copies.items, fields.updated).iter_rows())
        records = zip(rows, copies.sources, copies.ids, copies.items, moments, strict=True)
        for row, source, id_, item, moment in records:
            if id_ is not None:
                yield (source, id_), _Copy(moment, entry.number, row, sha256_bytes(item))


def _names_frame(sources: list[str | None], ids: list[str | None]) -> pl.DataFrame:
    schema = {"_source": pl.String, "_id": pl.String}
    return pl.DataFrame({"_source": sources, "_id": ids}, schema=schema)


def _moment_of(texts: Sequence[str | None]) -> str:
    """The first of a record's times that can be read; else the first text there is."""
    filled = [text for text in texts if text]
    for text in filled:
        if read_moments(text):
            return text
    return filled[0] if filled else ""


_HASHES = {"identity": pl.UInt64, "content": pl.UInt64, "entry": pl.Int32, "row": pl.Int32}
Identity = tuple[str | None, str]


@dataclass(frozen=True)
class StoredRow:
    """A record in the spool: the number of its entry and its row there."""

    entry: int
    row: int


@dataclass(frozen=True)
class Stray:
    """A record of an earlier reading, in the newest version that any of them delivered."""

    at: StoredRow
    source: str | None
    id: str | None
    updated: str | None


@dataclass(frozen=True)
class Strays:
    """What the last reading lacks.

    `missing`: records that it did not deliver. `nameless`: the same of records without an id, which
    cannot be told from older versions of others. `newer`: versions that say of themselves to be
    newer than the one delivered last, with the place of that one. `unknown_before`: records that
    only the last reading delivered.
    """

    missing: Sequence[Stray] = ()
    nameless: Sequence[Stray] = ()
    newer: Sequence[tuple[Stray, StoredRow]] = ()
    unknown_before: int = 0


def find_strays(spool: Spool, fields: IdentityFields, first_page: int) -> Strays:
    """What the pages set aside hold beyond the pages that count, of which those from `first_page` on were read last.

    **Guarantees**: some 50 bytes of memory for each record of a page set aside that did not come
    again as the same page, and nothing where all did.
    """
    # A page that came again byte for byte holds nothing that is not there: told by its file alone.
    files_now = {entry.file for entry in spool.filled()}
    aside = [entry for entry in spool.aside if entry.file not in files_now]
    if not aside:
        return Strays()
    same_pages = {entry.file for entry in spool.aside} & files_now
    rows = pl.concat([pl.DataFrame(schema=_HASHES), *_hashed(spool, aside)])
    rows = rows.unique("content", keep="last", maintain_order=True)
    contents = _Known(rows["content"])
    identities = _Known(rows["identity"])
    unknown = 0
    entries = spool.filled()
    for entry, now in zip(entries, _hashed(spool, entries), strict=True):
        contents.see(now["content"])
        known = identities.see(now["identity"])
        is_read_last = entry.number >= first_page and entry.file not in same_pages
        if is_read_last:
            unknown += now.height - known
    lacking = rows.filter(~contents.seen())
    is_delivered = pl.col("identity").is_in(identities.seen_values().implode())
    missing = _newest_strays(spool, fields, lacking.filter(~is_delivered))
    other_versions = _newest_strays(spool, fields, lacking.filter(is_delivered))
    return Strays(
        missing=[stray for stray in missing if stray.id is not None],
        nameless=[stray for stray in missing if stray.id is None],
        newer=_newer_than_delivered(spool, fields, other_versions),
        unknown_before=unknown,
    )


def keep_strays(spool: Spool, kept: Iterable[Stray]) -> Mapping[int, list[int]]:
    """Lets go of all pages set aside but for these records: the rows to leave out, by entry."""
    wanted: dict[int, set[int]] = {}
    for stray in kept:
        wanted.setdefault(stray.at.entry, set()).add(stray.at.row)
    entries = [entry for entry in spool.aside if entry.number in wanted]
    spool.keep_aside(entries)
    return {
        entry.number: sorted(set(range(entry.rows)) - wanted[entry.number]) for entry in entries
    }


def read_rows(spool: Spool, places: Sequence[StoredRow]) -> pl.DataFrame:
    """These records: `_source`, `_id`, `_page`, `_raw`, in the order of their entries."""
    rows: dict[int, list[int]] = {}
    for place in places:
        rows.setdefault(place.entry, []).append(place.row)
    by_number = {entry.number: entry for entry in spool.stored()}
    frames = [spool.read(by_number[number]).rows(rows[number]).frame() for number in sorted(rows)]
    return pl.concat(frames) if frames else pl.DataFrame()


class _Known:
    """Hashes, and which of them were seen. Sorted: a table of them would be built anew for every page."""

    def __init__(self, hashes: pl.Series) -> None:
        self._hashes = hashes
        self._sorted = hashes.unique().sort()
        self._hits: list[pl.Series] = [pl.Series("at", [], dtype=pl.UInt32)]

    def see(self, values: pl.Series) -> int:
        """Notes that these were seen; how many of them are known."""
        if self._sorted.is_empty():
            return 0
        at = self._sorted.search_sorted(values).clip(0, len(self._sorted) - 1).cast(pl.UInt32)
        hits = at.filter(self._sorted[at] == values)
        self._hits.append(hits.unique())
        return len(hits)

    def seen_values(self) -> pl.Series:
        """Those that were seen."""
        return self._sorted[pl.concat(self._hits).unique()]

    def seen(self) -> pl.Series:
        """For each hash in the order given, whether it was seen."""
        return self._hashes.is_in(self.seen_values().implode())


def _hashed(spool: Spool, entries: Iterable[PageEntry]) -> Iterator[pl.DataFrame]:
    """A frame for each entry: the hashes of its records' identities and contents, and where they are."""
    # Used within one process only: polars promises the same hash for no longer.
    content = pl.struct("_source", "_id", "_raw").hash(1)
    identity = pl.when(pl.col("_id").is_null()).then(content).otherwise(_identity_hash())
    for entry in entries:
        frame = spool.read(entry).frame()
        yield frame.select(
            identity.alias("identity"),
            content.alias("content"),
            pl.lit(entry.number, pl.Int32).alias("entry"),
            pl.int_range(frame.height, dtype=pl.Int32).alias("row"),
        )


def _newest_strays(spool: Spool, fields: IdentityFields, rows: pl.DataFrame) -> list[Stray]:
    """One stray for each identity in these rows, and one for each record without an id."""
    newest: dict[Identity, Stray] = {}
    nameless: list[Stray] = []
    for stray in _strays(spool, fields, rows):
        if stray.id is None:
            nameless.append(stray)
            continue
        identity = (stray.source, stray.id)
        best = newest.get(identity)
        # Where it cannot be told, the later reading counts, and later ones come later here.
        if best is None or is_later(best.updated, stray.updated) is not True:
            newest[identity] = stray
    return [*newest.values(), *nameless]


def _strays(spool: Spool, fields: IdentityFields, rows: pl.DataFrame) -> Iterator[Stray]:
    chosen = dict(rows.group_by("entry").agg("row").iter_rows())
    for entry in spool.aside:
        if entry.number in chosen:
            yield from _read_strays(spool, fields, entry, sorted(chosen[entry.number]))


def _read_strays(
    spool: Spool, fields: IdentityFields, entry: PageEntry, rows: list[int]
) -> Iterator[Stray]:
    records = spool.read(entry).rows(rows)
    moments = moments_of(records.items, fields)
    for row, source, id_, updated in zip(rows, records.sources, records.ids, moments, strict=True):
        yield Stray(StoredRow(entry.number, row), source, id_, updated)


def moments_of(items: Sequence[bytes], fields: IdentityFields) -> list[str | None]:
    """When each record was updated, as it says."""
    return pick_fields(items, fields.updated).select(pl.coalesce(pl.all())).to_series().to_list()


def _newer_than_delivered(
    spool: Spool, fields: IdentityFields, others: Sequence[Stray]
) -> list[tuple[Stray, StoredRow]]:
    """Of other versions of delivered records, those that are newer, with where the delivered ones are."""
    wanted = {(stray.source, stray.id): stray for stray in others}
    newer: list[tuple[Stray, StoredRow]] = []
    for entry in spool.filled() if wanted else ():
        names = zip(*spool.identities(entry), strict=True)
        rows = [row for row, name in enumerate(names) if name in wanted]
        for delivered in _read_strays(spool, fields, entry, rows) if rows else ():
            stray = wanted[delivered.source, delivered.id]
            if is_later(stray.updated, delivered.updated):
                newer.append((stray, delivered.at))
    return newer
