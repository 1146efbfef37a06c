"""The largest body that the service takes, learnt from its refusals (413) and kept for the next load. Pure.

Octolis documents no limit but 500 records. Where there is one, each batch would be refused and halved anew: so what was
refused once is not sent again, by no dataset, and after a refusal one request alone finds out what is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from migrate.load.planned import PlannedRecord
from migrate.load.scheduler import BatchRequest

LESSON = "body_bytes"
_BRACKETS = 2
_WORTH_TRYING = 4
"""A body of a quarter of the limit says something about it, a smaller one does not."""


@dataclass(frozen=True)
class BodyLimit:
    """`bytes`: a body may have at most so many, None while nothing was refused. `is_probing`: nobody knows yet."""

    bytes: int | None = None
    is_probing: bool = False

    @property
    def told(self) -> str:
        """The sentence about a limit that was found."""
        return (
            f"the service refuses larger bodies (413): from now on they have at most {self.bytes:,} bytes; to plan so, "
            f"set batch_bytes = {self.bytes} under [octolis]"
        )

    def refused(self, size: int) -> BodyLimit:
        """What is known once a body of several records and of so many bytes was too large."""
        # Nothing says how large is too large, so the limit is halved until a body is taken.
        half = size // 2
        if self.bytes is not None and half >= self.bytes:
            return self
        return BodyLimit(half, is_probing=True)

    def taken(self, size: int) -> BodyLimit:
        """What is known once a body was taken: what is not larger will be."""
        if not self.is_probing or self.bytes is None or size * _WORTH_TRYING < self.bytes:
            return self
        return replace(self, is_probing=False)

    def pieces(self, request: BatchRequest) -> list[BatchRequest]:
        """The request in as few as are small enough; itself where it is, or has one record only."""
        # A record alone cannot be cut: that it is too large the service has to say.
        if self.bytes is None or len(request.records) == 1 or request.is_read:
            return [request]
        parts: list[list[PlannedRecord]] = []
        size = 0
        for record in request.records:
            length = len(record.sent.payload.encode()) + 1
            if not parts or size + length + _BRACKETS > self.bytes:
                parts.append([])
                size = 0
            parts[-1].append(record)
            size += length
        if len(parts) == 1:
            return [request]
        return [BatchRequest(request.dataset, request.batch, part) for part in parts]


def recalled_limit(lesson: str | None) -> BodyLimit:
    """What an earlier load has learnt; nothing where its lesson cannot be read."""
    if lesson is not None and lesson.isdecimal():
        return BodyLimit(int(lesson))
    return BodyLimit()
