"""Whether a run may go on with the snapshot of the one before it, which was stopped after its extract."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from migrate.errors import MigrateError
from migrate.names import RESOURCE_NAMES
from migrate.snapshot.reading import list_snapshots, open_snapshot

if TYPE_CHECKING:
    from migrate.app.context import Context
    from migrate.source.extract import Extraction

REUSABLE = timedelta(hours=24)
"""How old a snapshot may be: what came to the source since is not in it."""


def reusable_extraction(context: Context) -> Extraction | None:
    """The newest snapshot as an extract would give it; None where the source is to be asked.

    It has to be whole, finished, proven in all resources, of this project and service, younger than a day, and not yet
    loaded to the end: a run after that one is for what is new.
    """
    from migrate.source.extract import Extraction

    # A delta cannot be planned alone, and the run asks for all.
    whole = [state for state in list_snapshots(context.workspace) if not state.is_delta]
    if not whole or not whole[-1].is_whole or whole[-1].trouble:
        return None
    name = whole[-1].name
    try:
        snapshot = open_snapshot(context.workspace, name)
        # A run after one that came to its end is for what is new at the source.
        is_done = _is_loaded(context, name)
    except MigrateError:
        # A new extract does not need it, and whoever does will say what is wrong with it.
        return None
    manifest, settings = snapshot.manifest, context.project.datatrics
    # Another project's records under this project's mappings would be loaded as its own.
    same = (manifest.project_id, manifest.base_url) == (settings.project_id, settings.base_url)
    results = {resource: sealed.result for resource, sealed in manifest.resources.items()}
    is_proven = set(results) == set(RESOURCE_NAMES) and all(
        result.verdict == "proven" for result in results.values()
    )
    age = context.now() - _moment(manifest.started)
    # A snapshot from the future is none to go by: some clock was wrong.
    if is_done or not same or not is_proven or not timedelta() <= age < REUSABLE:
        return None
    hours, minutes = divmod(int(age.total_seconds()) // 60, 60)
    context.progress.note(
        f"snapshot {name} is proven, {hours} h {minutes:02d} min old and not loaded to the end: it is used again; "
        "`migrate run --fresh` asks the source again"
    )
    return Extraction(name, snapshot.folder, results)


def _is_loaded(context: Context, snapshot: str) -> bool:
    """Whether a plan of the snapshot was loaded to its end."""
    from migrate.app.status import read_status

    plans = read_status(context.workspace).plans
    return any(plan.snapshot == snapshot and plan.books and not plan.left for plan in plans)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
