"""Loads one dataset in a process of its own, so that a test can kill it: URL WORKSPACE RECORDS ROWS BATCHES CANARY."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from pydantic import SecretStr

from migrate.config import Gates, Octolis
from migrate.errors import MigrateError
from migrate.load.loader import Options, load
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.progress import Silence
from migrate.target.client import TargetClient
from migrate.workspace import Workspace


def main(url: str, root: str, records: str, rows: str, batches: str, canary: str) -> int:
    """The exit code of the load."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    workspace = Workspace(Path(root))
    dataset = DatasetToLoad(
        "contacts",
        "contacts",
        ("contact_key",),
        frozenset(),
        Path(records),
        None,
        int(rows),
        int(batches),
    )
    plan = PlanToLoad("first", Path(records).parent.parent, (dataset,))
    settings = Octolis(base_url=url, limit_speed=50)
    keys = (SecretStr("sandbox-octolis-key"),)
    with TargetClient(
        settings, keys, state_file=workspace.root / "budget.json", stop=stop
    ) as client:
        try:
            options = Options(canary=int(canary))
            load(client, workspace, plan, Gates(), Silence(), stop, options=options)
        except MigrateError as error:
            sys.stderr.write(f"{type(error).__name__}: {error} | {error.hint}\n")
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
