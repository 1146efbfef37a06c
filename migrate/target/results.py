"""What the answer to a batch means, record by record; and what a webhook's receipt means. Pure.

An answer lists one result per record, by position and without an index, so a result is believed only where the list is
as long as the batch and each written record carries the key that was sent at its place. Everything else is `Unclear`.

A webhook takes any JSON and says nothing of single records: an answer of 2xx is a receipt and no proof, since what does
not fit the webhook's settings is discarded, and nothing can be read back. So a batch without an answer that is sent
again may have arrived twice.

**Source**: Octolis Data API, "Batch Upsert records", "Errors", "Webhooks Data API"; what they leave open is read the
cautious way.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from migrate.names import ALL_MASTERIDS, MASTERID, PASSING_STATUSES
from migrate.target.answer import Answer, clean_text, error_title, status_text, without_echo
from migrate.target.values import fold_text, is_same_value

BUSY = 423
# One bad record may have all 500 refused: the batch is halved until the bad one stands alone.
_WHOLE_BATCH_REFUSED = frozenset({400, 413, 422})
_PASSING = PASSING_STATUSES | {BUSY}
_SYSTEM = (MASTERID, ALL_MASTERIDS, "__created_at__", "__updated_at__")
_LONGEST_ERROR = 500
_LONGEST_STORED = 1_000

T = TypeVar("T")
RawRecord = dict[str, msgspec.Raw]


@dataclass(frozen=True)
class AnswerColumns:
    """How the columns of a dataset are compared.

    `key` tells records apart; `recipe` is not compared, since the target prepares it; `times` are compared as
    date-times, None where the types are not known: then any text that looks like one is.
    """

    key: tuple[str, ...]
    recipe: frozenset[str] = frozenset()
    times: frozenset[str] | None = None

    def is_same(self, name: str, sent: RawRecord, stored: RawRecord) -> bool:
        """True when a column holds what was sent."""
        one = sent.get(name)
        other = stored.get(name)
        if one is None or other is None:
            return False
        may_be_time = self.times is None or name in self.times
        return one == other or is_same_value(bytes(one), bytes(other), may_be_time=may_be_time)

    def differing(
        self, sent: RawRecord, stored: RawRecord, protected: Collection[str] = ()
    ) -> tuple[str, ...]:
        """The columns that were sent and are not stored as sent."""
        compared = (name for name in sent if name not in self.recipe and name not in protected)
        return tuple(name for name in compared if not self.is_same(name, sent, stored))


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
    """A record that is stored now. Times are the service's, None where it did not give any.

    `merged_from`: the other ids it goes by, of this merge and of all before it; `continues`: which of them it had
    before a merge gave it a new one. `protected`: columns that were not stored; `altered`: columns stored otherwise
    than sent, and in `stored` the JSON text of each, None where absent.
    """

    sent: SentRecord
    masterid: str
    merged_from: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    stored: tuple[str | None, ...] = field(default=(), repr=False)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    continues: str | None = None

    def was_created(self, since: datetime | None) -> bool:
        """True when this write made the record: created at or after `since`, else never updated after its creation."""
        if self.created_at is None:
            return False
        if since is not None:
            return self.created_at >= since
        return self.created_at == self.updated_at

    def was_there(self, since: datetime | None) -> bool:
        """True when the record is older than `since`, and this write is not the one that made it."""
        if since is None or self.created_at is None:
            return False
        return self.created_at < since and self.created_at != self.updated_at


@dataclass(frozen=True)
class Rejected:
    """A record the service will never take as it is, with the service's reason (no values of the record)."""

    sent: SentRecord
    status: int
    error: str


@dataclass(frozen=True)
class Again:
    """A record that was not taken for a passing reason, or for one whose status (0) nobody can read."""

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


# Each member is read by itself: one that is not as documented must not hide the others, above all not the status.
class _Result(msgspec.Struct):
    written: bool | None = None
    record: RawRecord | None = None
    warnings: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Body(msgspec.Struct):
    results: list[_Result] | None = None
    status: msgspec.Raw = msgspec.Raw()


class _Warnings(msgspec.Struct):
    protected_columns: list[str] = []


class _SchemaError(msgspec.Struct):
    message: msgspec.Raw = msgspec.Raw()
    instancePath: msgspec.Raw = msgspec.Raw()  # noqa: N815 - the service's name
    dataPath: msgspec.Raw = msgspec.Raw()  # noqa: N815 - the service's name
    schemaPath: msgspec.Raw = msgspec.Raw()  # noqa: N815 - the service's name


class _Error(msgspec.Struct):
    # `values`, which repeats the record, is left out on purpose: it holds personal data.
    title: msgspec.Raw = msgspec.Raw()
    detail: msgspec.Raw = msgspec.Raw()
    status: msgspec.Raw = msgspec.Raw()
    missing: msgspec.Raw = msgspec.Raw()
    errors: msgspec.Raw = msgspec.Raw()


def read_answer(
    answer: Answer,
    sent: Sequence[SentRecord],
    columns: AnswerColumns,
) -> Reading:
    """What became of each record of a batch, or why that cannot be told."""
    if answer.status == 0:
        return Transient(answer.reason)
    if answer.is_final:
        return Fatal(answer.status)
    body = _decoded(answer.body)
    # Which status a partly refused batch has is not documented: where there are results, they count.
    if body is not None and body.results is not None and answer.status in (200, 201, 207, 400):
        return _read_results(body.results, sent, columns)
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
        status_in_body = 0 if body is None else _status(body.status)
        if status_in_body < 400:
            return _unreadable(answer, body)
        status = status_in_body
    return read_status(answer, status)


def read_status(answer: Answer, status: int) -> SplitNeeded | Transient | Fatal:
    """What an answer means that is no success, by its status alone."""
    reason = error_title(answer) or status_text(status)
    if status in _WHOLE_BATCH_REFUSED:
        return SplitNeeded(status, reason)
    if status in _PASSING or status >= 500:
        return Transient(
            f"{status_text(status)}", status, answer.retry_after_s, busy=status == BUSY
        )
    return Fatal(status)


def _unreadable(answer: Answer, body: _Body | None) -> Reading:
    # Never a success: a page of a proxy may come with 200, and an upsert sent once more changes nothing twice.
    if body is None:
        return Transient(
            f"{status_text(answer.status)} with a body that is not the documented JSON",
            answer.status,
        )
    return Unclear("the answer lists no results")


def _read_results(
    results: list[_Result], sent: Sequence[SentRecord], columns: AnswerColumns
) -> Reading:
    # A refused record has neither index nor key in the answer; only the place tells whose result it is.
    if len(results) != len(sent):
        return Unclear(f"{len(results)} results for {len(sent)} records")
    verdicts: list[Written | Rejected | Again] = []
    for record, result in zip(sent, results, strict=True):
        verdict = _read_result(result, record, columns)
        if verdict is None:
            return Unclear(
                f"the result at place {len(verdicts) + 1} is not of the record sent there"
            )
        verdicts.append(verdict)
    return Results(tuple(verdicts))


def _read_result(
    result: _Result, sent: SentRecord, columns: AnswerColumns
) -> Written | Rejected | Again | None:
    if result.written is False:
        return _not_written(result, sent)
    if not result.written or result.record is None:
        return None
    # A column that takes no writes is no error: its value is dropped, and named in these warnings only.
    warnings = _parsed(result.warnings, _Warnings)
    return read_record(
        result.record, sent, columns, tuple(warnings.protected_columns) if warnings else ()
    )


def _not_written(result: _Result, sent: SentRecord) -> Rejected | Again:
    error = _parsed(result.error, _Error) or _Error(title=result.error)
    status = _status(error.status)
    text = _error_text(error, sent)
    # A refusal is for good, a passing failure is not: what does not say which one it is counts as passing.
    is_final = 400 <= status < 500 and status not in _PASSING
    if is_final:
        return Rejected(sent, status, text)
    return Again(sent, status, text)


def _status(raw: msgspec.Raw) -> int:
    """A status that is a number, or one as text; 0 where there is none."""
    number = _parsed(raw, int)
    text = _words(raw).strip()
    return number or (int(text) if text.isdecimal() else 0)


def _error_text(error: _Error, sent: SentRecord) -> str:
    missing = [name for name in map(_words, _listed(error.missing)) if name]
    details = [f"missing: {', '.join(missing)}"] if missing else []
    details += [_schema_error_text(item) for item in _listed(error.errors)]
    parts = [part for part in (_words(error.title), _words(error.detail), *details) if part]
    words = "; ".join(dict.fromkeys(parts)) or "no reason given"
    return clean_text(without_echo(words, sent.payload.encode()), _LONGEST_ERROR)


def _schema_error_text(item: msgspec.Raw) -> str:
    error = _parsed(item, _SchemaError)
    if error is None:
        return _words(item)
    place = _words(error.instancePath) or _words(error.dataPath) or _words(error.schemaPath)
    return f"{place} {_words(error.message)}".strip()


def _words(raw: msgspec.Raw) -> str:
    return _parsed(raw, str) or ""


def _listed(raw: msgspec.Raw) -> list[msgspec.Raw]:
    return _parsed(raw, list[msgspec.Raw]) or []


def read_record(
    stored: RawRecord, sent: SentRecord, columns: AnswerColumns, protected: tuple[str, ...] = ()
) -> Written | None:
    """What became of `sent` by the record that the service holds; None where that one is not of the same key."""
    values = sent.values()
    if not all(
        columns.is_same(name, values, stored) or _is_folded(values.get(name), stored.get(name))
        for name in columns.key
    ):
        return None
    masterid, all_masterids, created_at, updated_at = (stored.get(name) for name in _SYSTEM)
    own = _parsed(masterid, str)
    if not own:
        return None
    altered = columns.differing(values, stored, protected)
    return Written(
        sent,
        own,
        # Some answers list the record's own id among them, others do not.
        tuple(other for other in _all_ids(all_masterids) if other != own),
        protected,
        altered,
        tuple(_text_of(stored.get(name)) for name in altered),
        _moment(created_at),
        _moment(updated_at),
    )


def _is_folded(sent: msgspec.Raw | None, stored: msgspec.Raw | None) -> bool:
    """True for two texts that differ in letter case, spaces and Unicode form only: the target may keep its own."""
    one = _parsed(sent, str)
    other = _parsed(stored, str)
    return one is not None and other is not None and fold_text(one) == fold_text(other)


def _all_ids(raw: msgspec.Raw | None) -> list[str]:
    """The ids in a list of JSON, or in the text of one, which may be a database's array: `{a,b}`."""
    listed = _parsed(raw, list[str])
    if listed is not None:
        return listed
    return read_all_ids(_parsed(raw, str) or "")


def read_all_ids(text: str) -> list[str]:
    """The ids in the text of a list, as a database or a CSV export spells it: `{a,b}` or `["a","b"]`."""
    return re.findall(r"[0-9A-Za-z_-]+", text)


def modified_at(stored: RawRecord) -> datetime | None:
    """When the service says that a record was written last."""
    return _moment(stored.get("__modified_at__"))


def _moment(raw: msgspec.Raw | None) -> datetime | None:
    moment = _parsed(raw, datetime)
    # The service's times are UTC, also where it should leave the zone out.
    if moment is not None and moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment


def _text_of(raw: msgspec.Raw | None) -> str | None:
    if raw is None:
        return None
    return bytes(raw).decode("utf-8", "replace")[:_LONGEST_STORED]


def _parsed(raw: msgspec.Raw | None, kind: type[T]) -> T | None:
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        return None


def read_receipt(answer: Answer, sent: Sequence[SentRecord]) -> Reading:
    """What became of each record of a batch as far as a webhook tells: its verdict has no masterid."""
    if answer.status == 0:
        return Transient(answer.reason)
    if answer.is_final:
        return Fatal(answer.status)
    if 200 <= answer.status < 300:
        return Results(tuple(Written(record, masterid="") for record in sent))
    return read_status(answer, answer.status)
