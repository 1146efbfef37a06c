"""Whether saved files hold a whole list, from what is inside of them or what a person vouches for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migrate.sentence import Sentence, one_after_other
from migrate.snapshot.layout import Expectation
from migrate.source.saved_files import SavedAnswer
from migrate.source.verdict import Verdict, signed

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
        found = {answer.announced_records for answer in self.answers}
        return sorted(total for total in found if total is not None)


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
