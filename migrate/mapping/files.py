"""Mapping files from disk: all of a folder's problems at once, or all its mappings, what is looked up first.

Files are looked at one by one, and then together: what is wrong between them is a problem as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path as File
from typing import Any

from pydantic import ValidationError

from migrate.errors import MappingError
from migrate.language.files import mapping_files
from migrate.language.shared import SHARED_FILE, read_mapping_text, read_shared
from migrate.language.yaml_text import Document, Path, Place, Problem
from migrate.mapping.checks import check_mapping, problem_at
from migrate.mapping.fields import lookup_columns, named_uses
from migrate.mapping.messages import describe, repair, suggest
from migrate.mapping.model import Mapping

_MOST_REPAIRS = 4
_HINT = "correct the file, then: migrate mapping check"
_OF_EVERY_RECORD = ("resource", "where", "each", "lookups", "tables")


def read_mappings(folder: File, datasets: Collection[str] | None = None) -> dict[str, Mapping]:
    """The mappings of a folder by dataset, looked-up datasets before those that look them up, else by name.

    `datasets` chooses some; what they look up comes along, since they need it.
    **Raises.** MappingError with every problem of every file.
    """
    files = _list_files(folder)
    read = [_read(file) for file in files]
    problems = _lines(folder / SHARED_FILE, read_shared(folder).problems)
    problems += list(chain.from_iterable(one.lines for one in read))
    known = [(one.file, one.document, one.mapping) for one in read if one.mapping is not None]
    problems += [
        _line(file, problem) for file, problem in check_together(known, complete=not problems)
    ]
    if problems:
        raise MappingError(problems, hint=_HINT)
    ordered = dependency_order(by_dataset([mapping for _, _, mapping in known]))
    if datasets is None:
        return ordered
    return _choose(ordered, datasets)


def read_leniently(files: Iterable[File], *, whole: bool) -> tuple[list[Mapping], list[str]]:
    """The mappings that can be looked at in spite of what is wrong with them, and all that is wrong with the files.

    `whole`: the files are all of a folder, so that a dataset that none of them makes is missing.
    """
    read = [_read(file) for file in files]
    known = [(one.file, one.document, one.mapping) for one in read if one.mapping is not None]
    problems = list(chain.from_iterable(one.lines for one in read))
    between = list(check_together(known, complete=whole and not problems))
    problems += [_line(file, problem) for file, problem in between]
    for one in read:
        one.problems += [problem for file, problem in between if file == one.file]
    return [
        one.mapping.found_wrong(_wrong_columns(one.mapping, one.problems))
        for one in read
        if one.mapping is not None
    ], problems


def list_mappings(folder: File) -> list[File]:
    """The mapping files of a folder. Raises MappingError where there is none."""
    return _list_files(folder)


def read_mapping(file: File) -> Mapping:
    """The mapping in one file, looked at by itself.

    **Raises.** MappingError with every problem of the file.
    """
    read = _read(file)
    if read.mapping is None or read.lines:
        raise MappingError(read.lines, hint=_HINT)
    return read.mapping


def _list_files(folder: File) -> list[File]:
    if not folder.is_dir():
        raise MappingError(
            [f"{folder}: there is no such folder"],
            hint="migrate init writes one with the shipped mappings",
        )
    files = mapping_files(folder)
    if not files:
        raise MappingError(
            [f"{folder}: holds no .yaml file"], hint="migrate init writes the shipped mappings"
        )
    return files


@dataclass
class _ReadFile:
    """A mapping file as it was read: no mapping where it has not the shape of one. `unreadable`: why it has no text."""

    file: File
    document: Document
    mapping: Mapping | None
    problems: list[Problem]
    unreadable: str | None = None

    @property
    def lines(self) -> list[str]:
        """All that is wrong with it."""
        if self.unreadable is None:
            return _lines(self.file, self.problems)
        return [self.unreadable]


def _read(file: File) -> _ReadFile:
    try:
        text = read_mapping_text(file)
    except OSError as error:
        why = f"{file.name}: cannot be read ({error.strerror})"
        return _ReadFile(file, Document(), None, [], why)
    document = text.document
    if document.problems:
        return _ReadFile(file, document, None, list(document.problems))
    if not isinstance(document.value, dict):
        none = Problem(Place(1, 1), "a mapping file holds keys and values; this holds none")
        return _ReadFile(file, document, None, [none])
    mapping, problems = _validate(document)
    if mapping is None:
        return _ReadFile(file, document, None, problems)
    mapping = mapping.read_from(str(file), text.sha256, text.includes)
    # A column with a wrong key lacks what the key was meant for: told once, where it is wrong.
    maimed = set()
    for name in mapping.columns:
        if _are_about(problems, f"columns.{name}."):
            maimed.add(document.place(("columns", name), of_key=True))
    for problem in check_mapping(mapping, document):
        if problem.place not in maimed:
            problems.append(problem)
    return _ReadFile(file, document, mapping, _once_a_place(problems))


def _wrong_columns(mapping: Mapping, problems: Sequence[Problem]) -> frozenset[str] | None:
    """The columns that cannot be worked out; None where something is wrong that is asked of every record."""
    if _are_about(problems, *_OF_EVERY_RECORD):
        return None
    wrong = set()
    for name in mapping.columns:
        if _are_about(problems, f"columns.{name}.", f"columns.{name}:"):
            wrong.add(name)
    return frozenset(wrong)


def _are_about(problems: Sequence[Problem], *beginnings: str) -> bool:
    """Whether one of them is about a part of the file whose path begins so."""
    return any(problem.what.startswith(beginnings) for problem in problems)


def _validate(document: Document) -> tuple[Mapping | None, list[Problem]]:
    """The mapping, without what has no valid shape, so that the rest can be looked at as well; and those problems."""
    tree: Any = document.value
    problems: list[Problem] = []
    # What is taken out may bring up what it had hidden; a file that needs more rounds is none of ours.
    for _ in range(_MOST_REPAIRS):
        try:
            return Mapping.model_validate(tree), problems
        except ValidationError as error:
            if not problems:
                problems = describe(error, document)
            tree = repair(tree, error)
    return None, problems


def _once_a_place(problems: list[Problem]) -> list[Problem]:
    """The first problem of each place: what follows from it is told once it is fixed."""
    return list({problem.place: problem for problem in reversed(problems)}.values())


def _lines(file: File, problems: Iterable[Problem]) -> list[str]:
    return [
        _line(file, problem)
        for problem in sorted(problems, key=lambda p: (p.place.line, p.place.column))
    ]


def _line(file: File, problem: Problem) -> str:
    return f"{file.name}:{problem.place.line}:{problem.place.column}: {problem.what}"


def _choose(mappings: dict[str, Mapping], datasets: Collection[str]) -> dict[str, Mapping]:
    unknown = [name for name in datasets if name not in mappings]
    if unknown:
        raise MappingError(
            [f"no mapping makes the dataset {name!r}{suggest(name, mappings)}" for name in unknown],
            hint=f"the mappings make: {', '.join(mappings)}",
        )
    wanted = set(datasets)
    for mapping in reversed(mappings.values()):
        if mapping.dataset in wanted:
            wanted |= mapping.looked_up
    return {name: mapping for name, mapping in mappings.items() if name in wanted}


Found = Iterator[tuple[Path, str]]
Known = tuple[File, Document, Mapping]
# What all files of a dataset say alike, since it is said of the dataset's rows and not of a record.
_OF_THE_DATASET = ("key", "alternative_keys", "target")
_OF_THE_COLLAPSE = ("by", "source_order", "fill_gaps")
_OF_A_COLUMN = ("type", "consent", "recipe")
_ALIKE = "files of one dataset have the same"


def by_dataset(mappings: Iterable[Mapping]) -> dict[str, Mapping]:
    """The mapping of each dataset, of one file or of several together."""
    files = sorted(mappings, key=lambda one: one.dataset)
    groups = groupby(files, key=lambda one: one.dataset)
    return {dataset: Mapping.joined(list(parts)) for dataset, parts in groups}


def check_together(known: Sequence[Known], *, complete: bool) -> Iterator[tuple[File, Problem]]:
    """Everything that is wrong between mappings; with `complete` (all files were read) also missing datasets."""
    by_name = by_dataset(mapping for *_, mapping in known)
    for file, document, mapping in known:
        others = [other for *_, other in known if other.dataset == mapping.dataset]
        first = by_name[mapping.dataset].parts[0]
        between = [
            *_check_precedence(mapping, others),
            *_check_alike(mapping, first),
            *_check_looked_up(mapping, by_name, complete),
        ]
        for path, what in between:
            yield file, problem_at(document, path, what)
    circle = find_circle(by_name)
    if circle:
        file, document, _ = next(entry for entry in known if entry[2].dataset == circle[0])
        what = f"lookups: {' → '.join(circle)} is a circle; none can be made first"
        yield file, Problem(document.place(("lookups",), of_key=True), what)


def _check_precedence(mapping: Mapping, files: Sequence[Mapping]) -> Found:
    """That the files of a dataset are put in an order, each of a resource of its own."""
    for other in files:
        name = File(other.file).name
        if other is mapping:
            continue
        makes = f"{name} makes {mapping.dataset!r}"
        if mapping.resource == other.resource:
            yield ("resource",), f"{makes} of {other.resource} already; one file a resource"
        elif mapping.precedence is None:
            advice = "`precedence: 1` in one file, `precedence: 2` in the other"
            what = f"{makes} too; say whose row wins where both have a key: {advice}"
            yield ("dataset",), what
        elif mapping.precedence == other.precedence:
            yield ("precedence",), f"{name} has the same; each file of a dataset has its own place"


def _check_alike(mapping: Mapping, first: Mapping) -> Found:
    """That the files say the same of what is the dataset's: its key, how rows of a key meet, its columns."""
    if mapping is first:
        return
    name = File(first.file).name
    for part in _OF_THE_DATASET:
        theirs = getattr(first, part)
        if getattr(mapping, part) != theirs:
            yield (part,), f"is {_shown(theirs)} in {name}; {_ALIKE}"
    for part in _OF_THE_COLLAPSE:
        theirs = getattr(first.collapse, part)
        if getattr(mapping.collapse, part) != theirs:
            yield ("collapse",), f"collapse.{part} is {_shown(theirs)} in {name}; {_ALIKE}"
    yield from _check_columns(mapping, first, name)


def _check_columns(mapping: Mapping, first: Mapping, name: str) -> Found:
    """That a column is the same in both files, and a required one in both; `name` is the first file's."""
    for column, rule in first.columns.items():
        if rule.required and column not in mapping.columns:
            what = f"{column!r} is required in {name}; a row of this file would lack it"
            yield ("columns",), what
    folded = {column.casefold(): column for column in first.columns}
    for column, rule in mapping.columns.items():
        path = ("columns", column)
        twin = folded.get(column.casefold())
        if twin is None:
            if rule.required:
                yield path, f"is required here, and {name} does not make it"
            continue
        if twin != column:
            yield path, f"differs from {twin!r} of {name} in case only"
            continue
        theirs = first.columns[column]
        # The first difference only: where the types differ, the rest follows from that.
        for part in _OF_A_COLUMN:
            if getattr(theirs, part) != getattr(rule, part):
                yield path, f"{part} is {_shown(getattr(theirs, part))} in {name}; {_ALIKE}"
                break


def _check_looked_up(mapping: Mapping, by_name: Dict[str, Mapping], complete: bool) -> Found:
    for name, lookup in mapping.lookups.items():
        dataset = lookup.dataset
        other = by_name.get(dataset)
        if other is None:
            if complete:
                what = f"no mapping makes {dataset!r}{suggest(dataset, by_name)}"
                yield ("lookups", name, "dataset"), what
            continue
        if complete and lookup.resource is not None and lookup.resource not in other.resources:
            made = " and ".join(other.resources)
            what = f"{dataset} is made of {made}, not of {lookup.resource}"
            yield ("lookups", name, "resource"), what
        for column in sorted(lookup_columns(mapping)[name] - set(other.columns)):
            uses = (path for path, used in named_uses(mapping) if used == f"{name}.{column}")
            hint = suggest(column, other.columns)
            yield next(uses), f"{dataset} has no column {column!r}{hint}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value)


def dependency_order(mappings: Dict[str, Mapping]) -> dict[str, Mapping]:
    """The mappings, each after those it looks up, otherwise by name. What stands in a circle is left out."""
    ordered: dict[str, Mapping] = {}
    while True:
        waiting = [name for name in sorted(mappings) if name not in ordered]
        ready = [name for name in waiting if _needs(mappings, name) <= ordered.keys()]
        if not ready:
            return ordered
        ordered[ready[0]] = mappings[ready[0]]


def find_circle(mappings: Dict[str, Mapping]) -> list[str]:
    """One circle of look-ups as dataset names, the first repeated at the end; empty when there is none."""
    unordered = set(mappings) - set(dependency_order(mappings))
    path: list[str] = []
    at = min(unordered, default=None)
    # Each of them needs another one of them, so the walk comes back to where it was.
    while at is not None and at not in path:
        path.append(at)
        at = min(_needs(mappings, at) & unordered, default=None)
    if at is None:
        return []
    return [*path[path.index(at) :], at]


def _needs(mappings: Dict[str, Mapping], name: str) -> set[str]:
    return mappings[name].looked_up & set(mappings)
