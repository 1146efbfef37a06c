"""Why a load stops, as its user is told. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from migrate.errors import GateError, GaveUp, Refused
from migrate.load.scheduler import BatchRequest
from migrate.sentence import Sentence
from migrate.target.results import Rejected, Transient

_REASONS = 5


def gave_up(plan: str, request: BatchRequest, failure: Transient, seconds: float) -> GaveUp:
    """The retry budget is spent."""
    if failure.wait_s is None:
        asked = ""
    else:
        asked = f" (the service asked to wait {failure.wait_s:.0f} s)"
    return GaveUp(
        f"dataset {request.dataset}, batch {request.batch}: gave up after {request.tries} tries in {seconds:.0f} s: "
        f"{failure.reason}{asked}",
        hint=f"nothing is lost; when the service is well: migrate load --plan {plan}",
    )


def refuses_all(plan: str, place: str, refused: Rejected) -> Refused:
    """A dataset has refused all that it was sent, of which nothing is settled."""
    return Refused(
        f"{place} refuses every batch: {refused.error}",
        status=refused.status,
        hint="check its id, and that it is not a read-only (SQL) dataset; none of its records counts as rejected; "
        f"then migrate load --plan {plan}",
    )


def say_answers(answers: Sequence[str]) -> Sentence:
    """What the target answered, for a page; the target's own words, which hold no value of a record."""
    return Sentence("the target's answer: {answers}", answers=tuple(answers[:_REASONS]))


def refuses_first(plan: str, place: str, refused: Sequence[Rejected]) -> GateError:
    """A dataset has refused every record of the first request it was sent, each for itself; none of them is settled."""
    reasons = dict.fromkeys(one.error for one in refused)
    head = Sentence(
        "{place} refuses every record of its first batch, {refused} of {refused}; none of them counts "
        "as rejected, and nothing else of it was sent",
        place=place,
        refused=len(refused),
    )
    return GateError(
        f"{head}:\n" + "\n".join(f"- {text}" for text in list(reasons)[:_REASONS]),
        said=[head, say_answers(list(reasons))],
        hint="fix the mapping and make a new plan with `migrate plan`, or have the dataset fixed in Octolis and give "
        f"this again: migrate load --plan {plan}",
    )
