"""What can be done about one record that a load has changed, and the JSON that gives back what it held. Pure.

The API updates by masterid and deletes nothing; its export shows every value as text, whatever it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from migrate.names import MASTERID
from migrate.verify.naming import is_same
from migrate.verify.rules import ColumnRule, DatasetRules
from migrate.verify.typed import Broken, read_recency

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TRUTHS = {"true": "true", "t": "true", "1": "true", "false": "false", "f": "false", "0": "false"}

Values = Mapping[str, str | None]
Kinds = Mapping[str, str]
"""By column the JSON type in which the target shows its values now: `string`, `number` or `boolean`."""


@dataclass(frozen=True)
class Write:
    """One row of the plan that went into a record: the columns that the plan says change, and what was sent."""

    change: str
    changed: Collection[str]
    sent: Values


@dataclass(frozen=True)
class Verdict:
    """What can be done about one record that the load wrote.

    `restorable`: changed by the load and by nobody since; `before` are the columns as they were, `left` those that
    keep what the load wrote. `changed_since`: others have changed it since, so it is left alone. `restored`: it is as
    it was. `created`: by the load, and the API has no delete. `unreadable`: nobody knows what it held; `why` says so.
    """

    kind: str
    before: Values = field(default_factory=dict)
    left: tuple[str, ...] = ()
    why: str = ""


def judge_record(
    rules: DatasetRules, writes: Sequence[Write], before: Values | None, now: Values | None
) -> Verdict:
    """What can be done about a record. `writes`: in the order in which the target took them.

    Key columns are columns like others here: a row that the target found by another key took the record's own key over.
    """
    # The API has no delete, so a record that the load made stays and is listed.
    if any(write.change == "create" for write in writes):
        return Verdict("created")
    if now is None:
        return Verdict("unreadable", why="the target has no such record any more")
    if before is None:
        return Verdict("unreadable", why="it was not there when the plan read the target")
    sent: dict[str, str | None] = {}
    for write in writes:
        sent |= write.sent
    # Several rows in one record: what the plan said of each was said of another record.
    if len(writes) == 1 and writes[0].changed:
        # Only what the plan said to change: the rest of a payload is what stood there before.
        names = writes[0].changed
    else:
        names = sent
    mine = [name for name in names if name in rules.columns and not rules.columns[name].recipe]
    unknown = [name for name in mine if name not in before]
    restore: dict[str, str | None] = {}
    for name in mine:
        kind = rules.columns[name].type
        was = before.get(name)
        is_now = now.get(name)
        is_ours = name in before and not is_same(kind, was, sent.get(name))
        if not is_ours or is_same(kind, was, is_now):
            continue
        # Somebody has changed it since: what they wrote is worth more than what was there before.
        if not is_same(kind, sent.get(name), is_now):
            return Verdict("changed_since")
        restore[name] = was
    return _restorable_if_any(rules, restore, unknown)


def _restorable_if_any(rules: DatasetRules, restore: Values, unknown: Sequence[str]) -> Verdict:
    """The verdict on what is to be restored; a column that the mapping wants filled is never emptied."""
    stuck = [name for name, text in restore.items() if not text and _never_empty(rules, name)]
    left = (*unknown, *stuck)
    wanted = {name: text for name, text in restore.items() if name not in left}
    if wanted or left:
        return Verdict("restorable", wanted, left)
    return Verdict("restored")


def _never_empty(rules: DatasetRules, name: str) -> bool:
    """Whether the mapping itself says that a column always has a value."""
    return rules.columns[name].required or name in rules.key


@dataclass(frozen=True)
class Restoring:
    """The JSON that gives a record back what it held, and the columns that it leaves as the load made them."""

    payload: str
    columns: tuple[str, ...]
    left: tuple[str, ...]


def restoring(
    rules: DatasetRules,
    keys: Collection[str],
    masterid: str,
    verdict: Verdict,
    kinds: Kinds,
    *,
    bare: bool = False,
) -> Restoring:
    """What is sent to restore a record. A value that no literal gives back as it was is left, and named.

    `bare`: only what no target refuses: without nulls, without keys, which another record may have by now, and without
    values that are of another type than the mapping's.
    """
    members = [_member(MASTERID, json.dumps(masterid))]
    columns: list[str] = []
    left = list(verdict.left)
    for name, text in verdict.before.items():
        rule = rules.columns[name]
        literal = literal_of(rule, text, kinds.get(name))
        is_bold = literal == "null" or name in keys or _is_of_other_type(rule, literal)
        if literal is None or (bare and is_bold):
            left.append(name)
            continue
        members.append(_member(name, literal))
        columns.append(name)
    return Restoring("{" + ",".join(members) + "}", tuple(columns), tuple(left))


def _member(name: str, literal: str) -> str:
    return f"{json.dumps(name, ensure_ascii=False)}:{literal}"


def literal_of(rule: ColumnRule, text: str | None, kind: str | None) -> str | None:
    """The JSON literal of a value that the target's export shows as text; None where there is none.

    `kind`: the JSON type in which the target shows the column's values now. Where it shows none, the mapping's type is
    taken, as far as the text fits it; a text that does not is a text: the target can hold it, since it has held it.
    """
    # A CSV cannot tell null from '', so the one that any type takes is sent.
    if text is None or text == "":
        return "null"
    if kind == "number":
        # Left rather than sent as another value: the column is a number, and this is none.
        return text if _NUMBER.fullmatch(text) else None
    if kind == "boolean":
        return _TRUTHS.get(text.lower())
    if rule.type in {"datetime", "date"}:
        # The export may show `T` and `Z`; what is written takes one form only.
        return json.dumps(_time(text), ensure_ascii=False)
    if kind is None and rule.type in {"integer", "float"} and _NUMBER.fullmatch(text):
        return text
    if kind is None and rule.type == "boolean" and text.lower() in _TRUTHS:
        return _TRUTHS[text.lower()]
    return json.dumps(text, ensure_ascii=False)


def _is_of_other_type(rule: ColumnRule, literal: str | None) -> bool:
    plain = rule.type in {"integer", "float", "boolean"}
    return literal is not None and plain == literal.startswith('"')


def _time(text: str) -> str:
    try:
        return read_recency(text, "UTC") or text
    except Broken:
        return text


def kinds_of(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """By column the JSON type of the values that some records show; none for a column that shows several.

    Values are JSON as the target has sent it, not yet read.
    """
    kinds_by_name: dict[str, set[str]] = {}
    for record in records:
        for name, literal in record.items():
            kind = _kind(bytes(literal)[:1])
            if kind is not None:
                kinds_by_name.setdefault(name, set()).add(kind)
    # A column that shows several types tells nothing of how a value goes back.
    return {name: kinds.pop() for name, kinds in kinds_by_name.items() if len(kinds) == 1}


def _kind(first: bytes) -> str | None:
    """The type of a JSON literal by its first byte; None for null, a list, an object and nothing at all."""
    if first == b'"':
        return "string"
    if first in (b"t", b"f"):
        return "boolean"
    return "number" if first == b"-" or first.isdigit() else None
