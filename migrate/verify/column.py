"""One column of a mapping, from the texts it starts with to the value that is sent, or the rule that is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from migrate.verify.apply import function_of
from migrate.verify.record import NUL, Reader, Record
from migrate.verify.rules import ColumnRule
from migrate.verify.typed import Broken, reader_of

Found = tuple[str | None, bool]
"""A column's canonical text, and whether null itself is sent."""
ColumnRun = Callable[[Record, str], Found]
"""Gives a record's value; the text is the zone of its naive times. Raises Broken where the record is rejected."""
_NOTHING: Found = (None, False)


def compute_column(
    rule: ColumnRule, lanes: list[Reader], float_digits: str, key: tuple[str, ...]
) -> ColumnRun:
    """A column from its texts to its value. Raises Unverifiable."""
    run = _lane(rule, float_digits)
    missing = "required_missing" if rule.required else "key_missing" if rule.name in key else None
    rejects = rule.on_invalid == "reject" or missing is not None

    def settle(value: str | None, broken: str | None, said: bool) -> Found:
        if broken is not None and (rejects or broken == "unlisted_value"):
            raise Broken(broken)
        if value is not None:
            return value, False
        if missing:
            raise Broken(missing)
        if broken is not None:
            return None, rule.on_invalid == "null"
        return None, rule.sends_null and not said

    silent: Found = (None, True) if rule.sends_null else _NOTHING
    simple = rule.default is None and missing is None

    def one(record: Record, zone: str) -> Found:
        try:
            text = lanes[0](record) or None
        except Broken as found:
            return settle(None, found.rule, True)
        if text is None and simple:
            return silent
        lane = run(text, zone)
        return (lane.value, False) if lane.value is not None else settle(None, lane.rule, lane.said)

    def several(record: Record, zone: str) -> Found:
        heard = [run(read(record) or None, zone) for read in lanes]
        value, broken = _strictest(heard)
        return settle(value, broken, any(lane.said for lane in heard))

    return one if len(lanes) == 1 else several


@dataclass(frozen=True, slots=True)
class _Lane:
    """One text after all steps: its value, the rule it broke, and whether anything was said at all."""

    value: str | None
    rule: str | None
    said: bool


def _lane(rule: ColumnRule, float_digits: str) -> Callable[[str | None, str], _Lane]:
    functions = [function_of(name, argument) for name, argument in rule.calls]
    read = reader_of(rule, float_digits)
    timezone = rule.timezone

    def run(origin: str | None, zone: str) -> _Lane:
        text, broken = origin, None
        try:
            if text is not None and NUL in text:
                # told before any function hashes or cuts it
                raise Broken("unsendable_text")
            for function in functions:
                if text is None:
                    break
                text = function(text) or None
            text = _listed(rule, text)
            if text is None and rule.default is not None:
                text = rule.default
            if text is not None:
                return _Lane(read(text, timezone or zone), None, True)
        except Broken as found:
            broken = found.rule
        return _Lane(None, broken, origin is not None)

    return run


def time_lane(rule: ColumnRule, float_digits: str) -> Callable[[str, str], str | None]:
    """How a column reads a time of its field; None where it reads none. Raises Unverifiable."""
    run = _lane(replace(rule, default=None), float_digits)
    return lambda text, zone: run(text, zone).value


def _listed(rule: ColumnRule, text: str | None) -> str | None:
    """The text that `values` gives for a text."""
    if rule.values is None or text is None:
        return text
    if text in rule.values:
        return rule.values[text]
    if rule.unlisted == "reject":
        raise Broken("unlisted_value")
    return text if rule.unlisted == "keep" else None


def _strictest(heard: list[_Lane]) -> tuple[str | None, str | None]:
    """One consent of several fields: false if one says no, true only if none says anything else."""
    broken = next((lane.rule for lane in heard if lane.rule is not None), None)
    unclear = any(lane.said and lane.value is None for lane in heard)
    values = {lane.value for lane in heard if lane.value is not None}
    if "false" in values:
        return "false", broken
    return ("true" if values and not unclear else None), broken
