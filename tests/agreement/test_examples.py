"""An example that the tool writes of a record says what becomes of that record, by both engines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from migrate.errors import MappingError
from migrate.mapping.examples import failing_examples, make_example, read_record
from migrate.mapping.files import read_mapping
from migrate.mapping.transform import Settings

from .cases import make_case
from .engines import Case, Outcome, Records, verified
from .mappings import make_alone
from .surroundings import Surroundings

SEEDS, RECORDS = 10, 12


def test_an_example_of_a_record_holds_and_is_what_both_engines_make_of_it(tmp_path: Path) -> None:
    """Put into its file, examples of generated records pass the check; and they are the verifier's rows, too."""
    kinds = set()
    for seed in range(7000, 7000 + SEEDS):
        case, _ = make_case(tmp_path, seed, records=RECORDS, make=make_alone)
        file = tmp_path / "contacts.0.yaml"
        try:
            mapping = read_mapping(file)
        except MappingError:
            continue
        settings = Settings(project="12345")
        read = [(raw, read_record(raw.decode())) for raw in case.records[mapping.resource]]
        raws = [raw for raw, record in read if record is not None]
        records = [record for _, record in read if record is not None]
        examples = [make_example(mapping, record, settings) for record in records]
        file.write_text(_with_examples(file.read_text(), examples), encoding="utf-8")
        assert failing_examples(read_mapping(file), settings) == [], f"seed {seed}"
        alone = Case(tmp_path, {mapping.resource: raws}, Surroundings())
        ((_, outcome, _),) = verified(alone)
        identities = Records(mapping.resource, raws).frame["_id"]
        for id_, example in zip(identities, examples, strict=True):
            kind, _, said = example.splitlines()[1].strip().partition(": ")
            kinds.add(kind)
            assert _of_verifier(outcome, id_) == (kind, json.loads(said) if kind == "row" else said)
    assert kinds == {"row", "reject", "filter"}


def _with_examples(written: str, examples: list[str]) -> str:
    """The file in lines, examples at its end, as a person puts them there."""
    lines = [f"{key}: {json.dumps(value)}" for key, value in json.loads(written).items()]
    return "\n".join([*lines, "examples:", *examples, ""])


def _of_verifier(outcome: Outcome, id_: str | None) -> tuple[str, Any]:
    """What the verifier makes of the record of an id, in the words of an example."""
    rule = next((rule for _, _, one, _, rule, _ in outcome.left if one == id_), None)
    if rule is not None:
        return "reject", rule
    if str(id_) not in outcome.sent:
        return "filter", "true"
    row = outcome.sent[str(id_)]
    return "row", {name: text for name, text in row.items() if text is not None}
