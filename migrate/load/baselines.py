"""What the target held before a plan's first write: counted once a dataset, and held against what the plan read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from migrate.load.foreign import (
    ForeignWrites,
    OtherProjects,
    came_since,
    without_others,
    writes_since_reading,
)
from migrate.load.gates import LoadGates
from migrate.load.ledger import Ledger
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.target.client import TargetClient


def take_baselines(
    client: TargetClient,
    ledger: Ledger,
    plan: PlanToLoad,
    gates: LoadGates,
    others: OtherProjects | None,
    note: Callable[[str], None],
) -> Mapping[str, datetime]:
    """Counts each dataset that was not counted yet, and looks who has written to it since the plan read it.

    Gives by dataset the time of the newest record that was there, from which a later look goes on.

    **Raises**: GateError where more has changed than `max_target_change` allows; nothing is noted in the ledger then.
    """
    totals = ledger.totals()
    countable = [dataset for dataset in plan.datasets if dataset.webhook is None]
    # Once for each dataset: later on our own records are among those that are counted.
    uncounted = [d for d in countable if totals[d.name].count_before is None]
    counts = [(dataset, client.count(dataset.dataset_id)) for dataset in uncounted]
    unsent = [dataset for dataset in countable if not totals[dataset.name].requests]
    writes = {d.name: writes_since_reading(client, d) for d in unsent if d.counted}
    not_theirs = [
        (dataset, _count_without_others(dataset, counted.count, others))
        for dataset, counted in counts
    ]
    # What came since the plan read it would be overwritten, without a value to undo it with.
    broken = gates.judge_target(not_theirs, writes)
    if broken is not None:
        raise broken
    for dataset in unsent:
        if dataset.name in writes:
            _note_writes(ledger, dataset, writes[dataset.name], others, note)
    for dataset, counted in counts:
        moment = counted.server_time or datetime.now(UTC)
        ledger.set_baseline(dataset.name, counted.count, moment)
    return {name: foreign.newest for name, foreign in writes.items() if foreign.newest}


def _count_without_others(dataset: DatasetToLoad, count: int, others: OtherProjects | None) -> int:
    """A count of the target without what other projects have made since the plan has read it."""
    if others is None or dataset.counted is None or count <= dataset.counted:
        return count
    # What others made a moment ago may not be prepared yet, so not counted: that must not look like a loss.
    return max(dataset.counted, count - came_since(dataset, others))


def _note_writes(
    ledger: Ledger,
    dataset: DatasetToLoad,
    writes: ForeignWrites,
    others: OtherProjects | None,
    note: Callable[[str], None],
) -> None:
    """Keeps and tells what others have written, where that stops nothing."""
    foreign = without_others(writes, dataset, others)
    if not foreign.is_told:
        note(
            f"{dataset.place}: the target shows no times of modification, so nobody can tell who has written to "
            "it since the plan"
        )
    new = ledger.lessons.add_foreign_edits(dataset.name, foreign.planned, foreign.others)
    if new:
        note(
            f"{dataset.place}: others have written {new:,} records since the plan read it; "
            f"{len(foreign.planned):,} of them are overwritten"
        )
