"""What a mapping's shape cannot say: rules between its parts, and between files.

Of a consent it may say nothing by which silence could become a yes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import polars as pl

from migrate.config import SUMMARY_WEBHOOK
from migrate.language.answers import answer_of, words_of
from migrate.language.yaml_text import Document, Path, Problem
from migrate.language.zones import is_zone
from migrate.mapping.columns import FIELD
from migrate.mapping.fields import IDENTITY, PROJECT, lookup_of, named_uses
from migrate.mapping.formats import refuse_format
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.messages import suggest
from migrate.mapping.model import Column, Constant, Mapping, constant_text
from migrate.mapping.rules import RULES
from migrate.mapping.sql import Expression, SqlRefused, parse_sql, run_sql
from migrate.mapping.types import read_typed
from migrate.workspace import is_name

Found = Iterator[tuple[Path, str]]
_SAMPLES = ("", "a", "1", "0", "1.50", "2020-01-01 00:00:00", None)
_FAILURES = (pl.exceptions.PolarsError, TypeError, ValueError)
_NO_ANSWERS = {"", "null", "none", "nil", "n/a", "na", "nan", "undefined", "unknown", "-", "?"}
# What no yes can be made of: silence, words that mean nothing, and every known no.
_NOT_YES = (None, "", "NULL", "n/a", "unlisted", "zzz", *words_of("no"))
_MOST_FIELDS_CROSSED = 2
_KEY_MUST_HAVE_A_VALUE = "a key column must have a value; remove this"


def check_mapping(mapping: Mapping, document: Document) -> list[Problem]:
    """Everything that is wrong inside one mapping."""
    whats = [
        *_check_key(mapping),
        *_check_target(mapping),
        *_check_alternative_keys(mapping),
        *_check_names(mapping),
        *_check_uses(mapping),
        *_check_lookups(mapping),
        *_check_examples(mapping),
    ]
    if mapping.where is not None:
        whats += [(("where",), what) for what in sql_problems("where", mapping.where)]
    for name, column in mapping.columns.items():
        of_column = [*_check_column(mapping, name, column), *check_consent(mapping, name, column)]
        whats += [(("columns", name, *part), what) for part, what in of_column]
    # Once each: a slip in a column may be seen by more than one of the checks.
    problems = [problem_at(document, path, what) for path, what in whats]
    return list(dict.fromkeys(problems))


def problem_at(document: Document, path: Path, what: str) -> Problem:
    """A problem at a path, which its text names; of a column as a whole it stands at the column's name."""
    of_key = len(path) == 2 and path[0] == "columns"
    named = ".".join(map(str, path))
    return Problem(document.place(path, of_key=of_key), f"{named}: {what}")


def _check_examples(mapping: Mapping) -> Found:
    for number, example in enumerate(mapping.examples):
        at = ("examples", number)
        if (example.record is None) is (example.id is None):
            yield at, "one of `record` and `id`"
        expectations = [example.row is not None, example.reject is not None, example.filter]
        if sum(expectations) != 1:
            yield at, "what is expected of it? one of `row`, `reject`, `filter`"
        if example.reject is not None and example.reject not in RULES:
            yield (*at, "reject"), f"{example.reject!r} is no rule{suggest(example.reject, RULES)}"
        for name in example.row or {}:
            if name not in mapping.columns:
                yield (*at, "row", name), _no_column(mapping, name)


def _no_column(mapping: Mapping, name: str) -> str:
    return f"there is no column {name!r}{suggest(name, mapping.columns)}"


def _check_key(mapping: Mapping) -> Found:
    for index, name in enumerate(mapping.key):
        column = mapping.columns.get(name)
        if column is None:
            yield ("key", index), _no_column(mapping, name)
        elif column.null == "send":
            yield ("columns", name, "null"), _KEY_MUST_HAVE_A_VALUE
        elif column.on_invalid != "reject":
            yield ("columns", name, "on_invalid"), _KEY_MUST_HAVE_A_VALUE
        if name in mapping.key[:index]:
            yield ("key", index), f"{name!r} stands twice"


def _check_target(mapping: Mapping) -> Found:
    if not mapping.is_feed:
        return
    if mapping.dataset == SUMMARY_WEBHOOK:
        what = f"{SUMMARY_WEBHOOK!r} is the webhook of the summaries; give the feed another name"
        yield ("dataset",), what
    if mapping.alternative_keys:
        yield ("alternative_keys",), "a webhook merges nothing; remove this"
    for name, column in mapping.columns.items():
        if column.recipe:
            yield ("columns", name, "recipe"), "what a webhook stores is not compared; remove this"


def _check_alternative_keys(mapping: Mapping) -> Found:
    # As sets: which columns a key has decides what it merges, not the order they are listed in.
    known = {frozenset(mapping.key)}
    for index, key in enumerate(mapping.alternative_keys):
        for place, name in enumerate(key):
            if name not in mapping.columns:
                yield ("alternative_keys", index, place), _no_column(mapping, name)
        if len(set(key)) < len(key):
            yield ("alternative_keys", index), "a column stands twice"
        if frozenset(key) in known:
            yield ("alternative_keys", index), "is the key itself, or stands twice"
        known.add(frozenset(key))


def _check_names(mapping: Mapping) -> Found:
    if mapping.dataset in ("mappings", "scope", "corrections"):
        yield ("dataset",), "a plan has a folder of its own of this name; take another one"
    if not is_name(mapping.dataset):
        what = "a name that Windows keeps for itself or that is too long; files are named by it"
        yield ("dataset",), what
    folded: dict[str, str] = {}
    for name in mapping.columns:
        path = ("columns", name)
        is_bare = name == name.strip() and name.isprintable()
        if name.startswith("__") and name.endswith("__"):
            yield path, "a system column of the target, which cannot be written; remove it"
        elif not name or not is_bare or name[0] in "_^*":
            yield (
                path,
                "a column's name starts with a letter or digit and has no control characters or spaces around it",
            )
        twin = folded.setdefault(name.casefold(), name)
        if twin != name:
            yield path, f"differs from {twin!r} in case only; the target may take them for one"


def _check_uses(mapping: Mapping) -> Found:
    for path, name in named_uses(mapping):
        is_of_element = name == "item" or name.startswith("item.")
        if mapping.each is None and is_of_element:
            yield path, f"{name!r} needs `each`, which names the list whose elements are the rows"
        if not name:
            yield path, "an empty field name"
        if path[0] == "lookups" and name.partition(".")[0] in mapping.lookups:
            yield path, f"{name!r}: a look-up reads fields of the record, not of another look-up"
    for path, name in named_uses(mapping):
        if name in mapping.ignore:
            yield path, f"{name!r} is used here and listed under `ignore`"


def _check_lookups(mapping: Mapping) -> Found:
    taken = {"item", "record", *IDENTITY, PROJECT, "position"}
    for name, lookup in mapping.lookups.items():
        # `name.column` names a column of the look-up, so a dot in the name could not be told from that.
        if not name or "." in name or name in taken:
            yield ("lookups", name), f"{name!r} cannot name a look-up"
        if lookup.dataset == mapping.dataset and lookup.project is None:
            yield ("lookups", name, "dataset"), "a dataset cannot look itself up"


def _check_column(mapping: Mapping, name: str, column: Column) -> Found:
    yield from _check_origin(column)
    yield from _check_calls(column)
    yield from _check_nulls(column, required=mapping.is_required(name))
    yield from _check_settings(column)
    yield from _check_constants(column)
    if column.sql is not None:
        for what in sql_problems("sql", column.sql):
            yield ("sql",), what


def _check_origin(column: Column) -> Found:
    origins = {"from": column.from_, "sql": column.sql, "value": column.value}
    given = [key for key, origin in origins.items() if origin is not None]
    if not given:
        yield (), "where does its value come from? one of `from`, `sql`, `value`"
    if len(given) > 1:
        yield (given[1],), f"`{given[0]}` and `{given[1]}` exclude each other; keep one"
    if column.from_ is not None and not column.fields:
        yield ("from",), "may not be empty"


def _check_calls(column: Column) -> Found:
    for index, step in enumerate(column.apply):
        path = ("apply", index)
        if isinstance(step, str):
            name, argument = step, None
        elif len(step) == 1:
            ((name, argument),) = step.items()
        else:
            yield path, "one function an entry"
            continue
        function = FUNCTIONS.get(name)
        if function is None:
            known = ", ".join(FUNCTIONS)
            yield path, f"{name!r} is no function; one of {known}{suggest(name, FUNCTIONS)}"
            continue
        refused = function.refuse(argument)
        if refused:
            yield path, refused


def _check_nulls(column: Column, *, required: bool) -> Found:
    if column.null != "send":
        return
    if required:
        yield ("null",), "`null: send` and `required` exclude each other"
    elif column.default is not None:
        yield ("null",), "`null: send` and `default` exclude each other"


def _check_settings(column: Column) -> Found:
    """Options that mean nothing where they stand: accepted, a file would say what does not happen."""
    if "unlisted" in column.model_fields_set and column.values is None:
        yield ("unlisted",), "needs `values`"
    if column.digits is not None and column.type != "float":
        yield ("digits",), "is of a float"
    if column.timezone is not None and column.type != "datetime":
        yield ("timezone",), "is of a datetime; a date is never moved by a zone"
    if column.timezone is not None and not is_zone(column.timezone):
        yield ("timezone",), f"{column.timezone!r} is no time zone; as Europe/Amsterdam"
    if column.format is not None:
        refused = refuse_format(column.format)
        if column.type not in {"date", "datetime"}:
            yield ("format",), "is of a date or datetime"
        elif refused:
            yield ("format",), refused
    if column.pivot is not None and "%y" not in (column.format or ""):
        yield ("pivot",), "is of a `format` with %y"


def _check_constants(column: Column) -> Found:
    """Values of the file itself that the column's own type would refuse in every row."""
    constants: list[tuple[Path, Constant]] = []
    if column.value is not None:
        constants.append((("value",), column.value))
    if column.default is not None:
        constants.append((("default",), column.default))
    for text, constant in (column.values or {}).items():
        constants.append((("values", text), constant))
        if text == "":
            yield ("values",), "'' counts as no value and never gets here; use `default`"
    texts = [constant_text(constant) for _, constant in constants]
    rules = _rules_broken(column, texts)
    for (path, _), text, rule in zip(constants, texts, rules, strict=True):
        if text == "":
            yield path, "'' counts as no value; leave it out"
        elif rule is not None:
            yield path, f"{text[:60]!r} does not fit `type: {column.type}` ({rule})"


def _rules_broken(column: Column, texts: Sequence[str]) -> pl.Series:
    """The rule that each constant breaks under the column's type, null where none."""
    if column.format is not None and refuse_format(column.format) is not None:
        # The format is told of by itself; without it the constants can still be looked at.
        column = column.model_copy(update={"format": None})
    zones = pl.Series(["UTC"] * len(texts), dtype=pl.String)
    return read_typed(pl.Series(texts, dtype=pl.String), zones, column, "decimals").rule


def sql_problems(what: str, sql: str) -> list[str]:
    """Why an expression cannot be used: refused with its place, or of no use where it stands."""
    try:
        expression = parse_sql(sql)
    except SqlRefused as refused:
        return [str(refused)]
    if what == "where" and expression.root.kind not in {"boolean", "nothing"}:
        return ["gives a value, not true or false; compare it with something, as in f = 'x'"]
    # Worked out over a few odd texts: what parses may still fail in the engine, and then for every row.
    samples = {FIELD + name: _SAMPLES for name in expression.fields} or {"row": _SAMPLES}
    rows = pl.DataFrame(samples, schema_overrides=dict.fromkeys(samples, pl.String))
    try:
        run_sql(expression, rows, lambda name: pl.col(FIELD + name))
    except _FAILURES as error:
        first_line = (str(error).splitlines() or [""])[0]
        return [f"cannot be worked out: {first_line.replace(FIELD, '')[:160]}"]
    except pl.exceptions.PanicException:
        return ["cannot be worked out"]
    return []


def check_consent(mapping: Mapping, name: str, column: Column) -> Found:
    """Every way in which a consent column could come true without an explicit yes."""
    if not column.consent:
        return
    if column.type != "boolean":
        yield ("consent",), "a consent is of `type: boolean`"
    if name in mapping.key:
        yield ("consent",), "a consent cannot be a key"
    for key, constant in (("value", column.value), ("default", column.default)):
        if constant is not None and constant_text(constant) == "true":
            yield (key,), "would give consent where nobody did; remove it"
    yield from _check_consent_values(column)
    yield from _check_consent_origin(mapping, column)


def _check_consent_values(column: Column) -> Found:
    for text in _yes_texts(column) if column.values is not None else ():
        if text.strip().casefold() in _NO_ANSWERS:
            yield ("values", text), f"{text!r} is no answer and cannot give consent"
        elif answer_of(text) == "no":
            yield ("values", text), f"{text!r} says no or not yet and cannot give consent"
    if column.values is not None and column.unlisted == "keep":
        yield ("unlisted",), "a consent cannot keep what is not listed; reject or omit"
    for index, (function, _) in enumerate(column.calls):
        if function in FUNCTIONS and not FUNCTIONS[function].keeps_consent:
            what = f"`{function}` could turn another answer into a yes; not for a consent"
            yield ("apply", index), what


def _yes_texts(column: Column) -> list[str]:
    """The texts that a consent's `values` make true; without them only the word itself is."""
    if column.values is None:
        return ["true"]
    return [text for text, value in column.values.items() if constant_text(value) == "true"]


def _check_consent_origin(mapping: Mapping, column: Column) -> Found:
    for field in column.fields:
        if lookup_of(mapping, field):
            yield ("from",), f"{field!r}: a consent is of its own record, never looked up"
    if column.sql is None:
        return
    try:
        expression = parse_sql(column.sql)
    except SqlRefused:
        return  # told of with its place by `sql_problems`
    if any(lookup_of(mapping, field) for field in expression.fields):
        yield ("sql",), "a consent is of its own record, never looked up"
    if _speaks_for_the_silent(expression, column):
        what = "gives true where no field it reads says yes: they are null, '', unknown or say no"
        yield ("sql",), what


def _speaks_for_the_silent(expression: Expression, column: Column) -> bool:
    rows = _unsaid_rows(expression.fields)
    try:
        answers = run_sql(expression, rows, lambda field: pl.col(FIELD + field)).values
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return False  # told of by `sql_problems`: the expression does not run
    yes = set(_yes_texts(column))
    return any(answer in yes for answer in answers.cast(pl.String))


def _unsaid_rows(fields: tuple[str, ...]) -> pl.DataFrame:
    """Rows in which nobody said yes: of few fields every answer beside every other, else the same in all."""
    if not fields:
        return pl.DataFrame({"row": ["x"]})
    # Only some are crossed: every answer beside every other in all fields would be millions of rows.
    crossed, others = fields[:_MOST_FIELDS_CROSSED], fields[_MOST_FIELDS_CROSSED:]
    answers = list(product(_NOT_YES, repeat=len(crossed)))
    by_field = dict(zip(crossed, zip(*answers, strict=True), strict=True))
    first = by_field[crossed[0]]
    columns = {FIELD + field: by_field.get(field, first) for field in (*crossed, *others)}
    return pl.DataFrame(columns, schema_overrides=dict.fromkeys(columns, pl.String))
