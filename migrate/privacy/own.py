"""Which files of a workspace are the tool's own: a purge takes these and nothing else, and links lead to none of them.

A workspace may be a folder in which somebody keeps other things as well, and somebody may put a file of theirs beside
a report. So a file is the tool's own by its name, which only the tool gives, at the place where the tool puts it; or
because it is in the list of what was written where a user wished, and still the same.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from migrate.errors import WorkspaceError
from migrate.names import RESOURCE_NAMES

FOLDERS = ("snapshots", "plans", "exports", "reports", "log", "undo", "rehearsal")
_ROOT_FILE = re.compile(
    r"(ledger\.(sqlite.*|lock|holder)|budget\.(json|lock)|salt|purged\.json|written\.jsonl|PAUSE"
    r"|corrections\.[a-z0-9]+|\.rehearsal\.(lock|holder)|\.probe-\d+|\.erasing-[0-9a-f]+\.json|\..+\.\d+\.tmp)"
)


_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_RESOURCE = "|".join(RESOURCE_NAMES)
_TEMPORARY = r"\..{1,250}\.\d+\.tmp"
_OWN = re.compile(
    "|".join(
        (
            rf"snapshots/{_NAME}/({_RESOURCE})/(.*/)?([^/]+\.(parquet|page|page\.damaged|jsonl|ndjson)|\.part-[^/]*\.tmp)",
            rf"snapshots/{_NAME}/unread/({_RESOURCE})-\d+\.bin",
            rf"plans/{_NAME}/[^/]+/[^/]+\.parquet",
            rf"exports/{_NAME}/(crosswalk|altered|differences|rejects|undo|not-undone|merged)[^/]*"
            r"\.(parquet|csv|ndjson|xlsx)",
            rf"exports/{_NAME}/\.[^/]+\.parts/[^/]+\.parquet",
            rf"reports/{_NAME}-(run|cutover|reconcile)\.(html|json)",
            rf"reports/{_NAME}-evidence\.zip",
            rf"reports/\.{_NAME}-read-back/.+\.(parquet|json)",
            r"log/\d{8}\.jsonl",
            rf"undo/undo-{_NAME}/[^/]+/[^/]+\.parquet",
            r"rehearsal/.+",
            r"salt|corrections\.[a-z0-9]+|\.erasing-[0-9a-f]+\.json",
            rf"([^/]+/)*{_TEMPORARY}",
        )
    )
)
_KEPT = re.compile(
    r"(.*/)?(manifest\.json|begun\.json|plan\.json|result\.json|[^/]*\.(lock|holder))"
    r"|reports/[^/]+(-run\.json|-cutover\.json|-reconcile\.json|-evidence\.zip)"
    r"|plans/[^/]+/mappings/.*"
    r"|(ledger\.|budget\.|purged\.json|written\.jsonl|PAUSE)[^/]*"
)


def is_kept(name: str) -> bool:
    """Whether a purge keeps a file: it holds counts, verdicts, hashes or rules, and no personal value by itself."""
    return _KEPT.fullmatch(name) is not None and not re.fullmatch(_TEMPORARY, Path(name).name)


def is_own(name: str) -> bool:
    """Whether a file is the tool's own by its name and place; `name` is relative to the workspace, with `/`."""
    return _OWN.fullmatch(name) is not None


def own_files(root: Path) -> Iterator[Path]:
    """All plain files of the workspace's folders and, of the workspace itself, those with the tool's names.

    Links are not followed. What is in the folders and is not the tool's own is among them: it is searched, not removed.
    """
    if not root.is_dir():
        return
    for path in root.iterdir():
        if _ROOT_FILE.fullmatch(path.name) and _is_plain(path):
            yield path
    for name in FOLDERS:
        for folder, _folders, files in os.walk(root / name, followlinks=False):
            yield from (path for file in files if _is_plain(path := Path(folder, file)))


def linked_elsewhere(files: Iterable[Path]) -> dict[Path, int]:
    """The files that have further names beyond those given (hard links), with their inode's number.

    Whatever is done to such a file by the name here, the other name keeps what it held.
    """
    names: dict[tuple[int, int], list[Path]] = {}
    counts: dict[tuple[int, int], int] = {}
    for file in files:
        with contextlib.suppress(OSError):
            said = file.lstat()
            if said.st_nlink > 1:
                names.setdefault((said.st_dev, said.st_ino), []).append(file)
                counts[said.st_dev, said.st_ino] = said.st_nlink
    return {
        file: inode
        for (device, inode), known in names.items()
        if len(known) < counts[device, inode]
        for file in known
    }


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def check_links(root: Path) -> None:
    """Raises WorkspaceError for a link out of the workspace, and for what is neither file nor folder.

    The workspace as a whole may be a link: that is its owner's way to say where it is.
    """
    inside = root.resolve()
    for path in _entries(root):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            target = path.resolve()
            if not target.is_relative_to(inside):
                raise WorkspaceError(
                    f"{path} is a link that leads out of the workspace, to {target}",
                    hint="put the file or folder itself there, or remove the link; "
                    "the workspace as a whole may be elsewhere: set `workspace` in migrate.toml",
                )
        elif not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise WorkspaceError(
                f"{path} is neither a file nor a folder",
                hint="remove it: reading it could wait for ever",
            )


def _entries(root: Path) -> Iterator[Path]:
    """Everything in the workspace that is or could be the tool's, links and pipes included."""
    if not root.is_dir():
        return
    for path in root.iterdir():
        if path.name in FOLDERS or _ROOT_FILE.fullmatch(path.name):
            yield path
    for name in FOLDERS:
        if not (root / name).is_symlink():
            for folder, folders, files in os.walk(root / name, followlinks=False):
                yield from (Path(folder, one) for one in (*folders, *files))
