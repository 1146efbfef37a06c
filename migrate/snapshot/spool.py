"""Pages of one resource on their way to parts: a file per page and a journal that says which of them count.

A page counts when its line is in the journal and its file has the hash of that line; whatever a crash left half-done
fails one of the two and is fetched again. So nothing here waits for the disk to confirm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import zstandard

from migrate.snapshot.layout import disk_errors
from migrate.snapshot.records import Identified
from migrate.workspace import sha256_bytes

_JOURNAL = "journal.jsonl"
_LENGTH_BYTES = 8
_NAMES = msgspec.msgpack.Decoder(tuple[list[str | None], list[str | None]])
_ITEMS = msgspec.msgpack.Decoder(list[bytes])


@dataclass(frozen=True)
class Unread:
    """A record that the service could not deliver: its place in the whole list, counted from 1, and what it said."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A page as the journal records it. `bytes` is the size of its records as sent; `file` is "" for an empty page."""

    number: int
    rows: int
    bytes: int
    identities_sha256: str
    file: str
    file_sha256: str
    announced_records: int | None = None
    announced_pages: int | None = None
    unread: tuple[Unread, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether there is anything on the page."""
        return bool(self.rows or self.unread)


@dataclass(frozen=True)
class _Line:
    page: PageEntry | None = None
    forget_from: int | None = None
    stage: str | None = None


class Spool:
    """The unfinished pages of a resource. `write` may be called from any thread, the rest from one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pages_folder = folder / "pages"
        self._journal = folder / _JOURNAL
        self.pages: dict[int, PageEntry] = {}
        self.stage: str | None = None

    def open(self) -> None:
        """Reads what an earlier run left, and removes what does not count: page files, and parts half written."""
        with disk_errors(self.folder):
            self._pages_folder.mkdir(parents=True, exist_ok=True)
            stored = journaled_pages(self.folder).items()
            self.pages = {number: entry for number, entry in stored if self._is_whole(entry)}
            stages = [line.stage for line in _lines(self._journal) if line.stage is not None]
            self.stage = stages[-1] if stages else None
            named = {page.file for page in self.pages.values()}
            for path in (*self._pages_folder.iterdir(), *self.folder.glob(".part-*.tmp")):
                if path.name not in named:
                    path.unlink()

    def write(self, records: Identified, entry: PageEntry) -> PageEntry:
        """Writes the page's file and returns the entry with its name and hash; it does not count before `record`."""
        if not entry.rows:
            return entry
        data = _pack(records)
        digest = sha256_bytes(data)
        name = f"{entry.number:08d}-{digest[:16]}.page"
        path = self._pages_folder / name
        with disk_errors(path, len(data)):
            path.write_bytes(data)  # in place: half a file fails the hash that the journal has
        return replace(entry, file=name, file_sha256=digest)

    def record(self, entry: PageEntry) -> None:
        """From now on the page counts, instead of what counted for its number before."""
        self._append(_Line(page=entry))
        before = self.pages.pop(entry.number, None)
        if before is not None and before.file != entry.file:
            self.discard(before)
        if entry.counts:
            self.pages[entry.number] = entry

    def forget(self, first: int) -> None:
        """Pages from `first` on count no more, since they are about to be read again."""
        self._append(_Line(forget_from=first))
        for number in [number for number in self.pages if number >= first]:
            self.discard(self.pages.pop(number))

    def enter(self, stage: str) -> None:
        """Records how far the work on this resource is, for a later run."""
        self._append(_Line(stage=stage))
        self.stage = stage

    def discard(self, entry: PageEntry) -> None:
        """Removes the file of an entry that does not count, unless the page that counts has the very same content."""
        counts = self.pages.get(entry.number)
        if entry.file and not (counts and counts.file == entry.file):
            (self._pages_folder / entry.file).unlink(missing_ok=True)

    def path_of(self, entry: PageEntry) -> Path:
        """The file of a page that counts."""
        return self._pages_folder / entry.file

    def read(self, entry: PageEntry) -> Identified:
        """The page's records."""
        sources, ids = self.identities(entry)
        items = _ITEMS.decode(_unpack(self._bytes_of(entry)[1]))
        return Identified([entry.number] * entry.rows, sources, ids, items)

    def identities(self, entry: PageEntry) -> tuple[list[str | None], list[str | None]]:
        """The sources and the ids of the page's records."""
        return _NAMES.decode(_unpack(self._bytes_of(entry)[0]))

    def _bytes_of(self, entry: PageEntry) -> tuple[bytes, bytes]:
        with disk_errors(self.path_of(entry), act="read"):
            data = self.path_of(entry).read_bytes()
        end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "big")
        return data[_LENGTH_BYTES:end], data[end:]

    def entries(self) -> list[PageEntry]:
        """The pages that count, in page order."""
        return [self.pages[number] for number in sorted(self.pages)]

    def filled(self) -> list[PageEntry]:
        """The pages that have records, in page order."""
        return [entry for entry in self.entries() if entry.rows]

    def remove(self) -> None:
        """Removes journal and pages; the parts hold everything by now."""
        with disk_errors(self.folder):
            self._journal.unlink(missing_ok=True)
            if self._pages_folder.is_dir():
                for path in self._pages_folder.iterdir():
                    path.unlink()
                self._pages_folder.rmdir()

    def _is_whole(self, entry: PageEntry) -> bool:
        if not entry.rows:
            return True
        try:
            return sha256_bytes(self.path_of(entry).read_bytes()) == entry.file_sha256
        except FileNotFoundError:
            return False

    def _append(self, line: _Line) -> None:
        # A line begins with its line end, so that half a line left by a crash cannot swallow it.
        data = b"\n" + msgspec.json.encode(line)
        with disk_errors(self._journal, len(data)), self._journal.open("ab") as file:
            file.write(data)


def _pack(records: Identified) -> bytes:
    """Identities and records, packed apart, since the first are wanted alone."""
    packer = zstandard.ZstdCompressor(level=1)
    names = packer.compress(msgspec.msgpack.encode((records.sources, records.ids)))
    return (
        len(names).to_bytes(_LENGTH_BYTES, "big")
        + names
        + packer.compress(msgspec.msgpack.encode(records.items))
    )


def _unpack(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(data)


def journaled_pages(folder: Path) -> dict[int, PageEntry]:
    """The pages that the journal in `folder` names, by number and in order; their files are not looked at."""
    pages: dict[int, PageEntry] = {}
    for line in _lines(folder / _JOURNAL):
        if line.forget_from is not None:
            pages = {number: page for number, page in pages.items() if number < line.forget_from}
        if line.page is not None:
            pages[line.page.number] = line.page
    return {number: page for number, page in sorted(pages.items()) if page.counts}


def _lines(journal: Path) -> Iterator[_Line]:
    if not journal.exists():
        return
    for line in journal.read_bytes().split(b"\n"):
        try:
            yield msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError:
            continue  # half a line from a crash; its page is fetched again
