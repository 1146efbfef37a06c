"""What the diff report says of a plan, gathered from its files: counts, samples and aggregates, never all rows.

The terminal and the page are made from nothing else. Values are masked here, so no renderer can forget to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from migrate import parquet
from migrate.app.finding import Verdict
from migrate.app.plan_findings import LOSS_KINDS
from migrate.app.verdict import judge_plan
from migrate.mapping.rules import LOSSES, RULES
from migrate.plan.keys import BEFORE_COLLAPSE
from migrate.plan.open_plan import read_totals
from migrate.report.about import Fact, conditions_of, facts_of_plan
from migrate.report.conditions import say_left_out
from migrate.report.consents import view_consents
from migrate.report.shown import Shown
from migrate.report.totals import mask_examples
from migrate.sentence import Sentence
from migrate.wording import format_duration

if TYPE_CHECKING:
    from migrate.plan.document import DatasetPlan, Forecast, PlanDocument
    from migrate.plan.open_plan import Plan
    from migrate.totals.table import Table

SAMPLES_A_RULE = 5
CLUSTERS = 20
MEMBERS = 8
ODD_VALUES = 12
OFFLINE = (
    "which rows are new, which change and which are the same already: every change is `unknown`",
    "old values beside new ones, and which columns change most",
    "records of the target that would be merged with ours: only rows of the plan were compared with each other",
    "records of the target that no row of ours maps to",
    "whether the target has the mapped columns, and which of them its own recipes change",
)
OFFLINE_DELTA = "whether the target holds the rows that the delta leaves as they are"
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class DatasetView:
    """One dataset: its counts (`DatasetPlan`), and lists of rows to show.

    `wheres`: what the mapping asks of a row to be taken, as the mapping says it; `left_out`: which rows it leaves out,
    in words.
    """

    name: str
    counts: DatasetPlan
    changes: Rows
    samples: Rows
    rejects: Rows
    losses: Rows
    consents: Rows
    clusters: Rows
    odd: Rows
    shared: Rows
    wheres: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class DiffView:
    """The whole report. `base`: the snapshot that the plan's, a delta, was put on."""

    plan: str
    snapshot: str
    base: str | None
    offline: bool
    masked: bool
    verdict: Verdict
    datasets: tuple[DatasetView, ...]
    tables: tuple[Table, ...]
    forecast: Mapping[str, Any]
    gates: Rows
    unknowable: tuple[str, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    about: tuple[Fact, ...] = ()
    corrected: tuple[str, ...] = ()
    """What became of values that people have put right."""
    said: str = ""
    """What of the snapshot the plan is, where it is a sample or a part."""
    is_begun: bool = False
    """Whether its load was begun: then it is no dry run any more."""


def view_plan(plan: Plan, shown: Shown, start: datetime) -> DiffView:
    """The report of a plan; `start`: when its load would begin."""
    document = plan.document
    totals = read_totals(plan)
    datasets = tuple(
        _dataset(plan, name, counts, shown) for name, counts in document.datasets.items()
    )
    return DiffView(
        plan=plan.name,
        snapshot=document.snapshot.name,
        base=document.snapshot.base.name if document.snapshot.base else None,
        offline=document.offline,
        masked=shown.is_masked,
        verdict=judge_plan(document, totals),
        datasets=datasets,
        tables=tuple(mask_examples(table, shown) for table in totals.values()),
        forecast=view_forecast(document.forecast, start),
        gates=[finding.model_dump() for finding in document.gates],
        unknowable=_unknowable(document),
        skipped=document.skipped,
        about=facts_of_plan(plan, "planned"),
        said=document.scope.told if document.scope else "",
        corrected=document.corrections.told if document.corrections else (),
    )


def shown_of(plan: Plan, dataset: str, shown: Shown) -> Shown:
    """How values of a dataset are shown: by what its rows were made of, and by the types of its columns."""
    resources = [file.resource for file in plan.document.mappings[dataset].files]
    return shown.of(resources, column_types(plan, dataset))


def shown_by_dataset(plan: Plan, shown: Shown) -> dict[str, Shown]:
    """How values of each dataset of a plan are shown."""
    return {dataset: shown_of(plan, dataset, shown) for dataset in plan.document.datasets}


def _unknowable(document: PlanDocument) -> tuple[str, ...]:
    if not document.offline:
        return ()
    if document.snapshot.base and not document.scope:
        return (*OFFLINE, OFFLINE_DELTA)
    return OFFLINE


def _dataset(plan: Plan, name: str, counts: DatasetPlan, shown: Shown) -> DatasetView:
    shown = shown_of(plan, name, shown)
    losses = _losses(plan, name, counts, shown)
    wheres = tuple(conditions_of(plan, name))
    return DatasetView(
        name=name,
        counts=counts,
        changes=_changes(counts),
        samples=_samples(plan, name, shown),
        rejects=_rejects(plan, name, counts.judged, shown),
        losses=losses,
        consents=view_consents(plan, name, losses),
        clusters=_clusters(plan, name, shown),
        odd=_odd(plan, name, shown),
        shared=shared_keys(plan, name, shown),
        wheres=wheres,
        left_out=tuple(map(say_left_out, wheres)),
    )


def column_types(plan: Plan, dataset: str) -> dict[str, pl.DataType]:
    """The types of the mapped columns, by their own names."""
    file = plan.file(dataset, "records.parquet")
    # A purge takes the records and leaves the counts.
    schema = parquet.schema(file) if file.is_file() else {}
    stored = {there: name for name, there in plan.document.mappings[dataset].stored_columns.items()}
    return {stored.get(name, name): dtype for name, dtype in schema.items()}


def _read(plan: Plan, dataset: str, name: str) -> pl.DataFrame:
    file = plan.file(dataset, f"{name}.parquet")
    if file.is_file():
        return parquet.read(file)
    return pl.DataFrame()


def _changes(counts: DatasetPlan) -> Rows:
    """Columns by how many rows they change, the most first; those of recipes after them."""
    matched = counts.update + counts.unchanged
    listed: list[tuple[str, int, str | None]] = [
        (name, rows, None) for name, rows in counts.change_counts.items()
    ]
    listed += [
        (name, rows, counts.recipes.get(name, "declared"))
        for name, rows in counts.recipe_counts.items()
    ]
    listed.sort(key=lambda entry: (entry[2] is not None, -entry[1], entry[0]))
    return [
        {
            "column": name,
            "rows": rows,
            "share": rows / matched if matched else 0.0,
            "recipe": recipe,
        }
        for name, rows, recipe in listed
    ]


def _samples(plan: Plan, dataset: str, shown: Shown) -> Rows:
    return [
        {
            **row,
            "key": shown.text(row["key"]),
            "old": shown.cell(row["old"], row["column"]),
            "new": shown.cell(row["new"], row["column"]),
        }
        for row in _read(plan, dataset, "samples").to_dicts()
    ]


def _rejects(plan: Plan, dataset: str, judged: int, shown: Shown) -> Rows:
    """By rule and column: how many rows, what the rule says, what to do, and a few of them."""
    frame = _read(plan, dataset, "rejects")
    grouped = (
        frame.group_by("rule", "column", maintain_order=True)
        .agg(
            pl.len().alias("rows"),
            pl.struct("source", "id", "value").head(SAMPLES_A_RULE).alias("samples"),
        )
        .sort(["rows", "rule", "column"], descending=[True, False, False])
    )
    rules = []
    for row in grouped.to_dicts():
        rule = RULES.get(row["rule"])
        samples = [
            {
                "source": sample["source"],
                "id": shown.text(sample["id"]),
                "value": shown.cell(sample["value"], row["column"] or ""),
            }
            for sample in row["samples"]
        ]
        words = {"says": rule.says if rule else "", "hint": rule.hint if rule else ""}
        share = row["rows"] / judged if judged else 0.0
        rules.append({**row, **words, "samples": samples, "share": share})
    return rules


def _losses(plan: Plan, dataset: str, counts: DatasetPlan, shown: Shown) -> Rows:
    examples: dict[tuple[str, str], Rows] = {}
    for row in _read(plan, dataset, "losses").to_dicts():
        pair = {
            "before": shown.cell(row["before"], row["column"]),
            "after": shown.cell(row["after"], row["column"]),
        }
        examples.setdefault((row["column"], row["loss"]), []).append(pair)
    listed: list[tuple[int, str, str]] = []
    for column, losses in counts.losses.items():
        listed.extend((rows, column, loss) for loss, rows in losses.items())
    return [
        {
            "column": column,
            "loss": loss,
            "says": LOSSES.get(loss, ""),
            "rows": rows,
            # A loss that a later version has named counts as harm.
            "kind": LOSS_KINDS.get(loss, "cut"),
            "harms": LOSS_KINDS.get(loss, "cut") is not None,
        }
        | {
            "share": rows / counts.accepted if counts.accepted else 0.0,
            "examples": examples.get((column, loss), []),
        }
        for rows, column, loss in sorted(listed, key=lambda entry: (-entry[0], entry[1], entry[2]))
    ]


def loss_examples(
    plan: Plan, shown: Shown
) -> dict[str, dict[str, dict[str, list[list[str | None]]]]]:
    """By dataset, column and loss the first few (before, after), as shown."""
    examples: dict[str, dict[str, dict[str, list[list[str | None]]]]] = {}
    for dataset, counts in plan.document.datasets.items():
        of_rows = shown_of(plan, dataset, shown)
        for entry in _losses(plan, dataset, counts, of_rows):
            pairs = [[pair["before"], pair["after"]] for pair in entry["examples"]]
            examples.setdefault(dataset, {}).setdefault(entry["column"], {})[entry["loss"]] = pairs
    return examples


def _clusters(plan: Plan, dataset: str, shown: Shown) -> Rows:
    frame = _read(plan, dataset, "merges")
    if not frame.height:
        return []
    clusters = []
    for cluster in frame.filter(pl.col("cluster") <= CLUSTERS).partition_by(
        "cluster", maintain_order=True
    ):
        members = [
            {**row, "key": shown.text(row["key"]), "value": shown.text(row["value"])}
            for row in cluster.head(MEMBERS).to_dicts()
        ]
        # One record of the target stays, the others disappear into it.
        there = cluster.get_column("masterid").drop_nulls().n_unique()
        clusters.append(
            {"records": cluster.height, "disappear": max(0, there - 1), "members": members}
        )
    return clusters


def _odd(plan: Plan, dataset: str, shown: Shown) -> Rows:
    frame = _read(plan, dataset, "keys")
    if not frame.height:
        return []
    odd = frame.filter(~pl.col("what").is_in(BEFORE_COLLAPSE))
    return _first_values(odd, ODD_VALUES, shown)


def shared_keys(plan: Plan, dataset: str, shown: Shown, most: int = ODD_VALUES) -> Rows:
    """The keys that most rows shared before these became one, those that stand for nobody first."""
    frame = _read(plan, dataset, "keys")
    if not frame.height:
        return []
    before = frame.filter(pl.col("what").is_in(BEFORE_COLLAPSE))
    return _first_values(before, most, shown)


def _first_values(frame: pl.DataFrame, most: int, shown: Shown) -> Rows:
    place = pl.int_range(pl.len()).over("columns", "what")
    some = frame.with_columns(place.alias("_n")).filter(pl.col("_n") < most)
    return [
        {**row, "value": _odd_value(row, shown), "like": shown.text(row["like"])}
        for row in some.to_dicts()
    ]


def _odd_value(row: Mapping[str, Any], shown: Shown) -> str | None:
    # A placeholder stands for nobody, so its mailbox may be read; the domain behind it may be somebody's.
    mailbox, at, _domain = str(row["value"]).partition("@")
    if row["what"] in ("placeholder", "nobody") and shown.is_masked:
        return mailbox + ("@…" if at else "")
    return shown.text(row["value"])


def view_forecast(forecast: Forecast, start: datetime) -> dict[str, Any]:
    """The cost of the load, how long it takes by number of keys and when it would end, dataset after dataset."""
    # Not 0, since bars are shares of it.
    longest = max([*forecast.minutes_by_keys.values(), 0.01])
    keys = [
        {
            "keys": count,
            "minutes": minutes,
            "lasts": format_duration(minutes * 60),
            "ends": _clock(start, minutes),
        }
        for count, minutes in forecast.minutes_by_keys.items()
    ]
    timeline = [
        {
            "dataset": stretch.dataset,
            "requests": stretch.requests,
            "points": stretch.points,
            "keys": [
                {
                    "keys": count,
                    "begins": _clock(start, stretch.starts[count]),
                    "ends": _clock(start, end),
                    "lasts": format_duration((end - stretch.starts[count]) * 60),
                    "x": 100 * stretch.starts[count] / longest,
                    # So wide at least that the shortest load can be seen.
                    "width": max(0.4, 100 * (end - stretch.starts[count]) / longest),
                }
                for count, end in stretch.ends.items()
            ],
        }
        for stretch in forecast.timeline
    ]
    return {
        "requests": forecast.requests,
        "points": forecast.points,
        "share": forecast.account_share,
        "start": start.strftime("%Y-%m-%d %H:%M %Z").strip(),
        "keys": keys,
        "timeline": timeline,
    }


def _clock(start: datetime, minutes: float) -> str:
    end = start + timedelta(minutes=minutes)
    clock = end.strftime("%H:%M")
    days = (end.date() - start.date()).days
    if days:
        return Sentence("{clock} (+{days} d)", clock=clock, days=days)
    return clock
