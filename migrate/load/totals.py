"""What the ledger adds up to, per dataset and over all runs of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Totals:
    """Counts of one dataset of a plan. `planned = written + rejected + waiting + deferred + open`.

    `sent`: records that were in at least one request. `unknown`: those of `open` that may be stored, since nobody could
    tell from the answers. `merged`: masterids that ceased to exist. `protected` and `altered`: records with at least
    one column that was not stored, or not as sent; by column in `protected_columns` and `altered_columns`. `seconds`:
    time with a request in flight, or waiting for a busy dataset; `busy_s`: the waiting alone. `readbacks`: times that
    an unclear answer was settled by reading. `target`: `webhook` for a feed, of which `written` records were handed
    over and nothing can be read back; `repeated` of them may have arrived twice, since an answer to them was lost.
    `waiting`: records that were not sent, since the target has refused one that they refer to. `handed_over`: those of
    `open` that are in files, and that nobody has seen in the target yet.
    """

    planned: int = 0
    sent: int = 0
    written: int = 0
    created: int = 0
    updated: int = 0
    merged: int = 0
    rejected: int = 0
    deferred: int = 0
    protected: int = 0
    altered: int = 0
    requests: int = 0
    throttled_429: int = 0
    busy_423: int = 0
    seconds: float = 0.0
    open: int = 0
    batches: int = 0
    batches_done: int = 0
    count_before: int | None = None
    server_time: float | None = None
    unknown: int = 0
    busy_s: float = 0.0
    readbacks: int = 0
    target: str = "dataset"
    repeated: int = 0
    waiting: int = 0
    handed_over: int = 0
    protected_columns: Mapping[str, int] = field(default_factory=dict)
    altered_columns: Mapping[str, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Records of which the last word is known."""
        return self.written + self.rejected + self.waiting


@dataclass(frozen=True)
class CountMark:
    """What the service counted while the load ran, and the numbers between which the ledger expects it. Units: records.

    `least` and `most` differ by what was in flight; a count outside says that something happened up to here.
    """

    batches_done: int
    count: int
    least: int
    most: int


@dataclass(frozen=True)
class Failure:
    """A request that failed, as the service's support asks for it; never a value of the payload."""

    at: float
    dataset: str
    batch: int
    status: int
    reason: str
    request_id: str
    traceparent: str
    payload_sha256: str


@dataclass(frozen=True)
class SettledRecord:
    """The last word on one record: `state` is `written`, `rejected` or `waiting`."""

    batch: int
    position: int
    key: str
    state: str
    change: str | None
    masterid: str | None
    protected: tuple[str, ...]
    altered: tuple[str, ...]
    status: int | None
    error: str | None
    settled_at: float
    stored: tuple[str | None, ...] = ()
