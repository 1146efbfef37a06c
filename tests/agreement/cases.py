"""A whole case by its seed: files, records, and what is around them."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from migrate.errors import MappingError
from migrate.snapshot.corrections import CannotCorrect, Change, value_sent

from .chance import Chance
from .engines import Case, differences
from .formats import spell
from .mappings import Made, make_mappings
from .records import NUMBERS, POOLS, SOURCES, TIMES, WORDS, Records
from .surroundings import Surroundings

RECORDS = 60
_CORRECTED = (
    *POOLS, "k", "parent", "shop", "n", "n.x", "n.x.y", "list", "list[1]", "list[1].v", "list[2].w", "list[1].o.p",
    "created", "updated_at", "position", "item", "new.field",
)  # fmt: skip
"""Fields of which a right value may be given; never those by which a record is known."""


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
    around = _around(chance, records)
    changes = {}
    if chance.has("corrections", 0.3):
        changes = {name: _changes(chance, every) for name, every in raws.items()}
    return Case(folder, raws, around, changes), chance.made


def _changes(chance: Chance, raws: Sequence[bytes]) -> dict[int, list[Change]]:
    """Right values of some records, each of a field that can be reached; now and then the record has another by now."""
    found: dict[int, list[Change]] = {}
    for place, raw in enumerate(raws):
        for name in chance.random.sample(_CORRECTED, chance.of(0, 0, 1, 2)):
            value = chance.of(None, "", *WORDS, *NUMBERS, *TIMES)
            right = value if value is None or isinstance(value, str) else json.dumps(value)
            is_old = chance.maybe(0.1)
            # A field that cannot be reached is refused, and so is half of a pair, which no file of theirs can hold.
            with contextlib.suppress(CannotCorrect, UnicodeError):
                (right or "").encode()
                sent = value_sent(raw.decode(), name)
                change = Change(name, "of another time" if is_old else sent, right)
                found.setdefault(place, []).append(change)
    return found


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
