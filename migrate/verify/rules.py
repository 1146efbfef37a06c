"""The mapping files, read once more and apart from the planner: plain values, no expression compiled, nothing judged.

A key that this page does not know makes its column (or the whole dataset) unverifiable, by name: what the verifier
cannot work out for itself it must not call right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from migrate.errors import MappingError
from migrate.language.files import mapping_files
from migrate.language.shared import read_mapping_text
from migrate.language.sql import SqlRefused, parse_sql

ORDER_BY = ("updated", "updated_at", "created", "created_at")
_COLUMN_KEYS = frozenset(
    {
        "from", "sql", "value", "type", "apply", "values", "unlisted", "default", "required", "on_invalid", "null",
        "digits", "format", "timezone", "pivot", "consent", "recipe", "description",
    }
)  # fmt: skip
_FILE_KEYS = frozenset(
    {
        "version", "dataset", "precedence", "target", "resource", "key", "alternative_keys", "where", "each",
        "collapse", "tables", "lookups", "columns", "ignore", "unmapped", "examples",
    }
)  # fmt: skip
_HINT = "migrate mapping check"
_COLLAPSE_KEYS = frozenset({"by", "order_by", "source_order", "fill_gaps"})


@dataclass(frozen=True)
class ColumnRule:
    """One column as its file says it; `unknown` names keys that this reader does not know."""

    name: str
    type: str
    fields: tuple[str, ...] = ()
    sql: str | None = None
    value: str | None = None
    calls: tuple[tuple[str, str | int | None], ...] = ()
    values: Mapping[str, str] | None = None
    unlisted: str = "reject"
    default: str | None = None
    required: bool = False
    on_invalid: str = "reject"
    sends_null: bool = False
    digits: str | None = None
    format: str | None = None
    timezone: str | None = None
    pivot: int | None = None
    consent: bool = False
    recipe: bool = False
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class LookupRule:
    """Where a row of another dataset is looked up; `resource`: of which the other record is, None for the first.

    `project`: the number of another project whose record it is; None for this one.
    """

    dataset: str
    source: str
    ids: tuple[str, ...]
    rejects: bool
    resource: str | None = None
    project: str | None = None


@dataclass(frozen=True)
class DatasetRules:
    """One dataset's mapping. `doubts` says what of it this reader does not know; a feed goes to a webhook.

    Where several files make the dataset it is that of the first by precedence, with the columns of all: what is done
    record by record is asked of `parts`.
    """

    dataset: str
    resource: str
    key: tuple[str, ...]
    columns: Mapping[str, ColumnRule]
    where: str | None = None
    each: str | None = None
    by: str = "latest"
    order_by: tuple[str, ...] = ORDER_BY
    source_order: tuple[str, ...] = ()
    fill_gaps: bool = False
    lookups: Mapping[str, LookupRule] = field(default_factory=dict)
    sha256: str = ""
    doubts: tuple[str, ...] = ()
    is_feed: bool = False
    precedence: int | None = None
    files: tuple[DatasetRules, ...] = ()

    @property
    def parts(self) -> tuple[DatasetRules, ...]:
        """The files that make the dataset, in their order of precedence: of one file, itself."""
        return self.files or (self,)

    @property
    def looked_up(self) -> set[str]:
        """The datasets in which any of its files looks rows up."""
        lookups = chain.from_iterable(part.lookups.values() for part in self.parts)
        return {lookup.dataset for lookup in lookups if lookup.project is None}

    def place_of(self, resource: str | None) -> int:
        """The place from 0 of the file that is made of a resource; of the first where none is named."""
        made = [part.resource for part in self.parts]
        return made.index(resource) if resource in made else 0

    def source_column(self) -> str | None:
        """The column that holds a record's source as sent, in every file; None without one."""
        plain = [
            [c.name for c in part.columns.values() if c.fields == ("source",) and not c.calls and c.values is None]
            for part in self.parts
        ]  # fmt: skip
        return next((name for name in plain[0] if all(name in names for names in plain)), None)


@dataclass(frozen=True)
class Conventions:
    """What of the project file changes values: zones of naive times, other names of sources, what "6 digits" means."""

    timezones: Mapping[str, str] = field(default_factory=dict)
    source_aliases: Mapping[str, str] = field(default_factory=dict)
    float_digits: str = "decimals"
    project: str = ""
    batch_bytes: int = 0
    """What a request may hold; 0 where that is not asked."""


def read_rules(folder: Path) -> dict[str, DatasetRules]:
    """Every mapping in a folder by dataset, looked-up datasets first.

    **Raises**: MappingError where a file cannot be read at all; `migrate mapping check` says more.
    """
    by_dataset: dict[str, list[DatasetRules]] = {}
    for path in mapping_files(folder):
        rules = _read_file(path)
        by_dataset.setdefault(rules.dataset, []).append(rules)
    return _in_order({dataset: _joined(files) for dataset, files in by_dataset.items()})


def _joined(files: list[DatasetRules]) -> DatasetRules:
    """The rules of a dataset that these files make."""
    if len(files) == 1:
        return files[0]
    parts = sorted(files, key=lambda one: one.precedence or 0)
    first = parts[0]
    columns: dict[str, ColumnRule] = {}
    for part in parts:
        columns |= {name: rule for name, rule in part.columns.items() if name not in columns}
    doubts = list(chain.from_iterable(part.doubts for part in parts))
    # Without an order nobody can say which file's row wins a key.
    if len({part.precedence for part in parts} - {None}) < len(parts):
        doubts.append("files without a precedence of their own")
    return replace(first, columns=columns, doubts=tuple(doubts), files=tuple(parts))


def _read_file(path: Path) -> DatasetRules:
    try:
        text = read_mapping_text(path)
    except OSError as error:
        raise MappingError([f"{path}: {error.strerror}"], hint=_HINT) from None
    document = text.document
    if document.problems:
        first = document.problems[0]
        where = f"{path}:{first.place.line}:{first.place.column}"
        raise MappingError([f"{where}: {first.what}"], hint=_HINT)
    try:
        return _dataset(document.value, text.sha256)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{path}: cannot be read as a mapping ({type(error).__name__})"
        raise MappingError([what], hint=_HINT) from None


def _dataset(tree: Mapping[str, Any], sha256: str) -> DatasetRules:
    collapse = tree.get("collapse") or {}
    lookups = {str(name): _lookup(rule) for name, rule in (tree.get("lookups") or {}).items()}
    return DatasetRules(
        dataset=str(tree["dataset"]),
        resource=str(tree["resource"]),
        key=_texts(tree["key"]),
        columns={str(name): _column(str(name), rule) for name, rule in tree["columns"].items()},
        where=tree.get("where"),
        each=tree.get("each"),
        by=collapse.get("by", "latest"),
        order_by=_texts(collapse.get("order_by") or ORDER_BY),
        source_order=_texts(collapse.get("source_order") or ()),
        fill_gaps=bool(collapse.get("fill_gaps", False)),
        lookups=lookups,
        sha256=sha256,
        doubts=(
            *(f"key {name!r}" for name in tree if name not in _FILE_KEYS),
            *(f"collapse.{name}" for name in collapse if name not in _COLLAPSE_KEYS),
        ),
        is_feed=tree.get("target") == "webhook",
        precedence=tree.get("precedence"),
    )


def _column(name: str, rule: Mapping[Any, Any]) -> ColumnRule:
    named = dict(rule)
    values = named.get("values")
    return ColumnRule(
        name=name,
        type=str(named["type"]),
        fields=_texts(named.get("from") or ()),
        sql=named.get("sql"),
        value=_constant(named.get("value")),
        calls=tuple(_call(step) for step in named.get("apply", ())),
        values=None if values is None else {str(text): _constant(value) or "" for text, value in values.items()},
        unlisted=named.get("unlisted", "reject"),
        default=_constant(named.get("default")),
        required=bool(named.get("required", False)),
        # unquoted, YAML reads the word null as nothing
        on_invalid=named.get("on_invalid", "reject") or "null",
        sends_null=named.get("null") == "send",
        digits=named.get("digits"),
        format=named.get("format"),
        timezone=named.get("timezone"),
        pivot=named.get("pivot"),
        consent=bool(named.get("consent", False)),
        recipe=bool(named.get("recipe", False)),
        # Never passed over: a column whose key is not understood would be called right.
        unknown=tuple(key for key in named if key not in _COLUMN_KEYS),
    )  # fmt: skip


def _call(step: Any) -> tuple[str, str | int | None]:
    return (step, None) if isinstance(step, str) else next(iter(step.items()))


def _lookup(rule: Mapping[str, Any]) -> LookupRule:
    return LookupRule(
        dataset=str(rule["dataset"]),
        source=str(rule.get("source", "source")),
        ids=_texts(rule["id"]),
        rejects=rule.get("on_orphan", "keep") == "reject",
        resource=rule.get("resource"),
        project=rule.get("project"),
    )


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(part) for part in value)


def _constant(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _in_order(rules: dict[str, DatasetRules]) -> dict[str, DatasetRules]:
    ordered: dict[str, DatasetRules] = {}

    def place(name: str, above: tuple[str, ...]) -> None:
        # A circle of look-ups is the mapping check's to refuse; here it must only not go on for ever.
        if name in ordered or name not in rules or name in above:
            return
        for looked_up in sorted(rules[name].looked_up):
            place(looked_up, (*above, name))
        ordered[name] = rules[name]

    for name in rules:
        place(name, ())
    return ordered


def names_read(rules: DatasetRules) -> Iterator[str]:
    """Every name that columns, `where` and look-ups read."""
    for rule in rules.columns.values():
        yield from rule.fields
    for lookup in rules.lookups.values():
        yield from (lookup.source, *lookup.ids)
    for sql in (rules.where, *(rule.sql for rule in rules.columns.values())):
        if sql is None:
            continue
        try:
            yield from parse_sql(sql).fields
        except SqlRefused:
            continue
