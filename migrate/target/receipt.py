"""What a webhook's answer to a batch means. Pure.

A webhook takes any JSON and says nothing of single records: an answer of 2xx is a receipt and no proof, since what does
not fit the webhook's settings is discarded, and nothing can be read back. So a batch without an answer that is sent
again may have arrived twice.

**Source**: Octolis Data API, "Webhooks Data API".
"""

from __future__ import annotations

from collections.abc import Sequence

from migrate.target.answer import Answer
from migrate.target.results import (
    Fatal,
    Reading,
    Results,
    SentRecord,
    Transient,
    Written,
    read_status,
)


def read_receipt(answer: Answer, sent: Sequence[SentRecord]) -> Reading:
    """What became of each record of a batch as far as a webhook tells: its verdict has no masterid."""
    if answer.status == 0:
        return Transient(answer.reason)
    if answer.is_final:
        return Fatal(answer.status)
    if 200 <= answer.status < 300:
        return Results(tuple(Written(record, masterid="") for record in sent))
    return read_status(answer, answer.status)
