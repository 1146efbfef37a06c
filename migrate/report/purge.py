"""What a purge or an erasure removed, and what is left, for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from migrate.report.terminal import inert, render_table, say_count

if TYPE_CHECKING:
    from migrate.app.erasure_result import Erased
    from migrate.verify.purge import Purged

_DIFFERENCE = 4
_SHOWN_FILES = 200
_FEW = 5
"""Files of one folder that are still named one by one."""


def summarise_purged(purged: Purged) -> dict[str, Any]:
    """What a purge removed or would remove, and what it leaves alone."""
    return {
        "files": len(purged.files),
        "bytes": sum(entry.bytes for entry in purged.files),
        "ledger_records": purged.ledger_records,
        "names": [entry.path for entry in purged.files],
        "left_alone": list(purged.left_alone),
        "linked": list(purged.linked),
    }


def render_purged(purged: Purged, *, dry_run: bool) -> str:
    """What a purge removed or would remove, and what stays."""
    done = "Would remove" if dry_run else "Removed"
    size = sum(entry.bytes for entry in purged.files)
    keys = say_count(purged.ledger_records, "record")
    parts = [
        f"{done} {say_count(len(purged.files), 'file')} ({size:,} bytes) and the keys of {keys} of "
        "the ledger:",
        _listed(entry.path for entry in purged.files),
    ]
    if purged.left_alone:
        what = "Left alone: not made by this tool, changed since, or the reports of a rehearsal:"
        parts.append(f"{what}\n{_listed(_by_folder(purged.left_alone))}")
    if purged.linked:
        what = "These have another name outside of the workspace, which keeps what they hold:"
        parts.append(f"{what}\n{_listed(purged.linked)}")
    parts.append(
        "Counts, manifests, verdicts and evidence stay; purged.json lists what went, with hashes."
    )
    return "\n\n".join(part for part in parts if part)


def _by_folder(names: Iterable[str]) -> list[str]:
    """Names of files, those of a folder that holds many in one line: a page's lists may be a hundred."""
    folders: dict[str, list[str]] = {}
    for name in names:
        folders.setdefault(name.rpartition("/")[0], []).append(name)
    lines: list[str] = []
    for folder, inside in folders.items():
        if folder and len(inside) > _FEW:
            lines.append(f"{folder}/: {len(inside):,} files")
        else:
            lines += inside
    return lines


def summarise_erased(erased: Erased) -> dict[str, Any]:
    """What of one person was removed, and where they are still."""
    return {
        "records": erased.records,
        "rows": dict(erased.rows),
        "lines": dict(erased.lines),
        "removed_files": list(erased.removed),
        "ledger": dict(erased.ledger),
        "masterids": [list(masterid) for masterid in erased.masterids],
        "places": [{"file": place.file, "where": place.where} for place in erased.places],
        "linked": list(erased.linked),
        "taken": [_record(*one, "why") for one in erased.taken],
        "mentions": [_record(*one, "field") for one in erased.mentions],
        "outside": [{"kind": one.kind, "what": one.what} for one in erased.outside],
        "dry_run": erased.dry_run,
    }


def _record(resource: str, source: str | None, id_: str, what: str, name: str) -> dict[str, Any]:
    return {"resource": resource, "source": source, "id": id_, name: what}


def exit_code_of(erased: Erased) -> int:
    """4 where the second look still found something, else 0."""
    return _DIFFERENCE if erased.places else 0


def status_of(erased: Erased) -> str:
    """One word for it."""
    if erased.places:
        return "left"
    if not erased.found_anything:
        return "not_found"
    return "planned" if erased.dry_run else "erased"


def render_erased(erased: Erased) -> str:
    """What of one person was removed, where something is left, and where else they are."""
    parts = []
    if not erased.found_anything:
        if erased.dry_run:
            nothing = "nothing would be removed"
        else:
            nothing = "nothing was removed"
        parts.append(f"Nobody was found by that address or id; {nothing}.")
    else:
        done = "Would remove" if erased.dry_run else "Removed"
        records = say_count(erased.records, "record")
        rows = say_count(sum(erased.rows.values()), "row")
        parts.append(f"{done} {records} of the person, {rows} in all files:")
        parts += _records("Taken for theirs:", erased.taken)
        parts += _table("file", erased.rows)
        parts += _table("log", erased.lines, "lines")
        parts += _table("table of the ledger", erased.ledger)
        if erased.removed:
            whole = "Whole, since they name the person or can be made again:"
            parts.append(f"{whole}\n{_listed(erased.removed)}")
    parts += _records(
        "Records of somebody else that mention them, in these fields. They are left: have the mention removed at the "
        "source, make a new extract and plan, and purge what holds the old records:",
        erased.mentions,
    )
    parts += _second_look(erased)
    if erased.outside:
        parts.append("Where this tool cannot reach, and they may be still:")
        rows_outside = [[one.kind, one.what] for one in erased.outside]
        parts.append("\n".join(f"  {kind}: {inert(what)}" for kind, what in rows_outside))
        parts.append("Octolis has no delete: ask its support to remove the masterids.")
    return "\n\n".join(parts)


def _records(head: str, records: Sequence[tuple[str, str | None, str, str]]) -> list[str]:
    if not records:
        return []
    lines = [f"{resource} {source or ''} {id_}: {what}" for resource, source, id_, what in records]
    return [f"{head}\n{_listed(lines)}"]


def _second_look(erased: Erased) -> list[str]:
    if erased.dry_run and erased.linked:
        return [f"Would be left:\n{_listed(erased.linked)}"]
    if erased.dry_run:
        return []
    if not erased.places:
        if erased.found_anything:
            return ["Every file was searched again, and nothing of them was found."]
        return []
    places = "\n".join(f"  {inert(place.file)}: {inert(place.where)}" for place in erased.places)
    return [
        f"Still there, found when every file was searched again:\n{places}",
        "Remove it by hand (a mapping's example, a plan that nobody needs), then give the same "
        "command again.",
    ]


def _table(what: str, counts: Mapping[str, int], unit: str = "rows") -> list[str]:
    if not counts:
        return []
    return [render_table([what, unit], [[name, count] for name, count in counts.items()])]


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    lines = [f"  {inert(name)}" for name in every[:_SHOWN_FILES]]
    if len(every) > _SHOWN_FILES:
        lines.append(f"  … and {len(every) - _SHOWN_FILES:,} more; --json names all")
    return "\n".join(lines)
