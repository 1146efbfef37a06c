"""A field's type and settings, guessed from how all its values are written."""

from __future__ import annotations

import json

from migrate.mapping.known_fields import CODE, CONSENT, DENIAL, NO, SYNC_STATES, YES
from migrate.mapping.survey import Field

_MOSTLY = 0.95


def guess_settings(found: Field) -> tuple[str, str]:
    """The settings of a field's column, and why."""
    said = f"{min(found.share, 1):.0%} filled"
    if CONSENT.search(found.name) and not found.all_are("time", "day"):
        return _decide_consent(found, said)
    if found.all_are("list", "object"):
        return (
            "type: json",
            f"{said}; lists or objects, for which the target has no type: their JSON",
        )
    if _mostly(found, "time", "day"):
        return _decide_time(found, said + _rest(found, "time", "day"))
    if not CODE.search(found.name):
        number = _decide_number(found, said)
        if number:
            return number
    if found.all_are("boolean"):
        return "type: boolean", said
    return _decide_text(found, said)


def _decide_consent(found: Field, said: str) -> tuple[str, str]:
    if DENIAL.search(found.name):
        return (
            "type: text",
            f"{said}; a consent the other way round, where yes means no: decide what it becomes",
        )
    if found.texts is None:
        return (
            "type: text",
            f"{said}; a consent? it has too many different answers to be sure: look at it",
        )
    words = {text.strip().lower() for text in found.texts}
    yes, no = sorted({"1", "true", "yes"} | words & YES), sorted({"0", "false", "no"} | words & NO)
    listed = [(word, "true") for word in yes] + [(word, "false") for word in no]
    values = ", ".join(f"{json.dumps(word, ensure_ascii=False)}: {value}" for word, value in listed)
    others = len(words - YES - NO)
    unknown = f"; {others} other answers are no consent" if others else ""
    settings = f"type: boolean, consent: true, apply: [trim, lowercase], values: {{{values}}}, unlisted: omit"
    return settings, f"{said}; looks like a consent: only a listed yes is one{unknown}"


def _decide_time(found: Field, said: str) -> tuple[str, str]:
    zero = found.kinds["zero_date"]
    invalid = ", on_invalid: omit" if zero else ""
    said += f"; {zero:,} zero dates (0000-00-00) are left out" if zero else ""
    if found.all_are("day"):
        return f"type: date{invalid}", said
    naive = found.kinds["time"] - found.kinds["zoned"]
    zone = f"; {naive:,} without a zone, read in their source's" if naive else ""
    return f"type: datetime{invalid}", said + zone


def _decide_number(found: Field, said: str) -> tuple[str, str] | None:
    kinds = found.kinds
    if found.all_are("integer") and not kinds["padded"]:
        if found.beyond_int32:
            return (
                "type: text",
                f"{said}; {found.beyond_int32:,} beyond int32, all that the target's numbers hold",
            )
        flag = "; only 0 and 1: a boolean, if it is a flag" if found.all_are("flag") else ""
        return "type: integer", said + flag
    if kinds["padded"] and found.all_are("integer"):
        return "type: text", f"{said}; {kinds['padded']:,} with leading zeros: a code, no number"
    if not _mostly(found, "number", "comma"):
        return None
    said += _rest(found, "number", "comma")
    if not kinds["comma"]:
        return "type: float", said
    unsure = (
        f"; {kinds['ambiguous']:,} such as 1,234 may be thousands and are rejected"
        if kinds["ambiguous"]
        else ""
    )
    settings = "type: float, apply: [trim, {decimal_comma: or_point}]"
    return settings, f"{said}; {kinds['comma']:,} with a decimal comma{unsure}"


def _mostly(found: Field, *kinds: str) -> bool:
    """Whether nearly all values are of these kinds: a few broken ones do not make amounts a text."""
    return found.filled > 0 and sum(found.kinds[kind] for kind in kinds) >= _MOSTLY * found.filled


def _rest(found: Field, *kinds: str) -> str:
    rest = found.filled - sum(found.kinds[kind] for kind in kinds)
    return (
        f"; {rest:,} are something else and are rejected, unless `on_invalid` says otherwise"
        if rest
        else ""
    )


def _decide_text(found: Field, said: str) -> tuple[str, str]:
    kinds = found.kinds
    if CODE.search(found.name) and kinds["number"]:
        said += "; a code, text though it looks like a number"
    if found.texts and found.texts & SYNC_STATES:
        said += (
            "; some are how far a plug-in's synchronisation is, which says nothing about the record"
        )
    if kinds["list"] or kinds["object"]:
        said += f"; {kinds['list'] + kinds['object']:,} look like a list or an object, sent as their JSON"
    if kinds["html"]:
        said += f"; {kinds['html']:,} with HTML: `apply: [strip_html]` takes it out"
    if kinds["email"] >= 0.9 * found.filled:
        return (
            "type: text, apply: [trim, lowercase]",
            f"{said}; e-mail addresses, which keys compare as given",
        )
    return (
        ("type: text, apply: [trim]", f"{said}; spaces at the ends")
        if kinds["spaced"]
        else ("type: text", said)
    )
