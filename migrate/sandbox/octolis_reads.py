"""The export of a dataset: filters, selection, pages, and the two formats.

Source: Octolis data API, "Get prepared records (by filters)" and "Count records". Filters split at the first ':' and at
every ',': the document gives no way to escape either. What the CSV looks like is not documented beyond "one line per
record": RFC 4180, null as nothing, '' as a quoted nothing, date-times as ISO 8601.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from msgspec import Raw

from migrate.sandbox.declare import DEFAULT, DatasetSpec, Readings
from migrate.sandbox.octolis import Dataset, Row
from migrate.sandbox.raw_json import read_values, write_json

# The document's default and its maximum.
MAX_PAGE_SIZE = 50000
SYSTEM_COLUMNS = (
    "__modified_at__",
    "__masterid__",
    "__all_masterids__",
    "__created_at__",
    "__updated_at__",
)
ALL_MASTERIDS = "__all_masterids__"
_SPECIAL = frozenset(',"\r\n')
Clauses = dict[str, list[bytes]]


class BadQuery(ValueError):
    """A query parameter that the document does not allow."""


@dataclass(frozen=True, slots=True)
class Export:
    """What a list request asks for."""

    form: str
    header: bool
    clauses: Clauses
    selection: tuple[str, ...]
    page: int
    page_size: int
    descending: bool


def parse_export(query: Mapping[str, str], spec: DatasetSpec) -> Export:
    """The request's parameters, checked. Raises BadQuery."""
    return Export(
        form=_one_of(query, "format", ("json", "csv")),
        header=_one_of(query, "header", ("true", "false")) == "true",
        clauses=parse_filter(query.get("filter", ""), spec),
        selection=_selection(query.get("selection", ""), spec),
        page=_whole(query, "page", 1),
        page_size=_page_size(query),
        descending=_one_of(query, "order", ("desc", "asc")) == "desc",
    )


def parse_filter(text: str, spec: DatasetSpec) -> Clauses:
    """Column → the JSON fragments that count as equal. Raises BadQuery."""
    types = {column.name: column.type for column in spec.columns} | dict.fromkeys(
        SYSTEM_COLUMNS, "text"
    )
    clauses: Clauses = {}
    for part in text.split(",") if text else ():
        name, colon, value = part.partition(":")
        name = name if name in types else _same_but_for_case(name, types)
        if not colon or name not in types:
            raise BadQuery(
                f"filter: no column {name!r}" if colon else f"filter: {part!r} is not column:value"
            )
        # Rows are kept as JSON, so a filter is compared with their text:
        # these stand in it without quotes.
        if types[name] in ("integer", "float", "boolean"):
            literal = value.encode()
        else:
            literal = write_json(value)
        clauses.setdefault(name, []).append(write_json(name) + b":" + literal)
    return clauses


def _same_but_for_case(name: str, known: Iterable[str]) -> str:
    """The one column of that name in other letters: the document's own example writes one name in two ways."""
    columns = [column for column in known if column.casefold() == name.casefold()]
    return columns[0] if len(columns) == 1 else name


def render(row: Row, readings: Readings = DEFAULT) -> bytes:
    """A row as JSON with its system columns."""
    if row.merged and readings.own_id == "left_out":
        listed = row.merged
    else:
        listed = (row.masterid, *row.merged)
    ids = b'","'.join(masterid.encode() for masterid in listed)
    # The row's members are JSON already: a page of 50,000 rows is joined, not encoded again.
    modified = iso_time(row.updated_ms)
    return (
        b'{%b,"__modified_at__":"%b","__masterid__":"%b","__all_masterids__":["%b"],"__created_at__":"%b","__updated_at__":"%b"}'
        % (
            row.values,
            modified,
            row.masterid.encode(),
            ids,
            iso_time(row.created_ms),
            modified,
        )
    )


# All rows of a batch were written at one time.
@lru_cache(maxsize=4096)
def iso_time(time_ms: int) -> bytes:
    """ISO 8601 with milliseconds and Z."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z".encode()


def count(dataset: Dataset, clauses: Clauses) -> int:
    """How many visible records the filter lets through."""
    if clauses:
        return sum(1 for _ in _filtered(dataset.visible.values(), clauses))
    return len(dataset.visible)


def export_json(dataset: Dataset, wanted: Export) -> bytes:
    """The page as `{"records": [...]}`."""
    rows = _page(dataset, wanted)
    readings = dataset.spec.readings
    if not wanted.selection and readings.list_ids == "json":
        return b'{"records":[' + b",".join(render(row, readings) for row in rows) + b"]}"
    names = wanted.selection or shown_columns(dataset.spec)
    records = []
    for row in rows:
        values = _values(row, readings)
        records.append(write_json({name: values[name] for name in names}))
    return b'{"records":[' + b",".join(records) + b"]}"


def export_csv(dataset: Dataset, wanted: Export) -> bytes:
    """The page as lines that end in CR LF."""
    readings = dataset.spec.readings
    columns = wanted.selection or shown_columns(dataset.spec)
    times = {column.name for column in dataset.spec.columns if column.type in ("datetime", "date")}
    if wanted.header:
        lines = [",".join(map(_quote, columns))]
    else:
        lines = []
    for row in _page(dataset, wanted):
        values = _values(row, readings)
        lines.append(",".join(_cell(values[name], name in times) for name in columns))
    return "".join(f"{line}\r\n" for line in lines).encode()


def _page(dataset: Dataset, wanted: Export) -> Iterator[Row]:
    rows = dataset.visible.values()
    ordered: Iterable[Row] = reversed(rows) if wanted.descending else rows
    start = (wanted.page - 1) * wanted.page_size
    return islice(_filtered(ordered, wanted.clauses), start, start + wanted.page_size)


def _filtered(rows: Iterable[Row], clauses: Clauses) -> Iterator[Row]:
    if not clauses:
        return iter(rows)
    return (row for row in rows if _passes(render(row), clauses))


def _passes(data: bytes, clauses: Clauses) -> bool:
    """Whether one fragment of each column is a whole member: inside a JSON text its quotes would be escaped."""
    return all(_has_member(data, fragments) for fragments in clauses.values())


def _has_member(data: bytes, fragments: Iterable[bytes]) -> bool:
    return any(f + b"," in data or f + b"}" in data for f in fragments)


def _values(row: Row, readings: Readings) -> dict[str, Any]:
    values: dict[str, Any] = read_values(render(row, readings))
    if readings.list_ids == "array":
        values[ALL_MASTERIDS] = "{" + ",".join(values[ALL_MASTERIDS]) + "}"
    return values


def shown_columns(spec: DatasetSpec) -> tuple[str, ...]:
    """The columns that a list shows where none are asked for."""
    system = [
        name for name in SYSTEM_COLUMNS if name != ALL_MASTERIDS or spec.readings.list_ids != "none"
    ]
    return (*(column.name for column in spec.columns), *system)


def count_csv(count: int, *, header: bool) -> bytes:
    """A count as lines that end in CR LF."""
    lines = ["count", str(count)] if header else [str(count)]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _cell(value: Any, is_time: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        if is_time:
            return f"{value[:10]}T{value[11:]}.000Z"
        return _quote(value)
    if isinstance(value, Raw):
        return bytes(value).decode("ascii")
    return _quote(write_json(value).decode())


def _quote(text: str) -> str:
    # '' needs its quotes to be apart from null, and a reader of CSV
    # may strip spaces that have none.
    if text and _SPECIAL.isdisjoint(text) and text == text.strip():
        return text
    return '"' + text.replace('"', '""') + '"'


def _selection(text: str, spec: DatasetSpec) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(","))) if text else ()
    known = set(shown_columns(spec))
    for name in names:
        if name not in known:
            raise BadQuery(f"selection: no column {name!r}")
    return names


def _one_of(query: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = query.get(name, allowed[0])
    if value not in allowed:
        raise BadQuery(f"{name}: one of {', '.join(allowed)}")
    return value


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    # `isdigit` takes digits of every script, and `int` refuses more than 4,300 of them.
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise BadQuery(f"{name}: must be a positive integer")
    return int(text)


def _page_size(query: Mapping[str, str]) -> int:
    size = _whole(query, "pageSize", MAX_PAGE_SIZE)
    if size > MAX_PAGE_SIZE:
        raise BadQuery(f"pageSize: at most {MAX_PAGE_SIZE}")
    return size
