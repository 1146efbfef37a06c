"""The files that an erasure goes through: what they are made of, and taking lines out of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from migrate import parquet
from migrate.errors import Damaged, MigrateError
from migrate.mapping.fields import fields_behind
from migrate.mapping.files import read_mappings
from migrate.mapping.model import parts_of
from migrate.privacy.own import REHEARSAL, TEMPORARY, is_rehearsal, own_files
from migrate.privacy.person import Frames
from migrate.snapshot.corrections import STORE
from migrate.snapshot.layout import BEGUN, LOCK
from migrate.source.resources import PROFILES
from migrate.workspace import Workspace, replacing


def is_bare(folder: Path) -> bool:
    """True of a snapshot that came to nothing, for instance by a wrong key: no byte of a record was ever stored."""
    files = [
        path for path in folder.rglob("*") if path.is_file() and path.name not in (BEGUN, LOCK)
    ]
    return not any(path.stat().st_size for path in files)


def one_after_another(parts: Sequence[Frames]) -> Iterator[pl.DataFrame]:
    """The frames of several parts, one after another."""
    return chain.from_iterable(frames() for frames in parts)


def resources_of_datasets(workspace: Workspace) -> dict[str, list[str]]:
    """What each dataset of any plan is made of."""
    by_dataset: dict[str, set[str]] = {}
    for file in sorted(workspace.plans.glob("*/plan.json")):
        try:
            mappings = json.loads(file.read_bytes())["mappings"]
            for dataset, mapping in mappings.items():
                by_dataset.setdefault(dataset, set()).update(_resources_in(mapping))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue  # a damaged plan: its files are searched for identities of any resource
    return {dataset: sorted(resources) for dataset, resources in by_dataset.items()}


def _resources_in(tree: Any) -> Iterator[str]:
    """Every `resource` that a plan's word on a mapping names, at any depth: several files may make one dataset."""
    if isinstance(tree, dict):
        if isinstance(tree.get("resource"), str):
            yield tree["resource"]
        for value in tree.values():
            yield from _resources_in(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _resources_in(value)


def key_columns_of_datasets(workspace: Workspace) -> dict[str, str]:
    """The key column of each dataset of any plan that has one only."""
    columns: dict[str, str] = {}
    for file in sorted(workspace.plans.glob("*/plan.json")):
        try:
            for dataset, mapping in json.loads(file.read_bytes())["mappings"].items():
                if len(mapping["key"]) == 1:
                    columns[dataset] = str(mapping["key"][0])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return columns


def key_fields(folder: Path) -> set[str]:
    """The fields of profiles that the mappings take for a key; none where they cannot be read."""
    try:
        mappings = read_mappings(folder).values()
    except MigrateError:
        return set()
    fields: set[str] = set()
    for part in parts_of(mappings):
        if part.resource == PROFILES.name:
            keys = {*part.key, *chain.from_iterable(part.alternative_keys)}
            behind = (fields_behind(part, column, None) for column in keys)
            fields.update(chain.from_iterable(behind))
    return fields


def makeshift_folders(workspace: Workspace) -> Iterator[Path]:
    """What can be made again and cannot be edited: unfinished plans, read-backs, rehearsals."""
    for marker in workspace.plans.glob("*/begun.json"):
        # Unfinished, it can be made again, and no manifest lists what of it is whole.
        if not (marker.parent / "plan.json").exists():
            yield marker.parent
    yield from (folder for folder in workspace.reports.glob(".*-read-back") if folder.is_dir())
    rehearsal = workspace.root / REHEARSAL
    if is_rehearsal(rehearsal):
        yield rehearsal


def is_below(file: Path, folders: Iterable[Path]) -> bool:
    """Whether a file lies below one of the folders."""
    return any(folder in file.parents for folder in folders)


def is_of_ledger(file: Path, workspace: Workspace) -> bool:
    """Whether a file is the ledger or one of its journals."""
    return file.name.startswith(workspace.ledger.name) and file.parent == workspace.root


def all_files(workspace: Workspace) -> list[Path]:
    """Every plain file that is or may be the tool's, in a stable order."""
    return sorted(own_files(workspace.root))


def remove_half_written(workspace: Workspace) -> None:
    """Removes what commands that were killed were writing.

    Nobody reads it any more, and rows in a file that is not whole cannot be searched for a person.
    """
    for file in all_files(workspace):
        half_written = re.fullmatch(TEMPORARY, file.name)
        if half_written and not _is_running(int(half_written[1])):
            file.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    """Whether a process of this machine is at work; on Windows, where to ask would end it, always."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def corrected_records(workspace: Workspace, resource: str) -> Iterator[pl.DataFrame]:
    """The values of a resource that people have put right, each like a record that has this one field, twice.

    So a person is found by the right value as well as by the one that was sent, and both are known as theirs.
    """
    file = workspace.root / STORE
    try:
        frame = parquet.read(file).filter(pl.col("resource") == resource)
        rows = frame.select("source", "id", "field", "sent", "value").rows()
    except (pl.exceptions.PolarsError, OSError, Damaged):
        return
    records = [
        {
            "_source": source,
            "_id": id_,
            "_page": 0,
            "_raw": json.dumps({field: value, f"sent {field}": sent}),
        }
        for source, id_, field, sent, value in rows
    ]
    schema = {"_source": pl.String, "_id": pl.String, "_page": pl.Int64, "_raw": pl.String}
    yield pl.DataFrame(records, schema=schema)


def lines_of(file: Path) -> Iterator[str]:
    """The lines of a text file, whatever bytes are in it."""
    # A log may have been cut in the middle of a letter by a kill.
    with file.open("r", encoding="utf-8", errors="replace", newline="\n") as opened:
        yield from opened


def keep_lines(file: Path, is_kept: Callable[[str], bool]) -> None:
    """Rewrites a text file with the lines that are to be kept."""
    with replacing(file) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as out:
        for line in lines_of(file):
            if is_kept(line):
                out.write(line)
