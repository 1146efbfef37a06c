"""The run's report."""

from __future__ import annotations

import re
from typing import Any

from migrate.report.html import judge_run, render_run

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
        **changes,
    }


def test_the_page_asks_for_nothing_outside() -> None:
    """No address, no script, and a policy that would forbid both."""
    page = render_run(summary(), made_at="now")
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=|https?://|<script|@import|url\(", page)


def test_hostile_values_are_inert() -> None:
    """Markup is escaped; control and bidirectional characters are shown as escapes."""
    page = render_run(summary(plan=HOSTILE, rehearsal=HOSTILE, forecast=HOSTILE), made_at=HOSTILE)
    assert "<script" not in page
    assert not any(char in page for char in ("\u202e", "\x1b", "\x07"))
    assert "\\u202e" in page


def test_a_difference_is_the_headline() -> None:
    """A reader who reads one line reads the right one."""
    broken = summary()
    broken["reconcile"]["datasets"]["contacts"] |= {"verdict": "mismatch", "difference": -1}
    assert not judge_run(broken)["good"]
    assert judge_run(broken)["headline"] == "The counts do not agree: contacts"
    assert judge_run(summary())["headline"].startswith("All counts agree: 3 records")


def test_what_is_not_proven_is_said() -> None:
    """An extract that is not proven, and rejected rows, stand below the headline."""
    doubtful = summary()
    doubtful["extract"]["resources"]["profiles"]["verdict"] = "unproven"
    found = judge_run(doubtful)
    assert not found["good"]
    assert found["lines"][0] == "Not proven complete: profiles."
    assert "1 rows broke a rule" in found["lines"][1]


def test_a_run_that_stopped_early_still_has_a_page() -> None:
    """Without load and reconciliation the page says that the run has not been reconciled."""
    page = render_run(summary(load={}, reconcile={}, plan_datasets={}), made_at="now")
    assert "has not been reconciled" in page
