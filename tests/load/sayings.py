"""A progress that keeps what it is told."""

from __future__ import annotations

from migrate.progress import Silence


class Sayings(Silence):
    """Remembers every note."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Keeps the text."""
        self.notes.append(text)

    @property
    def text(self) -> str:
        """All notes, one a line."""
        return "\n".join(self.notes)
