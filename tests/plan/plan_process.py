"""Makes an offline plan in a process of its own: `python plan_process.py PROJECT_FILE NAME`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from migrate.config import load_project
from migrate.mapping.files import read_mappings
from migrate.plan.build import build_plan
from migrate.plan.request import PlanRequest
from migrate.progress import Silence
from migrate.snapshot.reading import open_snapshot
from migrate.workspace import Workspace


def main(file: str, name: str) -> None:
    """Plans all mappings of the project from its newest snapshot."""
    project = load_project(Path(file), {})
    workspace = Workspace(project.workspace)
    build_plan(
        project,
        workspace,
        open_snapshot(workspace, None),
        read_mappings(project.mappings),
        None,
        PlanRequest(name, offline=True),
        Silence(),
        Event(),
        lambda: datetime.now(UTC),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
