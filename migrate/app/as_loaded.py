"""The project as it was when a plan was made, for what looks back at its load."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from migrate.errors import Stale
from migrate.plan.carried import FOLDER, check_carried
from migrate.plan.open_plan import check_fresh, snapshot_changes

if TYPE_CHECKING:
    from migrate.app.context import Context
    from migrate.config import Project
    from migrate.plan.open_plan import Plan


def as_loaded(context: Context, plan: Plan, what: str | None = None, then: str = "") -> Context:
    """The context with the mappings and settings that the plan was made with, whatever they are now.

    A plan of an earlier version does not carry them. Then they must be unchanged where `what` depends on them;
    `then`: the command to give once they are.

    **Raises**: Stale where what was loaded can no longer be told; Damaged where a text of the plan was touched.
    """
    document = plan.document
    context = replace(context, project=context.project.for_target(document.target))
    if not document.carried:
        if what is not None:
            _check_as_then(context, plan, what, then)
        return context
    # A copy that somebody has touched proves nothing of what was loaded.
    check_carried(plan.folder, document)
    if what is not None:
        _check_target(context, plan, what)
    return replace(context, project=_project_then(context.project, plan))


def check_snapshot(context: Context, plan: Plan, what: str, then: str) -> None:
    """Raises Stale where the snapshot of a plan is not there as it was; `what` works out again what was loaded."""
    changed = list(snapshot_changes(plan, context.workspace))
    if changed:
        raise Stale(
            f"plan {plan.name!r} was made from what is no longer there:\n"
            + "\n".join(f"- {change}" for change in changed),
            hint=f"{what} needs the records that were loaded: bring them back as they were, then {then}",
        )


def _project_then(project: Project, plan: Plan) -> Project:
    """The project file with what of it decided values, keys and places when the plan was made."""
    settings, document = plan.document.settings, plan.document
    zones = cast("dict[str, str]", settings.get("datatrics.timezones", {}))
    aliases = cast("dict[str, str]", settings.get("datatrics.source_aliases", {}))
    # A mapping may read the number, so values hang on it; a plan of an earlier version does not say it.
    number = settings.get("datatrics.project_id", project.datatrics.project_id)
    datatrics = project.datatrics.model_copy(
        update={"timezones": zones, "source_aliases": aliases, "project_id": number}
    )
    octolis = project.octolis.model_copy(
        update={
            "float_digits": settings.get("octolis.float_digits", project.octolis.float_digits),
            # The plan's own ids last: a dataset that was given another id since is not where the plan has
            # written.
            "datasets": {**project.octolis.datasets, **document.dataset_ids},
        }
    )
    return project.model_copy(
        update={"mappings": plan.folder / FOLDER, "datatrics": datatrics, "octolis": octolis}
    )


def _check_target(context: Context, plan: Plan, what: str) -> None:
    """Another address is another target: what stands there is not what the plan wrote."""
    then = plan.document.settings.get("octolis.base_url")
    now = context.project.octolis.base_url
    if then is not None and then != now:
        raise Stale(
            f"plan {plan.name!r} was made for the target at {then}, and octolis.base_url is {now} now",
            hint=f"{what} needs that target: set octolis.base_url back in {context.project.file.name}",
        )


def _check_as_then(context: Context, plan: Plan, what: str, then: str) -> None:
    try:
        check_fresh(plan, context.project, context.workspace)
    except Stale as error:
        hint = f"{what} needs the files and settings that were loaded: bring them back as they were, then {then}"
        raise Stale(error.what, hint=hint) from None
