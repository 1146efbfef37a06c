"""What a write did to a record: made it, or changed one that was there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from migrate.load.planned import DatasetToLoad, PlannedRecord
from migrate.target.results import Written

_FUSED = (
    "records that the plan calls new went into records that the target had under another spelling of the key "
    "(letter case, spaces, Unicode form), or with another key of the dataset that they share: they fuse, and the "
    "later overwrites; they count as updated"
)
_MADE_SINCE = (
    "records that the plan calls new were made since it read the target, by others or by an earlier load that the "
    "target was still preparing; they count as updated"
)


class Changes:
    """Tells `create`, `update` and, for a feed, `sent`. `note` is told, once for each dataset, where the plan erred.

    `had`: whether the target had a masterid when the plan read it.
    """

    def __init__(
        self,
        note: Callable[[str], None],
        had: Callable[[DatasetToLoad, str], bool] = lambda _dataset, _masterid: False,
    ) -> None:
        self._note = note
        self._had = had
        self._told: set[tuple[str, str]] = set()

    def of(
        self,
        dataset: DatasetToLoad,
        record: PlannedRecord,
        since: datetime | None,
        written: Written,
    ) -> str:
        """What became of a planned record; `since`: a moment before the first write, in the service's time."""
        # Nothing can be read back from a webhook: whether a record is new there nobody knows.
        if dataset.webhook is not None:
            return "sent"
        # A write that merged records away made none, whatever id the survivor has.
        if record.change == "update" or written.merged_from:
            return "update"
        if record.change != "create":
            return "create" if written.was_created(since) else "update"
        is_told = written.created_at is not None
        if is_told and not written.was_there(since):
            return "create"
        if self._had(dataset, written.masterid):
            return self._update(dataset, _FUSED)
        # The plan found it nowhere: others made it in the meantime, and there is no value to go back to.
        if is_told:
            return self._update(dataset, _MADE_SINCE)
        return "create"

    def _update(self, dataset: DatasetToLoad, why: str) -> str:
        if (dataset.name, why) not in self._told:
            self._told.add((dataset.name, why))
            self._note(f"{dataset.place}: {why}")
        return "update"
