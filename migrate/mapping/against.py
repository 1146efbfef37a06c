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
    named = set(chain.from_iterable(map(needed_fields, mappings)))
    # A field that is named without having a column may stand in the records all the same.
    without_column = sorted(named - set(fields))
    counted = [*unused, *without_column]
    rows, filled, sources = 0, Counter[str](), set[str]()
    for frame in read(counted):
        rows += frame.height
        sources |= set(frame["_source"].fill_null("").unique())
        has_value = pl.col(counted).fill_null("") != ""
        filled.update(frame.select(has_value.sum()).row(0, named=True) if counted else {})
    shares = {name: filled[name] / rows if rows else 0.0 for name in unused}
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
    document = read_yaml(read_plain(File(mapping.file)))
    found = []
    wrong = [(PROBLEM, ("columns", one.column, "apply"), one.says()) for one in contradicted]
    for harm, path, what in (*wrong, *_check(mapping, shown, same_resource, trial, mask)):
        place = document.place(path, of_key=len(path) == 2 and path[0] == "columns")
        text = f"{File(mapping.file).name}:{place.line}:{place.column}: {'.'.join(map(str, path))}: {what}"
        level: Level = "problem" if harm == PROBLEM else "warning"
        found.append((harm, place.line, place.column, Remark(level, text, harm)))
    return [remark for *_, remark in sorted(found, key=lambda entry: entry[:3])]


def _check(
    mapping: Mapping,
    shown: SnapshotFindings,
    same_resource: Sequence[Mapping],
    trial: Trial | None,
    mask: Mask,
) -> Found:
    yield from _check_sources(mapping, shown)
    yield from _check_unused(mapping, shown, same_resource)
    yield from _check_absent(mapping, shown, same_resource)
    if trial is not None and trial.rows:
        yield from _check_trial(mapping, trial, mask)
    if mapping is same_resource[0]:  # told once for the resource
        for sentence in shown.uncolumned:
            yield LEFT_OVER, ("resource",), sentence


def _check_lookups(mapping: Mapping, trial: Trial) -> Found:
    """Rows whose look-up finds nobody, and rows that wait for what another file rejects."""
    for name, count in sorted(trial.orphans.items(), key=lambda entry: -entry[1]):
        if not count:
            continue
        says = f"finds nothing for {count:,} of {trial.asked[name]:,} ids"
        if mapping.lookups[name].on_orphan == "reject":
            yield LOST_ROWS, ("lookups", name), f"{says}; those rows are rejected (orphan)"
        else:
            harm = LOST_COLUMN if count == trial.asked[name] else LEFT_OVER
            yield harm, ("lookups", name), f"{says}; those rows are kept without its columns"
    if trial.waiting:
        says = f"{trial.waiting:,} rows wait for a record that is rejected where it is looked up"
        yield LOST_ROWS, ("lookups",), f"{says}; they are not loaded before it"
    for name in trial.blind:
        says = "no file makes what it looks up, so its columns were not tried"
        yield LEFT_OVER, ("lookups", name), says


def _check_nobody(trial: Trial, mask: Mask) -> Found:
    """Keys that stand for nobody, of several rows each: those rows become one, which cannot be undone."""
    shared = {key: rows for key, rows in trial.nobody.items() if rows > 1}
    if not shared:
        return
    largest = sorted(shared, key=lambda key: (-shared[key], key))[:_MOST_LINES]
    named = ", ".join(f"{_readable(key, mask)} ({shared[key]:,} rows)" for key in largest)
    if len(shared) > len(largest):
        more = f" and {len(shared) - len(largest):,} more"
    else:
        more = ""
    says = f"{sum(shared.values()):,} rows have a key that stands for nobody: {named}{more}"
    yield LOST_ROWS, ("key",), f"{says}; the rows of each become one; leave them out by `where`"


def _readable(key: str, mask: Mask) -> str:
    """A key that stands for nobody as it is, but for a domain, or other columns, that may be somebody's."""
    if key.startswith("["):
        return mask(key, "")
    name, at, domain = key.partition("@")
    return f"{name}{at}{mask(domain, '')}" if at else key


def _check_trial(mapping: Mapping, trial: Trial, mask: Mask) -> Found:
    """What went wrong when the mapping was tried out."""
    yield from _check_lookups(mapping, trial)
    yield from _check_nobody(trial, mask)
    yield from _check_rules(mapping, trial, mask)
    yield from _check_losses(mapping, trial, mask)
    for name in mapping.columns:
        if trial.said[name] and not trial.filled[name]:
            what = f"nothing fills it: none of {trial.said[name]:,} values can be read"
            yield LOST_COLUMN, ("columns", name), what


def _check_rules(mapping: Mapping, trial: Trial, mask: Mask) -> Found:
    """The rows that are rejected, by the rule they break."""
    for (name, rule), count in sorted(trial.rules.items(), key=lambda entry: -entry[1]):
        if name not in mapping.columns:
            # Such rows went before the columns were tried, so they are not among the trial's.
            what = f"{count:,} of {trial.rows + count:,} rows break {rule}"
            yield LOST_ROWS, _place_of_rule(name, rule), what
        elif rule in {"key_missing", "required_missing"}:
            if rule == "key_missing":
                kind = "the key"
            else:
                kind = "a required column"
            what = f"{kind} is missing in {count:,} of {trial.rows:,} rows, which are rejected"
            yield LOST_ROWS, ("columns", name), what
        else:
            broken = _say_broken(mapping, trial, name, rule, count, mask)
            yield LOST_ROWS, ("columns", name), f"{broken}; those rows are rejected"


def _place_of_rule(name: str, rule: str) -> Path:
    if rule in {"each_not_a_list", "empty_element"}:
        return ("each",)
    return (name,) if name in {"where", "each"} else ("resource",)


def _check_losses(mapping: Mapping, trial: Trial, mask: Mask) -> Found:
    """The values that are lost while their rows stay."""
    for (name, loss), count in sorted(trial.losses.items(), key=lambda entry: -entry[1]):
        if not count:
            continue
        if loss in {"consent_unlisted", "consent_withheld"}:
            answers = _said_answers(trial, name) or _examples(trial, name, loss, mask)
            what = f"{count:,} of {trial.said[name]:,} answers give no consent ({loss}){answers}"
            yield LOST_VALUES, ("columns", name), what
        elif loss in BROKEN_VALUES:
            broken = _say_broken(mapping, trial, name, loss, count, mask)
            yield LOST_VALUES, ("columns", name), broken


def _say_broken(
    mapping: Mapping, trial: Trial, name: str, rule: str, count: int, mask: Mask
) -> str:
    """How many values a column reads, examples of those it does not, and for times the format that would."""
    said = trial.said[name]
    broken = sum(
        rows
        for (column, loss), rows in trial.losses.items()
        if column == name and loss in BROKEN_VALUES
    )
    words = f"reads {said - count:,} of {said:,} values; the others break {rule}"
    if rule in BROKEN_VALUES:
        says = LOSSES[rule]
        lost = "1 is lost" if count == 1 else f"{count:,} are lost"
        words = f"reads {said - broken:,} of {said:,} values; {lost}: {says} ({rule})"
    fitting = _fitting_format(mapping, trial, name, rule)
    advice = f"; `format: '{fitting}'` reads those" if fitting else ""
    return words + _examples(trial, name, rule, mask) + advice


def _fitting_format(mapping: Mapping, trial: Trial, name: str, rule: str) -> str | None:
    """The format by which the examples of what a column of times does not read can be read."""
    texts = pl.Series(trial.examples.get((name, rule), []), dtype=pl.String)
    if mapping.columns[name].type not in {"date", "datetime"} or texts.is_empty():
        return None
    # One pass sorts out what looks otherwise: to read with each of some hundred formats takes a second.
    looks = texts.rename("t").to_frame()
    fits = looks.select(
        pl.col("t").str.contains(compile_format(spelling).pattern).all().alias(spelling)
        for spelling in KNOWN_FORMATS
    )
    for spelling, fit in fits.row(0, named=True).items():
        if fit and not read_format(texts, spelling)["local"].null_count():
            return spelling
    return None


def _examples(trial: Trial, name: str, kind: str, mask: Mask) -> str:
    shown = [mask(text[:60], name) for text in trial.examples.get((name, kind), [])]
    return f" (as {', '.join(shown)})" if shown else ""


def _said_answers(trial: Trial, name: str) -> str:
    """The answers that several rows give: what so many say is a word of the shop's, and nobody's own."""
    common = [
        f"{text[:40]!r} ({rows:,})"
        for text, rows in trial.answers.get(name, Counter[str]()).most_common(_MOST_SAID)
        if rows >= _SAID_BY_MANY
    ]
    if common:
        return f": {', '.join(common)}; list those that mean yes or no under `values`"
    return ""


def _check_sources(mapping: Mapping, shown: SnapshotFindings) -> Found:
    for index, source in enumerate(mapping.collapse.source_order):
        if source not in shown.sources:
            yield (
                PROBLEM,
                ("collapse", "source_order", index),
                f"no record of {mapping.resource} is of source {source!r}{suggest(source, shown.sources)}",
            )


def _check_unused(
    mapping: Mapping, shown: SnapshotFindings, same_resource: Sequence[Mapping]
) -> Found:
    fails = mapping.unmapped == "fail"
    if not fails and mapping is not same_resource[0]:
        return  # told once for the resource
    shares = {**shown.filled, **shown.unused_elements}
    names = [*unused_fields(shown.fields, same_resource), *shown.unused_elements]
    full = [name for name in names if shares.get(name, 0) >= _NEARLY_ALL]
    others = [name for name in names if name not in full]
    harm = PROBLEM if fails else LOST_COLUMN
    if len(full) > _MOST_LEFT_OVER:
        listed = ", ".join(full)
        fields = f"{len(full)} fields that nearly all records have"
        yield (
            harm,
            ("unmapped",),
            f"no mapping uses {fields} nor names them under `ignore`: {listed}",
        )
        full = []
    for name in full:
        yield harm, ("unmapped",), _say_unused(name, shares)
    if len(others) > _MOST_LEFT_OVER:
        listed = ", ".join(
            f"{name} ({shares[name]:.0%})"
            for name in sorted(others, key=lambda one: -shares.get(one, 0))
        )
        yield (
            PROBLEM if fails else LEFT_OVER,
            ("unmapped",),
            f"no mapping uses {len(others)} fields that some records have: {listed}",
        )
        return
    for name in others:
        yield PROBLEM if fails else LEFT_OVER, ("unmapped",), _say_unused(name, shares)


def _say_unused(name: str, shares: Dict[str, float]) -> str:
    filled = f" ({shares[name]:.0%} filled)" if name in shares else ""
    return f"no mapping uses the field {name!r}{filled} nor names it under `ignore`"


def _check_absent(
    mapping: Mapping, shown: SnapshotFindings, same_resource: Sequence[Mapping]
) -> Found:
    """Uses of which no field is there: of several fields to choose from, one is enough.

    A name near one that is there and that nobody uses is a slip; a field that a shop simply lacks is not.
    """
    known = record_names(mapping)
    unused = unused_fields(shown.fields, same_resource)
    uses: dict[Path, list[str]] = {}
    for path, name in named_uses(mapping):
        uses.setdefault(path, []).append(name)
    lacking: list[tuple[Path, str]] = []
    for at, names in uses.items():
        own = [name for name in names if name in known]
        if len(own) < len(names) or any(column_of(name) in shown.fields for name in own):
            continue
        place = at[:2] if at[0] == "columns" else at
        meant = next((hint for name in own if (hint := suggest(name, unused))), "")
        what = f"the snapshot never shows {' nor '.join(own)}"
        if meant:
            yield LOST_COLUMN, place, f"nothing fills it: {what}{meant}"
        else:
            lacking.append((place, what))
    if mapping.each is not None and mapping.each not in shown.fields:
        hint = suggest(mapping.each, shown.fields)
        yield LOST_COLUMN, ("each",), f"the snapshot never shows {mapping.each}{hint}"
    if len(lacking) <= _MOST_LINES:
        yield from ((ABSENT, place, what) for place, what in lacking)
        return
    columns = ", ".join(
        dict.fromkeys(str(place[1] if len(place) > 1 else place[0]) for place, _ in lacking)
    )
    yield ABSENT, ("columns",), f"the snapshot has no field for {len(lacking)} of them: {columns}"
