"""What stops a load for safety: too many refused records, merges that nobody foresaw, values that are not stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from migrate.config import Gates
from migrate.errors import GateError, TargetChanged
from migrate.load.foreign import ForeignWrites, say_records
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.sentence import Sentence


@dataclass
class LoadGates:
    """The sums that the gates judge, over all runs of the plan. Units: records; merges: masterids that are gone.

    `confirmed_merges`: how many of all merges of the plan a person has accepted, foreseen or not.
    """

    plan: PlanToLoad
    gates: Gates
    strict: bool = False
    confirmed_merges: int = 0
    rejected: int = 0
    merged: int = 0
    protected: int = 0

    def judge(self) -> GateError | None:
        """Why the load has to stop, None while it may go on."""
        return self._judge_errors() or self._judge_merges() or self._judge_protected()

    def judge_target(
        self,
        counts: Iterable[tuple[DatasetToLoad, int]],
        writes: Mapping[str, ForeignWrites] = MappingProxyType({}),
    ) -> GateError | None:
        """Why nothing may be sent: datasets that hold another number of records now than when the plan read them.

        Planned records that others have changed count as well (`writes`, by dataset). What came or changed meanwhile
        would be overwritten, without a value to go back to.
        """
        changed: list[str] = []
        says: list[str] = []
        names: list[str] = []
        for dataset, count in counts:
            # Offline plans, feeds, repairs and undos never read the target, so they know no number.
            if dataset.counted is None:
                continue
            foreign = writes.get(dataset.name, ForeignWrites())
            moved = abs(count - dataset.counted)
            if self.gates.max_target_change.allows(moved + len(foreign.planned), dataset.counted):
                continue
            names.append(dataset.name)
            if moved:
                says.append(
                    Sentence(
                        "dataset {dataset}: {before} records then, {now} now",
                        dataset=dataset.name,
                        before=dataset.counted,
                        now=count,
                    )
                )
                changed.append(f"- {says[-1]}")
            if foreign.planned:
                says.append(_say_changed(dataset, foreign))
                changed.append(f"- {says[-1]}: {say_records(foreign.planned)}")
        return self._changed(names, changed, says) if changed else None

    def judge_writes(self, dataset: DatasetToLoad, writes: ForeignWrites) -> GateError | None:
        """Why the load has to stop in its middle: others have changed records that it is yet to send."""
        limit = self.gates.max_target_change
        if not writes.planned or limit.allows(len(writes.planned), dataset.counted or 0):
            return None
        says = _say_changed(dataset, writes)
        return self._changed([dataset.name], [f"- {says}: {say_records(writes.planned)}"], [says])

    def _changed(
        self, names: Sequence[str], lines: Sequence[str], says: Sequence[str]
    ) -> TargetChanged:
        head = Sentence(
            "the target has changed since plan {plan} read it; gates.max_target_change is {limit}",
            plan=self.plan.name,
            limit=self.gates.max_target_change.text,
        )
        return TargetChanged(
            f"{head}:\n" + "\n".join(lines),
            datasets=names,
            remake=self.plan.remake,
            # Which records they are is for the engineer: their ids are somebody's.
            said=[head, *says],
            hint=f"make a new plan, look at it with `migrate diff`, then load that: {self.plan.remake}; to load this "
            f"one anyway raise the limit under [gates]: migrate load --plan {self.plan.name}",
        )

    def _judge_errors(self) -> GateError | None:
        planned = sum(dataset.rows for dataset in self.plan.datasets)
        if self.gates.max_errors.allows(self.rejected, planned):
            return None
        return GateError(
            Sentence(
                "{rejected} of {planned} records were refused; gates.max_errors is {limit}",
                rejected=self.rejected,
                planned=planned,
                limit=self.gates.max_errors.text,
            ),
            hint=f"see `migrate rejects list --plan {self.plan.name}`; raise the limit under [gates] to go on: "
            f"migrate load --plan {self.plan.name}",
        )

    def _judge_merges(self) -> GateError | None:
        forecast = sum(dataset.merge_forecast for dataset in self.plan.datasets)
        # What was confirmed is a number in all: whoever has accepted the foreseen ones has accepted no others.
        if self.merged <= max(forecast + self.gates.max_merges, self.confirmed_merges):
            return None
        if self.confirmed_merges:
            confirmed = f" ({self.confirmed_merges} were confirmed)"
        else:
            confirmed = ""
        return GateError(
            Sentence(
                "{merged} records were merged away in the target, the plan foresaw {forecast} and "
                "gates.max_merges allows {more} more; merges cannot be undone",
                merged=self.merged,
                forecast=forecast,
                more=self.gates.max_merges,
            ),
            hint=f"look at the keys of the dataset; to accept them{confirmed}: migrate load --plan {self.plan.name} "
            f"--confirm-merges {self.merged}",
        )

    def _judge_protected(self) -> GateError | None:
        # To the service such a value is no error: it says `written`, and drops it.
        if not self.strict or not self.protected:
            return None
        return GateError(
            Sentence(
                "{protected} records have values in columns that do not accept writes, and --strict was given",
                protected=self.protected,
            ),
            hint="take these columns out of the mapping, or have them opened in Octolis; to go on without them: "
            f"migrate load --plan {self.plan.name}",
        )


def _say_changed(dataset: DatasetToLoad, writes: ForeignWrites) -> str:
    return Sentence(
        "dataset {dataset}: {count} planned record changed by others since",
        "dataset {dataset}: {count} planned records changed by others since",
        dataset=dataset.name,
        count=len(writes.planned),
    )
