"""Names and small files of a snapshot folder, what became of each resource, and what to do about it."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from migrate.errors import Damaged, WorkspaceError
from migrate.sentence import read_parts
from migrate.workspace import FileEntry

FORMAT = 1
BEGUN = "begun.json"
MANIFEST = "manifest.json"
RESULT = "result.json"
LOCK = ".lock"
UNREAD = "unread"
"""The folder, in a snapshot's, with the bytes that came in the place of unreadable records."""
VANISHED = "vanished.ndjson"
DAMAGED = "damaged.parquet"
DOUBLES = "doubles.parquet"
# One folder deep and never beginning with a dot: no path of a manifest leads out of its snapshot.
_FILE = re.compile(r"\w+/\w[\w.-]*\.(parquet|ndjson|bin)", re.ASCII)
T = TypeVar("T")


@dataclass(frozen=True)
class SinceRecord:
    """What a delta was asked for: records changed since `time`, and the finished snapshot they are compared with."""

    time: str
    snapshot: str | None = None
    snapshot_sha256: str | None = None


@dataclass(frozen=True)
class Begun:
    """What a snapshot was begun for; an extract resumes it only for the same."""

    format: int
    name: str
    base_url: str
    project_id: str
    resources: list[str]
    page_sizes: dict[str, int]
    tool_version: str
    started: str
    since: SinceRecord | None = None
    expect: dict[str, int] = field(default_factory=dict)
    encoding: str | None = None
    only_source: str | None = None


@dataclass(frozen=True)
class UnreadRecord:
    """A record that could not be read: its page, its place in the list from 1, and why.

    `file`: the bytes that came in its place, below the snapshot's folder; "" where none came.
    """

    page: int
    position: int
    reason: str
    file: str = ""


@dataclass(frozen=True)
class DeltaCounts:
    """Records by what became of them since; None where that cannot be known. `how` says how they were found."""

    new: int | None
    changed: int | None
    unchanged: int | None
    gone: int | None
    how: str


@dataclass(frozen=True)
class SavedFile:
    """A file that records were taken from: its name below the folder, and what it held.

    `loose`: records outside of list answers.
    """

    name: str
    records: int
    answers: int
    loose: int


@dataclass(frozen=True)
class Expectation:
    """How many records there are, as a person vouches for: who said so, and when."""

    records: int
    by: str
    at: str


@dataclass(frozen=True)
class ResourceResult:
    """What was received of a resource and what can be said of its completeness.

    `received = distinct + duplicates`; rows without an id count as distinct. `requests`, `seconds`
    and `resumed_pages` are of the run that finished the resource. `unlisted_fields`: for how many
    fields there was no column left, at least. `folded`: objects whose members have no columns, and
    how many different keys were seen in one; 0: nested too deep. `shared_names`: columns for which a
    record has two fields, of which the column holds the one seen first. `undated_duplicates`: of the
    changed ones, those where no time says which is newer, so that the one in the later place was
    kept. `readings`: how often the list was read, wholly or from some page on. `kept`: records of
    earlier readings that the last one lacks and that are in the snapshot all the same. `vanished`:
    those that the source no longer has; they are in a file of their own. `damaged`: records that
    hold U+FFFD where bytes were no UTF-8. `reason`: in English; `reason_parts`: what that sentence is made of,
    as `write_parts` gives it; None in a snapshot of an earlier version.
    """

    announced: int | None
    received: int
    distinct: int
    duplicates: int
    changed_duplicates: int
    without_id: int
    unparsed: int
    pages: int
    requests: int
    seconds: float
    resumed_pages: int
    verdict: Literal["proven", "drifted", "unproven"]
    reason: str
    shared_names: list[str] = field(default_factory=list)
    unlisted_fields: int = 0
    unread: list[UnreadRecord] = field(default_factory=list)
    delta: DeltaCounts | None = None
    folded: dict[str, int] = field(default_factory=dict)
    files: list[SavedFile] = field(default_factory=list)
    expected: Expectation | None = None
    undated_duplicates: int = 0
    readings: int = 1
    kept: int = 0
    vanished: int = 0
    damaged: int = 0
    reason_parts: Any = None

    @property
    def why(self) -> str:
        """The reason as a sentence that can be said in any language, where it was kept as one."""
        try:
            said = read_parts(self.reason_parts)
        except ValueError:
            return self.reason
        return said if isinstance(said, str) else self.reason


@dataclass(frozen=True)
class SealedResource:
    """A resource whose parts are written.

    `states` is the file that lists what is new, changed and gone, in a delta. `beside`: what is kept
    apart from the parts and never loaded: vanished and damaged records, and bytes of unreadable ones.
    """

    result: ResourceResult
    columns: list[str]
    parts: list[FileEntry]
    states: FileEntry | None = None
    beside: list[FileEntry] = field(default_factory=list)

    @property
    def files(self) -> list[FileEntry]:
        """All of them."""
        states = [self.states] if self.states else []
        return [*self.parts, *states, *self.beside]


@dataclass(frozen=True)
class Manifest:
    """The last file of a snapshot. Parts' paths are relative to the snapshot's folder; times are labels only.

    `only_source`: records of no other source were asked for.
    """

    format: int
    name: str
    base_url: str
    project_id: str
    tool_version: str
    started: str
    finished: str
    resources: dict[str, SealedResource]
    since: SinceRecord | None = None
    only_source: str | None = None


def files_of(manifest: Manifest) -> list[FileEntry]:
    """Every file that a manifest lists. Raises Damaged where one is not below a resource's folder.

    A manifest in a shared store may be anybody's, and its files are written and removed here by their paths.
    """
    files = list(chain.from_iterable(sealed.files for sealed in manifest.resources.values()))
    for entry in files:
        if not _FILE.fullmatch(entry.path):
            raise Damaged(
                f"snapshot {manifest.name}: its manifest names {entry.path!r:.80}, which is no file of one"
            )
    return files


def read_file(path: Path, kind: type[T], what: str) -> T:
    """The value in a small JSON file. Raises Damaged when it is not what this version writes."""
    try:
        data = path.read_bytes()
        _check_format(path, data)
        return msgspec.json.decode(data, type=kind)
    except OSError as error:
        raise WorkspaceError(f"{what}: {path} cannot be read: {error.strerror or error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(
            f"{what}: {path} is damaged: {error}", hint="make a new snapshot: migrate extract"
        ) from None


def _check_format(path: Path, data: bytes) -> None:
    # By itself and first: a file of another format may not even have the fields of this one.
    document = msgspec.json.decode(data)
    if isinstance(document, Mapping):
        version = document.get("format", FORMAT)
    else:
        version = FORMAT
    if version != FORMAT:
        raise WorkspaceError(
            f"{path} has format {version!r:.20}; this version of migrate reads format {FORMAT}",
            hint="use the version of migrate that wrote it, or make a new snapshot",
        )


def _told(setting: object) -> str:
    """A setting in words: lists and tables without the brackets of a program."""
    if isinstance(setting, list):
        return " ".join(map(str, setting))
    if isinstance(setting, dict):
        return " ".join(f"{name}={value}" for name, value in setting.items())
    if isinstance(setting, SinceRecord):
        return setting.time + (f" ({setting.snapshot})" if setting.snapshot else "")
    return "nothing" if setting is None else str(setting)


def differences(begun: Begun, wanted: Begun) -> list[str]:
    """What keeps `wanted` from being a continuation of `begun`, as `name: was, now`."""
    return [
        f"{name}: {_told(getattr(begun, name))}, now {_told(getattr(wanted, name))}"
        # Not the version nor the time: whoever goes on with it later may use a newer tool.
        for name in (
            "base_url",
            "project_id",
            "resources",
            "page_sizes",
            "since",
            "expect",
            "encoding",
            "only_source",
        )
        if getattr(begun, name) != getattr(wanted, name)
    ]


@contextlib.contextmanager
def disk_errors(
    path: Path, wanted_bytes: int | None = None, *, act: str = "written"
) -> Iterator[None]:
    """Turns a failing disk into a WorkspaceError that names the path and what could not be done."""
    try:
        yield
    except OSError as error:
        # Over its quota a disk is as full to this user as one without any room.
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if wanted_bytes is None:
            size = ""
        else:
            size = f" ({wanted_bytes:,} bytes)"
        raise WorkspaceError(
            f"{path}{size} cannot be {act}: {error.strerror or type(error).__name__}",
            hint="free disk space and give the same command again: it goes on where it stopped"
            if is_full
            else "check the folder's permissions and give the same command again",
        ) from None


def joined(names: Sequence[str]) -> str:
    """Names in one phrase, at most five of them."""
    shown = ", ".join(names[:5])
    if len(names) <= 5:
        return shown
    return f"{shown} and {len(names) - 5} more"


def needs_attention(result: ResourceResult) -> bool:
    """Whether somebody has to look at it before it is relied on."""
    lacks = result.unread or result.damaged or result.vanished
    return result.verdict != "proven" or bool(lacks)


def advise(name: str, result: ResourceResult) -> Iterator[str]:
    """One line for each thing to be done, with what is the matter in numbers."""
    again = f"migrate extract {name} --snapshot NEW-NAME"
    if result.verdict == "drifted":
        yield (
            f"{name} is not proven, since the source moved: what came is kept; to have it proven, "
            f"read it once more while the source rests: {again}"
        )
    elif result.verdict == "unproven" and not (result.unread or result.damaged):
        yield (f"{name} is not proven: {result.reason}; fix that and read it again: {again}")
    if result.unread:
        yield (
            f"{name}: {len(result.unread):,} record(s) cannot be read; have Datatrics fix them at "
            f"the places listed, then: {again}"
        )
    if result.damaged:
        yield (
            f"{name}: {result.damaged:,} record(s) hold bytes that are no UTF-8; they are in the "
            f"snapshot with U+FFFD in their place, and as they came in {name}/{DAMAGED}; fix them "
            f"in the source, then: {again}"
        )
    if result.vanished:
        yield (
            f"{name}: {result.vanished:,} record(s) were delivered and are gone from the source "
            f"since; they are not loaded; {name}/{VANISHED} has them, and migrate extract {name} "
            "--from-files takes that folder where they are wanted"
        )
