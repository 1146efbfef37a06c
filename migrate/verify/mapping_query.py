"""The SQL of a mapping: every column of a row, and the rule that keeps it out, in one query over its fields."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from migrate.language.answers import words_of
from migrate.language.patterns import WHITE_SPACE
from migrate.language.sql import Expression, SqlRefused, parse_sql
from migrate.verify.column import (
    Column,
    Setting,
    Zones,
    is_mark,
    mark,
    sendable,
    trimmed,
    write_column,
    write_lane,
)
from migrate.verify.fields import (
    ID,
    LEFT,
    LEFT_AT,
    ORDER,
    PLACE,
    SENT_ID,
    SENT_SOURCE,
    SOURCE,
    Wanted,
)
from migrate.verify.language.forms import FORMS, lowered, write_into
from migrate.verify.language.steps import Writer, name, quoted
from migrate.verify.lookup import LookupTable, join_lookup
from migrate.verify.made import DISCARDED
from migrate.verify.rules import ColumnRule, Conventions, DatasetRules, names_read
from migrate.verify.typed import Broken, Unverifiable, read_recency, reader_of

KEY, CREATED, RECENCY, NULLS, TOUCHED, PART = (
    "_key", "_created", "_recency", "_nulls", "_touched", "_part",
)  # fmt: skip
ZONE, GONE = "_zone", "_discarded"
"""What the evaluator adds to the fields: the zone of a row's source, and whether a person has discarded it."""
# Magento's plugin sends `created_at`, and an interaction has only the `datetime` of its metadata.
CREATED_FIELDS = (
    "created", "created_at", "metadata.created", "metadata.created_at", "datetime", "metadata.datetime",
)  # fmt: skip
# `record.source` and its like are the record's own fields of the names that mean something else in a mapping
_OWN = frozenset({"source", "id", "position", "item", "project"})
NUMBERS = frozenset({"integer", "float", "boolean"})


class MappingQuery:
    """One file's mapping in SQL. `unverifiable` names columns that are left out, and why.

    `has_nul`: whether a NUL may come in a text, which breaks a rule in any column. **Raises**: Unverifiable where the
    dataset as a whole cannot be worked out.
    """

    def __init__(
        self,
        rules: DatasetRules,
        conventions: Conventions,
        lookups: Mapping[str, LookupTable],
        has_nul: bool,
    ) -> None:
        self.rules, self.lookups = rules, lookups
        self._conventions = conventions
        self.unverifiable: dict[str, str] = {}
        self.writer = Writer(FORMS, self.field)
        zones = {*self._conventions.timezones.values(), "UTC"}
        # As a constant where there is only one: then plain times need no look at each row's zone.
        zone = "'UTC'" if zones == {"UTC"} else ZONE
        self._setting = Setting(
            Zones(zone, zones), self._conventions.float_digits, self.rules.key, has_nul
        )
        self._read: dict[str, None] = {}
        self._where = None
        if self.rules.where is not None:
            self._where = write_into(self.writer, _parsed(self.rules.where))
        self._created = self._first([self._own_field(one) for one in CREATED_FIELDS])
        self._asked = {
            lookup: (self.field(rule.source), self._first([self.field(one) for one in rule.ids]))
            for lookup, rule in self.rules.lookups.items()
        }
        compiled = {one: self._compile(rule) for one, rule in self.rules.columns.items()}
        self.columns = {one: column for one, column in compiled.items() if column is not None}
        times = [self._time_of(one) for one in rules.order_by]
        if times:
            self._recency = f"COALESCE({', '.join(times)})"
        else:
            self._recency = "CAST(NULL AS VARCHAR)"

    def wanted(self) -> Wanted:
        """What is to be read of the records."""
        # an element is empty where it holds nothing of what any column reads, verified or not
        items = {one for one in names_read(self.rules) if one == "item" or one.startswith("item.")}
        return Wanted(
            tuple(self._read), self.rules.each, tuple(sorted(items)) if self.rules.each else ()
        )

    def _own_field(self, field: str) -> str:
        self._read[field] = None
        return name(f"f:{field}")

    def field(self, field: str) -> str:
        """The SQL of a name in the mapping. Raises Unverifiable."""
        head, dot, tail = field.partition(".")
        if head == "record" and tail in _OWN:
            return self._own_field(tail)
        if field in {"source", "id"}:
            as_sent = {"source": SENT_SOURCE, "id": SENT_ID}
            as_shown = {"source": SOURCE, "id": ID}
            return (as_sent if self._setting.has_nul else as_shown)[field]
        if field == "project":
            return quoted(self._conventions.project)
        if dot and head in self.rules.lookups:
            if tail not in self.lookups[head].names:
                raise Unverifiable(f"look-up {head}.{tail}")
            return name(f"{head}.{tail}")
        if self.rules.each is not None and field == "position":
            return f"CAST({PLACE} AS VARCHAR)"
        if self.rules.each is not None and (field == "item" or field.startswith("item.")):
            return name(f"e:{field}")
        return self._own_field(field)

    def _first(self, texts: Sequence[str]) -> str:
        """The first text that is there and not empty."""
        filled = [f"NULLIF({text}, '')" for text in texts]
        return f"COALESCE({', '.join(filled)})"

    def _compile(self, rule: ColumnRule) -> Column | None:
        try:
            if rule.unknown:
                raise Unverifiable(f"key {rule.unknown[0]!r}")
            if rule.sql is None:
                return write_column(
                    self.writer, self._setting, rule, self._starts(rule), self._setting.has_nul
                )
            return self._compile_expression(rule, _parsed(rule.sql))
        except Unverifiable as doubt:
            self.unverifiable[rule.name] = str(doubt)
            return None

    def _starts(self, rule: ColumnRule) -> list[str]:
        """The texts a column starts from: several for a consent with several fields, which must all be heard."""
        if rule.value is not None:
            return [quoted(rule.value)]
        texts = [self.field(one) for one in rule.fields]
        has_nul = self._setting.has_nul
        if rule.consent:
            return [sendable(text, has_nul) for text in texts]
        return [sendable(self._first(texts), has_nul) if has_nul else self._first(texts)]

    def _compile_expression(self, rule: ColumnRule, expression: Expression) -> Column:
        fields = [self.field(one) for one in expression.fields]
        value, *strict = write_into(self.writer, expression, strict=rule.consent)
        cases = []
        if self._setting.has_nul and fields:
            nul = " OR ".join(f"COALESCE(contains({one}, chr(0)), FALSE)" for one in fields)
            cases.append(f"WHEN {nul} THEN {mark('unsendable_text')}")
        if value.fails:
            cases.append(f"WHEN {value.fails} THEN {mark('not_computable')}")
        for known in strict:
            # Nobody consents by silence: where a field that says nothing decides, the consent is neither yes nor
            # no.
            silent = [f"COALESCE({one}, '') = ''" for one in fields]
            cases.append(
                f"WHEN {known.value} IS NULL OR ({' AND '.join(silent) or 'TRUE'}) THEN NULL"
            )
        start = f"NULLIF({value.value}, '')"
        if cases:
            start = f"(CASE {' '.join(cases)} ELSE {start} END)"
        # A broken rule is a mark from here on, so the column's own steps leave it alone.
        column = write_column(self.writer, self._setting, rule, [start], bool(cases))
        if rule.consent:
            return self._only_founded(rule, column, fields)
        return column

    def _only_founded(self, rule: ColumnRule, column: Column, fields: Sequence[str]) -> Column:
        """A consent by expression is true only where a field it reads holds a word of yes."""
        listed = [text for text, value in (rule.values or {}).items() if value == "true"]
        yes = {*words_of("yes"), *(text.strip(WHITE_SPACE).casefold() for text in listed)}
        words = ", ".join(quoted(word) for word in sorted(yes))
        heard = [lowered(self.writer, trimmed(one)) for one in fields]
        founded = " OR ".join(f"COALESCE({one} IN ({words}), FALSE)" for one in heard) or "FALSE"
        # An expression may make a yes of anything: `optin IS NOT NULL` of a no, say.
        bare = self.writer.keep(f"({column.value} = 'true' AND NOT ({founded}))")
        value = self.writer.keep(f"(CASE WHEN {bare} THEN NULL ELSE {column.value} END)")
        weak = column.weak and f"(({column.weak}) AND {bare} IS NOT TRUE)"
        rejects = column.rejects
        if rule.required:
            rejects = f"COALESCE({rejects}, CASE WHEN {bare} THEN 'required_missing' END)"
        return replace(column, value=value, weak=weak, rejects=rejects)

    def _time_of(self, field: str) -> str:
        """A field as a time: as the column reads it that takes it, then in every known spelling."""
        text = self._first([self.field(field)])
        of_times: list[ColumnRule] = []
        for kind in ("datetime", "date"):
            of_times.extend(
                rule
                for rule in self.rules.columns.values()
                if rule.type == kind and field in rule.fields
            )
        if of_times:
            rule = of_times[0]
        else:
            rule = ColumnRule(field, "datetime")
        if rule.timezone:
            zone = quoted(rule.timezone)
        else:
            zone = self._setting.zones.sql
        readings = [f"NULLIF({self.writer.call(ranked_time, text, zone)}, '')"]
        with contextlib.suppress(Unverifiable):
            readings.insert(0, self._as_column(rule, field, text))
        return f"(CASE WHEN {text} IS NOT NULL THEN COALESCE({', '.join(readings)}) END)"

    def _as_column(self, rule: ColumnRule, field: str, text: str) -> str:
        """A field as its column reads it, without a default: the column's value where no field before it counts."""
        bare = replace(rule, default=None)
        has_nul = self._setting.has_nul
        is_plain = rule.default is None and not rule.calls and not rule.values
        if field not in rule.fields or rule.name not in self.columns or not is_plain:
            start = sendable(text, has_nul)
            lane = write_lane(self.writer, self._setting, bare, start, has_nul)
            return f"CASE WHEN NOT {is_mark(lane.value)} THEN {lane.value} END"
        value = self.columns[rule.name].value
        before = [self.field(one) for one in rule.fields[: rule.fields.index(field)]]
        if not before:
            return value
        read = reader_of(bare, self._setting.float_digits)

        def alone(text: str, zone: str) -> str:
            with contextlib.suppress(Broken):
                return read(text, zone)
            return ""

        if rule.timezone:
            zone = quoted(rule.timezone)
        else:
            zone = self._setting.zones.sql
        other = f"NULLIF({self.writer.call(alone, text, zone)}, '')"
        return f"CASE WHEN {self._first(before)} IS NULL THEN {value} ELSE {other} END"

    def relation(self, fields: str, known: Collection[str]) -> str:
        """The rows of a relation of fields, with what they look up; of fields it has those that are `known`."""
        wanted = self.wanted()
        columns = [*(f"f:{one}" for one in wanted.names), *(f"e:{one}" for one in wanted.items)]
        silent = [f"CAST(NULL AS VARCHAR) AS {name(one)}" for one in columns if one not in known]
        relation = f"(SELECT {', '.join(['*', *silent])} FROM {fields})"  # noqa: S608  quoted by `name`
        for lookup, (source, id_) in self._asked.items():
            relation = join_lookup(relation, lookup, self.lookups[lookup], source, id_)
        return relation

    def outputs(self, order: Sequence[str], touched_from: int) -> list[tuple[str, str]]:
        """What becomes of a row, as `Evaluator.work_out` gives it, with the columns in this order."""
        kept_out = self._kept_out()
        rejects = [(one, column.rejects) for one, column in self.columns.items() if column.rejects]
        rules = [f"WHEN {where} THEN {rule}" for where, rule, _ in kept_out]
        places = [f"WHEN {where} THEN {place}" for where, _, place in kept_out]
        for one, rule in rejects:
            broken = self.writer.keep(str(rule))
            rules.append(f"WHEN {broken} IS NOT NULL THEN {broken}")
            places.append(f"WHEN {broken} IS NOT NULL THEN {quoted(one)}")
        touched = [f"COALESCE({name(lookup + '?touched')}, FALSE)" for lookup in self._asked]
        touched.append(f"{ORDER} >= {touched_from}")
        created = f"COALESCE({self._setting.zones.sql} || chr(0) || {self._created}, '')"
        return [
            (self._key(), KEY), (SOURCE, SOURCE), (ID, ID), (PLACE, PLACE), (ORDER, ORDER), (created, CREATED),
            (self._recency, RECENCY), (self._nulls(order), NULLS), (" OR ".join(touched), TOUCHED),
            *((self._value(one), f"c:{one}") for one in order),
            (f"CASE {' '.join(rules)} END", LEFT), (f"CASE {' '.join(places)} END", LEFT_AT),
        ]  # fmt: skip

    def steps(self) -> list[tuple[str, str]]:
        """Every step of every column, under `COLUMN/LANE/STEP`."""
        return [
            (sql, f"{one}/{lane}/{step}")
            for one, column in self.columns.items()
            for lane, way in enumerate(column.lanes)
            for step, (_, sql) in enumerate(way.steps)
        ]

    def _kept_out(self) -> list[tuple[str, str, str]]:
        """Where a row is kept out before its columns are looked at: the condition, the rule, and of which name."""
        already = f"CASE WHEN {GONE} THEN {quoted(DISCARDED)} ELSE {LEFT} END"
        reasons = [(f"{LEFT} IS NOT NULL", already, LEFT_AT)]
        fails = None
        if self._where is not None:
            truth, fails = self._where[0].value, self._where[0].fails
            is_other = f"{truth} IS DISTINCT FROM 'true'"
            is_out = f"(NOT {fails} AND {is_other})" if fails else is_other
            reasons.append((is_out, "'filtered'", "NULL"))
        # Behind `where`, so that a record that a mapping leaves out anyway is not counted as discarded.
        reasons.append((GONE, quoted(DISCARDED), "NULL"))
        if fails:
            reasons.append((fails, "'not_computable'", "'where'"))
        # Before orphans: its parent is not gone, and both come once that is put right.
        reasons += [(name(f"{one}?withheld"), "'waiting'", quoted(one)) for one in self._asked]
        for one, (_, id_) in self._asked.items():
            if self.rules.lookups[one].rejects:
                is_orphan = f"(NOT {name(one + '?found')} AND {id_} IS NOT NULL)"
                reasons.append((is_orphan, "'orphan'", quoted(one)))
        return reasons

    def _value(self, column: str) -> str:
        """A column's value; one that only another file has is empty."""
        if column in self.columns:
            return self.columns[column].value
        return "CAST(NULL AS VARCHAR)"

    def _key(self) -> str:
        """A row's key as one text: the value of one column, a compact JSON array of several."""
        values = [(self.columns[one].value, self.rules.columns[one].type) for one in self.rules.key]
        if len(values) == 1:
            return values[0][0]
        texts = [
            value if kind in NUMBERS else self.writer.call(as_json, value) for value, kind in values
        ]
        return "'[' || " + " || ',' || ".join(texts) + " || ']'"

    def _nulls(self, order: Sequence[str]) -> str:
        """The places of columns that give way to another record's value, each between commas."""
        weak = [
            f"CASE WHEN {column.weak} THEN '{place},' ELSE '' END"
            for place, column in enumerate(map(self.columns.get, order))
            if column is not None and column.weak
        ]
        if not weak:
            return "CAST(NULL AS VARCHAR)"
        places = self.writer.keep(f"concat({', '.join(weak)})")
        return f"CASE WHEN {places} <> '' THEN ',' || {places} END"


def as_json(text: str) -> str:
    """A text as JSON, its letters as they are."""
    return json.dumps(text, ensure_ascii=False)


def ranked_time(text: str, zone: str) -> str:
    """A time for ranking in any known spelling, '' where the text is none."""
    return read_recency(text, zone) or ""


def _parsed(sql: str) -> Expression:
    """Raises Unverifiable."""
    try:
        return parse_sql(sql)
    except SqlRefused as refused:
        raise Unverifiable(f"sql: {refused}") from None
