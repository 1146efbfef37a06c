"""Purging: all personal data of a workspace, or one person's, with the manifests brought up to date."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from migrate.errors import MigrateError
from migrate.snapshot.reading import list_snapshots, open_snapshot
from migrate.verify.purge import (
    Purged,
    count_ledger_records,
    describe,
    empty_ledger,
    empty_records,
    personal_files,
    remove,
)
from migrate.verify.subject import Person, Subject, find_in_snapshot, take_out
from migrate.workspace import Workspace, entry_of, replacing, sha256_file, write_json

if TYPE_CHECKING:
    from migrate.stages.run import Job

Json = dict[str, Any]


@dataclass(frozen=True)
class Erased:
    """What was removed of one person: rows by file, and where else they are, as (dataset, masterid)."""

    records: int
    rows: Mapping[str, int] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    masterids: tuple[tuple[str, str], ...] = ()


def run_purge(job: Job, *, dry_run: bool = False) -> Purged:
    """Removes every file and ledger entry that may hold personal data; `purged.json` keeps their names and hashes."""
    workspace = job.workspace
    with _nobody_at_work(workspace):
        files = personal_files(workspace)
        listed = describe(workspace, files)
        if dry_run:
            return Purged(listed, count_ledger_records(workspace.ledger))
        emptied = empty_ledger(workspace.ledger)
        record = {"purged_at": job.now().isoformat(), "ledger_records": emptied, "files": [asdict(e) for e in listed]}
        _append(workspace.root / "purged.json", record)
        remove(files)
    return Purged(listed, emptied)


def run_subject_purge(job: Job, text: str, source: str | None) -> Erased:
    """Removes one person from every file of the workspace and says where else they are.

    Manifests and plans get the new hashes. A plan of which records were removed can be verified, and no longer loaded.
    """
    workspace, subject, person = job.workspace, Subject(text, source), Person()
    with _nobody_at_work(workspace):
        for state in list_snapshots(workspace):
            if state.finished:
                person.identities |= _find(job, state.name, subject)
        rows: dict[str, int] = {}
        for folder in sorted(path for path in workspace.snapshots.glob("*/*") if path.is_dir()):
            rows |= _clean(workspace, sorted(folder.glob("*.parquet")), subject, person, (folder.name, None))
        # twice, since a key or masterid that one file tells is to be looked for in all of them
        resources: dict[str, str] = {}
        for _ in range(2):
            for folder in sorted(path for path in workspace.plans.glob("*/*") if path.is_dir()):
                resource = resources.setdefault(folder.name, _resource_of(folder))
                files = sorted(folder.glob("*.parquet"))
                rows |= _add(rows, _clean(workspace, files, subject, person, (resource, folder.name)))
            for file in sorted(workspace.exports.glob("*/*.parquet")):
                dataset = file.stem.partition("-")[2]
                place = (resources.get(dataset, ""), dataset)
                rows |= _add(rows, _clean(workspace, [file], subject, person, place))
        person.masterids |= set(empty_records(workspace.ledger, sorted(person.keys)))
        removed = _remove_mentions(workspace, subject, person)
        renew_manifests(workspace)
    return Erased(len(person.identities), rows, tuple(removed), tuple(sorted(person.masterids)))


def _nobody_at_work(workspace: Workspace) -> ExitStack:
    stack = ExitStack()
    stack.enter_context(workspace.lock(workspace.ledger.with_suffix(".lock"), "the ledger"))
    return stack


def _find(job: Job, name: str, subject: Subject) -> set[tuple[str, str | None, str]]:
    snapshot = open_snapshot(job.workspace, name, check_files=False)
    try:
        frames = {resource: list(found.frames([])) for resource, found in snapshot.resources.items()}
    except MigrateError:
        return set()  # purged already
    return find_in_snapshot(subject, frames, job.project.datatrics.source_aliases)


def _resource_of(folder: Path) -> str:
    """What a plan's dataset is made of."""
    plan = json.loads((folder.parent / "plan.json").read_bytes())
    return str(plan["mappings"][folder.name]["resource"])


def _clean(
    workspace: Workspace, files: list[Path], subject: Subject, person: Person, place: tuple[str, str | None]
) -> dict[str, int]:
    found: dict[str, int] = {}
    for file in files:
        frame, theirs = take_out(file, subject, person, *place)
        if theirs:
            with replacing(file) as temporary:
                frame.write_parquet(temporary, compression="zstd", statistics=False)
            found[file.relative_to(workspace.root).as_posix()] = theirs
    return found


def _add(rows: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: rows.get(name, 0) + count for name, count in more.items()}


def _remove_mentions(workspace: Workspace, subject: Subject, person: Person) -> list[str]:
    """Reports and lists that name the person are removed whole: they can be made again."""
    words = [re.escape(word) for _dataset, word in sorted(person.keys | person.masterids)]
    patterns = ([subject.pattern()] if subject.is_email else []) + words
    if not patterns:
        return []
    wanted = re.compile("|".join(patterns))
    removed = []
    for file in [*_texts(workspace.reports), *_texts(workspace.exports), *_texts(workspace.log)]:
        if wanted.search(file.read_text(encoding="utf-8", errors="replace")):
            file.unlink()
            removed.append(file.relative_to(workspace.root).as_posix())
    return removed


def _texts(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix in {".html", ".json", ".jsonl", ".csv", ".ndjson"}:
            yield file


def renew_manifests(workspace: Workspace) -> None:
    """Writes the rows, sizes and hashes of rewritten files into their manifests, and the manifests' into the plans."""
    renewed = {}
    for manifest in sorted(workspace.snapshots.glob("*/manifest.json")):
        before = sha256_file(manifest)
        tree = json.loads(manifest.read_bytes())
        for resource in tree["resources"].values():
            resource["parts"] = [_renewed(manifest.parent, entry) for entry in resource["parts"]]
            if resource.get("states"):
                resource["states"] = _renewed(manifest.parent, resource["states"])
        write_json(manifest, tree)
        renewed[before] = sha256_file(manifest)
    for file in sorted(workspace.plans.glob("*/plan.json")):
        tree = json.loads(file.read_bytes())
        used = tree["snapshot"]
        used["manifest_sha256"] = renewed.get(used["manifest_sha256"], used["manifest_sha256"])
        tree["files"] = [_renewed(file.parent, entry) for entry in tree["files"]]
        for reading in tree["target_reading"].values():
            reading["files"] = [_renewed(file.parent, entry) for entry in reading["files"]]
        write_json(file, tree)


def _renewed(folder: Path, entry: Json) -> Json:
    path = folder / entry["path"]
    if not path.is_file() or sha256_file(path) == entry["sha256"]:
        return entry
    rows = pl.scan_parquet(path).select(pl.len()).collect().item()
    return {**entry, **asdict(entry_of(path, folder, rows))}


def _append(file: Path, record: Json) -> None:
    try:
        known = json.loads(file.read_bytes())
    except (OSError, ValueError):
        known = []
    write_json(file, [*known, record])
