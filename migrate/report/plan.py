"""What a plan says, for a terminal and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from migrate.app.verdict import judge_plan
from migrate.mapping.rules import RULES
from migrate.plan.open_plan import read_totals
from migrate.privacy.mask import workspace_masker
from migrate.report.diff_view import loss_examples, shared_keys, shown_of
from migrate.report.shown import Shown
from migrate.report.terminal import (
    Row,
    format_duration,
    inert,
    inert_lines,
    render_table,
    say_without_rows,
)
from migrate.report.totals import say_unequal, summarise_groups
from migrate.sentence import Sentence

if TYPE_CHECKING:
    from migrate.plan.document import DatasetPlan, PlanDocument
    from migrate.plan.open_plan import Plan
    from migrate.totals.table import Table

_RULES = 20
_WORST = 3
_KEYS = 5
_WHOSE = {"nobody": "stands for nobody (max_placeholder)", "collapsed": ""}
_ROWS_WRITTEN_A_MINUTE = 20_000_000
"""Half of what tests/bench/bench_files.py measures of one core's time."""
_WORTH_FILES_MINUTES = 60
"""Who waits less than an hour for a load needs no second door."""
SEEN_AT_ALL = ("read", "outside_delta", "outside")
"""What tells a dataset that has nothing to do from one that has no rows."""
COUNTS = (
    "read",
    "filtered",
    "rejected",
    "collapsed",
    "create",
    "update",
    "unchanged",
    "unknown",
    "batches",
)
"""The columns of a plan's table; `render_counts` adds those that only some plans have."""


def summarise_plan(plan: Plan) -> dict[str, Any]:
    """The plan's part of the JSON object; examples of losses are masked."""
    rules: Counter[str] = Counter()
    for dataset in plan.document.datasets.values():
        rules.update(dataset.rejected_by_rule)
    examples = loss_examples(plan, Shown(workspace_masker(plan.folder.parents[1])))
    summary = plan.summary()
    datasets = {
        name: {**dataset.model_dump(), "loss_examples": examples.get(name, {})}
        for name, dataset in plan.document.datasets.items()
    }
    tables = read_totals(plan)
    groups = summarise_groups(tables)
    for name, entry in datasets.items():
        # further totals of a dataset are named with the resource behind it
        entry["totals"] = [group for group in groups if group["dataset"].split(" ")[0] == name]
    totals = {"totals": groups, "totals_equal": all(table.equal for table in tables.values())}
    return {
        **summary,
        "datasets": datasets,
        "rejected_by_rule": dict(sorted(rules.items())),
        **totals,
        "files": forecast_files(plan.document),
        "verdict": judge_plan(plan.document, tables).summarise(),
    }


def render_plan(plan: Plan, *, is_judged: bool = False) -> str:
    """Counts per dataset, why rows were rejected, warnings, gates and the forecast.

    `is_judged`: a verdict on more than the plan stands above already, with all that speaks against this one.
    """
    document = plan.document
    totals = read_totals(plan)
    head = (
        f"Plan {plan.name} from snapshot {words_of_snapshot(document)}"
        + (f", for target {document.target}" if document.target else "")
        + (" (offline: the target was not read)" if document.offline else "")
        + (f"\nIt is {inert(document.scope.told)}." if document.scope else "")
        + _by_hand(document)
    )
    judged = judge_plan(document, totals).render(_WORST, "`migrate diff` has them all")
    parts = [head, *([] if is_judged else [inert_lines(judged)])]
    parts.append(render_counts(document.datasets, COUNTS))
    shared = {name: _shared_keys(plan, name) for name in document.datasets}
    sections = (
        _rejects(document),
        render_shared_keys(shared),
        _merges(document),
        _unequal(totals),
        _warnings(document),
        _gates(document),
    )
    parts += [section for section in sections if section]
    parts.append(_forecast(document))
    return "\n\n".join(parts)


def _by_hand(document: PlanDocument) -> str:
    if document.corrections:
        lines = document.corrections.told
    else:
        lines = ()
    return "".join(f"\nBy hand: {inert(line)}." for line in lines)


def words_of_snapshot(document: PlanDocument) -> str:
    """The snapshot's name, and of a delta that of the snapshot it was put on."""
    snapshot = document.snapshot
    if snapshot.base:
        return f"{snapshot.name}, a delta on {snapshot.base.name}"
    return snapshot.name


def render_counts(datasets: Mapping[str, DatasetPlan], names: Sequence[str]) -> str:
    """A table of counts by dataset; with the rows outside a delta, a part or a sample, where there are any."""
    shown = [*names]
    for outside in ("outside_delta", "outside"):
        if any(getattr(dataset, outside) for dataset in datasets.values()):
            shown.insert(shown.index("read") + 1, outside)
    for aside in ("waiting", "discarded"):
        if "rejected" in shown and any(getattr(d, aside) for d in datasets.values()):
            shown.insert(shown.index("rejected") + 1, aside)
    rows: list[Row] = []
    empty = [
        name
        for name, dataset in datasets.items()
        if not any(getattr(dataset, count) for count in (*shown, *SEEN_AT_ALL))
    ]
    for name, dataset in datasets.items():
        if name in empty:
            continue
        rows.append([name, *(getattr(dataset, count) for count in shown)])
        # of a file only what became of its records is known; what rows do in the target is the dataset's
        rows += [
            [f"  {one.file}", *(getattr(one, count, None) for count in shown)]
            for one in dataset.files
        ]
    heads = ["dataset", *(count.replace("_", " ") for count in shown)]
    table = [render_table(heads, rows)] if rows else []
    return "\n".join([*table, *say_without_rows("No rows", empty)])


def _rejects(document: PlanDocument) -> str:
    rules: list[tuple[str, str, str, int, str]] = []
    for name, dataset in document.datasets.items():
        rules.extend(
            (name, rule, "", count, RULES[rule].says if rule in RULES else "")
            for rule, count in dataset.rejected_by_rule.items()
        )
    return render_rejects_of(sorted(rules, key=lambda entry: (-entry[3], entry[0], entry[1])))


def render_rejects_of(rejects: Sequence[tuple[str, str, str, int, str]]) -> str:
    """A table of rejected rows by the rule they broke: dataset, rule, column, rows, what the rule says."""
    if not rejects:
        return ""
    heads = ["dataset", "rule", "rows", "what it says"]
    if any(column for _, _, column, _, _ in rejects):
        rows: list[Row] = [
            [name, rule, column, count, says]
            for name, rule, column, count, says in rejects[:_RULES]
        ]
        return "Rejected rows, by the rule they broke:\n" + render_table(
            [*heads[:2], "column", *heads[2:]], rows
        )
    rows = [[name, rule, count, says] for name, rule, _, count, says in rejects[:_RULES]]
    return "Rejected rows, by the rule they broke:\n" + render_table(heads, rows)


def _shared_keys(plan: Plan, dataset: str) -> list[dict[str, Any]]:
    shown = Shown(workspace_masker(plan.folder.parents[1]))
    return shared_keys(plan, dataset, shown_of(plan, dataset, shown), _KEYS)


def render_shared_keys(shared: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A table of the keys that most rows share, by dataset: those rows become one."""
    rows: list[Row] = []
    for name, keys in shared.items():
        rows.extend(
            [name, key["columns"], inert(str(key["value"])), key["rows"], _WHOSE[str(key["what"])]]
            for key in keys
        )
    if not rows:
        return ""
    table = render_table(["dataset", "key", "value", "rows", ""], rows)
    return "Keys that several rows share; these rows become one record:\n" + table


def _merges(document: PlanDocument) -> str:
    lines = [
        f"  {name}: {m.records:,} records become {m.clusters:,}; {m.masterids_lost:,} masterids disappear, "
        f"{m.rows_fused:,} planned rows fuse"
        for name, dataset in document.datasets.items()
        if (m := dataset.merges).clusters
    ]
    if lines:
        return "\n".join(["Merges, which cannot be undone (`migrate diff` lists them):", *lines])
    return ""


def _unequal(totals: Mapping[str, Table]) -> str:
    lines = [f"  {line}" for line in say_unequal(totals)]
    head = "Totals that are not equal (`migrate diff` shows in which months and why):"
    return "\n".join([head, *lines]) if lines else ""


def _warnings(document: PlanDocument) -> str:
    lines: list[str] = []
    for name, dataset in document.datasets.items():
        lines.extend(f"  {name}: {text}" for text in warnings_of(dataset))
    lines += [f"  {name}: not planned, {reason}" for name, reason in document.skipped.items()]
    if lines:
        return "\n".join(["Worth knowing:", *(inert(line) for line in lines)])
    return ""


def warnings_of(dataset: DatasetPlan) -> list[str]:
    """What a reader should know of a dataset beside its counts."""
    warnings = list(dataset.warnings)
    warnings += [f"{n:,} rows find no {lookup}" for lookup, n in dataset.orphans.items() if n]
    if dataset.foreign:
        warnings.append(
            f"{dataset.foreign:,} records of the target come from elsewhere; they are left alone"
        )
    if dataset.other_projects:
        warnings.append(
            f"{dataset.other_projects:,} records of the target were loaded by other projects of yours"
        )
    if dataset.unmapped:
        fields = ", ".join(
            f"{entry.field} ({entry.filled:.0%} filled)" for entry in dataset.unmapped[:8]
        )
        if len(dataset.unmapped) > 8:
            more = f" and {len(dataset.unmapped) - 8} more"
        else:
            more = ""
        warnings.append(f"fields that no mapping uses: {fields}{more}")
    return warnings


def _gates(document: PlanDocument) -> str:
    broken = [
        f"  {finding.gate}: {finding.text}"
        for finding in document.gates
        if finding.verdict == "broken"
    ]
    if broken:
        return "\n".join(["Stopped by a safety gate; load will refuse this plan:", *broken])
    return ""


def _forecast(document: PlanDocument) -> str:
    forecast = document.forecast
    if not forecast.requests:
        return "Load: nothing to send."
    head = f"Load: {forecast.requests:,} requests, {forecast.points:,} points"
    by_api = f"{head}; at the documented limits {', '.join(times_by_keys(document))}."
    if max(forecast.minutes_by_keys.values(), default=0.0) < _WORTH_FILES_MINUTES:
        return by_api
    return f"{by_api}\n{_by_files(document)}"


def _by_files(document: PlanDocument) -> str:
    """What the other door takes, as far as anybody knows it."""
    forecast = forecast_files(document)
    return (
        f"Or as files (migrate load --files): {forecast['rows']:,} rows, written in about "
        f"{format_duration(forecast['minutes_to_write'] * 60)}; how long the line and the account's import take is not "
        "documented."
    )


def forecast_files(document: PlanDocument) -> dict[str, Any]:
    """How many rows may go by files, and the minutes that it takes to write them: the rest nobody documents."""
    chosen = [d for name, d in document.datasets.items() if name not in document.webhook_ids]
    # What is the same already needs no sending, by whichever door.
    rows = sum(dataset.create + dataset.update + dataset.unknown for dataset in chosen)
    return {"rows": rows, "minutes_to_write": round(rows / _ROWS_WRITTEN_A_MINUTE, 2)}


def times_by_keys(document: PlanDocument) -> tuple[str, ...]:
    """How long the load takes at the documented limits: `4.2 s with 1 key, 0.6 s with 2 keys`."""
    return tuple(
        Sentence(
            "{time} with {count} key",
            "{time} with {count} keys",
            time=format_duration(minutes * 60),
            count=keys,
        )
        for keys, minutes in document.forecast.minutes_by_keys.items()
    )
