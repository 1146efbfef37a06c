"""A mapping worked out record by record: what each one should become, or the rule that keeps it out.

Simple on purpose, and apart from the planner: closures over one record's JSON, `decimal`, `zoneinfo`. A column that
holds something the verifier has no reading of its own for is left out and named, never guessed.

**Source**: the mapping language as docs/mapping.md describes it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import duckdb

from migrate.language.answers import words_of
from migrate.language.patterns import WHITE_SPACE
from migrate.language.sql import Expression, SqlRefused, parse_sql
from migrate.verify.column import ColumnRun, compute_column, time_lane
from migrate.verify.element_names import names_read
from migrate.verify.language.database import database
from migrate.verify.language.expressions import answer
from migrate.verify.lookup import Answers, LookupTable, Pair
from migrate.verify.made import DISCARDED, Identity, Left, Row
from migrate.verify.record import (
    NUL,
    Reader,
    Record,
    element_reader,
    elements,
    field_reader,
    list_reader,
)
from migrate.verify.record_order import CREATED_FIELDS, said_created
from migrate.verify.rules import ColumnRule, Conventions, DatasetRules
from migrate.verify.typed import Broken, Unverifiable, read_recency

WHERE = "where"
_OWN = frozenset({"source", "id", "position", "item", "project"})
# `record.source` and its like are the record's own fields of the names that mean something else in a mapping
LookUps = tuple[str | None, str | None]
"""The look-up that rejects a record, and the one by which it waits for its parent."""


@dataclass(frozen=True)
class Expressed:
    """An expression of the mapping, and how the fields it names are read."""

    expression: Expression
    readers: Mapping[str, Reader]
    consent: bool


@dataclass
class Evaluator:
    """One dataset's mapping, ready to run. `unverifiable` names columns that are left out, and why.

    `touched_from`: records from this place in the snapshot on may have changed since the last plan. `keep`: columns
    whose values are wanted of records that make no row, too.
    """

    rules: DatasetRules
    conventions: Conventions
    lookups: Mapping[str, LookupTable]
    touched_from: int = 0
    keep: tuple[str, ...] = ()
    discarded: frozenset[Identity] = frozenset()
    columns: tuple[str, ...] = ()
    unverifiable: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compiles the mapping. Raises Unverifiable where the dataset as a whole cannot be worked out."""
        self._zones = dict(self.conventions.timezones)
        names = {
            name for name in names_read(self.rules) if name == "item" or name.startswith("item.")
        }
        self._element_paths = [name.removeprefix("item.") for name in names if name != "item"]
        self._element_readers = [element_reader(name) for name in names] if self.rules.each else []
        self._readers: dict[str, Reader] = {}
        self._answers: dict[str, Answers] = {}
        self._expressions: dict[str, Expressed] = {}
        self._opened = contextlib.ExitStack()
        self._database: duckdb.DuckDBPyConnection | None = None
        if self.rules.where is not None:
            self._express(WHERE, self.rules.where)
        self._created = [field_reader(name) for name in CREATED_FIELDS]
        self._order_by = [(field_reader(n), self._time_reader(n)) for n in self.rules.order_by]
        self._asked = [
            (name, self._reader(rule.source), [self._reader(i) for i in rule.ids], rule.rejects)
            for name, rule in self.rules.lookups.items()
        ]
        compiled = {name: self._compile(rule) for name, rule in self.rules.columns.items()}
        self._columns = {name: run for name, run in compiled.items() if run is not None}
        self.columns = tuple(self._columns)
        blocked = [*self.rules.doubts, *(n for n in self.rules.key if n not in self._columns)]
        if blocked:
            raise Unverifiable(
                f"{blocked[0]}: {self.unverifiable.get(blocked[0], 'not known to the verifier')}"
            )

    def rows(self, records: Iterable[Record]) -> Iterator[Row | Left]:
        """What becomes of records: one entry for each, or one per element of its list."""
        standing = [found for record in records for found in self._expand(record)]
        orphans = self._prepare([found for found in standing if isinstance(found, Record)])
        for found in standing:
            made = self._row(found, next(orphans)) if isinstance(found, Record) else found
            if (
                isinstance(found, Record)
                and isinstance(made, Left)
                and self.keep
                and self._is_touched(found)
            ):
                made = replace(made, kept=self._kept(found))
            yield made

    def _is_touched(self, record: Record) -> bool:
        return record.touched or record.order >= self.touched_from

    def _kept(self, record: Record) -> tuple[str | None, ...]:
        """What the columns to keep hold of a record that makes no row."""
        found: list[str | None] = []
        for name in self.keep:
            run = self._columns.get(name)
            try:
                found.append(run(record, self.zone_of(record))[0] if run else None)
            except (Broken, Unverifiable):
                found.append(None)
        return tuple(found)

    def _expand(self, record: Record) -> Iterator[Record | Left]:
        if not record.id:
            yield self._rejected(record, None, "id_missing", "id")
            return
        if self.rules.each is None:
            yield record
            return
        text = list_reader(self.rules.each)(record)
        if text is None or text in {"", "[]", "{}"}:
            return
        found = elements(text, self._element_paths)
        if found is None:
            yield self._rejected(record, None, "each_not_a_list", self.rules.each)
            return
        for place, element in enumerate(found, 1):
            line = record.at(place, element)
            if self._element_readers and not any(read(line) for read in self._element_readers):
                yield self._rejected(record, place, "empty_element", self.rules.each)
            else:
                yield line

    def _rejected(self, record: Record, place: int | None, rule: str, name: str) -> Left:
        """A record, or an element of it, that has no columns to look at; unless a person has discarded it."""
        is_discarded = (record.source, record.id, place) in self.discarded
        return Left(record.source, record.id, place, DISCARDED if is_discarded else rule, name)

    def _ask(self, records: Iterable[Record]) -> None:
        """Has the look-up tables answer what these records ask."""
        if not self._asked:
            return
        questions: dict[str, set[Pair]] = {name: set() for name, *_ in self._asked}
        for record in records:
            for name, read_source, read_ids, _ in self._asked:
                source, wanted = read_source(record), _first_text(read_ids, record)
                if source is not None and wanted is not None:
                    questions[name].add((source, wanted))
        self._answers = {name: self.lookups[name].among(pairs) for name, pairs in questions.items()}

    def standing_at(self, record: Record, position: int | None) -> Record:
        """The record at one element of its list, with what it looks up found."""
        if position is not None and self.rules.each is not None:
            found = elements(list_reader(self.rules.each)(record) or "", self._element_paths) or []
            record = record.at(position, found[position - 1])
        list(self._prepare([record]))
        return record

    def readers_of(self, rule: ColumnRule) -> list[Reader]:
        """What a column starts from. Raises Unverifiable."""
        return self._lanes(rule)

    def zone_of(self, record: Record) -> str:
        """The zone of a record's naive times."""
        source = record.source or ""
        if source not in self._zones:
            self._zones[source] = self._zone_by_alias(source)
        return self._zones[source]

    def _zone_by_alias(self, source: str) -> str:
        """The zone set for another name of the same source; names that alias each other are one source."""
        aliases = self.conventions.source_aliases
        mine = aliases.get(source, source)
        same = (
            zone
            for name, zone in self.conventions.timezones.items()
            if aliases.get(name, name) == mine
        )
        return next(same, self.conventions.timezones.get("*", "UTC"))

    def _prepare(self, records: list[Record]) -> Iterator[LookUps]:
        """What records look up, and what expressions make of them; gives what the look-ups say of each."""
        self._ask(records)
        orphans = [self._look_up(record) for record in records]
        for name, expressed in self._expressions.items():
            if not records:
                break
            if self._database is None:
                self._database = self._opened.enter_context(database())
            fields = {
                field: [read(record) for record in records]
                for field, read in expressed.readers.items()
            }
            found = answer(
                self._database, expressed.expression, fields, len(records), strict=expressed.consent
            )
            strict = found.strict or found.texts
            answers = zip(found.texts, found.fails, strict, strict=True)
            for record, answered in zip(records, answers, strict=True):
                record.answers[name] = answered
        return iter(orphans)

    def close(self) -> None:
        """Closes the database that works out expressions."""
        self._opened.close()

    def _express(self, name: str, sql: str, *, consent: bool = False) -> None:
        """Notes an expression to be worked out for all records at once. Raises Unverifiable."""
        try:
            expression = parse_sql(sql)
        except SqlRefused as refused:
            raise Unverifiable(f"sql: {refused}") from None
        readers = {field: self._reader(field) for field in expression.fields}
        self._expressions[name] = Expressed(expression, readers, consent)

    def _row(self, record: Record, looked_up: LookUps) -> Row | Left:
        kept_out = self._kept_out(record, *looked_up)
        if kept_out is not None:
            return Left(record.source, record.id, record.position, *kept_out)
        zone = self.zone_of(record)
        values: list[str | None] = []
        weak: set[int] = set()
        for name, run in self._columns.items():
            try:
                value, is_weak = run(record, zone)
            except Broken as broken:
                return Left(record.source, record.id, record.position, broken.rule, name)
            except Unverifiable as doubt:
                self.unverifiable[name] = str(doubt)
                value, is_weak = None, False
            if is_weak:
                weak.add(len(values))
            values.append(value)
        recency = self._recency(record, zone)
        place = (record.source, record.id or "", record.position, record.order, recency)
        created = said_created(_first_text(self._created, record), zone)
        touched = self._is_touched(record)
        return Row(*place, tuple(values), frozenset(weak), touched, created)

    def _kept_out(
        self, record: Record, orphan: str | None, waits_for: str | None
    ) -> tuple[str, str | None] | None:
        """The rule that keeps a record out before its columns are looked at, and of which name."""
        truth, fails, _ = record.answers[WHERE] if WHERE in self._expressions else ("true", 0, 0)
        if not fails and truth != "true":
            return "filtered", None
        if (record.source, record.id, record.position) in self.discarded:
            return DISCARDED, None
        if fails:
            return "not_computable", "where"
        if waits_for is not None:
            return "waiting", waits_for
        return None if orphan is None else ("orphan", orphan)

    def _look_up(self, record: Record) -> tuple[str | None, str | None]:
        """Finds what the record looks up; gives the look-up that rejects it, and the one by which it waits."""
        rejected = waits_for = None
        for name, read_source, read_ids, rejects in self._asked:
            wanted = _first_text(read_ids, record)
            source = read_source(record)
            found = self._answers[name].find(source, wanted)
            record.found[name] = found
            if found is None:
                if self._answers[name].withholds(source, wanted):
                    waits_for = waits_for or name
                elif rejects and wanted is not None and rejected is None:
                    rejected = name
            elif found[0]:
                record.touched = True
        return rejected, waits_for

    def _recency(self, record: Record, zone: str) -> str | None:
        for read, as_column in self._order_by:
            text = read(record)
            found = as_column(text, zone) if text else None
            if found is not None:
                return found
        return None

    def _time_reader(self, name: str) -> Callable[[str, str], str | None]:
        """How a field ranks: as the column reads it that takes it, then in every known spelling."""
        of_times = [
            rule
            for kind in ("datetime", "date")
            for rule in self.rules.columns.values()
            if rule.type == kind
        ]
        rule = next((rule for rule in of_times if name in rule.fields), None)
        if rule is None:
            return read_recency
        try:
            run = time_lane(rule, self.conventions.float_digits)
        except Unverifiable:
            return read_recency
        return lambda text, zone: run(text, zone) or read_recency(text, rule.timezone or zone)

    def _reader(self, name: str) -> Reader:
        if name not in self._readers:
            self._readers[name] = self._find_reader(name)
        return self._readers[name]

    def _find_reader(self, name: str) -> Reader:
        head, dot, tail = name.partition(".")
        if head == "record" and tail in _OWN:
            return field_reader(tail)
        if name == "source":
            return lambda record: record.source
        if name == "project":
            return lambda _record: self.conventions.project
        if name == "id":
            return lambda record: record.id
        if dot and head in self.rules.lookups:
            return self._looked_up_reader(head, tail)
        if self.rules.each is not None and name == "position":
            return lambda record: str(record.position)
        if self.rules.each is not None and (name == "item" or name.startswith("item.")):
            return element_reader(name)
        return field_reader(name)

    def _looked_up_reader(self, lookup: str, name: str) -> Reader:
        names = self.lookups[lookup].names
        if name not in names:
            raise Unverifiable(f"look-up {lookup}.{name}")
        place = names.index(name)

        def read(record: Record) -> str | None:
            found = record.found.get(lookup)
            return None if found is None else found[1][place]

        return read

    def _expression_reader(self, name: str) -> Reader:
        """Reads the answer of a column's expression. The reader raises Broken where there is none."""
        expressed = self._expressions[name]

        def read(record: Record) -> str | None:
            sent = [read_field(record) for read_field in expressed.readers.values()]
            if any(NUL in text for text in sent if text):
                raise Broken("unsendable_text")
            text, fails, strict = record.answers[name]
            if fails:
                raise Broken("not_computable")
            withheld = expressed.consent and (strict is None or not any(sent))
            return None if withheld else text

        return read

    def _compile(self, rule: ColumnRule) -> ColumnRun | None:
        try:
            if rule.unknown:
                raise Unverifiable(f"key {rule.unknown[0]!r}")
            run = compute_column(
                rule, self._lanes(rule), self.conventions.float_digits, self.rules.key
            )
            return self._only_founded(rule, run) if rule.consent and rule.sql is not None else run
        except Unverifiable as doubt:
            self.unverifiable[rule.name] = str(doubt)
            return None

    def _only_founded(self, rule: ColumnRule, run: ColumnRun) -> ColumnRun:
        """A consent by expression is true only where a field it reads holds a word of yes."""
        heard = [self._reader(name) for name in parse_sql(str(rule.sql)).fields]
        listed = [text for text, value in (rule.values or {}).items() if value == "true"]
        yes = {*words_of("yes"), *(text.strip(WHITE_SPACE).casefold() for text in listed)}

        def run_founded(record: Record, zone: str) -> tuple[str | None, bool]:
            value, sends_null = run(record, zone)
            if value != "true" or any(
                (read(record) or "").strip(WHITE_SPACE).lower() in yes for read in heard
            ):
                return value, sends_null
            if rule.required:
                raise Broken("required_missing")
            return None, False

        return run_founded

    def _lanes(self, rule: ColumnRule) -> list[Reader]:
        """The texts a column starts from: several for a consent with several fields, which must all be heard."""
        if rule.sql is not None:
            self._express(rule.name, rule.sql, consent=rule.consent)
            return [self._expression_reader(rule.name)]
        if rule.value is not None:
            constant = rule.value
            return [lambda _record: constant]
        readers = [self._reader(name) for name in rule.fields]
        return readers if rule.consent else [_first_filled(readers)]


def _first_filled(readers: list[Reader]) -> Reader:
    if len(readers) == 1:
        return readers[0]
    return lambda record: _first_text(readers, record)


def _first_text(readers: list[Reader], record: Record) -> str | None:
    for read in readers:
        text = read(record)
        if text:
            return text
    return None
