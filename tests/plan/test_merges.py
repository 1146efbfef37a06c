"""Which records would become one, against a brute-force model; and what is odd about keys."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.mapping.texts import PLACEHOLDER
from migrate.plan.classify import ComparedColumns, label_rows, label_unread
from migrate.plan.keys import odd_values
from migrate.plan.merges import Forecasted, Planned, forecast_merges
from migrate.plan.tables import FrameTable

NOWHERE = Path("nothing is put aside of so few rows")
TYPES = {"k": pl.String(), "email": pl.String(), "phone": pl.String(), "age": pl.Int32()}


def forecast(
    rows: list[dict],
    held: list[dict] | None,
    alternatives=(("email",), ("phone",)),
    touched: list[bool] | None = None,
) -> Forecasted:
    """The forecast of planned `rows` against `held` ones."""
    frame = pl.DataFrame([{n: row.get(n) for n in TYPES} for row in rows], TYPES)
    ours = FrameTable(frame.with_columns(pl.col("k").alias("_key")))
    columns = ComparedColumns(TYPES, ("k",))
    names = ["__masterid__", *TYPES]
    texts = [{n: row.get(n) for n in names} for row in held or ()]
    there = (
        None if held is None else FrameTable(pl.DataFrame(texts, dict.fromkeys(names, pl.String)))
    )
    told = None if touched is None else pl.Series(touched, dtype=pl.Boolean)
    found = (
        label_unread(columns) if there is None else label_rows(ours, there, columns, NOWHERE, told)
    )
    planned = Planned(ours, found.labels, told)
    return forecast_merges(planned, there, columns, alternatives, repeated=found.repeated_keys > 0)


def row(k: str, email: str | None = None, phone: str | None = None, **values: object) -> dict:
    """A planned row, or with `m` one of the target."""
    return {"k": k, "email": email, "phone": phone, **values}


def test_one_row_that_matches_two_records_makes_them_one() -> None:
    """By its key and by an alternative key: one masterid of two disappears, and the list names both."""
    held = [row("a", "old@x", __masterid__="m1"), row("b", "new@x", __masterid__="m2")]
    found = forecast([row("a", "new@x")], held)
    assert (found.counts.clusters, found.counts.masterids_lost, found.counts.rows_fused) == (
        1,
        1,
        0,
    )
    assert found.clusters.select("place", "masterid", "through", "value").rows() == [
        ("both", "m1", "email", "new@x"),
        ("target", "m2", "email", "new@x"),
    ]


def test_records_fuse_through_others() -> None:
    """A and b share an e-mail, b and c a telephone: one cluster of three planned rows, two of them fused."""
    counts = forecast(
        [row("a", "x@x"), row("b", "x@x", "1"), row("c", None, "1"), row("d", "y@x", "2")], []
    ).counts
    assert (counts.clusters, counts.records, counts.largest) == (1, 3, 3)
    assert (counts.masterids_lost, counts.rows_fused) == (0, 2)


def test_nothing_and_empty_match_nobody() -> None:
    """Null and '' are no value of a key, on either side; rows without them are counted."""
    held = [row("h", "", __masterid__="m1"), row("i", None, __masterid__="m2")]
    counts = forecast([row("a", ""), row("b", None)], held).counts
    assert counts.clusters == 0


def test_what_is_not_sent_merges_nothing() -> None:
    """Two records that share an e-mail already stay two where the plan sends neither."""
    held = [row("a", "x@x", __masterid__="m1"), row("b", "x@x", __masterid__="m2")]
    assert forecast([row("a", "x@x")], held).counts.clusters == 0
    assert forecast([row("a", "x@x", age=3)], held).counts.masterids_lost == 1


def test_rows_of_the_target_with_one_key_merge_when_it_is_sent() -> None:
    """Without any alternative key: the key itself matches two records."""
    held = [row("a", __masterid__="m1"), row("a", __masterid__="m2")]
    assert forecast([row("a", "x@x")], held, ()).counts.masterids_lost == 1
    assert forecast([row("a")], held, ()).counts.masterids_lost == 0


def test_keys_of_several_columns_match_whole() -> None:
    """One column alone is no match; numbers match by value."""
    pair = [row("a", "x@x", age=1), row("b", "x@x", age=2), row("c", "x@x", age=1)]
    counts = forecast(
        pair, [row("h", "x@x", __masterid__="m", age="1.0")], (("email", "age"),)
    ).counts
    assert (counts.clusters, counts.records, counts.rows_fused) == (1, 3, 2)


def test_without_a_target_the_plan_is_compared_with_itself() -> None:
    """Offline, planned rows still fuse with each other."""
    assert forecast([row("a", "x@x"), row("b", "x@x")], None).counts.rows_fused == 1


def test_rows_outside_a_delta_merge_nothing_themselves() -> None:
    """They are not sent; where the target holds them, a row that is sent can still fuse with them."""
    rows = [row("a", "x@x"), row("b", "x@x"), row("c", "x@x")]
    held = [row("b", "x@x", __masterid__="m2")]
    counts = forecast(rows, held, touched=[True, False, False]).counts
    assert (counts.clusters, counts.records, counts.masterids_lost) == (1, 2, 0)
    assert sum(key.shared for key in counts.keys) == 0
    assert forecast(rows, None, touched=[True, False, False]).counts.clusters == 0


values = st.sampled_from([None, "", "p", "q", "r"])
planned = st.lists(st.tuples(values, values), max_size=6)
there = st.lists(st.tuples(st.integers(0, 8), values, values), max_size=6, unique_by=lambda r: r[0])


@given(planned, there)
def test_clusters_are_those_of_a_simple_search(ours, theirs) -> None:
    """Grouping records by repeated comparison of all pairs finds the same clusters and losses."""
    rows = [row(f"k{n}", *pair) for n, pair in enumerate(ours)]
    held = [row(f"k{n}", *pair, __masterid__=f"m{n}") for n, *pair in theirs]
    keys = {r["k"] for r in rows}
    sent = {r["k"] for r in rows if not any(h["k"] == r["k"] and _covers(h, r) for h in held)}
    records = {r["k"]: [r] for r in rows}
    for h in held:
        records.setdefault(h["k"], []).append(h)
    groups = [{name} for name in records]
    for one, mine in records.items():
        for two, others in records.items():
            if any(a[c] and a[c] == b[c] for a in mine for b in others for c in ("email", "phone")):
                first, second = (next(g for g in groups if n in g) for n in (one, two))
                if first is not second:
                    groups.remove(second)
                    first |= second
    fusing = [g for g in groups if len(g) > 1 and g & sent]
    lost = sum(
        max(0, sum(any("__masterid__" in r for r in records[n]) for n in g) - 1) for g in fusing
    )
    counts = forecast(rows, held).counts
    assert keys >= sent
    assert (counts.clusters, counts.records) == (len(fusing), sum(len(g) for g in fusing))
    assert counts.masterids_lost == lost
    assert counts.masterids_lost + counts.rows_fused == counts.records - counts.clusters


def _covers(held: dict, ours: dict) -> bool:
    """Whether the target holds all that a row sends."""
    return all(
        ours[c] in (None, "") and not held[c] if ours[c] == "" else ours[c] in (None, held[c])
        for c in TYPES
        if c in ours
    )


@pytest.mark.parametrize(
    ("value", "is_placeholder"),
    [
        ("info@shop.nl", True),
        ("NoReply@x.com", True),
        ("no-reply+tag@x.com", True),
        ("n/a", True),
        ("-", True),
        ("0000000000", True),
        ("+31 000000000", True),
        ("test@x.nl", True),
        ("informatica@x.nl", False),
        ("jan@x.nl", False),
        ("testament@x.nl", False),
        ("0612345678", False),
        ("nobel", False),
        ("Nona Jones", False),
    ],
)
def test_placeholders(value: str, is_placeholder: bool) -> None:
    """What stands for nobody is told from what only looks a little like it."""
    assert pl.Series([value]).str.contains(PLACEHOLDER).to_list() == [is_placeholder]


def test_odd_values_are_counted_and_listed() -> None:
    """Shared values, placeholders, look-alikes in case, space and Unicode form, and rows without a value."""
    values = pl.Series(["pat@x", "pat@x", "Zoé@x", "zoé@x", "info@x", None, "b b", "bb", "alone"])

    def parts():
        return (values.slice(start, 4) for start in range(0, len(values), 4))

    found, counts = odd_values(parts, ["email"], alternative=True)
    assert (counts.shared, counts.shared_rows, counts.placeholders, counts.empty) == (1, 2, 1, 1)
    assert (counts.look_alikes, counts.look_alike_rows) == (2, 4)
    assert found.filter(what="look_alike").get_column("like").unique().sort().to_list() == [
        "bb",
        "zoé@x",
    ]
    assert odd_values(parts, ["k"], alternative=False)[1].shared == 0
