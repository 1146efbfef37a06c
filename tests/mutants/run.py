"""Puts each fault into a module and runs its tests: `python -m tests.mutants.run [--only NAME]`.

Each fault is tried in a process of its own that is forked with the heavy libraries imported, and with what the module
itself imports, so that a module of three hundred lines takes some minutes. What is printed survived: no test has
noticed it.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from tests.mutants.faults import Fault, faults_of

TARGETS = {
    "decide": ("migrate.load.decide", ("tests/load/test_decide.py",)),
    "failing": (
        "migrate.load.failing",
        (
            "tests/load/test_failing.py::test_patience",
            "tests/load/test_failing.py::test_patience_is_bounded",
            "tests/load/test_failing.py::test_patience_at_the_beginning",
        ),
    ),
    "budget": ("migrate.target.budget", ("tests/target/test_budget.py",)),
    "collapse": ("migrate.plan.collapse", ("tests/plan/test_collapse.py",)),
    "numbers": (
        "migrate.mapping.numbers",
        ("tests/mapping/test_numbers.py", "tests/mapping/test_text_functions.py"),
    ),
}
"""By name a module and the tests that are to notice its faults: quick ones, without a server."""
_LONGEST_S = 120


class Faulty(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module with a fault in it."""

    def __init__(self, name: str, file: Path, tree: ast.Module) -> None:
        self._name, self._file, self._tree = name, file, tree

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's spec, None of any other module."""
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._file, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """Runs the module's code with the fault."""
        exec(compile(self._tree, str(self._file), "exec"), module.__dict__)


def main(words: Sequence[str] | None = None) -> int:
    """The number of faults that no test has noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(TARGETS), action="append")
    asked = parser.parse_args(words)
    survived = sum(_survivors(name) for name in asked.only or TARGETS)
    return min(survived, 1)


def _survivors(name: str) -> int:
    """How many faults of a module no test has noticed; each is named as soon as that is known."""
    module, tests = TARGETS[name]
    file = Path(module.replace(".", "/") + ".py")
    _import_libraries(ast.parse(file.read_text(encoding="utf-8")))
    if _is_noticed(None, module, file, tests):
        _say(f"{name}: its tests fail without any fault")
        return 1
    tried = survived = 0
    for fault in faults_of(file.read_text(encoding="utf-8")):
        tried += 1
        if not _is_noticed(fault, module, file, tests):
            survived += 1
            _say(f"  {file}:{fault.line}: {fault.what}")
    _say(f"{name}: {tried} faults, {survived} not noticed")
    return survived


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _import_libraries(tree: ast.Module) -> None:
    """What every test imports, once; of our own only what the module imports: it cannot have the module itself."""
    import httpx
    import polars
    import pydantic
    import pytest

    assert all((httpx, polars, pydantic, pytest))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("migrate."):
            importlib.import_module(str(node.module))


def _is_noticed(fault: Fault | None, module: str, file: Path, tests: Sequence[str]) -> bool:
    """Whether the tests fail; what never ends is noticed as well."""
    child = os.fork()
    if child == 0:
        os._exit(_run_tests(fault, module, file, tests))
    return os.waitpid(child, 0)[1] != 0


def _run_tests(fault: Fault | None, module: str, file: Path, tests: Sequence[str]) -> int:
    import pytest

    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    signal.alarm(_LONGEST_S)
    # None is needed, and pytest would rather have them imported by itself.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    if fault is not None:
        sys.meta_path.insert(0, Faulty(module, file, fault.tree))
    return int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests]))


if __name__ == "__main__":
    sys.exit(main())
