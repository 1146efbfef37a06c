"""Whether saved files hold a whole list, from what is inside of them or what a person vouches for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migrate.snapshot.layout import Expectation
from migrate.source.saved_files import SavedAnswer
from migrate.source.verdict import Verdict

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
    if saved.troubles:
        return "unproven", f"{saved.troubles[0]}; {_received(saved)}"
    totals = saved.totals
    if len(totals) > 1:
        return "drifted", (
            f"the saved answers announce between {totals[0]:,} and {totals[-1]:,} records: the list "
            f"changed while it was saved; {_received(saved)}"
        )
    expected = saved.expected
    if totals and expected and totals[0] != expected.records:
        return "unproven", (
            f"the saved answers announce {totals[0]:,} records, but --expect says "
            f"{expected.records:,}; {_received(saved)}"
        )
    if totals:
        count = len(saved.answers)
        said = f"announced by {count:,} saved {'answer' if count == 1 else 'answers'}"
        return _against(totals[0], saved.distinct, said)
    if expected:
        return _against(
            expected.records, saved.distinct, f"vouched for by {expected.by} (--expect)"
        )
    return _by_pages(saved)


def _against(wanted: int, distinct: int, said: str) -> tuple[Verdict, str]:
    if wanted == distinct:
        return "proven", f"{wanted:,} {said}, {distinct:,} distinct records received"
    difference = f"{distinct - wanted:+,}"
    return "unproven", f"{wanted:,} {said}, but {distinct:,} distinct received ({difference})"


def _by_pages(saved: SavedList) -> tuple[Verdict, str]:
    pages = {answer.page for answer in saved.answers if answer.page is not None}
    counts = {answer.announced_pages for answer in saved.answers} - {None}
    numbered = all(answer.page is not None for answer in saved.answers)
    last = _last_page(saved, counts)
    if saved.loose or not numbered or last is None:
        return "unproven", (
            f"nothing in the files says how many there should be; {_received(saved)}; {_advice(saved)}"
        )
    missing = [page for page in range(1, last + 1) if page not in pages]
    if missing:
        shown = ", ".join(map(str, missing[:_SHOWN])) + (", …" if len(missing) > _SHOWN else "")
        return "unproven", (
            f"of {last:,} pages {len(missing):,} are missing ({shown}); {_received(saved)}"
        )
    return "proven", f"pages 1 to {last:,} without a gap, {_received(saved)}"


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


def _received(saved: SavedList) -> str:
    files = f"{saved.files:,} file" if saved.files == 1 else f"{saved.files:,} files"
    return f"{saved.distinct:,} distinct records received from {files}"


def _advice(saved: SavedList) -> str:
    return f"if that is all of them, vouch for it: --expect {saved.resource}={saved.distinct}"
