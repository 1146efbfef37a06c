"""Why a load stops, as its user is told. Pure."""

from __future__ import annotations

from migrate.errors import GaveUp, Refused
from migrate.load.scheduler import BatchRequest
from migrate.target.results import Rejected, Transient


def gave_up(plan: str, request: BatchRequest, failure: Transient, seconds: float) -> GaveUp:
    """The retry budget is spent."""
    asked = "" if failure.wait_s is None else f" (the service asked to wait {failure.wait_s:.0f} s)"
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
