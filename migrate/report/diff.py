"""The diff report for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from migrate.report.cells import format_share
from migrate.report.diff_view import DatasetView, DiffView
from migrate.report.plan import (
    render_counts,
    render_rejects_of,
    render_shared_keys,
    warnings_of,
)
from migrate.report.terminal import Row, inert, inert_lines, render_table, shorten
from migrate.report.totals import render_tables, summarise_groups, summarise_tables
from migrate.totals.declared import Kind

_COUNTS = (
    "read",
    "filtered",
    "rejected",
    "collapsed",
    "create",
    "update",
    "unchanged",
    "unknown",
    "foreign",
)
# As much as one screen takes; --json and the page have all.
_COLUMNS = 12
_SAMPLES = 3
_ALL_SAMPLES = 60


def render_diff(view: DiffView) -> str:
    """Verdict, counts, changes by column, samples, rejects, losses, merges, totals, forecast, what is not known."""
    sections: list[Callable[[DiffView], str]] = [
        _head,
        _counts,
        _changes,
        _samples,
        _rejects,
        _consents,
        _losses,
        _shared,
        _merges,
        _odd,
    ]
    sections += [_totals, _warnings, _harmless, _forecast, _unknowable]
    texts = (section(view) for section in sections)
    return "\n\n".join(filter(None, texts))


def _head(view: DiffView) -> str:
    if view.masked:
        note = "values are masked; --show-values shows them"
    else:
        note = "values are shown as they are"
    if view.base:
        snapshot = f"{view.snapshot}, a delta on {view.base}"
    else:
        snapshot = view.snapshot
    lines = [
        f"Plan {view.plan} from snapshot {snapshot} ({note})",
        *([f"It is {inert(view.said)}."] if view.said else []),
        *(f"By hand: {inert(line)}." for line in view.corrected),
        inert_lines(view.verdict.render()),
    ]
    return "\n".join(lines)


def _counts(view: DiffView) -> str:
    return render_counts({d.name: d.counts for d in view.datasets}, _COUNTS)


def _changes(view: DiffView) -> str:
    rows: list[Row] = []
    for d in view.datasets:
        rows.extend(
            [
                d.name,
                entry["column"],
                entry["rows"],
                format_share(entry["share"]),
                _note(entry["recipe"]),
            ]
            for entry in d.changes[:_COLUMNS]
        )
    return _titled(
        "Columns that change, most rows first:",
        ["dataset", "column", "rows", "share", "note"],
        rows,
        sum(max(0, len(d.changes) - _COLUMNS) for d in view.datasets),
    )


def _note(recipe: str | None) -> str:
    if recipe is None:
        return ""
    return "report-only: a recipe" + ("" if recipe == "declared" else f", the target {recipe}")


def _samples(view: DiffView) -> str:
    rows: list[Row] = []
    for dataset in view.datasets:
        shown: dict[str, int] = {}
        for sample in dataset.samples:
            shown[sample["column"]] = shown.get(sample["column"], 0) + 1
            if shown[sample["column"]] <= _SAMPLES:
                cells = (shorten(sample[name]) for name in ("key", "column", "old", "new"))
                rows.append([dataset.name, *cells])
    return _titled(
        "Samples of changes:",
        ["dataset", "key", "column", "now there", "will be"],
        rows[:_ALL_SAMPLES],
        len(rows) - _ALL_SAMPLES,
    )


def _rejects(view: DiffView) -> str:
    rules: list[tuple[str, str, str, int, str]] = []
    for d in view.datasets:
        rules.extend(
            (d.name, entry["rule"], entry["column"] or "", entry["rows"], entry["says"])
            for entry in d.rejects
        )
    return render_rejects_of(rules)


def _consents(view: DiffView) -> str:
    rows: list[Row] = []
    reasons: list[Row] = []
    for dataset in view.datasets:
        for one in dataset.consents:
            answers = (one["yes"], one["no"], one["none"], one["lost_rows"])
            rows.append([dataset.name, one["column"], *answers])
            reasons += [
                [dataset.name, one["column"], loss["rows"], loss["says"], _example(loss)]
                for loss in one["lost"]
            ]
    heads = ["dataset", "column", "yes", "no", "no answer", "lost"]
    parts = [
        _titled("Consents as they would arrive:", heads, rows),
        _titled(
            "Consents that are lost:", ["dataset", "column", "rows", "why", "example"], reasons
        ),
    ]
    return "\n\n".join(part for part in parts if part)


def _example(loss: Mapping[str, Any]) -> str:
    pair = next(iter(loss["examples"]), None)
    if pair:
        return f"{shorten(pair['before'])} -> {shorten(pair['after'])}"
    return ""


def _losses(view: DiffView) -> str:
    rows: list[Row] = []
    hidden = 0
    for dataset in view.datasets:
        lost = [entry for entry in dataset.losses if entry["harms"]]
        hidden += max(0, len(lost) - _COLUMNS)
        for entry in lost[:_COLUMNS]:
            what = entry["says"] or entry["loss"]
            counts = (entry["rows"], format_share(entry["share"]))
            rows.append([dataset.name, entry["column"], what, *counts, _example(entry)])
    heads = ["dataset", "column", "what is lost", "rows", "share", "example"]
    return _titled("What values lose on the way:", heads, rows, hidden)


def _harmless(view: DiffView) -> str:
    """What is written in another way and loses nothing: last, and in one line for each dataset and kind."""
    columns: dict[tuple[str, str], list[str]] = {}
    for dataset in view.datasets:
        for entry in dataset.losses:
            if not entry["harms"]:
                what = entry["says"] or entry["loss"]
                columns.setdefault((dataset.name, what), []).append(entry["column"])
    rows: list[Row] = [[name, what, ", ".join(those)] for (name, what), those in columns.items()]
    return _titled("Written in another way, nothing is lost:", ["dataset", "what", "columns"], rows)


def _merges(view: DiffView) -> str:
    rows: list[Row] = [
        [d.name, m.clusters, m.records, m.largest, m.masterids_lost, m.rows_fused]
        for d in view.datasets
        if (m := d.counts.merges).clusters
    ]
    heads = ["dataset", "clusters", "records", "largest", "masterids lost", "rows fused"]
    return _titled("Records that would become one, which cannot be undone:", heads, rows)


def _shared(view: DiffView) -> str:
    return render_shared_keys({d.name: d.shared for d in view.datasets})


def _odd(view: DiffView) -> str:
    rows: list[Row] = []
    for d in view.datasets:
        rows.extend(
            [
                d.name,
                " + ".join(key.columns),
                key.shared,
                key.shared_rows,
                key.placeholder_rows,
                key.look_alike_rows,
                key.empty,
            ]
            for key in d.counts.merges.keys
        )
    heads = [
        "dataset",
        "key",
        "shared values",
        "their rows",
        "placeholder rows",
        "look-alike rows",
        "empty",
    ]
    return _titled("Keys that look odd:", heads, rows)


def _totals(view: DiffView) -> str:
    return render_tables(view.tables)


def _warnings(view: DiffView) -> str:
    lines: list[str] = []
    for d in view.datasets:
        lines.extend(f"  {d.name}: {inert(text)}" for text in warnings_of(d.counts))
    lines += [f"  {name}: not planned, {inert(reason)}" for name, reason in view.skipped.items()]
    return "\n".join(["Worth knowing:", *lines]) if lines else ""


def _forecast(view: DiffView) -> str:
    forecast = view.forecast
    if not forecast["requests"]:
        return "Load: nothing to send."
    rows: list[Row] = []
    for stretch in forecast["timeline"]:
        lasts = [key["lasts"] for key in stretch["keys"]]
        rows.append([stretch["dataset"], stretch["requests"], stretch["points"], *lasts])
    keys = [f"{key['keys']} key{'s' if key['keys'] != 1 else ''}" for key in forecast["keys"]]
    ends = "; ".join(
        f"{name}: {key['lasts']}, until {key['ends']}"
        for name, key in zip(keys, forecast["keys"], strict=True)
    )
    head = (
        f"Load at the documented limits: {forecast['requests']:,} requests, {forecast['points']:,} points. "
        f"Begun at {forecast['start']} with {ends}."
    )
    share = f"  {forecast['share']:.0%} of the account's 2,000 points a minute are ours; other tools have the rest."
    return "\n".join(
        [head, share, render_table(["dataset", "requests", "points", *keys], rows)]
        if rows
        else [head]
    )


def _unknowable(view: DiffView) -> str:
    lines = [f"  - {line}" for line in view.unknowable]
    if lines:
        return "\n".join(["Cannot be checked offline:", *lines])
    return ""


def _titled(title: str, headers: list[str], rows: list[Row], hidden: int = 0) -> str:
    """A table below its title, and how many rows of it are not shown."""
    if not rows:
        return ""
    if hidden > 0:
        more = f"\n  … {hidden:,} more; --json and the page have them all"
    else:
        more = ""
    return f"{title}\n{render_table(headers, rows)}{more}"


def summarise_diff(view: DiffView) -> dict[str, Any]:
    """The report's part of the JSON object; values are masked or shown as in the report."""
    return {
        "plan": view.plan,
        "snapshot": view.snapshot,
        "said": view.said,
        "corrected": list(view.corrected),
        "base": view.base,
        "offline": view.offline,
        "masked": view.masked,
        "verdict": view.verdict.summarise(),
        "datasets": {dataset.name: _summarise_dataset(dataset) for dataset in view.datasets},
        "totals": summarise_tables(view.tables),
        "revenue": _groups(view, "revenue"),
        "events": _groups(view, "events"),
        "forecast": dict(view.forecast),
        "gates": view.gates,
        "cannot_be_checked": list(view.unknowable),
    }


def _summarise_dataset(view: DatasetView) -> dict[str, Any]:
    return {
        **view.counts.model_dump(),
        "changes": view.changes,
        "samples": view.samples,
        "rejects": view.rejects,
        "loss_list": view.losses,
        "consents": view.consents,
        "clusters": view.clusters,
        "odd_keys": view.odd,
        "shared_keys": view.shared,
    }


def _groups(view: DiffView, kind: Kind) -> list[dict[str, Any]]:
    return summarise_groups({table.dataset: table for table in view.tables if table.kind == kind})
