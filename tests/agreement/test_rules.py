"""Each rule of the list is broken by a stated record, in both engines, in the same row and at the same column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migrate.mapping.rules import RULES

from .engines import Case, differences, planned, verified
from .surroundings import Surroundings

# by rule: a column, and a value of its field that docs/mapping.md does not let pass
OF_COLUMNS: dict[str, tuple[dict[str, Any], Any]] = {
    "required_missing": ({"from": "v", "type": "text", "required": True}, ""),
    "not_computable": ({"sql": "10 / TRY_CAST(v AS INTEGER)", "type": "integer"}, "0"),
    "unlisted_value": ({"from": "v", "type": "text", "values": {"a": "A"}}, "b"),
    "not_an_integer": ({"from": "v", "type": "integer"}, "1e3"),
    "not_a_number": ({"from": "v", "type": "float"}, "12,50"),
    "out_of_int32": ({"from": "v", "type": "integer"}, "2147483648"),
    "too_many_digits": ({"from": "v", "type": "float", "digits": "reject"}, "0.1234567"),
    "not_a_boolean": ({"from": "v", "type": "boolean"}, "yes"),
    "not_a_datetime": ({"from": "v", "type": "datetime"}, "28-04-2020"),
    "not_a_date": ({"from": "v", "type": "date"}, "2020-02-30"),
    "zero_date": ({"from": "v", "type": "date"}, "0000-00-00"),
    "out_of_calendar": ({"from": "v", "type": "datetime"}, "0001-01-01 00:30:00+02:00"),
    "not_json": ({"from": "v", "type": "json"}, "{x"),
    "unsendable_text": ({"from": "v", "type": "text", "apply": ["sha256"]}, "a\ud83db"),
    "not_an_email": ({"from": "v", "type": "text", "apply": ["email"]}, "jan"),
    "not_a_phone_number": ({"from": "v", "type": "text", "apply": [{"phone": "NL"}]}, "123"),
    "ambiguous_phone_number": (
        {"from": "v", "type": "text", "apply": [{"phone": "DE"}]},
        "4917612345678",
    ),
    "not_a_country": ({"from": "v", "type": "text", "apply": ["country"]}, "Atlantis"),
    "withdrawn_country": ({"from": "v", "type": "text", "apply": ["country"]}, "YUG"),
    "not_an_amount": ({"from": "v", "type": "float", "apply": [{"amount": "nl"}]}, "twelve"),
    "other_number_style": ({"from": "v", "type": "float", "apply": [{"amount": "nl"}]}, "1,234.50"),
    "ambiguous_number": ({"from": "v", "type": "float", "apply": ["decimal_comma"]}, "1.234"),
}
PLAIN = {"profileid": "1", "source": "shop"}
# by rule: what of the file and of the record breaks it, and the column or name that is told
OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "id_missing": ({}, {"source": "shop", "v": "x"}, "id"),
    "key_missing": ({"columns": {"k": {"from": "v", "type": "text"}}}, PLAIN, "k"),
    "each_not_a_list": ({"each": "list"}, {**PLAIN, "list": "no list"}, "list"),
    "empty_element": (
        {"each": "list", "columns": {"k": {"from": ["item.a", "id"], "type": "text"}}},
        {**PLAIN, "list": [{"b": 1}]},
        "list",
    ),
    "orphan": (
        {"lookups": {"mother": {"dataset": "contacts", "id": "m", "on_orphan": "reject"}}},
        {**PLAIN, "conversionid": "1", "m": "nobody"},
        "mother",
    ),
}


def _left(folder: Path, files: list[dict[str, Any]], record: dict[str, Any], most: int) -> Any:
    """What both engines leave out of the last file's dataset."""
    for number, file in enumerate(files):
        (folder / f"{number}.yaml").write_text(json.dumps(file))
    raws = {file["resource"]: [json.dumps(record).encode()] for file in files}
    case = Case(folder, raws, Surroundings(batch_bytes=most))
    assert differences(case) == []
    dataset = files[-1]["dataset"]
    mine = {mapping.dataset: outcome for mapping, outcome, _ in planned(case)}
    theirs = {rules.dataset: outcome for rules, outcome, _ in verified(case)}
    return mine[dataset].left, theirs[dataset].left


def _file(**other: Any) -> dict[str, Any]:
    columns = {"k": {"from": "id", "type": "text"}}
    made = {"version": 1, "dataset": "contacts", "resource": "profiles", "key": ["k"]}
    return made | {"columns": columns} | other


@pytest.mark.parametrize("rule", sorted(RULES))
def test_both_engines_break_each_rule_in_the_same_row(tmp_path: Path, rule: str) -> None:
    """The record that the page calls wrong is left out by both under the rule's name, and by no other."""
    most = 1_000_000
    files = [_file()]
    if rule in OF_COLUMNS:
        column, value = OF_COLUMNS[rule]
        files[0]["columns"]["c"] = column
        record, name = {**PLAIN, "v": value}, "c"
    elif rule == "too_large":
        files[0]["columns"]["c"] = {"from": "v", "type": "text"}
        record, name, most = {**PLAIN, "v": "x" * 500}, None, 400
    else:
        changes, record, name = OTHERS[rule]
        if "lookups" in changes:
            files.append(_file(dataset="orders", resource="sales"))
        files[-1] |= changes
    place = 1 if rule == "empty_element" else None
    identity = record.get("profileid")
    expected = {(files[-1]["resource"], "shop", identity, place, rule, name): 1}
    mine, theirs = _left(tmp_path, files, record, most)
    assert dict(mine) == expected
    assert dict(theirs) == expected


@pytest.mark.parametrize("name", ["id", "source"])
@pytest.mark.parametrize(
    ("spelt", "rule"),
    [(r"x\ud83d", "unsendable_text"), (r"x\u0000", "unsendable_text"), (r"x\\ud83d", None)],
)
def test_an_identity_is_sent_by_the_rule_of_every_text(
    tmp_path: Path, name: str, spelt: str, rule: str | None
) -> None:
    """Half a surrogate pair is refused at its column; a text that spells the escape is a text."""
    field = {"id": "profileid", "source": "source"}[name]
    record = {"profileid": "1", "source": "shop"} | {field: "here"}
    raw = json.dumps(record).replace("here", spelt).encode()
    columns = {"k": {"from": name, "type": "text"}}
    (tmp_path / "0.yaml").write_text(json.dumps(_file(columns=columns)))
    case = Case(tmp_path, {"profiles": [raw]}, Surroundings())
    assert differences(case) == []
    [(_, outcome, _)] = planned(case)
    told = [(row[4], row[5]) for row in outcome.left]
    assert told == ([(rule, "k")] if rule else [])
    assert list(outcome.sent) == ([] if rule else ["x\\ud83d"])


@pytest.mark.parametrize("name", ["n.x", "v"])
def test_a_text_that_spells_an_escape_is_a_text_beside_careless_json(
    tmp_path: Path, name: str
) -> None:
    """A comma too many keeps strict readers from the record, and makes no half of a text."""
    raw = rf'{{"profileid":"1","source":"shop","{name}":"\\ud83d","n":1,}}'.encode()
    columns = {"k": {"from": "id", "type": "text"}, "c": {"from": name, "type": "text"}}
    (tmp_path / "0.yaml").write_text(json.dumps(_file(columns=columns)))
    case = Case(tmp_path, {"profiles": [raw]}, Surroundings())
    assert differences(case) == []
    [(_, outcome, _)] = planned(case)
    assert outcome.sent["1"]["c"] == "\\ud83d"


@pytest.mark.parametrize(
    ("sent", "spelt", "value"),
    [
        (r"\ud83d", r"\ud83d", "v"),
        (r"\uDE00", r"\ude00", "v"),
        (r"\ud83d", r"\ud83d", r"\ud83d"),
        (r"n.\ud83d", r"n.\ud83d", "v"),
    ],
)
@pytest.mark.parametrize("end", ["}", ",}"])
def test_a_name_with_half_a_surrogate_pair_is_its_escape(
    tmp_path: Path, sent: str, spelt: str, value: str, end: str
) -> None:
    """A snapshot names the column so, and both readings find the value there, however careless the JSON; a half in it
    is refused."""
    outer, dot, inner = sent.rpartition(".")
    member = f'"{inner}":"{value}"'
    member = f'"{outer}":{{{member}}}' if dot else member
    raw = f'{{"profileid":"1","source":"shop",{member}{end}'.encode()
    columns = {"k": {"from": "id", "type": "text"}, "c": {"from": spelt, "type": "text"}}
    (tmp_path / "0.yaml").write_text(json.dumps(_file(columns=columns)))
    case = Case(tmp_path, {"profiles": [raw]}, Surroundings())
    assert differences(case) == []
    [(_, outcome, _)] = planned(case)
    assert [row["c"] for row in outcome.sent.values()] == (["v"] if value == "v" else [])
