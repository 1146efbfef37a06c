"""The preflight: named checks of everything a migration needs, each ending in pass, warn or fail, none in a crash."""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from migrate.errors import ConfigError, Locked, MigrateError
from migrate.mapping.files import read_mappings
from migrate.source.client import SourceClient
from migrate.source.resources import RESOURCES
from migrate.target.client import TargetClient
from migrate.workspace import Workspace

if TYPE_CHECKING:
    from migrate.config import Project
    from migrate.mapping.model import Mapping

Level = Literal["pass", "warn", "fail"]
_LEAST_FREE_BYTES = 2 << 30
_CLOCK_TOLERANCE_S = 60


@dataclass(frozen=True)
class Finding:
    """What one check found; `hint` says what to do about it."""

    name: str
    level: Level
    text: str
    hint: str | None = None


def preflight(project: Project, workspace: Workspace, stop: threading.Event) -> list[Finding]:
    """All findings, in the order in which one would mend them. Reads only; spends one point a dataset and count."""
    mappings, found = _check_mappings(project)
    return [
        *found,
        _check_disk(workspace),
        _check_lock(workspace),
        *_check_source(project, stop),
        *_check_target(project, mappings, stop),
    ]


def _check_mappings(project: Project) -> tuple[dict[str, Mapping], list[Finding]]:
    try:
        mappings = read_mappings(project.mappings)
    except ConfigError as error:
        return {}, [Finding("mappings", "fail", error.what, "migrate mapping check")]
    without = [name for name in mappings if name not in project.octolis.datasets]
    strangers = [name for name in project.octolis.datasets if name not in mappings]
    found = [Finding("mappings", "pass", f"{len(mappings)} files without a problem")]
    if without:
        hint = "set their ids under [octolis.datasets], or leave them out on purpose"
        level: Level = "fail" if len(without) == len(mappings) else "warn"
        found.append(Finding("dataset ids", level, f"no dataset id for {', '.join(without)}", hint))
    if strangers:
        text = f"no mapping file for {', '.join(strangers)}"
        found.append(Finding("dataset ids", "fail", text, "correct the name under [octolis.datasets]"))
    return mappings, found


def _check_disk(workspace: Workspace) -> Finding:
    free = shutil.disk_usage(workspace.root).free
    text = f"{free / (1 << 30):,.1f} GiB free in {workspace.root}"
    if free < _LEAST_FREE_BYTES:
        return Finding("disk", "warn", text, "a million records need about 1 GiB; make room, or move the workspace")
    return Finding("disk", "pass", text)


def _check_lock(workspace: Workspace) -> Finding:
    try:
        with workspace.lock(workspace.root / "ledger.lock", "the ledger"):
            return Finding("lock", "pass", "no other process is at work here")
    except Locked as error:
        return Finding("lock", "warn", error.what, error.hint)


def _check_source(project: Project, stop: threading.Event) -> Iterator[Finding]:
    try:
        client = SourceClient(project.datatrics, project.secrets.datatrics_key(), stop=stop, note=lambda _text: None)
    except MigrateError as error:
        yield Finding("datatrics key", "fail", error.what, error.hint)
        return
    with contextlib.closing(client):
        for resource in RESOURCES.values():
            finding = _guarded(f"datatrics {resource.name}", lambda r=resource: _announced(client, r.name))  # type: ignore[misc]  # bound now, on purpose
            yield finding
            if finding.level == "fail":
                return


def _announced(client: SourceClient, resource: str) -> str:
    page = client.page(RESOURCES[resource], 1, 1)
    if page.announced_records is None:
        return "answers, without a total: an extract cannot be proven complete"
    return f"answers and announces {page.announced_records:,} records"


def _check_target(project: Project, mappings: dict[str, Mapping], stop: threading.Event) -> Iterator[Finding]:
    try:
        client = TargetClient(
            project.octolis, project.secrets.octolis_keys(), state_file=None, stop=stop, note=lambda _text: None
        )
    except MigrateError as error:
        yield Finding("octolis key", "fail", error.what, error.hint)
        return
    with contextlib.closing(client):
        for dataset, dataset_id in project.octolis.datasets.items():
            finding = _guarded(f"octolis {dataset}", lambda i=dataset_id: _counted(client, i))  # type: ignore[misc]  # bound now, on purpose
            yield finding
            if finding.level != "fail" and dataset in mappings:
                yield _check_columns(client, mappings[dataset], dataset_id)


def _counted(client: TargetClient, dataset_id: str) -> str:
    counted = client.count(dataset_id)
    skew = _clock_skew_s(counted.server_time)
    if skew is not None and abs(skew) > _CLOCK_TOLERANCE_S:
        return f"answers and holds {counted.count:,} records; this machine's clock is off by {skew:.0f} s"
    return f"answers and holds {counted.count:,} records"


def _clock_skew_s(server_time: datetime | None) -> float | None:
    return None if server_time is None else time.time() - server_time.astimezone(UTC).timestamp()


def _check_columns(client: TargetClient, mapping: Mapping, dataset_id: str) -> Finding:
    name = f"columns {mapping.dataset}"
    header = next(csv.reader(io.StringIO(client.export_csv(dataset_id, 1, page_size=1).decode("utf-8-sig"))), [])
    if not header:
        text = "the dataset is empty and shows no columns; the first batch will tell"
        return Finding(name, "warn", text, "compare the mapping's columns with the dataset in Octolis by eye")
    missing = [column for column in mapping.columns if column not in header]
    if missing:
        text = f"the dataset has no column {', '.join(missing)}"
        return Finding(name, "fail", text, "add them in Octolis, or take them out of the mapping")
    return Finding(name, "pass", f"all {len(mapping.columns)} mapped columns exist")


def _guarded(name: str, ask: Callable[[], str]) -> Finding:
    try:
        text = ask()
    except MigrateError as error:
        return Finding(name, "fail", error.what, error.hint)
    return Finding(name, "warn" if "without a total" in text or "clock" in text else "pass", text)
