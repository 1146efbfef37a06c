"""What the answer to a batch means, record by record. Pure.

An answer lists one result per record, by position and without an index, so a result is believed only where the list is
as long as the batch and each written record carries the key that was sent at its place. Everything else is `Unclear`.

**Source**: Octolis Data API, "Batch Upsert records", "Errors"; what they leave open is read the cautious way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec

from migrate.target.answer import Answer, clean_text, error_title, status_text
from migrate.target.values import is_same_value

BUSY = 423
_WHOLE_BATCH_REFUSED = frozenset({400, 413, 422})
_PASSING = frozenset({408, 423, 424, 425, 429})
_SYSTEM = ("__masterid__", "__all_masterids__", "__created_at__", "__updated_at__")
_LONGEST_ERROR = 500

T = TypeVar("T")
RawRecord = dict[str, msgspec.Raw]


@dataclass(frozen=True)
class SentRecord:
    """A record of a batch: its place in the batch, its key as text and its exact JSON."""

    position: int
    key: str
    payload: str = field(repr=False)

    def values(self) -> RawRecord:
        """The payload's columns, each as the JSON text that was sent."""
        return msgspec.json.decode(self.payload, type=RawRecord)


@dataclass(frozen=True)
class Written:
    """A record that is stored now. Times are the service's, None where it did not give any."""

    sent: SentRecord
    masterid: str
    merged_from: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None

    def was_created(self, since: datetime | None) -> bool:
        """True when this write made the record: created at or after `since`, else never updated after its creation."""
        if self.created_at is None:
            return False
        return self.created_at >= since if since is not None else self.created_at == self.updated_at


@dataclass(frozen=True)
class Rejected:
    """A record the service will never take as it is, with the service's reason (no values of the record)."""

    sent: SentRecord
    status: int
    error: str


@dataclass(frozen=True)
class Again:
    """A record that was not taken for a passing reason."""

    sent: SentRecord
    status: int
    reason: str


@dataclass(frozen=True)
class Results:
    """One verdict per record, in the order sent."""

    verdicts: tuple[Written | Rejected | Again, ...]


@dataclass(frozen=True)
class SplitNeeded:
    """The whole batch was refused for what is in it."""

    status: int
    reason: str


@dataclass(frozen=True)
class Transient:
    """Nothing is known to be wrong with the batch. `busy` = the dataset is locked for a while (423)."""

    reason: str
    status: int = 0
    wait_s: float | None = None
    busy: bool = False


@dataclass(frozen=True)
class Unclear:
    """An answer that cannot be matched with the batch: some, all or none of it may be stored."""

    reason: str


@dataclass(frozen=True)
class Fatal:
    """No batch of this dataset will be taken."""

    status: int


Reading = Results | SplitNeeded | Transient | Unclear | Fatal


class _Result(msgspec.Struct):
    written: bool | None = None
    record: RawRecord | None = None
    warnings: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Body(msgspec.Struct):
    results: list[_Result] | None = None
    status: int | None = None


class _Warnings(msgspec.Struct):
    protected_columns: list[str] = []


class _SchemaError(msgspec.Struct):
    message: str = ""
    instancePath: str = ""  # noqa: N815 - the service's name
    dataPath: str = ""  # noqa: N815 - the service's name
    schemaPath: str = ""  # noqa: N815 - the service's name


class _Error(msgspec.Struct):
    # `values`, which repeats the record, is left out on purpose: it holds personal data.
    title: str = ""
    detail: str = ""
    status: int = 0
    missing: list[str] = []
    errors: list[_SchemaError | str] = []


def read_answer(
    answer: Answer,
    sent: Sequence[SentRecord],
    key_columns: Sequence[str],
    recipe_columns: frozenset[str] = frozenset(),
) -> Reading:
    """What became of each record of a batch, or why that cannot be told."""
    if answer.status == 0:
        return Transient(answer.reason)
    if answer.is_final:
        return Fatal(answer.status)
    body = _decoded(answer.body)
    if body is not None and body.results is not None and answer.status in (200, 201, 207, 400):
        return _read_results(body.results, sent, key_columns, recipe_columns)
    return _read_whole(answer, body)


def _decoded(body: bytes) -> _Body | None:
    try:
        return msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        return None


def _read_whole(answer: Answer, body: _Body | None) -> Reading:
    status = answer.status
    if 200 <= status < 300:
        # An error object may come with status 200: its own status counts.
        if body is None or body.status is None or body.status < 400:
            return _unreadable(answer, body)
        status = body.status
    reason = error_title(answer.body) or status_text(status)
    if status in _WHOLE_BATCH_REFUSED:
        return SplitNeeded(status, reason)
    if status in _PASSING or status >= 500:
        return Transient(f"{status_text(status)}", status, answer.retry_after_s, busy=status == BUSY)
    return Fatal(status)


def _unreadable(answer: Answer, body: _Body | None) -> Reading:
    if body is None:
        return Transient(f"{status_text(answer.status)} with a body that is not the documented JSON", answer.status)
    return Unclear("the answer lists no results")


def _read_results(
    results: list[_Result], sent: Sequence[SentRecord], key_columns: Sequence[str], recipe_columns: frozenset[str]
) -> Reading:
    if len(results) != len(sent):
        return Unclear(f"{len(results)} results for {len(sent)} records")
    verdicts: list[Written | Rejected | Again] = []
    for record, result in zip(sent, results, strict=True):
        verdict = _read_result(result, record, key_columns, recipe_columns)
        if verdict is None:
            return Unclear(f"the result at place {len(verdicts) + 1} is not of the record sent there")
        verdicts.append(verdict)
    return Results(tuple(verdicts))


def _read_result(
    result: _Result, sent: SentRecord, key_columns: Sequence[str], recipe_columns: frozenset[str]
) -> Written | Rejected | Again | None:
    if result.written is False:
        return _not_written(result, sent)
    if not result.written or result.record is None:
        return None
    return _written(result.record, result.warnings, sent, key_columns, recipe_columns)


def _not_written(result: _Result, sent: SentRecord) -> Rejected | Again:
    error = _parsed(result.error, _Error) or _Error()
    text = _error_text(error)
    if error.status in _PASSING or error.status >= 500:
        return Again(sent, error.status, text)
    return Rejected(sent, error.status or 400, text)


def _error_text(error: _Error) -> str:
    details = [f"missing: {', '.join(error.missing)}"] if error.missing else []
    details += [item if isinstance(item, str) else _schema_error_text(item) for item in error.errors]
    parts = [part for part in (error.title, error.detail, *details) if part]
    return clean_text("; ".join(dict.fromkeys(parts)) or "no reason given", _LONGEST_ERROR)


def _schema_error_text(error: _SchemaError) -> str:
    place = error.instancePath or error.dataPath or error.schemaPath
    return f"{place} {error.message}".strip()


def _written(
    record: RawRecord,
    warnings: msgspec.Raw,
    sent: SentRecord,
    key_columns: Sequence[str],
    recipe_columns: frozenset[str],
) -> Written | None:
    values = sent.values()
    if not all(_is_same(values.get(column), record.get(column)) for column in key_columns):
        return None
    masterid, all_masterids, created_at, updated_at = (record.get(name) for name in _SYSTEM)
    own = _parsed(masterid, str)
    if not own:
        return None
    told = _parsed(warnings, _Warnings)
    protected = tuple(told.protected_columns) if told else ()
    compared = [column for column in values if column not in recipe_columns and column not in protected]
    return Written(
        sent,
        own,
        tuple(other for other in _parsed(all_masterids, list[str]) or () if other != own),
        protected,
        tuple(column for column in compared if not _is_same(values[column], record.get(column))),
        _parsed(created_at, datetime),
        _parsed(updated_at, datetime),
    )


def _is_same(sent: msgspec.Raw | None, stored: msgspec.Raw | None) -> bool:
    return sent is not None and stored is not None and (sent == stored or is_same_value(bytes(sent), bytes(stored)))


def _parsed(raw: msgspec.Raw | None, kind: type[T]) -> T | None:
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return None
