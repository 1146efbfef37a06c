"""Who ran what, and what happened to the plans, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from migrate.report.terminal import Row, format_duration, inert, render_table

if TYPE_CHECKING:
    from migrate.app.history import CommandHistory
    from migrate.load.ledger_facts import PastEvent, RunRecord


def render_history(history: CommandHistory, limit: int) -> str:
    """The last commands, and what happened to the plans that they concern; the newest last."""
    if not history.runs and not history.events:
        return "Nothing was recorded here yet."
    parts = []
    if history.runs:
        headers = ["began (UTC)", "took", "by", "exit", "command"]
        parts.append(render_table(headers, [_run_row(run) for run in history.runs[-limit:]]))
        parts += ["\n".join(notes)] if (notes := _notes(history.runs[-limit:])) else []
        if len(history.runs) > limit:
            parts.append(f"{len(history.runs) - limit:,} earlier ones: --limit N shows more.")
    if history.events:
        headers = ["at (UTC)", "plan", "what happened", "by", "command"]
        parts.append(
            render_table(headers, [_event_row(event) for event in history.events[-limit:]])
        )
    return "\n\n".join(parts)


def _run_row(run: RunRecord) -> Row:
    # Killed, or still at work: the ledger cannot tell the two apart.
    if run.ended_at is None:
        took = None
    else:
        took = format_duration(run.ended_at - run.began_at)
    ended = "did not end" if run.exit_code is None else run.exit_code
    who = f"{run.user}@{run.host}"
    return [_when(run.began_at), took, inert(who), ended, inert(run.command_line)]


def _notes(runs: Sequence[RunRecord]) -> list[str]:
    """What was confirmed, by whom; which gates stood open; what stopped a command."""
    lines: list[str] = []
    gates: object = None
    for run in runs:
        head = f"  {_when(run.began_at)}, {inert(run.user)}@{inert(run.host)}"
        for name, value in run.confirmations.items():
            lines.append(f"{head} confirmed {name} {value}")
        if run.gates and run.gates != gates:  # said once, and again where they were changed
            values = ", ".join(f"{name} = {value}" for name, value in run.gates.items())
            lines.append(f"{head} had gates that differ from the defaults: {inert(values)}")
        gates = run.gates
        if run.stopped_by:
            lines.append(f"{head} was stopped: {inert(_in_one_line(run.stopped_by))}")
    return lines


def _in_one_line(reason: str) -> str:
    """Why a command stopped; where its first line only announces a list, with the list behind it."""
    first, *listed = reason.splitlines()
    if first.endswith(":"):
        return f"{first} {'; '.join(listed)}"
    return first


def _event_row(event: PastEvent) -> Row:
    words = [event.event]
    if event.by_plan:
        words.append(f"by plan {event.by_plan}")
    if event.dataset:
        words.append(f"in {event.dataset}")
    if event.records is not None:
        words.append(f"({event.records:,} records{', in part' if event.scope == 'part' else ''})")
    return [_when(event.deed.at), event.plan, " ".join(words), event.deed.who, event.deed.command]


def _when(at: float | None) -> str:
    if at is None:
        return ""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
