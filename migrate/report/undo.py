"""What an undo can do, for a terminal and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrate.report.terminal import Row, render_table

if TYPE_CHECKING:
    from migrate.stages.undo import Undo

_KINDS = ("restorable", "changed_since", "restored", "created", "merged", "unreadable")


def summarise_undo(undo: Undo) -> dict[str, Any]:
    """The undo's part of the JSON object."""
    return {
        "plan": undo.plan,
        "datasets": {entry.dataset: {kind: len(getattr(entry, kind)) for kind in _KINDS} for entry in undo.datasets},
        "lists": [str(file) for file in undo.lists],
        "restored": undo.restored,
        "verified": undo.verified,
    }


def judge_undo(undo: Undo) -> tuple[int, str]:
    """Exit code and status: 4 where a restored record does not read back as it was, 3 where some were refused."""
    if undo.restored is None:
        return 0, "planned"
    wanted = sum(len(entry.restorable) for entry in undo.datasets)
    if undo.verified != undo.restored:
        return 4, "mismatch"
    return (0, "restored") if undo.restored == wanted else (3, "restored in part")


def render_undo(undo: Undo) -> str:
    """The split of every dataset, and where the lists are."""
    headers = ["dataset", "restorable", "changed since", "as before", "created", "merged", "no pre-image"]
    rows: list[Row] = [[entry.dataset, *(len(getattr(entry, kind)) for kind in _KINDS)] for entry in undo.datasets]
    parts = [f"What of plan {undo.plan} can be undone", render_table(headers, rows)]
    if any(entry.created for entry in undo.datasets):
        parts.append(
            "The API cannot delete: records that the load created are listed with their masterids for Octolis' support."
        )
    if any(entry.merged for entry in undo.datasets):
        parts.append("A merge cannot be undone: the records that went into others are listed.")
    if undo.lists:
        parts.append("\n".join(f"  {file}" for file in undo.lists))
    if undo.restored is not None:
        parts.append(
            f"Restored {undo.restored:,} records; {undo.verified:,} of them read back as they were before the load."
        )
    return "\n\n".join(parts)
