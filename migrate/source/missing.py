"""Records that an earlier reading delivered and the last one did not, each asked for alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from migrate.errors import Refused
from migrate.net.retry import TransientError
from migrate.snapshot.readings import Stray
from migrate.snapshot.records import identify_page
from migrate.source.page import Page
from migrate.source.read_pages import ListContext

_TRIES = 3
_GONE_STATUSES = frozenset({400, 404, 410})
"""**Source**: none of the documents says how an unknown id is answered, so all that is usual counts."""


class Whereabouts(Enum):
    """What the service says of one record."""

    THERE = "there"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass
class Found:
    """The records asked for, by what became of them. `bodies` has what came of those there, as pages of one."""

    there: list[Stray] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    gone: list[Stray] = field(default_factory=list)
    unknown: list[Stray] = field(default_factory=list)


def ask_alone(context: ListContext, missing: Sequence[Stray], known: Stray | None) -> Found:
    """What became of these records. `known` was delivered by the last reading, and shows that asking tells something.

    **Raises**: Interrupted; GaveUp where the service has gone down; Refused for the key.
    """
    found = Found()
    if not missing:
        return found
    context.progress.note(
        f"{context.name}: {len(missing):,} records that came before did not come again; "
        "asking for each of them alone"
    )
    with context.open_pool(context.concurrency) as pool:
        for at in range(0, len(missing), context.concurrency):
            context.check_stop()
            few = missing[at : at + context.concurrency]
            for stray, (where, body) in zip(
                few, pool.map(lambda s: _ask(context, s), few), strict=True
            ):
                _sort(found, stray, where, body)
            context.service.tell_notes()
    if found.gone and (known is None or _ask(context, known)[0] is not Whereabouts.THERE):
        # A service that does not even have what it has just delivered tells nothing here.
        found.unknown += found.gone
        found.gone = []
    return found


def _sort(found: Found, stray: Stray, where: Whereabouts, body: bytes) -> None:
    if where is Whereabouts.THERE:
        found.there.append(stray)
        found.bodies.append(body)
    elif where is Whereabouts.GONE:
        found.gone.append(stray)
    else:
        found.unknown.append(stray)


def _ask(context: ListContext, stray: Stray) -> tuple[Whereabouts, bytes]:
    if stray.id is None or stray.source is None:
        return Whereabouts.UNKNOWN, b""
    resource = context.fetcher.resource
    attempts = context.service.attempts(f"Datatrics: one record of {resource.name}")
    while True:
        try:
            body = context.service.ask_one(resource, stray.id, stray.source)
        except Refused as error:
            if error.status not in _GONE_STATUSES:
                raise
            return Whereabouts.GONE, b""
        except TransientError as error:
            if error.wait_s is None and attempts.failures + 1 >= _TRIES:
                context.fetcher.wait_until_well()
                return Whereabouts.UNKNOWN, b""
            attempts.wait_after(error)
        else:
            return _judge(context, stray, body), body or b""


def _judge(context: ListContext, stray: Stray, body: bytes | None) -> Whereabouts:
    """A status of 200 does not mean that there is a record: its identity does."""
    if body is None:
        return Whereabouts.GONE
    try:
        body.decode()
    except UnicodeDecodeError:
        return Whereabouts.UNKNOWN
    record = identify_page(0, [body.strip()], context.fetcher.resource.fields)
    if record.ids == [stray.id] and record.sources[0] in (stray.source, None):
        return Whereabouts.THERE
    if record.ids == [None]:
        return Whereabouts.GONE
    return Whereabouts.UNKNOWN


def page_of(bodies: Sequence[bytes]) -> Page:
    """Records that came alone as a page, which is none of the list's."""
    return Page(0, tuple(body.strip() for body in bodies), None, None)
