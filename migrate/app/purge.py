"""Purging: all personal data of a workspace. Of one person only, see `migrate.app.erasure`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrate.app.erasure_unfinished import unfinished_snapshots
from migrate.errors import Interrupted
from migrate.privacy.own import linked_elsewhere
from migrate.snapshot.storage import erase_stored, list_stored
from migrate.verify.purge import (
    Purged,
    count_ledger_records,
    describe,
    empty_ledger,
    personal_files,
    remove,
)
from migrate.workspace import PURGED_FILE, Workspace, write_json

if TYPE_CHECKING:
    from migrate.app.context import Context

Json = dict[str, Any]


def run_purge(context: Context, *, dry_run: bool = False) -> Purged:
    """Removes every file and ledger entry that may hold personal data; `purged.json` keeps their names and hashes."""
    workspace = context.workspace
    with _nobody_at_work(workspace):
        files, left_alone = personal_files(workspace)
        linked = tuple(
            f"{file.relative_to(workspace.root).as_posix()}: find / -xdev -inum {inode}"
            for file, inode in linked_elsewhere(files).items()
        )
        listed = (*describe(workspace, files), *list_stored(workspace))
        if dry_run:
            keyed = count_ledger_records(workspace.ledger)
            return Purged(listed, keyed, tuple(left_alone), linked)
        emptied = empty_ledger(workspace.ledger)
        record = {
            "purged_at": context.now().isoformat(),
            "ledger_records": emptied,
            "files": [asdict(e) for e in listed],
            "linked": list(linked),
        }
        # Before the first file goes, so that an interrupted purge has said what it was taking.
        _append(workspace.root / PURGED_FILE, record)
        for file in files:
            if context.stop.is_set():
                raise Interrupted(
                    "the purge was stopped, and is not finished",
                    hint="give the same command again: migrate purge --yes",
                )
            remove([file])
        # Also what an interrupted extract has put there, which no manifest names.
        erase_stored(workspace)
    return Purged(listed, emptied, tuple(left_alone), linked)


@contextmanager
def _nobody_at_work(workspace: Workspace) -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(workspace.lock(workspace.ledger.with_suffix(".lock"), "the ledger"))
        for snapshot in unfinished_snapshots(workspace):
            stack.enter_context(workspace.lock(snapshot.lock, f"snapshot {snapshot.name}"))
        yield


def _append(file: Path, record: Json) -> None:
    try:
        known = json.loads(file.read_bytes())
    except (OSError, ValueError):
        known = []
    write_json(file, [*known, record])
