"""What the target holds of a batch whose answer was unclear, read by key: nothing is settled by guessing.

Where the key is one column and its values can be filtered, the records are asked for by key. Otherwise the dataset is
read from its latest modification backwards, until before the request left: what the request wrote stands there.

**Source**: Octolis Data API, "Get prepared records (by filters)": filters on one column are alternatives, nothing
escapes ':' and ',', the order is by modification and the latest come first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from migrate.load.planned import DatasetToLoad, PlannedRecord
from migrate.target.results import AnswerColumns, RawRecord, Written, modified_at, read_record

_KEYS_A_REQUEST = 50
_KEY_BYTES_A_REQUEST = 3_000
_PAGE_ROWS = 5_000
_MOST_PAGES = 20
LOOKS_S = (0.0, 1.0, 4.0)
"""When to look again: what was written shows only after the service has prepared it."""

Key = tuple[bytes | None, ...]


class PageReader(Protocol):
    """The read that is needed."""

    def list_records(
        self,
        dataset_id: str,
        page: int,
        page_size: int,
        any_of: tuple[str, Sequence[str]] | None = None,
    ) -> list[RawRecord]:
        """One page of records, most recently modified first."""


@dataclass(frozen=True)
class ReadBack:
    """The records seen to be stored, and the positions of those that are missing or different."""

    stored: tuple[Written, ...]
    left: frozenset[int]


def read_back(
    reader: PageReader,
    dataset: DatasetToLoad,
    records: Sequence[PlannedRecord],
    since: datetime | None,
    wait: Callable[[float], None],
    *,
    believe_differences: bool = False,
) -> ReadBack:
    """What of `records` the target holds as sent, looked for a few times.

    `since`: a moment before the request left, in the service's time. With `believe_differences` a record that was
    modified since counts as stored though a value differs: that is how the service stores it.
    """
    columns = dataset.columns
    written_at: dict[int, Written] = {}
    for pause_s in LOOKS_S:
        wait(pause_s)
        missing = [record for record in records if record.sent.position not in written_at]
        seen = _by_key(_read(reader, dataset, missing, since), columns)
        for record in missing:
            target_row = seen.get(_key_of(record.sent.values(), columns))
            if target_row is None:
                written = None
            else:
                written = read_record(target_row, record.sent, columns)
            if target_row is None or written is None:
                continue
            # A first look may come before the preparation; what differs twice is how the service stores it.
            if not written.altered or (believe_differences and _is_since(target_row, since)):
                written_at[record.sent.position] = written
        if len(written_at) == len(records):
            break
    left = frozenset(record.sent.position for record in records) - written_at.keys()
    return ReadBack(tuple(written_at[position] for position in sorted(written_at)), left)


def _is_since(record: RawRecord, since: datetime | None) -> bool:
    moment = modified_at(record)
    return since is not None and moment is not None and moment >= since


def _by_key(records: Iterator[RawRecord], columns: AnswerColumns) -> dict[Key, RawRecord]:
    seen: dict[Key, RawRecord] = {}
    for record in records:
        # The latest comes first, and it is the one that a write would have made.
        seen.setdefault(_key_of(record, columns), record)
    return seen


def _key_of(values: RawRecord, columns: AnswerColumns) -> Key:
    return tuple(_canonical(values.get(name)) for name in columns.key)


def _canonical(value: msgspec.Raw | None) -> bytes | None:
    """A JSON value in one spelling; escapes of texts differ between writers."""
    if value is None:
        return None
    text = bytes(value).strip()
    if text[:1] == b'"':
        return msgspec.json.encode(msgspec.json.decode(text))
    return text


def _read(
    reader: PageReader,
    dataset: DatasetToLoad,
    records: Sequence[PlannedRecord],
    since: datetime | None,
) -> Iterator[RawRecord]:
    values = _filterable(dataset, records)
    if values is None:
        return _latest(reader, dataset, since)
    return _filtered(reader, dataset, values)


def _filterable(dataset: DatasetToLoad, records: Sequence[PlannedRecord]) -> list[str] | None:
    # Filters on one column are alternatives and on several all hold, so many keys of two columns cannot be asked for.
    if len(dataset.key_columns) != 1:
        return None
    values = []
    for record in records:
        text = bytes(record.sent.values().get(dataset.key_columns[0], b"")).strip()
        if text[:1] == b'"':
            value = msgspec.json.decode(text, type=str)
        else:
            value = text.decode()
        # The filter has no escape for its separators, and an empty value asks for who knows what.
        if not value or ":" in value or "," in value:
            return None
        values.append(value)
    return values


def _filtered(
    reader: PageReader, dataset: DatasetToLoad, values: Sequence[str]
) -> Iterator[RawRecord]:
    column = dataset.key_columns[0]
    for some in _chunks(values):
        yield from reader.list_records(dataset.dataset_id, 1, _PAGE_ROWS, (column, some))


def _chunks(values: Sequence[str]) -> Iterator[list[str]]:
    """The values in portions that fit into an address."""
    chunk: list[str] = []
    size = 0
    for value in values:
        # As long as it is with every byte percent-encoded.
        length = 3 * len(value.encode())
        if chunk and (len(chunk) == _KEYS_A_REQUEST or size + length > _KEY_BYTES_A_REQUEST):
            yield chunk
            chunk = []
            size = 0
        chunk.append(value)
        size += length
    if chunk:
        yield chunk


def _latest(
    reader: PageReader, dataset: DatasetToLoad, since: datetime | None
) -> Iterator[RawRecord]:
    for page in range(1, _MOST_PAGES + 1):
        records = reader.list_records(dataset.dataset_id, page, _PAGE_ROWS)
        yield from records
        if len(records) < _PAGE_ROWS:
            return
        oldest = modified_at(records[-1])
        if since is not None and oldest is not None and oldest < since:
            return
