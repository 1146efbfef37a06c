"""Pages and records saved earlier, as JSON or NDJSON files: another door to the same snapshot.

A file belongs to the resource its name, or its folder's, begins with: `profiles-1.json.gz`,
`sales/page-7.ndjson.zst`. It holds list answers as the API sent them, records, arrays of either, or
any of these a line. What is neither record nor list answer is refused by name: as a record without
identity it would be counted, planned and rejected as if the source had sent it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from migrate.errors import Damaged, UsageError
from migrate.net.retry import TransientError
from migrate.snapshot.layout import joined
from migrate.snapshot.literals import members_of
from migrate.snapshot.records import pick_fields
from migrate.source.page import PAGE_TOTALS, RECORD_TOTALS, Page, read_page, split_items
from migrate.source.resources import RESOURCES, Resource
from migrate.source.saved_values import SavedValue, damaged, read_values

_KINDS = (".json", ".ndjson", ".jsonl")
_PACKED = ("", ".gz", ".zst")
_LINE_KINDS = (".ndjson", ".jsonl")
_DATA_ENDINGS = tuple(map("".join, product(_KINDS, _PACKED)))
_LINE_ENDINGS = tuple(map("".join, product(_LINE_KINDS, _PACKED)))
_TOTALS = frozenset((*RECORD_TOTALS, *PAGE_TOTALS))
_ENVELOPE = _TOTALS | {
    "items", "size", "page", "limit", "count", "total", "pages", "offset", "sort", "order", "error",
    "status", "success", "message", "took", "links", "_links", "next", "previous", "first", "last",
    "has_more", "hasMore",
}  # fmt: skip
_EMPTY = (b"", b"null", b"[]", b"{}")


@dataclass(frozen=True)
class SavedAnswer:
    """What a list answer among the files says of the whole list; None where it says nothing."""

    announced_records: int | None
    announced_pages: int | None
    page: int | None
    rows: int


@dataclass
class SavedFileTally:
    """What was read of one file, counted while it is read. `loose`: records outside of answers."""

    name: str
    records: int = 0
    loose: int = 0
    answers: list[SavedAnswer] = field(default_factory=list)


@dataclass(frozen=True)
class _Piece:
    """Some records, and the list answer they came in, if it was one."""

    items: tuple[bytes, ...]
    answer: SavedAnswer | None = None


def find_files(
    folder: Path, wanted: Sequence[Resource], named: Sequence[str]
) -> dict[str, list[Path]]:
    """The files of each wanted resource, in order of their names. `named`: those asked for by name.

    Where exactly one is, files that name no resource are taken for its.

    **Raises**: UsageError where the folder does not exist, holds nothing of use, or a file fits no
    resource.
    """
    if not folder.is_dir():
        raise UsageError(
            f"--from-files: there is no folder {folder}",
            hint="name the folder that holds the files",
        )
    files: dict[str, list[Path]] = {resource.name: [] for resource in wanted}
    strangers = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and _is_data(p)):
        name = _resource_of(path.relative_to(folder)) or (named[0] if len(named) == 1 else None)
        if name in files:
            files[name].append(path)
        elif name is None:
            strangers.append(path.relative_to(folder).as_posix())
    if strangers or not any(files.values()):
        if strangers:
            trouble = f"it is not clear what is in {joined(strangers)}"
        else:
            trouble = f"nothing of use in {folder}"
        raise UsageError(
            f"--from-files: {trouble}",
            hint=f"begin a file's or its folder's name with one of {', '.join(RESOURCES)}, or name "
            f"just one on the command line; files end in {', '.join(_KINDS)}, also with .gz or .zst",
        )
    return files


def _is_data(path: Path) -> bool:
    return path.name.lower().endswith(_DATA_ENDINGS)


def _resource_of(path: Path) -> str | None:
    # The file's own name before its folder's; of two names the longer, since one may begin the other.
    for part in reversed(path.parts):
        for name in sorted(RESOURCES, key=len, reverse=True):
            if part.lower().replace("-", "_").startswith(name):
                return name
    return None


@dataclass
class SavedPages:
    """The files of a resource on their way to pages; `files` says what each held, once it is read."""

    resource: Resource
    folder: Path
    paths: Sequence[Path]
    encoding: str | None = None
    files: list[SavedFileTally] = field(default_factory=list)

    def read(self, size: int) -> Iterator[Page]:
        """All records as pages of at most `size`, numbered from 1; no page has records of two files.

        **Raises**: Damaged, WorkspaceError naming the file, see `read_values`; Damaged where it
        holds something that is neither a record nor a list answer.
        """
        number = 0
        for path in self.paths:
            tally = SavedFileTally(path.relative_to(self.folder).as_posix())
            self.files.append(tally)
            for piece in _cut(self._pieces(path, tally), size):
                number += 1
                answer = piece.answer
                yield Page(number, piece.items, answer.announced_records if answer else None, None)

    def _pieces(self, path: Path, tally: SavedFileTally) -> Iterator[_Piece]:
        is_first = True
        for value in read_values(path, tally.name, self.encoding):
            for piece in _recognise(self.resource, value, tally.name, is_first=is_first):
                tally.records += len(piece.items)
                if piece.answer:
                    tally.answers.append(piece.answer)
                else:
                    tally.loose += len(piece.items)
                yield piece
            is_first = False
        # A list of no records is `[]`: nothing at all is a download that failed.
        if is_first and not _is_of_lines(path):
            raise damaged(tally.name, "it is empty")


def _is_of_lines(path: Path) -> bool:
    """Whether a file's name says that it has a record a line: then it may have none."""
    return path.name.lower().endswith(_LINE_ENDINGS)


def _cut(pieces: Iterator[_Piece], size: int) -> Iterator[_Piece]:
    """Pieces of at most `size` records: single records are put together, large answers cut."""
    waiting: list[bytes] = []
    for piece in pieces:
        if piece.answer is None and len(piece.items) == 1:
            waiting += piece.items
            if len(waiting) == size:
                yield _Piece(tuple(waiting))
                waiting = []
            continue
        if waiting:
            yield _Piece(tuple(waiting))
            waiting = []
        for at in range(0, len(piece.items), size):
            yield _Piece(piece.items[at : at + size], piece.answer)
    if waiting:
        yield _Piece(tuple(waiting))


def _recognise(
    resource: Resource, value: SavedValue, name: str, *, is_first: bool
) -> Iterator[_Piece]:
    """The records in one value of a file."""
    if value.text[:1] == b"[":
        yield from _array(resource, value, name)
        return
    members = members_of(value.text)
    if members is not None and _is_answer(resource, value.text, members):
        yield _answer(value, name, members)
    elif members is not None and _is_record(resource, value.text, members, is_first=is_first):
        yield _Piece((value.text,))
    elif members is None and not is_first:
        yield _Piece((value.text,))  # among records it is a strange one, and counted as that
    else:
        raise _refused(resource, value, name)


def _array(resource: Resource, value: SavedValue, name: str) -> Iterator[_Piece]:
    try:
        items = split_items(value.text)
    except TransientError as error:
        raise damaged(name, f"{error.reason}{_place(value)}") from None
    objects = [item for item in items if item[:1] == b"{"]
    first = members_of(objects[0]) if objects else None
    if items and first is None:
        raise _refused(resource, value, name)
    if first is not None and _is_answer(resource, objects[0], first):
        for item in items:
            yield from _recognise(resource, SavedValue(item, value.line), name, is_first=True)
    elif first is not None and not _is_record(resource, objects[0], first, is_first=True):
        raise _refused(resource, value, name)
    elif items:
        yield _Piece(items)


def _is_answer(resource: Resource, text: bytes, members: Mapping[str, object]) -> bool:
    """Whether an object is a list answer, and no record with lines and totals of its own.

    A record says whose it is; an answer's records do, and the rest of an answer is known.
    """
    # A sale has `items`, too: its lines. Only what else stands beside them tells the two apart.
    items = bytes(members.get("items", b""))  # type: ignore[call-overload]  # what a Raw gives back
    announces = any(name in members for name in _TOTALS)
    if items[:1] not in (b"[", b"{") and not (announces and items in _EMPTY):
        return False
    if any(name in members for name in resource.fields.id):
        return False
    if _says_source(resource, text):
        return announces and _hold_identities(resource, items)
    return announces or members.keys() <= _ENVELOPE or _hold_identities(resource, items)


def _hold_identities(resource: Resource, items: bytes) -> bool:
    """Whether the elements of an answer's `items` are records of the resource."""
    try:
        elements = split_items(items)
    except TransientError:
        return False
    if not elements:
        return False
    members = members_of(elements[0]) or {}
    return any(name in members for name in resource.fields.id)


def _is_record(
    resource: Resource, text: bytes, members: Mapping[str, object], *, is_first: bool
) -> bool:
    """Whether an object is a record: it says whose it is, or stands among records and is no error."""
    if any(name in members for name in resource.fields.id) or _says_source(resource, text):
        return True
    return not is_first and "error" not in members and not members.keys() <= _ENVELOPE


def _says_source(resource: Resource, text: bytes) -> bool:
    values = pick_fields([text], resource.fields.source).row(0)
    return any(value for value in values)


def _answer(value: SavedValue, name: str, members: Mapping[str, object]) -> _Piece:
    try:
        page = read_page(0, value.text)
    except TransientError as error:
        raise damaged(name, f"{error.reason}{_place(value)}") from None
    # Some servers write numbers as texts.
    number = bytes(members.get("page", b"")).strip(b'" ')  # type: ignore[call-overload]  # a Raw
    answer = SavedAnswer(
        announced_records=page.announced_records,
        announced_pages=page.announced_pages,
        page=int(number) if number.isdigit() else None,
        rows=len(page.items),
    )
    return _Piece(page.items, answer)


def _place(value: SavedValue) -> str:
    return f", line {value.line}" if value.line else ""


def _refused(resource: Resource, value: SavedValue, name: str) -> Damaged:
    where = f"line {value.line} is" if value.line else "it is"
    ids = " or ".join(resource.fields.id)
    return Damaged(
        f"--from-files: {name}: {where} neither a list answer nor a record of {resource.name}",
        hint=f"a record has {ids}, or its source; a list answer has `items`. Move what is something "
        "else out of the folder",
    )
