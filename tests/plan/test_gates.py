"""The limits of `[gates]` against a plan."""

from __future__ import annotations

import pytest

from migrate.config import Gates
from migrate.plan.gates import judge_gates
from migrate.plan.opening import check_gates


def verdicts(findings) -> dict[str, str]:
    """The verdict of each gate."""
    return {finding.gate: finding.verdict for finding in findings}


def test_a_plan_within_its_limits_passes(bench) -> None:
    """All gates are judged, and the plan carries the verdicts."""
    plan = bench.plan(offline=True)
    assert verdicts(plan.document.gates) == dict.fromkeys(
        ["max_rejected", "max_updates", "max_merges", "require_proven"], "ok"
    )


@pytest.mark.parametrize(
    ("gates", "broken"),
    [
        ({"max_rejected": "33%"}, ["max_rejected"]),
        ({"max_rejected": "34%"}, []),
        ({"max_rejected": 0}, ["max_rejected"]),
        ({"max_updates": 0}, ["max_updates"]),
        ({"max_updates": "50%"}, []),
        ({"max_merges": 0}, []),
    ],
)
def test_a_broken_gate_is_named(bench, make_profile, gates: dict[str, object], broken: list[str]) -> None:
    """Of three contacts one is rejected and one of two would be updated; shares are of the rows read and planned."""
    bench.snapshot.resources["profiles"].records = [
        make_profile(1, name="New"),
        make_profile(2),
        make_profile(3, age="x"),
    ]
    bench.target.datasets["id-contacts"] = [
        {"__masterid__": "m1", "contact_key": "a1@example.test", "name": "Old", "created_at": "2024-01-02 10:00:00"}
    ]
    plan = bench.plan(datasets=("contacts",))
    found = [finding for finding in check_gates(plan, Gates.model_validate(gates)) if finding.verdict == "broken"]
    assert [finding.gate for finding in found] == broken
    assert all(finding.text.startswith("contacts: 1 of ") for finding in found)


def test_an_unproven_extract_breaks_its_gate(bench) -> None:
    """The resource and its verdict are named, unless the project file does without the proof."""
    bench.snapshot.resources["sales"].verdict = "drifted"
    plan = bench.plan(offline=True)
    broken = [finding for finding in plan.document.gates if finding.verdict == "broken"]
    assert [(finding.gate, finding.text) for finding in broken] == [
        ("require_proven", "the extract of sales is drifted, not proven")
    ]
    assert "broken" not in verdicts(check_gates(plan, Gates(require_proven=False))).values()


def test_forecast_merges_break_their_gate(bench) -> None:
    """Merges cannot be undone, so more of them than allowed stop the load."""
    plan = bench.plan(offline=True)
    counts = {name: count.model_copy(update={"merge_forecast": 2}) for name, count in plan.document.datasets.items()}
    assert verdicts(judge_gates(counts, {}, Gates(max_merges=3)))["max_merges"] == "broken"
    assert verdicts(judge_gates(counts, {}, Gates(max_merges=4)))["max_merges"] == "ok"
