"""A corrected snapshot reads as one in which the right values had been sent, whoever puts them in."""

from __future__ import annotations

import copy
import json
from itertools import count
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.snapshot.corrected import (
    APPLIED,
    CHANGED,
    MISSING,
    PLANNED,
    corrected_snapshot,
    judge_corrections,
)
from migrate.snapshot.corrections import SCHEMA, Change, corrected_raw, value_sent
from migrate.snapshot.reading import Snapshot
from migrate.snapshot.union import open_union
from migrate.verify.corrected import corrected_raw as corrected_by_verifier
from migrate.workspace import Workspace
from tests.snapshot.test_union import raws, record, seal

RECORD = (
    '{"id":"1","email":"x@","a":{"b":1.10,"c":null},"items":[{"price":"1,0"},{"price":2}],'
    '"o":{"0":{"q":1},"7":{"q":2}},"tags":["a","b"],"x.y":"d", "n" : null ,"e":{},'
    '"w":{"item":[{"q":1}, {"q":2}]}, "big":12345678901234567890}'
)
CASES = [
    ("email", "x@", "jan@x.nl", {"email": "jan@x.nl"}),
    ("a.b", "1.10", "2.50", {"a": {"b": 2.5, "c": None}}),
    ("a.b", "1.10", "zwei", {"a": {"b": "zwei", "c": None}}),
    ("a.c", "", "q", {"a": {"b": 1.1, "c": "q"}}),
    ("a.d", None, "new", {"a": {"b": 1.1, "c": None, "d": "new"}}),
    ("items[2].price", "2", "03", {"items": [{"price": "1,0"}, {"price": "03"}]}),
    ("items[1].kind", None, "z", {"items": [{"price": "1,0", "kind": "z"}, {"price": 2}]}),
    ("o[2].q", "2", None, {"o": {"0": {"q": 1}, "7": {"q": None}}}),
    ("tags[2]", "b", 'é"\\', {"tags": ["a", 'é"\\']}),
    ("tags", '["a","b"]', '["c"]', {"tags": ["c"]}),
    ("x.y", "d", "k", {"x.y": "k"}),
    ("n", None, "v", {"n": "v"}),
    ("other.name", None, "v", {"other.name": "v"}),
    ("e.q", None, "w", {"e": {"q": "w"}}),
    ("w[2].q", "2", "3", {"w": {"item": [{"q": 1}, {"q": 3}]}}),
    ("w.item[1].q", "1", "5", {"w": {"item": [{"q": 5}, {"q": 2}]}}),
    ("w[3].q", None, "c", {}),
    ("tags[3]", None, "c", {}),
    ("email", "another", "z", {}),
]


@pytest.mark.parametrize(("name", "sent", "value", "then"), CASES)
def test_one_value_of_a_record(
    name: str, sent: str | None, value: str | None, then: dict[str, Any]
) -> None:
    """Put in at its place, of its kind where it can be; plan and verifier do the same, and all else stays."""
    change = [Change(name, sent, value)]
    assert json.loads(corrected_raw(RECORD, change)) == {**json.loads(RECORD), **then}
    assert json.loads(corrected_by_verifier(RECORD, change)) == {**json.loads(RECORD), **then}
    spaces = '"n" : null ,"e":{}' if name not in {"n", "e.q"} else '}, {"q"'
    assert spaces in corrected_raw(RECORD, change)
    assert "12345678901234567890" in corrected_raw(RECORD, change)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
leaves = st.one_of(texts, st.integers(-99, 99), st.booleans(), st.none())
names = st.sampled_from(["a", "b", "a.b", "list", "e\u0301", "\U0001f600", 'q"', "0"])
values = st.recursive(
    leaves, lambda inner: st.dictionaries(names, inner, max_size=3) | st.lists(inner, max_size=3), max_leaves=8
)  # fmt: skip
paths = st.lists(st.one_of(names, st.integers(1, 3)), min_size=1, max_size=3)


def path_text(path: list[str | int]) -> str:
    """A path as a correction names it."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


@given(
    body=st.dictionaries(names, values, max_size=4),
    path=paths,
    value=st.none() | texts,
    indent=st.sampled_from([None, 1]),
    is_ascii=st.booleans(),
)
def test_plan_and_verifier_put_the_same_in(
    body: dict[str, Any],
    path: list[str | int],
    value: str | None,
    indent: int | None,
    is_ascii: bool,
) -> None:
    """By a decoder and by counting brackets: the same text comes of it, to the letter, whatever it holds."""
    raw = json.dumps(body, ensure_ascii=is_ascii, indent=indent)
    name = path_text(path)
    try:
        sent = value_sent(raw, name)
    except ValueError:
        sent = None
    change = [Change(name, sent, value)]
    ours, theirs = corrected_raw(raw, change), corrected_by_verifier(raw, change)
    assert ours == theirs
    if json.loads(ours) != body:
        assert (value_sent(ours, name) or "") == (value or "")


fields = st.sampled_from(["name", "deep.city", "list[1].price", "only"])
people = st.dictionaries(
    st.sampled_from(["1", "2", "3", "4", "5"]),
    st.dictionaries(fields, texts, max_size=4),
    min_size=1,
    max_size=5,
)
rights = st.dictionaries(
    st.tuples(st.sampled_from(["1", "2", "3", "4", "5", "6"]), fields), texts, max_size=5
)
_numbers = count()


def as_record(id_: str, told: dict[str, str]) -> dict[str, Any]:
    """A record in which these fields have these values."""
    one: dict[str, Any] = {"source": "s", "id": id_, "deep": {"street": "x"}, "list": [{"kind": 1}]}
    for name, text in told.items():
        if name == "deep.city":
            one["deep"]["city"] = text
        elif name == "list[1].price":
            one["list"][0]["price"] = text
        else:
            one[name] = text
    return one


def corrections(snapshot: Snapshot, people: Any, rights: Any) -> pl.DataFrame:
    """The right values as people have given them, judged."""
    rows = [
        {
            "number": number, "resource": "sales", "source": "s", "id": id_, "field": name,
            "sent": people.get(id_, {}).get(name), "value": text, "by": "b", "why": "w", "at": 0.0,
        }
        for number, ((id_, name), text) in enumerate(rights.items())
    ]  # fmt: skip
    return judge_corrections(snapshot, pl.DataFrame(rows, schema=SCHEMA))


@given(people=people, rights=rights)
def test_it_reads_as_if_the_right_values_had_been_sent(
    tmp_path_factory: pytest.TempPathFactory, people: Any, rights: Any
) -> None:
    """Every field, whether it has a column or not, and the record itself; with and without the JSON beside it."""
    workspace = Workspace(tmp_path_factory.mktemp("corrected") / str(next(_numbers)))
    told = copy.deepcopy(people)
    for (id_, name), text in rights.items():
        if id_ in told:
            told[id_][name] = text
    sent, right = (
        [json.dumps(as_record(*one)).encode() for one in world.items()] for world in (people, told)
    )
    a, b = seal(workspace, "a", sent), seal(workspace, "b", right)
    judged = corrections(a, people, rights)
    assert set(judged.filter(id="6")["state"]) <= {MISSING}
    assert set(judged.filter(pl.col("id").is_in([*people]))["state"]) <= {APPLIED}
    wanted = ["name", "deep", "deep.city", "list", "only", "never"]
    for patch in (corrected_raw, corrected_by_verifier):
        [mine] = list(corrected_snapshot(a, judged, patch).resources["sales"].frames(wanted))
        [theirs] = list(b.resources["sales"].frames(wanted))
        parsed = [[json.loads(raw) for raw in frame["_raw"]] for frame in (mine, theirs)]
        assert parsed[0] == parsed[1]
        for name in ("name", "deep.city", "only", "never"):
            assert mine[name].to_list() == theirs[name].to_list()
        for name in ("deep", "list"):
            assert [json.loads(x) for x in mine[name]] == [json.loads(x) for x in theirs[name]]
        without = list(
            corrected_snapshot(a, judged, patch).resources["sales"].frames(wanted, raw=False)
        )
        assert pl.concat(without).equals(mine.drop("_raw"))
    assert raws(a) == raws(Snapshot(a.name, a.folder, a.manifest, "", a.resources))


def test_a_record_that_says_something_else_now_keeps_it(workspace: Workspace) -> None:
    """A correction is of one value: of another one it does nothing, and its state says so."""
    a = seal(workspace, "a", [record("s", "1", name="new")])
    judged = corrections(a, {"1": {"name": "old"}}, {("1", "name"): "right"})
    assert judged["state"].to_list() == [CHANGED]
    assert raws(corrected_snapshot(a, judged, corrected_raw)) == raws(a)


@pytest.fixture
def workspace(tmp_path: Any) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path)


def test_corrected_records_of_a_base_count_as_changed(workspace: Workspace) -> None:
    """In the delta's own list and in one that it left alone: the base's version stays, the record comes last."""
    before = {
        name: [record("s", "1", n="x"), record("s", "2", n="y")] for name in ("sales", "profiles")
    }
    a = seal(workspace, "a", before)
    seal(workspace, "b", {"sales": [record("s", "1", n="x"), record("s", "2", n="z")]}, base=a)
    union = open_union(workspace, "b")
    rows = [
        {
            "number": 1, "resource": name, "source": "s", "id": "1", "field": "n",
            "sent": "x", "value": "right", "by": "b", "why": "w", "at": 0.0,
        }
        for name in ("sales", "profiles")
    ]  # fmt: skip
    judged = judge_corrections(union, pl.DataFrame(rows, schema=SCHEMA)).cast(PLANNED)
    made = corrected_snapshot(union, judged, corrected_raw)
    for name, fresh in (("sales", {"1": "right", "2": "z"}), ("profiles", {"1": "right"})):
        resource = made.resources[name]
        frame = pl.concat(resource.frames(["n"]))
        touched = frame.filter(pl.col("_position") >= resource.touched_from)
        assert dict(touched.select("_id", "n").iter_rows()) == fresh
        assert frame["_position"].to_list() == [0, 1] == list(range(resource.rows))
        assert [old for part in resource.replaced(["n"]) for old in part["n"]].count("x") == 1
