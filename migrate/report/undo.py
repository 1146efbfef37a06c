"""What an undo can do, for a terminal and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrate.report.load import say_not_loaded
from migrate.report.terminal import Row, render_table, say_count

if TYPE_CHECKING:
    from migrate.app.undo import Undo

_KINDS = ("restorable", "changed_since", "restored", "created", "merged", "survivors", "unreadable")


def summarise_undo(undo: Undo) -> dict[str, Any]:
    """The undo's part of the JSON object."""
    return {
        "plan": undo.plan,
        "datasets": {
            entry.dataset: dict(zip(_KINDS, map(entry.count, _KINDS), strict=True))
            for entry in undo.datasets
        },
        "lists": [str(file) for file in undo.lists],
        "unsettled": sum(entry.unsettled for entry in undo.datasets),
        "restored": undo.restored,
        "verified": undo.verified,
        "partly": undo.partly,
        "refused": undo.refused,
        "not_loaded": dict(undo.not_loaded),
        "foreign": dict(undo.foreign),
    }


def judge_undo(undo: Undo) -> tuple[int, str]:
    """Exit code and status: 4 where a restored record does not read back as it was, 3 where some were refused."""
    if undo.restored is None:
        return 0, "planned"
    wanted = sum(entry.count("restorable") for entry in undo.datasets)
    if undo.verified != undo.restored:
        return 4, "mismatch"
    whole = undo.restored == wanted and not undo.partly
    return (0, "restored") if whole else (3, "restored in part")


def render_undo(undo: Undo) -> str:
    """The split of every dataset, and where the lists are."""
    headers = [
        "dataset",
        "restorable",
        "changed since",
        "as before",
        "created",
        "merged",
        "merged into",
        "no pre-image",
    ]
    rows: list[Row] = [[entry.dataset, *map(entry.count, _KINDS)] for entry in undo.datasets]
    parts = [f"What of plan {undo.plan} can be undone", render_table(headers, rows)]
    if any(entry.count("created") for entry in undo.datasets):
        parts.append(
            "The API cannot delete: records that the load created are listed with their masterids for Octolis' support."
        )
    if any(entry.count("merged") for entry in undo.datasets):
        parts.append("A merge cannot be undone: the records that went into others are listed.")
    if undo.lists:
        parts.append("\n".join(f"  {file}" for file in undo.lists))
    parts += [
        f"{entry.dataset}: {entry.unsettled:,} records were sent and their answers lost, so nobody knows if they were "
        f"written. `migrate load --plan {undo.plan}` settles them; undo afterwards."
        for entry in undo.datasets
        if entry.unsettled
    ]
    if undo.foreign:
        counts = ", ".join(f"{name}: {count:,}" for name, count in undo.foreign.items())
        parts.append(
            "Others were seen to write between the plan's reading and the end of its load: what is given back may "
            f"not be what was there just before. They are listed ({counts})."
        )
    if undo.not_loaded:
        parts.append(say_not_loaded(undo.not_loaded))
    if undo.restored is not None:
        parts.append(_render_done(undo))
    return "\n\n".join(parts)


def _render_done(undo: Undo) -> str:
    # What others changed between the plan's reading and the load is not known here, so nothing is said of it.
    done = (
        f"Restored {say_count(undo.restored or 0, 'record')}; {undo.verified:,} of them read back as the plan had "
        "read them before its load."
    )
    if not undo.restored and not undo.refused:
        return "There was nothing to restore: no record of this plan holds a value that an update replaced."
    if undo.partly:
        done += f"\n{undo.partly:,} of them keep columns that the target does not let be emptied; they are listed."
    if undo.refused:
        done += f"\n{undo.refused:,} records were refused by the target and are as the load left them; they are listed."
    return done
