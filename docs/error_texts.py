"""Finds the texts of every error that a command can end with, by reading the program's own source.

An error is a call of a class of `migrate.errors`, or of click's for a wrong command line. Its text and its hint are
worked out from the source: what only a run can know stands as `…`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from migrate import errors

ROOT = Path(__file__).parents[1] / "migrate"
BLANK = "…"
_DEPTH = 3
"""How far a text is followed through the functions that hand it on."""
_MOST_HINTS = 2
_CLICK = {"BadParameter", "UsageError", "ClickException"}
_RETOLD = {"error.what", "str(error)", "self.what"}
"""Texts of an error that was caught: they are found where that one is made."""
_OF_MAPPINGS = ("mapping/", "language/")
_YIELDING = {"Found", "Iterator[tuple[Path, str]]"}
_WORDING = {
    "_words",
    "refuse_format",
    "_refuse_small",
    "refuse",
    "sql_problems",
    "_parser_words",
    "_fill",
    "_add",
}
_MADE = {"Problem": 1, "SqlRefused": 0, "TableFile": 9}
"""What a problem is made with, and which of its arguments says what is wrong."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, order=True)
class ErrorText:
    """One text a user can meet; `hint` is None where the code gives none. `module` is its file below migrate/."""

    exit_code: int | str
    kind: str
    text: str
    hint: str | None
    module: str


class Program:
    """The parsed source: modules, their constants, and where each function is called."""

    def __init__(self, root: Path) -> None:
        files = sorted(root.rglob("*.py"))
        self.trees = {
            str(file.relative_to(root)): ast.parse(file.read_text(encoding="utf-8"))
            for file in files
        }
        self.imports = {module: _imports_of(tree) for module, tree in self.trees.items()}
        self.constants: dict[tuple[str, str], ast.expr] = {}
        self.calls: dict[str, list[tuple[ast.Call, Scope]]] = {}
        for module, tree in self.trees.items():
            self._read_constants(module, tree)
            for call, scope in _calls_of(module, tree):
                self.calls.setdefault(_name_of(call.func), []).append((call, scope))

    def _read_constants(self, module: str, tree: ast.Module) -> None:
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.constants[module, node.targets[0].id] = node.value

    def constant(self, module: str, name: str) -> ast.expr | None:
        """The value of a module's name, also of one that was imported."""
        if (module, name) in self.constants:
            return self.constants[module, name]
        return self.constants.get((self.imports[module].get(name, ""), name))

    def calls_to(self, function: _Function, module: str) -> Iterator[tuple[ast.Call, Scope]]:
        """The calls of a module's function: there, or where it is imported by its name."""
        for call, scope in self.calls.get(function.name, []):
            here = scope.module == module
            imported = self.imports[scope.module].get(function.name) == module
            if here or (imported and isinstance(call.func, ast.Name)):
                yield call, scope


def _imports_of(tree: ast.Module) -> dict[str, str]:
    """The names that a module imports from the program's own, each with the file that it is of."""
    return {
        name.name: (node.module or "").removeprefix("migrate.").replace(".", "/") + ".py"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }


@dataclass(frozen=True)
class Scope:
    """Where an expression stands."""

    module: str
    function: _Function | None


def _calls_of(module: str, tree: ast.Module) -> Iterator[tuple[ast.Call, Scope]]:
    """Every call of a module, with the innermost function around it."""

    waiting: list[tuple[ast.AST, _Function | None]] = [(tree, None)]
    while waiting:
        node, function = waiting.pop()
        if isinstance(node, _Function):
            function = node
        if isinstance(node, ast.Call):
            yield node, Scope(module, function)
        waiting += [(child, function) for child in ast.iter_child_nodes(node)]


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def texts_of(program: Program, node: ast.expr, scope: Scope, depth: int = 0) -> list[str]:
    """Every text that an expression can be, as far as the source says it; BLANK is what it does not."""
    match node:
        case ast.Constant(value=str(text)):
            found = [text]
        case ast.JoinedStr(values=parts):
            found = _joined(program, parts, scope, depth)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            found = _joined(program, [left, right], scope, depth)
        case ast.FormattedValue(value=value):
            found = _texts_inside(program, value, scope, depth)
        case ast.IfExp(body=body, orelse=other):
            found = _any_of(program, [body, other], scope, depth)
        case ast.List(elts=items) if items:
            found = _any_of(program, items, scope, depth)
        case ast.ListComp(elt=item):
            found = texts_of(program, item, scope, depth)
        case ast.Call(func=ast.Name(id="Sentence"), args=[sentence, *_]):
            found = [re.sub(r"\{\w*\}", BLANK, text) for text in texts_of(program, sentence, scope)]
        case ast.Name(id=name) if depth < _DEPTH:
            found = _texts_of_name(program, name, scope, depth + 1)
        case _:
            found = [BLANK]
    return found


def _any_of(program: Program, nodes: Sequence[ast.expr], scope: Scope, depth: int) -> list[str]:
    return [text for node in nodes for text in texts_of(program, node, scope, depth)]


def _texts_inside(program: Program, value: ast.expr, scope: Scope, depth: int) -> list[str]:
    """What stands in the braces of a text: words where these are known, else BLANK for a name or a number."""
    found = texts_of(program, value, scope, depth)
    return found if any(re.search(r"\w \w|^--", text) for text in found) else [BLANK]


def _joined(program: Program, parts: Sequence[ast.expr], scope: Scope, depth: int) -> list[str]:
    found = [""]
    for part in parts:
        ends = texts_of(program, part, scope, depth)
        found = [begin + end for begin in found for end in ends]
    return found


def _texts_of_name(program: Program, name: str, scope: Scope, depth: int) -> list[str]:
    """The texts of a name: what the function assigns to it, what its callers give, or a module's constant."""
    if scope.function is not None:
        assigned = [
            node.value
            for node in ast.walk(scope.function)
            if isinstance(node, ast.Assign)
            and any(isinstance(to, ast.Name) and to.id == name for to in node.targets)
        ]
        if assigned:
            return _all_texts(program, [(value, scope) for value in assigned], depth)
        given = _given(program, name, scope.function, scope.module)
        if given is not None:
            return _all_texts(program, given, depth)
    value = program.constant(scope.module, name)
    return [BLANK] if value is None else texts_of(program, value, scope, depth)


def _all_texts(program: Program, values: list[tuple[ast.expr, Scope]], depth: int) -> list[str]:
    """The texts of several expressions, without those that say nothing where others say something."""
    found = [text for value, scope in values for text in texts_of(program, value, scope, depth)]
    return [text for text in dict.fromkeys(found) if _says_something(text)] or [BLANK]


def _given(
    program: Program, name: str, function: _Function, module: str
) -> list[tuple[ast.expr, Scope]] | None:
    """What callers give for a parameter; None where it is none."""
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    names = [one for one in names if one != "self"]
    if name not in {*names, *(argument.arg for argument in function.args.kwonlyargs)}:
        return None
    found = []
    for call, scope in program.calls_to(function, module):
        by_name = {keyword.arg: keyword.value for keyword in call.keywords}
        if name in by_name:
            found.append((by_name[name], scope))
        elif name in names and names.index(name) < len(call.args):
            found.append((call.args[names.index(name)], scope))
    return found


def _says_something(text: str) -> bool:
    return len(re.findall(r"[A-Za-z]{2,}", text)) >= 2


def _kind_of(program: Program, call: ast.Call, module: str) -> type[Exception] | None:
    """The error's class, where the module has it from `migrate.errors` or from click."""
    name = _name_of(call.func)
    if isinstance(call.func, ast.Attribute):
        is_click = isinstance(call.func.value, ast.Name) and call.func.value.id == "click"
        return getattr(click, name) if is_click and name in _CLICK else None
    found = getattr(errors, name) if program.imports[module].get(name) == "errors.py" else None
    return found if isinstance(found, type) else None


def find_error_texts(root: Path = ROOT) -> list[ErrorText]:
    """Every error of the program, sorted; what only repeats a text that is made elsewhere is left out."""
    program = Program(root)
    found: set[ErrorText] = set()
    for calls in program.calls.values():
        for call, scope in calls:
            kind = _kind_of(program, call, scope.module) if call.args else None
            if kind is not None and ast.unparse(call.args[0]) not in _RETOLD:
                found.update(_texts_of_error(program, call, scope, kind))
    worded = [one for one in found if re.search("[a-z]{3}", one.text)]
    worded += [*_find_check_texts(program), *_find_problem_texts(program)]
    return sorted(
        worded, key=lambda one: (str(one.exit_code), one.module, one.text, one.hint or "")
    )


def _find_check_texts(program: Program) -> list[ErrorText]:
    """What `migrate check` can find to fail or to look at."""
    found: set[ErrorText] = set()
    for call, scope in program.calls.get("CheckResult", []):
        _name, level, text, *hints = call.args
        if ast.unparse(level) == "'pass'" or ast.unparse(text) in _RETOLD:
            continue
        hint = _hint(program, _nearest(hints[0], call, scope), scope) if hints else None
        for one in texts_of(program, _nearest(text, call, scope), scope):
            found.add(ErrorText("check", "CheckResult", _plain(one), hint, scope.module))
    return [one for one in found if _says_something(one.text)]


def _nearest(node: ast.expr, call: ast.Call, scope: Scope) -> ast.expr:
    """What a name was given last before a call, so that a text keeps its own hint; the node itself else."""
    if not isinstance(node, ast.Name) or scope.function is None:
        return node
    given = [
        one
        for one in ast.walk(scope.function)
        if isinstance(one, ast.Assign)
        and one.lineno < call.lineno
        and ast.unparse(one.targets[0]) == node.id
    ]
    return max(given, key=lambda one: one.lineno).value if given else node


def _find_problem_texts(program: Program) -> list[ErrorText]:
    """What can be wrong in a mapping file, and what a snapshot can say against one."""
    found: set[ErrorText] = set()
    for module, tree in program.trees.items():
        if not module.startswith(_OF_MAPPINGS):
            continue
        kind = "snapshot" if module.endswith("against.py") else "mapping"
        for node, scope in _says_of(program, module, tree):
            for text in texts_of(program, node, scope):
                plain = re.sub(r"\{\w+\}", BLANK, _plain(text))
                found.add(ErrorText(kind, "Problem", plain, None, module))
    return [one for one in found if _says_something(one.text)]


def _says_of(program: Program, module: str, tree: ast.Module) -> Iterator[tuple[ast.expr, Scope]]:
    for function in ast.walk(tree):
        if not isinstance(function, _Function):
            continue
        scope = Scope(module, function)
        yields_problems = ast.unparse(function.returns or ast.Constant(None)) in _YIELDING
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and _name_of(node.func) in _MADE:
                given = [keyword.value for keyword in node.keywords if keyword.arg == "problem"]
                yield from (
                    (one, scope) for one in (*given, *node.args[_MADE[_name_of(node.func)] :][:1])
                )
            elif (
                isinstance(node, ast.Yield)
                and yields_problems
                and isinstance(node.value, ast.Tuple)
            ):
                yield node.value.elts[-1], scope
            elif isinstance(node, ast.Return) and node.value and function.name in _WORDING:
                yield from ((one, scope) for one in _choices(program, node.value, module))


def _choices(program: Program, node: ast.expr, module: str) -> list[ast.expr]:
    """The texts that are chosen from a table by a key; the node itself where none is."""
    if isinstance(node, ast.Call) and _name_of(node.func) == "format":
        return (
            _choices(program, node.func.value, module)
            if isinstance(node.func, ast.Attribute)
            else [node]
        )
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        table = program.constant(module, node.value.id)
        return table.values if isinstance(table, ast.Dict) else [node]
    return [node]


def _texts_of_error(
    program: Program, call: ast.Call, scope: Scope, kind: type[Exception]
) -> Iterator[ErrorText]:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "hint"]
    hint = _hint(program, given[0], scope) if given else None
    exit_code = int(getattr(kind, "exit_code", 1))
    for text in texts_of(program, call.args[0], scope):
        yield ErrorText(exit_code, kind.__name__, _plain(text), hint, scope.module)


def _hint(program: Program, node: ast.expr, scope: Scope) -> str | None:
    """What the code says to do, None where only a run knows it; of many hints the parts that all of them have."""
    found = texts_of(program, node, scope)
    if len(found) > _MOST_HINTS:
        found = texts_of(program, node, scope, _DEPTH)
    told = [_plain(text) for text in found]
    return (
        "; or: ".join(dict.fromkeys(text for text in told if re.search(r"[a-z]{3}", text))) or None
    )


def _plain(text: str) -> str:
    """The text on one line, with neighbouring blanks as one."""
    text = re.sub(rf"\s*\n\s*{BLANK}?", " ", text).strip()
    return re.sub(rf"{BLANK}(?:[\s,]*{BLANK})+", BLANK, text)
