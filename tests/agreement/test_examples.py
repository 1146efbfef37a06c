"""An example that the tool writes of a record says what becomes of that record, by both engines."""

from __future__ import annotations

import json
from pathlib import Path

from migrate.errors import MappingError
from migrate.mapping.examples import failing_examples, make_example, read_record
from migrate.mapping.files import read_mapping
from migrate.mapping.transform import Settings

from .cases import make_case
from .engines import Case, verified
from .mappings import make_alone
from .surroundings import Surroundings

SEEDS, RECORDS = 16, 12


def test_an_example_of_a_record_holds_and_is_what_both_engines_make_of_it(tmp_path: Path) -> None:
    """Put into its file, an example of a generated record passes the check; and it is the verifier's row, too."""
    kinds = set()
    for seed in range(7000, 7000 + SEEDS):
        case, _ = make_case(tmp_path, seed, records=RECORDS, make=make_alone)
        file = tmp_path / "contacts.0.yaml"
        written = file.read_text()
        try:
            mapping = read_mapping(file)
        except MappingError:
            continue
        for raw in case.records[mapping.resource]:
            record = read_record(raw.decode())
            example = make_example(mapping, record, Settings(project="12345"))
            kinds.add(example.splitlines()[1].split(":")[0].strip())
            file.write_text(_with_example(written, example), encoding="utf-8")
            made = read_mapping(file)
            assert failing_examples(made, Settings(project="12345")) == [], f"seed {seed}: {raw!r}"
            _is_the_verifiers(tmp_path, example, raw, mapping.resource)
        file.write_text(written)
    assert kinds == {"row", "reject", "filter"}


def _with_example(written: str, example: str) -> str:
    """The file in lines, an example at its end, as a person puts it there."""
    lines = [f"{key}: {json.dumps(value)}" for key, value in json.loads(written).items()]
    return "\n".join([*lines, "examples:", example, ""])


def _is_the_verifiers(folder: Path, example: str, raw: bytes, resource: str) -> None:
    """Whether what an example says is what the verifier makes of the record."""
    case = Case(folder, {resource: [raw]}, Surroundings())
    ((_, outcome, _),) = verified(case)
    kind, _, said = example.splitlines()[1].strip().partition(": ")
    if kind == "reject":
        assert said in {rule for *_, rule, _ in outcome.left}, raw
    elif kind == "filter":
        assert outcome.filtered == 1, raw
    else:
        (row,) = outcome.sent.values()
        assert {name: text for name, text in row.items() if text is not None} == json.loads(said)
