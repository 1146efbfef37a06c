"""Policies of a column: values, defaults, what is invalid, what is absent, consent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrate.errors import MappingError
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.model import Mapping
from migrate.mapping.rules import LOSSES, RULES
from migrate.mapping.source_rows import needs_raw
from migrate.mapping.transform import Mapped, Settings, map_rows
from migrate.mapping.types import payloads

Run = Callable[..., Mapped]


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("a@b.nl", True),
        ("a.b+c@d-e.co.uk", True),
        ("a@b", False),
        ("a@@b.nl", False),
        ("a b@c.nl", False),
        (".a@b.nl", False),
        ("a..b@c.nl", False),
        ("a@b.nl\n", False),
        ("a@-b.nl", False),
        ("", None),
        ("@b.nl", False),
        ("a" * 65 + "@b.nl", False),
    ],
)
def test_email_syntax(run: Run, text: str, fits: bool | None) -> None:
    """An address passes unchanged, anything else breaks its rule."""
    found = run("type: text, apply: [email]", [text])
    assert found.accepted["x"].to_list() == ([text] if fits else [None] if fits is None else [])
    assert found.rejected["rule"].to_list() == (["not_an_email"] if fits is False else [])


def test_absent_null_empty_and_null_text(run: Run, mapping: Callable[..., Mapping]) -> None:
    """Null and '' leave the column out; the text NULL is text."""
    found = run("type: text", [None, "", "NULL", " "])
    assert found.accepted["x"].to_list() == [None, None, "NULL", " "]
    assert payloads(mapping("x: {from: f, type: text}"), found.accepted).to_list() == [
        '{"key":"0"}',
        '{"key":"1"}',
        '{"key":"2","x":"NULL"}',
        '{"key":"3","x":" "}',
    ]


def test_null_send_erases(
    mapping: Callable[..., Mapping], rows: Callable[..., pl.DataFrame]
) -> None:
    """`null: send` writes null for what is absent, and `on_invalid: omit` is not absent."""
    made = mapping("x: {from: f, type: integer, null: send, on_invalid: omit}")
    found = map_rows(made, rows(f=["1", None, "", "x"]), {}, Settings())
    sent = payloads(made, found.accepted).to_list()
    assert sent == [
        '{"key":"0","x":1}',
        '{"key":"1","x":null}',
        '{"key":"2","x":null}',
        '{"key":"3"}',
    ]
    assert found.losses == {"x": {"omitted_not_an_integer": 1}}


def test_on_invalid_null(
    mapping: Callable[..., Mapping], rows: Callable[..., pl.DataFrame]
) -> None:
    """`on_invalid: null` writes null for what is invalid, and leaves the absent out."""
    made = mapping("x: {from: f, type: integer, on_invalid: null}")
    found = map_rows(made, rows(f=["1", None, "x"]), {}, Settings())
    assert payloads(made, found.accepted).to_list() == [
        '{"key":"0","x":1}',
        '{"key":"1"}',
        '{"key":"2","x":null}',
    ]
    assert found.losses == {"x": {"nulled_not_an_integer": 1}}


def test_values_are_lost_for_a_reason(run: Run) -> None:
    """Each reason is a loss of its own with its own examples: unread, in no calendar, and no date at all."""
    texts = [
        "1980-05-01T10:00Z",
        "0000-00-00",
        "13/04/1977",
        "0000-00-00",
        "soon",
        "0001-01-01T00:00+05:00",
    ]
    found = run("type: datetime, on_invalid: omit", texts)
    assert found.losses == {
        "x": {"omitted_zero_date": 2, "omitted_not_a_datetime": 2, "omitted_out_of_calendar": 1}
    }
    examples = found.loss_examples["x"]
    assert [example.before for example in examples["omitted_not_a_datetime"]] == [
        "13/04/1977",
        "soon",
    ]
    assert [example.before for example in examples["omitted_out_of_calendar"]] == [texts[-1]]


@pytest.mark.parametrize(
    ("unlisted", "accepted", "rejected", "losses"),
    [
        ("reject", ["m", None], ["unlisted_value"], {}),
        ("omit", ["m", None, None], [], {"x": {"unlisted": 1}}),
        ("keep", ["m", "other", None], [], {"x": {"unlisted": 1}}),
    ],
)
def test_unlisted(
    run: Run, unlisted: str, accepted: list[str], rejected: list[str], losses: object
) -> None:
    """What is not under `values` is rejected, left out or kept, and counted; no value is not unlisted."""
    found = run(
        f"type: text, values: {{male: m, female: f}}, unlisted: {unlisted}", ["male", "other", ""]
    )
    assert found.accepted["x"].to_list() == accepted
    assert found.rejected["rule"].to_list() == rejected
    assert found.losses == losses


def test_unlisted_reject_is_not_softened(run: Run) -> None:
    """`on_invalid: omit` is for types; an unlisted value is still rejected."""
    found = run("type: text, values: {a: b}, on_invalid: omit", ["a", "c"])
    assert (found.accepted["x"].to_list(), found.rejected["rule"].to_list()) == (
        ["b"],
        ["unlisted_value"],
    )


def test_default_is_for_the_absent_only(run: Run) -> None:
    """A default stands in for no value, never for a broken one, and is counted."""
    found = run("type: integer, default: 7, on_invalid: omit", ["1", None, "", "x"])
    assert found.accepted["x"].to_list() == [1, 7, 7, None]
    assert found.losses == {"x": {"defaulted": 2, "omitted_not_an_integer": 1}}


def test_required(run: Run) -> None:
    """A required column without a value rejects its row by name, an invalid one by its own rule."""
    found = run("type: integer, required: true, on_invalid: omit", ["1", "", "x"])
    assert found.rejected.select("rule", "column", "value").rows() == [
        ("required_missing", "x", None),
        ("not_an_integer", "x", "x"),
    ]


def test_first_with_a_value(
    mapping: Callable[..., Mapping], rows: Callable[..., pl.DataFrame]
) -> None:
    """Of several fields the first that is neither null nor '' is taken; fields the snapshot lacks are null."""
    made = mapping("x: {from: [a, absent, b], type: text}")
    found = map_rows(made, rows(a=["1", "", None], b=["2", "3", None]), {}, Settings())
    assert found.accepted["x"].to_list() == ["1", "3", None]


def test_text_as_sent_or_refused(run: Run) -> None:
    """Text is never changed; a NUL is refused, and what only looks like an escape is text."""
    texts = ["a\0b", "\\ud800", "e\u0301\u202e😀", " x ", "\ufffd"]
    found = run("type: text", texts)
    assert found.accepted["x"].to_list() == texts[1:]
    assert found.rejected["rule"].to_list() == ["unsendable_text"]


def test_half_a_surrogate_pair_is_refused(
    mapping: Callable[..., Mapping], rows: Callable[..., pl.DataFrame]
) -> None:
    """Where the record's JSON has half a pair, its escape in the field is refused; sent as a text it is text."""
    raws = ['{"f":"a\\ud800"}', '{"f":"a\\\\ud800"}', '{"f":"a\\\\ud800","g":"\\ud83d\\ude00"}']
    frame = rows(f=["a\\ud800"] * 3).with_columns(pl.Series("_raw", raws))
    found = map_rows(mapping("x: {from: f, type: text}"), frame, {}, Settings())
    assert found.accepted["_id"].to_list() == ["1", "2"]
    assert found.rejected.select("_id", "rule", "column").rows() == [("0", "unsendable_text", "x")]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"f": "a\\ud800", "g": "b"}, True),
        ({"f": "a", "g": "a\\ud800"}, False),
        ({"f": "a\\", "g": "ud800"}, False),
        ({"items": '[{"n": "\\ud83d\\ude00"}]', "f": None}, False),
    ],
)
def test_the_json_is_asked_for_where_a_field_needs_it(
    mapping: Callable[..., Mapping], fields, wanted: bool
) -> None:
    """A field that the mapping reads has the escape of half a pair; a list is read with care of its own."""
    needed = needs_raw(mapping("x: {from: [f, item.n], type: text}", "each: items"))
    assert needed(pl.DataFrame({name: [text, "c"] for name, text in fields.items()})) == wanted


def test_json_is_sent_as_a_quoted_string(run: Run, mapping: Callable[..., Mapping]) -> None:
    """JSON text is checked, kept to the last digit and sent as a string."""
    found = run("type: json", ['{"a":1.10}', "[1,2", '"x"', "NaN", "[" * 100_000])
    assert found.rejected["rule"].to_list() == ["not_json"] * 3
    assert (
        payloads(mapping("x: {from: f, type: json}"), found.accepted).to_list()[0]
        == '{"key":"0","x":"{\\"a\\":1.10}"}'
    )


def test_booleans_are_literal(run: Run) -> None:
    """Only true and false are booleans; other spellings want `values`."""
    found = run("type: boolean", ["true", "false", "1", "yes", "True", None])
    assert found.accepted["x"].to_list() == [True, False, None]
    assert found.rejected["rule"].to_list() == ["not_a_boolean"] * 3


CONSENT = """x: {from: [a, b], type: boolean, consent: true, apply: [trim, lowercase],
  values: {'1': true, 'yes': true, '0': false}, unlisted: %s}"""
_ANSWERS = st.sampled_from([None, "", "1", "yes", " YES ", "0", "NULL", "maybe", "true", "2"])


@given(
    answers=st.lists(st.tuples(_ANSWERS, _ANSWERS), min_size=1, max_size=8),
    unlisted=st.sampled_from(["omit", "reject"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_silence_never_becomes_consent(
    mapping: Callable[..., Mapping],
    rows: Callable[..., pl.DataFrame],
    answers: list[tuple[str | None, str | None]],
    unlisted: str,
) -> None:
    """A consent is true only where a field says yes and no other says anything else."""
    made = mapping(CONSENT % unlisted)
    found = map_rows(
        made, rows(a=[a for a, _ in answers], b=[b for _, b in answers]), {}, Settings()
    )
    got = dict(
        zip(found.accepted["_position"].to_list(), found.accepted["x"].to_list(), strict=True)
    )
    for position, pair in enumerate(answers):
        said = {answer.strip().lower() for answer in pair if answer}
        if got.get(position) is True:
            assert said and said <= {"1", "yes"}
        elif said and said <= {"1", "yes"}:
            raise AssertionError("a plain yes was lost")
        if "0" in said:
            assert got.get(position) in {False, None}


@pytest.mark.parametrize(
    "settings_",
    [
        "from: f, default: true",
        "value: true",
        "from: f, values: {'NULL': true}",
        "from: f, values: {'n/a': true, '1': true}",
        "from: f, values: {'1': true}, unlisted: keep",
        "from: f, apply: [truncate: 1], values: {y: true}",
        "from: f, apply: [strip_html]",
        "sql: \"COALESCE(f, 'true')\"",
        "sql: \"CASE WHEN f = '0' THEN 'false' ELSE 'true' END\"",
        "sql: \"'true'\"",
        'sql: "f IS NULL"',
        "from: l.key",
        "sql: l.key",
    ],
)
def test_consent_by_silence_is_an_error_of_the_file(
    mapping: Callable[..., Mapping], settings_: str
) -> None:
    """Every way for silence to become a yes is refused when the file is read."""
    with pytest.raises(MappingError):
        mapping(
            f"x: {{{settings_}, type: boolean, consent: true}}",
            top="lookups: {l: {dataset: others, id: f}}",
        )


def test_consent_is_boolean_and_no_key(mapping: Callable[..., Mapping]) -> None:
    """A consent of another type is an error of the file."""
    with pytest.raises(MappingError, match="a consent is of `type: boolean`"):
        mapping("x: {from: f, type: text, consent: true}")


def test_consent_by_expression(
    mapping: Callable[..., Mapping], rows: Callable[..., pl.DataFrame]
) -> None:
    """An expression may give consent where it reads an explicit yes."""
    made = mapping(
        "x: {sql: \"CASE WHEN f = 'J' AND g = 'J' THEN 'true' ELSE 'false' END\", type: boolean, consent: true}"
    )
    found = map_rows(made, rows(f=["J", "J", None], g=["J", "N", None]), {}, Settings())
    assert found.accepted["x"].to_list() == [True, False, None]


def test_rules_and_losses_are_documented(tmp_path: Path) -> None:
    """Each rule says what it means and what to do."""
    assert all(rule.says and rule.hint and name == rule.name for name, rule in RULES.items())
    assert all(LOSSES.values())


def test_default_does_not_hide_what_a_function_refused(run: Run) -> None:
    """A value that a function refuses is invalid, not absent: the default is not for it."""
    found = run(
        "type: text, apply: [email], default: none@example.com, on_invalid: omit", ["x", None]
    )
    assert found.accepted["x"].to_list() == [None, "none@example.com"]


def test_null_send_does_not_erase_for_an_unlisted_value(
    mapping: Callable[..., Mapping], rows: Callable[..., pl.DataFrame]
) -> None:
    """An unlisted value that is left out is left out, not sent as null: something was said."""
    made = mapping("x: {from: f, type: text, values: {a: b}, unlisted: omit, null: send}")
    found = map_rows(made, rows(f=["a", "c", None]), {}, Settings())
    assert payloads(made, found.accepted).to_list() == [
        '{"key":"0","x":"b"}',
        '{"key":"1"}',
        '{"key":"2","x":null}',
    ]


def test_consent_by_expression_needs_somebody_to_speak(
    mapping: Callable[..., Mapping], rows: Callable[..., pl.DataFrame]
) -> None:
    """Where all fields of an expression are silent, whatever mix of null and '', it gives no consent; counted."""
    sql = "CASE WHEN f IS NULL AND g = '' THEN 'true' END"
    with pytest.raises(MappingError, match="gives true where no field it reads says yes"):
        mapping(f'x: {{sql: "{sql}", type: boolean, consent: true}}')
    named = "CASE WHEN LENGTH(f) = 40 THEN 'true' WHEN g IS NULL THEN 'false' END"
    made = mapping(f'x: {{sql: "{named}", type: boolean, consent: true}}')
    found = map_rows(made, rows(f=["x" * 40, None, "x"], g=["", None, None]), {}, Settings())
    assert found.accepted["x"].to_list() == [None, None, None]
    assert found.losses == {"x": {"consent_withheld": 1}}


_SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "apply": st.lists(st.sampled_from(sorted(FUNCTIONS)), max_size=2),
        "values": st.dictionaries(
            st.sampled_from(["", "1", "0", "yes", "NULL", "n/a", "-", "x", "nee", "pending"]),
            st.booleans(),
        ),
        "unlisted": st.sampled_from(["reject", "omit", "keep"]),
        "default": st.booleans(),
        "required": st.booleans(),
        "on_invalid": st.sampled_from(["reject", "omit", "null"]),
        "null": st.sampled_from(["omit", "send"]),
        "from": st.sampled_from(["a", "b", ["a", "b"], "l.k"]),
        "value": st.booleans(),
        "sql": st.sampled_from(
            [
                "a",
                "COALESCE(a, 'true')",
                "CASE WHEN a = b THEN 'true' ELSE 'false' END",
                "LOWER(a || b)",
                "l.k",
                "a IS NULL",
            ]
        ),
    },
)
_ANSWER = st.sampled_from(
    [
        None,
        "",
        " ",
        "1",
        "0",
        "yes",
        "YES",
        "true",
        "false",
        "NULL",
        "n/a",
        "-",
        "x",
        "other",
        "nee",
        "pending",
        "non",
    ]
)


@given(_SETTINGS, st.lists(st.tuples(_ANSWER, _ANSWER), min_size=1, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_no_file_lets_the_silent_consent(
    mapping: Callable[..., Mapping],
    rows: Callable[..., pl.DataFrame],
    chosen: dict[str, object],
    answers: list[tuple[str | None, str | None]],
) -> None:
    """Whatever a file says of a consent: it is refused, or rows in which nobody says anything known are never true."""
    column = {**chosen, "type": "boolean", "consent": True}
    try:
        made = mapping(f"x: {json.dumps(column)}", top="lookups: {l: {dataset: others, id: a}}")
    except MappingError:
        return
    table = pl.DataFrame({"source": ["shop"], "id": ["1"], "k": ["true"]})
    frame = rows(a=[a for a, _ in answers], b=[b for _, b in answers])
    found = map_rows(made, frame, {"l": table}, Settings())
    silent = {None, "", " ", "NULL", "n/a", "-", "other", "0", "false", "nee", "pending", "non"}
    got = dict(
        zip(found.accepted["_position"].to_list(), found.accepted["x"].to_list(), strict=True)
    )
    fields = (
        {"a", "b"} if "sql" in column else {f for f in ("a", "b") if f in str(column.get("from"))}
    )
    for position, pair in enumerate(answers):
        said = {answer for name, answer in zip("ab", pair, strict=True) if name in fields}
        if said <= silent:
            assert got.get(position) is not True
