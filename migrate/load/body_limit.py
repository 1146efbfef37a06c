"""The largest body that the service takes, learnt from its refusals (413) and kept for the next load.

Octolis documents no limit but 500 records. Where there is one, each batch would be refused and halved anew: so what was
refused once is not sent again, by no dataset, and after a refusal one request alone finds out what is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

from migrate.load.ledger import Ledger
from migrate.load.planned import PlannedRecord
from migrate.load.scheduler import BatchRequest
from migrate.progress import Progress

LESSON = "body_bytes"
_BRACKETS = 2


@dataclass
class BodyLimit:
    """`bytes`: a body may have at most so many, None while nothing was refused. `is_probing`: nobody knows yet."""

    ledger: Ledger
    service: str
    progress: Progress
    bytes: int | None = None
    is_probing: bool = False

    def recall(self) -> None:
        """Takes up what an earlier load has learnt."""
        known = self.ledger.lessons.known(self.service, LESSON)
        if known is None or not known.isdecimal():
            return
        self.bytes = int(known)
        self.progress.note(
            f"bodies have at most {self.bytes:,} bytes, since an earlier load had larger ones refused (413)"
        )

    def refused(self, size: int) -> None:
        """A body of several records and of so many bytes was too large."""
        half = size // 2
        if self.bytes is not None and half >= self.bytes:
            return
        self.bytes, self.is_probing = half, True

    def taken(self, size: int) -> None:
        """A body was taken: what is not larger will be."""
        if not self.is_probing or self.bytes is None or size * 4 < self.bytes:
            return
        self.is_probing = False
        self.ledger.lessons.learn(self.service, LESSON, str(self.bytes))
        self.progress.note(
            f"the service refuses larger bodies (413): from now on they have at most {self.bytes:,} bytes; to plan so, "
            f"set batch_bytes = {self.bytes} under [octolis]"
        )

    def pieces(self, request: BatchRequest) -> list[BatchRequest]:
        """The request in as few as are small enough; itself where it is, or has one record only."""
        if self.bytes is None or len(request.records) == 1 or request.is_read:
            return [request]
        found: list[list[PlannedRecord]] = []
        size = 0
        for record in request.records:
            length = len(record.sent.payload.encode()) + 1
            if not found or size + length + _BRACKETS > self.bytes:
                found.append([])
                size = 0
            found[-1].append(record)
            size += length
        if len(found) == 1:
            return [request]
        return [BatchRequest(request.dataset, request.batch, part) for part in found]
