"""Whether what a plan was made from is still there as it was, for what looks back at a load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrate.errors import Stale
from migrate.plan.open_plan import check_fresh

if TYPE_CHECKING:
    from migrate.app.context import Context
    from migrate.plan.open_plan import Plan


def check_as_loaded(context: Context, plan: Plan, what: str, then: str) -> None:
    """Nothing, when the plan's inputs are what they were. Raises Stale, saying that they are to be brought back.

    A new plan would not do: `what` works out again what was loaded. `then`: what to do afterwards.
    """
    try:
        check_fresh(plan, context.project, context.workspace)
    except Stale as error:
        hint = f"{what} needs the files and settings that were loaded: bring them back as they were, then {then}"
        raise Stale(error.what, hint=hint) from None
