"""The evidence archive, for a terminal and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrate.report.load import say_not_loaded
from migrate.report.terminal import inert
from migrate.verify.evidence import Checked

if TYPE_CHECKING:
    from migrate.app.evidence import Evidence
    from migrate.app.signature import Signature


def render_evidence(made: Evidence) -> str:
    """Where the archive is and what to keep of it."""
    if made.not_loaded:
        left = f"\n\n{say_not_loaded(made.not_loaded)}"
    else:
        left = ""
    state = f", {made.standing.told}" if made.standing.told else ""
    return (
        f"Evidence of plan {made.plan}{state}: {made.parts} parts\n  {made.file}\n\n"
        f"Head of the chain, to be kept elsewhere:\n  {made.head}"
        + (f"\n\n{_say_signature(made.signature)}" if made.signature else "")
        + left
    )


def summarise_signature(found: Signature | None) -> dict[str, Any] | None:
    """A signature as JSON."""
    if found is None:
        return None
    return {
        "file": str(found.file),
        "key": found.key,
        "signer": found.signer,
        "problem": found.problem,
    }


def _say_signature(found: Signature) -> str:
    if found.problem:
        return f"Signature: {inert(found.problem)}"
    if found.signer is None:
        return (
            f"Signed with key {found.key}: {found.file}\n"
            "  whose key that is, `--verify FILE --signers ALLOWED_SIGNERS` tells"
        )
    return f"Signed by {inert(found.signer)}, key {found.key}"


def checked_outcome(
    file: Path, found: Checked, signature: Signature | None = None
) -> tuple[str, dict[str, Any]]:
    """What a check found, as text and as JSON."""
    data = {
        "file": str(file),
        "head": found.head,
        "parts": found.parts,
        "problems": list(found.problems),
        "signature": summarise_signature(signature),
    }
    signed = f"\n{_say_signature(signature)}" if signature else ""
    if not found.problems:
        return f"Sound: {file}, {found.parts} parts, head {found.head}{signed}", data
    lines = "\n".join(f"  {inert(problem)}" for problem in found.problems)
    return f"Altered: {file}\n{lines}", data
