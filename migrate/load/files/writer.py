"""Writing a plan's rows as files of bounded size, hashed as they are written; memory does not grow with the rows."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import IO

import polars as pl

from migrate.errors import ConfigError, UsageError, WorkspaceError
from migrate.load.files.manifest import FileOf, HandoverManifest, read_manifest
from migrate.load.files.names import MANIFEST, PARTIAL, Format, file_name, name_pattern
from migrate.load.files.rows import (
    CHUNK_ROWS,
    DatasetRows,
    chunks,
    csv_header,
    csv_lines,
    json_lines,
    leaves_columns_out,
)
from migrate.workspace import sha256_bytes, sync_folder, write_bytes


@dataclass(frozen=True)
class FileSettings:
    """How files are written. Units: rows and bytes a file.

    `empty`: what the account's import makes of an empty cell of a record that is there: `kept` or `erased`; None where
    nobody has said so. A file ends after the chunk of rows with which it has reached one of the bounds.
    """

    form: Format = "csv"
    separator: str = ";"
    file_rows: int = 1_000_000
    file_bytes: int = 250_000_000
    empty: str | None = None


@dataclass(frozen=True)
class PlanOfFiles:
    """The plan whose rows are written: its name, the hash of its document, and the day that the files' names have."""

    name: str
    sha256: str
    day: date


def write_files(
    folder: Path,
    plan: PlanOfFiles,
    datasets: Sequence[DatasetRows],
    settings: FileSettings,
    tick: Callable[[str, int], None],
) -> HandoverManifest:
    """All files and then the manifest. Where that is there already and all is as it says, nothing is written.

    `tick` is told the rows as they are written, and may raise to stop.

    **Guarantees**: the same rows give the same files. A file has its name only once it is whole; what an earlier call
    has left unfinished is removed, and nothing else of the folder is touched.

    **Raises**: UsageError for a folder with anything else in it; ConfigError where an empty cell may erase what is
    there; WorkspaceError where the disk is full; Damaged.
    """
    known = _take_up(folder, plan, datasets, settings)
    if known is not None:
        for one in datasets:
            tick(one.dataset, one.left.rows)
        return known
    files: list[FileOf] = []
    for one in datasets:
        files += _write_dataset(folder, plan, one, settings, partial(tick, one.dataset))
    manifest = HandoverManifest(
        plan=plan.name,
        plan_sha256=plan.sha256,
        rows_sha256=rows_sha256(datasets),
        form=settings.form,
        separator=settings.separator,
        empty=settings.empty,
        patterns={one.dataset: name_pattern(one.dataset, settings.form) for one in datasets},
        files=files,
    )
    write_bytes(folder / MANIFEST, manifest.content())
    return manifest


def rows_sha256(datasets: Sequence[DatasetRows]) -> str:
    """Which rows of a plan these are, in one number."""
    parts = []
    for one in datasets:
        batches = one.left.batches.to_list()
        settled = one.left.settled.rows()
        parts.append(repr((one.dataset, batches, settled)))
    return sha256_bytes("\n".join(parts).encode())


def _take_up(
    folder: Path, plan: PlanOfFiles, datasets: Sequence[DatasetRows], settings: FileSettings
) -> HandoverManifest | None:
    """The manifest of an earlier call, where it is of these very rows; else the folder is made ready for new files."""
    _make(folder)
    known = read_manifest(folder)
    if known is not None:
        if known.plan != plan.name or known.plan_sha256 != plan.sha256:
            raise UsageError(
                f"{folder} has the files of plan {known.plan}", hint="choose an empty folder"
            )
        same = (settings.form, settings.separator, rows_sha256(datasets))
        is_same = (known.form, known.separator, known.rows_sha256) == same
        if is_same and known.find_broken(folder) is None:
            return known
        for file in known.files:
            (folder / file.name).unlink(missing_ok=True)
        (folder / MANIFEST).unlink()
    _sweep(folder, plan, datasets, settings)
    return None


def _make(folder: Path) -> None:
    if folder.is_symlink():
        raise WorkspaceError(
            f"{folder} is a link to another place", hint="name the folder itself, or an empty one"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise WorkspaceError(
            f"{folder} cannot be made: {error.strerror or error}", hint="choose another folder"
        ) from None


def _sweep(
    folder: Path, plan: PlanOfFiles, datasets: Sequence[DatasetRows], settings: FileSettings
) -> None:
    """Removes what an earlier call left without a manifest. Raises UsageError for anything else in the folder."""
    starts = tuple(f"{one.dataset}_{plan.day:%Y%m%d}" for one in datasets)
    ends = (f".{settings.form}", PARTIAL)
    # All are looked at before one is removed: in a wrong folder nothing is touched.
    for path in sorted(folder.iterdir()):
        is_ours = path.name.startswith(starts) and path.name.endswith(ends)
        is_left_over = path.name.startswith(f".{MANIFEST}.")
        if path.is_symlink() or not path.is_file() or not (is_ours or is_left_over):
            raise UsageError(
                f"{folder} is not empty: {path.name} is no file of this plan",
                hint="choose an empty folder",
            )
    for path in sorted(folder.iterdir()):
        path.unlink()


def _write_dataset(
    folder: Path,
    plan: PlanOfFiles,
    rows: DatasetRows,
    settings: FileSettings,
    tick: Callable[[int], None],
) -> list[FileOf]:
    """The files of one dataset, whole and under their names."""
    finished: list[_Part] = []
    part: _Part | None = None
    with _disk_trouble(folder):
        for frame in chunks(rows, settings.form, min(CHUNK_ROWS, settings.file_rows)):
            _refuse_erasing(frame, rows, settings)
            # Only when more rows come: no file is ever empty.
            if part is not None and part.is_full(settings):
                part.close()
                part = None
            if part is None:
                place = folder / f"{rows.dataset}_{plan.day:%Y%m%d}.{len(finished) + 1}{PARTIAL}"
                part = _Part.begin(place, rows, settings)
                finished.append(part)
            part.add(frame)
            tick(frame.height)
        if part is not None:
            part.close()
        named = []
        for number, one in enumerate(finished, 1):
            # Named at the end, since only now it is known whether a file is the only one.
            several = number if len(finished) > 1 else None
            name = file_name(rows.dataset, plan.day, settings.form, several)
            one.path.replace(folder / name)
            facts = (one.rows, one.size, one.digest.hexdigest(), *one.first)
            named.append(FileOf(rows.dataset, name, *facts))
        sync_folder(folder)
    return named


def _refuse_erasing(frame: pl.DataFrame, rows: DatasetRows, settings: FileSettings) -> None:
    if settings.form == "json" or settings.empty == "kept":
        return
    there = leaves_columns_out(frame, rows.columns)
    if there:
        raise ConfigError(
            f"{rows.dataset}: {there:,} rows, or more, may be of records that are there and leave columns out; a CSV "
            "file has an empty cell for these, and an import may erase what the record holds",
            hint='write JSON (--format json), where they are left out; or set empty = "kept" in [octolis.files], once '
            "the account's import is known to leave alone what a cell is empty for",
        )


@dataclass
class _Part:
    """A file on its way."""

    path: Path
    file: IO[bytes]
    source: DatasetRows
    settings: FileSettings
    rows: int = 0
    size: int = 0
    first: tuple[int, int] = (0, 0)
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    @classmethod
    def begin(cls, path: Path, source: DatasetRows, settings: FileSettings) -> _Part:
        """A new file, readable by its owner only; a link in its place is not followed."""
        # O_BINARY is Windows', which would write line ends of its own.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
        part = cls(path, os.fdopen(handle, "wb"), source, settings)
        if settings.form == "csv":
            part._put(csv_header(source.columns, settings.separator))
        else:
            part._put(b"[\n")
        return part

    def is_full(self, settings: FileSettings) -> bool:
        """Whether the next rows go into another file."""
        return self.rows >= settings.file_rows or self.size >= settings.file_bytes

    def add(self, frame: pl.DataFrame) -> None:
        """Writes some rows."""
        if not self.rows:
            self.first = (frame.item(0, "batch"), frame.item(0, "position"))
        if self.settings.form == "csv":
            self._put(csv_lines(frame, self.source.columns, self.settings.separator))
        else:
            self._put((b",\n" if self.rows else b"") + json_lines(frame))
        self.rows += frame.height

    def close(self) -> None:
        """Ends the file and puts it on disk."""
        if self.settings.form == "json":
            self._put(b"\n]\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()

    def _put(self, data: bytes) -> None:
        self.file.write(data)
        self.digest.update(data)
        self.size += len(data)


@contextmanager
def _disk_trouble(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkspaceError(
            f"{folder} cannot be written to: {error.strerror or error}",
            hint="free disk space or fix the permissions, then give the same command again",
        ) from None
