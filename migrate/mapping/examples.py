"""Examples in a mapping file: a record, and what is expected to become of it. Run by check, and before every plan.

An example shows a reader what an odd rule is for, and fails where an edit breaks it. Look-ups find nothing in one.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path as File
from typing import Any, NoReturn

import polars as pl

from migrate.errors import MappingError
from migrate.language.yaml_text import Unquoted, read_yaml
from migrate.mapping.fields import column_of, lookup_columns, record_fields, value_at
from migrate.mapping.model import Example, Mapping, constant_text
from migrate.mapping.transform import Settings, map_rows
from migrate.mapping.types import render
from migrate.names import ID_FIELDS, SOURCE_FIELDS
from migrate.plain_file import read_plain

# categories of Unicode that are kept in a masked text: currencies, dashes, spaces, apostrophes
_SHOWN = frozenset(("Sc", "Pd", "Zs", "Pf", "Pi"))
Outcome = tuple[str, dict[str, str | None] | str]
"""`row` with the texts sent by column, `reject` with the rule, or `filter`."""
# controls, line ends of Unicode, halves of surrogate pairs, and what stands for no character
_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]")
_HALF = re.compile("[\ud800-\udfff]")
RowsOf = Callable[[str, Collection[str]], Iterable[pl.DataFrame]]
"""Gives the rows of a resource, with `_raw` where it is asked for."""
FindRecord = Callable[[str, str | None], dict[str, Any] | None]
"""Gives the record of an id and source, None where the snapshot has none."""


def check_examples(
    mapping: Mapping, settings: Settings, find: FindRecord | None = None
) -> Iterator[tuple[int, str]]:
    """Each example that does not come out as it says: its number from 0, and how.

    Examples that name a record of the snapshot are looked at where `find` can find it.
    """
    for number, example in enumerate(mapping.examples):
        record = example.record
        if record is None:
            if find is None:
                continue
            record = find(str(example.id), example.source)
            if record is None:
                yield number, f"the snapshot has no record {example.id!r}"
                continue
        outcome = run_example(mapping, record, settings, example.position)
        difference = _difference(example, outcome)
        if difference:
            yield number, difference


def failing_examples(
    mapping: Mapping, settings: Settings, find: FindRecord | None = None
) -> list[str]:
    """Each example that does not come out as it says, as `file:line:column: what`."""
    failed = list(check_examples(mapping, settings, find))
    if not failed:
        return []
    file = File(mapping.file)
    document = read_yaml(read_plain(file))
    failures = []
    for number, what in failed:
        place = document.place(("examples", number))
        failures.append(f"{file.name}:{place.line}:{place.column}: examples.{number}: {what}")
    return failures


def refuse_failing(mappings: Iterable[Mapping], settings: Settings, rows_of: RowsOf) -> None:
    """Raises MappingError where an example of a file does not come out as it says."""
    failed: list[str] = []
    for mapping in mappings:
        failed += failing_examples(mapping, settings, finder(mapping, rows_of))
    if failed:
        raise MappingError(
            failed, hint="correct the mapping or its example, then: migrate mapping check"
        )


def finder(mapping: Mapping, rows_of: RowsOf) -> FindRecord:
    """Finds records of the mapping's resource in a snapshot, by id and, where it is said, source."""

    def find(record_id: str, source: str | None) -> dict[str, Any] | None:
        for frame in rows_of(mapping.resource, ["_raw"]):
            here = frame.filter(pl.col("_id") == record_id)
            if source is not None:
                here = here.filter(pl.col("_source") == source)
            if here.height:
                return read_record(here["_raw"][0])
        return None

    return find


def read_record(raw: str) -> dict[str, Any] | None:
    """A record of the snapshot, its numbers as they were written; None of JSON that no example can hold."""
    try:
        record: dict[str, Any] = json.loads(
            raw, strict=False, parse_float=Unquoted, parse_int=Unquoted, parse_constant=_refuse
        )
    except ValueError:
        return None
    return record


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def run_example(
    mapping: Mapping, record: dict[str, Any], settings: Settings, position: int | None = None
) -> Outcome:
    """What becomes of one record, or of the element at a place in its list."""
    tables = {
        name: pl.DataFrame(schema=dict.fromkeys(("source", "id", *columns), pl.String))
        for name, columns in lookup_columns(mapping).items()
    }
    made = map_rows(mapping, record_frame(mapping, record), tables, settings)
    accepted, rejected = made.accepted, made.rejected
    if mapping.each is not None:
        at = pl.col("_element") == (position or 1)
        accepted = accepted.filter(at)
        rejected = rejected.filter(at | pl.col("_element").is_null())
    if rejected.height:
        return "reject", str(rejected["rule"][0])
    if accepted.is_empty():
        return "filter", ""
    texts = accepted.head(1).select(
        render(name, accepted.schema[name]).alias(name) for name in mapping.columns
    )
    return "row", texts.row(0, named=True)


def record_frame(mapping: Mapping, record: dict[str, Any]) -> pl.DataFrame:
    """A record as a snapshot holds it: every field that the mapping reads as the text that was sent."""
    sources = [_text(value_at(record, name)) for name in SOURCE_FIELDS[mapping.resource]]
    ids = [record.get(name) for name in ID_FIELDS[mapping.resource]]
    # strings and numbers are ids, and nothing else
    known = next((_text(one) for one in ids if _is_id(one)), None)
    row: dict[str, str | None] = {
        column_of(name): _text(value_at(record, column_of(name))) for name in record_fields(mapping)
    }
    source = next((text for text in sources if text), None)
    row |= {"_source": source, "_id": known, "_raw": write_json(record)}
    frame = pl.DataFrame([row], schema=dict.fromkeys(row, pl.String))
    return frame.with_columns(pl.lit(0, dtype=pl.Int64).alias("_position"))


def _is_id(value: Any) -> bool:
    """Whether a value names a record: a text that is not empty, or a number."""
    if isinstance(value, bool):
        return False
    return isinstance(value, str | int | float | Unquoted) and value != ""


def make_example(mapping: Mapping, record: dict[str, Any], settings: Settings) -> str:
    """An example of a record as YAML for the end of a file, with what becomes of it now."""
    kind, what = run_example(mapping, record, settings)
    lines = [f"  - record: {write_json(record)}"]
    if kind == "row" and isinstance(what, dict):
        said = {name: text for name, text in what.items() if text is not None}
        lines.append(f"    row: {write_json(said)}")
    else:
        lines.append(f"    reject: {what}" if kind == "reject" else "    filter: true")
    return "\n".join(lines)


def masked_record(record: Any) -> Any:
    """The record with letters as a and digits as 1, which keeps the shape of mail addresses, amounts and dates.

    A zero date stays one, and signs of currencies, dashes and spaces stay what they are: they say nothing of anybody,
    and without them an example would show another rule than the record does.
    """
    if isinstance(record, dict):
        return {name: masked_record(value) for name, value in record.items()}
    if isinstance(record, list):
        return [masked_record(value) for value in record[:2]]
    if isinstance(record, str):
        is_zero = not record.strip("0-/.:, TZ+")
        if is_zero:
            return record
        return "".join(_mask(char) for char in record)
    if record is None or isinstance(record, bool):
        return record
    return 1


def _mask(char: str) -> str:
    if char.isdigit():
        return "1"
    if char.isalpha():
        return "A" if char.isupper() else "a"
    is_plain = char.isascii() and char.isprintable()
    if is_plain or unicodedata.category(char) in _SHOWN:
        return char
    return "."


def write_json(value: Any) -> str:
    """A value of the file as JSON, numbers digit by digit."""
    if isinstance(value, Unquoted):
        return value.text
    if isinstance(value, dict):
        members = (f"{_json_text(str(k))}: {write_json(v)}" for k, v in value.items())
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(write_json, value)) + "]"
    return _json_text(value)


def _json_text(value: Any) -> str:
    """A value as JSON that a file in YAML can hold: what no page shows, and half a surrogate pair, is escaped."""
    shown = json.dumps(value, ensure_ascii=False)
    return _UNSEEN.sub(lambda match: f"\\u{ord(match.group()):04x}", shown)


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        # as a snapshot shows half a surrogate pair; `_raw` tells it from a text of these letters
        return _HALF.sub(lambda match: f"\\u{ord(match.group()):04x}", value)
    return None if value is None else write_json(value)


def _difference(example: Example, outcome: Outcome) -> str | None:
    kind, what = outcome
    if example.filter:
        wanted = "filter"
    else:
        wanted = "reject" if example.reject else "row"
    if kind != wanted:
        if kind == "reject":
            became = f"is rejected ({what})"
        elif kind == "filter":
            became = "is left out by `where`"
        else:
            became = "makes a row"
        expected = {
            "row": "a row",
            "reject": f"a reject ({example.reject})",
            "filter": "left out by `where`",
        }[wanted]
        return f"the record {became}; expected: {expected}"
    if kind == "reject":
        if what == example.reject:
            return None
        return f"is rejected by {what}; expected: {example.reject}"
    if kind == "filter" or not isinstance(what, dict):
        return None
    return _row_difference(example, what)


def _row_difference(example: Example, row: dict[str, str | None]) -> str | None:
    for name, value in (example.row or {}).items():
        wanted = None if value is None else constant_text(value)
        if name not in row:
            return f"there is no column {name!r}"
        if row[name] != wanted:
            return f"{name} is {_show(row[name])}; expected: {_show(wanted)}"
    return None


def _show(text: str | None) -> str:
    return "left out" if text is None else repr(text)
