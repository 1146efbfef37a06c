"""A whole case by its seed: files, records, and what is around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

from migrate.errors import MappingError

from .chance import Chance
from .engines import Case, differences
from .formats import spell
from .mappings import Made, make_mappings
from .records import SOURCES, Records
from .surroundings import Surroundings

RECORDS = 60


class Refused(Exception):
    """The planner refuses the files of a case: the language does not allow what was made by chance."""


def make_case(
    folder: Path,
    seed: int,
    only: Collection[str] = (),
    records: int = RECORDS,
    make: Callable[[Chance], Made] = make_mappings,
) -> tuple[Case, Counter[str]]:
    """The case of a seed, its files written to `folder`; and the names of what it holds."""
    chance = Chance(seed, only)
    for old in folder.glob("*.yaml"):
        old.unlink()
    made = make(chance)
    made.write(folder)
    raws = {}
    for resource in made.resources:
        maker = Records(chance, resource)
        maker.times = [spell(chance, chance.of(*made.formats)) for _ in range(20) if made.formats]
        raws[resource] = [maker.raw(place) for place in range(1, records + 1)]
    return Case(folder, raws, _around(chance, records)), chance.made


def _around(chance: Chance, records: int) -> Surroundings:
    zones = {
        "*": "Europe/Amsterdam",
        "b": "America/New_York",
        "c": "Asia/Kolkata",
        "B&C": "Europe/London",
    }
    named = chance.random.sample(sorted(zones), chance.of(0, 2, 4))
    discarded = {
        (chance.of(*SOURCES), chance.of(None, "", *map(str, range(1, 40))), chance.of(None, 1, 2))
        for _ in range(chance.of(0, 0, 12))
    }
    chance.made["discarded"] += bool(discarded)
    return Surroundings(
        timezones={name: zones[name] for name in named},
        aliases=chance.of({}, {}, {"b": "B&C"}, {"a": "c", "b": "c"}),
        float_digits=chance.pick(("decimals", "significant")),
        batch_bytes=400 if chance.has("small batches", 0.15) else 1_000_000,
        discarded=frozenset(discarded),
    )


def compare(
    folder: Path,
    seed: int,
    only: Collection[str] = (),
    records: int = RECORDS,
    look: Callable[..., None] = lambda *_: None,
) -> tuple[list[str], Counter[str]]:
    """The differences of a seed's case, and the names of what it holds. Raises Refused."""
    case, made = make_case(folder, seed, only, records)
    try:
        return differences(case, look), made
    except MappingError as error:
        raise Refused(str(error)) from None
