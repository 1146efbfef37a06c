"""One judgement for every reader: green, amber or red, and what speaks against green, the worst first. Pure.

Terminal, JSON and page show what stands here and judge nothing themselves, so that they cannot disagree.

- **green**: all that the mapping does not leave out on purpose will arrive (or has arrived).
- **amber**: something will not: rejected, waiting, merged into others, emptied, consents or money missing, or it
  could not be proven or verified.
- **red**: a gate stops it, it differs, or it no longer holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from migrate.mapping.rules import LOSSES, RULES
from migrate.plan.open_plan import read_totals
from migrate.report.terminal import say_count
from migrate.totals.table import Table, amount_text, money_lacking

if TYPE_CHECKING:
    from migrate.app.pipeline import Run
    from migrate.load.loader import LoadResult
    from migrate.plan.document import DatasetPlan, PlanDocument
    from migrate.verify.reconcile import Reconciliation

Colour = Literal["green", "amber", "red"]
Kind = Literal[
    "gate",
    "difference",
    "money",
    "not_arriving",
    "consent",
    "merged",
    "emptied",
    "cut",
    "unverified",
]
ORDER: tuple[Kind, ...] = (
    "gate", "difference", "money", "not_arriving", "consent", "merged", "emptied", "cut", "unverified",
)  # fmt: skip
"""The worst first: what stops everything, then what is lost for good, then what nobody could check."""

LOSS_KINDS: Mapping[str, Kind | None] = {
    "consent_unlisted": "consent",
    "consent_withheld": "consent",
    "omitted_invalid": "emptied",
    "nulled_invalid": "emptied",
    "unlisted": "emptied",
    "truncated": "cut",
    "rounded": "cut",
    "zeros_dropped": "cut",
    "time_dropped": "cut",
    "dst_gap": "cut",
    "unranked": "unverified",
    "trimmed": None,
    "collapsed_spaces": None,
    "lowercased": None,
    "uppercased": None,
    "stripped_html": None,
    "hashed": None,
    "encoding_fixed": None,
    "phone_formatted": None,
    "country_coded": None,
    "comma_replaced": None,
    "amount_read": None,
    "invisible_removed": None,
    "fraction_dropped": None,
    "zone_assumed": None,
    "dst_fold": None,
    "flattened": None,
    "single_element": None,
    "unwrapped_list": None,
    # a zero date is how databases and PHP write that there is none
    "omitted_zero_date": None,
    "nulled_zero_date": None,
    "defaulted": None,
}
"""What each loss of a mapping means to an owner; None for another spelling of the same value."""

_WHAT = {
    "consent": "lose a consent",
    "emptied": "arrive without a value",
    "cut": "arrive with less than was sent",
    "unverified": "are ranked without knowing their time",
}


@dataclass(frozen=True)
class Finding:
    """One thing that speaks against green. `rows` of `of` are touched, both None where nothing is counted."""

    kind: Kind
    text: str
    dataset: str | None = None
    column: str | None = None
    rows: int | None = None
    of: int | None = None

    @property
    def share(self) -> float:
        """The part that is touched, from 0 to 1."""
        return self.rows / self.of if self.rows and self.of else 0.0


@dataclass(frozen=True)
class Verdict:
    """The judgement: `findings` the worst first."""

    colour: Colour
    headline: str
    findings: tuple[Finding, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What speaks against green, as sentences."""
        return tuple(finding.text for finding in self.findings)

    def summarise(self) -> dict[str, Any]:
        """The verdict as JSON."""
        findings = [{**asdict(f), "share": round(f.share, 6)} for f in self.findings]
        head = {"colour": self.colour, "good": self.colour != "red", "headline": self.headline}
        return {**head, "lines": list(self.lines), "findings": findings}

    def render(self, most: int | None = None, where: str = "--json has them all") -> str:
        """The verdict for a terminal: headline, and the `most` worst lines (all by default).

        `where`: where a reader finds those that are not shown.
        """
        shown = self.lines[:most]
        hidden = len(self.lines) - len(shown)
        more = [f"  and {hidden} more; {where}"] if hidden else []
        return "\n".join([self.headline, *(f"  {line}" for line in shown), *more])


def _judged(findings: Iterable[Finding], good: str, doubtful: str, bad: str) -> Verdict:
    ranked = sorted(findings, key=lambda f: (ORDER.index(f.kind), -f.share, -(f.rows or 0), f.text))
    if any(finding.kind in {"gate", "difference"} for finding in ranked):
        return Verdict("red", bad, tuple(ranked))
    return Verdict("amber" if ranked else "green", doubtful if ranked else good, tuple(ranked))


def judge_plan(
    document: PlanDocument, totals: Mapping[str, Table], no_longer: str | None = None
) -> Verdict:
    """Whether a plan may be loaded. `no_longer`: why it no longer holds, None where it does."""
    findings = [Finding("gate", no_longer.splitlines()[0])] if no_longer else []
    findings += [
        Finding("gate", f"A safety gate stops this plan: {finding.gate}: {finding.text}")
        for finding in document.gates
        if finding.verdict == "broken"
    ]
    for name, dataset in document.datasets.items():
        findings += _dataset_findings(name, dataset)
        if name in document.webhook_ids:
            text = f"{name}: goes to a webhook; nothing can be read back, so nothing is verified"
            findings.append(Finding("unverified", text, name))
    for name, table in totals.items():
        findings += _money_findings(name, table)
    if document.offline:
        text = "the target was not read: what is new and what changes there is not known"
        findings.append(Finding("unverified", text))
    what = _what_to_send(document)
    if no_longer:
        bad = f"Do not load, this plan no longer holds: {what}"
    else:
        bad = f"Do not load yet: {what}"
    return _judged(findings, f"Ready to load: {what}", f"Read this before you load: {what}", bad)


def _what_to_send(document: PlanDocument) -> str:
    words = {
        "create": "new",
        "update": "changed",
        "unknown": "new or changed",
        "unchanged": "already the same",
    }
    sums = {
        name: sum(getattr(dataset, name) for dataset in document.datasets.values())
        for name in words
    }
    parts = [f"{sums[name]:,} {word}" for name, word in words.items() if sums[name]]
    if not sums["create"] + sums["update"] + sums["unknown"]:
        parts.insert(0, "nothing to do")
    return ", ".join(parts)


def _dataset_findings(name: str, dataset: DatasetPlan) -> Iterator[Finding]:
    judged = dataset.judged
    missing = dataset.rejected + getattr(dataset, "waiting", 0)
    if missing:
        rules = sorted(dataset.rejected_by_rule.items(), key=lambda entry: (-entry[1], entry[0]))
        why = ", ".join(f"{_says(rule)}: {rows:,}" for rule, rows in rules[:3])
        waiting = getattr(dataset, "waiting", 0)
        reasons = [why] if why else []
        reasons += [f"waiting for a parent {waiting:,}"] if waiting else []
        text = f"{_share(name, missing, judged)} will not arrive ({', '.join(reasons)})"
        yield Finding("not_arriving", text, name, None, missing, judged)
    if dataset.collapsed:
        text = f"{_share(name, dataset.collapsed, judged)} become part of another row with the same key"
        yield Finding("merged", text, name, None, dataset.collapsed, judged)
    merges = dataset.merges
    if merges.masterids_lost or merges.rows_fused:
        lost = merges.masterids_lost + merges.rows_fused
        text = (
            f"{name}: merges lose records for good: {merges.masterids_lost:,} of the target's own, "
            f"{merges.rows_fused:,} of the plan's"
        )
        yield Finding("merged", text, name, None, lost, merges.records)
    for column, losses in dataset.losses.items():
        for loss, rows in losses.items():
            kind = LOSS_KINDS.get(loss, "cut")
            if kind:
                told = _share(f"{name}.{column}", rows, dataset.accepted)
                text = f"{told} {_WHAT[kind]}: {LOSSES.get(loss, loss)}"
                yield Finding(kind, text, name, column, rows, dataset.accepted)


def _says(rule: str) -> str:
    return RULES[rule].says if rule in RULES else rule


def _share(name: str, rows: int, of: int) -> str:
    return f"{name}: {rows:,} of {of:,} ({_percent(rows, of)})"


def _percent(rows: int, of: int) -> str:
    share = 100 * rows / of if of else 0.0
    # A share that is not nothing is never shown as nothing, nor one that is not all as all.
    if 0 < share < 0.1:
        return "less than 0.1%"
    return "more than 99.9%" if 99.9 < share < 100 else f"{share:.3g}%"


def _money_findings(name: str, table: Table) -> Iterator[Finding]:
    groups = money_lacking(table)
    sums: dict[str, Decimal] = {}
    for group in groups:
        sums[group.label] = sums.get(group.label, Decimal()) + group.lacking.amount
    if groups:
        amounts = ", ".join(
            f"{amount_text(total)} {label}".strip() for label, total in sums.items()
        )
        text = f"{name}: the source has {amounts} that the plan lacks"
        yield Finding("money", text, name, None, len(groups), len(table.groups))
    elif not table.is_planned and not table.doubts:
        lacking = table.whole.lacking.rows
        unit = {"revenue": "order", "events": "event", "lines": "line"}[table.kind]
        if lacking > 0:
            are = "is" if lacking == 1 else "are"
            text = f"{name}: {say_count(lacking, unit)} of the source {are} not in the plan"
        else:
            text = f"{name}: the numbers of {unit}s in source and plan differ in some groups"
        yield Finding("money", text, name, None, len(table.unequal), len(table.groups))
    if table.unreadable:
        text = f"{name}: {say_count(table.unreadable, 'amount')} cannot be read, in no sum"
        yield Finding("money", text, name, None, table.unreadable, table.whole.source.rows)
    for doubt in table.doubts:
        yield Finding("unverified", f"{name}: totals are not proven: {doubt}", name)


def judge_load(result: LoadResult, unsent: Mapping[str, int] | None = None) -> Verdict:
    """What a load did. `unsent`: rows still to be sent of datasets that it was not asked for."""
    findings: list[Finding] = []
    for name, totals in result.datasets.items():
        planned = totals.planned
        counts: tuple[tuple[Kind, int, str], ...] = (
            ("not_arriving", totals.rejected, "were refused by the target"),
            ("not_arriving", totals.deferred, "were put off and are still to be sent"),
            ("not_arriving", totals.open, "are not answered yet"),
            ("merged", totals.merged, "records of the target were merged away"),
            ("cut", totals.protected, "hold a column that the target does not let us write"),
            ("cut", totals.altered, "are stored in another form than they were sent"),
        )
        findings += [
            Finding(kind, f"{_share(name, rows, planned)} {words}", name, None, rows, planned)
            for kind, rows, words in counts
            if rows
        ]
        if totals.target == "webhook":
            text = f"{name}: went to a webhook; nothing can be read back"
            findings.append(Finding("unverified", text, name))
    for name, rows in (unsent or {}).items():
        findings.append(
            Finding("not_arriving", f"{name}: {rows:,} not loaded yet", name, None, rows, rows)
        )
    written = sum(totals.written for totals in result.datasets.values())
    planned = sum(totals.planned for totals in result.datasets.values())
    done = f"{written:,} of {planned:,} records written" if planned else "nothing to do"
    return _judged(findings, f"Loaded: {done}", f"Loaded with losses: {done}", "")


def judge_reconciliation(found: Reconciliation) -> Verdict:
    """Whether the target holds what was loaded, by the verdict of the verifier itself."""
    colours: Mapping[str, Kind] = {"mismatch": "difference", "undone": "difference"}
    findings = []
    for name, dataset in found.datasets.items():
        if dataset.verdict != "match":
            kind = colours.get(dataset.verdict, "unverified")
            text = f"{name}: {dataset.verdict}"
            if dataset.difference:
                text += f", {dataset.difference:+,} against the expected {dataset.expected:,}"
            findings.append(Finding(kind, text, name))
        if dataset.deep and dataset.deep.verdict != "match":
            kind = colours.get(dataset.deep.verdict, "unverified")
            findings.append(Finding(kind, f"{name}: read back: {dataset.deep.verdict}", name))
    findings += [
        Finding("unverified", f"{name}: not verifiable: {why}", name)
        for name, why in found.unverifiable.items()
    ]
    findings += [
        Finding(
            "not_arriving",
            f"{name}: {say_count(rows, 'record')} not loaded yet",
            name,
            None,
            rows,
            rows,
        )
        for name, rows in found.not_loaded.items()
    ]
    for table in found.tables:
        if not (table.equal and table.is_planned):
            text = (
                f"{table.dataset}: {table.title}: {len(table.unequal):,} of {len(table.groups):,} "
                "groups differ between source, plan and target"
            )
            findings.append(Finding("difference", text, table.dataset))
        findings += _money_findings(table.dataset, table)
    if found.verdict in colours and not any(f.kind == "difference" for f in findings):
        findings.append(Finding("difference", f"the verdict is {found.verdict}"))
    elif found.verdict != "match" and not findings:
        findings.append(Finding("unverified", f"the verdict is {found.verdict}"))
    return _judged(
        findings,
        "All counts agree",
        f"Not everything could be checked: {found.verdict}",
        f"Not as it should be: {found.verdict}",
    )


def judge_run(run: Run) -> Verdict:
    """Whether a whole run did what it was for: the findings of all stages that it reached, the worst first."""
    findings = [
        Finding("unverified", f"{name}: not proven complete ({r.verdict}): {r.reason}", name)
        for name, r in run.extraction.resources.items()
        if r.verdict != "proven"
    ]
    if run.stopped:
        findings.append(Finding("gate", run.stopped.what.splitlines()[0]))
    if run.plan:
        planned = judge_plan(run.plan.document, read_totals(run.plan))
        # A gate that the plan broke was confirmed, or the load would not have begun.
        passed = run.loaded is not None
        findings += [f for f in planned.findings if not (passed and f.kind == "gate")]
    if run.loaded:
        findings += judge_load(run.loaded).findings
    if run.reconciliation is None:
        if not run.stopped:
            findings.append(Finding("gate", "the run has not been reconciled"))
        return _judged(findings, "", "", "Not finished")
    reconciled = judge_reconciliation(run.reconciliation)
    findings += reconciled.findings
    written = sum(d.written for d in run.loaded.datasets.values()) if run.loaded else 0
    if written:
        what = f"{written:,} records written in {len(run.reconciliation.datasets)} datasets"
    else:
        what = "nothing to do, the target has all of it"
    doubtful = f"Done, but not all of it: {what}"
    return _judged(findings, f"All counts agree: {what}", doubtful, reconciled.headline)
