"""What the tool wrote at a place that its user chose: remembered, so that it can be found again.

A list in the workspace, one JSON object a line. A file that was changed since is nobody's business but its owner's.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from migrate.workspace import sha256_file

FILE = "written.jsonl"


@dataclass(frozen=True)
class WrittenFile:
    """A file as it was written: where, by which command, and its SHA-256."""

    path: Path
    command: str
    sha256: str

    def is_as_written(self) -> bool:
        """Whether it is still there, and still what was written."""
        try:
            is_plain = self.path.is_file() and not self.path.is_symlink()
            return is_plain and sha256_file(self.path) == self.sha256
        except OSError:
            return False

    def is_inside(self, folder: Path) -> bool:
        """Whether it lies below `folder`."""
        return self.path.resolve().is_relative_to(folder.resolve())


def note_written(root: Path, file: Path, command: str, sha256: str | None = None) -> None:
    """Remembers a file in the list of the workspace at `root`; `sha256`: its hash, where it is known."""
    path = file.absolute()
    line = {"path": str(path), "command": command, "sha256": sha256 or sha256_file(path)}
    # Appended in one write, since two commands may do so at once.
    handle = os.open(root / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(handle, "ab") as opened:
        opened.write(
            (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "surrogateescape")
        )


def read_written(root: Path) -> list[WrittenFile]:
    """The files of the list, each once and as it was written last; a line that cannot be read counts for nothing."""
    files: dict[Path, WrittenFile] = {}
    try:
        lines = (root / FILE).read_bytes().decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            said = json.loads(line)
            one = WrittenFile(Path(said["path"]), str(said["command"]), str(said["sha256"]))
        except (ValueError, KeyError, TypeError):
            continue
        files[one.path] = one
    return list(files.values())
