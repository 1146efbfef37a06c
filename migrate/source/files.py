"""Pages and records saved earlier, as JSON or NDJSON files, plain or packed: another door to the same snapshot.

A file belongs to the resource its name, or its folder's, begins with: `profiles-1.json.gz`, `sales/page-7.ndjson.zst`.
It holds list answers as the API sent them, arrays of records, or one record or answer a line.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import msgspec
import zstandard

from migrate.errors import Damaged, UsageError, WorkspaceError
from migrate.net.retry import TransientError
from migrate.snapshot import scan
from migrate.snapshot.layout import joined
from migrate.source.envelope import Page, read_page
from migrate.source.resources import RESOURCES, Resource

if TYPE_CHECKING:
    from typing_extensions import Buffer

_KINDS = (".json", ".ndjson", ".jsonl")
_PACKED = ("", ".gz", ".zst")
_LARGEST_JSON_BYTES = 1 << 29
_CHUNK_BYTES = 1 << 17
_ANSWERS = (
    "total_elements",
    "totalElements",
    "total_items",
    "totalItems",
    "total_pages",
    "totalPages",
    "size",
)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True)
class Piece:
    """Some records of a file, and what the list answer they came in announced, if it was one."""

    items: tuple[bytes, ...]
    announced_records: int | None = None


def find_files(
    folder: Path, wanted: Sequence[Resource], named: Sequence[str]
) -> dict[str, list[Path]]:
    """The files of each wanted resource, in order of their names. `named` are the resources asked for by name.

    Where exactly one is, files that name no resource are taken for its.

    **Raises**: UsageError where the folder does not exist, holds nothing of use, or a file fits no resource.
    """
    if not folder.is_dir():
        raise UsageError(
            f"--from-files: there is no folder {folder}",
            hint="name the folder that holds the files",
        )
    found: dict[str, list[Path]] = {resource.name: [] for resource in wanted}
    strangers = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and _is_data(p)):
        name = _resource_of(path.relative_to(folder)) or (named[0] if len(named) == 1 else None)
        if name in found:
            found[name].append(path)
        elif name is None:
            strangers.append(path.relative_to(folder).as_posix())
    if strangers or not any(found.values()):
        trouble = (
            f"it is not clear what is in {joined(strangers)}"
            if strangers
            else f"nothing of use in {folder}"
        )
        raise UsageError(
            f"--from-files: {trouble}",
            hint=f"begin a file's or its folder's name with one of {', '.join(RESOURCES)}, or name just one on the "
            f"command line; files end in {', '.join(_KINDS)}, also with .gz or .zst",
        )
    return found


def _is_data(path: Path) -> bool:
    return any(path.name.lower().endswith(kind + packed) for kind in _KINDS for packed in _PACKED)


def _resource_of(path: Path) -> str | None:
    for part in reversed(path.parts):
        for name in sorted(RESOURCES, key=len, reverse=True):
            if part.lower().replace("-", "_").startswith(name):
                return name
    return None


def read_pages(resource: Resource, paths: Sequence[Path], size: int) -> Iterator[Page]:
    """All records of the files as pages of at most `size`, numbered from 1; one file never shares a page with another.

    **Raises**: Damaged naming the file where its packing or its JSON is broken.
    """
    number = 0
    for path in paths:
        for piece in _cut(_pieces(resource, path), size):
            number += 1
            yield Page(number, piece.items, piece.announced_records, None)


def _cut(pieces: Iterator[Piece], size: int) -> Iterator[Piece]:
    """Pieces of at most `size` records: small ones without totals are put together, large ones taken apart."""
    waiting: list[bytes] = []
    for piece in pieces:
        if piece.announced_records is None and len(piece.items) == 1:
            waiting += piece.items
            if len(waiting) == size:
                yield Piece(tuple(waiting))
                waiting = []
            continue
        for at in range(0, len(piece.items), size):
            yield Piece(piece.items[at : at + size], piece.announced_records)
    if waiting:
        yield Piece(tuple(waiting))


def _pieces(resource: Resource, path: Path) -> Iterator[Piece]:
    with _reading(path) as file:
        if path.name.lower().removesuffix(".gz").removesuffix(".zst").endswith(".json"):
            data = file.read(_LARGEST_JSON_BYTES + 1)
            if len(data) > _LARGEST_JSON_BYTES:
                raise WorkspaceError(
                    f"{path} is larger than {_LARGEST_JSON_BYTES:,} bytes, and JSON has to be read in one piece",
                    hint="make NDJSON of it, one record a line: jq -c '.[]' FILE > FILE.ndjson",
                )
            whole = _whole(resource, data, path)
            if whole is not None:
                yield whole
                return
            lines = iter(data.splitlines())
        else:
            lines = iter(file)
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _line(resource, line.strip(), path, number)


def _whole(resource: Resource, data: bytes, path: Path) -> Piece | None:
    """The piece that a whole file is; None where it is no one JSON value, and may be one a line."""
    text = data.removeprefix(b"\xef\xbb\xbf").strip()
    if text[:1] == b"[":
        return _answer(text, path, "")
    try:
        scan.split_object(text.decode())
    except (ValueError, UnicodeDecodeError):
        if text.count(b"\n") == 0:
            raise _damaged(path, "it is no whole JSON") from None
        return None
    return _line(resource, text, path, 0)


def _line(resource: Resource, text: bytes, path: Path, number: int) -> Piece:
    """A record, or a list answer: an object with `items` and a total, or with `items` alone."""
    where = f", line {number}" if number else ""
    try:
        members = _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        members = None
    if members is None and number and not _is_value(text):
        raise _damaged(path, f"line {number} is no whole JSON")
    if members is not None and _is_answer(resource, members):
        return _answer(text, path, where)
    return Piece((text,))


def _is_answer(resource: Resource, members: dict[str, msgspec.Raw]) -> bool:
    # A sale may have `items` and `total_items` of its own, but no list answer has an id.
    has_items = bytes(members.get("items", b""))[:1] == b"["
    return (
        has_items
        and any(name in members for name in _ANSWERS)
        and not any(n in members for n in resource.fields.id)
    )


def _is_value(text: bytes) -> bool:
    try:
        return len(scan.split_array(f"[{text.decode()}]")) == 1
    except (ValueError, UnicodeDecodeError):
        return False


def _answer(text: bytes, path: Path, where: str) -> Piece:
    try:
        page = read_page(0, text)
    except TransientError as error:
        raise _damaged(path, f"{error.reason}{where}") from None
    return Piece(page.items, page.announced_records)


def _damaged(path: Path, why: str) -> Damaged:
    return Damaged(
        f"--from-files: {path.name}: {why}",
        hint="the file was cut or changed; bring it back and try again",
    )


@contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
    try:
        with _opened(path) as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise _damaged(path, f"its packing is broken: {error}") from None
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be read: {error.strerror or error}") from None


def _opened(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if path.suffix.lower() == ".zst":
        return io.BufferedReader(_Unpacked(path))
    return path.open("rb")


class _Unpacked(io.RawIOBase):
    """A .zst file's content. The library's own reader takes a file that was cut for a whole one; this one does not."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._unpacker = zstandard.ZstdDecompressor().decompressobj()
        self._ready = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fills some of `buffer`. Raises EOFError where the file was cut."""
        while not self._ready:
            data = self._unpacker.unused_data if self._unpacker.eof else b""
            data = data or self._file.read(_CHUNK_BYTES)
            if not data:
                if not self._unpacker.eof:
                    raise EOFError("it ends too early")
                return 0
            if self._unpacker.eof:
                self._unpacker = zstandard.ZstdDecompressor().decompressobj()
            self._ready = self._unpacker.decompress(data)
        with memoryview(buffer).cast("B") as target:
            count = min(len(target), len(self._ready))
            target[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()
