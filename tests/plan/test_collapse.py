"""Rows that share a key, against a model in plain Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.plan.collapse import CollapseRule, collapse_rows

COLUMNS = ["name", "city", "optin"]
SCHEMA = {
    "_source": pl.String,
    "_id": pl.String,
    "_position": pl.Int64,
    "_element": pl.Int64,
    "_recency": pl.Datetime("us"),
    "_key": pl.String,
    "name": pl.String,
    "city": pl.String,
    "optin": pl.Boolean,
    "_null:city": pl.Boolean,
}

texts = st.none() | st.sampled_from(["a", "b"])
rows_drawn = st.lists(
    st.fixed_dictionaries(
        {
            "_source": st.sampled_from([None, "shop", "mail", "till"]),
            "_recency": st.none() | st.sampled_from([datetime(2020, 1, day) for day in (1, 2, 3)]),
            "_key": st.sampled_from(["k1", "k2", "k3"]),
            "name": texts,
            "city": texts,
            "optin": st.sampled_from([None, True, False]),
        }
    ),
    max_size=12,
)
rules = st.builds(
    CollapseRule,
    by=st.sampled_from(["latest", "first", "source_order"]),
    source_order=st.sampled_from([(), ("till", "shop")]),
    fill_gaps=st.booleans(),
    consents=st.sampled_from([(), ("optin",)]),
)


def framed(drawn: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a mapping gives them; `city` sends null where it has no value."""
    rows = [
        {
            "_id": f"r{place}",
            "_position": place,
            "_element": None,
            "_null:city": row["city"] is None,
        }
        | row
        for place, row in enumerate(drawn)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def rank(row: dict[str, Any], rule: CollapseRule) -> tuple[Any, ...]:
    """Lowest wins."""
    recency = row["_recency"]
    latest = (recency is None, -(recency.timestamp() if recency else 0), -row["_position"])
    order = list(rule.source_order)
    place = order.index(row["_source"]) if row["_source"] in order else len(order)
    return {"latest": latest, "first": (row["_position"],), "source_order": (place, *latest)}[
        rule.by
    ]


def survivor(group: list[dict[str, Any]], rule: CollapseRule) -> dict[str, Any]:
    """What one row should become of a group, ranked."""
    winner = dict(group[0])
    for column in COLUMNS:
        known = [row[column] for row in group if row[column] is not None]
        if column in rule.consents:
            winner[column] = False if False in known else winner[column]
        elif rule.fill_gaps and known:
            winner[column] = known[0]
    winner["_null:city"] = winner["_null:city"] and winner["city"] is None
    return winner


@given(rows_drawn, rules)
def test_collapse_does_what_the_rule_says(drawn: list[dict[str, Any]], rule: CollapseRule) -> None:
    """Winner, filled gaps, consents, sources and losers are those of a plain model, for every rule."""
    frame = framed(drawn)
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in frame.iter_rows(named=True):
        groups.setdefault(row["_key"], []).append(row)
    ranked = {key: sorted(group, key=lambda row: rank(row, rule)) for key, group in groups.items()}
    expected = sorted(
        (survivor(group, rule) for group in ranked.values()), key=lambda row: row["_position"]
    )

    collapsed = collapse_rows(frame, COLUMNS, rule, ["profiles"])

    assert collapsed.rows.drop("_sources", "_row").to_dicts() == expected
    for row in collapsed.rows.iter_rows(named=True):
        ids = [(source["source"], source["id"]) for source in row["_sources"]]
        assert ids == [(other["_source"], other["_id"]) for other in ranked[row["_key"]]]
    losers = collapsed.losers.rows_by_key("key", named=True) if collapsed.losers.height else {}
    assert {
        key: [(row["id"], row["winner_id"], row["rank"]) for row in rows]
        for key, rows in losers.items()
    } == {
        key: [(row["_id"], group[0]["_id"], place) for place, row in enumerate(group[1:], 2)]
        for key, group in ranked.items()
        if len(group) > 1
    }
    assert frame.height == collapsed.rows.height + collapsed.losers.height
    ended = {row["_key"]: row for row in expected}
    for row in collapsed.losers.iter_rows(named=True):
        lost = ranked[row["key"]][row["rank"] - 1]
        other = {
            name: lost[name]
            for name in COLUMNS
            if lost[name] not in (None, ended[row["key"]][name])
        }
        assert (json.loads(row["lost"]) if row["lost"] else {}) == other


@given(rows_drawn, rules)
def test_no_consent_is_ever_made(drawn: list[dict[str, Any]], rule: CollapseRule) -> None:
    """A consent is true only where the winner said so and nobody said no, whatever the rule."""
    frame = framed(drawn)
    rule = CollapseRule(rule.by, rule.source_order, rule.fill_gaps, ("optin",))
    said = {row["_id"]: row["optin"] for row in frame.iter_rows(named=True)}
    for row in collapse_rows(frame, COLUMNS, rule, ["profiles"]).rows.iter_rows(named=True):
        if row["optin"]:
            answers = [said[source["id"]] for source in row["_sources"]]
            assert answers[0] is True
            assert False not in answers


def test_a_denied_consent_is_sent_in_place_of_an_erasure() -> None:
    """Where the winner would erase a consent that another row denies, the denial is what is sent."""
    frame = framed(
        [
            {
                "_source": "a",
                "_recency": datetime(2020, 1, 2),
                "_key": "k",
                "name": None,
                "city": None,
                "optin": None,
            },
            {
                "_source": "b",
                "_recency": datetime(2020, 1, 1),
                "_key": "k",
                "name": None,
                "city": None,
                "optin": False,
            },
        ]
    ).with_columns(pl.col("optin").is_null().alias("_null:optin"))
    row = collapse_rows(frame, COLUMNS, CollapseRule(consents=("optin",)), ["profiles"]).rows.row(
        0, named=True
    )
    assert (row["optin"], row["_null:optin"], row["_null:city"]) == (False, False, True)


@pytest.mark.parametrize("element", [None, 3])
def test_a_source_names_the_element_it_was(element: int | None) -> None:
    """With `each`, several rows come from one record; the element's place tells them apart."""
    frame = framed(
        [{"_source": "a", "_recency": None, "_key": "k", "name": None, "city": None, "optin": None}]
    ).with_columns(pl.lit(element, pl.Int64).alias("_element"))
    sources = collapse_rows(frame, COLUMNS, CollapseRule(), ["sales"]).rows["_sources"].to_list()
    assert sources == [[{"resource": "sales", "source": "a", "id": "r0", "position": element}]]


SHARED_BY_MANY = """
import resource
import polars as pl
from migrate.plan.collapse import CollapseRule, collapse_rows

resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
count = 16_000
rows = pl.select(
    _source=pl.lit("shop"), _id=pl.int_range(count).cast(pl.String), _position=pl.int_range(count),
    _element=pl.lit(None, pl.Int64), _recency=pl.lit(None, pl.Datetime("us")), _key=pl.int_range(count) % 2 * 1000,
    name=pl.int_range(count).cast(pl.String),
)
rows = rows.cast({"_key": pl.String})
found = collapse_rows(rows, ["name"], CollapseRule(), ["profiles"])
print(found.rows.height, found.losers.height, *found.rows.get_column("_sources").list.len())
"""


def test_a_key_that_many_share_needs_no_more_memory_than_its_rows() -> None:
    """Guests of a shop often have one address: what is kept of all who lost does not grow with their square."""
    # each thread reserves addresses of its own, on a machine with many cores more than the limit
    env = {**os.environ, "POLARS_MAX_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", SHARED_BY_MANY], capture_output=True, text=True, check=False, env=env
    )
    assert done.stdout.split() == ["2", "15998", "8000", "8000"], done.stderr[-500:]
