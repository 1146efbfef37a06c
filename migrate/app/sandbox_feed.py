"""What a sandbox begins with, where somebody asks for it: made-up data, saved files, or a snapshot of one's own."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from migrate.app.context import Clock
from migrate.demo.feed import SandboxSource, feed
from migrate.demo.synthetic import build_synthetic
from migrate.errors import Interrupted, UsageError
from migrate.snapshot.layout import MANIFEST
from migrate.snapshot.reading import Snapshot, open_snapshot
from migrate.source.import_files import ImportRequest, import_files
from migrate.source.resources import RESOURCES
from migrate.workspace import Workspace

if TYPE_CHECKING:
    import threading

    from migrate.progress import Progress

DEMO = "demo"
_PAGE_ROWS = 500


@dataclass(frozen=True)
class SandboxAddress:
    """Where a sandbox listens, and what opens it."""

    url: str
    project_id: str
    key: SecretStr
    control_token: SecretStr


def feed_sandbox(
    sandbox: SandboxAddress,
    what: str,
    snapshots: Path | None,
    progress: Progress,
    stop: threading.Event,
    now: Clock,
) -> dict[str, int]:
    """How many records of each resource the sandbox's source now holds.

    `what` is `demo`, the path of a folder of saved files or of a snapshot, or the name of a snapshot in the folder
    `snapshots` (None where there is no project). Saved files are read as `extract --from-files` reads them.

    **Raises**: UsageError where `what` is none of these; Damaged and others as reading it raises them; Interrupted.
    """
    if what == DEMO:
        url = f"{sandbox.url}/2.0"
        token = sandbox.control_token
        made_up = build_synthetic()
        return feed(url, sandbox.project_id, sandbox.key, made_up, progress, control_token=token)
    with _open(what, snapshots, progress, stop, now) as snapshot:
        return _plant(sandbox, snapshot, progress, stop)


@contextlib.contextmanager
def _open(
    what: str, snapshots: Path | None, progress: Progress, stop: threading.Event, now: Clock
) -> Iterator[Snapshot]:
    path = Path(what)
    # Before the folder: a snapshot is a folder too, whose files are no saved answers.
    if (path / MANIFEST).is_file():
        yield open_snapshot(_workspace_of(path), path.absolute().name)
    elif path.is_dir():
        # Made of personal data, so it goes with the block; the folder is readable by this user alone.
        with tempfile.TemporaryDirectory(prefix="migrate-feed-") as folder:
            yield _import(path, Path(folder), progress, stop, now)
    elif snapshots is not None and (snapshots / what / MANIFEST).is_file():
        yield open_snapshot(Workspace(snapshots.parent), what)
    else:
        raise UsageError(
            f"there is nothing to feed under {what!r}: no folder of that name"
            + (f", and no finished snapshot in {snapshots}" if snapshots else ""),
            hint="--feed demo, --feed FOLDER of saved files, or --feed SNAPSHOT (its name, or its folder)",
        )


def _workspace_of(snapshot: Path) -> Workspace:
    if snapshot.absolute().parent.name != "snapshots":
        raise UsageError(
            f"{snapshot} is a snapshot outside of a workspace",
            hint="name it where it was made: …/migration/snapshots/NAME",
        )
    return Workspace(snapshot.absolute().parent.parent)


def _import(
    saved: Path, folder: Path, progress: Progress, stop: threading.Event, now: Clock
) -> Snapshot:
    workspace = Workspace(folder)
    workspace.create()
    request = ImportRequest(
        folder=saved,
        resources=tuple(RESOURCES.values()),
        named=(),
        snapshot="saved",
        page_sizes=dict.fromkeys(RESOURCES, _PAGE_ROWS),
        project_id=DEMO,
    )
    import_files(workspace, request, progress, stop, now)
    return open_snapshot(workspace, "saved")


def _plant(
    sandbox: SandboxAddress, snapshot: Snapshot, progress: Progress, stop: threading.Event
) -> dict[str, int]:
    source = SandboxSource(
        sandbox.url, sandbox.project_id, key=sandbox.key, control_token=sandbox.control_token
    )
    planted: dict[str, int] = {}
    with contextlib.closing(source):
        for name, resource in snapshot.resources.items():
            task = f"feed {name}"
            planted[name] = 0
            progress.begin(task, total=resource.rows, unit="records")
            for frame in resource.frames([]):
                if stop.is_set():
                    raise Interrupted(
                        "stopped while the sandbox was fed; its data are gone with it"
                    )
                # Every byte as it was sent: read and written again, `1.10` would be `1.1`.
                taken = source.plant(name, (raw.encode() for raw in frame["_raw"]))
                planted[name] += taken
                progress.advance(task, taken)
            progress.end(task)
    return planted
