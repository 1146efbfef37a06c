"""The heavy work of an extract as tasks with values in and values out, so that any process may do them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from migrate.errors import WorkspaceError
from migrate.net.retry import TransientError
from migrate.snapshot.parts import AlignTask, PartDone, PartTask, align_part, write_part
from migrate.snapshot.records import IdentityFields, identify_page, identities_digest
from migrate.snapshot.spool import PageEntry, Spool, Unread
from migrate.source.page import (
    DamagedTextError,
    Page,
    read_damaged_page,
    read_page,
    take_within_bounds,
)


class PageTask(msgspec.Struct, frozen=True, tag=True):
    """A list answer to be read and written into the spool in `folder`.

    `first_place`: that of its first record in the whole list, from 0. `fix`: bytes that are no UTF-8 are taken for
    what the service has stored.
    """

    folder: str
    fields: IdentityFields
    number: int
    body: bytes
    first_place: int
    fix: bool = False


class PageDone(msgspec.Struct, frozen=True, tag=True):
    """A page whose file is written."""

    entry: PageEntry


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Why a task came to nothing: a fault that may pass, or one of the workspace."""

    what: str
    hint: str | None = None
    may_pass: bool = False
    is_damaged_text: bool = False

    def error(self) -> Exception:
        """The error to raise."""
        if self.is_damaged_text:
            return DamagedTextError(self.what)
        if self.may_pass:
            return TransientError(self.what)
        return WorkspaceError(self.what, hint=self.hint)


Task = PageTask | PartTask | AlignTask
Result = PageDone | PartDone | Failed


def perform(task: Task) -> Result:
    """What became of a task. Raises nothing that a user could fix."""
    try:
        if isinstance(task, PartTask):
            return write_part(task)
        if isinstance(task, AlignTask):
            return align_part(task)
        read = read_damaged_page if task.fix else read_page
        page = read(task.number, task.body)
        return PageDone(store_page(page, Spool(Path(task.folder)), task.fields, task.first_place))
    except TransientError as error:
        is_damaged_text = isinstance(error, DamagedTextError)
        return Failed(error.reason, may_pass=True, is_damaged_text=is_damaged_text)
    except WorkspaceError as error:
        return Failed(error.what, error.hint)


def store_page(
    page: Page, spool: Spool, fields: IdentityFields, first_place: int | None = None
) -> PageEntry:
    """The page's entry, its file written; it does not count yet. Runs in any thread or process.

    `first_place`: that of the first record in the whole list, from 0; None where the page stands for no place, and a
    record beyond the bounds is not noted.
    """
    received = page.items
    page, beyond = take_within_bounds(page)
    records = identify_page(page.number, page.items, fields)
    damaged = sorted(page.damaged)
    for row in damaged:
        # What an id was cannot be told any more; two records could look like one.
        if _is_mended(records.ids[row]) or _is_mended(records.sources[row]):
            records.ids[row] = None
    entry = PageEntry(
        number=page.number,
        rows=len(page.items),
        bytes=sum(map(len, page.items)),
        identities_sha256=identities_digest(records),
        file="",
        file_sha256="",
        announced_records=page.announced_records,
        announced_pages=page.announced_pages,
        damaged=tuple(damaged),
    )
    if beyond and first_place is not None:
        places = {first_place + row + 1: row for row in beyond}
        unread = tuple(
            Unread(place, beyond[row], spool.keep_bytes(place, received[row]))
            for place, row in places.items()
        )
        # Without them the page is smaller than the service's pages are.
        entry = replace(entry, unread=unread, in_pieces=True)
    return spool.write(records, entry, [page.damaged[row] for row in damaged])


def _is_mended(text: str | None) -> bool:
    return text is not None and "\N{REPLACEMENT CHARACTER}" in text
