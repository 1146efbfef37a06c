"""Makes a plan in a process of its own: `python plan_process.py PROJECT_FILE NAME [TARGET_LOG]`.

With a third argument there is a target: slow, 3,000 contacts in pages of 100, each request a line in that file.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Count:
    """An answer of the count endpoint."""

    count: int


class SlowTarget:
    """A target that takes its time and notes what it is asked."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def count(self, dataset_id: str, filters: Mapping[str, str] | None = None) -> Count:
        return Count(3_000 if dataset_id == "c" else 0)

    def export_csv(self, dataset_id: str, page: int, page_size: int = 50_000) -> bytes:
        with self.log.open("a") as file:
            file.write(f"{dataset_id} {page}\n")
        time.sleep(0.01)
        size = min(page_size, 100)
        rows = range((page - 1) * size, min(page * size, 3_000)) if dataset_id == "c" else ()
        lines = [f"m{n},a{n}@example.test,N{n}" for n in rows]
        key = "contact_key" if dataset_id == "c" else "order_key"
        return "\n".join([f"__masterid__,{key},name", *lines, ""]).encode()

    def get_record(self, dataset_id: str, masterid: str) -> None:
        return None


def main(file: str, name: str, log: str | None = None) -> None:
    """Plans all mappings of the project from its newest snapshot."""
    project = load_project(Path(file), {})
    workspace = Workspace(project.workspace)
    build_plan(
        project,
        workspace,
        open_snapshot(workspace, None),
        read_mappings(project.mappings),
        SlowTarget(Path(log)) if log else None,
        PlanRequest(None if name == "-" else name, offline=log is None),
        Silence(),
        Event(),
        lambda: datetime.now(UTC),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
