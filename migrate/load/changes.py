"""What a write did to a record: made it, or changed one that was there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from migrate.load.planned import DatasetToLoad, PlannedRecord
from migrate.target.results import Written


class Changes:
    """Tells `create`, `update` and, for a feed, `sent`. `note` is told, once for each dataset, where the plan erred."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._told: set[str] = set()

    def of(
        self,
        dataset: DatasetToLoad,
        record: PlannedRecord,
        since: datetime | None,
        written: Written,
    ) -> str:
        """What became of a planned record; `since`: a moment before the first write, in the service's time."""
        if dataset.webhook is not None:
            return "sent"
        if record.change == "update":
            return "update"
        if record.change != "create":
            return "create" if written.was_created(since) else "update"
        if not written.was_there(since):
            return "create"
        # The plan found it nowhere: others made it in the meantime, and there is no value to go back to.
        if dataset.name not in self._told:
            self._told.add(dataset.name)
            self._note(
                f"{dataset.place}: records that the plan calls new were made by others since; they count as updated"
            )
        return "update"
