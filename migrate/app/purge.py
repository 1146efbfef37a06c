"""Purging: all personal data of a workspace. Of one person only, see `migrate.app.erasure`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrate.errors import Interrupted
from migrate.snapshot.storage import erase_stored, list_stored
from migrate.verify.purge import (
    Purged,
    count_ledger_records,
    describe,
    empty_ledger,
    personal_files,
    remove,
)
from migrate.workspace import Workspace, write_json

if TYPE_CHECKING:
    from migrate.app.context import Context

Json = dict[str, Any]


def run_purge(context: Context, *, dry_run: bool = False) -> Purged:
    """Removes every file and ledger entry that may hold personal data; `purged.json` keeps their names and hashes."""
    workspace = context.workspace
    with _nobody_at_work(workspace):
        files, left_alone = personal_files(workspace)
        listed = (*describe(workspace, files), *list_stored(workspace))
        if dry_run:
            return Purged(listed, count_ledger_records(workspace.ledger), tuple(left_alone))
        emptied = empty_ledger(workspace.ledger)
        record = {
            "purged_at": context.now().isoformat(),
            "ledger_records": emptied,
            "files": [asdict(e) for e in listed],
        }
        _append(workspace.root / "purged.json", record)
        for file in files:
            if context.stop.is_set():
                raise Interrupted(
                    "the purge was stopped, and is not finished",
                    hint="give the same command again: migrate purge --yes",
                )
            remove([file])
        erase_stored(workspace)
    return Purged(listed, emptied, tuple(left_alone))


def _nobody_at_work(workspace: Workspace) -> ExitStack:
    stack = ExitStack()
    stack.enter_context(workspace.lock(workspace.ledger.with_suffix(".lock"), "the ledger"))
    return stack


def _append(file: Path, record: Json) -> None:
    try:
        known = json.loads(file.read_bytes())
    except (OSError, ValueError):
        known = []
    write_json(file, [*known, record])
