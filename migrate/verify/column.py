"""One column of a mapping, from the texts it starts with to the value that is sent, or the rule that is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from migrate.verify.apply import function_of
from migrate.verify.record import NUL, Reader, Record
from migrate.verify.rules import ColumnRule
from migrate.verify.typed import Broken, reader_of

Found = tuple[str | None, bool]
"""A column's canonical text, and whether it gives way to another record's: null itself is sent, or a default."""
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
        if lane.value is not None:
            return lane.value, lane.is_default
        return settle(None, lane.rule, lane.said)

    return one if len(lanes) == 1 else _several(rule, float_digits, lanes, settle)


def _several(
    rule: ColumnRule,
    float_digits: str,
    lanes: list[Reader],
    settle: Callable[[str | None, str | None, bool], Found],
) -> ColumnRun:
    """A consent of several fields: all are heard, and the default stands in where none says anything."""
    run = _lane(replace(rule, default=None), float_digits)

    def several(record: Record, zone: str) -> Found:
        heard = [run(read(record) or None, zone) for read in lanes]
        if rule.default is not None and all(lane.value is lane.rule is None for lane in heard):
            return rule.default, True
        value, broken = _strictest(heard)
        return settle(value, broken, any(lane.said for lane in heard))

    return several


@dataclass(frozen=True, slots=True)
class _Lane:
    """One text after all steps: its value, the rule it broke, and whether anything was said at all."""

    value: str | None
    rule: str | None
    said: bool
    is_default: bool = False


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
            is_default = text is None and rule.default is not None
            if is_default:
                text = rule.default
            if text is not None:
                return _Lane(read(text, timezone or zone), None, True, is_default)
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
