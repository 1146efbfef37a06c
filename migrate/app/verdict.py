"""One judgement for every reader: green, amber or red, and what speaks against green, the worst first. Pure.

Terminal, JSON and page show what stands here and judge nothing themselves, so that they cannot disagree.

- **green**: all that the mapping does not leave out on purpose will arrive (or has arrived).
- **amber**: something will not: rejected, waiting, merged into others, emptied, consents or money missing, or it
  could not be proven or verified.
- **red**: a gate stops it, it differs, or it no longer holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from migrate.app.finding import Finding, Kind, Verdict, judge_findings, share_of
from migrate.app.plan_findings import dataset_findings, money_findings
from migrate.sentence import Sentence
from migrate.totals.table import Table

if TYPE_CHECKING:
    from migrate.load.loader import LoadResult
    from migrate.plan.document import PlanDocument
    from migrate.verify.reconcile import DatasetReconciliation, Reconciliation


def judge_plan(
    document: PlanDocument, totals: Mapping[str, Table], no_longer: Sequence[str] = ()
) -> Verdict:
    """Whether a plan may be loaded. `no_longer`: the reasons why it no longer holds, none where it does."""
    findings = [Finding("gate", reason) for reason in no_longer]
    findings += [
        Finding(
            "gate",
            Sentence(
                "A safety gate stops this plan: {gate}: {text}",
                gate=finding.gate,
                text=finding.text,
            ),
        )
        for finding in document.gates
        if finding.verdict == "broken"
    ]
    for name, dataset in document.datasets.items():
        findings += dataset_findings(name, dataset)
        if name in document.webhook_ids:
            text = Sentence(
                "{dataset}: goes to a webhook; nothing can be read back, so nothing is verified",
                dataset=name,
            )
            findings.append(Finding("unverified", text, name))
    for name, table in totals.items():
        findings += money_findings(name, table)
    if document.offline:
        text = Sentence("the target was not read: what is new and what changes there is not known")
        findings.append(Finding("unverified", text))
    what = _what_to_send(document)
    good = Sentence("Ready to load: {what}", what=what)
    if any(getattr(d, name) for d in document.datasets.values() for name in _SENT):
        doubtful = Sentence("Read this before you load: {what}", what=what)
    else:
        doubtful = Sentence("Read this: {what}", what=what)
    if no_longer:
        bad = Sentence("Do not load, this plan no longer holds: {what}", what=what)
    else:
        bad = Sentence("Do not load yet: {what}", what=what)
    return judge_findings(findings, good, doubtful, bad)


_SENT = ("create", "update", "unknown")
TO_SEND = {
    "create": "{count} new",
    "update": "{count} changed",
    "unknown": "{count} new or changed",
    "unchanged": "{count} already the same",
}


def _what_to_send(document: PlanDocument) -> tuple[Sentence, ...]:
    sums = dict.fromkeys(TO_SEND, 0)
    for dataset in document.datasets.values():
        for name in TO_SEND:
            sums[name] += getattr(dataset, name)
    parts = [Sentence(TO_SEND[name], count=rows) for name, rows in sums.items() if rows]
    if not any(sums[name] for name in _SENT):
        parts.insert(0, Sentence("nothing to do"))
    return tuple(parts)


def judge_load(result: LoadResult, unsent: Mapping[str, int] | None = None) -> Verdict:
    """What a load did. `unsent`: rows still to be sent of datasets that it was not asked for."""
    findings: list[Finding] = []
    for name, totals in result.datasets.items():
        planned = totals.planned
        findings += [
            Finding(kind, _load_text(words, name, rows, planned), name, None, rows, planned)
            for kind, count, words in LOAD_LOSSES
            if (rows := getattr(totals, count))
        ]
        if totals.target == "webhook":
            text = Sentence("{dataset}: went to a webhook; nothing can be read back", dataset=name)
            findings.append(Finding("unverified", text, name))
    findings += _not_loaded(unsent or {})
    written = sum(totals.written for totals in result.datasets.values())
    planned = sum(totals.planned for totals in result.datasets.values())
    done = Sentence("nothing to do")
    if planned:
        done = Sentence("{count} of {of} records written", count=written, of=planned)
    good = Sentence("Loaded: {what}", what=done)
    doubtful = Sentence("Loaded with losses: {what}", what=done)
    # Nothing in a load is a gate or a difference, so it is never red: a gate has stopped it before.
    return judge_findings(findings, good, doubtful, "")


LOAD_LOSSES: tuple[tuple[Kind, str, tuple[str, str]], ...] = (
    (
        "not_arriving",
        "rejected",
        ("{share} was refused by the target", "{share} were refused by the target"),
    ),
    (
        "not_arriving",
        "waiting",
        (
            "{share} waits for a record that the target refused",
            "{share} wait for a record that the target refused",
        ),
    ),
    (
        "not_arriving",
        "deferred",
        (
            "{share} was put off and is still to be sent",
            "{share} were put off and are still to be sent",
        ),
    ),
    ("not_arriving", "open", ("{share} is not answered yet", "{share} are not answered yet")),
    (
        "merged",
        "merged",
        (
            "{dataset}: {count} record of the target was merged away",
            "{dataset}: {count} records of the target were merged away",
        ),
    ),
    (
        "cut",
        "protected",
        (
            "{share} holds a column that the target does not let us write",
            "{share} hold a column that the target does not let us write",
        ),
    ),
    (
        "cut",
        "altered",
        (
            "{share} is stored in another form than it was sent",
            "{share} are stored in another form than they were sent",
        ),
    ),
)


def _load_text(words: tuple[str, str], dataset: str, rows: int, planned: int) -> Sentence:
    share = share_of(dataset, rows, planned)
    return Sentence(*words, share=share, count=rows, dataset=dataset)


def _not_loaded(unsent: Mapping[str, int]) -> Iterator[Finding]:
    for name, rows in unsent.items():
        text = Sentence(
            "{dataset}: {count} record not loaded yet",
            "{dataset}: {count} records not loaded yet",
            dataset=name,
            count=rows,
        )
        yield Finding("not_arriving", text, name, None, rows, rows)


def judge_reconciliation(reconciliation: Reconciliation) -> Verdict:
    """Whether the target holds what was loaded, by the verdict of the verifier itself."""
    colours: Mapping[str, Kind] = {"mismatch": "difference", "undone": "difference"}
    findings = []
    for name, dataset in reconciliation.datasets.items():
        if dataset.verdict != "match":
            kind = colours.get(dataset.verdict, "unverified")
            findings.append(Finding(kind, _count_text(name, dataset), name))
        # Beside the count: counts may agree by chance where values do not.
        if dataset.deep and dataset.deep.verdict != "match":
            kind = colours.get(dataset.deep.verdict, "unverified")
            deep = Sentence(dataset.deep.verdict)
            text = Sentence("{dataset}: read back: {verdict}", dataset=name, verdict=deep)
            findings.append(Finding(kind, text, name))
    findings += [
        Finding(
            "unverified",
            Sentence("{dataset}: not verifiable: {why}", dataset=name, why=why),
            name,
        )
        for name, why in reconciliation.unverifiable.items()
    ]
    findings += _not_loaded(reconciliation.not_loaded)
    for table in reconciliation.tables:
        if not table.equal:
            text = Sentence(
                "{dataset}: {title}: {count} of {of} groups differ between source, plan and target",
                dataset=table.dataset,
                title=table.title,
                count=len(table.unequal),
                of=len(table.groups),
            )
            findings.append(Finding("difference", text, table.dataset))
        findings += money_findings(table.dataset, table)
    verdict = Sentence(reconciliation.verdict)
    whole = Sentence("the verdict is {verdict}", verdict=verdict)
    if reconciliation.verdict in colours and not any(f.kind == "difference" for f in findings):
        findings.append(Finding("difference", whole))
    # A verdict that no dataset explains is said as a whole, or it would be shown green.
    elif reconciliation.verdict != "match" and not findings:
        findings.append(Finding("unverified", whole))
    return judge_findings(
        findings,
        Sentence("All counts agree"),
        Sentence("Not everything could be checked: {verdict}", verdict=verdict),
        Sentence("Not as it should be: {verdict}", verdict=verdict),
    )


def _count_text(name: str, dataset: DatasetReconciliation) -> Sentence:
    verdict = Sentence(dataset.verdict)
    if not dataset.difference:
        return Sentence("{dataset}: {verdict}", dataset=name, verdict=verdict)
    more = dataset.difference > 0
    return Sentence(
        "{dataset}: {verdict}, {difference} more than the expected {expected}"
        if more
        else "{dataset}: {verdict}, {difference} fewer than the expected {expected}",
        dataset=name,
        verdict=verdict,
        difference=abs(dataset.difference),
        expected=dataset.expected or 0,
    )
