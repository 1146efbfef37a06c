"""A case worked out by the planner and by the verifier, and every difference between the two."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from migrate.mapping.files import read_mappings
from migrate.mapping.model import Mapping as PlannersMapping
from migrate.mapping.source_rows import DISCARDED_IDENTITY
from migrate.mapping.transform import Settings
from migrate.mapping.types import payloads
from migrate.plan.dataset import Final, finish_dataset
from migrate.plan.delta import Lookups, lookups_of
from migrate.plan.rows import Way, map_files
from migrate.snapshot.corrections import Change, corrected_raw
from migrate.snapshot.records import add_fields, identify_page
from migrate.source.resources import RESOURCES
from migrate.verify import expected
from migrate.verify.corrected import corrected_raw as corrected_by_verifier
from migrate.verify.evaluate import Evaluator
from migrate.verify.expected import Expected, FileRecords, Scope, expect_files
from migrate.verify.lookup import LookupTable, looked_up_columns
from migrate.verify.rules import ColumnRule, Conventions, DatasetRules, read_rules

from .losses import ORDER_BY, Made, Record, count_losses, is_counted
from .surroundings import Surroundings

Row = dict[str, str | None]
WHO = ("_source", "_id", "_position")


@dataclass
class Outcome:
    """What became of a dataset's records: sent columns by key, what was left out and why, what went into what."""

    sent: dict[str, Row]
    left: Counter[tuple[Any, ...]]
    losers: set[tuple[Any, ...]]
    read: int
    filtered: int
    losses: dict[str, Counter[str]]


@dataclass(frozen=True)
class Case:
    """Records by resource under a folder of mapping files. `changes`: by resource and place what is put right."""

    folder: Path
    records: Mapping[str, list[bytes]]
    around: Surroundings
    changes: Mapping[str, Mapping[int, Sequence[Change]]] = field(default_factory=dict)


class Records:
    """Records as a plan reads them from a snapshot: their columns, and from their JSON what has none."""

    touched_from = 0

    def __init__(self, resource: str, raws: list[bytes]) -> None:
        page = add_fields(identify_page(1, raws, RESOURCES[resource].fields)).frame
        self.frame = page.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("_position"))
        self.columns = tuple(self.frame.columns)

    def frames(self, fields: list[str], *, raw: object = True) -> Iterator[pl.DataFrame]:
        """All of them, with these fields."""
        del raw
        own = ["_source", "_id", "_page", "_raw", "_position"]
        yield self.frame.select(*own, *(name for name in fields if name not in own))


def corrected(
    case: Case, resource: str, patch: Callable[[str, Sequence[Change]], str]
) -> list[bytes]:
    """The records of a resource with what is put right in them, by the hand of either side."""
    raws = list(case.records[resource])
    for place, changes in case.changes.get(resource, {}).items():
        raws[place] = patch(raws[place].decode(), changes).encode()
    return raws


def planned(case: Case) -> Iterator[tuple[PlannersMapping, Outcome, Final]]:
    """What the planner makes of each dataset, looked-up ones first. Raises MappingError where it refuses a file."""
    around = case.around
    settings = Settings(around.timezones, around.aliases, around.float_digits, around.project)
    discarded = pl.DataFrame(
        sorted(around.discarded, key=str), schema=DISCARDED_IDENTITY, orient="row"
    )
    mappings = read_mappings(case.folder)
    tables: dict[str, Lookups] = {}

    def file_of(part: PlannersMapping) -> tuple[Any, Way]:
        looked_up = {
            name: tables[rule.dataset].of(mappings[rule.dataset].part_of(rule.resource).resource)
            for name, rule in part.lookups.items()
        }
        now = {name: table.now for name, table in looked_up.items()}
        way = Way(part, now, settings, around.batch_bytes, discarded=discarded)
        return Records(part.resource, corrected(case, part.resource, corrected_raw)), way

    for dataset, mapping in mappings.items():
        spill = case.folder / "spill" / dataset
        files = [file_of(part) for part in mapping.parts]
        mapped = map_files(mapping, files, spill, lambda _records: None)
        final = finish_dataset(mapping, mapped, spill, around.batch_bytes)
        columns = list(mapping.columns)
        tables[dataset] = lookups_of(mapping, final.gathered, mapped, None, columns)
        yield mapping, _of_plan(mapping, final), final


def _of_plan(mapping: PlannersMapping, final: Final) -> Outcome:
    frame = pl.concat(list(final.gathered.rows.frames()), how="vertical")
    bodies = [json.loads(body, parse_float=str, parse_int=str) for body in payloads(mapping, frame)]
    sent = {key: _as_text(body) for key, body in zip(frame["_key"], bodies, strict=True)}
    assert len(sent) == frame.height, "a key of the planner's stands twice"
    left: Counter[tuple[Any, ...]] = Counter()
    who = ("resource", "source", "id", "position")
    for rejected in final.mapped.rejected.frames():
        left.update(rejected.select(*who, "rule", "column").iter_rows())
    aside = final.mapped.set_aside.select(
        "resource", "_source", "_id", "_element", "bucket", "lookup"
    )
    # why a discarded record would have been rejected is told by nobody
    left.update((*row[:5], row[5] if row[4] == "waiting" else None) for row in aside.iter_rows())
    large = final.gathered.large.select(*who, "rule").iter_rows()
    left.update((*row, None) for row in large)
    losers = set()
    for lost in final.gathered.losers.frames():
        losers.update(lost.select("key", *who).iter_rows())
    tally = final.mapped.tally
    losses = {name: Counter(lost) for name, lost in tally.losses.items()}
    return Outcome(sent, left, losers, tally.read, tally.filtered, losses)


def _as_text(body: dict[str, Any]) -> Row:
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in body.items()
    }


def verified(case: Case) -> Iterator[tuple[DatasetRules, Outcome, Expected]]:
    """What the verifier expects of each dataset, looked-up ones first."""
    around = case.around
    conventions = Conventions(
        around.timezones, around.aliases, around.float_digits, around.project, around.batch_bytes
    )
    every = read_rules(case.folder)
    tables: dict[tuple[str, str, str], LookupTable] = {}

    def records_of(part: DatasetRules) -> FileRecords:
        lookups = {name: tables[part.dataset, part.resource, name] for name in part.lookups}
        raws = corrected(case, part.resource, corrected_by_verifier)
        frame = Records(part.resource, raws).frame
        return FileRecords([frame], lookups, discarded=around.discarded)

    for dataset, rules in every.items():
        files = [records_of(part) for part in rules.parts]
        with _recorded() as entries:
            made = expect_files(rules, files, conventions, lambda _n: None, Scope())
        for asking in (part for other in every.values() for part in other.parts):
            for name, lookup in asking.lookups.items():
                if lookup.dataset == dataset:
                    wanted = looked_up_columns(asking, name)
                    table = made.lookup_table(wanted, around.aliases, lookup.resource)
                    tables[asking.dataset, asking.resource, name] = table
        yield rules, _of_verifier(made, entries, case), made


Entries = dict[str, list[dict[str, Any]]]
"""What each record of a resource became."""


@contextlib.contextmanager
def _recorded() -> Iterator[Entries]:
    """All rows that the evaluators make meanwhile: the verifier itself counts those that are left out."""
    entries: Entries = {}

    class Recording(Evaluator):
        def answer(self, *given: Any, **named: Any) -> pl.DataFrame:
            made = super().answer(*given, **named)
            entries.setdefault(self.rules.resource, []).extend(made.iter_rows(named=True))
            return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expected, "Evaluator", Recording)
        yield entries


def _of_verifier(made: Expected, entries: Entries, case: Case) -> Outcome:
    resources = [part.resource for part in made.rules.parts]
    sent, losers = {}, set()
    for bucket in made.buckets():
        for row in bucket.rows.iter_rows(named=True):
            sent[row["_key"]] = _sent(made.columns, row)
        lost = bucket.losers.select("_key", "_part", "_source", "_id", "_position")
        losers.update((key, resources[part], *who) for key, part, *who in lost.iter_rows())
    left: Counter[tuple[Any, ...]] = Counter()
    for resource, entry in ((name, one) for name, every in entries.items() for one in every):
        rule = entry["_left"]
        if rule is not None and rule != "filtered":
            column = None if rule == "discarded" else entry["_left_at"]
            left[(resource, *(entry[name] for name in WHO), rule, column)] += 1
    left.update(_too_large(made, set(sent)))
    losses: dict[str, Counter[str]] = {}
    for part in made.rules.parts:
        raws = Records(part.resource, corrected(case, part.resource, corrected_by_verifier)).frame
        records = [
            Record(raw.encode(), *who)
            for raw, *who in raws.select("_raw", "_source", "_id").iter_rows()
        ]
        rows = [
            Made(*(one[name] for name in WHO), one["_recency"])
            for one in entries.get(part.resource, [])
            if one["_left"] is None
        ]
        for name, counts in count_losses(part, records, rows, case.around).items():
            losses.setdefault(name, Counter()).update(counts)
    return Outcome(sent, left, losers, made.read, made.left["filtered"], losses)


def _too_large(made: Expected, fits: set[str]) -> Iterator[tuple[Any, ...]]:
    """The rows that no request can carry: those of keys that the buckets lack, once each."""
    limit, made.batch_bytes = made.batch_bytes, 0
    for bucket in made.buckets():
        rows = bucket.rows.filter(~pl.col("_key").is_in(sorted(fits)))
        for part, *who in rows.select("_part", "_source", "_id", "_position").iter_rows():
            yield (made.rules.parts[part].resource, *who, "too_large", None)
    made.batch_bytes = limit


def _sent(columns: tuple[str, ...], row: dict[str, Any]) -> Row:
    nulls = row["_nulls"] or ""
    return {
        name: row[f"c:{name}"]
        for place, name in enumerate(columns)
        if row[f"c:{name}"] is not None or f",{place}," in nulls
    }


def differences(case: Case, look: Callable[..., None] = lambda *_: None) -> list[str]:
    """Every difference between both readings of a case. Raises MappingError where the planner refuses a file.

    `look` is shown what each side makes of a dataset.
    """
    plans = {
        mapping.dataset: (mapping, outcome, final) for mapping, outcome, final in planned(case)
    }
    found: list[str] = []
    for rules, theirs, made in verified(case):
        mapping, mine, final = plans[rules.dataset]
        found += [f"{rules.dataset}: {what}" for what in _between(rules, mine, theirs, made)]
        look(mapping, mine, final, rules, theirs, made)
        final.clear()
    return found


def _between(rules: DatasetRules, mine: Outcome, theirs: Outcome, made: Expected) -> Iterator[str]:
    for name, why in made.unverifiable.items():
        yield f"unverifiable: {name}: {why}"
    for key in sorted(mine.sent.keys() | theirs.sent.keys()):
        if key not in mine.sent or key not in theirs.sent:
            yield f"key {key!r} only of the {'planner' if key in mine.sent else 'verifier'}"
            continue
        yield from _of_row(rules, mine.sent[key], theirs.sent[key])
    for one, count in (mine.left - theirs.left).items():
        yield f"left out by the planner alone: {one} {count}: {_rule(rules, one[5])}"
    for one, count in (theirs.left - mine.left).items():
        yield f"left out by the verifier alone: {one} {count}: {_rule(rules, one[5])}"
    for one in sorted(mine.losers ^ theirs.losers, key=str):
        yield f"collapsed by the {'planner' if one in mine.losers else 'verifier'} alone: {one}"
    for name in sorted(_counted(rules) & (mine.losses.keys() | theirs.losses.keys())):
        first, second = mine.losses.get(name, Counter()), theirs.losses.get(name, Counter())
        if first != second:
            counts = f"{dict(first)} planned, {dict(second)} counted"
            yield f"{name}: losses {counts}: {_rule(rules, name)}"
    if (mine.read, mine.filtered) != (theirs.read, theirs.filtered):
        both = f"planner: {mine.read} read, {mine.filtered} filtered"
        yield f"{both}; verifier: {theirs.read}, {theirs.filtered}"


def _counted(rules: DatasetRules) -> set[str]:
    """The columns whose losses are counted here: those that are in every file that makes them."""
    makers = [(part, rule) for part in rules.parts for rule in part.columns.values()]
    left_out = {rule.name for part, rule in makers if not is_counted(part, rule)}
    return {rule.name for _, rule in makers} - left_out | {ORDER_BY}


def _of_row(rules: DatasetRules, mine: Row, theirs: Row) -> Iterator[str]:
    for name in sorted(mine.keys() | theirs.keys()):
        if mine.get(name, "-") != theirs.get(name, "-"):
            values = f"{mine.get(name, '-')!r} planned, {theirs.get(name, '-')!r} verified"
            yield f"{name}: {values}: {_rule(rules, name)}"


def _rule(rules: DatasetRules, name: str | None) -> str:
    """A column as its files say it, without what they leave out."""
    found = [part.columns[name] for part in rules.parts if name in part.columns]
    return " and ".join(_said(rule) for rule in found)


def _said(rule: ColumnRule) -> str:
    plain = ColumnRule("", rule.type)
    values = {one.name: getattr(rule, one.name) for one in fields(rule)}
    said = {key: value for key, value in values.items() if value != getattr(plain, key)}
    return str(said | {"type": rule.type})
