"""The verifier's evaluator beside the planner's: two readings of one language, written apart, that must agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.language.files import dataset_names
from migrate.mapping.files import read_mappings
from migrate.mapping.transform import Settings, map_rows, needed_fields
from migrate.mapping.types import payloads
from migrate.plan.collapse import CREATED, CollapseRule, collapse_rows
from migrate.plan.rows import created_of
from migrate.snapshot.records import add_fields, identify_page
from migrate.source.resources import PROFILES
from migrate.verify.expected import Expected, Scope, expect_dataset
from migrate.verify.lookup import LookupTable, looked_up_columns
from migrate.verify.rules import Conventions, read_rules

ZONES = {"*": "Europe/Amsterdam", "b": "America/New_York"}
LARGER = settings(max_examples=max(5, settings().max_examples // 3))
"""Of fewer examples with more records each: most of an example's time goes to the query, whatever its rows."""

MAPPING = """
version: 1
dataset: contacts
resource: profiles
key: [contact_key]
where: "skip IS NULL OR NOT skip IN ('yes', 'ja')"
collapse: {by: BY, order_by: [updated, created], source_order: [b, a], fill_gaps: FILL}
columns:
  contact_key: {sql: "COALESCE(NULLIF(LOWER(TRIM(email)), ''), REPLACE(source, '%', '%25') || ':' || id)", type: text}
  word:   {from: [word, nested.word], type: text, apply: [trim, collapse_spaces, {truncate: 5}]}
  bare:   {from: word, type: text, apply: [strip_html, uppercase]}
  whole:  {from: whole, type: integer, on_invalid: omit}
  strict: {from: whole, type: integer}
  amount: {from: amount, type: float, apply: [trim, decimal_comma], on_invalid: "null"}
  raised: {from: amount, type: float, digits: reject, on_invalid: omit}
  given:  {from: given, type: boolean, values: {"1": true, "0": false, "yes": true}, unlisted: omit, "null": send}
  consent: {from: [given, also], type: boolean, consent: true, values: {"1": true, "0": false}, unlisted: omit}
  moment: {from: created, type: datetime, on_invalid: omit}
  here:   {from: created, type: datetime, timezone: Asia/Tokyo, on_invalid: omit}
  day:    {from: created, type: date, on_invalid: omit}
  kept:   {from: nested, type: json, on_invalid: omit}
  kind:   {sql: "CASE WHEN word LIKE 'a%' THEN 'A' WHEN LENGTH(word) > 3 THEN SUBSTR(word, 2, 2) END", type: text}
  origin: {value: datatrics, type: text}
  filled: {from: word, type: text, default: nothing}
  land:   {from: land, type: text, apply: [country], on_invalid: omit}
  fixed:  {from: land, type: text, apply: [fix_text]}
  turned: {sql: "REVERSE(word) || INITCAP(word)", type: text}
  padded: {sql: "LPAD(word, 6, '.') || RPAD(id, 3, '-') || SPLIT_PART(word, ' ', 2)", type: text}
  ends:   {sql: "RIGHT(word, 2) || '|' || LEFT(word, -1) || '|' || SUBSTR(word, -1, 3)", type: text}
  plain:  {sql: "REGEXP_LIKE(word, '^[a-z]+$')", type: boolean}
  widest: {sql: "GREATEST(word, id) || LEAST(word, id)", type: text}
  third:  {sql: "ROUND(TRY_CAST(amount AS DECIMAL) / 3, 4)", type: float, on_invalid: omit}
  summed: {sql: "ABS(-TRY_CAST(amount AS DECIMAL) * 2 + 1.25) % 1000", type: text}
  joined: {sql: "TRY_CAST(amount AS DECIMAL) || '/' || MOD(TRY_CAST(whole AS INTEGER), 7)", type: text}
"""  # fmt: skip

words = st.sampled_from(
    ["", " ", "abc", " Ab  c", "a<b>x</b>", "NULL", "ümlaut", "x\ty", "1", "longer word", 'a"\\b']
)
times = st.sampled_from(
    [
        "2024-03-31 02:30:00", "2024-10-27 02:30:00", "2024-11-03 01:30:00", "2020-01-01", "0000-00-00 00:00:00", "",
        "2020-02-30 10:00:00", "2020-01-01T10:00:00Z", "2020-01-01T10:00:00.123+02:00", "2020-01-01 24:00:00", "soon",
        "1969-12-31 23:59:59", "9999-12-31 23:59:59", "2021-06-01T00:00:00-1130",
    ]
)  # fmt: skip
numbers = st.one_of(
    st.sampled_from(
        [
            "12.000", "1e3", "1.5e-7", "2147483648", "-2147483648", "1,5", "1.234,56", "1.234", "1,234", " 7 ", "-0.0",
            "", "0.0000005", "0.0000015", "123456.7891235", "NaN", "--1", "12345678901234567890",
        ]
    ),
    st.integers(-(2**32), 2**32),
    st.decimals(-(10**6), 10**6, places=8).map(float),
)  # fmt: skip
answers = st.sampled_from(["1", "0", 1, 0, True, None, "", "maybe", "yes"])
lands = st.sampled_from(
    ["Nederland", "the  NETHERLANDS", "nl", "NLD", "Côte d’Ivoire", "Bosnia & Herzegovina", "Atlantis", "", None,
     "ß™", "ñl", "Peru™", " DE\u2003", "CafÃ© ZoÃ«", "Zoë", "â‚¬ 5", "x\x85", "Ã"]
)  # fmt: skip
records = st.fixed_dictionaries(
    {"profileid": st.sampled_from(["1", "2", "03", 4, "5", 6, "007"]), "source": st.sampled_from(["a", "b", "c%"])},
    optional={
        "email": st.sampled_from(["", " ", "Jan@X.nl", "jan@x.nl ", None]), "word": words, "whole": numbers,
        "amount": numbers, "given": answers, "also": answers, "created": times, "updated": times,
        "nested": st.one_of(st.none(), st.fixed_dictionaries({"word": words, "deep": st.just([1, {"a": None}])})),
        "skip": st.sampled_from(["yes", "no", "", None]), "land": lands,
    },
)  # fmt: skip


def identity(record: dict[str, Any]) -> tuple[str, str]:
    """Of a record in a snapshot, which holds each once."""
    return str(record["source"]), str(record["profileid"])


def planned(
    folder: Path, rows: pl.DataFrame, by: str, fill: bool, consents: tuple[str, ...] = ("consent",)
) -> dict[str, dict[str, str | None]]:
    """What the planner sends for each key."""
    mapping = read_mappings(folder)["contacts"]
    wanted = rows.with_columns(
        pl.lit(None, pl.String).alias(name)
        for name in needed_fields(mapping)
        if name not in rows.columns
    )
    settings = Settings(ZONES, {}, "decimals")
    mapped = map_rows(mapping, wanted, {}, settings).accepted.with_row_index("_row")
    mapped = mapped.with_columns(created_of(rows, mapped, settings))
    rule = CollapseRule(by, ("b", "a"), fill, consents)  # type: ignore[arg-type]  # one of its words
    final = collapse_rows(mapped, list(mapping.columns), rule, ["profiles"], drop=(CREATED,)).rows
    texts = [json.loads(body, parse_float=str, parse_int=str) for body in payloads(mapping, final)]
    return {
        body["contact_key"]: {name: _text(value) for name, value in body.items()} for body in texts
    }


def _text(value: Any) -> str | None:
    return str(value).lower() if isinstance(value, bool) else value


def verified(made: Expected) -> dict[str, dict[str, str | None]]:
    """What the verifier expects for each key."""
    found = {}
    for row in made.rows.iter_rows(named=True):
        texts = {name: row[f"c:{name}"] for name in made.columns}
        sent = {
            name
            for place, name in enumerate(made.columns)
            if texts[name] is not None or f",{place}," in (row["_nulls"] or "")
        }
        found[row["_key"]] = {name: text for name, text in texts.items() if name in sent}
    return found


@pytest.fixture(
    scope="module", params=[("latest", "false"), ("first", "true"), ("source_order", "true")]
)
def way(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, bool]:
    """A folder with the mapping, under each ranking."""
    by, fill = request.param
    folder = tmp_path_factory.mktemp(by)
    (folder / "contacts.yaml").write_text(MAPPING.replace("BY", by).replace("FILL", fill))
    return folder, by, fill == "true"


@LARGER
@given(batch=st.lists(records, min_size=1, max_size=24, unique_by=identity))
def test_both_readings_of_a_mapping_agree(
    way: tuple[Path, str, bool], batch: list[dict[str, Any]]
) -> None:
    """The same records kept, the same keys, the same values and the same explicit nulls, to the last digit."""
    folder, by, fill = way
    page = add_fields(
        identify_page(1, [json.dumps(record).encode() for record in batch], PROFILES.fields)
    ).frame
    rows = page.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("_position"))
    made = expect_dataset(
        read_rules(folder)["contacts"], [rows], Conventions(ZONES), {}, lambda _n: None
    )
    assert made.unverifiable == {}
    assert verified(made) == planned(folder, rows, by, fill)
    assert made.read == len(batch)


def test_what_the_verifier_cannot_work_out_is_named(tmp_path: Path) -> None:
    """A column with an unknown function, key or expression is left out, by name."""
    text = """
version: 1
dataset: contacts
resource: profiles
key: [contact_key]
columns:
  contact_key: {from: id, type: text}
  land: {from: word, type: text, apply: [soundex]}
  odd: {from: odd, type: text, sparkle: true}
  far: {sql: "SOUNDEX(word)", type: text}
"""
    (tmp_path / "contacts.yaml").write_text(text)
    rules = read_rules(tmp_path)["contacts"]
    rows = pl.DataFrame(
        {"_position": [0], "_source": ["a"], "_id": ["1"], "_raw": ['{"profileid":"1","word":"x"}']}
    )
    scope = Scope(keep=("far",))
    made = expect_dataset(rules, [rows], Conventions(), {}, lambda _n: None, scope)
    assert made.unverifiable.pop("far").startswith("sql: the function SOUNDEX is not allowed")
    assert made.unverifiable == {"land": "apply: soundex", "odd": "key 'sparkle'"}
    assert made.columns == ("contact_key",)
    assert made.lookup_table(["far", "contact_key"], {}).names == ("contact_key",)
    assert made.rows["_key"].to_list() == ["1"]


@pytest.mark.parametrize("shipped", dataset_names(Path("mappings")))
def test_every_column_of_the_shipped_mappings_can_be_verified(shipped: str) -> None:
    """Nothing in the shipped files is beyond the verifier."""
    from migrate.verify.evaluate import Evaluator

    rules = read_rules(Path("mappings"))[shipped]
    tables = {name: LookupTable(tuple(looked_up_columns(rules, name))) for name in rules.lookups}
    evaluator = Evaluator(rules, Conventions(), tables)
    assert evaluator.unverifiable == {}


GAPS = """
version: 1
dataset: contacts
resource: profiles
key: [contact_key]
collapse: {by: latest, order_by: [updated], fill_gaps: FILL}
columns:
  contact_key: {from: email, type: text}
  city:    {from: word, type: text, null: send}
  level:   {from: whole, type: integer, default: 0}
  born:    {from: created, type: date, on_invalid: "null"}
  choice:  {from: given, CHOICE}
  either:  {from: [given, also], CHOICE}
""".replace(
    "CHOICE",
    'type: boolean, consent: true, default: false, values: {"1": true, "0": false}, unlisted: omit',
)
person = st.fixed_dictionaries(
    {"profileid": st.integers(1, 18).map(str), "source": st.just("a"),
     "email": st.sampled_from(["u", "v", "w", "x", "y", "z"])},
    optional={
        "word": st.sampled_from(["Ede", "", None]), "whole": st.sampled_from(["7", "", None]),
        "created": st.sampled_from(["2020-01-01", "soon", None]), "given": st.sampled_from(["1", "0", "?", None]),
        "also": st.sampled_from(["1", "0", None]), "updated": times,
    },
)  # fmt: skip


@pytest.fixture(scope="module", params=["true", "false"])
def gaps(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a mapping that sends nulls and has defaults, with gaps filled or not."""
    folder = tmp_path_factory.mktemp("gaps")
    (folder / "contacts.yaml").write_text(GAPS.replace("FILL", request.param))
    return folder


@LARGER
@given(batch=st.lists(person, min_size=2, max_size=18, unique_by=identity))
def test_gaps_nulls_and_defaults_end_alike(gaps: Path, batch: list[dict[str, Any]]) -> None:
    """Both readings agree on what fills what, which nulls are sent, and which consents stand."""
    made, plan = _both(gaps, batch)
    assert made == plan


def _both(folder: Path, batch: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    pages = [json.dumps(record).encode() for record in batch]
    page = add_fields(identify_page(1, pages, PROFILES.fields)).frame
    rows = page.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("_position"))
    rules = read_rules(folder)["contacts"]
    made = expect_dataset(rules, [rows], Conventions(ZONES), {}, lambda _n: None)
    assert made.unverifiable == {}
    return verified(made), planned(folder, rows, rules.by, rules.fill_gaps, ("choice", "either"))


def test_a_value_beats_a_null_and_a_default(tmp_path: Path) -> None:
    """The newest record lacks city, level and birthday; the older one has them: nothing is erased or defaulted."""
    (tmp_path / "contacts.yaml").write_text(GAPS.replace("FILL", "true"))
    old = {"profileid": "1", "source": "a", "email": "x", "updated": "2020-01-01 00:00:00"}
    new = {
        "profileid": "2",
        "source": "a",
        "email": "x",
        "updated": "2021-01-01 00:00:00",
        "given": "1",
    }
    has = {"word": "Ede", "whole": "7", "created": "1980-05-01"}
    wanted = {
        "city": "Ede",
        "level": "7",
        "born": "1980-05-01 00:00:00",
        "choice": "true",
        "either": "true",
    }
    for made in _both(tmp_path, [old | has, new | {"created": "soon"}]):
        assert made["x"] == {"contact_key": "x", **wanted}
    for made in _both(tmp_path, [old, new]):
        assert made["x"] == {
            "contact_key": "x",
            "city": None,
            "level": "0",
            "choice": "true",
            "either": "true",
        }
