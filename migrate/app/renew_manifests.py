"""Manifests and plans brought up to date after rows were taken out of the files that they list."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from migrate import parquet
from migrate.snapshot.layout import MANIFEST, RESULT
from migrate.workspace import (
    Workspace,
    entry_of,
    json_bytes,
    sha256_bytes,
    sha256_file,
    write_json,
)

Json = dict[str, Any]


def renew_manifests(
    workspace: Workspace,
    renewed: dict[str, str],
    note: Callable[[], None],
    is_ours: Callable[[Path], bool] = lambda _file: True,
    clean: Callable[[Any], Any] = lambda tree: tree,
) -> None:
    """Writes the rows, sizes and hashes of rewritten files into their manifests, and the manifests' into the plans.

    `renewed` has hashes of manifests, old to new, and gets those of this time; then `note` is called, before the first
    manifest is written: who is interrupted could not tell any more which plan was made from which. `is_ours`: whether
    a file was rewritten here; one that somebody else changed keeps the hash that shows it. `clean` takes out of a
    document what is not to be in it. A manifest that cannot be read stays as it is.
    """
    names = workspace.names(workspace.snapshots)
    manifests = [workspace.snapshots / name / MANIFEST for name in names]
    trees: dict[Path, Json] = {}
    # Oldest first: a delta's manifest names the hash of the one it was made since.
    for manifest in filter(Path.is_file, manifests):
        tree = _read(manifest)
        if tree is None:
            continue
        trees[manifest] = _renew(clean(tree), manifest.parent, renewed, is_ours)
        before = sha256_file(manifest)
        after = sha256_bytes(json_bytes(trees[manifest]))
        if before != after:
            renewed[before] = after
    note()
    for manifest, tree in trees.items():
        write_json(manifest, tree)
    # What an unfinished extract has sealed already: with other hashes it would read the whole list again.
    for file in sorted(workspace.snapshots.glob(f"*/*/{RESULT}")):
        tree = _read(file)
        if tree is not None:
            write_json(file, _renew(clean(tree), file.parent.parent, renewed, is_ours))
    for file in sorted(workspace.plans.glob("*/plan.json")):
        tree = _read(file)
        if tree is not None:
            write_json(file, _renew(clean(tree), file.parent, renewed, is_ours))


def _read(file: Path) -> Json | None:
    try:
        tree = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) else None


def _renew(
    tree: Any, folder: Path, renewed: Mapping[str, str], is_ours: Callable[[Path], bool]
) -> Any:
    """The same document with the entries of files as the files are now, and with new hashes for old ones."""
    if isinstance(tree, dict):
        if {"path", "sha256"} <= tree.keys():
            return _renewed_entry(folder, tree, is_ours)
        return {name: _renew(value, folder, renewed, is_ours) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_renew(value, folder, renewed, is_ours) for value in tree]
    if isinstance(tree, str):
        return _newest(tree, renewed)
    return tree


def _newest(text: str, renewed: Mapping[str, str]) -> str:
    seen: set[str] = set()
    # An erasure that was interrupted may have renewed a hash twice.
    while text in renewed and text not in seen:
        seen.add(text)
        text = renewed[text]
    return text


def _renewed_entry(folder: Path, entry: Json, is_ours: Callable[[Path], bool]) -> Json:
    path = folder / str(entry["path"])
    # The old hash of a file that others changed has to stay: it is what shows the change.
    if not path.is_file() or not is_ours(path) or sha256_file(path) == entry["sha256"]:
        return entry
    if path.suffix == ".parquet":
        rows = parquet.count_rows(path)
    else:
        rows = sum(1 for line in path.read_bytes().splitlines() if line.strip())
    return {**entry, **asdict(entry_of(path, folder, rows))}
