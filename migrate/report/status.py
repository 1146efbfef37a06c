"""Where a migration stands, for a terminal and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Any

from migrate.load.pace import describe_pace
from migrate.report.parts import render_parts, summarise_parts
from migrate.report.terminal import Row, render_table

if TYPE_CHECKING:
    from migrate.app.status import LoadState, PlanState, Status
    from migrate.snapshot.reading import SnapshotState
    from migrate.verify.reconcile import DatasetBooks

_BAR_CHARS = 24


def summarise_status(status: Status) -> dict[str, Any]:
    """The status's part of the JSON object."""
    return {
        "snapshots": [asdict(snapshot) for snapshot in status.snapshots],
        "plans": [_summarise_plan(plan) for plan in status.plans],
        "paused": status.paused,
        "parts": [summarise_parts(parts) for parts in status.parts],
        "purged_at": status.purged_at,
    }


def _summarise_plan(plan: PlanState) -> dict[str, Any]:
    facts = {n: value for n, value in asdict(plan).items() if n not in ("standing", "remake")}
    # Of one that cannot be read, or was never finished, nobody knows the state.
    if plan.finished and not plan.trouble:
        state = plan.standing.summarise()
    else:
        state = {"state": None}
    return {**facts, **state, "left": plan.left}


def render_status(status: Status) -> str:
    """Snapshots, plans and what is left of each."""
    parts = []
    if status.snapshots:
        headers = ["snapshot", "state", "resource", "rows", "pages", "verdict"]
        parts.append(
            render_table(headers, list(chain.from_iterable(map(_snapshot_rows, status.snapshots))))
        )
    if status.plans:
        headers = ["plan", "state", "snapshot", "dataset", "to send", "written", "refused", "left"]
        parts.append(
            render_table(headers, list(chain.from_iterable(map(_plan_rows, status.plans))))
        )
    lines = [
        f"  {plan.name}: {'; '.join(words)}" for plan in status.plans if (words := _words_of(plan))
    ]
    if lines:
        parts.append("\n".join(lines))
    parts += [render_parts(part) for part in status.parts]
    if status.paused:
        parts.append(
            "Loads are paused: they wait for the file PAUSE in the workspace to be removed."
        )
    if status.purged_at is not None:
        parts.append(
            f"Personal data were removed on {status.purged_at[:10]} (purged.json lists the files): "
            "nothing can be planned or loaded from what is listed here."
        )
    is_proved = bool(status.plans) and status.plans[-1].proved and not status.plans[-1].left
    if status.next is None and (status.purged_at is None or is_proved):
        parts.append("Nothing is left to do: loaded, counts explained, evidence packed.")
    return "\n\n".join(parts) or "Nothing here yet: no snapshot, no plan."


def _words_of(plan: PlanState) -> list[str]:
    """What is to be said of a plan besides its numbers."""
    target = f"for target {plan.target}" if plan.target else ""
    stopped = [
        f"the canary of {name} {_CANARIES[verdict]}" for name, verdict in plan.canaries.items()
    ]
    return [word for word in (target, plan.scope, plan.standing.told, *stopped) if word]


_CANARIES = {
    "refused": "was refused: nothing of the dataset was sent",
    "differs": "is not what was sent: nothing else of the dataset was sent",
}


def render_load_state(state: LoadState, rate: float) -> str:
    """One line per dataset with a bar, and one for pace, points and the time that is left. `rate`: records/s."""
    rows: list[Row] = []
    for name, entry in state.totals.items():
        done = entry.done
        share = done / entry.planned if entry.planned else 1.0
        bar = ("#" * round(share * _BAR_CHARS)).ljust(_BAR_CHARS, ".")
        rows.append(
            [name, bar, done, entry.planned, entry.rejected, entry.throttled_429, entry.busy_423]
        )
    rows += [
        [name, "not loaded yet", 0, planned, 0, 0, 0] for name, planned in state.not_begun.items()
    ]
    headers = ["dataset", "", "done", "planned", "refused", "429", "423"]
    word = _word(state)
    pace = describe_pace(state.done, state.planned, rate, state.points, state.left_s, state.busy)
    return f"Plan {state.plan}: {word}\n\n{render_table(headers, rows)}\n\n  {pace}"


def _word(state: LoadState) -> str:
    if state.not_begun and not state.totals:
        return "not loaded yet"
    if state.is_over:
        return "loaded in part" if state.not_begun else "done"
    return "paused" if state.paused else "loading"


def _snapshot_rows(snapshot: SnapshotState) -> list[list[str | int | None]]:
    state = ("finished" if snapshot.finished else "unfinished") + (
        " delta" if snapshot.is_delta else ""
    )
    if snapshot.trouble:
        return [[snapshot.name, snapshot.trouble, None, None, None, None]]
    return [
        [snapshot.name, state, name, resource.rows, resource.pages, resource.verdict]
        for name, resource in snapshot.resources.items()
    ]


def _plan_rows(plan: PlanState) -> list[list[str | int | None]]:
    if plan.trouble or not plan.finished:
        return [[plan.name, plan.trouble or "unfinished", plan.snapshot, *[None] * 5]]
    if _had_nothing(plan):
        return [[plan.name, "loaded", plan.snapshot, None, 0, 0, None, None]]
    if not plan.books:
        is_empty = plan.standing.state == "planned" and not plan.left
        planned: str = "nothing to send" if is_empty else plan.standing.state
        return [[plan.name, planned, plan.snapshot, None, plan.left, None, None, plan.left]]
    begun: list[list[str | int | None]] = []
    for name, b in plan.books.items():
        left = b.left
        to_send = b.planned - plan.unchanged.get(name, 0)
        state = _over(plan) or _how_far(plan, b)
        begun.append([plan.name, state, plan.snapshot, name, to_send, b.written, b.rejected, left])
    unsent = _over(plan) or "not loaded"
    return begun + [
        [plan.name, unsent, plan.snapshot, name, rows, 0, 0, rows]
        for name, rows in plan.not_begun.items()
    ]


def _had_nothing(plan: PlanState) -> bool:
    """Whether a load of the plan was over before it began: nothing to send of any dataset."""
    books = plan.books.values()
    if not books or plan.left or _over(plan):
        return False
    to_send = sum(b.planned for b in books) - sum(
        plan.unchanged.get(name, 0) for name in plan.books
    )
    return not to_send and not any(b.written or b.rejected for b in books)


def _over(plan: PlanState) -> str | None:
    """The state of a plan that must not be loaded any more, which outweighs how far each dataset is."""
    if plan.standing.state in ("overtaken", "undone"):
        return plan.standing.state
    return None


def _how_far(plan: PlanState, books: DatasetBooks) -> str:
    """How far a dataset is that was opened for a load."""
    if not books.left:
        return "loaded"
    if books.handed_over:
        return "handed over"
    # A load that a gate stopped before its first request is none.
    if plan.standing.state == "planned":
        return "planned"
    return "loading"
