"""Rows under a mapping: accounting, order, look-ups, keys."""

from __future__ import annotations

import json
from collections.abc import Callable

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrate.mapping.model import Mapping
from migrate.mapping.transform import (
    Settings,
    lookup_columns,
    map_rows,
    missing_fields,
    needed_fields,
    typed_schema,
)
from migrate.mapping.types import payloads

Make = Callable[..., Mapping]
Rows = Callable[..., pl.DataFrame]

MIXED = """n: {from: n, type: integer}
f: {from: f, type: float, apply: [decimal_comma]}
d: {from: d, type: datetime, on_invalid: omit}
b: {sql: "CASE WHEN n = '1' THEN 'true' WHEN n = '2' THEN 'x' END", type: boolean}
j: {from: j, type: json, on_invalid: null}
t: {from: [t, n], type: text, apply: [trim], null: send}
__: {value: fixed, type: text}""".replace("__", "c")
_TEXT = (
    st.none()
    | st.sampled_from(
        ["", "1", "2", "-0.5", "1,5", "2020-01-01", "0000-00-00", "{}", "x", "\0", "9" * 20, "NULL"]
    )
    | st.text(max_size=4)
)
_ROW = st.fixed_dictionaries({name: _TEXT for name in ("id", "n", "f", "d", "j", "t")})


@given(st.lists(_ROW, max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_row_ends_in_one_place(
    mapping: Make, rows: Rows, data: list[dict[str, str | None]]
) -> None:
    """Whatever the texts: read = filtered + rejected + accepted, in order, the same again, and each alone the same."""
    made = mapping(MIXED, top="where: \"n IS NULL OR n <> 'x'\"")
    frame = rows(
        ids=[row["id"] for row in data], **{name: [row[name] for row in data] for name in "nfdjt"}
    )
    found = map_rows(made, frame, {}, Settings({"*": "Europe/Amsterdam"}))
    assert found.read == len(data) == found.filtered + found.rejected.height + found.accepted.height
    places = [found.accepted["_position"].to_list(), found.rejected["_position"].to_list()]
    assert all(place == sorted(set(place)) for place in places)
    assert not set(places[0]) & set(places[1])
    assert {name: found.accepted.schema[name] for name in made.columns} == typed_schema(
        made, "decimals"
    )
    sent = payloads(made, found.accepted).to_list()
    for text in sent:
        assert list(json.loads(text)) == [name for name in made.columns if name in json.loads(text)]
    again = map_rows(made, frame, {}, Settings({"*": "Europe/Amsterdam"}))
    assert (
        again.accepted.equals(found.accepted)
        and again.rejected.equals(found.rejected)
        and again.losses == found.losses
    )
    alone = [
        payloads(
            made, map_rows(made, frame[i], {}, Settings({"*": "Europe/Amsterdam"})).accepted
        ).to_list()
        for i in range(len(data))
    ]
    assert [text for part in alone for text in part] == sent


@given(st.lists(st.none() | st.text(max_size=8), min_size=1, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_payload_says_what_the_text_said(
    mapping: Make, rows: Rows, texts: list[str | None]
) -> None:
    """Any text that can be sent is in the payload exactly."""
    found = map_rows(mapping("x: {from: f, type: text}"), rows(f=texts), {}, Settings())
    sent = [
        json.loads(text).get("x")
        for text in payloads(mapping("x: {from: f, type: text}"), found.accepted)
    ]
    assert sent == [text or None for text in texts if "\0" not in (text or "")]


def test_no_rows(mapping: Make, rows: Rows) -> None:
    """An empty snapshot gives empty frames of the right types."""
    made = mapping(MIXED)
    found = map_rows(made, rows(f=["1"]).clear(), {}, Settings())
    assert (found.read, found.accepted.height, found.rejected.height) == (0, 0, 0)
    assert payloads(made, found.accepted).to_list() == []
    assert found.accepted.schema["_recency"] == pl.Datetime("us")


def test_records_without_identity(mapping: Make, rows: Rows) -> None:
    """A record without an id is rejected by name, never keyed 'None'."""
    found = map_rows(mapping(), rows(ids=["1", None, "", "null"]), {}, Settings())
    assert found.accepted["_key"].to_list() == ["1", "null"]
    assert found.rejected["rule"].to_list() == ["id_missing", "id_missing"]


def test_value_of_a_reject_is_short(mapping: Make, rows: Rows) -> None:
    """A report shows at most 200 characters of what was offending."""
    found = map_rows(mapping("x: {from: f, type: integer}"), rows(f=["x" * 5000]), {}, Settings())
    assert found.rejected["value"].to_list() == ["x" * 200]


def test_first_broken_rule_is_named(mapping: Make, rows: Rows) -> None:
    """A row that breaks several rules is rejected once, by the first column in the file."""
    found = map_rows(
        mapping("a: {from: f, type: integer}\nb: {from: f, type: date}"),
        rows(f=["x"]),
        {},
        Settings(),
    )
    assert found.rejected.select("rule", "column").rows() == [("not_an_integer", "a")]


LOOK = "lookups: {c: {dataset: contacts, source: source, id: [pid, pid2], on_orphan: %s}}"


def _contacts() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "source": ["shop", "Magento 2", "shop"],
            "id": ["1", "1", "1"],
            "key": ["s1", "m1", "twice"],
            "n": [7, None, 8],
            "i": ["a", "b", "c"],
        }
    )


def test_lookups_keep_rows_and_order(mapping: Make, rows: Rows) -> None:
    """Each row finds at most one other, exact sources first, then aliases on both sides; orphans are counted."""
    made = mapping(
        "k: {from: c.key, type: text}\nn: {sql: \"c.n || '!'\", type: text}\n"
        "i: {from: c.i, type: text}\nz: {from: c.absent, type: text}",
        top=LOOK % "keep",
    )
    frame = rows(
        sources=["Magento2", "shop", "shop", "Magento 2", "shop"],
        pid=["1", "1", "404", None, ""],
        pid2=[None, "9", None, "1", None],
    )
    found = map_rows(
        made, frame, {"c": _contacts()}, Settings(source_aliases={"Magento2": "Magento 2"})
    )
    assert found.accepted.select("k", "n", "i").rows() == [
        ("m1", None, "b"),
        ("s1", "7!", "a"),
        (None, None, None),
        ("m1", None, "b"),
        (None, None, None),
    ]
    assert found.orphans == {"c": 1}
    assert lookup_columns(made) == {"c": {"key", "n", "i", "absent"}}


def test_orphans_rejected(mapping: Make, rows: Rows) -> None:
    """With `on_orphan: reject` a row whose id finds nothing is rejected; one without id is no orphan."""
    made = mapping("k: {from: c.key, type: text}", top=LOOK % "reject")
    found = map_rows(made, rows(pid=["1", "404", None]), {"c": _contacts()}, Settings())
    assert found.accepted["k"].to_list() == ["s1", None]
    assert found.rejected.select("rule", "column", "value").rows() == [("orphan", "c", "404")]
    assert (found.read, found.orphans) == (3, {"c": 1})


def test_recency(mapping: Make, rows: Rows) -> None:
    """Rows rank by the first time field that has one, in UTC."""
    made = mapping(top="collapse: {order_by: [updated, created]}")
    found = map_rows(
        made,
        rows(
            updated=["2020-01-01 12:00:00", "", "x"],
            created=["2019-01-01", "2018-06-01 12:00:00", None],
        ),
        {},
        Settings({"shop": "Europe/Amsterdam"}),
    )
    assert [str(time) for time in found.accepted["_recency"]] == [
        "2020-01-01 11:00:00",
        "2018-06-01 10:00:00",
        "None",
    ]


def test_recency_of_a_mapped_field(mapping: Make, rows: Rows) -> None:
    """The ranking of a time field is the same whether or not a column holds it, with or without gaps in it."""
    full = ["2020-01-01 12:00:00", "x", "2020-10-25 02:30:00"]
    order, zones = "collapse: {order_by: [updated, created]}", Settings({"*": "Europe/Amsterdam"})
    for updated in (full, ["", None, *full[2:]]):
        frame = rows(
            updated=updated, created=["2019-01-01", "2018-06-01 12:00:00", None], other=full
        )
        times = [
            map_rows(mapping(columns, top=order), frame, {}, zones).accepted["_recency"].to_list()
            for columns in (
                "",
                "u: {from: [updated, other], type: datetime, on_invalid: omit}",
                "u: {from: updated, type: datetime, on_invalid: omit, default: '1999-01-01'}",
            )
        ]
        assert times[1:] == times[:1] * 2
        assert None not in times[0]


def test_keys_of_several_columns(mapping: Make, rows: Rows) -> None:
    """A composite key is compact JSON, so that no two pairs give one text."""
    made = mapping("n: {from: n, type: integer}").model_copy(update={"key": ("key", "n")})
    found = map_rows(made, rows(n=["1", "2", None]), {}, Settings())
    assert found.accepted["_key"].to_list() == ['["0",1]', '["1",2]']
    assert found.rejected.select("rule", "column").rows() == [("key_missing", "n")]


def test_fields_a_reader_needs(mapping: Make) -> None:
    """A mapping names the snapshot columns it reads, and none of those it makes itself."""
    made = mapping(
        'a: {from: [x, item.q, position, id], type: text}\nb: {sql: "UPPER(m.n) || c.key", type: text}',
        top=(LOOK % "keep") + "\neach: items\nwhere: w IS NULL\ncollapse: {order_by: [u]}",
    )
    assert needed_fields(made) == {"x", "m.n", "w", "pid", "pid2", "items", "u"}
    assert missing_fields(made, {"x", "items"}) == ["m.n", "pid", "pid2", "u", "w"]


def test_odd_names(mapping: Make, rows: Rows) -> None:
    """Fields named like wildcards, patterns or with quotes and dots are read as they are."""
    names = ["*", "^.*$", 'a"b', "c d", "é", "x.y", "_id"]
    frame = rows(f=["0"]).with_columns(
        pl.lit(str(i)).alias(name if name != "_id" else "__id") for i, name in enumerate(names)
    )
    columns = "\n".join(
        f"c{i}: {{from: {json.dumps(name if name != '_id' else '__id')}, type: text}}"
        for i, name in enumerate(names)
    )
    found = map_rows(mapping(columns), frame, {}, Settings())
    assert [found.accepted[f"c{i}"].item() for i in range(len(names))] == [
        str(i) for i in range(len(names))
    ]


def test_exact_source_goes_before_its_alias(mapping: Make, rows: Rows) -> None:
    """Where both names of a source hold the id, the name as sent is taken."""
    made = mapping("k: {from: c.key, type: text}", top=LOOK % "keep")
    table = pl.DataFrame(
        {"source": ["Magento 2", "Magento2"], "id": ["1", "1"], "key": ["alias", "exact"]}
    )
    settings_ = Settings(source_aliases={"Magento2": "Magento 2"})
    found = map_rows(
        made, rows(sources=["Magento2", "Magento 2"], pid=["1", "1"]), {"c": table}, settings_
    )
    assert found.accepted["k"].to_list() == ["exact", "alias"]


def test_touched_by_the_delta(mapping: Make, rows: Rows) -> None:
    """A row is touched from its own position on, or where its look-up leads to a touched row; never by an orphan."""
    made = mapping("k: {from: c.key, type: text}", top=LOOK % "keep")
    frame = rows(
        sources=["Magento2", "shop", "shop", "Magento 2", "shop"], pid=["1", "1", "404", None, "1"]
    )
    contacts = _contacts().with_columns(_touched=pl.Series([False, True, True]))
    aliases = Settings(source_aliases={"Magento2": "Magento 2"})

    def touched(table: pl.DataFrame, touched_from: int) -> list[bool]:
        return (
            map_rows(made, frame, {"c": table}, aliases, touched_from)
            .accepted["_touched"]
            .to_list()
        )

    # the first by an alias to a touched row; the second leads to the first of two rows of one identity
    assert touched(contacts, 4) == [True, False, False, False, True]
    assert touched(contacts.drop("_touched"), 4) == [False, False, False, False, True]
    assert (
        touched(contacts.with_columns(_touched=None).cast({"_touched": pl.Boolean}), 5)
        == [False] * 5
    )
    assert touched(contacts, 0) == [True] * 5


def test_touched_keeps_to_its_rows(mapping: Make, rows: Rows) -> None:
    """Rows filtered, rejected or made of a list's elements keep their own record's mark."""
    made = mapping("q: {from: item.q, type: integer}", top='each: items\nwhere: "drop IS NULL"')
    lists = ['[{"q": 1}, {"q": "x"}]', '[{"q": 2}]', '[{"q": 3}]', '[{"q": 4}, {"q": 5}]']
    made = made.model_copy(update={"key": ("q",)})
    found = map_rows(
        made, rows(items=lists, drop=[None, "1", None, None]), {}, Settings(), touched_from=3
    )
    assert found.accepted.select("q", "_touched").rows() == [
        (1, False),
        (3, False),
        (4, True),
        (5, True),
    ]
    assert (found.filtered, found.rejected.height) == (1, 1)


def test_project_is_a_field_of_every_record(mapping: Make, rows: Rows) -> None:
    """The project's number stands beside source and id; a record's own field of that name is `record.project`."""
    made = mapping(
        "p: {sql: \"project || ':' || id\", type: text}\no: {from: record.project, type: text}"
    )
    found = map_rows(made, rows(project=["mine"]), {}, Settings(project="4711"))
    assert found.accepted.select("p", "o").rows() == [("4711:0", "mine")]
    assert needed_fields(made) >= {"project"}
    assert "project" not in needed_fields(mapping("p: {from: project, type: text}"))
