"""The file of one page on its way to parts: who its records are of, and the records, packed apart.

Identities come first, since they are wanted alone. Their length is in the first eight bytes.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import zstandard

from migrate.snapshot.records import Identified

PAGE = ".page"
_LENGTH_BYTES = 8
_NAMES = msgspec.msgpack.Decoder(tuple[list[str | None], list[str | None]])
_ITEMS = msgspec.msgpack.Decoder(list[bytes])


def pack_page(records: Identified) -> bytes:
    """What the file holds."""
    packer = zstandard.ZstdCompressor(level=1)
    names = packer.compress(msgspec.msgpack.encode((records.sources, records.ids)))
    length = len(names).to_bytes(_LENGTH_BYTES, "big")
    return length + names + packer.compress(msgspec.msgpack.encode(records.items))


def unpack_names(data: bytes) -> tuple[list[str | None], list[str | None]]:
    """The sources and the ids in a page's file."""
    return _NAMES.decode(_unpack(data[_LENGTH_BYTES : _end_of_names(data)]))


def unpack_items(data: bytes) -> list[bytes]:
    """The records in a page's file."""
    return _ITEMS.decode(_unpack(data[_end_of_names(data) :]))


def is_page_file(path: Path) -> bool:
    """Whether a file in the folder of pages holds a page's records, whole or not."""
    return path.suffix == PAGE


def read_page_file(path: Path) -> Identified | None:
    """The records in a page's file, whatever the journal says of it; None where it is not whole."""
    try:
        data = path.read_bytes()
        sources, ids = unpack_names(data)
        items = unpack_items(data)
        is_whole = len(sources) == len(ids) == len(items) and all(map(_is_utf8, items))
    except (OSError, ValueError, MemoryError, msgspec.MsgspecError, zstandard.ZstdError):
        return None
    return Identified([0] * len(items), sources, ids, items) if is_whole else None


def _end_of_names(data: bytes) -> int:
    return _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "big")


def _unpack(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(data)


def _is_utf8(item: bytes) -> bool:
    try:
        item.decode()
    except UnicodeDecodeError:
        return False
    return True
