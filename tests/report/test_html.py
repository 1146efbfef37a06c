"""The run's report."""

from __future__ import annotations

import re
from typing import Any

from migrate.report.html import render_run

HOSTILE = '<script>alert(1)</script>"\u202e=1+1\x1b]0;x\x07'


def summary(**changes: Any) -> dict[str, Any]:
    """A run's summary with one dataset, as `migrate.report.run` makes it."""
    counts = (
        "read",
        "filtered",
        "rejected",
        "collapsed",
        "planned",
        "create",
        "update",
        "unchanged",
        "unknown",
    )
    numbers = dict.fromkeys(counts, 0) | {"read": 4, "create": 3, "rejected": 1, "planned": 3}
    written = (
        "written",
        "created",
        "updated",
        "merged",
        "rejected",
        "deferred",
        "altered",
        "requests",
    )
    loaded = dict.fromkeys([*written, "throttled_429", "busy_423"], 0) | {
        "written": 3,
        "created": 3,
    }
    equation = {
        "count_before": 0,
        "created": 3,
        "merged": 0,
        "expected": 3,
        "count_after": 3,
        "difference": 0,
    }
    extracted = {
        "announced": 4,
        "received": 4,
        "distinct": 4,
        "pages": 1,
        "verdict": "proven",
        "reason": "",
    }
    return {
        "snapshot": "s",
        "plan": "p",
        "extract": {"resources": {"profiles": extracted}},
        "plan_datasets": {"contacts": {**numbers, "rejected_by_rule": {"not_a_number": 1}}},
        "load": {"datasets": {"contacts": loaded}},
        "reconcile": {"datasets": {"contacts": {**equation, "verdict": "match"}}},
        "forecast": "3 requests",
        "rehearsal": "",
        "revenue_note": "",
        "revenue": [],
        "verdict": {"colour": "green", "headline": "All counts agree", "lines": []},
        **changes,
    }


def test_the_page_asks_for_nothing_outside() -> None:
    """No address but places on the page itself, no script, and a policy that would forbid both."""
    page = render_run(summary(), made_at="now")
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=(?!\"#)|https?://|<script|@import|url\(", page)


def test_hostile_values_are_inert() -> None:
    """Markup is escaped; control and bidirectional characters are shown as escapes."""
    page = render_run(summary(plan=HOSTILE, rehearsal=HOSTILE, forecast=HOSTILE), made_at=HOSTILE)
    assert "<script" not in page
    assert not any(char in page for char in ("\u202e", "\x1b", "\x07"))
    assert "\\u202e" in page


def test_the_page_shows_the_verdict_as_it_stands() -> None:
    """Headline, colour and every line: the page judges nothing itself."""
    told = {"colour": "amber", "headline": "Done, but not all of it", "lines": ["one", "two"]}
    page = render_run(summary(verdict=told), made_at="now")
    assert '<div class="verdict amber"' in page
    assert "Done, but not all of it" in page
    assert "<li>one</li><li>two</li>" in page


def test_a_run_that_stopped_early_still_has_a_page() -> None:
    """Without load and reconciliation there is a page all the same."""
    told = {"colour": "red", "headline": "Not finished", "lines": ["max_rejected"]}
    empty = summary(load={}, reconcile={}, plan_datasets={}, verdict=told)
    assert "Not finished" in render_run(empty, made_at="now")


def test_no_code_marks_on_a_page() -> None:
    """What stands between backticks is set as code, whatever else is in the sentence; an odd mark stays."""
    told = {
        "colour": "amber",
        "headline": "h",
        "lines": ["use `apply: <b>` or `x`", "an odd ` mark"],
    }
    page = render_run(summary(verdict=told), made_at="now")
    assert "<li>use <code>apply: &lt;b&gt;</code> or <code>x</code></li>" in page
    assert "<li>an odd ` mark</li>" in page


def test_columns_of_zeros_are_on_no_page() -> None:
    """A head that tells of nothing is left out, and none is a status code."""
    page = render_run(summary(), made_at="now")
    heads = re.findall(r'<th scope="col" class="n">([^<]+)</th>', page)
    assert "New" in heads
    assert not {"429", "423", "Merged away", "Changed", "Put off"} & set(heads)
    assert "Asked to slow down" not in page


def test_a_rule_is_told_in_words() -> None:
    """With what helps; the rule's own name is the engineer's."""
    page = render_run(summary(), made_at="now")
    assert "not a decimal number" in page
    assert "<code>not_a_number</code>" in page
