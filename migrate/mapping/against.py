"""A mapping held against a snapshot: what only the data can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path as File
from typing import Literal

import polars as pl

from migrate.language.yaml_text import Path, read_yaml
from migrate.mapping.checks import problem_at
from migrate.mapping.fields import (
    column_of,
    named_uses,
    needed_fields,
    record_names,
    unused_element_fields,
    unused_fields,
)
from migrate.mapping.formats import compile_format, read_format
from migrate.mapping.messages import suggest
from migrate.mapping.model import Mapping
from migrate.mapping.recency import KNOWN_FORMATS
from migrate.mapping.rules import BROKEN_VALUES, LOSSES
from migrate.mapping.trial import Contradiction, Trial
from migrate.plain_file import read_plain

Level = Literal["problem", "warning"]
Mask = Callable[[str, str], str]
"""A text that shows a value of a column and names nobody."""
Found = Iterator[tuple[int, Path, str]]
"""How harmful (the least number is the worst), where, and what."""
PROBLEM, LOST_ROWS, LOST_COLUMN, LOST_VALUES, LEFT_OVER, ABSENT = range(6)
_NEARLY_ALL = 0.99
_MOST_LINES = 3
_MOST_SAID = 10
_SAID_BY_MANY = 5
_MOST_LEFT_OVER = 10


@dataclass(frozen=True)
class SnapshotFindings:
    """What a snapshot shows of one resource: its fields, its sources, and of each field the share of records with a
    value (at least of those that no mapping uses); of the fields inside list elements those that no mapping uses."""

    fields: Collection[str]
    sources: Collection[str]
    filled: Dict[str, float]
    unused_elements: Dict[str, float] = field(default_factory=dict)
    uncolumned: Sequence[str] = ()


@dataclass(frozen=True)
class Remark:
    """One thing about a mapping and a snapshot, as `file:line:column: what`. A problem fails a check."""

    level: Level
    text: str
    harm: int = LEFT_OVER


def look_at(
    fields: Collection[str],
    read: Callable[[Collection[str]], Iterator[pl.DataFrame]],
    mappings: Sequence[Mapping],
    uncolumned: Sequence[str] = (),
) -> SnapshotFindings:
    """What a resource's rows show, as far as it matters to its mappings.

    `read` gives the rows with some fields; `uncolumned` says what of them has no column.
    """
    unused = unused_fields(fields, mappings)
    needed = set(chain.from_iterable(map(needed_fields, mappings)))
    # A field that is named without having a column may stand in the records all the same.
    without_column = sorted(needed - set(fields))
    counted = [*unused, *without_column]
    has_value = pl.col(counted).fill_null("") != ""
    rows = 0
    filled = Counter[str]()
    sources = set[str]()
    for frame in read(counted):
        rows += frame.height
        sources |= set(frame["_source"].fill_null("").unique())
        if counted:
            filled.update(frame.select(has_value.sum()).row(0, named=True))
    shares = {name: filled[name] / max(rows, 1) for name in unused}
    shown = [*fields, *(name for name in without_column if filled[name])]
    elements = unused_element_fields(shown, read, mappings)
    return SnapshotFindings(shown, sources, shares, elements, tuple(uncolumned))


def check_against(
    mapping: Mapping,
    shown: SnapshotFindings,
    same_resource: Sequence[Mapping],
    trial: Trial | None = None,
    mask: Mask = lambda _text, _column: "…",
    contradicted: Sequence[Contradiction] = (),
) -> list[Remark]:
    """What a snapshot says against a mapping, the most harmful first; its file is read again for the places.

    `same_resource` are all mappings of the resource: a field that another one uses is no unused field. `trial`: what
    the mapping made of the snapshot's records; `mask` shows a value of a record by its column.
    """
    file = File(mapping.file)
    document = read_yaml(read_plain(file))
    whats = [*_check_contradicted(contradicted), *_check_sources(mapping, shown)]
    whats += _check_unused(mapping, shown, same_resource)
    whats += _check_absent(mapping, shown, same_resource)
    if trial is not None and trial.rows:
        whats += _TrialCheck(mapping, trial, mask).all()
    if mapping is same_resource[0]:  # told once for the resource
        whats += [(LEFT_OVER, ("resource",), sentence) for sentence in shown.uncolumned]
    remarks = []
    for harm, path, what in whats:
        # The place of the problem in the words of an editor, so that a click leads there.
        problem = problem_at(document, path, what)
        line, column = problem.place.line, problem.place.column
        level: Level = "problem" if harm == PROBLEM else "warning"
        text = f"{file.name}:{line}:{column}: {problem.what}"
        remarks.append((harm, line, column, Remark(level, text, harm)))
    remarks.sort(key=lambda entry: entry[:3])
    return [remark for *_, remark in remarks]


class _TrialCheck:
    """What went wrong when a mapping was tried out on all records."""

    def __init__(self, mapping: Mapping, trial: Trial, mask: Mask) -> None:
        self._mapping = mapping
        self._trial = trial
        self._mask = mask

    def all(self) -> Found:
        """Each thing, look-ups and keys first."""
        yield from self._check_lookups()
        yield from self._check_nobody()
        yield from self._check_rules()
        yield from self._check_losses()
        trial = self._trial
        for name in self._mapping.columns:
            if trial.said[name] and not trial.filled[name]:
                what = f"nothing fills it: none of {trial.said[name]:,} values can be read"
                yield LOST_COLUMN, ("columns", name), what

    def _check_lookups(self) -> Found:
        """Rows whose look-up finds nobody, and rows that wait for what another file rejects."""
        trial = self._trial
        for name, count in trial.orphans.most_common():
            if not count:
                continue
            finds = f"finds nothing for {count:,} of {trial.asked[name]:,} ids"
            path = ("lookups", name)
            if self._mapping.lookups[name].on_orphan == "reject":
                yield LOST_ROWS, path, f"{finds}; those rows are rejected (orphan)"
                continue
            # Some ids that find nobody are any shop's guests; when none finds anybody the look-up is wrong.
            if count == trial.asked[name]:
                harm = LOST_COLUMN
            else:
                harm = LEFT_OVER
            yield harm, path, f"{finds}; those rows are kept without its columns"
        if trial.waiting:
            what = (
                f"{trial.waiting:,} rows wait for a record that is rejected where it is looked up"
            )
            yield LOST_ROWS, ("lookups",), f"{what}; they are not loaded before it"
        for name in trial.blind:
            project = self._mapping.lookups[name].project
            what = "no file makes what it looks up, so its columns were not tried"
            if project is not None:
                what = (
                    f"only a plan looks it up in project {project}, so its columns were not tried"
                )
            yield LEFT_OVER, ("lookups", name), what

    def _check_nobody(self) -> Found:
        """Keys that stand for nobody, of several rows each: those rows become one, which cannot be undone."""
        shared = {key: rows for key, rows in self._trial.nobody.items() if rows > 1}
        if not shared:
            return
        largest = sorted(shared, key=lambda key: (-shared[key], key))[:_MOST_LINES]
        named = ", ".join(f"{self._readable(key)} ({shared[key]:,} rows)" for key in largest)
        if len(shared) > len(largest):
            named += f" and {len(shared) - len(largest):,} more"
        what = f"{sum(shared.values()):,} rows have a key that stands for nobody: {named}"
        yield LOST_ROWS, ("key",), f"{what}; the rows of each become one; leave them out by `where`"

    def _readable(self, key: str) -> str:
        """A key that stands for nobody as it is, but for a domain, or other columns, that may be somebody's."""
        if key.startswith("["):
            return self._mask(key, "")
        name, at, domain = key.partition("@")
        return f"{name}{at}{self._mask(domain, '')}" if at else key

    def _check_rules(self) -> Found:
        """The rows that are rejected, by the rule they break."""
        rows = self._trial.rows
        for (name, rule), count in self._trial.rules.most_common():
            if name not in self._mapping.columns:
                # Such rows went before the columns were tried, so they are not among the trial's.
                what = f"{count:,} of {rows + count:,} rows break {rule}"
                yield LOST_ROWS, _place_of_rule(name, rule), what
                continue
            path = ("columns", name)
            if rule == "key_missing":
                missing = "the key is missing"
            elif rule == "required_missing":
                missing = "a required column is missing"
            else:
                broken = self._say_broken(name, rule, count)
                yield LOST_ROWS, path, f"{broken}; those rows are rejected"
                continue
            yield LOST_ROWS, path, f"{missing} in {count:,} of {rows:,} rows, which are rejected"

    def _check_losses(self) -> Found:
        """The values that are lost while their rows stay."""
        trial = self._trial
        for (name, loss), count in trial.losses.most_common():
            if not count:
                continue
            path = ("columns", name)
            if loss in {"consent_unlisted", "consent_withheld"}:
                answers = self._common_answers(name) or self._examples(name, loss)
                of = f"{count:,} of {trial.said[name]:,} answers"
                yield LOST_VALUES, path, f"{of} give no consent ({loss}){answers}"
            elif loss in BROKEN_VALUES:
                yield LOST_VALUES, path, self._say_broken(name, loss, count)

    def _say_broken(self, name: str, rule: str, count: int) -> str:
        """How many values a column reads, examples of those it does not, and for times the format that would."""
        said = self._trial.said[name]
        if rule in BROKEN_VALUES:
            lost = "1 is lost" if count == 1 else f"{count:,} are lost"
            readable = said - self._count_broken(name)
            words = f"reads {readable:,} of {said:,} values; {lost}: {LOSSES[rule]} ({rule})"
        else:
            broken = "1 breaks" if count == 1 else f"{count:,} break"
            words = f"reads {said - count:,} of {said:,} values; {broken} {rule}"
        words += self._examples(name, rule)
        fitting = self._fitting_format(name, rule)
        if fitting is None:
            return words
        return f"{words}; `format: '{fitting}'` reads those"

    def _count_broken(self, name: str) -> int:
        """The values of a column that are left out or nulled for any rule."""
        broken = 0
        for (column, loss), rows in self._trial.losses.items():
            if column == name and loss in BROKEN_VALUES:
                broken += rows
        return broken

    def _fitting_format(self, name: str, rule: str) -> str | None:
        """The format by which the examples of what a column of times does not read can be read."""
        texts = pl.Series(self._trial.examples.get((name, rule), []), dtype=pl.String)
        if self._mapping.columns[name].type not in {"date", "datetime"} or texts.is_empty():
            return None
        # One pass sorts out what looks otherwise: to read with each of some hundred formats takes a second.
        looks = (
            texts.rename("t")
            .to_frame()
            .select(
                pl.col("t").str.contains(compile_format(spelling).pattern).all().alias(spelling)
                for spelling in KNOWN_FORMATS
            )
        )
        for spelling, looks_so in looks.row(0, named=True).items():
            if looks_so and not read_format(texts, spelling)["local"].null_count():
                return spelling
        return None

    def _examples(self, name: str, rule: str) -> str:
        texts = self._trial.examples.get((name, rule), [])
        shown = ", ".join(self._mask(text[:60], name) for text in texts)
        return f" (as {shown})" if shown else ""

    def _common_answers(self, name: str) -> str:
        """The answers that several rows give: what so many say is a word of the shop's, and nobody's own."""
        answers = self._trial.answers.get(name, Counter[str]())
        common = []
        for text, rows in answers.most_common(_MOST_SAID):
            if rows >= _SAID_BY_MANY:
                common.append(f"{text[:40]!r} ({rows:,})")
        if not common:
            return ""
        return f": {', '.join(common)}; list those that mean yes or no under `values`"


def _place_of_rule(name: str, rule: str) -> Path:
    if rule in {"each_not_a_list", "empty_element"}:
        return ("each",)
    return (name,) if name in {"where", "each"} else ("resource",)


def _check_contradicted(contradicted: Sequence[Contradiction]) -> Found:
    for one in contradicted:
        yield PROBLEM, ("columns", one.column, "apply"), one.says()


def _check_sources(mapping: Mapping, shown: SnapshotFindings) -> Found:
    for index, source in enumerate(mapping.collapse.source_order):
        if source not in shown.sources:
            what = f"no record of {mapping.resource} is of source {source!r}"
            hint = suggest(source, shown.sources)
            yield PROBLEM, ("collapse", "source_order", index), f"{what}{hint}"


def _check_unused(
    mapping: Mapping, shown: SnapshotFindings, same_resource: Sequence[Mapping]
) -> Found:
    """Fields that nobody maps: each by itself while they are few, else all in one line."""
    fails = mapping.unmapped == "fail"
    if not fails and mapping is not same_resource[0]:
        return  # told once for the resource
    shares = {**shown.filled, **shown.unused_elements}
    names = [*unused_fields(shown.fields, same_resource), *shown.unused_elements]
    # What nearly every record has is more likely forgotten than what a few have.
    full = [name for name in names if shares.get(name, 0) >= _NEARLY_ALL]
    others = [name for name in names if name not in full]
    path = ("unmapped",)
    if len(full) > _MOST_LEFT_OVER:
        count = f"{len(full)} fields that nearly all records have"
        what = f"no mapping uses {count} nor names them under `ignore`: {', '.join(full)}"
        yield PROBLEM if fails else LOST_COLUMN, path, what
    else:
        for name in full:
            yield PROBLEM if fails else LOST_COLUMN, path, _say_unused(name, shares)
    if len(others) > _MOST_LEFT_OVER:
        others.sort(key=lambda name: -shares.get(name, 0))
        listed = ", ".join(f"{name} ({shares[name]:.0%})" for name in others)
        what = f"no mapping uses {len(others)} fields that some records have: {listed}"
        yield PROBLEM if fails else LEFT_OVER, path, what
    else:
        for name in others:
            yield PROBLEM if fails else LEFT_OVER, path, _say_unused(name, shares)


def _say_unused(name: str, shares: Dict[str, float]) -> str:
    if name in shares:
        filled = f" ({shares[name]:.0%} filled)"
    else:
        filled = ""
    return f"no mapping uses the field {name!r}{filled} nor names it under `ignore`"


def _check_absent(
    mapping: Mapping, shown: SnapshotFindings, same_resource: Sequence[Mapping]
) -> Found:
    """Uses of which no field is there: of several fields to choose from, one is enough.

    A name near one that is there and that nobody uses is a slip; a field that a shop simply lacks is not.
    """
    unused = unused_fields(shown.fields, same_resource)
    lacking: list[tuple[Path, str]] = []
    for path, names in _absent_uses(mapping, shown.fields):
        # Told of the column as a whole: of `from` and `sql` alike.
        place = path[:2] if path[0] == "columns" else path
        what = f"the snapshot never shows {' nor '.join(names)}"
        hints = filter(None, (suggest(name, unused) for name in names))
        meant = next(hints, "")
        if meant:
            yield LOST_COLUMN, place, f"nothing fills it: {what}{meant}"
        else:
            lacking.append((place, what))
    if mapping.each is not None and mapping.each not in shown.fields:
        hint = suggest(mapping.each, shown.fields)
        yield LOST_COLUMN, ("each",), f"the snapshot never shows {mapping.each}{hint}"
    if len(lacking) <= _MOST_LINES:
        for place, what in lacking:
            yield ABSENT, place, what
        return
    columns = dict.fromkeys(str(place[:2][-1]) for place, _ in lacking)
    what = f"the snapshot has no field for {len(lacking)} of them: {', '.join(columns)}"
    yield ABSENT, ("columns",), what


def _absent_uses(mapping: Mapping, fields: Collection[str]) -> Iterator[tuple[Path, list[str]]]:
    """Where the mapping names fields of the record of which the snapshot shows none, with those names."""
    of_record = record_names(mapping)
    uses: dict[Path, list[str]] = {}
    for place, name in named_uses(mapping):
        uses.setdefault(place, []).append(name)
    for path, names in uses.items():
        # Beside a name of an element, a look-up or the record's place there is always something to read.
        is_all_of_record = all(name in of_record for name in names)
        if is_all_of_record and not any(column_of(name) in fields for name in names):
            yield path, names
