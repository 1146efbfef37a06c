"""One Octolis dataset: upsert by key, merge, update by masterid, and preparation. No clock and no I/O.

What the document leaves open is decided here, strictly:

- An upsert must hold every column of at least one key alternative, with a value that is neither null nor ''.
- Of several existing records that it matches, the most recently modified one survives; the others' values go with them
  and their masterids join `__all_masterids__`. A key that the merged values newly complete is matched as well.
- A mandatory column must be in the data of every upsert, and not null ("missing from the upsertion data"); when a
  record is created, the column's default stands in for it. An update may leave it out, unless it is read otherwise.
- An update that would leave a record without any complete key, or take another record's, is refused.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from msgspec import Raw

from migrate.sandbox.declare import NO_DEFAULT, DatasetSpec
from migrate.sandbox.octolis_values import canonical, column_checks, encode_members, find_problems
from migrate.sandbox.raw_json import read_values

# the value of the one key column, or a tuple of several
Key = Any
Values = dict[str, Any]
RECIPES: dict[str, Callable[[str], str]] = {
    "lowercase": str.lower,
    "uppercase": str.upper,
    "trim": str.strip,
}


class Row(NamedTuple):
    """One record as kept: its members as JSON without braces, its masterid, the masterids merged into it, its times."""

    sequence: int
    masterid: str
    values: bytes
    merged: tuple[str, ...]
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class Written:
    """A record was written; `removed` are the masterids that were merged into it by this write."""

    row: Row
    removed: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A record was not written; `error` is the documented error object."""

    error: dict[str, Any]


class Dataset:
    """The rows of a dataset; `rows` holds what was written, `visible` what reads show once it is prepared.

    **Guarantees**: no two rows share a complete key; both dicts are in the order of last modification.
    """

    def __init__(self, spec: DatasetSpec, *, seed: int = 0, preparation_ms: int = 0) -> None:
        self.spec = spec
        self.rows: dict[str, Row] = {}
        self._index: tuple[dict[Key, str], ...] = tuple({} for _ in spec.keys)
        self._pending: deque[tuple[int, str, Row | None]] = deque()
        self._preparation_ms = preparation_ms
        self._salt = f"{seed}/{spec.id}/"
        self._folds = spec.readings.keys == "folded"
        self._checks = column_checks(spec)
        # A record shows every column of its dataset, null where nothing was sent.
        self._blank = {c.name: None if c.default is NO_DEFAULT else c.default for c in spec.columns}
        self._protected = frozenset(spec.protected)
        self._floats = tuple(c.name for c in spec.columns if c.type == "float")
        self._recipes = {c.name: RECIPES[c.recipe] for c in spec.columns if c.recipe}
        # where nothing is prepared there is one table to keep
        self.visible: dict[str, Row] = {} if preparation_ms or self._recipes else self.rows
        self._sequence = 0

    def upsert(self, record: Any, now_ms: int) -> Written | Refused:
        """The record as written under its key, or why it was not."""
        checked = self._check(record, "upsertion")
        if isinstance(checked, Refused):
            return checked
        values, protected = checked
        keys = self._keys(values)
        if not any(keys):
            return _missing(
                [c for c in dict.fromkeys(sum(self.spec.keys, ())) if values.get(c) in (None, "")]
            )
        final, matched = self._match(values, keys)
        given = values if matched else final
        missing = [c for c in self.spec.mandatory if given.get(c) is None]
        if missing:
            return _missing(missing)
        return self._write(final, matched, now_ms, protected)

    def update(self, masterid: Any, record: Any, now_ms: int) -> Written | Refused:
        """The record of that masterid as written, or why it was not."""
        if isinstance(masterid, str):
            row = self.rows.get(masterid)
        else:
            row = None
        if row is None:
            return Refused(error("Record not found", f"No record with masterid: {masterid}", 404))
        checked = self._check(record, "update")
        if isinstance(checked, Refused):
            return checked
        values, protected = checked
        if self.spec.readings.update_mandatory == "required":
            left_out = None
        else:
            # Not null: a column that an update leaves out keeps its value, and is not missing.
            left_out = ""
        missing = [c for c in self.spec.mandatory if values.get(c, left_out) is None]
        if missing:
            return _missing(missing)
        final = {**decode(row), **values}
        keys = self._keys(final)
        if not any(keys):
            key_columns = chain.from_iterable(self.spec.keys)
            return _invalid(
                record, [f"{column} - a key column cannot be emptied" for column in key_columns]
            )
        if self._lookup(keys) - {row.masterid}:
            detail = (
                "Another record has the same deduplication key; use the upsert endpoint instead"
            )
            return Refused(error("Unique constraint violation", detail, 400))
        return self._write(final, {row.masterid}, now_ms, protected)

    def settle(self, now_ms: int) -> None:
        """Makes visible what has been prepared by now."""
        while self._pending and self._pending[0][0] <= now_ms:
            _, masterid, row = self._pending.popleft()
            self._show(masterid, row)

    def pending(self) -> int:
        """How many changes are not visible yet."""
        return len(self._pending)

    def clear(self) -> None:
        """Forgets every row."""
        self.rows.clear()
        self.visible.clear()
        self._pending.clear()
        for index in self._index:
            index.clear()

    def restore(self, rows: Iterable[Row]) -> None:
        """Takes up rows kept from before, given in the order of their sequence; they count as prepared."""
        for row in rows:
            self.rows[row.masterid] = row
            self._show(row.masterid, row)
            self._enter(row.masterid, self._keys(decode(row)))
            self._sequence = row.sequence

    def _check(self, record: Any, action: str) -> tuple[Values, tuple[str, ...]] | Refused:
        if type(record) is not dict:
            return _invalid(record, [" (#/type) - must be object"], action)
        sent = record
        protected: tuple[str, ...] = ()
        if self._protected and not self._protected.isdisjoint(record):
            protected = tuple(name for name in record if name in self._protected)
            record = {name: value for name, value in record.items() if name not in self._protected}
        if self.spec.unknown_columns == "ignore":
            record = {name: value for name, value in record.items() if name in self._checks}
        problems = find_problems(self._checks, record)
        if problems:
            # what was sent is what is said back, with the columns that are protected, too
            return _invalid(sent, problems, action)
        for name in self._floats:
            if name in record:
                record[name] = canonical(record[name])
        return record, protected

    def _match(self, values: Values, keys: list[Key | None]) -> tuple[Values, set[str]]:
        """The values to write and the existing rows they replace, once no further row shares a key with them."""
        matched = self._lookup(keys)
        while True:
            if matched:
                base = decode(self._latest(matched))
            else:
                base = self._blank
            final = {**base, **values}
            reached = self._lookup(self._keys(final)) if matched else matched
            if reached <= matched:
                return final, matched
            # The merged values can complete a second key, and that one
            # may belong to a third record.
            matched |= reached

    def _write(
        self, final: Values, matched: set[str], now_ms: int, protected: tuple[str, ...]
    ) -> Written:
        self._sequence += 1
        data = encode_members(final)
        if not matched:
            row = Row(self._sequence, self._new_masterid(), data, (), now_ms, now_ms)
        else:
            row = self._replace(matched, data, now_ms)
        removed = tuple(sorted(matched - {row.masterid}))
        self.rows[row.masterid] = row
        self._enter(row.masterid, self._keys(final))
        self._publish(row, removed, now_ms)
        return Written(row, removed, protected)

    def _replace(self, matched: set[str], data: bytes, now_ms: int) -> Row:
        """The survivor with new values; all matched rows leave `rows` and the index."""
        survivor = self._latest(matched)
        if len(matched) > 1 and self.spec.readings.merged_id == "new":
            # both samples of the document show the record as made by the merge
            made = Row(self._sequence, self._new_masterid(), b"", (), now_ms, now_ms)
            survivor = made._replace(merged=(survivor.masterid, *survivor.merged))
        merged = list(survivor.merged)
        for masterid in sorted(matched, key=lambda m: self.rows[m].sequence):
            old = self.rows.pop(masterid)
            self._leave(self._keys(decode(old)))
            if masterid != survivor.masterid and masterid not in merged:
                # Merges add up: whoever asks for an id that went two
                # merges ago still finds it listed.
                merged += [masterid, *old.merged]
        return Row(
            self._sequence, survivor.masterid, data, tuple(merged), survivor.created_ms, now_ms
        )

    def _latest(self, masterids: set[str]) -> Row:
        return max((self.rows[masterid] for masterid in masterids), key=lambda row: row.sequence)

    def _keys(self, values: Values) -> list[Key | None]:
        """Each alternative's value, None where one of its columns has none."""
        keys: list[Key | None] = []
        for columns in self.spec.keys:
            parts = [values.get(column) for column in columns]
            complete = None not in parts and "" not in parts
            if complete:
                key = tuple(self._hashable(part) for part in parts)
            else:
                key = None
            keys.append(key[0] if key and len(key) == 1 else key)
        return keys

    def _hashable(self, value: Any) -> Any:
        """A key part that compares by what is stored: a number by its text, false apart from 0."""
        if type(value) is str:
            return fold(value) if self._folds else value
        return type(value).__name__, bytes(value) if isinstance(value, Raw) else value

    def _lookup(self, keys: list[Key | None]) -> set[str]:
        return {
            index[key]
            for index, key in zip(self._index, keys, strict=True)
            if key is not None and key in index
        }

    def _enter(self, masterid: str, keys: list[Key | None]) -> None:
        for index, key in zip(self._index, keys, strict=True):
            if key is not None:
                index[key] = masterid

    def _leave(self, keys: list[Key | None]) -> None:
        for index, key in zip(self._index, keys, strict=True):
            if key is not None:
                del index[key]

    def _publish(self, row: Row, removed: tuple[str, ...], now_ms: int) -> None:
        changes: list[tuple[str, Row | None]] = [
            *((masterid, None) for masterid in removed),
            (row.masterid, row),
        ]
        if self._preparation_ms:
            self._pending.extend(
                (now_ms + self._preparation_ms, masterid, new) for masterid, new in changes
            )
            return
        for masterid, new in changes:
            self._show(masterid, new)

    def _show(self, masterid: str, row: Row | None) -> None:
        if self.visible is self.rows:
            return
        self.visible.pop(masterid, None)
        if row is not None:
            self.visible[masterid] = self._prepare(row)

    def _prepare(self, row: Row) -> Row:
        if not self._recipes:
            return row
        values = decode(row)
        for name, recipe in self._recipes.items():
            if isinstance(values[name], str):
                values[name] = recipe(values[name])
        return row._replace(values=encode_members(values))

    def _new_masterid(self) -> str:
        # Not random: the same seed and the same requests give the same ids.
        digest = hashlib.blake2b(
            f"{self._salt}{self._sequence}".encode(), digest_size=16
        ).hexdigest()
        return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:]}"


def decode(row: Row) -> Values:
    """A row's columns and values."""
    values: Values = read_values(b"{" + row.values + b"}")
    return values


def error(title: str, detail: str, status: int, **more: Any) -> dict[str, Any]:
    """The documented error object."""
    return {"title": title, "detail": detail, "status": status, **more}


def _invalid(record: Any, problems: list[str], action: str = "update") -> Refused:
    detail = f"Validation for {action} request failed"
    return Refused(
        error(
            "Validation failed for the provided data", detail, 400, values=record, errors=problems
        )
    )


def _missing(columns: list[str]) -> Refused:
    detail = f"Missing the following mandatory columns: {', '.join(columns)}"
    return Refused(
        error("Missing mandatory columns from the upsertion data", detail, 400, missing=columns)
    )


def fold(text: str) -> str:
    """A text without letter case, spaces and Unicode form."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
