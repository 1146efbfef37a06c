"""Nobody who said no, nothing or something unknown is ever true in a payload, whatever the mapping says."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from migrate.errors import MappingError
from migrate.language.answers import words_of
from migrate.language.sql import parse_sql
from migrate.mapping.fields import element_names
from migrate.mapping.model import Column
from migrate.mapping.model import Mapping as PlannersMapping
from migrate.plan.dataset import Final
from migrate.verify.record import elements, marked_text, reach, split_object

from .cases import make_case
from .engines import Case, Records, planned, verified
from .losses import Record
from .mappings import make_consents
from .surroundings import Surroundings

ASKED = ["fill_gaps", "default of a consent", "consent by SQL", "consent from several", "one key"]
SEEDS = 12
Identity = tuple[int, str | None, str | None, int | None]


def test_a_yes_in_a_payload_is_one_in_its_own_record(tmp_path: Path) -> None:
    """A true consent was said by a field that it reads, in the record that won, and denied by no other."""
    given = refused = 0
    for seed in range(3000, 3000 + SEEDS):
        case, _ = make_case(tmp_path, seed, ASKED, records=120, make=make_consents)
        try:
            for mapping, _, final in planned(case):
                for column, winner, others in _given(mapping, final):
                    given += 1
                    told = f"seed {seed}: {mapping.dataset}.{column}: {winner}"
                    assert _answers(case, mapping, column, winner) == {"yes"}, told
                    for other in others:
                        assert not _denies(case, mapping, column, other), f"{told}, {other}"
                final.clear()
        except MappingError:
            refused += 1
    # without some hundred true consents the test would show nothing
    assert given > 100
    assert refused < SEEDS / 2


def _given(
    mapping: PlannersMapping, final: Final
) -> Iterator[tuple[str, Identity, list[Identity]]]:
    """Each true consent of a dataset: its column, the record of the row, and those that went into it."""
    consents = [name for name, column in mapping.columns.items() if column.consent]
    several = len(mapping.parts) > 1
    resources = list(mapping.resources)
    for frame in final.gathered.rows.frames():
        for row in frame.iter_rows(named=True):
            part = row["_part"] if several else 0
            winner = (part, row["_source"], row["_id"], row["_element"])
            others = [
                (resources.index(one["resource"]), one["source"], one["id"], one["position"])
                for one in row["_sources"] or []
            ]
            for name in consents:
                if row[name]:
                    yield name, winner, [other for other in others if other != winner]


def _answers(case: Case, mapping: PlannersMapping, name: str, who: Identity) -> set[str]:
    """What the fields of a consent say: `yes`, `no`, `unknown`; nothing of those that are silent.

    Of an expression only a yes is told: what its other fields mean only the expression says.
    """
    column = mapping.parts[who[0]].columns[name]
    said = {_answer(column, text) for text in _texts(case, mapping, name, who) if text}
    return said & {"yes"} if column.sql is not None else said


def _denies(case: Case, mapping: PlannersMapping, name: str, who: Identity) -> bool:
    """Whether another record of the key says no: in a field that the column takes as it is."""
    column = mapping.parts[who[0]].columns.get(name)
    if column is None or column.sql is not None:
        return False
    return "no" in {_answer(column, text) for text in _texts(case, mapping, name, who) if text}


def _answer(column: Column, text: str) -> str:
    """What a text says: by the list of the column, and of an expression by the words of four languages, too."""
    listed = column.values if column.values is not None else {"true": True, "false": False}
    answers = {key.casefold(): bool(value) for key, value in listed.items()}
    word = text.strip().casefold()
    for function, _ in column.calls:
        word = " ".join(word.split()) if function == "collapse_spaces" else word
    if column.sql is not None and word in words_of("yes"):
        return "yes"
    if word not in answers:
        return "unknown"
    return "yes" if answers[word] else "no"


def _texts(case: Case, mapping: PlannersMapping, name: str, who: Identity) -> list[str | None]:
    number, source, id_, place = who
    part = mapping.parts[number]
    column = part.columns[name]
    names = column.fields or parse_sql(str(column.sql)).fields
    record = _record(case, part, source, id_, place)
    return [_read(part, name, record) for name in names]


def _record(
    case: Case, part: PlannersMapping, source: str | None, id_: str | None, place: int | None
) -> Record:
    raws = _identities(case, part.resource)[source, id_]
    record = Record(raws.encode(), source, id_)
    if part.each is None or place is None:
        return record
    names = [name.removeprefix("item.") for name in _element_names(part)]
    found = elements(reach(split_object(record.raw) or {}, part.each, marked_text) or "", names)
    assert found is not None
    return replace(record, position=place, element=found[place - 1])


def _element_names(part: PlannersMapping) -> set[str]:
    return {name for name in element_names(part) if name != "item"}


def _identities(case: Case, resource: str) -> dict[tuple[str | None, str | None], str]:
    frame: pl.DataFrame = Records(resource, case.records[resource]).frame
    return {(s, i): raw for raw, s, i in frame.select("_raw", "_source", "_id").iter_rows()}


def _read(part: PlannersMapping, name: str, record: Record) -> str | None:
    own: dict[str, Any] = {"source": record.source, "id": record.id, "project": "12345"}
    if name in own:
        return own[name]
    if part.each is not None and name == "position":
        return str(record.position)
    if part.each is not None and name.partition(".")[0] == "item":
        return record.read_element(name)
    return record.read(name.removeprefix("record."))


VALUES = {"1": True, "0": False}
SAID = {"yes": "1", "no": "0", "unknown": "perhaps", "nothing": None}


@pytest.mark.parametrize("default", [None, False])
@pytest.mark.parametrize("fill_gaps", [False, True])
def test_of_several_records_a_no_wins_and_only_the_first_says_yes(
    tmp_path: Path, fill_gaps: bool, default: bool | None
) -> None:
    """Every three answers of one person: true where the winner says yes and nobody no; false where anybody says no."""
    column: dict[str, Any] = {"from": "optin", "type": "boolean", "consent": True}
    column |= {"values": VALUES, "unlisted": "omit"}
    if default is not None:
        column["default"] = default
    file = {
        "version": 1, "dataset": "contacts", "resource": "profiles", "key": ["k"],
        "collapse": {"by": "latest", "order_by": ["at"], "fill_gaps": fill_gaps},
        "columns": {"k": {"from": "k", "type": "text"}, "yes": column},
    }  # fmt: skip
    (tmp_path / "contacts.yaml").write_text(json.dumps(file))
    expected: dict[str, str | None] = {}
    records = []
    for answers in itertools.product(SAID, repeat=3):
        key = "-".join(answers)
        for rank, answer in enumerate(answers):
            at = f"2020-01-0{3 - rank} 00:00:00"
            records.append({"profileid": f"{key}{rank}", "k": key, "at": at, "optin": SAID[answer]})
        # a default is the winner's own, and no other record's answer
        own = {"yes": "true", "no": "false"}.get(answers[0])
        if own is None and default is not None:
            own = "false"
        expected[key] = "false" if "no" in answers else own
    raws = [json.dumps(record).encode() for record in records]
    case = Case(tmp_path, {"profiles": raws}, Surroundings())
    ((_, mine, _),), ((_, theirs, _),) = list(planned(case)), list(verified(case))
    for outcome in (mine, theirs):
        assert {key: row.get("yes") for key, row in outcome.sent.items()} == expected
    assert Counter(expected.values())["true"] == 9
