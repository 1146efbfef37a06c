"""The account: its datasets and webhooks, declared by mapping files, by a TOML file or by both.

The Data API has no endpoint that creates a dataset or tells its columns, so they have to be declared. What its
documents leave open can be read in several ways, each of which can be switched; the first of each is the default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

from migrate.errors import UsageError
from migrate.language.files import mapping_files
from migrate.language.yaml_text import read_yaml
from migrate.plain_file import read_plain

TYPES = ("text", "integer", "float", "boolean", "datetime", "date", "json")
RECIPES = ("lowercase", "uppercase", "trim")
DATASET_KEYS = {
    "id",
    "keys",
    "mandatory",
    "protected",
    "read_only",
    "unknown_columns",
    "float_digits",
    "columns",
}
COLUMN_KEYS = {"type", "default", "recipe"}
WEBHOOK_KEYS = {"id", "methods", "headers"}
NO_DEFAULT = object()

CHOICES: Mapping[str, tuple[str, ...]] = {
    # The list's sample shows no such column; in a CSV it may be JSON or a database's array.
    "list_ids": ("json", "array", "none"),
    # In both samples with merged ids the record's own id is not among them.
    "own_id": ("listed", "left_out"),
    # Both samples show a merged record under an id that is none of those that are gone.
    "merged_id": ("kept", "new"),
    # Only an upsert is said to need the mandatory columns.
    "update_mandatory": ("not_null", "required"),
    # A help page says that keys are compared as given.
    "keys": ("exact", "folded"),
    # Of a file that is imported nobody says what an empty cell does to a record that is there.
    "empty_cell": ("kept", "erased"),
}


@dataclass(frozen=True, slots=True)
class Readings:
    """One reading of each open question, as `CHOICES` has them."""

    list_ids: str = "json"
    own_id: str = "listed"
    merged_id: str = "kept"
    update_mandatory: str = "not_null"
    keys: str = "exact"
    empty_cell: str = "kept"


DEFAULT = Readings()


def parse_readings(texts: Iterable[str]) -> Readings:
    """The readings of `NAME=VALUE` texts over the defaults. Raises UsageError."""
    readings = Readings()
    for text in texts:
        name, _, value = text.partition("=")
        readings = choose(readings, name.strip(), value.strip())
    return readings


def choose(readings: Readings, name: str, value: str) -> Readings:
    """The readings with one of them switched. Raises UsageError."""
    if name not in CHOICES:
        raise UsageError(
            f"there is no reading {name!r}",
            hint=f"there are {', '.join(f.name for f in fields(Readings))}",
        )
    if value not in CHOICES[name]:
        raise UsageError(
            f"reading {name} cannot be {value!r}", hint=f"one of {', '.join(CHOICES[name])}"
        )
    return replace(readings, **{name: value})


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a dataset; `recipe` is what its preparation does to the value."""

    name: str
    type: str = "text"
    default: Any = NO_DEFAULT
    recipe: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """One dataset. `keys` are alternatives (OR) of columns that count together (AND).

    `unknown_columns` is "refuse" or "ignore"; `float_digits` is "decimals" or "significant": the document leaves both
    open.
    """

    name: str
    id: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...]
    mandatory: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    read_only: bool = False
    unknown_columns: str = "refuse"
    float_digits: str = "decimals"
    readings: Readings = DEFAULT


@dataclass(frozen=True, slots=True)
class WebhookSpec:
    """One webhook: what a request must be like, or it is discarded."""

    id: str
    methods: tuple[str, ...] = ("POST", "PUT")
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Account:
    """All that is declared."""

    datasets: tuple[DatasetSpec, ...] = ()
    webhooks: tuple[WebhookSpec, ...] = ()


def declare(
    mappings: Path | None, datasets: Path | None, readings: Readings | None = None
) -> Account:
    """The account that both sources describe; the TOML file refines what the mappings say. Raises UsageError.

    `readings`: of what the documents leave open, in place of those in the file's table `readings`.
    """
    tables: dict[str, dict[str, Any]] = {}
    if mappings is not None:
        if not mappings.is_dir():
            raise UsageError(f"{mappings}: no such folder", hint="give a folder of mapping files")
        for path in mapping_files(mappings):
            name, table = _read_mapping(path)
            # several files may make one dataset, which then has the columns of all
            earlier = tables.get(name, {}).get("columns", {})
            tables[name] = {**table, "columns": {**earlier, **table["columns"]}}
    declared = {} if datasets is None else _read_toml(datasets)
    webhooks = declared.pop("webhooks", {})
    declared_readings = _readings(declared.pop("readings", {}))
    for name, table in declared.items():
        tables[name] = _merge(name, tables.get(name, {}), table)
    chosen = declared_readings if readings is None else readings
    specs = tuple(replace(_spec(name, table), readings=chosen) for name, table in tables.items())
    return Account(specs, tuple(_webhook(name, table) for name, table in webhooks.items()))


def with_copies(account: Account, copies: Mapping[str, str]) -> Account:
    """The account with further datasets: by id, the name of the declared one that each is like. Raises UsageError."""
    by_name = {spec.name: spec for spec in account.datasets}
    unknown = [name for name in copies.values() if name not in by_name]
    if unknown:
        raise UsageError(
            f"no dataset {unknown[0]} is declared", hint=f"there are {', '.join(by_name)}"
        )
    more = tuple(replace(by_name[name], id=id_, name=id_) for id_, name in copies.items())
    return replace(account, datasets=(*account.datasets, *more))


def _readings(table: Any) -> Readings:
    if not isinstance(table, dict):
        raise UsageError("datasets file: readings must be a table")
    readings = Readings()
    for name, value in table.items():
        readings = choose(readings, name, str(value))
    return readings


def _read_mapping(path: Path) -> tuple[str, dict[str, Any]]:
    """The dataset's name and what a mapping says about it; its rules for values are not the target's business."""
    try:
        parsed = read_yaml(read_plain(path))
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}", hint="give a folder of mapping files"
        ) from None
    if parsed.problems:
        problem = parsed.problems[0]
        raise UsageError(
            f"{path}:{problem.place.line}:{problem.place.column}: {problem.what}",
            hint="migrate mapping check tells every problem of a file",
        )
    document = parsed.value
    if not isinstance(document, dict) or not isinstance(document.get("columns"), dict):
        raise UsageError(
            f"{path}: has no columns", hint="a mapping file needs dataset, key and columns"
        )
    columns = {
        name: {"type": column.get("type", "text") if isinstance(column, dict) else "text"}
        for name, column in document["columns"].items()
    }
    return str(document.get("dataset", path.stem)), {
        "keys": [list(document.get("key", []))],
        "columns": columns,
    }


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_plain(path).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path}: {error}", hint="give a TOML file with one table per dataset"
        ) from None


def _merge(name: str, known: dict[str, Any], table: Any) -> dict[str, Any]:
    """A table over what is known; its columns are added to the known ones or replace them one by one."""
    if not isinstance(table, dict):
        raise UsageError(f"datasets file: {name} must be a table")
    columns = {
        **known.get("columns", {}),
        **{n: _column(n, c) for n, c in table.get("columns", {}).items()},
    }
    return {**known, **table, "columns": columns}


def _column(name: str, given: Any) -> dict[str, Any]:
    table = {"type": given} if isinstance(given, str) else given
    if not isinstance(table, dict):
        raise UsageError(f"datasets file: column {name} must be a type or a table")
    return table


def _spec(name: str, table: dict[str, Any]) -> DatasetSpec:
    _known(f"dataset {name}", table, DATASET_KEYS)
    columns = tuple(
        _column_spec(name, column, given) for column, given in table.get("columns", {}).items()
    )
    spec = DatasetSpec(
        name=name,
        id=str(table.get("id", name)),
        columns=columns,
        keys=tuple(tuple(key) for key in table.get("keys", ())),
        mandatory=tuple(table.get("mandatory", ())),
        protected=tuple(table.get("protected", ())),
        read_only=bool(table.get("read_only", False)),
        unknown_columns=_one_of(
            name, "unknown_columns", table.get("unknown_columns", "refuse"), ("refuse", "ignore")
        ),
        float_digits=_one_of(
            name, "float_digits", table.get("float_digits", "decimals"), ("decimals", "significant")
        ),
    )
    _check(spec)
    return spec


def _column_spec(dataset: str, name: str, table: dict[str, Any]) -> Column:
    where = f"{dataset}.columns.{name}"
    _known(where, table, COLUMN_KEYS)
    if name.startswith("__"):
        raise UsageError(
            f"{where}: names that begin with __ are the system's", hint="rename the column"
        )
    recipe = table.get("recipe")
    if recipe is not None:
        _one_of(where, "recipe", recipe, RECIPES)
    column_type = _one_of(where, "type", table.get("type", "text"), TYPES)
    return Column(name, column_type, table.get("default", NO_DEFAULT), recipe)


def _check(spec: DatasetSpec) -> None:
    names = {column.name: column for column in spec.columns}
    used = [*chain.from_iterable(spec.keys), *spec.mandatory, *spec.protected]
    for column in used:
        if column not in names:
            raise UsageError(
                f"dataset {spec.name}: no column {column}", hint=f"its columns: {', '.join(names)}"
            )
    if not spec.read_only and (not spec.keys or not all(spec.keys)):
        raise UsageError(
            f"dataset {spec.name}: has no key", hint='add keys = [["column"]], or read_only = true'
        )
    for key in spec.keys:
        for column in key:
            # Every upsert has to hold its key, so a default of it could never be used.
            if names[column].default is not NO_DEFAULT or column in spec.protected:
                raise UsageError(
                    f"dataset {spec.name}: key column {column} can have no default and no protection"
                )


def _webhook(name: str, table: dict[str, Any]) -> WebhookSpec:
    _known(f"webhook {name}", table, WEBHOOK_KEYS)
    methods = tuple(str(method).upper() for method in table.get("methods", ("POST", "PUT")))
    headers = {str(key).lower(): str(value) for key, value in table.get("headers", {}).items()}
    return WebhookSpec(str(table.get("id", name)), methods, headers)


def _known(where: str, table: dict[str, Any], keys: set[str]) -> None:
    unknown = sorted(set(table) - keys)
    if unknown:
        raise UsageError(
            f"{where}: unknown key {unknown[0]}", hint=f"known keys: {', '.join(sorted(keys))}"
        )


def _one_of(where: str, key: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise UsageError(f"{where}: {key} cannot be {value!r}", hint=f"one of {', '.join(allowed)}")
    return str(value)
