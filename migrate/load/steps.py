"""What may follow from the end of a request: one small value for each thing that is done."""

from __future__ import annotations

from dataclasses import dataclass

from migrate.errors import MigrateError
from migrate.load.body_limit import BodyLimit
from migrate.load.scheduler import BatchRequest, Busy
from migrate.target.results import Rejected, Written


@dataclass(frozen=True)
class MarkFailed:
    """The ledger keeps that the request failed. `applied`: the service may have taken it."""

    reason: str
    applied: bool


@dataclass(frozen=True)
class MarkSplit:
    """The ledger keeps that the service refused the request as a whole."""


@dataclass(frozen=True)
class MarkHalved:
    """The ledger keeps that the pieces of a batch are sent one by one, since it keeps failing."""


@dataclass(frozen=True)
class Settle:
    """The last word on some records. `is_refusal_kept`: the answer's own ids are in the ledger already."""

    verdicts: tuple[Written | Rejected, ...]
    is_refusal_kept: bool = False


@dataclass(frozen=True)
class SettleSeen:
    """The same by what was read in the target."""

    verdicts: tuple[Written, ...]


@dataclass(frozen=True)
class Succeed:
    """The dataset takes writes: what was held back goes once more."""


@dataclass(frozen=True)
class SendAgain:
    """Requests go back to the queue, before all others where they are pieces of one."""

    requests: tuple[BatchRequest, ...]
    is_first: bool = False


@dataclass(frozen=True)
class Park:
    """The dataset is busy, and waits as `busy` says. `is_over`: for too long, so the rest of it is for another run."""

    busy: Busy
    is_over: bool = False


@dataclass(frozen=True)
class SetAside:
    """A record that makes the service fail is left to another run. `is_known`: it did so in an earlier one."""

    request: BatchRequest
    reason: str
    is_known: bool = False


@dataclass(frozen=True)
class LeaveUnknown:
    """Nobody can tell in this run what became of these records."""

    request: BatchRequest


@dataclass(frozen=True)
class Hold:
    """A record was refused alone before the dataset has taken any: that may be no fault of its own."""

    request: BatchRequest
    refused: Rejected


@dataclass(frozen=True)
class RefuseCanary:
    """The canary's records were refused; the canary says what follows."""

    refused: tuple[Rejected, ...]


@dataclass(frozen=True)
class LearnLimit:
    """What is known by now of the largest body."""

    limit: BodyLimit


@dataclass(frozen=True)
class Note:
    """A sentence for whoever waits."""

    text: str


@dataclass(frozen=True)
class Stop:
    """The load has to stop."""

    error: MigrateError


Step = (
    MarkFailed | MarkSplit | MarkHalved | Settle | SettleSeen | Succeed | SendAgain | Park | SetAside
    | LeaveUnknown | Hold | RefuseCanary | LearnLimit | Note | Stop
)  # fmt: skip
Steps = tuple[Step, ...]
