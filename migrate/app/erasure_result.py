"""What an erasure does and has done, and where it cannot reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from migrate.privacy.contents import Place


@dataclass(frozen=True)
class Outside:
    """Where the person is that this tool cannot reach: a kind of place, and which."""

    kind: str
    what: str


@dataclass(frozen=True)
class Erased:
    """What was removed of one person (or would be), and where they are still.

    `rows` by file, `lines` of logs by file, `removed` files, `ledger` rows by table; `places` where the second look
    found something; `outside` what the tool cannot reach.
    """

    records: int
    rows: Mapping[str, int] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    ledger: Mapping[str, int] = field(default_factory=dict)
    masterids: tuple[tuple[str, str], ...] = ()
    places: tuple[Place, ...] = ()
    outside: tuple[Outside, ...] = ()
    dry_run: bool = False

    @property
    def found_anything(self) -> bool:
        """Whether there was anything of the person."""
        return bool(self.records or self.rows or self.lines or self.removed or self.ledger)


@dataclass
class Footprint:
    """The files that something is to be taken out of, and how much."""

    rows: dict[str, int] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
