"""Formats of times by chance, and times spelt in them: well, nearly, and not at all."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from .chance import Chance

NAMED = ("epoch_s", "%s", "epoch_ms", "epoch_us", "rfc_3339", "rfc_2822", "php_date")
_MONTHS = str.split("jan februari März avr. Mai june juillet Aug. septembre okt novembre Dezember")
_WEEKDAYS = str.split("Mon dinsdag Mi jeu. Friday za Sonntag")
_PARTS = {
    "year": ("%Y", "%y"),
    "month": ("%m", "%-m", "%b", "%B"),
    "day": ("%d", "%-d", "%e"),
    "weekday": ("%a", "%A"),
    "hour": ("%H", "%-H", "%k"),
    "hour of twelve": ("%I", "%-I", "%l"),
    "second": ("%S", "%-S"),
    "minute": ("%M", "%-M"),
    "zone": ("%z", "%:z", "%Z"),
    "blank": ("%n", "%t"),
}


def some_format(chance: Chance) -> str:
    """A format that a column may have."""
    if chance.maybe(0.25):
        return chance.pick(NAMED)
    return _day(chance) + _clock(chance)


def _day(chance: Chance) -> str:
    between = chance.of("-", "/", ".", " ", "")
    if chance.has("%j", 0.08):
        return f"%Y{between}%j"
    if chance.has("%F", 0.05):
        return "%F"
    if chance.has("%D", 0.05):
        return "%D"
    parts = [chance.pick(_PARTS[part]) for part in ("day", "month", "year")]
    day = between.join(reversed(parts) if chance.maybe(0.4) else parts)
    if chance.maybe(0.1):
        day = f"{chance.pick(_PARTS['weekday'])} {day}"
    return "100%% " + day if chance.has("%%", 0.03) else day


def _clock(chance: Chance) -> str:
    if chance.maybe(0.35):
        return ""
    before = chance.pick(_PARTS["blank"]) if chance.maybe(0.1) else chance.of(" ", " ", "T", ", ")
    if chance.has("%T", 0.08):
        return f"{before}%T"
    if chance.has("%R", 0.08):
        return f"{before}%R"
    minute = chance.pick(_PARTS["minute"])
    if chance.has("%p", 0.2):
        return f"{before}{chance.pick(_PARTS['hour of twelve'])}:{minute} %p"
    clock = f"{chance.pick(_PARTS['hour'])}:{minute}"
    if chance.maybe(0.6):
        clock += f":{chance.pick(_PARTS['second'])}"
        clock += ".%f" if chance.has("%f", 0.2) else ""
    return before + clock + (f" {chance.pick(_PARTS['zone'])}" if chance.maybe(0.25) else "")


def spell(chance: Chance, spelling: str) -> str:
    """A time as the format has it, or nearly."""
    moment = datetime(chance.of(1969, 1970, 2020, 2024), 1, 1) + timedelta(
        seconds=chance.random.randrange(366 * 86_400)
    )
    epoch = int((moment - datetime(1970, 1, 1)).total_seconds())
    epochs = {
        "epoch_s": epoch,
        "%s": epoch,
        "epoch_ms": epoch * 1000 + 5,
        "epoch_us": epoch * 10**6 + 7,
    }
    if spelling in epochs:
        return str(epochs[spelling])
    if spelling in NAMED:
        return moment.isoformat(sep=" ")
    text = re.sub(r"%(?::z|-.|.)", lambda code: _part(chance, code.group(), moment), spelling)
    return text + chance.of("", "", "", "", " ", "x") if chance.maybe(0.3) else text


def _part(chance: Chance, code: str, moment: datetime) -> str:
    numbers = {
        "Y": (moment.year, 4),
        "y": (moment.year % 100, 2),
        "m": (moment.month, 2),
        "d": (moment.day, 2),
        "e": (moment.day, 2),
        "H": (moment.hour, 2),
        "k": (moment.hour, 2),
        "I": (moment.hour % 12 or 12, 2),
        "l": (moment.hour % 12 or 12, 2),
        "M": (moment.minute, 2),
        "S": (moment.second, 2),
        "j": (moment.timetuple().tm_yday, 3),
    }
    letter = code[-1]
    if letter in numbers:
        number, width = numbers[letter]
        padded = f"{number:{' ' if letter in 'ekl' else '0'}{width}d}"
        return str(number) if chance.maybe(0.15) else padded
    others = {
        "b": _MONTHS[moment.month - 1],
        "B": _MONTHS[moment.month - 1].upper(),
        "a": _WEEKDAYS[moment.weekday()],
        "A": _WEEKDAYS[moment.weekday()],
        "f": chance.of("5", "000", "123456789"),
        "p": chance.of("AM", "pm", "a.m.", "P.M."),
        "z": chance.of("+02:00", "-0530", "+02", "Z", "z", "+24:00"),
        "Z": chance.of("UTC", "GMT", "Z", "CET"),
        "n": chance.of("", " ", "\n \u00a0"),
        "t": chance.of("", "\t"),
        "%": "%",
        "T": moment.strftime("%H:%M:%S"),
        "R": moment.strftime("%H:%M"),
        "F": moment.strftime("%Y-%m-%d"),
        "D": moment.strftime("%m/%d/%y"),
    }
    return others[letter]
