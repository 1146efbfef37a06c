"""One record's way as a person reads it: short, and masked unless asked for."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from migrate.privacy.mask import Masker
from migrate.report.shown import Shown
from migrate.report.trace import TraceShown, render_trace, summarise_trace
from migrate.verify.evaluate import Evaluator
from migrate.verify.made import Left, Record
from migrate.verify.rules import Conventions, read_rules
from migrate.verify.trace import follow, other_writes

from .conftest import Migrated

PLAIN = TraceShown(Shown(None))
MASKED = TraceShown(Shown(Masker(b"salt")).of(["profiles"]))
LOST = {"city": "Utrecht", "points": 7}


def facts() -> dict[str, Any]:
    """What is known of a record that another one won over, and of one that was refused."""
    steps = [["from", " Jan "], ["trim", "Jan"], ["lowercase", "jan"], ["text", "jan"]]
    collapsed = {
        "source": "a",
        "id": "1",
        "winner_source": "b",
        "winner_id": "2",
        "lost": json.dumps(LOST),
    }
    record = {
        "state": "rejected",
        "change": None,
        "masterid": None,
        "status": 400,
        "error": "Jan is no number",
    }
    row = {
        "batch": 3, "position": 4, "change": "create", "key": "jan", "payload": {"name": "jan"},
        "ledger": {"batch": {"state": "acked", "requests": 1, "request_id": "r-1"}, "record": record, "failures": []},
    }  # fmt: skip
    columns = {"name": {"steps": steps, "broken": None}}
    dataset = {
        "mapped": [{"position": None, "columns": columns}],
        "rejected": [],
        "collapsed": [collapsed],
        "rows": [row],
    }
    return {
        "resource": "profiles", "id": "1", "source": "a", "live": {"asked": False},
        "snapshot": {"name": "s", "row": 0, "page": 1, "record": '{"name": " Jan "}', "outside_delta": False},
        "datasets": {"contacts": dataset},
    }  # fmt: skip


def test_a_way_is_short_and_says_what_was_lost_and_why() -> None:
    """A text stands once for all steps that left it alone; what lost, and why the target refused, is there."""
    text = render_trace(facts(), PLAIN)
    assert "from:  Jan  -> trim: Jan -> lowercase, text: jan" in text
    assert "lost city: Utrecht" in text
    assert "refused with status 400: Jan is no number" in text
    assert "batch acked after 1 request, request id r-1" in text
    assert "broken rule" not in text


def test_a_rule_about_the_whole_row_names_no_column() -> None:
    """A row that is too large for a request is rejected for no single column; other rules name theirs."""
    told = facts()
    told["datasets"]["contacts"]["rejected"] = [
        {"rule": "too_large", "column": None},
        {"rule": "not_a_date", "column": "born"},
    ]
    lines = render_trace(told, PLAIN).splitlines()
    assert "  rejected by the plan: too_large" in lines
    assert "  rejected by the plan: not_a_date in born" in lines


def test_nothing_personal_is_shown_without_being_asked_for() -> None:
    """Neither on the screen nor as JSON: not in a step, a key, a payload, an error, nor in what lost."""
    shown = render_trace(facts(), MASKED) + json.dumps(summarise_trace(facts(), MASKED))
    for word in ("Jan", "jan", "Utrecht"):
        assert word not in shown
    assert "Utrecht" in json.dumps(summarise_trace(facts(), PLAIN))


MAPPING = """
version: 1
dataset: d
resource: profiles
key: [k]
columns:
  k: {from: id, type: text}
  a: {from: colour, type: text, values: {"r": "red"}, unlisted: %s%s}
"""


def way_of(folder: Path, unlisted: str, default: str, colour: str | None) -> tuple[Any, Any, Any]:
    """Steps and broken rule of the column, and what the record becomes."""
    (folder / "d.yaml").write_text(MAPPING % (unlisted, f", default: {default}" if default else ""))
    rules = read_rules(folder)["d"]
    record = json.dumps({"profileid": "1", "source": "s"} | ({"colour": colour} if colour else {}))
    evaluator = Evaluator(rules, Conventions({}, {}, "decimals"), {})
    with contextlib.closing(evaluator):
        [found] = follow(evaluator, Record(record, "s", "1", 0))
    steps, broken = {c.column: (c.steps, c.broken) for c in found.columns}.get("a", ((), None))
    return steps, broken, found.made


@pytest.mark.parametrize("unlisted", ["reject", "omit", "keep"])
@pytest.mark.parametrize("default", ["", "none", "r"])
@pytest.mark.parametrize("colour", ["r", "x", None])
def test_the_last_step_is_what_is_sent(
    tmp_path: Path, unlisted: str, default: str, colour: str | None
) -> None:
    """A default after an unlisted value too; and where the row is rejected, the rule stands at the column."""
    steps, broken, made = way_of(tmp_path, unlisted, default, colour)
    if isinstance(made, Left):
        assert (made.column, broken) == ("a", "unlisted_value")
    else:
        value = made.values[1]
        assert (steps[-1][1] if steps else None) == value
        assert broken is None


def test_a_default_after_an_unlisted_value_is_told(tmp_path: Path) -> None:
    """The colour is not listed and left out, so the default is sent."""
    steps, _, _ = way_of(tmp_path, "omit", "none", "x")
    assert steps == (("from", "x"), ("values", None), ("default", "none"), ("text", "none"))


def test_the_names_of_the_steps_are_not_masked() -> None:
    """They are the mapping's own words; what they make is masked."""
    shown = summarise_trace(facts(), MASKED)
    steps = shown["datasets"]["contacts"]["mapped"][0]["columns"]["name"]["steps"]
    mask = Masker(b"salt").mask
    made = [("from", " Jan "), ("trim", "Jan"), ("lowercase", "jan"), ("text", "jan")]
    assert steps == [[name, mask(text)] for name, text in made]


def test_what_concerns_nobody_is_shown_as_it_is() -> None:
    """Product ids, prices, words of a shop and zero dates can be looked for; a name and a birthday cannot be read."""
    told = facts()
    record = {
        "sku": "KEE-9",
        "price": "12,50",
        "born": "0000-00-00",
        "name": "Jan",
        "status": "open",
        "dob": "1977",
    }
    told["snapshot"]["record"] = json.dumps(record)
    row = told["datasets"]["contacts"]["rows"][0]
    row["payload"] = {**record, "total": "12.50"}
    row["differences"] = [{"column": "price", "sent": "12.50", "stored": "13.00"}]
    types = {"total": pl.Decimal(38, 6)}
    masked = Shown(Masker(b"salt"))
    shown = TraceShown(masked.of(["profiles"]), {"contacts": masked.of(["profiles"], types)})
    summary = summarise_trace(told, shown)
    planned = summary["datasets"]["contacts"]["rows"][0]
    assert planned["payload"]["total"] == "12.50"
    for place in (summary["snapshot"]["record"], planned["payload"]):
        assert {name: value for name, value in place.items() if value == record.get(name)} == {
            name: record[name] for name in ("sku", "price", "born", "status")
        }
    assert "differs: price: sent 12.50, stored 13.00" in render_trace(told, shown)


@pytest.mark.parametrize(
    ("colour", "null", "sent", "shown"),
    [
        (" ", ", null: send", "nothing", "trim: left out"),
        (" ", "", "nothing", "trim: left out"),
        (None, ", null: send", "null", "becomes: null is sent, which erases it"),
        ("r", ", null: send", "value", "from, trim, text: r"),
    ],
)
def test_what_is_left_out_is_told_from_what_erases(
    tmp_path: Path, colour: str | None, null: str, sent: str, shown: str
) -> None:
    """Both are no value here, and the target keeps its own value in one case only."""
    column = f"{{from: colour, type: text, apply: [trim]{null}}}"
    (tmp_path / "d.yaml").write_text(MAPPING.split("  a: ", maxsplit=1)[0] + f"  a: {column}\n")
    record = json.dumps({"profileid": "1", "source": "s"} | ({"colour": colour} if colour else {}))
    evaluator = Evaluator(read_rules(tmp_path)["d"], Conventions({}, {}, "decimals"), {})
    with contextlib.closing(evaluator):
        [found] = follow(evaluator, Record(record, "s", "1", 0))
    [column_steps] = [one for one in found.columns if one.column == "a"]
    assert column_steps.sent == sent
    told = facts()
    told["datasets"]["contacts"]["mapped"] = [
        {"columns": {"a": {"steps": column_steps.steps, "broken": None, "sent": sent}}}
    ]
    assert shown in render_trace(told, PLAIN)


def test_a_record_that_is_unchanged_shows_where_it_was_written(migrated: Migrated) -> None:
    """By key and by masterid; what the asking plan itself wrote stands at its row."""
    ledger, mine = migrated.context.workspace.ledger, migrated.plan
    row = pl.read_parquet(mine.file("orders", "records.parquet")).row(0, named=True)
    [by_key] = other_writes(ledger, "orders", row["key"], None, "a later plan")
    assert (by_key["plan"], by_key["batch"]) == (mine.name, row["batch"])
    assert by_key["position"] == row["position"]
    assert by_key["request_id"]
    assert other_writes(ledger, "orders", "another", by_key["masterid"], "a later plan") == [by_key]
    assert other_writes(ledger, "orders", row["key"], None, mine.name) == []
    told = facts()
    told["datasets"]["contacts"]["rows"][0]["written"] = [by_key]
    assert f"written by plan {mine.name}: {by_key['change']}, batch" in render_trace(told, PLAIN)
