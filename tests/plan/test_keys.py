"""Keys that several rows shared before these became one, and keys that stand for nobody."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.config import Gates
from migrate.errors import ConfigError
from migrate.mapping.texts import NOBODY
from migrate.plan.keys import find_clusters
from migrate.plan.open_plan import check_gates
from migrate.plan.tables import FrameTable
from migrate.report.diff_page import open_report, write_page
from migrate.report.plan import render_plan
from migrate.report.words import words_of

NOBODIES = """
n/a;N/A; n/a ;na;n.a.;none;NULL;-;--;—;.;?;0;0000;x;xxx;unknown;onbekend;geen;keine;aucun;anonymous;guest
000-000;1111;123456789;test;noreply@shop.nl;no-reply@x.com;NoReply+1@x.com;donotreply@x.com;geen@x.nl;a@localhost
unknown@shop.nl;no_email@x.nl;klant@x.nl;Magento 2:n/a;shop:0;["n/a","NL"];["shop","-"]
"""
SOMEBODIES = """
jan@x.nl;info@bakery.nl;noor@x.nl;nathan@x.nl;nona;Magento 2:10;shop:1111;12-7;0612345678;1;annalena
["shop","17"];["jan@x.nl","NL"];testament@x.nl;guesthouse@x.nl;a;SKU-000-1
"""


def split(values: str) -> list[str]:
    """The values, as they are between semicolons and line ends."""
    return [value for line in values.strip("\n").split("\n") for value in line.split(";")]


@pytest.mark.parametrize("value", split(NOBODIES))
def test_keys_that_stand_for_nobody(value):
    """What forms and shops write where there is no value, alone, behind a source, and as a part of a key."""
    assert pl.Series([value]).str.contains(NOBODY).to_list() == [True]


@pytest.mark.parametrize("value", split(SOMEBODIES))
def test_keys_that_stand_for_somebody(value):
    """A person's or a company's own address, an id, a number."""
    assert pl.Series([value]).str.contains(NOBODY).to_list() == [False]


@given(
    st.lists(
        st.sampled_from(["n/a", "-", "jan@x.nl", "b@x.nl", "c@x.nl", "info@x.nl"]), max_size=60
    )
)
def test_clusters_against_a_count(keys):
    """Every row is counted before the rows of a key become one, those of nobody apart."""
    sizes = {key: count for key, count in Counter(keys).items() if count > 1}
    losers = [key for key, count in sizes.items() for _ in range(count - 1)]
    found = find_clusters(FrameTable(pl.DataFrame({"key": losers}, {"key": pl.String})), "email")
    assert dict(found.largest.select("value", "rows").iter_rows()) == sizes
    assert found.placeholder == sum(count for key, count in sizes.items() if key in ("n/a", "-"))


def test_29_people_of_one_placeholder(bench, make_profile):
    """They would become one: counted before that, listed with their number, and stopped by the default gate."""
    people = [{**make_profile(n), "email": "n/a"} for n in range(29)]
    bench.snapshot.resources["profiles"].records = [*people, make_profile(40), make_profile(41)]
    plan = bench.plan(datasets=("contacts",))
    counts = plan.document.datasets["contacts"]
    assert (counts.read, counts.collapsed, counts.planned, counts.placeholder) == (31, 28, 3, 29)
    broken = [f.gate for f in check_gates(plan, Gates()) if f.verdict == "broken"]
    assert broken == ["max_placeholder"]
    allowed = Gates.model_validate({"max_placeholder": 29})
    assert not [f for f in check_gates(plan, allowed) if f.verdict == "broken"]
    tight = Gates.model_validate({"max_placeholder": "100%", "max_collapsed": "50%"})
    assert [f.gate for f in check_gates(plan, tight) if f.verdict == "broken"] == ["max_collapsed"]
    text = render_plan(plan)
    assert "n/a" in text
    assert "29  stands for nobody" in text


def test_the_page_says_what_the_terminal_says(bench, make_profile, tmp_path):
    """The rows of the placeholder and their number; and a gate that nobody set is not called kept."""
    people = [{**make_profile(n), "email": "n/a"} for n in range(29)]
    bench.snapshot.resources["profiles"].records = [*people, make_profile(40), make_profile(41)]
    bench.plan(datasets=("contacts",))
    start, page = datetime(2026, 11, 21, tzinfo=UTC), tmp_path / "page.html"
    plan, view, shown = open_report(bench.workspace, None, show_values=False, start=start)
    write_page(plan, view, shown, page, made_at="2026-11-21", words=words_of("en"))
    text = re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8"))
    assert "28 of 31 rows go into another one" in text
    assert "29 rows have a key that stands for nobody" in text
    gates = {finding.gate: finding.verdict for finding in plan.document.gates}
    assert gates["max_loss"] == "not set"
    assert len(re.findall(r"\bnot set\b", text)) == list(gates.values()).count("not set")


def test_one_row_of_a_placeholder_is_nobodys_merge(bench, make_profile):
    """Where nobody shares it there is nothing to stop for."""
    bench.snapshot.resources["profiles"].records = [{**make_profile(1), "email": "n/a"}]
    assert bench.plan(datasets=("contacts",)).document.datasets["contacts"].placeholder == 0


@pytest.mark.parametrize(("shown", "told"), [("name", ""), ("Contact_Key", "case matters")])
def test_a_key_column_that_the_target_lacks_stops_the_plan(bench, make_profile, shown, told):
    """Each record would become a new one: exit code 5, naming the column, and no plan is left behind."""
    bench.snapshot.resources["profiles"].records = [make_profile(1)]
    bench.target.datasets["id-contacts"] = [{"__masterid__": "m1", shown: "x"}]
    with pytest.raises(ConfigError, match="shows no column contact_key") as caught:
        bench.plan(datasets=("contacts",))
    assert told in caught.value.what
    assert not list(bench.workspace.plans.glob("*/plan.json"))
