"""What pydantic found, in words a mapping's author can act on."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from migrate.language.yaml_text import Document, Path, Problem, Unquoted
from migrate.mapping.model import Collapse, Column, Example, Lookup, Mapping

# below it two words have some letters in common by chance
_NEAR = 0.66
_BOUNDS = {
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "too_short": "may not be empty",
    "string_too_short": "an empty name, which finds nothing; name it, or leave it out",
}
_WANTED = {
    "bool_type": "true or false", "string_type": "text", "int_type": "a whole number", "tuple_type": "a list",
    "dict_type": "keys and values", "model_type": "keys and values", "model_attributes_type": "keys and values",
}  # fmt: skip  # a table


def describe(error: ValidationError, document: Document) -> list[Problem]:
    """One problem per place, each with the nearest known word where one is near."""
    problems: dict[Path, Problem] = {}
    for detail in error.errors():
        path = _path_in(document.value, detail["loc"])
        if path in problems and detail["type"] != "extra_forbidden":
            continue
        of_key = detail["type"] in {"extra_forbidden", "missing"}
        problems[path] = Problem(
            document.place(path, of_key=of_key),
            f"{_dotted(path)}{_words(dict(detail), path, document.value)}",
        )
    return list(problems.values())


def repair(tree: Any, error: ValidationError) -> Any:
    """The tree without what the error is about, so that what is wrong with the rest can be told in the same round."""
    fixed = copy.deepcopy(tree)
    for detail in error.errors():
        path = _path_in(fixed, detail["loc"])
        if detail["type"] == "missing":
            holder = _value_at(fixed, path)
            if isinstance(holder, dict):
                holder[str(detail["loc"][-1])] = _stand_in(fixed, str(detail["loc"][-1]))
        elif path:
            holder, last = _value_at(fixed, path[:-1]), path[-1]
            if isinstance(holder, dict):
                holder.pop(last, None)
            elif isinstance(holder, list) and isinstance(last, int):
                holder[last] = "trim"
    return fixed


def _stand_in(tree: Any, key: str) -> Any:
    columns = tree.get("columns") if isinstance(tree, dict) else None
    if isinstance(columns, dict) and columns:
        names = list(columns)
    else:
        names = ["id"]
    known = {
        "version": 1,
        "dataset": "unnamed",
        "resource": "profiles",
        "key": names[:1],
        "type": "text",
    }
    return known.get(
        key, {name: {"from": "id", "type": "text"} for name in names} if key == "columns" else "id"
    )


def suggest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'from'?`, or nothing when no known word is near."""
    words = list(known)
    # letters in the wrong order are the likeliest slip: 'form' is 'from', not 'format'
    swapped = [name for name in words if sorted(name) == sorted(word)]
    near = swapped or difflib.get_close_matches(word, words, n=1, cutoff=_NEAR)
    return f"; did you mean '{near[0]}'?" if near else ""


def _dotted(path: Path) -> str:
    if path:
        return ".".join(str(part) for part in path) + ": "
    return ""


def _path_in(value: Any, loc: tuple[int | str, ...]) -> Path:
    """The part of pydantic's location that exists in the file: it names union members too."""
    path: list[int | str] = []
    for part in loc:
        if not _holds(value, part):
            continue
        value = value[part]
        path.append(part)
    return tuple(path)


def _holds(value: Any, part: int | str) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def _value_at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _words(detail: dict[str, Any], path: Path, tree: Any) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    got = _value_at(tree, path)
    if kind == "extra_forbidden":
        return f"unknown key '{path[-1]}'{suggest(str(path[-1]), _known_keys(path))}"
    if kind == "missing":
        return f"'{detail['loc'][-1]}' is missing"
    if kind == "literal_error":
        options = _options(str(context["expected"]))
        return f"{_show(got)} is no {_noun(path)}; one of {', '.join(options)}{suggest(str(got), options)}"
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**context)
    if kind == "string_pattern_mismatch":
        return f"{_show(got)} is no name; use lower-case letters, digits and _, a letter first"
    if isinstance(got, Unquoted):
        return f"{got.text} is a number whose digits would change; quote it"
    if isinstance(got, int) and kind == "string_type":
        return f"{_show(got)} is no text; quote it"
    wanted = _wanted(path, kind)
    return f"must be {wanted}, is {_show(got)}" if wanted else str(detail["msg"])


def _wanted(path: Path, kind: str) -> str | None:
    if path and path[-1] in {"from", "key", "order_by", "source_order", "ignore"}:
        if path[-1] == "from":
            return "a field name or a list of them"
        return "a list of names, as [a, b]"
    if path and path[0] == "alternative_keys":
        return "a list of lists of columns, as [[email], [phone, lastname]]"
    if (path and path[-1] in {"value", "default"}) or (len(path) > 1 and path[-2] == "values"):
        return "text, a whole number, true or false"
    if "apply" in path:
        return "a function's name or `name: argument`"
    return _WANTED.get(kind)


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        if isinstance(value, list):
            return "a list"
        return "keys and values"
    return repr(value.text if isinstance(value, Unquoted) else value)[:60]


def _noun(path: Path) -> str:
    return str(path[-1]).replace("_", " ") if path else "value"


def _options(expected: str) -> list[str]:
    return [word.strip(" '") for word in expected.replace(" or ", ", ").split(",")]


def _known_keys(path: Path) -> list[str]:
    model: type[BaseModel] = Mapping
    if len(path) > 2 and path[0] == "examples":
        model = Example
    elif len(path) > 1 and path[0] == "collapse":
        model = Collapse
    elif len(path) > 2 and path[0] in {"columns", "lookups"}:
        model = Column if path[0] == "columns" else Lookup
    return [field.alias or name for name, field in model.model_fields.items()]
