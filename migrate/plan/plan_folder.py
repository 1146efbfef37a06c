"""The folder of a plan in the making: a new one, or that of a plan that was interrupted."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from migrate.errors import Interrupted, Locked, UsageError, WorkspaceError
from migrate.plan.carried import FOLDER
from migrate.plan.corrections_used import CORRECTIONS_FOLDER
from migrate.plan.document import FORMAT, SCOPE_FOLDER
from migrate.plan.open_plan import PLAN_FILE
from migrate.plan.reading_state import STATE_FILE
from migrate.workspace import Workspace, new_name, write_bytes, write_json

BEGUN_FILE = "begun.json"
_RESUMABLE = timedelta(days=1)


@contextlib.contextmanager
def begin_plan(
    workspace: Workspace, name: str | None, asked: Mapping[str, object], now: Callable[[], datetime]
) -> Iterator[tuple[str, Path]]:
    """The name and the folder of a new plan, locked while the block runs.

    A plan of that name that was begun and never finished is made again; without a name, so is the newest plan, where
    the same was `asked` within the last day and nobody is at work on it. What such a plan has read of the target stays,
    all else goes.

    **Raises** UsageError where a finished plan has the name, since a plan never changes; Locked where another process
    makes it.
    """
    workspace.create()
    begun = now()
    chosen = name or _unfinished(workspace, asked, begun) or _new_name(workspace, begun)
    folder = workspace.folder_of(workspace.plans, chosen, "plan")
    with workspace.lock(_lock_file(workspace, chosen), f"plan {chosen!r}"):
        if (folder / PLAN_FILE).exists():
            raise UsageError(
                f"there is a plan {chosen!r} already, and a plan never changes",
                hint=f"load it as it is: migrate load --plan {chosen}; or choose another --plan",
            )
        if folder.exists() and not folder.is_dir():
            raise WorkspaceError(f"{folder} is in the way: it is no folder", hint="move it away")
        # What was read of another target says nothing of this one.
        _clear(folder, keep_reading=_begun(folder).get("target") == asked.get("target"))
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        # The one file with a time in it: all others have the same bytes for the same inputs.
        mark = {"format": FORMAT, "name": chosen, "started": begun.isoformat(), **asked}
        write_json(folder / BEGUN_FILE, mark)
        yield chosen, folder


@contextlib.contextmanager
def explained(name: str, folder: Path, words: str) -> Iterator[None]:
    """Gives an interruption the command that makes this plan again, and a full disk a name. `words`: that command."""
    again = f"{words} --plan {name}"
    try:
        yield
    except Interrupted as error:
        raise Interrupted(error.what, hint=again) from None
    except OSError as error:
        raise WorkspaceError(
            f"plan {name!r} cannot be written to {folder}: {error.strerror or error}",
            hint=f"free disk space or fix its permissions, then: {again}",
        ) from None


def _new_name(workspace: Workspace, begun: datetime) -> str:
    return new_name(begun, lambda taken: (workspace.plans / taken).exists())


def _lock_file(workspace: Workspace, name: str) -> Path:
    return workspace.plans / f".{name}.lock"


def _unfinished(workspace: Workspace, asked: Mapping[str, object], now: datetime) -> str | None:
    """The newest plan, where it is an unfinished one of the last day that was asked for in the same words."""
    names = workspace.names(workspace.plans)
    mark = _begun(workspace.plans / names[-1]) if names else {}
    if not names or (workspace.plans / names[-1] / PLAN_FILE).exists():
        return None
    if any(mark.get(name) != value for name, value in asked.items()) or not _is_recent(
        mark.get("started"), now
    ):
        return None
    try:
        # Taken and let go at once: it only tells whether somebody is at work on that plan.
        with workspace.lock(_lock_file(workspace, names[-1]), "plan"):
            return names[-1]
    except Locked:
        return None


def _is_recent(started: object, now: datetime) -> bool:
    try:
        return now - datetime.fromisoformat(str(started)) < _RESUMABLE
    except (ValueError, TypeError):
        return False


def _begun(folder: Path) -> dict[str, object]:
    try:
        mark = json.loads((folder / BEGUN_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return mark if isinstance(mark, dict) else {}


def _clear(folder: Path, *, keep_reading: bool) -> None:
    """Removes what an unfinished plan has left, but for what it has read of the target."""
    if not keep_reading:
        shutil.rmtree(folder, ignore_errors=True)
    for path in folder.rglob("*") if folder.is_dir() else ():
        reading = path.name == STATE_FILE or path.match("before-*.parquet")
        if not path.is_dir() and not (reading and path.parent.parent == folder):
            path.unlink()


def finish_plan(folder: Path, document: bytes, datasets: Collection[str]) -> None:
    """Writes `plan.json`, which makes the plan one, after removing what is no part of it."""
    known = (*datasets, FOLDER, SCOPE_FOLDER, CORRECTIONS_FOLDER)
    for child in folder.iterdir():
        if child.is_dir() and child.name not in known:
            shutil.rmtree(child)
    for state in folder.glob(f"*/{STATE_FILE}"):
        state.unlink()
    write_bytes(folder / PLAN_FILE, document)
