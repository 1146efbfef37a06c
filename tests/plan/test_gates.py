"""The limits of `[gates]` against a plan."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from migrate.config import Gates
from migrate.errors import ConfigError
from migrate.plan.gates import judge_gates
from migrate.plan.open_plan import check_gates


def verdicts(findings) -> dict[str, str]:
    """The verdict of each gate."""
    return {finding.gate: finding.verdict for finding in findings}


def test_a_plan_within_its_limits_passes(bench) -> None:
    """All gates are judged, and the plan carries the verdicts."""
    plan = bench.plan(offline=True)
    limited = ["max_rejected", "max_collapsed", "max_placeholder", "max_updates", "max_missing"]
    kept = dict.fromkeys([*limited, "max_merges", "max_unequal", "require_proven"], "ok")
    assert verdicts(plan.document.gates) == {**kept, "max_loss": "not set"}


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
def test_a_broken_gate_is_named(
    bench, make_profile, gates: dict[str, object], broken: list[str]
) -> None:
    """Of three contacts one is rejected and one of two would be updated; shares are of the rows read and planned."""
    bench.snapshot.resources["profiles"].records = [
        make_profile(1, name="New"),
        make_profile(2),
        make_profile(3, age="x"),
    ]
    bench.target.datasets["id-contacts"] = [
        {
            "__masterid__": "m1",
            "contact_key": "a1@example.test",
            "name": "Old",
            "created_at": "2024-01-02 10:00:00",
        }
    ]
    plan = bench.plan(datasets=("contacts",))
    asked = {"max_rejected": "100%", **gates}
    found = [
        finding
        for finding in check_gates(plan, Gates.model_validate(asked))
        if finding.verdict == "broken"
    ]
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
    counts = {
        name: count.model_copy(update={"merge_forecast": 2})
        for name, count in plan.document.datasets.items()
    }
    assert verdicts(judge_gates(counts, {}, Gates(max_merges=3)))["max_merges"] == "broken"
    assert verdicts(judge_gates(counts, {}, Gates(max_merges=4)))["max_merges"] == "ok"


@pytest.mark.parametrize(
    ("limits", "broken"),
    [
        ({"contacts.created_at": "50%"}, True),
        ({"contacts.created_at": "100%"}, False),
        ({"contacts.created_at.zone_assumed": 2}, True),
        ({"contacts.created_at.fraction_dropped": 0}, False),
        ({"contacts": {"created_at": 0}}, True),
        ({"contacts.name": 0}, False),
    ],
)
def test_a_loss_beyond_its_limit_breaks_the_gate(
    bench, limits: dict[str, object], broken: bool
) -> None:
    """By column, or by column and loss; a share is of the rows accepted; TOML may nest the names."""
    bench.project = bench.project.model_copy(
        update={"gates": Gates.model_validate({"max_loss": limits})}
    )
    plan = bench.plan(offline=True)
    assert verdicts(plan.document.gates)["max_loss"] == ("broken" if broken else "ok")


@pytest.mark.parametrize(
    ("place", "limit", "verdict"),
    [
        ("contacts.born", "4%", "broken"),
        ("contacts.born", "6%", "ok"),
        ("contacts.born.omitted_invalid", "4%", "broken"),
        ("contacts.born.omitted_not_a_date", "2%", "broken"),
        ("contacts.born.omitted_out_of_calendar", "2%", "ok"),
    ],
)
def test_broken_values_count_together(bench, place: str, limit: str, verdict: str) -> None:
    """Of 100 rows three break one rule and two another: a limit on the column, or on all rules, is on the five."""
    counts = bench.plan(offline=True).document.datasets["contacts"]
    losses = {"born": {"omitted_not_a_date": 3, "omitted_out_of_calendar": 2}}
    changed = counts.model_copy(
        update={"losses": losses, "read": 100, "filtered": 0, "rejected": 0, "outside_delta": 0}
    )
    gates = Gates.model_validate({"max_loss": {place: limit}})
    assert verdicts(judge_gates({"contacts": changed}, {}, gates))["max_loss"] == verdict


@pytest.mark.parametrize("place", ["contact.name", "contacts.nam", "contacts.name.trimed"])
def test_a_limit_on_what_is_not_there_is_refused(bench, place: str) -> None:
    """It would never stop anything; the nearest name is offered."""
    bench.project = bench.project.model_copy(
        update={"gates": Gates.model_validate({"max_loss": {place: "1%"}})}
    )
    with pytest.raises(ConfigError, match="did you mean"):
        bench.plan(offline=True)


@pytest.mark.parametrize("value", [{"contacts": "1%"}, {"a.b.c.d": 1}, {"a.b": "two"}])
def test_a_limit_that_cannot_be_read_is_refused(value: dict[str, object]) -> None:
    """A dataset without a column, too many names, or no number."""
    with pytest.raises(ValidationError):
        Gates.model_validate({"max_loss": value})


def test_one_resource_of_saved_files_is_vouched_for_alone() -> None:
    """The gate says how, and names no other resource."""
    found = judge_gates({}, {"profiles": "proven", "sales": "unproven"}, Gates())
    (finding,) = [one for one in found if one.gate == "require_proven"]
    assert "--expect sales=N" in finding.text
    assert "profiles" not in finding.text
