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


def summarise_signature(signature: Signature | None) -> dict[str, Any] | None:
    """A signature as JSON."""
    if signature is None:
        return None
    return {
        "file": str(signature.file),
        "key": signature.key,
        "signer": signature.signer,
        "problem": signature.problem,
    }


def _say_signature(signature: Signature) -> str:
    if signature.problem:
        return f"Signature: {inert(signature.problem)}"
    if signature.signer is None:
        return (
            f"Signed with key {signature.key}: {signature.file}\n"
            "  whose key that is, `--verify FILE --signers ALLOWED_SIGNERS` tells"
        )
    return f"Signed by {inert(signature.signer)}, key {signature.key}"


def checked_outcome(
    file: Path, checked: Checked, signature: Signature | None = None
) -> tuple[str, dict[str, Any]]:
    """What a check found, as text and as JSON."""
    data = {
        "file": str(file),
        "head": checked.head,
        "parts": checked.parts,
        "problems": list(checked.problems),
        "signature": summarise_signature(signature),
    }
    signed = f"\n{_say_signature(signature)}" if signature else ""
    if not checked.problems:
        return f"Sound: {file}, {checked.parts} parts, head {checked.head}{signed}", data
    lines = "\n".join(f"  {inert(problem)}" for problem in checked.problems)
    return f"Altered: {file}\n{lines}", data
