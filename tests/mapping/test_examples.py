"""Examples in mapping files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from migrate.errors import MappingError
from migrate.mapping.examples import (
    check_examples,
    failing_examples,
    make_example,
    masked_record,
    read_record,
    refuse_failing,
)
from migrate.mapping.files import read_mapping, read_mappings
from migrate.mapping.model import Mapping
from migrate.mapping.transform import Settings

FOLDER = Path(__file__).parents[2] / "mappings"
LINES = "n: {from: amount, type: float, apply: [{amount: nl}]}\nt: {from: deep.name, type: text}"


@pytest.mark.parametrize("dataset", sorted(read_mappings(FOLDER)))
def test_shipped_examples_come_out_as_they_say(dataset: str) -> None:
    """Each shipped file has examples, and they hold."""
    made = read_mappings(FOLDER)[dataset]
    assert made.examples
    assert list(check_examples(made, Settings())) == []


@pytest.mark.parametrize(
    ("example", "what"),
    [
        (
            '{record: {profileid: "1", amount: "1.299", deep: {name: x}}, row: {n: 1299, t: x}}',
            None,
        ),
        (
            '{record: {profileid: "1", amount: "1.299"}, row: {n: "1.299"}}',
            "n is '1299'; expected: '1.299'",
        ),
        ('{record: {profileid: "1"}, row: {t: x}}', "t is left out; expected: 'x'"),
        ('{record: {profileid: "1", amount: "1.5"}, reject: other_number_style}', None),
        (
            '{record: {profileid: "1", amount: "1.5"}, row: {n: "1.5"}}',
            "is rejected (other_number_style); expected: a row",
        ),
        (
            '{record: {profileid: "1", amount: "1"}, reject: not_an_amount}',
            "makes a row; expected: a reject",
        ),
        ('{record: {profileid: "1", skip: "y"}, filter: true}', None),
        ('{record: {profileid: "1", amount: 12}, row: {n: 12}}', None),
        ('{record: {amount: "1"}, reject: id_missing}', None),
    ],
)
def test_what_is_expected_is_compared(
    mapping: Callable[..., Mapping], example: str, what: str | None
) -> None:
    """Rows by column, rejects by rule, filters; what differs is said with its place in the file."""
    made = mapping(LINES, top=f'where: "skip IS NULL"\nexamples:\n  - {example}')
    found = failing_examples(made, Settings())
    assert (found == []) is (what is None)
    if what is not None:
        assert what in found[0]
        assert found[0].startswith("test.yaml:7:5: examples.0: ")
        with pytest.raises(MappingError, match=r"examples\.0"):
            refuse_failing([made], Settings(), lambda _resource, _fields: iter(()))


@pytest.mark.parametrize(
    ("example", "what"),
    [
        ("{row: {n: 1}}", "one of `record` and `id`"),
        ('{id: "1"}', "what is expected of it?"),
        ('{id: "1", reject: not_an_amout}', "is no rule; did you mean 'not_an_amount'?"),
        ('{id: "1", row: {m: 1}}', "there is no column 'm'"),
        ('{id: "1", filter: true, rows: {}}', "unknown key 'rows'"),
    ],
)  # fmt: skip
def test_an_example_has_a_shape(mapping: Callable[..., Mapping], example: str, what: str) -> None:
    """A mistake in an example is one of the file's problems."""
    with pytest.raises(MappingError, match=what.replace("?", r"\?").replace("`", ".")):
        mapping(LINES, top=f"examples:\n  - {example}")


def test_a_record_of_the_snapshot_by_its_id(mapping: Callable[..., Mapping]) -> None:
    """An id finds its record; one that is not there is told."""
    made = mapping(LINES, top='examples:\n  - {id: "7", row: {n: 5}}\n  - {id: "8", row: {n: 5}}')

    def find(record_id: str, _source: str | None) -> dict[str, object] | None:
        return {"profileid": "7", "amount": "5"} if record_id == "7" else None

    assert list(check_examples(made, Settings(), find)) == [(1, "the snapshot has no record '8'")]
    assert list(check_examples(made, Settings())) == []


def test_a_masked_record_makes_an_example_that_holds(
    tmp_path: Path, mapping: Callable[..., Mapping]
) -> None:
    """What is printed can be put into the file, holds there, and shows nobody's data."""
    made = mapping(LINES)
    record = read_record(
        '{"profileid": 12, "amount": "1.234,56", "deep": {"name": "Jan de Wit"}, "x": [1.50, null, true]}'
    )
    text = make_example(made, masked_record(record), Settings())
    assert "Jan" not in text
    file = Path(made.file)
    both = f"examples:\n{text}\n{make_example(made, record, Settings())}\n"
    file.write_text(file.read_text(encoding="utf-8") + both, encoding="utf-8")
    again = read_mapping(file)
    assert len(again.examples) == 2
    assert list(check_examples(again, Settings())) == []


def test_a_masked_record_shows_the_rule_that_the_record_shows() -> None:
    """Letters and digits say who; a euro sign, a dash, a space that does not break and a zero date say nothing."""
    record = {
        "price": "€\u00a01.299,50", "name": "Zoë van Dijk", "born": "00-00-0000", "line": "12 – 14’s", "n": 7,
        "items": [{"sku": "A1"}, {"sku": "B2"}, {"sku": "C3"}],
    }  # fmt: skip
    assert masked_record(record) == {
        "price": "€\u00a01.111,11", "name": "Aaa aaa Aaaa", "born": "00-00-0000", "line": "11 – 11’a", "n": 1,
        "items": [{"sku": "A1"}, {"sku": "A1"}],
    }  # fmt: skip
