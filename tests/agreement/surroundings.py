"""What beside mapping files and records decides values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Identity = tuple[str | None, str | None, int | None]
"""A record by source and id, and the place of one of its elements."""


@dataclass(frozen=True)
class Surroundings:
    """What beside files and records decides values: the project file, and what a person has discarded."""

    timezones: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    float_digits: Any = "decimals"
    batch_bytes: int = 1_000_000
    discarded: frozenset[Identity] = frozenset()
    project: str = "12345"
