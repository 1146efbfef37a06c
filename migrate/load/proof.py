"""Reading a canary back until the target has prepared it, and saying what became of each value that was sent.

**Source**: Octolis Data API: a write answers with the columns as they came, preparation follows, and a read gives what
came of it. So a difference is believed once two looks show the same, after the service says that it wrote the record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Protocol

import msgspec

from migrate.load.planned import DatasetToLoad, PlannedRecord
from migrate.target.results import AnswerColumns, RawRecord, Written, modified_at

PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Between the looks: two minutes in all."""


class RecordReader(Protocol):
    """The read that is needed."""

    def read_record(self, dataset_id: str, masterid: str) -> RawRecord | None:
        """One prepared record, None while there is none of that masterid."""


@dataclass(frozen=True)
class CanaryRecord:
    """A record of the canary that the service took. `expected`: the masterid that the plan updates, None of a new one.

    `was_there`: the plan calls it new, and the target had it before the load.
    """

    batch: int
    record: PlannedRecord
    written: Written
    expected: str | None = None
    was_there: bool = False


@dataclass(frozen=True)
class Proof:
    """What reading the canary gave: a sentence for each difference, none where all is stored as sent.

    `columns`: those that differ. `unseen`: masterids of records that could not be read in time.
    """

    differences: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def prove(
    reader: RecordReader,
    dataset: DatasetToLoad,
    canary: Sequence[CanaryRecord],
    wait: Callable[[float], None],
) -> Proof:
    """Every record of the canary, looked at until it is stored as sent, or twice the same and otherwise."""
    proofs = [_prove_one(reader, dataset, sent, wait) for sent in canary]
    return Proof(
        tuple(dict.fromkeys(chain.from_iterable(proof.differences for proof in proofs))),
        tuple(dict.fromkeys(chain.from_iterable(proof.columns for proof in proofs))),
        tuple(chain.from_iterable(proof.unseen for proof in proofs)),
    )


def _prove_one(
    reader: RecordReader, dataset: DatasetToLoad, sent: CanaryRecord, wait: Callable[[float], None]
) -> Proof:
    columns, masterid = dataset.columns, sent.written.masterid
    last: RawRecord | None = None
    for pause_s in PAUSES_S:
        wait(pause_s)
        stored = reader.read_record(dataset.dataset_id, masterid)
        # Preparation is asynchronous: a read right after the write may show the record as it was.
        if stored is None or _is_older(stored, sent.written):
            continue
        proof = _compare(stored, sent, columns)
        # Preparation may still be under way: a difference is believed once two looks show the same.
        if not proof.differences or (last is not None and last == stored):
            return _with_identity(proof, sent)
        last = stored
    if last is not None:
        return _with_identity(_compare(last, sent, columns), sent)
    return Proof(unseen=(masterid,))


def _is_older(stored: RawRecord, written: Written) -> bool:
    """Whether what is read is what was there before the write."""
    moment = modified_at(stored)
    return moment is not None and written.updated_at is not None and moment < written.updated_at


def _with_identity(proof: Proof, sent: CanaryRecord) -> Proof:
    """What the answer showed beside the values: that the record is another one than the plan took it for."""
    texts = list(proof.differences)
    # A record that was merged into another one is no surprise of the key: the gate on merges judges it.
    known = (None, sent.written.masterid, *sent.written.merged_from)
    if sent.expected not in known:
        texts.append(
            f"the plan updates the record {sent.expected}, and the target took it for {sent.written.masterid}: its "
            "deduplication key is another one than the mapping's `key`"
        )
    if sent.was_there:
        texts.append(
            f"the plan calls the record new, and the target took it for {sent.written.masterid}, which was there: the "
            "dataset has another key beside the mapping's, takes keys for one that differ in letter case, spaces or "
            "Unicode form, or somebody has made the record since the plan"
        )
    return Proof(tuple(texts), proof.columns, proof.unseen)


def _compare(stored: RawRecord, sent: CanaryRecord, columns: AnswerColumns) -> Proof:
    values = sent.record.sent.values()
    protected = sent.written.protected
    named = {
        name: f"column {name}: not stored, since it does not accept writes (protected)"
        for name in protected
    }
    # A recipe's column is the target's to change, and the mapping says so.
    compared = [name for name in values if name not in columns.recipe and name not in protected]
    for name in compared:
        if not columns.is_same(name, values, stored):
            named[name] = f"column {name}: {explain(bytes(values[name]), _raw(stored, name))}"
    return Proof(tuple(named.values()), tuple(named))


def _raw(stored: RawRecord, name: str) -> bytes | None:
    value = stored.get(name)
    return None if value is None else bytes(value)


def explain(sent: bytes, stored: bytes | None) -> str:
    """How a stored JSON value differs from the one that was sent, without either of them: they are a person's."""
    if stored is None:
        return "the target shows no such column"
    one = _decoded(sent)
    other = _decoded(stored)
    if other is None:
        return "sent with a value, stored without one"
    if one is None:
        return "sent as null, stored with a value"
    if type(one) is not type(other) and not (_is_number(one) and _is_number(other)):
        return f"sent as {_kind(one)}, stored as {_kind(other)}"
    if isinstance(one, str) and isinstance(other, str):
        return _explain_text(one, other)
    if _is_number(one) and _is_number(other):
        return _explain_number(Decimal(str(one)), Decimal(str(other)))
    return "stored with another value"


def _explain_text(sent: str, stored: str) -> str:
    one = _moment(sent)
    other = _moment(stored)
    if one is not None and other is not None:
        return _explain_time(one, other)
    if sent.strip() == stored.strip():
        return "stored with other spaces at its ends"
    if sent.casefold() == stored.casefold():
        return "stored with other capital letters"
    if "".join(sent.split()).casefold() == "".join(stored.split()).casefold():
        return "stored with other spaces and capital letters"
    if stored and sent.startswith(stored):
        return f"cut to {len(stored)} of {len(sent)} characters"
    return "stored as another text"


def _explain_time(sent: datetime, stored: datetime) -> str:
    seconds = (stored - sent).total_seconds()
    if not seconds:
        return "stored in another spelling of the same time"
    size = abs(seconds)
    whole = {"days": 86_400, "h": 3_600, "min": 60, "s": 1}
    unit = next(name for name, length in whole.items() if size >= length or name == "s")
    return f"stored {size / whole[unit]:g} {unit} {'later' if seconds > 0 else 'earlier'} than sent"


def _explain_number(sent: Decimal, stored: Decimal) -> str:
    digits = -int(stored.normalize().as_tuple().exponent)
    if digits >= 0 and round(sent, digits) == stored:
        if digits:
            return f"rounded to {digits} digits after the point"
        return "rounded to a whole number"
    return "stored as another number"


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    # The service's times are UTC, and so are ours, whoever leaves the zone out.
    if moment.tzinfo is None:
        return moment
    return moment.replace(tzinfo=None) - (moment.utcoffset() or moment - moment)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if _is_number(value):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"


def _decoded(raw: bytes) -> object:
    try:
        return msgspec.json.Decoder(float_hook=Decimal).decode(raw)
    except (msgspec.DecodeError, InvalidOperation):
        return raw.decode("utf-8", "replace")
