"""Mappings tried out on all of a snapshot's records: what their columns make of them, and what goes wrong, counted.

Look-ups find what the plan would let them find, but for rows of one key: each record leads to its own row here.

Before any value is read all of a field's values are asked whether they contradict how the column reads its numbers.
`decimal_comma: or_point` takes 1.299 as it stands, a little more than one. Where another value of the field shows
that a point stands between thousands, it is 1299, and every such row would go out a thousand times too small.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from migrate.errors import MappingError
from migrate.mapping.columns import Computed
from migrate.mapping.each import read_elements
from migrate.mapping.fields import column_of, lookup_columns, lookup_of, needed_fields, sql_names
from migrate.mapping.files import by_dataset, dependency_order
from migrate.mapping.mapped import lookup_ids
from migrate.mapping.model import Mapping
from migrate.mapping.source_rows import WITHHELD, gather_frames
from migrate.mapping.texts import NOBODY
from migrate.mapping.transform import Settings, WorkedRows, lookup_tables, work_out
from migrate.mapping.types import keys

_EXAMPLES = 3
_LOOKED_AT = 50
_MOST_ANSWERS = 1_000
UNLISTED = frozenset(("unlisted", "consent_unlisted"))
"""Losses of a text that is not listed under `values`."""

ReadResource = Callable[[str, Collection[str]], Iterable[pl.DataFrame]]
"""Gives the rows of a resource with some of its fields; nothing where the snapshot lacks the resource."""
Made = dict[tuple[str, str], pl.DataFrame]
"""By dataset and resource what is looked up of its records."""


@dataclass
class Trial:
    """What became of the rows: of each column how many have a value, which rules break and what gets lost.

    `examples`: by column and rule or loss, the first few different texts as sent, not masked. `orphans` and `asked`: by
    look-up the ids that find nobody, and all that are there. `nobody`: by key the accepted rows of it, of keys that
    stand for nobody. `answers`: by column, texts that are not listed under `values`, and how many rows say each.
    `blind`: look-ups that could not be made. Units: rows, `records` records.
    """

    records: int = 0
    rows: int = 0
    waiting: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)
    losses: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    orphans: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    nobody: Counter[str] = field(default_factory=Counter)
    answers: dict[str, Counter[str]] = field(default_factory=dict)
    blind: Collection[str] = ()


def try_all(
    mappings: Sequence[Mapping],
    files: Collection[str],
    read: ReadResource,
    settings: Settings,
    tick: Callable[[int], None] = lambda _records: None,
) -> dict[str, Trial]:
    """What became of all records under the mappings of some `files`, by file, the looked-up ones first.

    `mappings` are all that is known: those that the files look up are tried as well. What is wrong is not tried: a
    column, or a file of which no row can be told. `tick` is told the records as they are read. Memory beside one part
    of the rows is that of the columns which are looked up.
    """
    sound = [triable for mapping in mappings if (triable := mapping.triable) is not None]
    datasets = by_dataset(sound)
    ordered = dependency_order(datasets)
    wanted = {mapping.dataset for mapping in sound if mapping.file in files}
    for name in reversed(ordered):
        if name in wanted:
            wanted |= datasets[name].looked_up
    # What stands in a circle comes last: its look-ups find nothing.
    in_circles = [name for name in datasets if name not in ordered]
    made: Made = {}
    trials: dict[str, Trial] = {}
    for name in (*ordered, *in_circles):
        for part in datasets[name].parts if name in wanted else ():
            asked = _asked_of(part, sound, datasets)
            if part.file not in files and asked is None:
                continue
            frames = gather_frames(read(part.resource, needed_fields(part)))
            tryout = _Tryout(part, _tables(part, datasets, made), settings, asked)
            for frame in frames:
                tryout.take(frame)
                tick(frame.height)
            # A look-up that asks for a column which could not be tried is blind, and says so.
            if asked and asked <= part.columns.keys():
                made[name, part.resource] = tryout.found_by_lookups()
            trials[part.file] = tryout.trial
    return trials


class _Tryout:
    """One file tried on its records, some at a time. `asked`: the columns that other files look up of them."""

    def __init__(
        self,
        mapping: Mapping,
        lookups: Dict[str, pl.DataFrame | None],
        settings: Settings,
        asked: Collection[str] | None,
    ) -> None:
        self._mapping = mapping
        self._settings = settings
        self._asked = asked
        blind = [name for name, table in lookups.items() if table is None]
        self.trial = Trial(blind=blind)
        frames = {}
        for name, table in lookups.items():
            frames[name] = _no_rows(mapping, name) if table is None else table
        self._tables = lookup_tables(mapping, frames, settings)
        self._columns = [name for name in mapping.columns if not _is_blind(mapping, name, blind)]
        nobody = pl.DataFrame(schema={"source": pl.String, "id": pl.String, WITHHELD: pl.Boolean})
        self._looked_up = [nobody]

    def take(self, frame: pl.DataFrame) -> None:
        """Tries some records, and counts what becomes of them."""
        trial = self.trial
        worked = work_out(self._mapping, frame, self._tables, self._settings)
        trial.records += frame.height
        trial.rows += worked.rows.height
        trial.waiting += worked.set_aside.height
        for name in self._columns:
            _count_column(trial, name, worked.computed[name])
        for rejects in worked.early:
            for rule, column in rejects.select("rule", "column").iter_rows():
                trial.rules[str(column), str(rule)] += 1
        _count_lookups(trial, self._mapping, worked)
        _count_nobody(trial, self._mapping, worked)
        if self._asked is not None:
            columns = [name for name in self._asked if name in self._mapping.columns]
            self._looked_up.append(_as_looked_up(worked, columns))

    def found_by_lookups(self) -> pl.DataFrame:
        """What other files look up of the records tried so far."""
        return pl.concat(self._looked_up, how="diagonal")


def _count_column(trial: Trial, name: str, computed: Computed) -> None:
    origin, rules = computed.origin, computed.rule
    trial.filled[name] += len(computed.value) - computed.value.null_count()
    trial.said[name] += len(origin) - origin.null_count()
    if rules.null_count() < len(rules):
        for rule, count in rules.drop_nulls().value_counts().iter_rows():
            trial.rules[name, rule] += count
            _keep_examples(trial, (name, rule), origin.filter((rules == rule).fill_null(False)))
    for loss, lost in computed.losses.items():
        trial.losses[name, loss] += int(lost.sum())
        lost_texts = origin.filter(lost.fill_null(value=False))
        if loss in UNLISTED:
            _count_answers(trial, name, lost_texts)
        _keep_examples(trial, (name, loss), lost_texts)


def _asked_of(
    part: Mapping, mappings: Sequence[Mapping], datasets: Dict[str, Mapping]
) -> set[str] | None:
    """The columns that look-ups read of a file's rows; None where nobody looks them up."""
    asked: set[str] | None = None
    for mapping in mappings:
        columns = lookup_columns(mapping)
        for name, lookup in mapping.lookups.items():
            is_here = lookup.dataset == part.dataset and lookup.project is None
            if is_here and datasets[part.dataset].part_of(lookup.resource) is part:
                asked = (asked or set()) | columns[name]
    return asked


def _tables(
    part: Mapping, datasets: Dict[str, Mapping], made: Made
) -> dict[str, pl.DataFrame | None]:
    """The frames of a file's look-ups, None where the dataset is not there to look at."""
    tables: dict[str, pl.DataFrame | None] = {}
    for name, lookup in part.lookups.items():
        if lookup.project is None:
            other = datasets.get(lookup.dataset)
        else:
            other = None
        resource = other.part_of(lookup.resource).resource if other else ""
        tables[name] = None if other is None else made.get((lookup.dataset, resource))
    return tables


def _count_answers(trial: Trial, name: str, texts: pl.Series) -> None:
    counts = trial.answers.setdefault(name, Counter())
    for text, rows in texts.drop_nulls().rename("t").value_counts().iter_rows():
        # Bounded: free text under a consent's name would else be kept as a whole.
        if text in counts or len(counts) < _MOST_ANSWERS:
            counts[text] += rows


def _keep_examples(trial: Trial, key: tuple[str, str], texts: pl.Series) -> None:
    examples = trial.examples.setdefault(key, [])
    if len(examples) >= _EXAMPLES:
        return
    few = texts.head(_LOOKED_AT).drop_nulls()
    for text in few.unique(maintain_order=True):
        if len(examples) < _EXAMPLES and text not in examples:
            examples.append(text)


def _count_lookups(trial: Trial, mapping: Mapping, worked: WorkedRows) -> None:
    for name, lookup in mapping.lookups.items():
        if name not in trial.blind:
            ids = lookup_ids(lookup, worked.rows)
            trial.asked[name] += int((ids.fill_null("") != "").sum())
            trial.orphans[name] += worked.orphans.get(name, 0)


def _count_nobody(trial: Trial, mapping: Mapping, worked: WorkedRows) -> None:
    """Counts the accepted rows whose key stands for nobody: rows of one such key become one."""
    if not set(mapping.key) <= worked.computed.keys():
        return  # what is wrong with the key is told of the file itself
    typed = pl.DataFrame([worked.computed[name].value.alias(name) for name in mapping.key])
    is_accepted = worked.rejects["rule"].is_null()
    accepted = keys(mapping, typed).filter(is_accepted).drop_nulls()
    nobody = accepted.filter(accepted.str.contains(NOBODY)).rename("key")
    trial.nobody.update(dict(nobody.value_counts().iter_rows()))


def _as_looked_up(worked: WorkedRows, columns: Sequence[str]) -> pl.DataFrame:
    """Where records lead to: the columns of their row, or nowhere for a reason that may pass."""
    who = worked.rows.select(source="_source", id="_id")
    values = [worked.computed[name].value.alias(name) for name in columns]
    rows = who.with_columns(one for one in values if one.name not in {"source", "id"})
    is_accepted = worked.rejects["rule"].is_null()
    withheld = [part.select("_source", "_id") for part in (*worked.early, worked.set_aside)]
    withheld.append(worked.rows.filter(~is_accepted).select("_source", "_id"))
    named = pl.concat(withheld).rename({"_source": "source", "_id": "id"}).drop_nulls("id")
    marked = named.with_columns(pl.lit(value=True).alias(WITHHELD))
    return pl.concat([rows.filter(is_accepted), marked], how="diagonal")


def _no_rows(mapping: Mapping, lookup: str) -> pl.DataFrame:
    """A look-up that finds nothing."""
    used = lookup_columns(mapping)[lookup]
    return pl.DataFrame(schema=dict.fromkeys(("source", "id", *used), pl.String))


def _is_blind(mapping: Mapping, column: str, blind: Collection[str]) -> bool:
    """Whether a column comes from a look-up that could not be made."""
    rule = mapping.columns[column]
    names = (*rule.fields, *sql_names(rule.sql))
    return any(lookup_of(mapping, name) in blind for name in names)


# 1.234,5 and 1.234.567: here a point parts thousands and nothing else
_THOUSANDS = r"(^|[^0-9.,])[1-9][0-9]{0,2}(\.[0-9]{3})+,[0-9]|(^|[^0-9.,])[1-9][0-9]{0,2}(\.[0-9]{3}){2,}([^0-9.,]|$)"

# 1.299 is a little more than one, or a thousand times as much
_AMBIGUOUS_INSIDE = r"[1-9][0-9]{0,2}\.[0-9]{3}([^0-9.,]|$)"
_AMBIGUOUS = r"^\s*[-+(]?\s*" + _AMBIGUOUS_INSIDE


@dataclass(frozen=True)
class Contradiction:
    """A column whose field shows that a point stands between thousands; `count` values do, one is the example."""

    mapping: Mapping
    column: str
    field: str
    count: int

    def says(self) -> str:
        """The problem in words, with what to write instead."""
        return (
            f"{self.count:,} value{'s' if self.count > 1 else ''} of {self.field!r} show that a point stands between "
            "thousands (as in 1.234,56), so `decimal_comma: or_point` would send 1.299 a thousand times too small; "
            "write `apply: [trim, {amount: nl}]`"
        )


def find_contradictions(mappings: Iterable[Mapping], read: ReadResource) -> list[Contradiction]:
    """Every column that takes a point as it stands although its field's values say otherwise.

    Only where it matters: a field without a single number like 1.299 loses nothing by either reading.
    """
    contradictions = []
    for mapping in mappings:
        for name, column in mapping.columns.items():
            if ("decimal_comma", "or_point") not in column.calls:
                continue
            for source in column.fields:
                texts = _texts_of(mapping, source, read)
                thousands, ambiguous = _count_points(texts)
                if thousands and ambiguous:
                    contradictions.append(Contradiction(mapping, name, source, thousands))
    return contradictions


def _count_points(texts: Iterable[pl.Series]) -> tuple[int, int]:
    """How many values part thousands by a point, and how many may or may not."""
    thousands = ambiguous = 0
    for values in texts:
        thousands += int(values.str.contains(_THOUSANDS).sum())
        ambiguous += int(values.str.contains(_AMBIGUOUS).sum())
    return thousands, ambiguous


def _texts_of(mapping: Mapping, name: str, read: ReadResource) -> Iterator[pl.Series]:
    """The texts of a field, or of a field of the elements, frame by frame."""
    is_of_element = mapping.each is not None and name.startswith("item.")
    column = str(mapping.each) if is_of_element else column_of(name)
    for frame in read(mapping.resource, [column]):
        if column not in frame.columns:
            continue
        texts = frame[column].cast(pl.String)
        yield _of_elements(texts, name) if is_of_element else texts


def _of_elements(texts: pl.Series, name: str) -> pl.Series:
    # Most lists have no such number anywhere, and those need not be taken apart.
    is_suspect = texts.str.contains(_THOUSANDS) | texts.str.contains(_AMBIGUOUS_INSIDE)
    suspects = texts.filter(is_suspect.fill_null(value=False))
    if suspects.is_empty():
        return suspects
    return read_elements(suspects, [name]).values[name]


def refuse_contradicted(mappings: Iterable[Mapping], read: ReadResource) -> None:
    """Raises MappingError where a field's values contradict a column's reading of its numbers."""
    contradictions = find_contradictions(mappings, read)
    if contradictions:
        raise MappingError(
            [
                f"{Path(one.mapping.file).name}: columns.{one.column}: {one.says()}"
                for one in contradictions
            ],
            hint="correct the file, then: migrate mapping check",
        )
