"""Records by chance: what shops send, and what nobody should."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from migrate.source.resources import RESOURCES

from .chance import Chance

SOURCES = ("a", "b", "c", "B&C", None)
ODD_SOURCES = ("\ude00", "\\ude00", "a\0")
VALUES: dict[str, list[Any]] = json.loads(Path(__file__).with_name("values.json").read_bytes())
"""Values by kind; what is half a surrogate pair there is meant."""
WORDS, NUMBERS, OTHERS, TIMES = (VALUES[kind] for kind in ("words", "numbers", "others", "times"))
POOLS: dict[str, list[Any]] = {
    "a": WORDS + NUMBERS[:6], "b": NUMBERS + WORDS[:12], "c": WORDS + NUMBERS + OTHERS, "mail": VALUES["mails"],
    "phone": VALUES["phones"], "country": VALUES["countries"], "html": VALUES["markup"], "amount": NUMBERS,
    "json": OTHERS, "moment": TIMES, "day": TIMES, "optin": VALUES["consents"], "news": VALUES["answers"],
}  # fmt: skip
_NASTY = WORDS + NUMBERS + OTHERS + TIMES
# as writers of little care spell JSON, which snapshots take all the same
_CARELESS = ("NaN", "-Infinity", "007", '"tab\there"', r'"\x41"', '{"x":NaN,"y":"z"}', "1,")
ELEMENT_FIELDS = ("item", "item.v", "item.w", "item.o.p", "item.d.e")


class Records:
    """Makes records of a resource: each with an identity of its own, most with most fields."""

    def __init__(self, chance: Chance, resource: str) -> None:
        self.chance = chance
        self.resource = resource
        self.id_field = RESOURCES[resource].fields.id[0]
        self.times: list[str] = []

    def record(self, place: int) -> dict[str, Any]:
        """One record."""
        chance = self.chance
        made: dict[str, Any] = {self.id_field: self._identity(place)}
        self._say_source(made, chance.of(*(ODD_SOURCES if chance.maybe(0.03) else SOURCES)))
        for field, pool in POOLS.items():
            if chance.maybe(0.8):
                made[field] = chance.of(*(_NASTY if chance.maybe(0.15) else pool))
            if field in {"moment", "day"} and self.times and chance.maybe(0.4):
                made[field] = chance.of(*self.times)
        self._say_times(made)
        self._say_others(made)
        return made

    def _say_others(self, made: dict[str, Any]) -> None:
        """Fields for keys and look-ups, objects and lists, and names that mean something else in a mapping."""
        chance = self.chance
        others: dict[str, tuple[float, Callable[[], Any]]] = {
            "k": (
                0.8,
                lambda: chance.of("k1", "k2", "k3", "K1", "", "k\u0301", '{"k":1}', "[1]", 5),
            ),
            "parent": (0.8, lambda: chance.of(*map(str, range(1, 12)), 3, None, "", "none", "x7")),
            "parent2": (0.3, lambda: chance.of("1", "2", "x3")),
            "shop": (0.3, lambda: chance.of(*SOURCES)),
            "n": (0.6, self._nested),
            "n.x": (0.1, lambda: chance.of(*WORDS)),
            "position": (0.2, lambda: chance.of("7", 8)),
            "item": (0.2, lambda: chance.of("own", [1])),
            "project": (0.2, lambda: "own"),
            "list": (0.7, self._list),
        }
        for field, (share, say) in others.items():
            if chance.maybe(share):
                made[field] = say()

    def raw(self, place: int) -> bytes:
        """The record as it is sent; now and then with escapes, or one of its fields twice."""
        record = self.record(place)
        text = json.dumps(record, ensure_ascii=self.chance.maybe(0.5) or _has_half(record))
        if self.chance.maybe(0.05):
            field = self.chance.of(*POOLS, "n", "k", "other")
            text = text[:-1] + f',"{field}":{self.chance.of(*_CARELESS)}}}'
        if self.chance.maybe(0.05):
            text = text[:-1] + ',"a":"twice"}'
        return text.encode()

    def _identity(self, place: int) -> Any:
        if self.chance.maybe(0.03):
            return self.chance.of("", None, {"x": 1})
        if self.chance.maybe(0.03):
            return self.chance.of(f"x{place}\ud83d", f"x{place}\\ud83d", f"x{place}\0")
        return self.chance.of(str(place), place, f"x{place}")

    def _say_source(self, made: dict[str, Any], source: str | None) -> None:
        if self.resource.startswith("content") and self.chance.maybe(0.7):
            made["metadata"] = {"source": source, "created": self.chance.of(*TIMES)}
        elif source is not None or self.chance.maybe(0.5):
            made["source"] = source
        if self.chance.maybe(0.3):
            made["type"] = self.chance.of("item", "category")

    def _say_times(self, made: dict[str, Any]) -> None:
        if self.chance.maybe(0.5):
            made["created"] = self.chance.of(*TIMES)
        if self.chance.maybe(0.3):
            made["updated_at"] = self.chance.of(*TIMES)

    def _nested(self) -> Any:
        of = self.chance.of
        return of(
            {"x": of(*_NASTY)},
            {"x": {"y": of(*WORDS)}},
            {"x.y": of(*WORDS), "z": 1},
            None,
            "n",
            {},
            [{"x": 1}],
        )

    def _list(self) -> Any:
        of = self.chance.of
        elements = [self._element() for _ in range(of(0, 1, 3))]
        numbered = {str(place): element for place, element in enumerate(elements)}
        return of(
            elements, elements, elements, {"v": of(*WORDS)}, {"item": elements},
            {"item": of(None, "", {"v": 1}, {"x": 1})},
            numbered, {"k1": {"v": 1}, "k2": {"v": of(*WORDS)}}, "text", "", None, {}, 5, json.dumps(elements), True,
        )  # fmt: skip

    def _element(self) -> Any:
        of = self.chance.of
        return of(
            {"v": of(*_NASTY)}, {"v": of(*WORDS), "w": of(*NUMBERS)}, {"v": "e", "o": {"p": of(*_NASTY)}}, {"w": 1},
            {"d.e": of(*WORDS)}, {"d": {"e": 1}}, {"other": 1}, None, 5, "s", "\ud83d", [1], {},
        )  # fmt: skip


def _has_half(value: Any) -> bool:
    """Whether half a surrogate pair stands anywhere in it: no UTF-8 holds one."""
    return any(0xD800 <= ord(char) <= 0xDFFF for char in _texts(value))


def _texts(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(map(_texts, [*value, *value.values()]))
    if isinstance(value, list):
        return "".join(map(_texts, value))
    return value if isinstance(value, str) else ""
