"""Keys that a target may take for one: said in numbers, and planned as they are."""

from __future__ import annotations

import pytest


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
