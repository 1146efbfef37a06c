"""The table of one Datatrics list: orders, pages, replacement."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from migrate.sandbox.datatrics import Table, sort_key


def put(table: Table, record_id: str, source: str = "S", **members: Any) -> None:
    """Keeps one record."""
    table.put((source, record_id), json.dumps({"id": record_id, **members}).encode())


def ids(
    table: Table, sort: str = "created", order: int = 1, source: str | None = None
) -> list[str]:
    """The ids of all records in an order."""
    return [json.loads(item)["id"] for item in table.page(sort, order, source, 1, 1000).items]


def test_ties_are_in_order_of_arrival_and_reversed_as_a_whole() -> None:
    """Equal values keep the order of first arrival; order -1 is the exact reverse; absent comes first."""
    table = Table(("created",))
    for record_id, created in (("a", "2"), ("b", "1"), ("c", "2"), ("d", None)):
        put(table, record_id, **({} if created is None else {"created": created}))
    assert ids(table) == ["d", "b", "a", "c"]
    assert ids(table, order=-1) == ["c", "a", "b", "d"]


def test_a_replaced_record_keeps_its_place_among_equals() -> None:
    """Replacing does not move a record unless its sort value changes."""
    table = Table(("created",))
    for record_id in "abc":
        put(table, record_id, created="1")
    assert ids(table) == ["a", "b", "c"]
    put(table, "a", created="1", changed=True)
    assert ids(table) == ["a", "b", "c"]
    put(table, "a", created="2")
    assert ids(table) == ["b", "c", "a"]
    assert table.delete(("S", "b"))
    assert not table.delete(("S", "b"))
    assert ids(table) == ["c", "a"]


def test_any_field_can_be_sorted_by() -> None:
    """Numbers before texts, dotted names reach inside, and a field of metadata is found by its bare name."""
    table = Table(("metadata", "created"))
    put(table, "x", price="9")
    put(table, "y", price=10)
    put(table, "z", price=9.5, metadata={"image": "a"})
    assert ids(table, "price") == ["z", "y", "x"]
    assert ids(table, "image")[-1] == ids(table, "metadata.image")[-1] == "z"


def test_source_filter() -> None:
    """Only the records of the source, and their total."""
    table = Table(("created",))
    put(table, "a", "one")
    put(table, "b", "two")
    assert table.page("created", 1, "two", 1, 10).total == 1
    put(table, "c", "two")
    assert ids(table, source="two") == ["b", "c"]


def test_sort_key_of_what_is_no_object() -> None:
    """A record that is no object sorts like one without the field."""
    assert sort_key(b"5", (("created",),)) == sort_key(b"{}", (("created",),))


STEPS = st.tuples(
    st.sampled_from(["put", "delete"]), st.sampled_from("abcdef"), st.sampled_from(["1", "2", None])
)


@given(st.lists(STEPS, max_size=30), st.sampled_from([1, -1]), st.integers(1, 4))
def test_pages_are_always_the_sorted_list(
    steps: list[tuple[str, str, Any]], order: int, limit: int
) -> None:
    """However it is changed, the pages of a kept-up order are those of a table built anew, without gap or repeat."""
    table = Table(("created",))
    for action, record_id, created in steps:
        table.page("created", order, None, 1, limit)
        if action == "put":
            put(table, record_id, created=created)
        else:
            table.delete(("S", record_id))
    total = table.page("created", order, None, 1, limit).total
    pages = [
        table.page("created", order, None, number, limit).items
        for number in range(1, -(-total // limit) + 2)
    ]
    assert pages.pop() == []
    fresh = sorted(
        (json.loads(item) for page in pages for item in page),
        key=lambda item: item["created"] or "",
    )
    got = [json.loads(item)["created"] or "" for page in pages for item in page]
    assert len(got) == len(table) == total
    assert got == [item["created"] or "" for item in fresh][::order]
