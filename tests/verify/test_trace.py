"""One record's way as a person reads it: short, and masked unless asked for."""

from __future__ import annotations

import json
from typing import Any

from migrate.report.trace import render_trace, summarise_trace

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
    text = render_trace(facts(), None)
    assert "from:  Jan  -> trim: Jan -> lowercase, text: jan" in text
    assert "lost city: Utrecht" in text
    assert "refused with status 400: Jan is no number" in text
    assert "batch acked after 1 requests, answered as r-1" in text
    assert "broken rule" not in text


def test_nothing_personal_is_shown_without_being_asked_for() -> None:
    """Neither on the screen nor as JSON: not in a step, a key, a payload, an error, nor in what lost."""
    shown = render_trace(facts(), lambda value: "***") + json.dumps(
        summarise_trace(facts(), lambda value: "***")
    )
    for word in ("Jan", "jan", "Utrecht"):
        assert word not in shown
    assert "Utrecht" in json.dumps(summarise_trace(facts(), None))
