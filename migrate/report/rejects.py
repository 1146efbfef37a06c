"""Rejects for a terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from migrate.report.terminal import inert, render_table, say_count

if TYPE_CHECKING:
    import polars as pl

    from migrate.app.replay import Replay
    from migrate.load.ledger_facts import Discard
    from migrate.load.totals import Failure
    from migrate.report.shown import Shown

_SHOWN = ("dataset", "stage", "kind", "reason", "column", "records", "open", "example")
_DETAILS = (
    "reject",
    "dataset",
    "stage",
    "kind",
    "reason",
    "column",
    "resource",
    "source",
    "id",
    "position",
    "key",
)


def summarise_groups(groups: pl.DataFrame) -> dict[str, Any]:
    """The groups as the JSON object has them, with sums."""
    return {
        "rejects": int(groups["records"].sum()),
        "open": int(groups["open"].sum()),
        "groups": groups.to_dicts(),
    }


def render_groups(plan: str, groups: pl.DataFrame) -> str:
    """One line per reason, the most frequent first."""
    if groups.is_empty():
        return f"Plan {plan}: nothing was rejected."
    rows = list(map(list, groups.select(_SHOWN).iter_rows()))
    total = int(groups["records"].sum())
    left = int(groups["open"].sum())
    return f"Plan {plan}: {say_count(total, 'reject')}, {left:,} open\n\n" + render_table(
        _SHOWN, rows
    )


def render_undone_replays(undone: Mapping[str, int]) -> list[str]:
    """The replays that brought rejects through and were taken back since."""
    return [
        f"Sent by plan {plan}, which was undone since: {say_count(count, 'reject')}. Send them again: migrate plan"
        for plan, count in undone.items()
    ]


_DISCARDS_SHOWN = 20


def describe_discards(discards: Sequence[Discard]) -> list[dict[str, Any]]:
    """What plans leave out since a person has said so, as the JSON object has it."""
    return [
        {
            "dataset": discard.what.dataset,
            "source": discard.what.source,
            "id": discard.what.id,
            "position": discard.what.position,
            "plan": discard.what.plan,
            "reject": discard.what.reject,
            "reason": discard.what.reason,
            "note": discard.what.note,
            "by": discard.who,
            "at": datetime.fromtimestamp(discard.at, UTC).isoformat(timespec="seconds"),
        }
        for discard in discards
    ]


def render_aside(waiting: int, discards: Sequence[Discard]) -> list[str]:
    """How many rows wait for a parent; and what was discarded, by whom and why."""
    parts = []
    if waiting:
        parts.append(
            f"{say_count(waiting, 'row')} of this plan waited for a record that they look up and that was rejected, "
            "refused or discarded; a replay that brings it through brings them along."
        )
    if discards:
        rows = [
            [d.what.reject, d.what.plan, d.what.reason, inert(d.what.note), d.who]
            for d in discards[:_DISCARDS_SHOWN]
        ]
        more = len(discards) - _DISCARDS_SHOWN
        head = f"Discarded, and left out by every plan ({say_count(len(discards), 'record')}):\n"
        table = render_table(["reject", "of plan", "reason", "note", "by"], rows)
        parts.append(head + table + (f"\n{more:,} more; --json has all." if more > 0 else ""))
    return parts


def render_fates(done: Replay) -> str:
    """What became of the rejects that were replayed."""
    would = "would become" if done.loaded is None else "became"
    fates = ", ".join(f"{count:,} {fate}" for fate, count in done.fates.items())
    rejects = say_count(done.rejects, "reject")
    return f"Of {rejects} of plan {done.old}, in plan {done.new.name}, this {would}: {fates}."


def describe_rejects(
    rejects: pl.DataFrame, failures: Sequence[Failure], shown: Mapping[str, Shown]
) -> list[dict[str, Any]]:
    """Each reject with what support asks for about its batch; its values as those of its dataset are `shown`."""
    by_batch: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for failure in failures:
        by_batch.setdefault((failure.dataset, failure.batch), []).append(_request(failure))
    described = []
    for row in rejects.iter_rows(named=True):
        of_rows = shown[row["dataset"]]
        row["key"] = of_rows.text(row["key"])
        row["value"] = of_rows.cell(row["value"], row["column"] or "")
        # Unmasked it stays the very text that was sent.
        if row["payload"] is not None and of_rows.is_masked:
            row["payload"] = json.dumps(of_rows.json(row["payload"]), ensure_ascii=False)
        described.append({**row, "requests": by_batch.get((row["dataset"], row["batch"]), [])})
    return described


def _request(failure: Failure) -> dict[str, Any]:
    return {
        "time": datetime.fromtimestamp(failure.at, UTC).isoformat(timespec="milliseconds"),
        "status": failure.status,
        "reason": failure.reason,
        "apigw-requestid": failure.request_id,
        "traceparent": failure.traceparent,
        "payload_sha256": failure.payload_sha256,
    }


def render_rejects(described: Sequence[Mapping[str, Any]]) -> str:
    """Each reject as a block of lines, with its failed requests."""
    return "\n\n".join(_block(entry) for entry in described) or "No such reject."


def _block(entry: Mapping[str, Any]) -> str:
    names = [
        name
        for name in (*_DETAILS, "value", "status", "batch", "payload", "mark", "note")
        if entry[name] is not None
    ]
    width = max(len(name) for name in names)
    lines = [f"  {name.ljust(width)}  {inert(str(entry[name]))}" for name in names]
    for request in entry["requests"]:
        lines.append("  for Octolis support:")
        lines += [f"    {name.ljust(15)}  {inert(str(value))}" for name, value in request.items()]
    return "\n".join(lines)
