"""What is wrong between mapping files, and the order their datasets are made in: what is looked up comes first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as Dict
from itertools import groupby
from pathlib import Path as File

from migrate.language.yaml_text import Document, Path, Problem
from migrate.mapping.fields import lookup_columns, named_uses
from migrate.mapping.messages import suggest
from migrate.mapping.model import Column, Mapping

Found = Iterator[tuple[Path, str]]
Known = tuple[File, Document, Mapping]
# what all files of a dataset say alike, since it is said of the dataset's rows and not of a record
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
        found = [
            *_check_precedence(mapping, others),
            *_check_alike(mapping, by_name[mapping.dataset].parts[0]),
            *_check_looked_up(mapping, by_name, complete),
        ]
        for path, what in found:
            place = document.place(path, of_key=len(path) == 2 and path[0] == "columns")
            yield file, Problem(place, f"{'.'.join(map(str, path))}: {what}")
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
        if mapping.resource == other.resource:
            yield (
                ("resource",),
                f"{name} makes {mapping.dataset!r} of {other.resource} already; one file a resource",
            )
        elif mapping.precedence is None:
            yield (
                ("dataset",),
                f"{name} makes {mapping.dataset!r} too; say whose row wins where both have a key: "
                "`precedence: 1` in one file, `precedence: 2` in the other",
            )
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
        twin = folded.get(column.casefold())
        if twin is None and rule.required:
            yield ("columns", column), f"is required here, and {name} does not make it"
        elif twin not in {None, column}:
            yield ("columns", column), f"differs from {twin!r} of {name} in case only"
        elif twin is not None:
            says = _difference(rule, first.columns[column])
            if says:
                yield ("columns", column), f"{says} in {name}; {_ALIKE}"


def _difference(rule: Column, theirs: Column) -> str | None:
    """What of a column that several files make is not said alike."""
    for part in _OF_A_COLUMN:
        if getattr(theirs, part) != getattr(rule, part):
            return f"{part} is {_shown(getattr(theirs, part))}"
    return None


def _check_looked_up(mapping: Mapping, by_name: Dict[str, Mapping], complete: bool) -> Found:
    for name, lookup in mapping.lookups.items():
        other = by_name.get(lookup.dataset)
        if other is None:
            if complete:
                yield (
                    ("lookups", name, "dataset"),
                    f"no mapping makes {lookup.dataset!r}{suggest(lookup.dataset, by_name)}",
                )
            continue
        if complete and lookup.resource is not None and lookup.resource not in other.resources:
            made = " and ".join(other.resources)
            yield (
                ("lookups", name, "resource"),
                f"{lookup.dataset} is made of {made}, not of {lookup.resource}",
            )
        for column in sorted(lookup_columns(mapping)[name] - set(other.columns)):
            path = next(path for path, used in named_uses(mapping) if used == f"{name}.{column}")
            yield path, f"{lookup.dataset} has no column {column!r}{suggest(column, other.columns)}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value)


def dependency_order(mappings: Dict[str, Mapping]) -> dict[str, Mapping]:
    """The mappings, each after those it looks up, otherwise by name. What stands in a circle is left out."""
    done: dict[str, Mapping] = {}
    while True:
        ready = [
            name
            for name in sorted(mappings)
            if name not in done and _needs(mappings, name) <= done.keys()
        ]
        if not ready:
            return done
        done[ready[0]] = mappings[ready[0]]


def find_circle(mappings: Dict[str, Mapping]) -> list[str]:
    """One circle of look-ups as dataset names, the first repeated at the end; empty when there is none."""
    left = set(mappings) - set(dependency_order(mappings))
    path: list[str] = []
    at = min(left, default=None)
    while at is not None and at not in path:
        path.append(at)
        at = min(_needs(mappings, at) & left, default=None)
    return [] if at is None else [*path[path.index(at) :], at]


def _needs(mappings: Dict[str, Mapping], name: str) -> set[str]:
    return mappings[name].looked_up & set(mappings)
