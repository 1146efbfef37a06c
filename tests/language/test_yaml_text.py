"""YAML read with positions and without its dangers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.language.yaml_text import MAX_BYTES, MAX_DEPTH, Place, Unquoted, read_yaml


def test_reads_values_as_yaml_1_2() -> None:
    """`no` and `12:30` are text, true and 5 are not, and a number that would change keeps its digits."""
    text = (
        b"a: no\nb: 12:30\nc: true\nd: 5\ne: 1.10\nf: 007\ng: '5'\nh:\ni: on\n"
        b"j: [x, {y: z}]\nk: 1_000\nl: 0x1f\nm: 1e3\n"
    )
    assert read_yaml(text).value == {
        "a": "no",
        "b": "12:30",
        "c": True,
        "d": 5,
        "e": Unquoted("1.10"),
        "f": Unquoted("007"),
        "g": "5",
        "h": None,
        "i": "on",
        "j": ["x", {"y": "z"}],
        "k": "1_000",
        "l": Unquoted("0x1f"),
        "m": Unquoted("1e3"),
    }


def test_knows_where_things_stand() -> None:
    """Keys and values have their line and column, and what is missing that of what is around it."""
    document = read_yaml(b"version: 1\ncolumns:\n  email: {from: mail, type: text}\n")
    assert document.place(("columns", "email", "type")) == Place(3, 29)
    assert document.place(("columns", "email", "type"), of_key=True) == Place(3, 23)
    assert document.place(("columns", "email", "absent")) == Place(3, 10)
    assert document.place(("absent",)) == Place(1, 1)


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("a: 1\na: 2", Place(2, 1), "a: stands twice, first in line 1"),
        ("a:\n\tb: 2", Place(2, 1), "tab"),
        ("a: &x 1", Place(1, 4), "anchors"),
        ("a: &x [1]\nb: *x", Place(1, 4), "anchors"),
        ("b: *x", Place(1, 4), "aliases"),
        ("a: !!python/object:os.system x", Place(1, 4), "tags"),
        ("a: !x 1", Place(1, 4), "tags"),
        ("%YAML 1.1\n---\na: 1", Place(2, 1), "directives"),
        ("---\na: 1\n---\nb: 2", Place(3, 1), "second document"),
        ("a: [1", Place(1, 6), "expected"),
        ("a:\n  - b: 1\n   c: 2", Place(3, 4), "expected"),
        ("? [a]\n: 1", Place(1, 3), "a key must be text"),
        ("1: a", Place(1, 1), "quote it"),
        ("true: a", Place(1, 1), "quote it"),
        ("a: \x00", Place(1, 1), "not YAML"),
        ("a: " + "[" * 30 + "]" * 30, Place(1, 24), f"deeper than {MAX_DEPTH}"),
    ],
)
def test_refuses(text: str, place: Place, what: str) -> None:
    """Each thing a mapping does not need is refused where it stands."""
    document = read_yaml(text.encode())
    assert document.value is None
    assert len(document.problems) == 1
    assert document.problems[0].place == place
    assert what in document.problems[0].what


def test_refuses_big_and_foreign_bytes() -> None:
    """Files that are too big or no UTF-8 are refused before they are parsed; a BOM is none of them."""
    assert "bytes" in read_yaml(b" " * (MAX_BYTES + 1)).problems[0].what
    assert read_yaml(b"a: 1\nb: \xff").problems[0].place == Place(2, 1)
    assert read_yaml(b"\xef\xbb\xbfa: 1").value == {"a": 1}


def test_a_bomb_does_not_go_off() -> None:
    """Nested aliases that would expand to billions of values are refused at the first anchor."""
    lines = ["a0: &a0 [x,x]"] + [
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)
    ]
    assert "anchors" in read_yaml("\n".join(lines).encode()).problems[0].what


@given(
    st.binary(max_size=60)
    | st.text(alphabet="ab:-[]{}!&*%#|>'\"\n\t ,?~1.", max_size=60).map(str.encode)
)
def test_any_bytes_end_in_a_value_or_a_problem(data: bytes) -> None:
    """Whatever the file holds, reading it raises nothing."""
    document = read_yaml(data)
    assert document.problems == [] or document.value is None
