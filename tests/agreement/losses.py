"""What gets lost on the way, column by column, counted by a reading of its own: docs/mapping.md, "Losses".

The verifier keeps no such counts, so these are the planner's second reading: values are those of the verifier's
functions and types, and what changed on the way is told from before and after.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from migrate.language.patterns import WHITE_SPACE
from migrate.language.zones import load_zone
from migrate.names import ID_FIELDS, SOURCE_FIELDS
from migrate.verify.apply import function_of
from migrate.verify.record import (
    NUL,
    elements,
    holds_half,
    literal_text,
    marked_text,
    reach,
    split_object,
)
from migrate.verify.rules import ColumnRule, DatasetRules, names_read
from migrate.verify.times import is_zero_date, parser_of
from migrate.verify.typed import Broken, reader_of

from .surroundings import Surroundings

ORDER_BY = "collapse.order_by"
# what the verifier does in SQL
_IN_SQL = {
    "trim": lambda text: text.strip(WHITE_SPACE),
    "lowercase": str.lower,
    "uppercase": str.upper,
    "collapse_spaces": lambda text: re.sub(f"[{WHITE_SPACE}]+", " ", text),
    "sha256": lambda text: hashlib.sha256(text.encode()).hexdigest(),
}
Losses = dict[str, Counter[str]]
_OF_FUNCTIONS = {
    "trim": "trimmed",
    "lowercase": "lowercased",
    "uppercase": "uppercased",
    "collapse_spaces": "collapsed_spaces",
    "strip_html": "stripped_html",
    "fix_text": "encoding_fixed",
    "email": "invisible_removed",
    "phone": "phone_formatted",
    "country": "country_coded",
    "amount": "amount_read",
    "decimal_comma": "comma_replaced",
    "sha256": "hashed",
    "truncate": "truncated",
}
_EPOCHS = {"epoch_s": 1, "%s": 1, "epoch_ms": 1000, "epoch_us": 10**6}


@dataclass(frozen=True)
class Made:
    """A row that was made: who it is of, and its time for ranking."""

    source: str | None
    id: str
    position: int | None
    recency: str | None


@dataclass(frozen=True)
class Record:
    """A record, or one element of a list in it."""

    raw: bytes
    source: str | None
    id: str | None
    position: int | None = None
    element: bytes = b""

    def read(self, name: str) -> str | None:
        """A field of the record."""
        return reach(split_object(self.raw) or {}, name)

    def sent(self, name: str, shown: str | None) -> str | None:
        """The record's identity as it is sent: the field itself, where a snapshot shows the escape of a half."""
        if shown is None or "\\ud" not in shown:
            return shown
        fields = {"source": SOURCE_FIELDS, "id": ID_FIELDS}[name]
        members = split_object(self.raw) or {}
        texts = (reach(members, field) for every in fields.values() for field in every)
        return next((text for text in texts if text and NUL in text), shown)

    def read_element(self, name: str) -> str | None:
        """`item` or `item.NAME`."""
        if name == "item":
            return literal_text(self.element)
        return reach(split_object(self.element) or {}, name.removeprefix("item."))


def is_counted(rules: DatasetRules, rule: ColumnRule) -> bool:
    """Whether a column's losses are counted here: of its own record's fields, with no expression to be worked out."""
    looked_up = {name.partition(".")[0] for name in rule.fields} & rules.lookups.keys()
    return bool(rule.fields) and not looked_up


def count_losses(
    rules: DatasetRules, records: Iterable[Record], rows: Collection[Made], around: Surroundings
) -> Losses:
    """How many of the rows that were made lost something, by column and loss."""
    found: Losses = {}
    made = {(row.source, row.id, row.position): row for row in rows}
    for record in records:
        for standing in _standing(rules, record):
            row = made.get((standing.source, standing.id or "", standing.position))
            if row is None:
                continue
            for rule in rules.columns.values():
                if is_counted(rules, rule):
                    lost = _Column(rules, rule, around).lost(standing)
                    found.setdefault(rule.name, Counter()).update(lost)
            if _is_unranked(rules, standing, row):
                found.setdefault(ORDER_BY, Counter())["unranked"] += 1
    return {name: lost for name, lost in found.items() if lost}


def _standing(rules: DatasetRules, record: Record) -> list[Record]:
    if rules.each is None:
        return [record]
    names = names_read(rules)
    paths = [name.removeprefix("item.") for name in names if name.startswith("item.")]
    found = elements(reach(split_object(record.raw) or {}, rules.each, marked_text) or "", paths)
    return [
        replace(record, position=place, element=element)
        for place, element in enumerate(found or [], 1)
    ]


def _is_unranked(rules: DatasetRules, record: Record, row: Made) -> bool:
    texts = [record.read(name) for name in rules.order_by]
    text = next((text for text in texts if text), None)
    return row.recency is None and text is not None and not is_zero_date(text, None)


@dataclass(frozen=True)
class _Said:
    """What one text came to: its value, the rule it broke, and what it lost."""

    origin: str | None
    value: str | None
    rule: str | None
    lost: set[str]


@dataclass(frozen=True)
class _Column:
    """One column of a mapping, and what is around it."""

    rules: DatasetRules
    rule: ColumnRule
    around: Surroundings

    def lost(self, record: Record) -> set[str]:
        """What a record's value lost."""
        texts = [self._read(name, record) or None for name in self.rule.fields]
        zone = self.rule.timezone or _zone_of(record.source, self.around)
        if not self.rule.consent or len(texts) == 1:
            text = next((text for text in texts if text), None)
            said = self._follow(self.rule, text, zone)
            return said.lost | self._of_rule(said.value, said.rule)
        alone = replace(self.rule, default=None)
        return self._of_several([self._follow(alone, text, zone) for text in texts])

    def _of_several(self, heard: list[_Said]) -> set[str]:
        lost = set().union(*(said.lost for said in heard))
        rule = next((said.rule for said in heard if said.rule), None)
        if all(said.value is None and said.rule is None for said in heard):
            return lost | ({"defaulted"} if self.rule.default is not None else set())
        values = {said.value for said in heard}
        unclear = any(said.rule or (said.origin and said.value is None) for said in heard)
        if "true" in values and (unclear or "false" in values):
            lost.add("consent_withheld")
        return lost | self._of_rule("false" if "false" in values else None, rule)

    def _of_rule(self, value: str | None, rule: str | None) -> set[str]:
        if rule is None or value is not None or self.rule.on_invalid == "reject":
            return set()
        word = "omitted" if self.rule.on_invalid == "omit" else "nulled"
        return {f"{word}_{rule}"}

    def _follow(self, rule: ColumnRule, origin: str | None, zone: str) -> _Said:
        lost: set[str] = set()
        text = origin
        if text is not None and NUL in text:
            return _Said(origin, None, "unsendable_text", set())
        try:
            for name, argument in rule.calls:
                if text is None:
                    break
                after = (_IN_SQL.get(name) or function_of(name, argument))(text)
                if after != text:
                    lost.add(_OF_FUNCTIONS[name])
                text = after or None
            if text is not None and rule.values is not None:
                text = _listed(rule, text, lost)
            if text is None and rule.default is not None:
                lost.add("defaulted")
                text = rule.default
            if text is None:
                return _Said(origin, None, None, lost)
            value = reader_of(rule, self.around.float_digits)(text, zone)
        except Broken as broken:
            return _Said(origin, None, broken.rule, lost)
        return _Said(origin, value, None, lost | _of_type(rule, text, value, zone))

    def _read(self, name: str, record: Record) -> str | None:
        own = {
            "source": record.sent("source", record.source),
            "id": record.sent("id", record.id),
            "project": self.around.project,
        }
        if name in own:
            return own[name]
        if self.rules.each is not None and name == "position":
            return str(record.position)
        if self.rules.each is not None and name.partition(".")[0] == "item":
            return record.read_element(name)
        if name in {
            "record.source",
            "record.id",
            "record.item",
            "record.position",
            "record.project",
        }:
            return record.read(name.removeprefix("record."))
        return record.read(name)


def _listed(rule: ColumnRule, text: str, lost: set[str]) -> str | None:
    """The text that `values` gives for one. Raises Broken."""
    if rule.values is not None and text in rule.values:
        return rule.values[text]
    if rule.unlisted == "reject":
        raise Broken("unlisted_value")
    lost.add("consent_unlisted" if rule.consent else "unlisted")
    return text if rule.unlisted == "keep" else None


def _of_type(rule: ColumnRule, text: str, value: str, zone: str) -> set[str]:
    match rule.type:
        case "integer":
            return {"zeros_dropped"} if re.match("-?0[0-9]", text) else set()
        case "float":
            return {"rounded"} if Decimal(text) != Decimal(value) else set()
        case "text" | "json":
            return {"flattened"} if text[:1] in {"[", "{"} and _is_json(text) else set()
        case "date":
            parse = parser_of(rule.format, rule.pivot)
            local = parse(text)[0] if parse else datetime.min
            return {"time_dropped"} if local.time() != datetime.min.time() else set()
        case "datetime":
            return _of_time(rule, text, zone)
    return set()


def _of_time(rule: ColumnRule, text: str, zone: str) -> set[str]:
    parse = parser_of(rule.format, rule.pivot)
    assert parse is not None
    local, offset = parse(text)
    lost = {"fraction_dropped"} if _has_fraction(text, rule.format) else set()
    if offset is not None:
        return lost
    lost.add("zone_assumed")
    first, second = (
        local.replace(tzinfo=load_zone(zone), fold=fold).utcoffset() for fold in (0, 1)
    )
    assert first is not None and second is not None
    if first != second:
        lost.add("dst_gap" if first < second else "dst_fold")
    return lost


def _has_fraction(text: str, spelling: str | None) -> bool:
    if spelling in _EPOCHS:
        whole, _, fraction = text.partition(".")
        return int(whole) % _EPOCHS[str(spelling)] != 0 or bool(fraction.strip("0"))
    if spelling is not None and "%" in spelling and "%f" not in spelling:
        return False
    found = re.search(r":[0-9]{1,2}[.,]([0-9]{1,9})", text)
    return found is not None and bool(found[1].strip("0"))


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse)
    except ValueError:
        return False
    return not holds_half(text)


def _refuse(_constant: str) -> Any:
    raise ValueError


def _zone_of(source: str | None, around: Surroundings) -> str:
    if source in around.timezones:
        return around.timezones[str(source)]
    mine = around.aliases.get(str(source), source)
    same = (
        zone for name, zone in around.timezones.items() if around.aliases.get(name, name) == mine
    )
    return next(same, around.timezones.get("*", "UTC"))
