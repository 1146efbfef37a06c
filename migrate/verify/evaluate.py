"""A mapping worked out record by record: what each one should become, or the rule that keeps it out.

Simple on purpose, and apart from the planner: closures over one record's JSON, `decimal`, `zoneinfo`. A column that
holds something the verifier has no reading of its own for is left out and named, never guessed.

**Source**: the mapping language as docs/mapping.md describes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from migrate.verify.apply import function_of
from migrate.verify.expression import compile_expression, fields_of, text_of
from migrate.verify.record import Reader, Record, element_reader, elements, field_reader
from migrate.verify.rules import ColumnRule, Conventions, DatasetRules
from migrate.verify.typed import Broken, Unverifiable, read_recency, reader_of

Found = tuple[str | None, bool]
"""A column's canonical text, and whether null itself is sent."""
_OWN = frozenset({"source", "id", "position", "item"})
# `record.source` and its like are the record's own fields of the names that mean something else in a mapping
LookupTable = Mapping[tuple[str, str], Mapping[str, str | None]]


@dataclass(frozen=True)
class Row:
    """What a record (or one element of it) becomes: canonical texts in the order of the columns."""

    source: str | None
    id: str
    position: int | None
    order: int
    recency: str | None
    values: tuple[str | None, ...]
    nulls: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Left:
    """A record that makes no row: `rule` 'filtered', or the first rule it breaks with its column."""

    source: str | None
    id: str | None
    position: int | None
    rule: str
    column: str | None = None


@dataclass
class Evaluator:
    """One dataset's mapping, ready to run. `unverifiable` names columns that are left out, and why."""

    rules: DatasetRules
    conventions: Conventions
    lookups: Mapping[str, LookupTable]
    columns: tuple[str, ...] = ()
    unverifiable: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compiles the mapping. Raises Unverifiable where the dataset as a whole cannot be worked out."""
        self._zones = dict(self.conventions.timezones)
        self._readers: dict[str, Reader] = {}
        self._where = compile_expression(self.rules.where, self._reader) if self.rules.where else None
        self._order_by = [field_reader(name) for name in self.rules.order_by]
        self._asked = {name: (self._reader(rule.source), [self._reader(i) for i in rule.ids])
                       for name, rule in self.rules.lookups.items()}  # fmt: skip
        compiled = {name: self._compile(rule) for name, rule in self.rules.columns.items()}
        self._columns = {name: run for name, run in compiled.items() if run is not None}
        self.columns = tuple(self._columns)
        blocked = [*self.rules.doubts, *(name for name in self.rules.key if name not in self._columns)]
        if blocked:
            raise Unverifiable(f"{blocked[0]}: {self.unverifiable.get(blocked[0], 'not known to the verifier')}")

    def rows(self, record: Record) -> Iterator[Row | Left]:
        """What becomes of a record: one entry for itself, or one per element of its list."""
        if not record.id:
            yield Left(record.source, record.id, None, "id_missing", "id")
            return
        if self.rules.each is None:
            yield self._row(record)
            return
        text = field_reader(self.rules.each)(record)
        if text is None or text in {"", "[]", "{}"}:
            return
        found = elements(text)
        if found is None:
            yield Left(record.source, record.id, None, "each_not_a_list", self.rules.each)
            return
        for place, element in enumerate(found, 1):
            yield self._row(record.at(place, element))

    def standing_at(self, record: Record, position: int | None) -> Record:
        """The record at one element of its list, with what it looks up found."""
        if position is not None and self.rules.each is not None:
            found = elements(field_reader(self.rules.each)(record) or "") or []
            record = record.at(position, found[position - 1])
        self._look_up(record)
        return record

    def readers_of(self, rule: ColumnRule) -> list[Reader]:
        """What a column starts from. Raises Unverifiable."""
        return self._lanes(rule)

    def zone_of(self, record: Record) -> str:
        """The zone of a record's naive times."""
        return self._zones.get(record.source or "", self._zones.get("*", "UTC"))

    def _row(self, record: Record) -> Row | Left:
        orphan = self._look_up(record)
        if self._where is not None and self._where(record) is not True:
            return Left(record.source, record.id, record.position, "filtered")
        if orphan is not None:
            return Left(record.source, record.id, record.position, "orphan", orphan)
        zone = self.zone_of(record)
        values: list[str | None] = []
        nulls: set[int] = set()
        for name, run in self._columns.items():
            try:
                value, sends_null = run(record, zone)
            except Broken as broken:
                return Left(record.source, record.id, record.position, broken.rule, name)
            except Unverifiable as doubt:
                self.unverifiable[name] = str(doubt)
                value, sends_null = None, False
            if sends_null:
                nulls.add(len(values))
            values.append(value)
        recency = self._recency(record, zone)
        return Row(
            record.source, record.id or "", record.position, record.order, recency, tuple(values), frozenset(nulls)
        )

    def _look_up(self, record: Record) -> str | None:
        """Finds what the record looks up; gives the name of a look-up that rejects it."""
        rejected = None
        for name, (source, ids) in self._asked.items():
            wanted = next((text for text in (read(record) for read in ids) if text), None)
            found = _find(self.lookups[name], source(record), wanted, self.conventions.source_aliases)
            record.found[name] = found
            if found is None and wanted is not None and self.rules.lookups[name].rejects and rejected is None:
                rejected = name
        return rejected

    def _recency(self, record: Record, zone: str) -> str | None:
        for read in self._order_by:
            text = read(record)
            found = read_recency(text, zone) if text else None
            if found is not None:
                return found
        return None

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
        if name == "id":
            return lambda record: record.id
        if dot and head in self.rules.lookups:
            return lambda record: (record.found.get(head) or {}).get(tail)
        if self.rules.each is not None and name == "position":
            return lambda record: str(record.position)
        if self.rules.each is not None and (name == "item" or name.startswith("item.")):
            return element_reader(name)
        return field_reader(name)

    def _compile(self, rule: ColumnRule) -> Callable[[Record, str], Found] | None:
        try:
            if rule.unknown:
                raise Unverifiable(f"key {rule.unknown[0]!r}")
            return _column(rule, self._lanes(rule), self.conventions.float_digits, self.rules.key)
        except Unverifiable as doubt:
            self.unverifiable[rule.name] = str(doubt)
            return None

    def _lanes(self, rule: ColumnRule) -> list[Reader]:
        """The texts a column starts from: several for a consent with several fields, which must all be heard."""
        if rule.sql is not None:
            expression = compile_expression(rule.sql, self._reader)
            heard = [self._reader(name) for name in fields_of(rule.sql)] if rule.consent else []

            def evaluate(record: Record) -> str | None:
                text = text_of(expression(record))
                silent = rule.consent and not any(read(record) for read in heard)
                return None if silent else text

            return [evaluate]
        if rule.value is not None:
            constant = rule.value
            return [lambda _record: constant]
        readers = [self._reader(name) for name in rule.fields]
        return readers if rule.consent else [_first_filled(readers)]


def _first_filled(readers: list[Reader]) -> Reader:
    if len(readers) == 1:
        return readers[0]
    return lambda record: next((text for text in (read(record) for read in readers) if text), None)


def _find(
    table: LookupTable, source: str | None, id_: str | None, aliases: Mapping[str, str]
) -> Mapping[str, str | None] | None:
    if source is None or id_ is None:
        return None
    found = table.get((source, id_))
    if found is None and aliases:
        found = table.get((f"\0{aliases.get(source, source)}", id_))
    return found


def _column(
    rule: ColumnRule, lanes: list[Reader], float_digits: str, key: tuple[str, ...]
) -> Callable[[Record, str], Found]:
    """A column from its texts to its value. The function it gives raises Broken where the record is rejected."""
    run = _lane(rule, float_digits)
    missing = "required_missing" if rule.required else "key_missing" if rule.name in key else None

    def compute(record: Record, zone: str) -> Found:
        heard = [run(read(record) or None, zone) for read in lanes]
        value, broken = (heard[0].value, heard[0].rule) if len(heard) == 1 else _strictest(heard)
        if broken is not None and (rule.on_invalid == "reject" or missing or broken == "unlisted_value"):
            raise Broken(broken)
        if missing and value is None:
            raise Broken(missing)
        if value is not None:
            return value, False
        if broken is not None:
            return None, rule.on_invalid == "null"
        said_nothing = all(not lane.said for lane in heard)
        return None, rule.sends_null and said_nothing

    return compute


@dataclass(frozen=True)
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
