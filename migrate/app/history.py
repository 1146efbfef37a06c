"""Who ran what on a workspace, and what its plans went through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from migrate.app.standing import read_standing
from migrate.load.handover import HandedFile, Handover
from migrate.load.ledger_facts import PastEvent, RunRecord
from migrate.load.ledger_view import LedgerView

if TYPE_CHECKING:
    from migrate.plan.open_plan import Plan
    from migrate.workspace import Workspace


@dataclass(frozen=True)
class CommandHistory:
    """The commands that were given, what happened to the plans, what was handed over as files; each oldest first."""

    runs: Sequence[RunRecord] = ()
    events: Sequence[PastEvent] = ()
    handovers: Sequence[tuple[Handover, Sequence[HandedFile]]] = ()


def read_history(workspace: Workspace, plan: str | None = None) -> CommandHistory:
    """All that was recorded; of one plan only the commands that worked on it. Reads files only."""
    if not workspace.ledger.exists():
        return CommandHistory()
    with LedgerView(workspace.ledger) as view:
        runs = [run for run in view.runs() if plan is None or run.plan == plan]
        handed = [(one, view.handed_files(one)) for one in view.handovers(plan)]
        return CommandHistory(runs, view.events(plan), handed)


def read_plan_history(workspace: Workspace, plan: Plan) -> dict[str, Any]:
    """What evidence says of a plan's life: its state, what came over it, and who worked on it."""
    history = read_history(workspace, plan.name)
    return {
        **read_standing(workspace, plan).summarise(),
        "events": [describe_event(event) for event in history.events],
        "runs": [describe_run(run) for run in history.runs],
        "handovers": [describe_handover(*one) for one in history.handovers],
    }


def describe_run(run: RunRecord) -> dict[str, Any]:
    """A command as a JSON object."""
    return {
        "run": run.number,
        "command": run.command,
        "command_line": run.command_line,
        "user": run.user,
        "host": run.host,
        "pid": run.pid,
        "version": run.version,
        "began_at": told_time(run.began_at),
        "ended_at": told_time(run.ended_at),
        "exit_code": run.exit_code,
        "plan": run.plan,
        "confirmations": dict(run.confirmations),
        "gates_raised": dict(run.gates),
        "stopped_by": run.stopped_by,
    }


def describe_event(event: PastEvent) -> dict[str, Any]:
    """What came over a plan, as a JSON object."""
    return {
        "plan": event.plan,
        "event": event.event,
        "dataset": event.dataset,
        "at": told_time(event.deed.at),
        "who": event.deed.who,
        "command": event.deed.command,
        "run": event.run,
        "by_plan": event.by_plan,
        "records": event.records,
        "scope": event.scope,
    }


def describe_handover(handover: Handover, files: Sequence[HandedFile]) -> dict[str, Any]:
    """What was handed over as files, as a JSON object: how it ended, and the hash of each file."""
    return {
        "dataset": handover.dataset,
        "rows": handover.rows,
        "left": handover.left,
        "at": told_time(handover.handed_at),
        "manifest_sha256": handover.manifest_sha256,
        "uploaded_to": handover.uploaded_to,
        "ended": handover.ended,
        "ended_at": told_time(handover.ended_at),
        "missing": handover.missing,
        "different": handover.different,
        "files": [asdict(file) for file in files],
    }


def told_time(at: float | None) -> str | None:
    """A time as ISO 8601 in UTC."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
