"""Mapping files from disk: all of a folder's problems at once, or all its mappings."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from migrate.errors import MappingError, UsageError, WorkspaceError
from migrate.language.files import mapping_files
from migrate.language.shared import PROPOSED, SHARED_FILE, read_mapping_text, read_shared
from migrate.language.yaml_text import Document, Place, Problem
from migrate.mapping.checks import check_mapping
from migrate.mapping.checks_together import by_dataset, check_together, dependency_order
from migrate.mapping.functions import FUNCTIONS, Function
from migrate.mapping.known_fields import DATASETS
from migrate.mapping.messages import describe, repair, suggest
from migrate.mapping.model import Mapping
from migrate.mapping.proposal import propose
from migrate.mapping.survey import FieldSurvey
from migrate.names import ResourceName

_MOST_REPAIRS = 4
_HINT = "correct the file, then: migrate mapping check"
_OF_EVERY_RECORD = ("resource", "where", "each", "lookups", "tables")


def read_mappings(folder: Path, datasets: Collection[str] | None = None) -> dict[str, Mapping]:
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
    return ordered if datasets is None else _choose(ordered, datasets)


def read_leniently(files: Iterable[Path], *, whole: bool) -> tuple[list[Mapping], list[str]]:
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


def list_mappings(folder: Path) -> list[Path]:
    """The mapping files of a folder. Raises MappingError where there is none."""
    return _list_files(folder)


def read_mapping(file: Path) -> Mapping:
    """The mapping in one file, looked at by itself.

    **Raises.** MappingError with every problem of the file.
    """
    read = _read(file)
    if read.mapping is None or read.lines:
        raise MappingError(read.lines, hint=_HINT)
    return read.mapping


def write_proposal(
    resource: ResourceName, survey: FieldSurvey, snapshot: str, folder: Path, out: Path | None
) -> Path:
    """The path of a proposed mapping, written: `out`, else under `proposed` in the mappings folder.

    **Raises.** UsageError where the file is there already, WorkspaceError where it cannot be written.
    """
    path = out or folder / PROPOSED / f"{DATASETS[resource][0]}.yaml"
    schema = Path(os.path.relpath(folder / "mapping.schema.json", path.parent)).as_posix()
    text = propose(resource, survey, snapshot, schema, read_shared(folder).values)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists already", hint="name another file: --out FILE") from None
    except OSError as error:
        raise WorkspaceError(
            f"{path} cannot be written: {error.strerror}", hint="name another file: --out FILE"
        ) from None
    return path


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a mapping file, for editors."""
    schema = Mapping.model_json_schema(by_alias=True)
    schema["$schema"] = "http://json-schema.org/draft-07/schema#"
    column = schema["$defs"]["Column"]["properties"]
    column["on_invalid"] = {
        **column["on_invalid"],
        "enum": [*column["on_invalid"]["enum"], None],
        "type": ["string", "null"],
    }
    shared = {
        "type": "string",
        "pattern": r"^\$[a-z][a-z0-9_]*(\..+)?$",
        "description": "Of shared.yaml.",
    }
    listed = column["values"]["anyOf"]
    listed += [shared, {"type": "array", "items": {"anyOf": [shared, listed[0]]}, "minItems": 1}]
    plain = [
        name for name, function in FUNCTIONS.items() if function.argument in {"none", "choice"}
    ]
    called = {
        name: _argument_schema(function)
        for name, function in FUNCTIONS.items()
        if function.argument != "none"
    }
    column["apply"]["items"] = {
        "anyOf": [
            {"enum": plain},
            {
                "type": "object",
                "properties": called,
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
            },
        ]
    }
    return schema


def _argument_schema(function: Function) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "text": {"type": "string"},
        "number": {"type": "integer", "minimum": 1},
        "choice": {"enum": list(function.choices)},
    }
    return {**kinds[function.argument], "description": function.says}


def _list_files(folder: Path) -> list[Path]:
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

    file: Path
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


def _read(file: Path) -> _ReadFile:
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
    # a column with a wrong key lacks what the key was meant for: told once, where it is wrong
    told = [problem.what for problem in problems]
    maimed = {
        document.place(("columns", name), of_key=True)
        for name in mapping.columns
        if _is_told(told, f"columns.{name}.")
    }
    problems += [found for found in check_mapping(mapping, document) if found.place not in maimed]
    return _ReadFile(file, document, mapping, _once_a_place(problems))


def _wrong_columns(mapping: Mapping, problems: Sequence[Problem]) -> frozenset[str] | None:
    """The columns that cannot be worked out; None where something is wrong that is asked of every record."""
    told = [problem.what for problem in problems]
    if _is_told(told, *_OF_EVERY_RECORD):
        return None
    return frozenset(
        name for name in mapping.columns if _is_told(told, f"columns.{name}.", f"columns.{name}:")
    )


def _is_told(told: Sequence[str], *beginnings: str) -> bool:
    return any(what.startswith(beginnings) for what in told)


def _validate(document: Document) -> tuple[Mapping | None, list[Problem]]:
    """The mapping, without what has no valid shape, so that the rest can be looked at as well; and those problems."""
    tree: Any = document.value
    problems: list[Problem] = []
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


def _lines(file: Path, problems: Iterable[Problem]) -> list[str]:
    return [
        _line(file, problem)
        for problem in sorted(problems, key=lambda p: (p.place.line, p.place.column))
    ]


def _line(file: Path, problem: Problem) -> str:
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
