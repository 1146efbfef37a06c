"""Choices by chance, each with its name: so a run can be asked for one of them, and tells which it made."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
_ASKED_FOR = 0.7


class Chance:
    """A seeded source of choices. `only`: names that are chosen wherever they can be; `made` counts what was."""

    def __init__(self, seed: int, only: Collection[str] = ()) -> None:
        self.random = random.Random(seed)
        self.only = frozenset(only)
        self.made: Counter[str] = Counter()

    def of(self, *choices: Any) -> Any:
        """One of several."""
        return self.random.choice(choices)

    def maybe(self, share: float) -> bool:
        """True in a share of all cases."""
        return self.random.random() < share

    def has(self, name: str, share: float) -> bool:
        """Whether something is there at all: always where it was asked for."""
        chosen = name in self.only or self.maybe(share)
        self.made[name] += chosen
        return chosen

    def pick(self, choices: Collection[str]) -> str:
        """One of several names; mostly one that was asked for, where there is one."""
        wanted = [name for name in choices if name in self.only]
        pool = wanted if wanted and self.maybe(_ASKED_FOR) else list(choices)
        name = self.random.choice(pool)
        self.made[name] += 1
        return name

    def make(self, choices: Mapping[str, Callable[[], T]]) -> T:
        """What one of several named ways makes."""
        return choices[self.pick(choices)]()
