"""What a mapping's shape cannot say: rules between its parts, and between files.

Of a consent it may say nothing by which silence could become a yes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import polars as pl

from migrate.config import SUMMARY_WEBHOOK
from migrate.language.answers import answer_of, words_of
from migrate.language.yaml_text import Document, Path, Place, Problem
from migrate.language.zones import is_zone
from migrate.mapping.columns import FIELD
from migrate.mapping.fields import IDENTITY, PROJECT, lookup_of, named_uses
from migrate.mapping.formats import refuse_format
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.messages import suggest
from migrate.mapping.model import Column, Mapping, constant_text
from migrate.mapping.rules import RULES
from migrate.mapping.sql import Expression, SqlRefused, parse_sql, run_sql
from migrate.mapping.types import read_typed
from migrate.workspace import is_name

Found = Iterator[tuple[Path, str]]
_SAMPLES = ("", "a", "1", "0", "1.50", "2020-01-01 00:00:00", None)
_FAILURES = (pl.exceptions.PolarsError, TypeError, ValueError)
_NO_ANSWERS = {"", "null", "none", "nil", "n/a", "na", "nan", "undefined", "unknown", "-", "?"}
# what no yes can be made of: silence, words that mean nothing, and every known no
_NOT_YES = (None, "", "NULL", "n/a", "unlisted", "zzz", *words_of("no"))
_MOST_FIELDS_CROSSED = 2


def check_mapping(mapping: Mapping, document: Document) -> list[Problem]:
    """Everything that is wrong inside one mapping."""
    found = [
        *_check_key(mapping),
        *_check_target(mapping),
        *_check_alternative_keys(mapping),
        *_check_names(mapping),
        *_check_where(mapping),
        *_check_uses(mapping),
        *_check_lookups(mapping),
        *_check_examples(mapping),
    ]
    for name, column in mapping.columns.items():
        path = ("columns", name)
        for part, what in (
            *_check_column(mapping, name, column),
            *check_consent(mapping, name, column),
        ):
            found.append((path + part, what))
    problems = (
        Problem(_place(document, path), f"{'.'.join(map(str, path))}: {what}")
        for path, what in found
    )
    return list(dict.fromkeys(problems))


def _place(document: Document, path: Path) -> Place:
    """Where a path stands: a column as a whole at its name."""
    return document.place(path, of_key=len(path) == 2 and path[0] == "columns")


def _check_examples(mapping: Mapping) -> Found:
    for number, example in enumerate(mapping.examples):
        at = ("examples", number)
        if (example.record is None) is (example.id is None):
            yield at, "one of `record` and `id`"
        wanted = [example.row is not None, example.reject is not None, example.filter]
        if sum(wanted) != 1:
            yield at, "what is expected of it? one of `row`, `reject`, `filter`"
        if example.reject is not None and example.reject not in RULES:
            yield (*at, "reject"), f"{example.reject!r} is no rule{suggest(example.reject, RULES)}"
        for name in example.row or {}:
            if name not in mapping.columns:
                yield (
                    (*at, "row", name),
                    f"there is no column {name!r}{suggest(name, mapping.columns)}",
                )


def _check_key(mapping: Mapping) -> Found:
    for index, name in enumerate(mapping.key):
        column = mapping.columns.get(name)
        if column is None:
            yield ("key", index), f"there is no column {name!r}{suggest(name, mapping.columns)}"
        elif column.null == "send" or column.on_invalid != "reject":
            setting = "null" if column.null == "send" else "on_invalid"
            yield ("columns", name, setting), "a key column must have a value; remove this"
        if name in mapping.key[:index]:
            yield ("key", index), f"{name!r} stands twice"


def _check_target(mapping: Mapping) -> Found:
    if not mapping.is_feed:
        return
    if mapping.dataset == SUMMARY_WEBHOOK:
        yield (
            ("dataset",),
            f"{SUMMARY_WEBHOOK!r} is the webhook of the summaries; give the feed another name",
        )
    if mapping.alternative_keys:
        yield ("alternative_keys",), "a webhook merges nothing; remove this"
    for name, column in mapping.columns.items():
        if column.recipe:
            yield ("columns", name, "recipe"), "what a webhook stores is not compared; remove this"


def _check_alternative_keys(mapping: Mapping) -> Found:
    known = {frozenset(mapping.key)}
    for index, key in enumerate(mapping.alternative_keys):
        for place, name in enumerate(key):
            if name not in mapping.columns:
                yield (
                    ("alternative_keys", index, place),
                    f"there is no column {name!r}{suggest(name, mapping.columns)}",
                )
        if len(set(key)) < len(key):
            yield ("alternative_keys", index), "a column stands twice"
        if frozenset(key) in known:
            yield ("alternative_keys", index), "is the key itself, or stands twice"
        known.add(frozenset(key))


def _check_names(mapping: Mapping) -> Found:
    if mapping.dataset in ("mappings", "scope", "corrections"):
        yield ("dataset",), "a plan has a folder of its own of this name; take another one"
    if not is_name(mapping.dataset):
        yield (
            ("dataset",),
            "a name that Windows keeps for itself or that is too long; files are named by it",
        )
    folded: dict[str, str] = {}
    for name in mapping.columns:
        path = ("columns", name)
        if name.startswith("__") and name.endswith("__"):
            yield path, "a system column of the target, which cannot be written; remove it"
        elif name != name.strip() or not name or not name.isprintable() or name[0] in "_^*":
            yield (
                path,
                "a column's name starts with a letter or digit and has no control characters or spaces around it",
            )
        if name.casefold() in folded:
            yield (
                path,
                f"differs from {folded[name.casefold()]!r} in case only; the target may take them for one",
            )
        folded.setdefault(name.casefold(), name)


def _check_where(mapping: Mapping) -> Found:
    if mapping.where is not None:
        yield from ((("where",), what) for what in sql_problems("where", mapping.where))


def _check_uses(mapping: Mapping) -> Found:
    for path, name in named_uses(mapping):
        if mapping.each is None and (name == "item" or name.startswith("item.")):
            yield path, f"{name!r} needs `each`, which names the list whose elements are the rows"
        if not name:
            yield path, "an empty field name"
        if path[0] == "lookups" and name.partition(".")[0] in mapping.lookups:
            yield path, f"{name!r}: a look-up reads fields of the record, not of another look-up"
    for path, name in named_uses(mapping):
        if name in mapping.ignore:
            yield path, f"{name!r} is used here and listed under `ignore`"


def _check_lookups(mapping: Mapping) -> Found:
    for name, lookup in mapping.lookups.items():
        if not name or "." in name or name in {"item", "record", *IDENTITY, PROJECT, "position"}:
            yield ("lookups", name), f"{name!r} cannot name a look-up"
        if lookup.dataset == mapping.dataset:
            yield ("lookups", name, "dataset"), "a dataset cannot look itself up"


def _check_column(mapping: Mapping, name: str, column: Column) -> Found:
    yield from _check_origin(column)
    yield from _check_calls(column)
    yield from _check_settings(column, mapping.is_required(name))
    yield from _check_constants(column)
    if column.sql is not None:
        yield from ((("sql",), what) for what in sql_problems("sql", column.sql))


def _check_origin(column: Column) -> Found:
    given = [
        key
        for key, value in (("from", column.from_), ("sql", column.sql), ("value", column.value))
        if value is not None
    ]
    if not given:
        yield (), "where does its value come from? one of `from`, `sql`, `value`"
    if len(given) > 1:
        yield (given[1],), f"`{given[0]}` and `{given[1]}` exclude each other; keep one"
    if column.from_ is not None and not column.fields:
        yield ("from",), "may not be empty"


def _check_calls(column: Column) -> Found:
    for index, step in enumerate(column.apply):
        if isinstance(step, dict) and len(step) != 1:
            yield ("apply", index), "one function an entry"
            continue
        name, argument = (step, None) if isinstance(step, str) else next(iter(step.items()))
        function = FUNCTIONS.get(name)
        if function is None:
            yield (
                ("apply", index),
                f"{name!r} is no function; one of {', '.join(FUNCTIONS)}{suggest(name, FUNCTIONS)}",
            )
            continue
        refused = function.refuse(argument)
        if refused:
            yield ("apply", index), refused


def _check_settings(column: Column, required: bool) -> Found:
    if column.null == "send" and (column.default is not None or required):
        yield (
            ("null",),
            f"`null: send` and `{'required' if required else 'default'}` exclude each other",
        )
    if "unlisted" in column.model_fields_set and column.values is None:
        yield ("unlisted",), "needs `values`"
    if column.digits is not None and column.type != "float":
        yield ("digits",), "is of a float"
    if column.format is not None and column.type not in {"date", "datetime"}:
        yield ("format",), "is of a date or datetime"
    if column.timezone is not None and column.type != "datetime":
        yield ("timezone",), "is of a datetime; a date is never moved by a zone"
    if column.timezone is not None and not is_zone(column.timezone):
        yield ("timezone",), f"{column.timezone!r} is no time zone; as Europe/Amsterdam"
    if column.format is not None:
        refused = refuse_format(column.format)
    else:
        refused = None
    if refused and column.type in {"date", "datetime"}:
        yield ("format",), refused
    if column.pivot is not None and "%y" not in (column.format or ""):
        yield ("pivot",), "is of a `format` with %y"


def _check_constants(column: Column) -> Found:
    constants: list[tuple[Path, str]] = [
        ((key,), constant_text(value))
        for key, value in (("value", column.value), ("default", column.default))
        if value is not None
    ]
    constants += [
        (("values", key), constant_text(value)) for key, value in (column.values or {}).items()
    ]
    if column.values is not None and "" in column.values:
        yield ("values",), "'' counts as no value and never gets here; use `default`"
    yield from _unfit(column, constants)


def _unfit(column: Column, constants: Sequence[tuple[Path, str]]) -> Found:
    unread = column.format is not None and refuse_format(column.format) is not None
    if unread:
        plain = column.model_copy(update={"format": None})
    else:
        plain = column
    texts = [text for _, text in constants]
    zones = pl.Series(["UTC"] * len(texts), dtype=pl.String)
    rules = read_typed(pl.Series(texts, dtype=pl.String), zones, plain, "decimals").rule
    for (path, text), rule in zip(constants, rules, strict=True):
        if text == "":
            yield path, "'' counts as no value; leave it out"
        elif rule is not None:
            yield path, f"{text[:60]!r} does not fit `type: {column.type}` ({rule})"


def sql_problems(what: str, sql: str) -> list[str]:
    """Why an expression cannot be used: refused with its place, or of no use where it stands."""
    try:
        expression = parse_sql(sql)
    except SqlRefused as refused:
        return [str(refused)]
    if what == "where" and expression.root.kind not in {"boolean", "nothing"}:
        return ["gives a value, not true or false; compare it with something, as in f = 'x'"]
    columns = {FIELD + name: _SAMPLES for name in expression.fields} or {"row": _SAMPLES}
    rows = pl.DataFrame(columns, schema_overrides=dict.fromkeys(columns, pl.String))
    try:
        run_sql(expression, rows, lambda name: pl.col(FIELD + name))
    except _FAILURES as error:
        return [f"cannot be worked out: {_first_line(error)}"]
    except pl.exceptions.PanicException:
        return ["cannot be worked out"]
    return []


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].replace(FIELD, "")[:160]


def check_consent(mapping: Mapping, name: str, column: Column) -> Iterator[tuple[Path, str]]:
    """Every way in which a consent column could come true without an explicit yes."""
    if not column.consent:
        return
    if column.type != "boolean":
        yield ("consent",), "a consent is of `type: boolean`"
    if name in mapping.key:
        yield ("consent",), "a consent cannot be a key"
    for key in ("value", "default"):
        if getattr(column, key) is not None and constant_text(getattr(column, key)) == "true":
            yield (key,), "would give consent where nobody did; remove it"
    yield from _check_values(column)
    yield from _check_consent_origin(mapping, column)


def _check_values(column: Column) -> Iterator[tuple[Path, str]]:
    for text, value in (column.values or {}).items():
        if constant_text(value) != "true":
            continue
        if text.strip().casefold() in _NO_ANSWERS:
            yield ("values", text), f"{text!r} is no answer and cannot give consent"
        elif answer_of(text) == "no":
            yield ("values", text), f"{text!r} says no or not yet and cannot give consent"
    if column.values is not None and column.unlisted == "keep":
        yield ("unlisted",), "a consent cannot keep what is not listed; reject or omit"
    for index, (function, _) in enumerate(column.calls):
        if function in FUNCTIONS and not FUNCTIONS[function].keeps_consent:
            yield (
                ("apply", index),
                f"`{function}` could turn another answer into a yes; not for a consent",
            )


def _check_consent_origin(mapping: Mapping, column: Column) -> Iterator[tuple[Path, str]]:
    for field in column.fields:
        if lookup_of(mapping, field):
            yield ("from",), f"{field!r}: a consent is of its own record, never looked up"
    if column.sql is None:
        return
    try:
        expression = parse_sql(column.sql)
    except SqlRefused:
        return
    if any(lookup_of(mapping, field) for field in expression.fields):
        yield ("sql",), "a consent is of its own record, never looked up"
    if _speaks_for_the_silent(expression, column):
        yield (
            ("sql",),
            "gives true where no field it reads says yes: they are null, '', unknown or say no",
        )


def _speaks_for_the_silent(expression: Expression, column: Column) -> bool:
    rows = _unsaid_rows(expression.fields)
    try:
        answers = run_sql(expression, rows, lambda field: pl.col(FIELD + field)).values
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return False  # said elsewhere: the expression does not run
    if column.values is None:
        yes = {"true"}
    else:
        yes = {text for text, value in column.values.items() if constant_text(value) == "true"}
    said = answers.cast(pl.String).to_list()
    return any(answer in yes for answer in said)


def _unsaid_rows(fields: tuple[str, ...]) -> pl.DataFrame:
    """Rows in which nobody said yes: of few fields every answer beside every other, else the same in all."""
    if not fields:
        return pl.DataFrame({"row": ["x"]})
    crossed = fields[:_MOST_FIELDS_CROSSED]
    answers = list(product(_NOT_YES, repeat=len(crossed)))
    # One column of answers a field: those beyond the crossed ones are answered as the first is.
    by_field = list(zip(*answers, strict=True))
    columns = {FIELD + field: by_field[at] for at, field in enumerate(crossed)}
    columns |= dict.fromkeys((FIELD + field for field in fields[len(crossed) :]), by_field[0])
    return pl.DataFrame(columns, schema_overrides=dict.fromkeys(columns, pl.String))
