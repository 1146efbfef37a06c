"""The ledger's rows: what is kept of a settled record, and what a batch of them adds up to. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from migrate.target.results import Rejected, SentRecord, Written

Verdicts = Sequence[tuple[Written | Rejected, str | None]]


class RecordRow(NamedTuple):
    """A row of the table `records`."""

    dataset: int
    batch: int
    position: int
    key: str
    state: str
    change: str | None
    masterid: str | None
    merged_from: str | None
    protected: str | None
    altered: str | None
    status: int | None
    error: str | None
    settled_at: float
    stored: str | None


def row_of(
    dataset: int, batch: int, verdict: Written | Rejected, change: str | None, now: float
) -> RecordRow:
    """The row of one verdict."""
    sent = verdict.sent
    if isinstance(verdict, Rejected):
        why = (verdict.status, verdict.error)
        return RecordRow(
            dataset,
            batch,
            sent.position,
            sent.key,
            "rejected",
            None,
            None,
            None,
            None,
            None,
            *why,
            now,
            None,
        )
    names = (_json(verdict.merged_from), _json(verdict.protected), _json(verdict.altered))
    head = (dataset, batch, sent.position, sent.key, "written", change, verdict.masterid or None)
    return RecordRow(*head, *names, None, None, now, _json(verdict.stored))


def waiting_row(dataset: int, batch: int, sent: SentRecord, why: str, now: float) -> RecordRow:
    """The row of a record that is not sent, since another one has to be there before it."""
    head = (dataset, batch, sent.position, sent.key, "waiting")
    return RecordRow(*head, None, None, None, None, None, None, why, now, None)


def once_created(rows: Iterable[RecordRow], known: set[str]) -> Iterator[RecordRow]:
    """The rows, where a record that an earlier row made or changed is an update: it exists only once in the target."""
    for row in rows:
        is_known = row.change == "create" and row.masterid in known
        yield row._replace(change="update") if is_known else row
        if row.masterid:
            known.add(row.masterid)


def continued_in(verdicts: Verdicts) -> set[str]:
    """The ids that records had before a merge gave them new ones."""
    return {
        verdict.continues
        for verdict, _ in verdicts
        if isinstance(verdict, Written) and verdict.continues is not None
    }


def gone_of(rows: Iterable[RecordRow]) -> list[tuple[int, str, str | None, int, int]]:
    """The masterids that the rows list as merged, as rows of the table `merges`."""
    gone: list[tuple[int, str, str | None, int, int]] = []
    for row in rows:
        place = (row.masterid, row.batch, row.position)
        gone += [(row.dataset, other, *place) for other in json.loads(row.merged_from or "[]")]
    return gone


def counts_of(rows: Sequence[RecordRow]) -> dict[str, int]:
    """What the rows add to each sum of their batch."""
    return {
        "written": sum(row.state == "written" for row in rows),
        "created": sum(row.change == "create" for row in rows),
        "rejected": sum(row.state == "rejected" for row in rows),
        "waiting": sum(row.state == "waiting" for row in rows),
        "protected": sum(row.protected is not None for row in rows),
        "altered": sum(row.altered is not None for row in rows),
    }


def losses_of(rows: Iterable[RecordRow]) -> dict[tuple[str, str], int]:
    """Records by kind of loss (`protected`, `altered`) and column."""
    losses: Counter[tuple[str, str]] = Counter()
    for row in rows:
        losses.update(("protected", name) for name in json.loads(row.protected or "[]"))
        losses.update(("altered", name) for name in json.loads(row.altered or "[]"))
    return dict(losses)


def _json(values: Sequence[str | None]) -> str | None:
    if values:
        return json.dumps(values, ensure_ascii=False)
    return None
