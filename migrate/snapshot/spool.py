"""Pages of one resource on their way to parts: a file per page and a journal that says which of them count.

A page counts when its line is in the journal and its file has the hash of that line; whatever a crash left half-done
fails one of the two and is fetched again. So nothing here waits for the disk to confirm.

What was received is never thrown away. A page that is read again is *set aside*: it stands for no place of the list any
more, but its records stay at hand until the snapshot is sealed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from migrate.snapshot.layout import UNREAD, disk_errors
from migrate.snapshot.records import PAGE, Identified, pack_page, unpack_items, unpack_names
from migrate.workspace import sha256_bytes

_JOURNAL = "journal.jsonl"
_DAMAGED = ".damaged"
_DAMAGED_RECORDS = msgspec.msgpack.Decoder(list[bytes])


@dataclass(frozen=True)
class Unread:
    """A record that could not be read: its place in the whole list, counted from 1, and why.

    `file`: the bytes that came in its place, by their name in the snapshot's folder; "" where none came.
    """

    position: int
    reason: str
    file: str = ""


@dataclass(frozen=True)
class NoAnswerFrom:
    """The place, counted from 1, behind which an earlier run got no answer at all, and what was said instead."""

    position: int
    reason: str


@dataclass(frozen=True)
class AskedAs:
    """How pages were asked for: the field they are sorted by, and how many records each."""

    sort: str
    limit: int


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A page as the journal records it. `bytes` is the size of its records as sent; `file` is "" for an empty page.

    `damaged`: the rows that hold U+FFFD where bytes were no UTF-8. `in_pieces`: it did not come in one answer, so its
    size says nothing of the service's. A page set aside has a negative number, and in `origin` the one it came under;
    0 for records that came alone.
    """

    number: int
    rows: int
    bytes: int
    identities_sha256: str
    file: str
    file_sha256: str
    announced_records: int | None = None
    announced_pages: int | None = None
    unread: tuple[Unread, ...] = ()
    damaged: tuple[int, ...] = ()
    in_pieces: bool = False
    origin: int = 0

    @property
    def page(self) -> int:
        """What `_page` says of its records."""
        return self.number if self.number > 0 else self.origin

    @property
    def places(self) -> int:
        """The places of the list that the page stands for."""
        return self.rows + len(self.unread)

    @property
    def counts(self) -> bool:
        """Whether there is anything on the page."""
        return bool(self.rows or self.unread)


@dataclass(frozen=True)
class _Line:
    page: PageEntry | None = None
    forget_from: int | None = None
    stage: str | None = None
    set_aside_from: int | None = None
    aside: PageEntry | None = None
    page_places: int | None = None
    asked_as: AskedAs | None = None
    no_answer_from: NoAnswerFrom | None = None


@dataclass
class _State:
    """What the lines of a journal come to, one after another."""

    pages: dict[int, PageEntry] = field(default_factory=dict)
    aside: list[PageEntry] = field(default_factory=list)
    stage: str | None = None
    page_places: int | None = None
    asked_as: AskedAs | None = None
    no_answer_from: NoAnswerFrom | None = None
    put_aside_so_far: int = 0

    def take(self, line: _Line) -> None:
        """Follows one line."""
        if line.forget_from is not None:
            self.pages = {
                number: page for number, page in self.pages.items() if number < line.forget_from
            }
        if line.set_aside_from is not None:
            for number in sorted(number for number in self.pages if number >= line.set_aside_from):
                self.put_aside(self.pages.pop(number))
        if line.aside is not None:
            self.put_aside(line.aside)
        if line.page is not None:
            self._count(line.page)
        if line.stage is not None:
            self.stage = line.stage
        if line.page_places is not None:
            self.page_places = line.page_places or None
        # Said once and never taken back: pages of two orders would not be one list.
        self.asked_as = line.asked_as or self.asked_as
        if line.no_answer_from is not None:
            self.no_answer_from = line.no_answer_from

    def _count(self, entry: PageEntry) -> None:
        before = self.pages.pop(entry.number, None)
        if before is not None and before.file != entry.file:
            self.put_aside(before)
        if entry.counts:
            self.pages[entry.number] = entry

    def put_aside(self, entry: PageEntry) -> None:
        """Keeps an entry's records at hand, though it counts for no page."""
        if entry.rows:
            self.put_aside_so_far += 1
            self.aside.append(replace(entry, number=-self.put_aside_so_far, origin=entry.page))


class Spool:
    """The unfinished pages of a resource. `write` and `keep_bytes` may be called from any thread, the rest from one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pages_folder = folder / "pages"
        self._journal = folder / _JOURNAL
        self._state = _State()

    @property
    def pages(self) -> dict[int, PageEntry]:
        """The pages that count, by number."""
        return self._state.pages

    @property
    def stage(self) -> str | None:
        """How far the work is, as `enter` recorded it."""
        return self._state.stage

    @property
    def page_places(self) -> int | None:
        """How many places a page of the service has, where that was found to be fewer than asked for."""
        return self._state.page_places

    @property
    def asked_as(self) -> AskedAs | None:
        """How the pages that count were asked for, where that is not as usual."""
        return self._state.asked_as

    @property
    def no_answer_from(self) -> NoAnswerFrom | None:
        """Where an earlier run had to stop, if one had."""
        return self._state.no_answer_from

    def open(self) -> None:
        """Reads what an earlier run left, and removes what does not count: page files, and parts half written."""
        with disk_errors(self.folder):
            self._pages_folder.mkdir(parents=True, exist_ok=True)
            self._state = _replay(self._journal)
            self._state.pages = {
                number: entry for number, entry in self.pages.items() if self._is_whole(entry)
            }
            self._state.aside = [entry for entry in self._state.aside if self._is_whole(entry)]
            named = {entry.file for entry in (*self.pages.values(), *self._state.aside)}
            for path in (*self._pages_folder.iterdir(), *self.folder.glob(".part-*.tmp")):
                if path.name.removesuffix(_DAMAGED) not in named:
                    path.unlink()

    def write(
        self, records: Identified, entry: PageEntry, damaged: Sequence[bytes] = ()
    ) -> PageEntry:
        """Writes the page's file and returns the entry with its name and hash; it does not count before `record`.

        `damaged`: the records of `entry.damaged` as they were received.
        """
        if not entry.rows:
            return entry
        # The hash is in the name, so that a page which is read again never overwrites what it was.
        data = pack_page(records)
        digest = sha256_bytes(data)
        name = f"{entry.number:08d}-{digest[:16]}{PAGE}"
        path = self._pages_folder / name
        with disk_errors(path, len(data)):
            path.write_bytes(data)  # in place: half a file fails the hash that the journal has
        written = replace(entry, file=name, file_sha256=digest)
        if damaged:
            with disk_errors(self._damaged_path(written)):
                self._damaged_path(written).write_bytes(msgspec.msgpack.encode(list(damaged)))
        return written

    def record(self, entry: PageEntry) -> None:
        """From now on the page counts; what counted for its number before is set aside."""
        self._follow(_Line(page=entry))

    def forget(self, first: int) -> None:
        """Pages from `first` on count no more, and their records are not wanted either."""
        dropped = [page for number, page in self.pages.items() if number >= first]
        self._follow(_Line(forget_from=first))
        for entry in dropped:
            self.discard(entry)

    def set_aside(self, first: int) -> None:
        """Pages from `first` on are about to be read again; their records stay at hand."""
        self._follow(_Line(set_aside_from=first))

    def add_aside(self, entry: PageEntry) -> None:
        """Keeps the records of a written entry at hand, though it counts for no page."""
        if entry.rows:
            self._follow(_Line(aside=entry))

    def keep_aside(self, entries: Sequence[PageEntry]) -> None:
        """Only these of the pages set aside are wanted any longer, as long as this process lives."""
        dropped = {entry.file: entry for entry in self.aside}
        self._state.aside = list(entries)
        for entry in self.stored():
            dropped.pop(entry.file, None)
        for entry in dropped.values():
            self._unlink(entry)

    def enter(self, stage: str) -> None:
        """Records how far the work on this resource is, for a later run."""
        self._follow(_Line(stage=stage))

    def ask_as(self, asked_as: AskedAs) -> None:
        """Records that pages are asked for in another way from here on, when none counts."""
        self._follow(_Line(asked_as=asked_as))

    def note_page_places(self, places: int) -> None:
        """Records that a page of the service has so many places, for a later run; 0 where that is not known."""
        self._follow(_Line(page_places=places))

    def note_no_answer(self, where: NoAnswerFrom) -> None:
        """Records where this run has to stop, for a later one."""
        self._follow(_Line(no_answer_from=where))

    def keep_bytes(self, position: int, data: bytes) -> str:
        """Keeps what came in the place of a record that could not be read; its name in the snapshot's folder."""
        if not data:
            return ""
        name = f"{UNREAD}/{self.folder.name}-{position:08d}.bin"
        path = self.folder.parent / name
        with disk_errors(path, len(data)):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        return name

    def discard(self, entry: PageEntry) -> None:
        """Removes the file of an entry that is not wanted, unless another one has the very same content."""
        if entry.file and not any(entry.file == other.file for other in self._named_like(entry)):
            self._unlink(entry)

    def _unlink(self, entry: PageEntry) -> None:
        self.path_of(entry).unlink(missing_ok=True)
        self._damaged_path(entry).unlink(missing_ok=True)

    def _named_like(self, entry: PageEntry) -> Iterator[PageEntry]:
        counts = self.pages.get(entry.page)
        yield from (counts,) if counts is not None else ()
        yield from (other for other in self.aside if other.origin == entry.page)

    def path_of(self, entry: PageEntry) -> Path:
        """The file of a page that counts."""
        return self._pages_folder / entry.file

    def read(self, entry: PageEntry) -> Identified:
        """The page's records."""
        sources, ids = self.identities(entry)
        items = unpack_items(self._bytes_of(entry))
        return Identified([entry.page] * entry.rows, sources, ids, items)

    def damaged_bytes(self, entry: PageEntry) -> list[bytes]:
        """The damaged records of a page as they were received, in the order of `entry.damaged`."""
        if not entry.damaged:
            return []
        with disk_errors(self._damaged_path(entry), act="read"):
            return _DAMAGED_RECORDS.decode(self._damaged_path(entry).read_bytes())

    def identities(self, entry: PageEntry) -> tuple[list[str | None], list[str | None]]:
        """The sources and the ids of the page's records."""
        return unpack_names(self._bytes_of(entry))

    def _bytes_of(self, entry: PageEntry) -> bytes:
        with disk_errors(self.path_of(entry), act="read"):
            return self.path_of(entry).read_bytes()

    def _damaged_path(self, entry: PageEntry) -> Path:
        return self._pages_folder / f"{entry.file}{_DAMAGED}"

    @property
    def aside(self) -> Sequence[PageEntry]:
        """The pages set aside, in the order they were."""
        return self._state.aside

    def stored(self) -> list[PageEntry]:
        """The pages that have records, and then what was set aside of earlier readings and is still wanted."""
        return [*self.filled(), *self.aside]

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
            has_damaged_bytes = not entry.damaged or self._damaged_path(entry).is_file()
            return (
                has_damaged_bytes
                and sha256_bytes(self.path_of(entry).read_bytes()) == entry.file_sha256
            )
        except FileNotFoundError:
            return False

    def _follow(self, line: _Line) -> None:
        self._append(line)
        self._state.take(line)

    def _append(self, line: _Line) -> None:
        # A line begins with its line end, so that half a line left by a crash cannot swallow it.
        data = b"\n" + msgspec.json.encode(line)
        with disk_errors(self._journal, len(data)), self._journal.open("ab") as file:
            file.write(data)


def journaled_pages(folder: Path) -> dict[int, PageEntry]:
    """The pages that the journal in `folder` names, by number and in order; their files are not looked at."""
    return dict(sorted(_replay(folder / _JOURNAL).pages.items()))


def _replay(journal: Path) -> _State:
    state = _State()
    for line in _lines(journal):
        state.take(line)
    return state


def _lines(journal: Path) -> Iterator[_Line]:
    if not journal.exists():
        return
    for line in journal.read_bytes().split(b"\n"):
        try:
            yield msgspec.json.decode(line, type=_Line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # half a line from a crash; its page is fetched again
