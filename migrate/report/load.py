"""What a load did, for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from migrate.app.verdict import judge_load
from migrate.report.terminal import (
    format_duration,
    inert,
    inert_lines,
    render_table,
    say_without_rows,
)

if TYPE_CHECKING:
    from migrate.load.loader import LoadResult
    from migrate.load.totals import Totals

_KEYS = (
    "planned", "sent", "written", "created", "updated", "merged", "rejected", "deferred", "protected", "altered",
    "waiting", "requests", "throttled_429", "busy_423", "seconds", "unknown", "busy_s", "readbacks",
    "protected_columns", "altered_columns", "target", "repeated", "handed_over",
)  # fmt: skip
_SHOWN = (
    "planned",
    "written",
    "created",
    "updated",
    "merged",
    "rejected",
    "deferred",
    "altered",
    "requests",
)


def left_behind(result: LoadResult) -> bool:
    """True when a record was refused or deferred, waits for one that was, or nobody knows what became of it."""
    return any(
        dataset.rejected or dataset.waiting or dataset.deferred or dataset.open
        for dataset in result.datasets.values()
    )


def summarise_load(result: LoadResult, others: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The load's part of the JSON object; sums over all calls for this plan. `others` as of `render_load`."""
    return {
        "plan": result.plan,
        "datasets": {name: _summarise_dataset(result, name) for name in result.datasets},
        "verdict": judge_load(result, others).summarise(),
        "reasons": [{"reason": reason, "records": count} for reason, count in result.reasons],
        "exports": None if result.exports is None else str(result.exports),
    }


def _summarise_dataset(result: LoadResult, name: str) -> dict[str, Any]:
    """The counts of a dataset, what became of its canary (None without one), and what others wrote to it meanwhile."""
    counts = {key: getattr(result.datasets[name], key) for key in _KEYS}
    canary = result.canaries.get(name)
    planned, others, written = result.foreign.get(name, (0, 0, 0))
    canary_facts = None if canary is None else {**asdict(canary)}
    foreign = {"planned": planned, "others": others, "written": written}
    return {**counts, "canary": canary_facts, "foreign": foreign}


def say_not_loaded(left: Mapping[str, int]) -> str:
    """One sentence that names the datasets, and how many records of each are still to be sent."""
    return (
        "Not loaded yet: "
        + ", ".join(f"{inert(name)} ({rows:,} to send)" for name, rows in left.items())
        + "."
    )


def render_load(result: LoadResult, others: Mapping[str, int] | None = None) -> str:
    """A table with one line per dataset, what was lost by column, the top reasons, and where the files are.

    `others`: what is still to be sent of datasets of the plan that this load was not asked for.
    """
    done = not others and all(not dataset.open for dataset in result.datasets.values())
    shown = attrgetter(*_SHOWN)
    rows = [
        [name, *shown(dataset), format_duration(dataset.seconds)]
        for name, dataset in result.datasets.items()
        if dataset.planned
    ]
    idle = [name for name, dataset in result.datasets.items() if not dataset.planned]
    if done:
        title = f"Plan {result.plan} loaded"
    elif any(dataset.written for dataset in result.datasets.values()):
        title = f"Plan {result.plan}, loaded in part"
    else:
        title = f"Plan {result.plan}, nothing of it loaded"
    lines = [title, inert_lines(judge_load(result, others).render())]
    if not others and not rows:
        # Rows of zeros, a pace of nothing and files without a line would only hide that.
        return "\n".join(lines)
    lines += [
        "",
        *([render_table(["dataset", *_SHOWN, "time"], rows)] if rows else []),
        *say_without_rows("Nothing to do for", idle),
        "",
        _pace_line(result),
        *_loss_lines(result),
    ]
    lines += _feed_lines(result)
    lines += _end_lines(result)
    lines += ["", say_not_loaded(others)] if others else []
    return "\n".join(lines)


def _pace_line(result: LoadResult) -> str:
    throttled = sum(d.throttled_429 for d in result.datasets.values())
    busy = sum(d.busy_423 for d in result.datasets.values())
    lost_s = sum(d.busy_s for d in result.datasets.values())
    waited = f", {format_duration(lost_s)} waited" if busy else ""
    return f"Refused for pace (429): {throttled:,}. Dataset busy (423): {busy:,}{waited}."


def _loss_lines(result: LoadResult) -> list[str]:
    protected = _by_column(result.datasets, "protected_columns")
    altered = _by_column(result.datasets, "altered_columns")
    lines = []
    if protected:
        lines.append(
            f"Not stored, since these columns do not accept writes (protected): {_listed(protected)}."
        )
    if altered:
        lines.append(f"Stored in another form than sent (altered): {_listed(altered)}.")
    return lines


def _feed_lines(result: LoadResult) -> list[str]:
    lines = []
    for name, entry in result.datasets.items():
        if entry.target != "webhook":
            continue
        lines.append(
            f"{name} went to a webhook: not verifiable. Written means handed over; nothing can be read back."
        )
        if entry.repeated:
            lines.append(
                f"{name}: up to {entry.repeated:,} records may have arrived twice, since an answer was lost."
            )
    return lines


def _by_column(datasets: Mapping[str, Totals], kind: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, dataset in datasets.items():
        for column, records in getattr(dataset, kind).items():
            counts[f"{name}.{column}"] = records
    return counts


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{inert(name)} {count:,}" for name, count in counts.items())


def _end_lines(result: LoadResult) -> list[str]:
    counted = ("planned", "written", "rejected", "waiting", "deferred", "unknown", "open")
    sums = dict.fromkeys(counted, 0)
    for dataset in result.datasets.values():
        for key in counted:
            sums[key] += getattr(dataset, key)
    # `unknown` is a part of `open`: the rest of that was never sent.
    sums["not sent"] = sums.pop("open") - sums["unknown"]
    lines = [
        "",
        ", ".join(
            f"{count:,} {key}"
            for key, count in sums.items()
            if count or key in ("planned", "written")
        ),
    ]
    if result.reasons:
        lines.append("Top reasons to refuse records:")
        lines += [f"  {count:,}  {inert(reason)}" for reason, count in result.reasons]
    after = {name: written for name, (*_, written) in result.foreign.items() if written}
    if after:
        counts = ", ".join(f"{inert(name)}: {count:,}" for name, count in after.items())
        lines.append(f"Changed by others after this load wrote them: {counts}.")
    if result.exports is not None:
        altered = any(dataset.altered for dataset in result.datasets.values())
        names = "crosswalk-*.parquet, altered-*.parquet" if altered else "crosswalk-*.parquet"
        lines.append(f"Files: {result.exports} ({names})")
    return lines
