"""The JSON values of a saved file, whatever it is packed with, encoded in and laid out like.

A file holds one value, over as many lines as it likes, or one a line. Which of the two follows from
its first line: one that is a whole value is followed by others, one that is not is where the one
value begins.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import msgspec
import zstandard

from migrate.errors import Damaged, UsageError, WorkspaceError
from migrate.snapshot.json_text import split_array

if TYPE_CHECKING:
    from typing_extensions import Buffer

# One value has to be held as a whole, several times over while it is read.
LARGEST_VALUE_BYTES = 1 << 29
_CHUNK_BYTES = 1 << 17
_WHOLE = msgspec.json.Decoder(msgspec.Raw)
# A value of a JSON text sequence (RFC 7464) has a record separator before it.
_BLANK = b" \t\r\n\x1e"
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MARK_BYTES = 4
# The first two characters of JSON are ASCII, so the zero bytes among the first four tell the rest.
# **Source**: RFC 4627, 3.
_ZEROS = {
    (True, True, True, False): "utf-32-be",
    (False, True, True, True): "utf-32-le",
    (True, False, True, False): "utf-16-be",
    (False, True, False, True): "utf-16-le",
}


@dataclass(frozen=True)
class SavedValue:
    """One JSON value as UTF-8. `line` is where it stands; 0 where it is all that the file holds."""

    text: bytes
    line: int


def check_encoding(name: str) -> None:
    """Raises UsageError where Python knows no text encoding of this name."""
    try:
        "".encode(name)
        is_text = codecs.lookup(name)._is_text_encoding
    except (LookupError, ValueError):
        is_text = False
    if not is_text:
        raise UsageError(
            f"--encoding: there is no encoding {name!r:.40}",
            hint="write one such as latin-1, cp1252, utf-16 or shift_jis",
        )


def read_values(path: Path, name: str, encoding: str | None) -> Iterator[SavedValue]:
    """The values of a file, which errors call `name`; none where it is empty.

    Text is UTF-8, or what a byte order mark or zero bytes say; lines that are no UTF-8 are read as
    `encoding`, where it is given.

    **Raises**: Damaged naming the file, and the line, where packing, encoding or JSON is broken;
    WorkspaceError where it cannot be read, or is one value too large to hold.
    """
    with _reading(path, name) as file:
        lines = _lines(file, name, encoding)
        number, first = next(lines, (0, b""))
        if not first:
            return
        if not is_value(first):
            yield _one_value(number, first, lines, name)
            return
        second = next(lines, None)
        yield SavedValue(first.strip(_BLANK), number if second else 0)
        for number, line in chain((second,), lines) if second else ():
            if not is_value(line):
                raise damaged(name, f"line {number} is no whole JSON")
            yield SavedValue(line.strip(_BLANK), number)


def is_value(text: bytes) -> bool:
    """Whether a text is one whole JSON value, as tolerantly as the API's answers are read."""
    try:
        _WHOLE.decode(text.strip(_BLANK))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    else:
        return True
    try:
        return len(split_array(f"[{text.strip(_BLANK).decode()}]")) == 1
    except (ValueError, UnicodeDecodeError):
        return False


def damaged(name: str, why: str) -> Damaged:
    """A file that cannot be taken for what it should be."""
    return Damaged(
        f"--from-files: {name}: {why}",
        hint="the file was cut or changed: bring it back, or move it out of the folder",
    )


def _one_value(
    number: int, first: bytes, lines: Iterator[tuple[int, bytes]], name: str
) -> SavedValue:
    """The value that all lines make together."""
    parts, size = [first], len(first)
    for _, line in lines:
        parts.append(line)
        size += len(line)
        _refuse_large(size, name)
    text = b"".join(parts).strip(_BLANK)
    if not is_value(text):
        if len(parts) > 1:
            where = f"line {number} is no whole JSON, nor is the file"
        else:
            where = ""
        raise damaged(name, where or "it is no whole JSON")
    return SavedValue(text, 0)


def _refuse_large(size: int, name: str) -> None:
    if size > LARGEST_VALUE_BYTES:
        raise WorkspaceError(
            f"--from-files: {name}: one value of more than {LARGEST_VALUE_BYTES:,} bytes, and JSON "
            "has to be read in one piece",
            hint="make NDJSON of it, one record a line: jq -c '.[]' FILE > FILE.ndjson",
        )


def _lines(file: IO[bytes], name: str, encoding: str | None) -> Iterator[tuple[int, bytes]]:
    """The lines with something on them as UTF-8, with their numbers; line ends are kept."""
    # Read and put back, since a packed file cannot be wound back to its beginning.
    peeked = file.read(_MARK_BYTES)
    other = _encoding_of(peeked) or (encoding if encoding and not _keeps_ascii(encoding) else None)
    whole = io.BufferedReader(_Rejoined(peeked, file))
    if other:
        lines = _transcoded(whole, name, other)
    else:
        lines = _utf8_lines(whole, name, encoding)
    number = 0
    for number, line in enumerate(lines, 1):
        # Not only on the first: files that were put together have one in between.
        text = line.removeprefix(codecs.BOM_UTF8)
        if text.strip(_BLANK):
            yield number, text


def _encoding_of(beginning: bytes) -> str | None:
    """The encoding that a file's first bytes speak of, None for one byte a letter of ASCII."""
    for mark, encoding in _MARKS:
        if beginning.startswith(mark):
            return encoding
    if len(beginning) < _MARK_BYTES:
        return None
    return _ZEROS.get(tuple(byte == 0 for byte in beginning))  # type: ignore[arg-type]  # four of them


def _keeps_ascii(encoding: str) -> bool:
    """Whether an encoding writes ASCII as UTF-8 does, so that a line of it may as well be UTF-8."""
    letters = bytes(range(0x20, 0x7F))
    try:
        return letters.decode(encoding) == letters.decode()
    except UnicodeDecodeError:
        return False


def _utf8_lines(file: IO[bytes], name: str, encoding: str | None) -> Iterator[bytes]:
    number = 0
    while line := file.readline(LARGEST_VALUE_BYTES + 1):
        number += 1
        _refuse_large(len(line), name)
        yield _as_utf8(line, number, name, encoding)


def _as_utf8(line: bytes, number: int, name: str, encoding: str | None) -> bytes:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        if encoding is None:
            byte = line[error.start]
            raise Damaged(
                f"--from-files: {name}: line {number} is no UTF-8: byte 0x{byte:02X}",
                hint="bring the file back if it was damaged; if it is in another encoding, name "
                "it: --encoding cp1252 (Windows, Latin-1), --encoding utf-16, …",
            ) from None
        return _decoded(line, number, name, encoding).encode()
    return line


def _decoded(line: bytes, number: int, name: str, encoding: str) -> str:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecodable(name, number, encoding, line[error.start]) from None


def _transcoded(file: IO[bytes], name: str, encoding: str) -> Iterator[bytes]:
    """Lines of an encoding in which a line end is not the one byte."""
    number = 0
    text = io.TextIOWrapper(cast("io.BufferedReader", file), encoding, newline="\n")
    try:
        for line in text:
            number += 1
            yield line.encode()
    except UnicodeDecodeError as error:
        raise _undecodable(name, number + 1, encoding, error.object[error.start]) from None


def _undecodable(name: str, number: int, encoding: str, byte: int) -> Damaged:
    return Damaged(
        f"--from-files: {name}: line {number} or one soon after it is no {encoding}: byte 0x{byte:02X}",
        hint="bring the file back if it was damaged, or name its encoding: --encoding NAME",
    )


@contextmanager
def _reading(path: Path, name: str) -> Iterator[IO[bytes]]:
    try:
        with _opened(path) as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise damaged(name, f"its packing is broken: {error}") from None
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be read: {error.strerror or error}") from None


def _opened(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if path.suffix.lower() == ".zst":
        return io.BufferedReader(_Unpacked(path))
    return path.open("rb")


class _Rejoined(io.RawIOBase):
    """A file from which some bytes were read already, from its beginning."""

    def __init__(self, beginning: bytes, rest: IO[bytes]) -> None:
        self._beginning = beginning
        self._rest = rest

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fills some of `buffer`."""
        with memoryview(buffer).cast("B") as target:
            data = self._beginning or self._rest.read(len(target))
            self._beginning = b""
            count = min(len(target), len(data))
            target[:count] = data[:count]
            self._beginning = data[count:]
        return count


class _Unpacked(io.RawIOBase):
    """A .zst file's content. The library's own reader takes a file that was cut for a whole one."""

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
            if self._unpacker.eof:
                data = self._unpacker.unused_data
            else:
                data = b""
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
