"""The evidence archive, for a terminal and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrate.report.load import say_not_loaded
from migrate.report.terminal import inert, render_table, say_count
from migrate.verify.evidence import Checked
from migrate.verify.purge import Purged

if TYPE_CHECKING:
    from migrate.app.evidence import Evidence
    from migrate.app.purge import Erased


def render_evidence(made: Evidence) -> str:
    """Where the archive is and what to keep of it."""
    left = f"\n\n{say_not_loaded(made.not_loaded)}" if made.not_loaded else ""
    state = f", {made.standing.told}" if made.standing.told else ""
    return (
        f"Evidence of plan {made.plan}{state}: {made.parts} parts\n  {made.file}\n\n"
        f"Head of the chain, to be kept elsewhere:\n  {made.head}{left}"
    )


def checked_outcome(file: Path, found: Checked) -> tuple[str, dict[str, Any]]:
    """What a check found, as text and as JSON."""
    data = {
        "file": str(file),
        "head": found.head,
        "parts": found.parts,
        "problems": list(found.problems),
    }
    if not found.problems:
        return f"Sound: {file}, {found.parts} parts, head {found.head}", data
    lines = "\n".join(f"  {inert(problem)}" for problem in found.problems)
    return f"Altered: {file}\n{lines}", data


def summarise_purged(found: Purged) -> dict[str, Any]:
    """What a purge removed or would remove."""
    return {
        "files": len(found.files),
        "bytes": sum(entry.bytes for entry in found.files),
        "ledger_records": found.ledger_records,
    }


def render_purged(found: Purged, dry_run: bool) -> str:
    """What a purge removed or would remove, and what stays."""
    done = "Would remove" if dry_run else "Removed"
    size = sum(entry.bytes for entry in found.files)
    keys = say_count(found.ledger_records, "record")
    return (
        f"{done} {say_count(len(found.files), 'file')} ({size:,} bytes) and the keys of {keys} of the "
        "ledger.\nCounts, manifests, verdicts and evidence stay; purged.json lists what went, with hashes."
    )


def summarise_erased(erased: Erased) -> dict[str, Any]:
    """What of one person was removed."""
    return {
        "records": erased.records,
        "rows": dict(erased.rows),
        "removed_files": list(erased.removed),
        "masterids": [list(found) for found in erased.masterids],
    }


def render_erased(erased: Erased) -> str:
    """What of one person was removed, and where else they are."""
    if not erased.records and not erased.rows:
        return "Nobody was found by that address or id; nothing was removed."
    rows = say_count(sum(erased.rows.values()), "row")
    parts = [f"Removed {say_count(erased.records, 'record')} of the person, {rows} in all files:"]
    parts.append(
        render_table(["file", "rows"], [[name, count] for name, count in erased.rows.items()])
    )
    if erased.removed:
        parts.append(
            "Removed whole, since they name the person:\n"
            + "\n".join(f"  {name}" for name in erased.removed)
        )
    if erased.masterids:
        parts.append("They are still in Octolis, which has no delete; ask its support to remove:")
        parts.append(
            render_table(["dataset", "masterid"], [list(found) for found in erased.masterids])
        )
    parts.append(
        "They may still be at the source, in the customer's shops and in backups of this workspace."
    )
    return "\n\n".join(parts)
