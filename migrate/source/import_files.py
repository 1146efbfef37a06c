"""Saved files into a snapshot: what `extract` does, with files in the place of the API.

Whether the files hold a whole list is judged from what is inside of them, or from what a person vouches for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from pathlib import Path

import polars as pl

from migrate import __version__
from migrate.errors import Interrupted, UsageError
from migrate.progress import Progress
from migrate.sentence import Sentence, one_after_other
from migrate.sentence import write_parts as write_sentence
from migrate.snapshot.layout import FORMAT, Begun, Expectation, SavedFile, SealedResource
from migrate.snapshot.parts import write_beside, write_doubles
from migrate.snapshot.same_records import survey
from migrate.snapshot.spool import Spool
from migrate.snapshot.writing import SnapshotWriter, begin_or_resume
from migrate.source.extract import Extraction, describe, write_parts
from migrate.source.fetch import store_page
from migrate.source.reading import ListReading
from migrate.source.resources import Resource
from migrate.source.saved_files import SavedAnswer, SavedFileTally, SavedPages, find_files
from migrate.source.saved_values import check_encoding
from migrate.source.verdict import Observation, Verdict, signed
from migrate.workspace import Workspace


@dataclass(frozen=True)
class ImportRequest:
    """What to take from `folder`; `named` are the resources asked for by name.

    `encoding`: of what is no UTF-8. `expect`: how many records there are of a resource, as
    `vouched_by` says. For the rest see ExtractRequest.
    """

    folder: Path
    resources: tuple[Resource, ...]
    named: Sequence[str]
    snapshot: str | None
    page_sizes: Mapping[str, int]
    project_id: str
    force_unlock: bool = False
    encoding: str | None = None
    expect: Mapping[str, int] = field(default_factory=dict)
    vouched_by: str = "somebody"


def import_files(
    workspace: Workspace,
    request: ImportRequest,
    progress: Progress,
    stop: threading.Event,
    now: Callable[[], datetime],
) -> Extraction:
    """A finished snapshot of what the files hold.

    **Guarantees**: as for an extract, but an interrupted resource is read again from its first file.

    **Raises**: UsageError, Damaged, WorkspaceError; Interrupted.
    """
    if request.encoding:
        check_encoding(request.encoding)
    _check_expectations(request)
    files = find_files(request.folder, request.resources, request.named)
    begun = Begun(
        format=FORMAT,
        name="",
        # The folder stands for the service: files from another one would be another list.
        base_url=request.folder.resolve().as_uri(),
        project_id=request.project_id,
        resources=[resource.name for resource in request.resources],
        page_sizes={
            resource.name: request.page_sizes[resource.name] for resource in request.resources
        },
        tool_version=__version__,
        started=now().isoformat(),
        expect=dict(sorted(request.expect.items())),
        encoding=request.encoding,
    )
    with begin_or_resume(
        workspace, request.snapshot, begun, now, force_unlock=request.force_unlock
    ) as writer:
        manifest = writer.finished
        if manifest is None:
            for resource in request.resources:
                if resource.name not in writer.sealed:
                    paths = files[resource.name]
                    task = _Import(request, writer, resource, paths, progress, stop, now)
                    writer.seal(resource.name, task.run())
            manifest = writer.finish(now(), stop, progress)
    return Extraction(
        manifest.name, writer.folder, {n: sealed.result for n, sealed in manifest.resources.items()}
    )


def _check_expectations(request: ImportRequest) -> None:
    taken = [resource.name for resource in request.resources]
    for name in request.expect:
        if name not in taken:
            raise UsageError(
                f"--expect {name}: that is none of the resources taken here",
                hint=f"they are {', '.join(taken)}",
            )


@dataclass(frozen=True)
class _Import:
    request: ImportRequest
    writer: SnapshotWriter
    resource: Resource
    paths: Sequence[Path]
    progress: Progress
    stop: threading.Event
    now: Callable[[], datetime]

    def run(self) -> SealedResource:
        began = time.monotonic()
        name = self.resource.name
        spool = Spool(self.writer.folder / name)
        spool.open()
        # Files are quick to read again, and one may have been replaced since the interruption.
        spool.forget(1)
        pages = SavedPages(self.resource, self.request.folder, self.paths, self.request.encoding)
        self.progress.begin(name, total=None, unit="records")
        try:
            self._store(spool, pages)
            found = survey(spool, self.resource.fields)
            parts = write_parts(spool, found.left_out, self.writer.folder)
            doubles = write_doubles(spool, found.changed, self.writer.folder)
            unread = write_beside(spool, found.left_out, pl.DataFrame(), self.writer.folder)
        finally:
            self.progress.end(name)
        saved = self._list_of(pages, found.distinct, _troubles(spool, parts.unparsed))
        announced = announced_by(saved)
        verdict, reason = judge_saved(saved)
        seen = Observation(announced, announced, found.distinct, False, 0)
        result = replace(
            describe(
                spool,
                ListReading(seen, found, 0, found.left_out),
                parts,
                0,
                time.monotonic() - began,
            ),
            verdict=verdict,
            reason=str(reason),
            reason_parts=write_sentence(reason),
            files=[_entry_of(file) for file in pages.files],
            expected=saved.expected,
        )
        return SealedResource(result, parts.columns, parts.entries, beside=[*doubles, *unread])

    def _list_of(self, pages: SavedPages, distinct: int, troubles: list[str]) -> SavedList:
        wanted = self.request.expect.get(self.resource.name)
        vouched = (self.request.vouched_by, self.now().isoformat(timespec="seconds"))
        return SavedList(
            resource=self.resource.name,
            distinct=distinct,
            loose=sum(file.loose for file in pages.files),
            files=len(pages.files),
            answers=list(chain.from_iterable(file.answers for file in pages.files)),
            expected=None if wanted is None else Expectation(wanted, *vouched),
            troubles=troubles,
        )

    def _store(self, spool: Spool, pages: SavedPages) -> None:
        place = 0
        for page in pages.read(self.request.page_sizes[self.resource.name]):
            if self.stop.is_set():
                raise Interrupted(
                    f"{self.resource.name}: interrupted; what was read of it is read again",
                    hint=f"migrate extract --from-files DIR --snapshot {self.writer.begun.name}",
                )
            spool.record(store_page(page, spool, self.resource.fields, place))
            place += len(page.items)
            self.progress.advance(self.resource.name, len(page.items))


def _troubles(spool: Spool, unparsed: int) -> list[str]:
    """What of the files did not become records with fields."""
    beyond = sum(len(entry.unread) for entry in spool.entries())
    counts = {"beyond": beyond, "unparsed": unparsed}
    return [Sentence(*TROUBLES[what], count=count) for what, count in counts.items() if count]


TROUBLES = {
    "beyond": (
        "{count} record is beyond the bounds of what is read",
        "{count} records are beyond the bounds of what is read",
    ),
    "unparsed": (
        "{count} record holds text that is no JSON object",
        "{count} records hold text that is no JSON object",
    ),
}


def _entry_of(file: SavedFileTally) -> SavedFile:
    return SavedFile(file.name, file.records, len(file.answers), file.loose)


_SHOWN = 5


@dataclass(frozen=True)
class SavedList:
    """What was read of one resource's files. `loose`: records outside of list answers."""

    resource: str
    distinct: int
    loose: int
    files: int
    answers: Sequence[SavedAnswer]
    expected: Expectation | None = None
    troubles: Sequence[str] = ()

    @property
    def totals(self) -> list[int]:
        """The different totals that answers announced."""
        announced = {answer.announced_records for answer in self.answers}
        return sorted(total for total in announced if total is not None)


def announced_by(saved: SavedList) -> int | None:
    """The number of records there should be: the answers' own, or the one vouched for."""
    if len(saved.totals) == 1:
        return saved.totals[0]
    return saved.expected.records if saved.expected else None


def judge_saved(saved: SavedList) -> tuple[Verdict, str]:
    """The verdict and its reason in one sentence.

    A total inside of the answers proves most, then pages 1 to n without a gap, then a person's word.
    What contradicts another stops it.
    """
    totals, expected = saved.totals, saved.expected
    contradiction = _contradiction(saved)
    if contradiction is not None:
        verdict, why = contradiction
        return verdict, one_after_other([why, _received(saved)])
    if totals:
        count = len(saved.answers)
        said = Sentence(
            "{wanted} announced by {count} saved answer",
            "{wanted} announced by {count} saved answers",
            wanted=totals[0],
            count=count,
        )
        return _against(totals[0], saved.distinct, said)
    if expected:
        said = Sentence(
            "{wanted} vouched for by {by} (--expect)", wanted=expected.records, by=expected.by
        )
        return _against(expected.records, saved.distinct, said)
    return _by_pages(saved)


def _contradiction(saved: SavedList) -> tuple[Verdict, str] | None:
    """What speaks against the files by itself: trouble with them, or two numbers that differ."""
    totals, expected = saved.totals, saved.expected
    if saved.troubles:
        return "unproven", saved.troubles[0]
    if len(totals) > 1:
        return "drifted", Sentence(
            "the saved answers announce between {least} and {most} records: the list changed while it was saved",
            least=totals[0],
            most=totals[-1],
        )
    if totals and expected and totals[0] != expected.records:
        return "unproven", Sentence(
            "the saved answers announce {announced} records, but --expect says {expected}",
            announced=totals[0],
            expected=expected.records,
        )
    return None


def _against(wanted: int, distinct: int, said: Sentence) -> tuple[Verdict, str]:
    if wanted == distinct:
        return "proven", Sentence(
            "{said}, {distinct} distinct records received", said=said, distinct=distinct
        )
    return "unproven", Sentence(
        "{said}, but {distinct} distinct received ({difference})",
        said=said,
        distinct=distinct,
        difference=signed(distinct - wanted),
    )


def _by_pages(saved: SavedList) -> tuple[Verdict, str]:
    pages = {answer.page for answer in saved.answers if answer.page is not None}
    counts = {answer.announced_pages for answer in saved.answers} - {None}
    numbered = all(answer.page is not None for answer in saved.answers)
    last = _last_page(saved, counts)
    if saved.loose or not numbered or last is None:
        nothing = Sentence("nothing in the files says how many there should be")
        return "unproven", one_after_other([nothing, _received(saved), _advice(saved)])
    missing = [page for page in range(1, last + 1) if page not in pages]
    if missing:
        shown = ", ".join(map(str, missing[:_SHOWN])) + (", …" if len(missing) > _SHOWN else "")
        lacking = Sentence(
            "of {pages} pages {count} is missing ({shown})",
            "of {pages} pages {count} are missing ({shown})",
            pages=last,
            count=len(missing),
            shown=shown,
        )
        return "unproven", one_after_other([lacking, _received(saved)])
    whole = Sentence("pages 1 to {last} without a gap", last=last)
    return "proven", Sentence("{first}, {more}", first=whole, more=_received(saved))


def _last_page(saved: SavedList, counts: set[int | None]) -> int | None:
    """The number of the list's last page; None where nothing says it.

    Either every answer's number of pages, or an empty page: the list ends before it. A short page
    says nothing, since a server may cap what it is asked for.
    """
    if len(counts) == 1 and all(answer.announced_pages is not None for answer in saved.answers):
        return counts.pop()
    if counts:
        return None
    empty = [answer.page for answer in saved.answers if not answer.rows and answer.page]
    return min(empty) - 1 if empty else None


def _received(saved: SavedList) -> Sentence:
    return Sentence(
        "{distinct} distinct records received from {count} file",
        "{distinct} distinct records received from {count} files",
        distinct=saved.distinct,
        count=saved.files,
    )


def _advice(saved: SavedList) -> Sentence:
    option = f"--expect {saved.resource}={saved.distinct}"
    return Sentence("if that is all of them, vouch for it: {option}", option=option)
