"""Which files of a workspace are the tool's own: a purge takes these and nothing else, and links lead to none of them.

A workspace may be a folder in which somebody keeps other things as well, and somebody may put a file of theirs beside
a report. So a file is the tool's own by its name, which only the tool gives, at the place where the tool puts it; or
because it is in the list of what was written where a user wished, and still the same. A name that says of which plan or
snapshot a file is must be that of one that is there, or be made of a time, as the tool makes names.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from migrate.errors import WorkspaceError
from migrate.names import RESOURCE_NAMES

FOLDERS = ("snapshots", "plans", "exports", "reports", "log", "undo", "rehearsal")
_ROOT_FILE = re.compile(
    r"(ledger\.(sqlite.*|lock|holder)|budget\.(json|lock)|salt|purged\.json|written\.jsonl|PAUSE"
    r"|corrections\.(parquet|lock|holder)|\.rehearsal\.(lock|holder)|\.probe-\d+|\.erasing-[0-9a-f]+\.json|\..+\.\d+\.tmp)"
)


_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_KNOWN = r"(?P<{}>[A-Za-z0-9][A-Za-z0-9._-]{{0,99}}?)"
_TIME = r"\d{8}-\d{6}(-\d+)?"
_OF_A_TIME = re.compile(_TIME)
_OF_AN_UNDO = re.compile(rf"undo-(?P<plan>.+)-{_TIME}")
_UNDO_LISTS = "created|changed-since|merged|unreadable|foreign|partly|refused"
REHEARSAL = "rehearsal"
_MARK = ".of-migrate"
_RESOURCE = "|".join(RESOURCE_NAMES)
TEMPORARY = r"\..{1,250}\.(\d+)\.tmp"
"""The name that a file is to have, and the number of the process that writes it."""
_OWN = re.compile(
    "|".join(
        (
            rf"snapshots/{_NAME}/({_RESOURCE})/(.*/)?([^/]+\.(parquet|page|page\.damaged|jsonl|ndjson)|\.part-[^/]*\.tmp)",
            rf"snapshots/{_NAME}/unread/({_RESOURCE})-\d+\.bin",
            rf"plans/{_NAME}/[^/]+/[^/]+\.parquet",
            rf"exports/{_KNOWN.format('a')}/(crosswalk|altered|differences|not-imported)-[^/]+\.parquet",
            rf"exports/{_KNOWN.format('b')}/rejects(-permanent|-transient|-masked)?\.(csv|ndjson|xlsx)",
            rf"exports/{_KNOWN.format('c')}/undo-({_UNDO_LISTS})-[^/]+\.csv",
            rf"exports/{_NAME}/\.[^/]+\.parts/[^/]+\.parquet",
            rf"exports/{_NAME}/files/[^/]+_\d{{8}}[^/]*\.(csv|json|partial)",
            rf"reports/{_KNOWN.format('d')}-(run|cutover|reconcile)\.(html|json)",
            rf"reports/{_KNOWN.format('e')}-evidence\.zip",
            rf"reports/\.{_NAME}-read-back/.+\.(parquet|json)",
            r"log/\d{8}\.jsonl",
            rf"undo/undo-{_NAME}/[^/]+/[^/]+\.parquet",
            rf"{REHEARSAL}/.+",
            r"salt|corrections\.parquet|\.erasing-[0-9a-f]+\.json",
            rf"([^/]+/)*{TEMPORARY}",
        )
    )
)
_KEPT = re.compile(
    r"(.*/)?(manifest\.json|handover\.json|begun\.json|plan\.json|result\.json|[^/]*\.(lock|holder))"
    r"|reports/[^/]+(-run\.json|-cutover\.json|-reconcile\.json|-evidence\.zip)"
    # The texts that a plan was made from: undo, trace and evidence need them after the mappings were edited.
    r"|plans/[^/]+/mappings/.*"
    r"|(ledger\.|budget\.|purged\.json|written\.jsonl|PAUSE)[^/]*"
)


def is_kept(name: str) -> bool:
    """Whether a purge keeps a file: it holds counts, verdicts, hashes or rules, and no personal value by itself."""
    return _KEPT.fullmatch(name) is not None and not re.fullmatch(TEMPORARY, Path(name).name)


def is_own(name: str, known: Collection[str] = ()) -> bool:
    """Whether a file is the tool's own by its name and place; `name` is relative to the workspace, with `/`.

    `known`: the names of plans and snapshots that there are.
    """
    match = _OWN.fullmatch(name)
    if match is None:
        return False
    named = [of for of in match.groupdict().values() if of is not None]
    return all(_is_named(of, known) for of in named)


def _is_named(name: str, known: Collection[str]) -> bool:
    """Whether a plan, a snapshot or the undo of a plan has this name."""
    undo = _OF_AN_UNDO.fullmatch(name)
    plan = undo["plan"] if undo else name
    # A plan that is gone has left reports; a name made of a time is one that only the tool gives.
    return plan in known or _OF_A_TIME.fullmatch(plan) is not None


def mark_rehearsal(root: Path) -> Path:
    """An empty folder for a rehearsal in the workspace at `root`, marked as the tool's own.

    **Raises**: WorkspaceError where somebody has a folder of that name there.
    """
    folder = root / REHEARSAL
    if not forget_rehearsal(root):
        raise WorkspaceError(
            f"{folder} holds what no rehearsal has put there",
            hint="move it elsewhere, or set another `workspace` in migrate.toml",
        )
    folder.mkdir(mode=0o700)
    (folder / _MARK).touch(mode=0o600)
    return folder


def forget_rehearsal(root: Path) -> bool:
    """Removes what a rehearsal has left, whole. False where the folder there is none of a rehearsal's: it stays."""
    folder = root / REHEARSAL
    if not folder.exists():
        return True
    if not is_rehearsal(folder):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


def is_rehearsal(folder: Path) -> bool:
    """Whether a folder of that name is a rehearsal's: it has the mark, or nothing at all."""
    try:
        return folder.is_dir() and ((folder / _MARK).is_file() or not any(folder.iterdir()))
    except OSError:
        return False


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
        # Not stat, which follows a link to what it leads to.
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
