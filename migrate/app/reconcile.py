"""Opens what the count equation needs and calls it; with the read-back of every record, where that is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from migrate.app.as_loaded import as_loaded
from migrate.app.deep import Beside, verify_deeply
from migrate.app.not_loaded import not_begun
from migrate.app.other_projects import masterids_of_others
from migrate.app.remake import next_plan_command
from migrate.app.standing import read_standing
from migrate.app.target_client import open_target, reading_folder, sleeper
from migrate.app.verdict import judge_reconciliation
from migrate.load.standing import Standing
from migrate.names import MASTERID
from migrate.plan.open_plan import Plan, open_plan
from migrate.sentence import Sentence
from migrate.target.client import TargetClient
from migrate.totals.table import summarise_table
from migrate.verify.buckets import SYSTEM_COLUMNS, explain_difference, find_interval
from migrate.verify.deep import DeepDataset
from migrate.verify.known import (
    JustBefore,
    Written,
    read_acknowledged,
    read_just_before,
    read_marks,
    read_written,
    read_youngest,
    read_youngest_made,
)
from migrate.verify.ledger_counts import read_books
from migrate.verify.preparation import is_on_its_way
from migrate.verify.readback import Reading, forget_reading, read_pages
from migrate.verify.reconcile import (
    DatasetBooks,
    DatasetReconciliation,
    Reconciliation,
    SourceCount,
    can_filter,
    expected_count,
    judge,
    settled_count,
)
from migrate.verify.rules import DatasetRules, read_rules
from migrate.workspace import write_json

if TYPE_CHECKING:
    from migrate.app.context import Context


FEED = Sentence("sent to a webhook, which cannot be asked what it holds")
_USUAL_WAIT_S = 5.0


def run_reconcile(
    context: Context,
    name: str | None = None,
    *,
    deep: bool = False,
    wait_s: float = _USUAL_WAIT_S,
    beside: Beside | None = None,
) -> Reconciliation:
    """The count equation of every dataset of a loaded plan; with `deep` every record read back and compared.

    Of datasets that were not loaded yet it says so, and how many records are to be sent.
    `beside`: what else a deep verification does with each dataset that it works out.
    What was found is also kept, without values, in `reports/PLAN-reconcile.json`.

    **Raises**: Stale for a deep verification of a plan whose snapshot, mappings or settings have changed.
    """
    plan = open_plan(context.workspace, name)
    again = f"`migrate reconcile --deep --plan {plan.name}`"
    # Counts need no mapping as it was; only values that are worked out again do.
    context = as_loaded(context, plan, "reading back" if deep else None, again)
    books = read_books(context.workspace.ledger, plan.folder, plan.name)
    rules = read_rules(context.project.mappings)
    feeds = {name: FEED for name in plan.document.datasets if name in rules and rules[name].is_feed}
    asked = {name: entry for name, entry in books.items() if name not in feeds}
    with open_target(context) as client:
        counted = _reconcile_counts(context, client, plan, asked, rules, wait_s)
        if deep:
            counted = _read_back(context, client, plan, counted, wait_s, beside)
    unsent = {name: books[name].left for name in books if name in feeds and books[name].left}
    standing = read_standing(context.workspace, plan)
    remake = ""
    if standing.told:
        remake = next_plan_command(context.workspace, plan, standing)
    result = Reconciliation(
        plan.name,
        {name: _as_it_stands(entry, standing) for name, entry in counted.items()},
        feeds,
        {**not_begun(plan, books), **unsent},
        standing=standing.summarise(),
        told=standing.told,
        remake=remake,
    )
    keep_report(context, result)
    return result


def _reconcile_counts(
    context: Context,
    client: TargetClient,
    plan: Plan,
    books: Mapping[str, DatasetBooks],
    rules: Mapping[str, DatasetRules],
    wait_s: float,
) -> dict[str, DatasetReconciliation]:
    patience = wait_s / _USUAL_WAIT_S
    counted = {}
    for dataset, entry in books.items():
        equation = _Equation(context, client, plan, entry, rules.get(dataset))
        counted[dataset] = equation.reconcile(patience)
    return counted


def _read_back(
    context: Context,
    client: TargetClient,
    plan: Plan,
    counted: Mapping[str, DatasetReconciliation],
    wait_s: float,
    beside: Beside | None,
) -> dict[str, DatasetReconciliation]:
    """The equations, each with what reading its records back has shown; none is left without an answer."""
    # What is still prepared by its count is so by its values: a difference there is not believed yet.
    preparing = {
        name: entry.verdict == "pending"
        for name, entry in counted.items()
        if entry.settles_at is not None and context.now() < entry.settles_at
    }
    verified = dict(counted)
    names = list(counted)
    for dataset in verify_deeply(context, client, plan, names, wait_s, beside, preparing):
        verified[dataset.dataset] = replace(counted[dataset.dataset], deep=dataset)
    for name, entry in verified.items():
        if entry.deep is None:
            rows = plan.document.datasets[name].planned
            why = {"*": "no mapping file makes it"}
            nothing = DeepDataset(name, 0, 0, unverified=rows, unverifiable=why)
            verified[name] = replace(entry, deep=nothing)
    return verified


def _as_it_stands(reconciled: DatasetReconciliation, standing: Standing) -> DatasetReconciliation:
    """The equation in the light of what came over the plan since it was loaded."""
    dataset = reconciled.books.dataset
    if standing.undone is not None and dataset in standing.undone.records:
        return replace(reconciled, verdict="undone")
    later = [one.told for one in standing.overtaken_by if one.dataset == dataset]
    # Another plan's records are in this count, and in an equation of their own.
    if reconciled.difference and later:
        note = f"{later[0]}: what it created and merged is in the count, and in its own equation"
        return replace(reconciled, explanations=(*reconciled.explanations, note))
    undos = [one for one in standing.overtaken_by if one.dataset == dataset and one.undoes]
    is_read_back = reconciled.deep is not None and reconciled.deep.verdict == "match"
    if undos and reconciled.verdict == "match" and not is_read_back:
        # An undo puts values back and leaves every record where it is, so no count shows what it took away.
        note = f"{undos[0].told}: no count shows the values that it put back; --deep reads them"
        return replace(
            reconciled, verdict="unverified", explanations=(*reconciled.explanations, note)
        )
    return reconciled


def keep_report(context: Context, reconciliation: Reconciliation) -> None:
    """Writes `reports/PLAN-reconcile.json`; of business totals it has which there are and whether they are equal."""
    report = {
        "verdict": reconciliation.verdict,
        "made_at": context.now().isoformat(),
        **summarise_reconciliation(reconciliation),
    }
    # with the sums of all places, but without examples: those are values of somebody's
    totals = [summarise_table(replace(table, examples=())) for table in reconciliation.tables]
    totals += [{"title": table.title, "equal": table.equal} for table in reconciliation.totals]
    write_json(
        context.workspace.reports / f"{reconciliation.plan}-reconcile.json",
        report | ({"totals": totals} if totals else {}),
    )


def summarise_reconciliation(reconciliation: Reconciliation) -> dict[str, Any]:
    """The reconciliation's part of the JSON object."""
    datasets = {name: _summarise(d) for name, d in reconciliation.datasets.items()}
    unsaid = {
        "unverifiable": dict(reconciliation.unverifiable),
        "not_loaded": dict(reconciliation.not_loaded),
    }
    if reconciliation.settles_at is None:
        settles_at = None
    else:
        settles_at = reconciliation.settles_at.isoformat()
    head = {"plan": reconciliation.plan, **reconciliation.standing, "settles_at": settles_at}
    judged = judge_reconciliation(reconciliation).summarise()
    return {**head, "datasets": datasets, **unsaid, "judgement": judged}


_WORST_FIRST = ("undone", "mismatch", "pending", "unfinished", "unverified", "match")


def _summarise(dataset: DatasetReconciliation) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "count_before": dataset.books.count_before,
        "created": dataset.books.created,
        "merged": dataset.books.merged,
        "written": dataset.books.written,
        "expected": dataset.expected,
        "count_after": dataset.count_after,
        "difference": dataset.difference,
        "buckets": asdict(dataset.buckets),
        "by_source": {source: asdict(count) for source, count in dataset.by_source.items()},
        "verdict": dataset.verdict,
        "explanations": list(dataset.explanations),
    }
    if dataset.deep is None:
        return summary
    # Counts may agree where values do not: whoever reads one verdict of a dataset reads the worse of the two.
    worst = min((dataset.verdict, dataset.deep.verdict), key=_WORST_FIRST.index)
    verdicts = {"verdict": worst, "count_verdict": dataset.verdict}
    return {**summary, **verdicts, **_summarise_deep(dataset.deep)}


def _summarise_deep(deep: DeepDataset) -> dict[str, Any]:
    return {
        "missing": deep.missing,
        "extra": deep.extra,
        "doubled": deep.doubled,
        "different": deep.different,
        "recipe_changed": deep.recipe_changed,
        "merged_away": deep.merged_away,
        "pending": deep.pending,
        "moving": deep.moving,
        "compared": deep.compared,
        "judged": deep.expected,
        "verified": deep.verified,
        "unverified": deep.unverified,
        "there_before": deep.there_before,
        "made_since": deep.made_since,
        "outside": deep.outside,
        "unsettled": dict(deep.unsettled),
        "different_columns": dict(deep.cells),
        "by_name": {finding: dict(names) for finding, names in deep.by_name.items()},
        "unverifiable": dict(deep.unverifiable),
        "deep_verdict": deep.verdict,
        "differences": str(deep.file) if deep.file else None,
    }


class _Equation:
    """One dataset's equation; the target is read back only where a count alone cannot tell."""

    def __init__(
        self,
        context: Context,
        client: TargetClient,
        plan: Plan,
        books: DatasetBooks,
        rules: DatasetRules | None,
    ) -> None:
        self.context, self.client, self.plan, self.books = context, client, plan, books
        self.source_column = rules.source_column() if rules else None
        self._held: pl.DataFrame | None = None

    def reconcile(self, patience: float) -> DatasetReconciliation:
        """The equation with its verdict, its buckets and the counts by source; `patience` stretches the waits."""
        books = self.books
        after = settled_count(
            lambda: self.client.count(books.dataset_id).count,
            expected_count(books),
            sleeper(self.context, patience),
        )
        by_source = {
            source: self._count(source, planned) for source, planned in books.by_source.items()
        }
        judged = judge(
            books,
            after,
            by_source,
            lambda n, left: explain_difference(n, left, self.held(), self._written()),
            self._is_coming,
            may_be_late=bool(self._just_before),
        )
        judged = replace(judged, settles_at=self.settles_at)
        # What was read back is personal data: it goes as soon as the verdict stands.
        forget_reading(self._folder())
        interval = find_interval(
            read_marks(self.context.workspace.ledger, self.plan.name, books.dataset)
        )
        if judged.difference and interval:
            judged = replace(judged, explanations=(*judged.explanations, interval))
        return judged

    def _written(self) -> Written:
        """What ledgers know of the dataset's records: this project's, and those of the others."""
        ledger, books = self.context.workspace.ledger, self.books
        ours = read_written(ledger, self.plan.folder, self.plan.name, books.dataset)
        theirs = masterids_of_others(self.context.project, books.dataset_id)
        return replace(ours, theirs=theirs, just_before=self._just_before)

    @cached_property
    def _just_before(self) -> JustBefore:
        ledger = self.context.workspace.ledger
        return read_just_before(ledger, self.plan.name, self.books.dataset, self._bound)

    @cached_property
    def settles_at(self) -> datetime | None:
        """From when on everything that was written counts as prepared; None where nothing was written."""
        ledger, plan = self.context.workspace.ledger, self.plan.name
        youngest = read_youngest(ledger, plan, self.books.dataset)
        return None if youngest is None else youngest + self._bound

    @property
    def _bound(self) -> timedelta:
        return timedelta(minutes=self.context.project.octolis.settle_minutes)

    def _is_coming(self) -> bool:
        if self.settles_at is None or self.context.now() >= self.settles_at:
            return False
        ledger, plan = self.context.workspace.ledger, self.plan.name
        acknowledged = read_acknowledged(ledger, plan, self.books.dataset)
        return is_on_its_way(self.held().get_column(MASTERID), acknowledged)

    def held(self) -> pl.DataFrame:
        """The dataset's records, read back once: system columns and source only."""
        if self._held is None:
            reading = Reading(self._folder(), self.context.now, self.context.stop)
            wanted = {*SYSTEM_COLUMNS, self.source_column or ""}
            self._held = read_pages(self.client, self.books.dataset_id, reading).whole(wanted)
        return self._held

    def _folder(self) -> Path:
        """A folder apart from the deep verification's, which may have pages to go on with."""
        return reading_folder(self.context, self.plan, f"{self.books.dataset}.count")

    def _count(self, source: str, planned: int) -> SourceCount:
        column = self.source_column
        if column is None:
            return SourceCount(planned, None, "no column holds the source")
        # A filter costs one point; reading back to count costs one for every 50,000 records.
        if can_filter(source):
            return SourceCount(
                planned, self.client.count(self.books.dataset_id, {column: source}).count
            )
        if column not in self.held().columns:
            return SourceCount(planned, None, f"the target shows no column {column}")
        counted = int((self.held().get_column(column).fill_null("") == source).sum())
        return SourceCount(
            planned, counted, "':' and ',' cannot be filtered: counted from the records read back"
        )


_FIRST_LOOK_S = 2.0
_POLL_S = 10.0
_LONGEST_POLL_S = 60.0


def wait_for_preparation(
    check: Callable[[], Reconciliation],
    now: Callable[[], datetime],
    sleep: Callable[[float], None],
    note: Callable[[str], None],
) -> Reconciliation:
    """What `check` finds once nothing is pending, or once everything counts as prepared: then that is the truth.

    `note` is told how long it may take yet, and the command that asks again. **Units**: seconds for `sleep`.
    """
    wait_s = _POLL_S
    while True:
        reconciliation = check()
        if (
            reconciliation.verdict != "pending"
            or reconciliation.settles_at is None
            or now() >= reconciliation.settles_at
        ):
            return reconciliation
        left_s = (reconciliation.settles_at - now()).total_seconds()
        note(say_pending(reconciliation, left_s))
        # never past the moment from which on the answer is final
        sleep(min(wait_s, left_s))
        wait_s = min(wait_s * 1.5, _LONGEST_POLL_S)


def wait_for_earlier(context: Context) -> None:
    """Waits until the target shows the youngest record that earlier loads have made in the project's datasets.

    A plan that reads the target before would call such records new. After `settle_minutes` they count as prepared.
    """
    octolis, ledger = context.project.octolis, context.workspace.ledger
    bound = timedelta(minutes=octolis.settle_minutes)
    ids = sorted(set(octolis.datasets.values()))
    made = {id_: youngest for id_ in ids if (youngest := read_youngest_made(ledger, id_))}
    young = {id_: one for id_, one in made.items() if context.now() < one.at + bound}
    if not young:
        return
    with open_target(context) as client:
        for id_, one in young.items():
            wait_until_shown(
                # The youngest stands for all: what is older is taken to be prepared before it.
                partial(client.read_record, id_, one.masterid),
                one.at + bound,
                context.now,
                sleeper(context),
                context.progress.note,
            )


def wait_until_shown(
    read: Callable[[], object | None],
    settles_at: datetime,
    now: Callable[[], datetime],
    sleep: Callable[[float], None],
    note: Callable[[str], None],
) -> None:
    """Waits until a record can be read, or until it counts as prepared. **Units**: seconds for `sleep`."""
    wait_s = _FIRST_LOOK_S
    while now() < settles_at and read() is None:
        left_s = (settles_at - now()).total_seconds()
        note(
            "waiting for the target to prepare what an earlier load has written, before it is read for the plan; "
            f"at most {left_s / 60:.0f} min more ([octolis] settle_minutes)"
        )
        sleep(min(wait_s, left_s))
        wait_s = min(wait_s * 1.5, _LONGEST_POLL_S)


def say_pending(reconciliation: Reconciliation, left_s: float) -> str:
    """One line: what is waited for, and for how long at most."""
    waiting = [
        f"{name} {d.count_after:,} of {d.expected:,}" if d.difference else f"{name}, values"
        for name, d in reconciliation.datasets.items()
        if d.is_pending
    ]
    return (
        f"waiting for the target to prepare what was written: {', '.join(waiting)}; "
        f"at most {left_s / 60:.0f} min more ([octolis] settle_minutes); Ctrl-C, then "
        f"`migrate reconcile --plan {reconciliation.plan}` asks again"
    )
