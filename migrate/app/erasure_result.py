"""What an erasure does and has done, and where it cannot reach."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from migrate.load.ledger_view import LedgerView
from migrate.privacy.contents import DataPlace
from migrate.privacy.person import Person
from migrate.privacy.written import read_written
from migrate.workspace import Workspace

if TYPE_CHECKING:
    from migrate.app.erasure_unfinished import UnfinishedSnapshot


@dataclass(frozen=True)
class Outside:
    """Where the person is that this tool cannot reach: a kind of place, and which."""

    kind: str
    what: str


@dataclass(frozen=True)
class Erased:
    """What was removed of one person (or would be), and where they are still.

    `rows` by file, `lines` of logs by file, `removed` files, `ledger` rows by table; `places` where the second look
    found something; `outside` what the tool cannot reach.
    """

    records: int
    rows: Mapping[str, int] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    ledger: Mapping[str, int] = field(default_factory=dict)
    masterids: tuple[tuple[str, str], ...] = ()
    places: tuple[DataPlace, ...] = ()
    outside: tuple[Outside, ...] = ()
    linked: tuple[str, ...] = ()
    """Files that are left, since they have another name elsewhere which would keep what they hold."""
    dry_run: bool = False
    taken: tuple[tuple[str, str | None, str, str], ...] = ()
    """The profiles that are theirs: resource, source, id, and by what."""
    mentions: tuple[tuple[str, str | None, str, str], ...] = ()
    """Records of others that hold their address, and the fields; they are left."""

    @property
    def found_anything(self) -> bool:
        """Whether there was anything of the person."""
        return bool(self.records or self.rows or self.lines or self.removed or self.ledger)


@dataclass
class Footprint:
    """The files that something is to be taken out of, and how much."""

    rows: dict[str, int] = field(default_factory=dict)
    numbers: dict[Path, list[int]] = field(default_factory=dict)
    """The rows by their numbers in each file, from 0."""
    columns: dict[Path, list[str]] = field(default_factory=dict)
    """The columns of each file whose names hold a value of theirs."""
    lines: dict[str, int] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    linked: dict[Path, int] = field(default_factory=dict)
    """Files that are theirs and have another name elsewhere, by inode: they are left, since that name would stay."""


def places_outside(
    person: Person,
    workspace: Workspace,
    unfinished: Sequence[UnfinishedSnapshot],
    removed: Collection[Path] = (),
) -> Iterator[Outside]:
    """Where the person may be still, for whoever has to see to it there; not what was just `removed`."""
    for resource, source, id_ in sorted(person.identities, key=str):
        if resource == "profiles":
            yield Outside("source", f"Datatrics: profile {id_} of source {source}")
    for snapshot in unfinished:
        if snapshot.is_unfinished and person.identities:
            what = "the extract goes on by asking the source, which may still have them"
            yield Outside("source", f"snapshot {snapshot.name} is unfinished: {what}")
    # The API has no delete: whoever runs the account has to remove these there.
    for dataset, masterid in sorted(person.masterids):
        yield Outside("target", f"Octolis: dataset {dataset}, masterid {masterid}")
    # A store that keeps versions has the old parts still, and this tool cannot know.
    if workspace.snapshots_at:
        yield Outside("object store", f"older versions of objects below {workspace.snapshots_at}")
    for one in read_written(workspace.root):
        is_gone_by_us = one.path in removed and not one.path.exists()
        if not one.is_as_written() and not one.is_inside(workspace.root) and not is_gone_by_us:
            state = "changed since" if one.path.exists() else "no longer there"
            yield Outside("handed over", f"{one.path}, written by `{one.command}`, {state}")
    yield from _handed_over(workspace)
    if person.identities:
        yield from _wherever_people_copied_it()


def handed_over_files(workspace: Workspace) -> frozenset[Path]:
    """The files that an import may take, or has taken without anybody having seen it: nothing of them is removed."""
    if not workspace.ledger.exists():
        return frozenset()
    files: set[Path] = set()
    with LedgerView(workspace.ledger) as view:
        for one in view.handovers():
            if one.is_open:
                files |= {one.folder / file.name for file in view.handed_files(one)}
    return frozenset(files)


def _handed_over(workspace: Workspace) -> Iterator[Outside]:
    """What an import may take yet, and what was uploaded to a server: nobody here knows where an import has put it."""
    for file in sorted(handed_over_files(workspace)):
        yield Outside("handed over", f"{file}, for an import that is not settled")
    if not workspace.ledger.exists():
        return
    with LedgerView(workspace.ledger) as view:
        sent = [one for one in view.handovers() if one.uploaded_to is not None]
    for one in sent:
        yield Outside("handed over", f"files of plan {one.plan}, uploaded to {one.uploaded_to}")


def _wherever_people_copied_it() -> Iterator[Outside]:
    yield Outside("handed over", "lists of rejects, reports and archives that were given to others")
    yield Outside("backups", "copies of this workspace, and of the files named above")
    yield Outside(
        "sandbox", "the file of `migrate sandbox --db`, where one was fed with these records"
    )
