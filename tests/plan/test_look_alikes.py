"""Keys that a target may take for one: said in numbers, and planned as they are."""

from __future__ import annotations

import pytest

from migrate.plan.document import PartOf
from migrate.plan.request import SampleAsked


@pytest.mark.parametrize(
    ("ours", "theirs", "new", "among"),
    [
        (["Jan@x.test"], ["jan@x.test"], 1, 0),
        (["jos\u00e9@x.test"], ["jose\u0301@x.test"], 1, 0),
        (["j an@x.test"], ["jan@x.test"], 1, 0),
        (["jan@x.test"], ["jan@x.test"], 0, 0),
        (["jan@x.test", "JAN@x.test"], [], 0, 2),
        (["jan@x.test", "JAN@x.test"], ["jan@x.test"], 0, 2),
        (["jan@x.test"], ["piet@x.test"], 0, 0),
    ],
)
def test_what_may_fuse_is_counted(bench, make_profile, ours, theirs, new, among) -> None:
    """Of the target, and among the planned rows themselves; a row that has its own there is no look-alike."""
    bench.write_mapping(
        "contacts",
        "version: 1\ndataset: contacts\nresource: profiles\nkey: [contact_key]\n"
        "columns:\n  contact_key: {from: email, type: text}\n",
    )
    bench.snapshot.resources["profiles"].records = [
        make_profile(number, email=email) for number, email in enumerate(ours)
    ]
    bench.target.datasets["id-contacts"] = [
        {"__masterid__": f"m{number}", "contact_key": key} for number, key in enumerate(theirs)
    ]
    plan = bench.plan("plan", datasets=("contacts",))
    told = [line for line in plan.document.datasets["contacts"].warnings if "Unicode" in line]
    assert [line.split(" ")[0] for line in told] == [str(n) for n in (among, new) if n]
    assert all("fuse" in line and "overwrite" in line for line in told)
    assert plan.document.datasets["contacts"].create == len(set(ours) - set(theirs))


@pytest.mark.parametrize("scope", [PartOf(sources=("shop",)), SampleAsked(1), None])
def test_rows_that_the_plan_is_not_of_look_like_nobody(bench, make_profile, scope) -> None:
    """What is outside of a part or a sample is not planned as new, and its row in the target is nobody else's."""
    people = [make_profile(1, source="shop"), make_profile(2, source="mail")]
    bench.snapshot.resources["profiles"].records = people
    bench.target.datasets["id-contacts"] = [
        {"__masterid__": f"m{n}", "contact_key": f"a{n}@example.test"} for n in (1, 2)
    ]
    plan = bench.plan("plan", datasets=("contacts",), scope=scope)
    assert not [line for line in plan.document.datasets["contacts"].warnings if "Unicode" in line]
