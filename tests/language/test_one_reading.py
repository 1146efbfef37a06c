"""Whoever reads a mapping's file reads the same: the planner, the verifier and the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import MappingError
from migrate.language.files import dataset_names, mapping_files
from migrate.mapping.files import read_mappings
from migrate.mapping.model import constant_text
from migrate.sandbox.declare import declare
from migrate.verify.rules import read_rules

# what one reader of YAML or another takes for a number, a time, a truth or nothing
ODD = [
    "0000-00-00", "2024-01-31", "1_000", "2024_01", "0b1", "0o17", "1:30", "12:30:00", "190:20:30", "yes", "no",
    "on", "off", "y", "n", "Yes", "NO", "~x", "null", "nul", "_1", "1_", "+12e03", ".5x", "1e", "0x", "1.2.3",
    "=", "<<", "1,000", "+31612345678x", "12e", "01-02", "é", "true1", "NULLS",
]  # fmt: skip
scalars = st.sampled_from(ODD) | st.from_regex(r"[0-9a-z_.:+-]{1,8}", fullmatch=True)
TEXT = """version: 1
dataset: contacts
resource: profiles
key: [k]
columns:
  k: {{from: id, type: text}}
  {column}: {{from: {field}, type: text, values: {{{key}: {value}, x: y}}, unlisted: keep}}
"""


def _write(folder: Path, text: str, name: str = "contacts.yaml") -> Path:
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def _agree(folder: Path) -> None:
    try:
        mapping = read_mappings(folder)["contacts"]
    except MappingError:
        return  # the planner refuses it, so nobody else is ever given it
    rules = read_rules(folder)["contacts"]
    assert list(mapping.columns) == list(rules.columns)
    for name, column in mapping.columns.items():
        rule = rules.columns[name]
        assert column.fields == rule.fields
        planned = {text: constant_text(value) for text, value in (column.values or {}).items()}
        assert planned == dict(rule.values or {})
    declared = declare(folder, None).datasets[0]
    assert [column.name for column in declared.columns] == list(mapping.columns)


@pytest.mark.parametrize("odd", ODD)
def test_odd_words_are_read_alike(tmp_path: Path, odd: str) -> None:
    """Words that YAML's versions read apart are one text to all, as key, value, field and column."""
    plain = {"column": "c", "field": "f", "key": "k", "value": "v"}
    for place in plain:
        _agree(_write(tmp_path / "m", TEXT.format(**{**plain, place: odd})))


@given(column=scalars, field=scalars, key=scalars, value=scalars)
def test_generated_words_are_read_alike(
    tmp_path_factory: pytest.TempPathFactory, column: str, field: str, key: str, value: str
) -> None:
    """Whatever stands unquoted in a file, no reader takes it for another thing than the planner."""
    folder = tmp_path_factory.getbasetemp() / "generated"
    _agree(_write(folder, TEXT.format(column=column, field=field, key=key, value=value)))


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("0000-00-00", "x", "x"),
        ("1_000", "1_000", "1_000"),
        ("null", "no", "no"),
        ("12:30", "0b1", "0b1"),
    ],
)
def test_each_word_has_its_stated_meaning(tmp_path: Path, key: str, value: str, text: str) -> None:
    """YAML 1.2's: zero dates, digits with underlines, times and binary literals are text, and so is a null key."""
    folder = _write(tmp_path / "m", TEXT.format(column="2024_01", field="f", key=key, value=value))
    rule = read_rules(folder)["contacts"].columns["2024_01"]
    assert dict(rule.values or {}) == {key: text, "x": "y"}


@pytest.mark.parametrize("name", ["contacts.yaml", "contacts.yml", "contacts.YAML"])
def test_both_endings_and_no_hidden_files(tmp_path: Path, name: str) -> None:
    """A `.yml` or `.YAML` is a mapping to all, and what a Mac leaves beside it (`._contacts.yaml`) is one to none."""
    folder = _write(tmp_path / "m", TEXT.format(column="c", field="f", key="k", value="v"), name)
    (folder / "._contacts.yaml").write_bytes(b"\x00\x05\x16\x07\x00\x02")
    assert [file.name for file in mapping_files(folder)] == [name]
    assert dataset_names(folder) == ["contacts"]
    assert list(read_mappings(folder)) == list(read_rules(folder)) == ["contacts"]
    assert [dataset.name for dataset in declare(folder, None).datasets] == ["contacts"]


def test_what_is_wrong_with_a_file_is_told_with_its_place(tmp_path: Path) -> None:
    """The verifier names file, line and column of what is no YAML, as the check does."""
    folder = _write(tmp_path / "m", "version: 1\ndataset: [a\n")
    with pytest.raises(MappingError, match=r"contacts\.yaml:3:1"):
        read_rules(folder)
