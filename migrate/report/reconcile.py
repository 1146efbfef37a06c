"""The count equation and the read-back, for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import polars as pl

from migrate.app import verdict
from migrate.report.shown import Shown
from migrate.report.terminal import Row, inert_lines, render_table, say_count, say_without_rows
from migrate.sentence import amount_text
from migrate.totals.table import TITLES, Figure
from migrate.verify.deep import DeepDataset
from migrate.verify.reconcile import Reconciliation, SourceCount

if TYPE_CHECKING:
    from migrate.app.other_projects import AllProjects

_LONGEST = 40
_EQUATION = [
    "dataset",
    "before",
    "+ created",
    "- merged",
    "= expected",
    "after",
    "difference",
    "verdict",
]
# In this order in the samples: what is lost before what is only otherwise.
_SHOWN = ("missing", "extra", "doubled", "different", "recipe_changed", "merged_away")


def judge_reconciliation(reconciliation: Reconciliation) -> tuple[int, str]:
    """Exit code and status: 4 for a difference, and for records that are still to be sent; 3 for what is pending."""
    return {"match": 0, "pending": 3}.get(reconciliation.verdict, 4), reconciliation.verdict


def render_reconciliation(
    reconciliation: Reconciliation, shown: Mapping[str, Shown] | None = None
) -> str:
    """The equation of every dataset, the counts by source, what explains a difference, and the read-back's findings.

    Samples are as their dataset's are `shown`, as they are without that.
    """
    head = f"Counts of plan {reconciliation.plan}"
    title = f"{head}, {reconciliation.told}" if reconciliation.told else head
    judged = inert_lines(verdict.judge_reconciliation(reconciliation).render())
    parts = [
        f"{title}\n{judged}",
        _render_equations(reconciliation),
        _render_sources(reconciliation),
        "\n".join(_explain(reconciliation)),
    ]
    deep = [entry.deep for entry in reconciliation.datasets.values() if entry.deep]
    if deep:
        parts += _render_deep(deep, shown or {})
    return "\n\n".join(part for part in parts if part)


def _render_equations(reconciliation: Reconciliation) -> str:
    """A row for each dataset; those of which there was and is nothing are named below the table."""
    rows: list[Row] = []
    empty = []
    for name, entry in reconciliation.datasets.items():
        books = entry.books
        counts = (books.count_before, books.created, books.merged, entry.count_after)
        if entry.verdict == "match" and not any(counts):
            empty.append(name)
            continue
        before, created, merged, after = counts
        rows.append(
            [name, before, created, merged, entry.expected, after, entry.difference, entry.verdict]
        )
    # What cannot be read back is told with the reason, below.
    not_loaded = [
        name for name in reconciliation.not_loaded if name not in reconciliation.unverifiable
    ]
    rows += [[name, *[None] * 6, "not loaded"] for name in not_loaded]
    lines = say_without_rows("No record before, none after", empty)
    if rows:
        lines = [render_table(_EQUATION, rows, keep=["difference"]), *lines]
    return "\n".join(lines)


def _render_sources(reconciliation: Reconciliation) -> str:
    rows = list(
        chain.from_iterable(
            _source_rows(name, entry.by_source) for name, entry in reconciliation.datasets.items()
        )
    )
    if not rows:
        return ""
    headers = ["dataset", "source", "planned", "in the target now"]
    return f"By source:\n{render_table(headers, rows)}"


def _explain(reconciliation: Reconciliation) -> list[str]:
    lines = [
        f"  {name}: {line}"
        for name, entry in reconciliation.datasets.items()
        for line in entry.explanations
    ]
    for name, entry in reconciliation.datasets.items():
        if entry.is_pending and entry.settles_at:
            lines.append(
                f"  {name}: pending: the target may still be preparing what was written last; what is "
                f"missing at {entry.settles_at:%Y-%m-%d %H:%M:%S} UTC is missing"
            )
    # What is not loaded yet is in the judgement above the tables.
    return lines + [
        f"  {name}: not verifiable: {why}" for name, why in reconciliation.unverifiable.items()
    ]


def _source_rows(name: str, by_source: Mapping[str, SourceCount]) -> list[list[str | int]]:
    rows: list[list[str | int]] = []
    for source, count in by_source.items():
        counted: str | int
        if count.counted is None:
            counted = f"not counted: {count.reason}"
        elif count.reason:
            counted = f"{count.counted:,} ({count.reason})"
        else:
            counted = count.counted
        rows.append([name, source, count.planned, counted])
    return rows


def _render_deep(deep: Sequence[DeepDataset], shown: Mapping[str, Shown]) -> list[str]:
    rows: list[Row] = [
        [d.dataset, d.expected, d.compared, d.missing, d.extra, d.doubled, d.different, d.recipe_changed, d.pending,
         d.verdict]
        for d in deep
    ]  # fmt: skip
    headers = [
        "dataset",
        "expected",
        "compared",
        "missing",
        "extra",
        "doubled",
        "different",
        "recipe",
        "pending",
        "verdict",
    ]
    parts = ["Read back and compared with the snapshot:\n" + render_table(headers, rows)]
    notes = list(chain.from_iterable(map(_notes, deep)))
    if notes:
        parts.append("\n".join(notes))
    plain = Shown(None)
    samples = list(chain.from_iterable(_sample_rows(d, shown.get(d.dataset, plain)) for d in deep))
    if samples:
        headers = ["dataset", "finding", "name", "key", "column", "expected", "found"]
        parts.append(
            "Samples"
            + (" (masked)" if any(one.is_masked for one in shown.values()) else "")
            + ":\n"
            + render_table(headers, samples)
        )
        parts.append(
            "\n".join(
                f"  all of {d.dataset}: {d.file}" for d in deep if d.samples.height and d.file
            )
        )
    return parts


def _notes(d: DeepDataset) -> list[str]:
    notes = [
        f"  {d.dataset}.{name}: not verifiable independently: {why}"
        for name, why in d.unverifiable.items()
    ]
    if d.merged_away:
        notes.append(
            f"  {d.dataset}: {d.merged_away:,} records were merged away by the load, as its answers said"
        )
    fused = d.by_name.get("missing", {}).get("fused", 0)
    if fused:
        notes.append(
            f"  {d.dataset}: {fused:,} planned records went into those of other rows, and the later overwrites: "
            "the target takes their keys for one (letter case, spaces, Unicode form), or they share another key of "
            "the dataset"
        )
    if d.there_before:
        notes.append(
            f"  {d.dataset}: {d.there_before:,} records of others: older than the load, or of other projects"
        )
    if d.made_since:
        notes.append(
            f"  {d.dataset}: {d.made_since:,} records that plans which were loaded later have made"
        )
    if d.outside:
        notes.append(
            f"  {d.dataset}: {d.outside:,} records outside of the delta, the part or the sample, not compared"
        )
    return notes + [
        f"  {d.dataset}: {count:,} records {name}, not compared"
        for name, count in d.unsettled.items()
    ]


def _sample_rows(deep: DeepDataset, shown: Shown) -> list[Row]:
    order = {finding: place for place, finding in enumerate(_SHOWN)}
    chosen = deep.samples.with_columns(
        pl.col("finding")
        .replace_strict(order, default=len(order), return_dtype=pl.Int64)
        .alias("_at")
    ).sort("_at", "name", "column", "key")
    return [
        [deep.dataset, row["finding"], row["name"], _cut(shown.text(row["key"])), row["column"],
         *(_cut(shown.cell(row[name], row["column"] or "")) for name in ("expected", "found"))]
        for row in chosen.iter_rows(named=True)
    ]  # fmt: skip


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= _LONGEST:
        return text
    return text[: _LONGEST - 1] + "…"


def summarise_projects(every: AllProjects, reconciliation: Reconciliation) -> dict[str, Any]:
    """What each project has in the datasets, and all of them together, as a JSON object."""
    return {
        "datasets": {
            name: {
                "by_project": {one.project_id: one.records[name] for one in every.projects},
                "together": together,
                "shared": _shared(every, name),
                "in_target": _counted(reconciliation, name),
            }
            for name, together in every.records.items()
        },
        "plans": {one.project_id: one.plan for one in every.projects},
        "totals": [
            {"dataset": name, "title": title, "label": label, **_as_json(figures)}
            for (name, title, label), figures in _totals_of(every).items()
        ],
        "not_read": [str(file) for file in every.unread],
        "files": [str(file) for file in every.files],
    }


def render_projects(every: AllProjects, reconciliation: Reconciliation) -> str:
    """Tables of records and of the source's totals, a column for each project and one for all of them."""
    ids = [one.project_id for one in every.projects]
    heads = ["dataset", *(f"project {number}" for number in ids), "together", "in the target now"]
    rows: list[Row] = [
        [
            name,
            *(one.records[name] for one in every.projects),
            together,
            _counted(reconciliation, name),
        ]
        for name, together in every.records.items()
    ]
    parts = ["Records of all projects:", render_table(heads, rows)]
    shared = {name: _shared(every, name) for name in every.records}
    parts += [
        f"  {name}: {say_count(count, 'record')} of the target {'is' if count == 1 else 'are'} of several projects: "
        "their keys meet"
        for name, count in shared.items()
        if count
    ]
    totals = [
        [name, f"{title} {label}".strip(), *(_told(figures.get(number)) for number in [*ids, ""])]
        for (name, title, label), figures in _totals_of(every).items()
    ]
    if totals:
        heads = ["dataset", "what", *heads[1:-1]]
        parts += ["\nTotals of the source, as each project's newest whole plan has them:"]
        parts += [render_table(heads, totals)]
    parts += [
        f"  project {one.project_id}: only samples or parts were loaded; its totals are in no sum"
        for one in every.projects
        if one.plan is None
    ]
    parts += [
        f"  {file} cannot be read: what is that project's is missing" for file in every.unread
    ]
    parts += [f"Crosswalk of all projects: {file}" for file in every.files]
    return "\n".join(parts)


def _shared(every: AllProjects, dataset: str) -> int:
    """Records of the target that more than one project has."""
    # Each project counts a shared record, all together count it once.
    return sum(one.records[dataset] for one in every.projects) - every.records[dataset]


def _counted(reconciliation: Reconciliation, dataset: str) -> int | None:
    one = reconciliation.datasets.get(dataset)
    return None if one is None else one.count_after


_ByProject = Mapping[str, tuple[Figure, bool]]


def _totals_of(every: AllProjects) -> dict[tuple[str, str, str], _ByProject]:
    """By dataset, title and label what each project's source has, and under no project's name what all have.

    Beside each figure stands whether it is money.
    """
    sums: dict[tuple[str, str, str], dict[str, tuple[Figure, bool]]] = {}
    for one in every.projects:
        for name, table in one.tables.items():
            is_money = table.kind == "revenue"
            for group in table.groups:
                by = sums.setdefault((name, TITLES[table.kind], group.label), {})
                for who in (one.project_id, ""):
                    before, _ = by.get(who, (Figure(), is_money))
                    by[who] = (before + group.source, is_money)
    return dict(sorted(sums.items()))


def _told(figure: tuple[Figure, bool] | None) -> str | None:
    if figure is None:
        return None
    amount, is_money = figure
    if is_money:
        return f"{amount_text(amount.amount)} in {amount.rows:,}"
    return f"{amount.rows:,}"


def _as_json(figures: _ByProject) -> dict[str, Any]:
    by_project = {
        number: {
            "rows": amount.rows,
            **({"amount": amount_text(amount.amount)} if is_money else {}),
        }
        for number, (amount, is_money) in figures.items()
    }
    together = by_project.pop("")
    return {"by_project": by_project, "together": together}
