"""Purging: all personal data of a workspace, or one person's, with the manifests brought up to date."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from migrate import parquet
from migrate.errors import Unfinished
from migrate.privacy.mask import workspace_masker
from migrate.snapshot.layout import BEGUN, LOCK
from migrate.snapshot.reading import list_snapshots, open_snapshot
from migrate.snapshot.storage import bring_copies, erase_stored, list_stored, return_copies
from migrate.verify.purge import (
    REHEARSAL,
    UNDO,
    Purged,
    count_ledger_records,
    describe,
    empty_ledger,
    empty_records,
    find_masterids,
    personal_files,
    remove,
)
from migrate.verify.subject import (
    DataSubject,
    Frames,
    Subject,
    find_in_snapshots,
    profiles_of,
    take_out,
)
from migrate.workspace import Workspace, entry_of, replacing, sha256_file, write_json

if TYPE_CHECKING:
    from migrate.app.context import Context

Json = dict[str, Any]
_READABLE = {".html", ".json", ".jsonl", ".csv", ".ndjson", ".txt", ".md", ".parquet"}


@dataclass(frozen=True)
class Erased:
    """What was removed of one person: rows by file, and where else they are, as (dataset, masterid)."""

    records: int
    rows: Mapping[str, int] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    masterids: tuple[tuple[str, str], ...] = ()


def run_purge(context: Context, *, dry_run: bool = False) -> Purged:
    """Removes every file and ledger entry that may hold personal data; `purged.json` keeps their names and hashes."""
    workspace = context.workspace
    with _nobody_at_work(workspace):
        files = personal_files(workspace)
        listed = (*describe(workspace, files), *list_stored(workspace))
        if dry_run:
            return Purged(listed, count_ledger_records(workspace.ledger))
        emptied = empty_ledger(workspace.ledger)
        record = {
            "purged_at": context.now().isoformat(),
            "ledger_records": emptied,
            "files": [asdict(e) for e in listed],
        }
        _append(workspace.root / "purged.json", record)
        remove(files)
        erase_stored(workspace)
    return Purged(listed, emptied)


def run_subject_purge(context: Context, text: str, source: str | None) -> Erased:
    """Removes one person from every file of the workspace and says where else they are.

    Manifests and plans get the new hashes. A plan of which records were removed can be verified, and no longer loaded.
    What is unfinished or was only read back or rehearsed is removed whole: it can be made again.

    **Raises**: Unfinished where an extract is not finished: what it has of anybody lies in files that cannot be edited.
    """
    workspace, subject, person = context.workspace, Subject(text, source), DataSubject()
    with _nobody_at_work(workspace):
        bring_copies(workspace)
        _find_person(context, subject, person)
        rows = _clean_snapshots(workspace, subject, person)
        # twice, since a key or masterid that one file tells is to be looked for in all of them
        for _ in range(2):
            rows = _add(rows, _clean_plans_and_exports(workspace, subject, person))
            person.masterids |= find_masterids(workspace.ledger, sorted(person.keys))
        empty_records(workspace.ledger, sorted(person.keys), sorted(person.masterids))
        removed = _remove_makeshift(workspace) if person.identities or rows else []
        removed += _remove_mentions(workspace, subject, person)
        renew_manifests(workspace)
        return_copies(workspace)
    return Erased(len(person.identities), rows, tuple(removed), tuple(sorted(person.masterids)))


def _is_bare(folder: Path) -> bool:
    """True of a snapshot that came to nothing, for instance by a wrong key: no byte of a record was ever stored."""
    files = [
        path for path in folder.rglob("*") if path.is_file() and path.name not in (BEGUN, LOCK)
    ]
    return not any(path.stat().st_size for path in files)


def _find_person(context: Context, subject: Subject, person: DataSubject) -> None:
    """Notes who the person is, over all snapshots at once: a delta has a sale whose profile only its base has."""
    parts: dict[str, list[Frames]] = {}
    for state in list_snapshots(context.workspace):
        if not state.finished and _is_bare(context.workspace.snapshots / state.name):
            continue
        if not state.finished:
            raise Unfinished(
                f"snapshot {state.name} is unfinished, and nobody can be taken out of it yet",
                hint=f"finish it with `migrate extract --snapshot {state.name}` or remove its folder, then erase again",
            )
        for name, resource in open_snapshot(
            context.workspace, state.name, check_files=False
        ).resources.items():
            if all(
                (resource.folder / part.path).exists() for part in resource.parts
            ):  # else it was purged already
                parts.setdefault(name, []).append(partial(resource.frames, []))
    frames = {name: partial(_one_after_another, found) for name, found in parts.items()}
    person.identities |= find_in_snapshots(
        subject, frames, context.project.datatrics.source_aliases
    )
    for raw in profiles_of(person.identities, frames):
        person.note_values(raw)


def _one_after_another(parts: Sequence[Frames]) -> Iterator[pl.DataFrame]:
    return (frame for frames in parts for frame in frames())


def _remove_makeshift(workspace: Workspace) -> list[str]:
    """Removes what can be made again and cannot be edited: unfinished plans, read-backs, rehearsals."""
    plans = [
        path.parent
        for path in workspace.plans.glob("*/begun.json")
        if not (path.parent / "plan.json").exists()
    ]
    folders = [*plans, *workspace.reports.glob(".*-read-back"), workspace.root / REHEARSAL]
    found = [folder for folder in folders if folder.is_dir()]
    for folder in found:
        shutil.rmtree(folder)
    return [folder.relative_to(workspace.root).as_posix() for folder in found]


def _clean_snapshots(workspace: Workspace, subject: Subject, person: DataSubject) -> dict[str, int]:
    rows: dict[str, int] = {}
    for folder in sorted(path for path in workspace.snapshots.glob("*/*") if path.is_dir()):
        rows |= _clean(
            workspace, sorted(folder.glob("*.parquet")), subject, person, (folder.name, None)
        )
    return rows


def _clean_plans_and_exports(
    workspace: Workspace, subject: Subject, person: DataSubject
) -> dict[str, int]:
    rows: dict[str, int] = {}
    resources: dict[str, str] = {}
    finished = (file.parent for file in sorted(workspace.plans.glob("*/plan.json")))
    folders = (path for plan in finished for path in plan.iterdir() if path.is_dir())
    # beside the datasets there are the texts that the plan was made from, which hold no record
    for folder in sorted(path for path in folders if path.name != "mappings"):
        resource = resources.setdefault(folder.name, _resource_of(folder))
        rows |= _clean(
            workspace, sorted(folder.glob("*.parquet")), subject, person, (resource, folder.name)
        )
    for file in sorted(workspace.exports.rglob("*.parquet")):
        # crosswalk-DATASET, altered-DATASET, differences-DATASET; parts of one lie in .crosswalk-DATASET.parts
        named = (
            file.stem if file.parent.parent == workspace.exports else file.parent.stem.lstrip(".")
        )
        dataset = named.partition("-")[2]
        rows |= _clean(workspace, [file], subject, person, (resources.get(dataset, ""), dataset))
    for file in sorted((workspace.root / UNDO).glob("*/*/*.parquet")):
        dataset = file.parent.name
        rows |= _clean(workspace, [file], subject, person, (resources.get(dataset, ""), dataset))
    return rows


def _nobody_at_work(workspace: Workspace) -> ExitStack:
    stack = ExitStack()
    stack.enter_context(workspace.lock(workspace.ledger.with_suffix(".lock"), "the ledger"))
    return stack


def _resource_of(folder: Path) -> str:
    """What a plan's dataset is made of."""
    plan = json.loads((folder.parent / "plan.json").read_bytes())
    return str(plan["mappings"][folder.name]["resource"])


def _clean(
    workspace: Workspace,
    files: list[Path],
    subject: Subject,
    person: DataSubject,
    place: tuple[str, str | None],
) -> dict[str, int]:
    found: dict[str, int] = {}
    for file in files:
        frame, theirs = take_out(file, subject, person, *place)
        if theirs:
            with replacing(file) as temporary:
                parquet.write(frame, temporary, compression="zstd", statistics=False)
            found[file.relative_to(workspace.root).as_posix()] = theirs
    return found


def _add(rows: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {**rows, **{name: rows.get(name, 0) + count for name, count in more.items()}}


def _remove_mentions(workspace: Workspace, subject: Subject, person: DataSubject) -> list[str]:
    """Reports, lists and logs that name the person, masked or not, are removed whole: they can be made again."""
    words = {word for _dataset, word in person.keys | person.masterids}
    # masked, a value is still theirs: who has the workspace's salt could try
    masker = workspace_masker(workspace.root)
    masks = {masker.mask(word) for word in {*words, *person.values, subject.text.strip()}}
    said = words | masks | {value for value in person.values if "@" in value}
    spelt = {
        form for word in said if word for form in (word, html.escape(word), json.dumps(word)[1:-1])
    }
    patterns = [subject.pattern()] if subject.is_email else []
    patterns += [rf"(?<![0-9A-Za-z]){re.escape(form)}(?![0-9A-Za-z])" for form in sorted(spelt)]
    if not person.identities and not subject.is_email:
        return []
    wanted = re.compile("|".join(patterns))
    removed = []
    for file in _files(workspace.reports, workspace.exports, workspace.log):
        if file.suffix == ".parquet":
            names = workspace.reports in file.parents and _list_names(file, subject, sorted(spelt))
        else:
            names = wanted.search(file.read_text(encoding="utf-8", errors="replace")) is not None
        if names:
            file.unlink()
            removed.append(file.relative_to(workspace.root).as_posix())
    return removed


def _list_names(file: Path, subject: Subject, words: Sequence[str]) -> bool:
    """Whether a list beside a report names one of the words, or the person's address."""
    frame = parquet.read(file)
    texts = [pl.col(name) for name, kind in frame.schema.items() if kind == pl.String]
    tests = [text.str.contains_any(list(words)) for text in texts]
    tests += [text.str.contains(subject.pattern()) for text in texts] if subject.is_email else []
    return bool(tests) and bool(frame.select(pl.any_horizontal(tests).any()).item())


def _files(*folders: Path) -> Iterator[Path]:
    for file in sorted(path for folder in folders for path in folder.rglob("*")):
        if file.is_file() and file.suffix in _READABLE:
            yield file


def renew_manifests(workspace: Workspace) -> None:
    """Writes the rows, sizes and hashes of rewritten files into their manifests, and the manifests' into the plans."""
    renewed: dict[str, str] = {}
    # oldest first: a delta's manifest names the hash of the one it was made since
    for name in workspace.names(workspace.snapshots):
        manifest = workspace.snapshots / name / "manifest.json"
        if not manifest.is_file():
            continue
        before = sha256_file(manifest)
        tree = json.loads(manifest.read_bytes())
        since = tree.get("since") or {}
        if since.get("snapshot_sha256"):
            since["snapshot_sha256"] = renewed.get(
                since["snapshot_sha256"], since["snapshot_sha256"]
            )
        for resource in tree["resources"].values():
            resource["parts"] = [_renewed(manifest.parent, entry) for entry in resource["parts"]]
            if resource.get("states"):
                resource["states"] = _renewed(manifest.parent, resource["states"])
        write_json(manifest, tree)
        renewed[before] = sha256_file(manifest)
    for file in sorted(workspace.plans.glob("*/plan.json")):
        tree = json.loads(file.read_bytes())
        used = tree["snapshot"]
        while used:
            used["manifest_sha256"] = renewed.get(used["manifest_sha256"], used["manifest_sha256"])
            used = used.get("base")
        tree["files"] = [_renewed(file.parent, entry) for entry in tree["files"]]
        for reading in tree["target_reading"].values():
            reading["files"] = [_renewed(file.parent, entry) for entry in reading["files"]]
        write_json(file, tree)


def _renewed(folder: Path, entry: Json) -> Json:
    path = folder / entry["path"]
    if not path.is_file() or sha256_file(path) == entry["sha256"]:
        return entry
    rows = parquet.scan(path).select(pl.len()).collect().item()
    return {**entry, **asdict(entry_of(path, folder, rows))}


def _append(file: Path, record: Json) -> None:
    try:
        known = json.loads(file.read_bytes())
    except (OSError, ValueError):
        known = []
    write_json(file, [*known, record])
