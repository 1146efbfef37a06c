"""The command as a process that is gone at its n-th act on the disk: `killed_process.py N ARGUMENTS...`.

As of a kill or a power cut, nothing of Python's runs any more: no `finally`, no end of a `with`. Exit code 137 where it
was killed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_ACTS = frozenset(
    {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree"}
)


def main() -> None:
    """Runs the command until then."""
    left = int(sys.argv[1])
    sys.argv = ["migrate", *sys.argv[2:]]
    folder = Path("migration").absolute()

    def on_event(event: str, given: tuple[object, ...]) -> None:
        nonlocal left
        if not _is_act(event, given) or not _is_below(given[0], folder):
            return
        left -= 1
        if left == 0:
            os._exit(137)

    sys.addaudithook(on_event)
    from migrate.cli.main import main as run

    run()


def _is_act(event: str, given: tuple[object, ...]) -> bool:
    if event == "open":
        mode, flags = given[1], given[2]
        is_written = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        return bool(is_written) or (isinstance(mode, str) and not set(mode).isdisjoint("wax+"))
    return event in _ACTS


def _is_below(path: object, folder: Path) -> bool:
    # A log is written at any time, and may be lost at any.
    is_named = isinstance(path, str | os.PathLike)
    return is_named and folder in Path(path).absolute().parents and ".jsonl" not in str(path)


if __name__ == "__main__":
    main()
