"""A run that was stopped goes on with the snapshot that it has, as long as that is proven and young."""

from __future__ import annotations

import pytest

from migrate.app.reuse import REUSABLE, _moment


def stopped_run(make_project, **changes):
    """A project whose first run was stopped by a gate after its extract."""
    project = make_project()
    project.write(gates="max_rejected = 0", **changes)
    first = project.run("run", "--json", "-q")
    assert first.code == 8, first.stderr
    return project, first.summary


def test_a_run_goes_on_after_a_gate(make_project):
    """The limit is raised, and the snapshot of the first call is planned and loaded."""
    project, first = stopped_run(make_project)
    project.write(gates='max_rejected = "100%"\nmax_placeholder = "100%"')
    second = project.run("run", "--json")
    assert second.code in (0, 3), second.stderr
    assert second.summary["snapshot"] == first["snapshot"]
    assert "it is used again" in second.stderr
    names = [path.name for path in (project.folder / "migration" / "snapshots").iterdir()]
    assert names == [first["snapshot"]]


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01"])
def test_a_time_that_nobody_can_read_is_long_ago(text):
    """Then the source is asked anew."""
    assert _moment(text).year == 1
    assert REUSABLE.days == 1
