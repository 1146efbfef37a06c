"""Planner and verifier agree on all that becomes of random records under random mappings.

A case is one record under one mapping. Each difference that was ever found is decided by docs/mapping.md and
docs/sql.md, and the side that was wrong fixed. More cases, or those of one feature: `python -m tests.agreement.run`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from migrate.language.sql import SqlRefused, parse_sql
from migrate.language.sql.tokens import FUNCTIONS as SQL_FUNCTIONS
from migrate.language.sql.tokens import KEYWORDS, TYPES
from migrate.language.sql.tree import Node
from migrate.mapping.formats import MEANINGS, NAMED
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.model import Collapse, Column, Lookup, Mapping
from migrate.mapping.sql import _WORK as NODES

from .cases import RECORDS, Refused, compare, make_case
from .mappings import TYPES as COLUMN_TYPES

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
BLOCKS = 3
# with one to three mappings each: some 2,300 cases in CI, 100,000 and more at night
SEEDS = 1_200 if NIGHTLY else 24
GENERATED_SEEDS = 150


@pytest.mark.parametrize("block", range(BLOCKS))
def test_planner_and_verifier_agree(tmp_path: Path, block: int) -> None:
    """No value, key, null, reject rule, loss, loser or count differs in any generated case."""
    tried = 0
    for seed in range(block * SEEDS // BLOCKS, (block + 1) * SEEDS // BLOCKS):
        try:
            found, _ = compare(tmp_path, seed)
        except Refused:
            continue
        tried += 1
        assert found == [], f"seed {seed}"
    # a generator of mappings that nobody accepts would show nothing
    assert tried * RECORDS >= SEEDS // BLOCKS * RECORDS * 0.6


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Counter[str], str]:
    """The names of all that some hundred seeds hold, and the text of their files."""
    folder = tmp_path_factory.mktemp("generated")
    names: Counter[str] = Counter()
    texts: list[str] = []
    for seed in range(GENERATED_SEEDS):
        names += make_case(folder, seed, records=0)[1]
        texts += [file.read_text() for file in folder.glob("*.yaml") if file.name != "shared.yaml"]
    return names, "\n".join(texts)


def test_every_key_of_a_file_is_generated(generated: tuple[Counter[str], str]) -> None:
    """Each key of a mapping file, its columns, look-ups and collapse stands in some generated file."""
    documents = [json.loads(text) for text in generated[1].splitlines()]
    columns = [column for document in documents for column in document["columns"].values()]
    lookups = [rule for document in documents for rule in document.get("lookups", {}).values()]
    for model, parts in (
        (Mapping, documents),
        (Column, columns),
        (Lookup, lookups),
        (Collapse, [document["collapse"] for document in documents]),
    ):
        known = {field.alias or name for name, field in model.model_fields.items()}
        known -= {"examples"}  # they change no row; tests/agreement/test_examples.py has them
        known -= {"project"}  # a case is one project; tests/app/test_other_projects.py has two
        assert known - {key for part in parts for key in part} == set()


def test_every_type_function_and_code_is_generated(generated: tuple[Counter[str], str]) -> None:
    """Each type of a column, function of `apply`, code of a format and named format is chosen by some seed."""
    known = {*COLUMN_TYPES, *FUNCTIONS, *MEANINGS, *NAMED}
    assert known - generated[0].keys() == set()


def test_all_of_sql_is_generated(generated: tuple[Counter[str], str]) -> None:
    """Each function, word and type of the allowed SQL, and each node of its trees, is in some expression."""
    expressions = [
        sql
        for text in generated[1].splitlines()
        for sql in _expressions(json.loads(text))
        if "$" not in sql
    ]
    words = {word for sql in expressions for word in _words(sql)}
    assert (SQL_FUNCTIONS | KEYWORDS | TYPES) - words == set()
    ops: set[str] = set()
    for sql in expressions:
        try:
            ops |= _ops(parse_sql(sql).root)
        except SqlRefused:
            continue
    assert NODES.keys() - ops == set()


def _expressions(document: dict[str, dict[str, dict[str, str]]]) -> list[str]:
    columns = [column["sql"] for column in document["columns"].values() if "sql" in column]
    where = document.get("where")
    return [*columns, where] if isinstance(where, str) else columns


def _words(sql: str) -> set[str]:
    return {word for word in "".join(c if c.isalnum() or c == "_" else " " for c in sql).split()}


def _ops(node: Node) -> set[str]:
    return {node.op}.union(*(_ops(part) for part in node.args))
