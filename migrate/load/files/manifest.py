"""`handover.json`: which rows of which plan are in which files. Written last: without it the files are unfinished."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from migrate.errors import Damaged
from migrate.load.files.names import MANIFEST, Format
from migrate.plain_file import read_plain
from migrate.workspace import json_bytes, sha256_bytes, sha256_file

FORMAT = 1


@dataclass(frozen=True)
class FileOf:
    """A file of a handover. Units: bytes. `batch` and `position`: the place in the plan of its first row."""

    dataset: str
    name: str
    rows: int
    bytes: int
    sha256: str
    batch: int | None = None
    position: int | None = None


@dataclass(frozen=True)
class HandoverManifest:
    """What was handed over. `rows_sha256`: which rows of the plan; `patterns`: by dataset, to enter in the account."""

    plan: str
    plan_sha256: str
    rows_sha256: str
    form: Format
    separator: str
    empty: str | None
    patterns: dict[str, str]
    files: Sequence[FileOf]

    def of(self, dataset: str) -> list[FileOf]:
        """The files of one dataset, in the order of their rows."""
        return [file for file in self.files if file.dataset == dataset]

    def holds(self, dataset: str, batch: int, position: int) -> str | None:
        """The name of the file that a row of the plan is in, if it was written; None where no file begins before it."""
        place = (batch, position)
        holder = None
        for file in self.of(dataset):
            if file.batch is not None and (file.batch, file.position or 0) <= place:
                holder = file.name
        return holder

    def content(self) -> bytes:
        """The bytes of the manifest: the same rows always give the same."""
        said = asdict(self)
        # a handover of an earlier version does not say where its files begin, and has its hash without that
        said["files"] = [
            {name: value for name, value in file.items() if value is not None}
            for file in said["files"]
        ]
        return json_bytes({"format": FORMAT, **said, "states": _states(self.form)})

    def sha256(self) -> str:
        """The hash of its bytes."""
        return sha256_bytes(self.content())

    def find_broken(self, folder: Path) -> str | None:
        """The first of its files that is not there as it was written, None where all are."""
        for file in self.files:
            path = folder / file.name
            is_plain = path.is_file() and not path.is_symlink()
            if not is_plain or path.stat().st_size != file.bytes:
                return file.name
            if sha256_file(path) != file.sha256:
                return file.name
        return None


def _states(form: Format) -> dict[str, str]:
    if form == "json":
        return {"left out": "no member", "empty text": '""', "emptied": "null"}
    return {"left out": "nothing between the separators", "empty text": '""', "emptied": "\\N"}


def read_manifest(folder: Path) -> HandoverManifest | None:
    """The manifest of a folder, None where it has none. Raises Damaged for one that cannot be read."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        said: dict[str, Any] = json.loads(read_plain(path))
        named = {name: said[name] for name in HandoverManifest.__dataclass_fields__}
        files = [FileOf(**file) for file in named.pop("files")]
        return HandoverManifest(**named, files=files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(
            f"{path} cannot be read: {error!s:.200}", hint="choose an empty folder"
        ) from None
