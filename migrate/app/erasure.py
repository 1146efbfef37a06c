"""One person out of the workspace: found, taken out of every file, looked for again.

The order is what makes it safe to interrupt: first a file notes who the person is, then everything else goes, and that
file goes last. Every step can be done twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from migrate.app.erasure_beside import holds_rows, records_beside, without_rows
from migrate.app.erasure_files import (
    all_files,
    corrected_records,
    is_below,
    is_of_ledger,
    keep_lines,
    key_fields,
    lines_of,
    makeshift_folders,
    one_after_another,
    remove_half_written,
)
from migrate.app.erasure_names import columns_of, names_of_theirs, without_names
from migrate.app.erasure_pending import PendingErasure
from migrate.app.erasure_result import (
    Erased,
    Footprint,
    handed_over_files,
    places_outside,
)
from migrate.app.erasure_rows import TheirRows
from migrate.app.erasure_unfinished import unfinished_snapshots, unreadable_snapshots
from migrate.app.renew_manifests import renew_manifests
from migrate.errors import Interrupted
from migrate.privacy.contents import DataPlace, places_in
from migrate.privacy.mask import workspace_masker
from migrate.privacy.own import linked_elsewhere
from migrate.privacy.person import Frames, Person, Subject, find_person, nobody_elses
from migrate.privacy.rows import mask_theirs
from migrate.privacy.spellings import Finder, fold
from migrate.privacy.telling import is_findable
from migrate.privacy.written import WrittenFile, read_written
from migrate.snapshot.layout import UNREAD
from migrate.snapshot.reading import Snapshot, list_snapshots, open_snapshot
from migrate.snapshot.storage import bring_copies, return_copies
from migrate.verify.ledger_sweep import sweep_ledger
from migrate.verify.purge import find_masterids

if TYPE_CHECKING:
    from migrate.app.context import Context

_MOST_ROUNDS = 5
"""A key that one file tells may be looked for in all of them, and tell another: a chain of merges is as long."""
_LINES = ".jsonl"
"""Of logs; a list that names them goes whole, since it can be made again."""
_NEVER_REMOVED = frozenset(
    # Without these nothing of a plan or a snapshot could be read or verified any more; names in them are taken
    # out.
    {"plan.json", "manifest.json", "begun.json", "result.json", "budget.json"}
)
_HANDED_OVER = "handed over with a row of theirs: after its import `migrate load --settle`, else `load --take-back`"
_NOT_SEARCHED = frozenset({"salt"})
"""Random bytes, and nothing else."""


def erase_person(
    context: Context, text: str, source: str | None, *, dry_run: bool = False
) -> Erased:
    """Removes one person from everything that this workspace wrote, and says where else they are.

    Manifests and plans get the new hashes. A plan of which records were removed can be verified, and no longer loaded.
    What is unfinished or was only read back or rehearsed is removed whole: it can be made again.

    **Guarantees**: interrupted anywhere, the same command goes on; `dry_run` changes nothing.

    **Raises**: Locked where somebody is at work on the ledger or on a snapshot; Interrupted.
    """
    workspace = context.workspace
    subject = Subject.of(text, source)
    with ExitStack() as stack:
        ledger_lock = workspace.ledger.with_suffix(".lock")
        stack.enter_context(workspace.lock(ledger_lock, "the ledger"))
        if not dry_run:
            # Parts that live in an object store only cannot be rewritten there.
            bring_copies(workspace)
        for snapshot in unfinished_snapshots(workspace):
            # An extract at work would write again what is taken out.
            stack.enter_context(workspace.lock(snapshot.lock, f"snapshot {snapshot.name}"))
        if not dry_run:
            remove_half_written(workspace)
        return _Erasure(context, subject, dry_run=dry_run).run()


class _Erasure:
    """One erasure on its way."""

    def __init__(self, context: Context, subject: Subject, *, dry_run: bool) -> None:
        self._context = context
        self._workspace = context.workspace
        self._subject = subject
        self._dry_run = dry_run
        self._pending = PendingErasure.of(self._workspace, subject)
        self._person = self._pending.person
        self._rows = TheirRows(
            self._workspace,
            self._person,
            lambda: self._finders_of_rows,
            self._fingerprint,
            self._check_stopped,
        )
        self._names: set[str] = set()
        self._frames: dict[str, Frames] = {}
        self._finders: dict[frozenset[str], Finder] = {}
        self._unfinished = unreadable_snapshots(self._workspace)
        self._handed_over = handed_over_files(self._workspace)

    def run(self) -> Erased:
        """All of it."""
        person = self._person
        person.join(self._find())
        self._drop_common_words()
        self._learn_from_files()
        self._names = names_of_theirs(self._row_files(), self._workspace, self._finder)
        if not self._dry_run and (person.identities or person.addresses):
            self._pending.save()
        footprint = self._measure()
        ledger = self._sweep_ledger(dry_run=True)
        if not self._dry_run:
            self._apply(footprint)
        linked = [self._linked_place(file, inode) for file, inode in footprint.linked.items()]
        # What was seen before something was taken out proves nothing of what is there now.
        self._rows.forget()
        places = () if self._dry_run else (*linked, *self._look_again())
        # As long as something is left the note stays: without it the next try could find half of them only.
        if not self._dry_run and not places:
            self._pending.remove()
        return Erased(
            records=len(person.identities),
            rows=footprint.rows,
            lines=footprint.lines,
            removed=tuple(map(self._name, [*footprint.folders, *footprint.files])),
            ledger=ledger,
            masterids=tuple(sorted(person.masterids)),
            places=places,
            outside=tuple(
                places_outside(person, self._workspace, self._unfinished, footprint.files)
            ),
            linked=tuple(map(str, linked)),
            taken=tuple(sorted(person.reasons, key=str)),
            mentions=tuple(sorted(person.mentions, key=str)),
            dry_run=self._dry_run,
        )

    def _linked_place(self, file: Path, inode: int) -> DataPlace:
        what = "has another name outside of the workspace, which would keep it; remove that one"
        return DataPlace(self._name(file), f"{what}: find / -xdev -inum {inode}")

    # who it is

    def _find(self) -> Person:
        """Who the person is, over all snapshots at once: a delta has a sale whose profile only its base has."""
        parts: dict[str, list[Frames]] = {}
        for snapshot in self._unfinished:
            for name in snapshot.resources:
                parts.setdefault(name, []).append(partial(snapshot.frames, name))
        for opened in self._finished():
            for name, resource in opened.resources.items():
                parts.setdefault(name, []).append(partial(resource.frames, []))
                beside = self._workspace.snapshots / opened.name / name
                parts[name].append(partial(records_beside, beside, name))
        for name, frames in parts.items():
            frames.append(partial(corrected_records, self._workspace, name))
        self._frames = {n: partial(one_after_another, of) for n, of in parts.items()}
        aliases = self._context.project.datatrics.source_aliases
        return find_person(
            self._subject, self._frames, aliases, key_fields(self._context.project.mappings)
        )

    def _finished(self) -> Iterator[Snapshot]:
        """The snapshots that can be read as such."""
        others = {snapshot.name for snapshot in self._unfinished}
        for state in list_snapshots(self._workspace):
            if state.finished and state.name not in others:
                yield open_snapshot(self._workspace, state.name, check_files=False)

    def _drop_common_words(self) -> None:
        """Values that are also words of mappings and plans tell nobody apart: `female`, say, of the only woman."""
        texts = [
            file.read_text("utf-8", "replace")
            for folder in (self._context.project.mappings, self._workspace.plans)
            for pattern in ("**/*.yaml", "*/plan.json")
            for file in sorted(folder.glob(pattern))
            if file.is_file()
        ]
        said = " ".join(map(fold, texts))
        self._person.values = {
            value
            for value in self._person.values
            if "@" in value or any(char.isdigit() for char in value) or fold(value) not in said
        }

    def _learn_from_files(self) -> None:
        """Follows keys, masterids and new forms of values through all files, until there is nothing new."""
        for _ in range(_MOST_ROUNDS):
            before = self._fingerprint()
            values = set(self._person.values)
            self._person.masterids |= find_masterids(
                self._workspace.ledger, sorted(self._person.keys)
            )
            for file in self._row_files():
                # Records of snapshots were searched as such; here it is what plans and loads have made of them.
                if self._workspace.snapshots not in file.parents:
                    self._rows.learn_from(file)
            # A row may name somebody else as well, who pays or gets the parcel: they are not erased with it.
            learned = self._person.values - values
            self._person.values = values | nobody_elses(learned, self._person, self._frames)
            if self._fingerprint() == before:
                return

    @property
    def _finder(self) -> Finder:
        """What is looked for in rows: known values in all spellings, hashed and masked."""
        return self._finder_of(frozenset(self._person.known()))

    @property
    def _finders_of_rows(self) -> tuple[Finder, Finder]:
        return self._finder, self._finder_of(frozenset(self._person.telling()))

    @property
    def _text_finder(self) -> Finder:
        """What is looked for in pages, lists and logs: the same, keys that are nobody else's, and names of fields."""
        keys = self._person.key_texts() - self._rows.shared_keys
        return self._finder_of(frozenset(self._person.known() | keys | self._names))

    def _finder_of(self, known: frozenset[str]) -> Finder:
        if known not in self._finders:
            self._finders[known] = Finder(known, exact=self._masks_of(known))
        return self._finders[known]

    def _masks_of(self, known: Iterable[str]) -> set[str]:
        """Masked, a value is still theirs: who has the workspace's salt could try."""
        if not (self._workspace.root / "salt").is_file():
            return set()
        masker = workspace_masker(self._workspace.root)
        spelled = set(
            chain.from_iterable((text, text.strip(), text.strip().lower()) for text in known)
        )
        findable = {text for text in spelled if is_findable(text)}
        return {masker.mask(text) for text in findable} | {masker.seal(text) for text in findable}

    # what there is of them

    def _measure(self) -> Footprint:
        footprint = Footprint()
        if self._person.identities:
            footprint.folders = list(makeshift_folders(self._workspace))
        for file in self._row_files():
            if not is_below(file, footprint.folders):
                self._check_stopped()
                rows = self._rows.numbers(file)
                named = sorted(self._names.intersection(columns_of(file)))
                if rows or named:
                    footprint.rows[self._name(file)] = len(rows)
                    footprint.numbers[file], footprint.columns[file] = rows, named
        if self._dry_run:
            footprint.rows |= self._rows_in_store()
        for file in self._text_files():
            if not is_below(file, footprint.folders):
                self._check_stopped()
                self._measure_text(file, footprint)
        footprint.files += self._pages_of_theirs()
        footprint.linked = self._linked_elsewhere(footprint)
        return footprint

    def _linked_elsewhere(self, footprint: Footprint) -> dict[Path, int]:
        rewritten = [self._workspace.root / name for name in (*footprint.rows, *footprint.lines)]
        theirs = {*rewritten, *footprint.files}
        linked = linked_elsewhere({*all_files(self._workspace), *footprint.files})
        return {file: inode for file, inode in linked.items() if file in theirs}

    def _pages_of_theirs(self) -> list[Path]:
        return list(chain.from_iterable(one.pages_of(self._has_theirs) for one in self._unfinished))

    def _has_theirs(self, frame: pl.DataFrame, resource: str) -> bool:
        is_theirs = mask_theirs(
            frame, self._person, *self._finders_of_rows, resources=[resource], dataset=None
        )
        return bool(is_theirs.any())

    def _measure_text(self, file: Path, footprint: Footprint) -> None:
        if not self._text_finder or not places_in(file, self._name(file), self._text_finder):
            return
        if file.suffix == _LINES:
            lines = sum(map(self._text_finder.finds, lines_of(file)))
            if lines:
                footprint.lines[self._name(file)] = lines
        elif self._may_be_removed(file):
            footprint.files.append(file)

    def _fingerprint(self) -> tuple[frozenset[object], ...]:
        """What is known of the person: rows that were looked at with the same are not looked at again."""
        person = self._person
        sets = (person.identities, person.known(), person.keys, person.masterids)
        return tuple(frozenset[object](one) for one in sets)

    def _rows_in_store(self) -> dict[str, int]:
        """Rows of snapshots of which the parts live in an object store only: counted without bringing them here."""
        counts: dict[str, int] = {}
        if not self._workspace.snapshots_at:
            return counts
        for opened in self._finished():
            for name, resource in opened.resources.items():
                if all((resource.folder / part.path).exists() for part in resource.parts):
                    continue
                masks = (
                    mask_theirs(
                        frame, self._person, *self._finders_of_rows, resources=[name], dataset=None
                    ).sum()
                    for frame in resource.frames([])
                )
                counts[f"{self._workspace.snapshots_at}/{opened.name}/{name}"] = int(sum(masks))
        return {place: count for place, count in counts.items() if count}

    def _sweep_ledger(self, *, dry_run: bool) -> dict[str, int]:
        return sweep_ledger(
            self._workspace.ledger,
            self._person,
            self._finder,
            self._rows.resources,
            dry_run=dry_run,
        )

    # taking it out

    def _apply(self, footprint: Footprint) -> None:
        # Noted first: after a kill nobody could tell what was rewritten here from what somebody else has changed.
        self._pending.rewritten |= set(footprint.rows) | set(footprint.lines)
        self._pending.save()
        for folder in footprint.folders:
            shutil.rmtree(folder)
        for file in self._but_linked(footprint, footprint.rows):
            self._check_stopped()
            without_rows(file, footprint.numbers[file], footprint.columns[file])
        for file in self._but_linked(footprint, footprint.lines):
            keep_lines(file, lambda line: not self._text_finder.finds(line))
        for file in footprint.files:
            self._check_stopped()
            if file not in footprint.linked:
                file.unlink(missing_ok=True)
        self._sweep_ledger(dry_run=False)
        renew_manifests(
            self._workspace,
            self._pending.renewed,
            self._pending.save,
            self._was_rewritten,
            partial(without_names, finder=self._text_finder),
        )
        return_copies(self._workspace)

    def _but_linked(self, footprint: Footprint, names: Iterable[str]) -> list[Path]:
        files = [self._workspace.root / name for name in names]
        return [file for file in files if file not in footprint.linked]

    def _was_rewritten(self, file: Path) -> bool:
        return self._name(file) in self._pending.rewritten

    # looking again

    def _look_again(self) -> Iterator[DataPlace]:
        if not self._text_finder:
            return
        files = [*all_files(self._workspace), *(one.path for one in self._written_elsewhere())]
        for file in files:
            if file != self._pending.file and file.name not in _NOT_SEARCHED:
                yield from self._places_in(file)
        for file in self._row_files():
            rows = len(self._rows.numbers(file))
            if rows:
                yield DataPlace(self._name(file), f"{rows:,} rows of their records")
            for name in self._names.intersection(columns_of(file)):
                yield DataPlace(self._name(file), f"the column {name}")
        for page in self._pages_of_theirs():
            yield DataPlace(self._name(page), "records of theirs")
        for folder in (self._context.project.mappings,):
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                yield from places_in(file, str(file), self._text_finder)

    def _places_in(self, file: Path) -> list[DataPlace]:
        if holds_rows(file):
            finder = self._finder
        else:
            finder = self._text_finder
        places = places_in(file, self._name(file), finder)
        # Others' rows may be imported from it yet, so it is named and left.
        if places and file in self._handed_over:
            return [DataPlace(self._name(file), _HANDED_OVER)]
        return places

    # files

    def _row_files(self) -> list[Path]:
        return list(filter(holds_rows, all_files(self._workspace)))

    def _text_files(self) -> Iterator[Path]:
        for file in all_files(self._workspace):
            if not holds_rows(file) and not is_of_ledger(file, self._workspace):
                yield file
        for one in self._written_elsewhere():
            yield one.path

    def _written_elsewhere(self) -> list[WrittenFile]:
        root = self._workspace.root
        return [
            one for one in read_written(root) if not one.is_inside(root) and one.is_as_written()
        ]

    def _may_be_removed(self, file: Path) -> bool:
        if file in self._handed_over:
            return False  # others' rows may be imported from it yet
        if file in {one.path for one in self._written_elsewhere()}:
            return True
        folders = (self._workspace.reports, self._workspace.exports, self._workspace.log)
        is_left_over = file.name.startswith(".") and file.suffix == ".tmp"
        if file.parent.name == UNREAD and file.suffix == ".bin":
            return True  # bytes that nobody could read: there are no rows to take out of them
        is_known = file.name in _NEVER_REMOVED or file == self._pending.file
        return not is_known and (is_left_over or any(folder in file.parents for folder in folders))

    def _name(self, file: Path) -> str:
        root = self._workspace.root
        if file.is_relative_to(root):
            return file.relative_to(root).as_posix()
        return str(file)

    def _check_stopped(self) -> None:
        if self._context.stop.is_set():
            raise Interrupted(
                "the erasure was stopped, and is not finished",
                hint="give the same command again; it goes on where it was",
            )
