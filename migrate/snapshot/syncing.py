"""Files confirmed by the disk while other work goes on."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from migrate.snapshot.layout import disk_errors
from migrate.workspace import sync_folder

_AT_ONCE = 2


class Syncing:
    """Has the disk confirm files of one folder, in threads of its own, so that nobody waits for each of them.

    **Guarantees**: when the block has ended without an error, content and names of all of them survive a power cut.

    **Raises**: WorkspaceError at the end of the block, where the disk refuses one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sync")
        self._begun: list[Future[None]] = []

    def __enter__(self) -> Syncing:
        return self

    def add(self, path: Path) -> None:
        """Takes a file that is written. May be called from any thread."""
        self._begun.append(self._pool.submit(_sync, path))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            for future in self._begun:
                future.result()
            with disk_errors(self._folder):
                sync_folder(self._folder)


def _sync(path: Path) -> None:
    with disk_errors(path), path.open("rb+") as file:
        os.fsync(file.fileno())
