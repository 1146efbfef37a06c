"""What the tests of the commands do with a project: prepare it, fix a mapping, look at ledger and target."""

from __future__ import annotations

from collections.abc import Callable

from migrate.load.ledger_view import LedgerView
from tests.harness import Project

MakeProject = Callable[..., Project]


def prepared(project: Project, octolis: str = "") -> Project:
    """The project with quick limits, a snapshot and a plan."""
    project.write(octolis=f"limit_speed = 100\n{octolis}")
    for command in ("extract", "plan"):
        done = project.run(command, "--json", "-q")
        assert done.code in (0, 3), done.stderr
    return project


def writes(project: Project) -> int:
    """The writes that the ledger has announced."""
    with LedgerView(project.folder / "migration" / "ledger.sqlite") as view:
        return sum(entry.requests for plan in view.plans() for entry in view.totals(plan).values())


def fix(project: Project, dataset: str, old: str, new: str) -> None:
    """Changes a mapping file."""
    file = project.folder / "mappings" / f"{dataset}.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def counts(project: Project) -> dict[str, int]:
    """The records that the target holds."""
    return {name: entry["count"] for name, entry in project.state()["datasets"].items()}
