"""How a plan stands: planned, loading, handed over, loaded, overtaken or undone, and what that allows. Pure.

What was sent decides, not what was written down about it: a plan is overtaken when a request of another plan went to
one of its datasets after its own reading of the target, and undone as soon as one request of its undo has left. The
events of the ledger only tell who, when and by which command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from migrate.errors import Stale
from migrate.sentence import Sentence

State = Literal["planned", "loading", "handed over", "loaded", "overtaken", "undone"]


@dataclass(frozen=True)
class Deed:
    """Who did something, when (seconds since 1970) and by which command; all empty where nobody wrote it down."""

    at: float | None = None
    who: str = ""
    command: str = ""

    @property
    def when(self) -> str:
        """The time in words that sort."""
        if self.at is None:
            return ""
        return datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

    @property
    def told(self) -> str:
        """Who and when, as far as it is known, to stand behind a sentence."""
        if self.when and self.who:
            return Sentence("on {when} by {who}", when=self.when, who=self.who)
        if self.when:
            return Sentence("on {when}", when=self.when)
        return Sentence("by {who}", who=self.who) if self.who else ""


def _by(what: Sentence, deed: Deed) -> Sentence:
    """A sentence with who did it, and when, behind it."""
    if deed.told:
        return Sentence("{what} {deed}", what=what, deed=deed.told)
    return what


@dataclass(frozen=True)
class Overtaking:
    """Another plan that was loaded into a dataset after this plan had read it; `undoes`: whose undo that was."""

    plan: str
    dataset: str
    deed: Deed = Deed()
    undoes: str | None = None

    @property
    def told(self) -> str:
        """The sentence about it."""
        if self.undoes:
            what = Sentence(
                "plan {plan} was later undone in {dataset}", plan=self.undoes, dataset=self.dataset
            )
        else:
            what = Sentence(
                "plan {plan} was later loaded into {dataset}", plan=self.plan, dataset=self.dataset
            )
        return _by(what, self.deed)


@dataclass(frozen=True)
class ChangedTarget:
    """A load that was stopped since others had written to `datasets` after the plan had read them."""

    datasets: Sequence[str]
    deed: Deed = Deed()

    @property
    def told(self) -> str:
        """The sentence about it."""
        what = Sentence(
            "others have written to {datasets} since it was read, and its load was stopped",
            datasets=", ".join(self.datasets),
        )
        return _by(what, self.deed)


UNDONE = {
    "whole": ("undone: {count} record restored", "undone: {count} records restored"),
    "part": ("undone in part: {count} record restored", "undone in part: {count} records restored"),
    "unfinished": (
        "undone in part; its undo was interrupted: {count} record restored",
        "undone in part; its undo was interrupted: {count} records restored",
    ),
}


@dataclass(frozen=True)
class Undone:
    """What was taken back of a plan. `scope`: `whole`, `part`, or `unfinished` where the undo never came to its end.

    `records`: written back so far, by dataset.
    """

    scope: str
    records: Mapping[str, int]
    deed: Deed = Deed()

    @property
    def restored(self) -> int:
        """Records of all datasets."""
        return sum(self.records.values())

    @property
    def told(self) -> str:
        """The sentence about it."""
        return _by(Sentence(*UNDONE[self.scope], count=self.restored), self.deed)


@dataclass(frozen=True)
class PlanFacts:
    """What the ledger has of a plan. `is_begun`: it was opened for a load; `sent`: requests that were announced.

    `left`: records still to be sent, of datasets whose load was never begun too; `handed_over` of them are in files
    that may be imported.
    """

    is_begun: bool = False
    sent: int = 0
    left: int = 0
    overtaken_by: Sequence[Overtaking] = ()
    undone: Undone | None = None
    handed_over: int = 0
    changed_target: ChangedTarget | None = None


@dataclass(frozen=True)
class Standing:
    """The state of a plan and the sentence that explains it, empty for the usual ones."""

    state: State
    told: str = ""
    overtaken_by: Sequence[Overtaking] = ()
    undone: Undone | None = None
    changed_target: ChangedTarget | None = None

    @property
    def needs_new_plan(self) -> bool:
        """Whether another load of this plan is refused, or stopped as the last one was."""
        return self.state in ("overtaken", "undone") or self.changed_target is not None

    def summarise(self) -> dict[str, object]:
        """The state's part of a JSON object."""
        summary: dict[str, object] = {"state": self.state}
        if self.undone is not None:
            deed = self.undone.deed
            summary["undone"] = {
                "scope": self.undone.scope, "restored": dict(self.undone.records),
                "at": deed.when or None, "by": deed.who or None, "command": deed.command or None,
            }  # fmt: skip
        if self.overtaken_by:
            summary["overtaken_by"] = [
                {
                    "plan": newer.plan, "undoes": newer.undoes, "dataset": newer.dataset,
                    "at": newer.deed.when or None, "by": newer.deed.who or None, "command": newer.deed.command or None,
                }
                for newer in self.overtaken_by
            ]  # fmt: skip
        if self.changed_target is not None:
            deed = self.changed_target.deed
            summary["changed_target"] = {
                "datasets": list(self.changed_target.datasets),
                "at": deed.when or None, "by": deed.who or None, "command": deed.command or None,
            }  # fmt: skip
        return summary


def judge_standing(facts: PlanFacts) -> Standing:
    """The state of a plan. What was taken back outweighs all else: no count of what was written holds any more."""
    others = tuple(facts.overtaken_by)
    if facts.undone is not None:
        return Standing("undone", facts.undone.told, others, facts.undone)
    if others:
        return Standing("overtaken", Sentence("overtaken: {why}", why=others[0].told), others)
    changed = facts.changed_target if facts.left else None
    note = changed.told if changed else ""
    # A load that a gate stopped before its first request has changed nothing.
    if not facts.is_begun or (facts.left and not facts.sent):
        return Standing("planned", note, changed_target=changed)
    if facts.handed_over:
        text = f"{facts.handed_over:,} rows are handed over as files, and nobody has seen them in the target yet"
        return Standing("handed over", text)
    return Standing("loading" if facts.left else "loaded", note, changed_target=changed)


def refuse_load(plan: str, standing: Standing, remake: str) -> None:
    """Raises Stale for a plan that must not be loaded any more; `remake`: the command that makes a new one."""
    if standing.state == "overtaken":
        raise Stale(
            f"plan {plan!r} is {standing.told}; it would write what was true before over what is there now",
            hint=f"make a new one, look at it with `migrate diff`, then load that: {remake}",
        )
    if standing.state == "undone":
        raise Stale(
            f"plan {plan!r} was {standing.told}; what it wrote is counted as written and would not be sent again",
            hint=f"make a new one, look at it with `migrate diff`, then load that: {remake}",
        )
