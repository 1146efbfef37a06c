"""What to do about a resource of a snapshot that is not proven, or lacks something; pure."""

from __future__ import annotations

from collections.abc import Iterator

from migrate.snapshot.layout import DAMAGED, VANISHED, ResourceResult


def needs_attention(result: ResourceResult) -> bool:
    """Whether somebody has to look at it before it is relied on."""
    lacks = result.unread or result.damaged or result.vanished
    return result.verdict != "proven" or bool(lacks)


def advise(name: str, result: ResourceResult) -> Iterator[str]:
    """One line for each thing to be done, with what is the matter in numbers."""
    again = f"migrate extract {name} --snapshot NEW-NAME"
    if result.verdict == "drifted":
        yield (
            f"{name} is not proven, since the source moved: what came is kept; to have it proven, "
            f"read it once more while the source rests: {again}"
        )
    elif result.verdict == "unproven" and not (result.unread or result.damaged):
        yield (f"{name} is not proven: {result.reason}; fix that and read it again: {again}")
    if result.unread:
        yield (
            f"{name}: {len(result.unread):,} record(s) cannot be read; have Datatrics fix them at "
            f"the places listed, then: {again}"
        )
    if result.damaged:
        yield (
            f"{name}: {result.damaged:,} record(s) hold bytes that are no UTF-8; they are in the "
            f"snapshot with U+FFFD in their place, and as they came in {name}/{DAMAGED}; fix them "
            f"in the source, then: {again}"
        )
    if result.vanished:
        yield (
            f"{name}: {result.vanished:,} record(s) were delivered and are gone from the source "
            f"since; they are not loaded; {name}/{VANISHED} has them, and migrate extract {name} "
            "--from-files takes that folder where they are wanted"
        )
