"""Gathers what an evidence archive holds: manifests, mappings, counts, verdicts; never a record nor a value of one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from migrate import __version__, parquet
from migrate.app.history import read_plan_history
from migrate.app.not_loaded import not_begun
from migrate.app.signature import Signature, sign, signature_of
from migrate.app.standing import read_standing
from migrate.errors import Damaged, Stale, UsageError
from migrate.load.standing import Standing
from migrate.plain_file import read_plain
from migrate.plan.carried import check_carried
from migrate.plan.corrections import read_carried
from migrate.plan.document import BaseUsed, SnapshotUsed
from migrate.plan.open_plan import PLAN_FILE, Plan, open_plan, read_totals
from migrate.snapshot.corrected import BEFORE
from migrate.snapshot.reading import open_snapshot
from migrate.totals.table import summarise_table
from migrate.verify.evidence import Checked, check, pack
from migrate.verify.known import count_refusals
from migrate.verify.ledger_counts import read_books
from migrate.verify.reconcile import DatasetBooks
from migrate.workspace import sha256_bytes, write_bytes

if TYPE_CHECKING:
    from migrate.app.context import Context

# Read whole to be hashed, so a file that anybody may hand over has an end.
_LARGEST_ARCHIVE = 1 << 30


@dataclass(frozen=True)
class Evidence:
    """A written archive: where it is, the head of its chain, how many parts.

    `not_loaded`: by dataset the records that are still to be sent, where there are any; the archive's counts say so.
    `standing`: how the plan stood when it was packed, which `history.json` says as well.
    """

    plan: str
    file: Path
    head: str
    parts: int
    not_loaded: Mapping[str, int] = field(default_factory=dict)
    standing: Standing = field(default_factory=lambda: Standing("planned"))
    signature: Signature | None = None


def run_evidence(context: Context, name: str | None, key: Path | None = None) -> Evidence:
    """Packs the evidence of a plan into `reports/PLAN-evidence.zip`; with `key`, an SSH key, signs it as well.

    Every file of the plan and of its snapshots is compared with its hash first: an archive of hashes says nothing of
    files that are no longer what was hashed.

    **Raises**: Damaged where a file is not what its manifest says; Stale where the snapshot is not what the plan was
    made from any more; nor a mapping, of a plan that does not carry it.
    """
    plan = open_plan(context.workspace, name)
    manifests = _manifests(context, plan)
    for snapshot in _snapshots(plan):
        open_snapshot(context.workspace, snapshot)
    books = read_books(context.workspace.ledger, plan.folder, plan.name)
    unsent = not_begun(plan, books)
    parts = {
        "plan.json": (plan.folder / PLAN_FILE).read_bytes(),
        **manifests,
        "counts.json": _json(_counts(plan, books, unsent)),
        "rejects.json": _json(
            {dataset: _rejects(context, plan, dataset) for dataset in plan.document.datasets}
        ),
        **_mappings(context, plan),
        "totals.json": _json(_totals(plan)),
        "corrections.json": _json(_corrections(plan)),
        "history.json": _json(read_plan_history(context.workspace, plan)),
    }
    reports = {
        "reconcile": context.workspace.reports / f"{plan.name}-reconcile.json",
        "run": _run_report(context, plan),
    }
    parts |= {
        f"{name}.json": _report(file, name)
        for name, file in reports.items()
        if file and file.is_file()
    }
    about = {
        "plan": plan.name,
        "tool": f"migrate {__version__}",
        "made_at": context.now().isoformat(timespec="seconds"),
    }
    data, head = pack(parts, about)
    file = context.workspace.reports / f"{plan.name}-evidence.zip"
    # a signature of an earlier archive says nothing of this one
    signature_of(file).unlink(missing_ok=True)
    write_bytes(file, data)
    signature = sign(file, key) if key is not None else None
    left = {name: entry.left for name, entry in books.items()}
    return Evidence(
        plan.name,
        file,
        head,
        len(parts),
        {n: rows for n, rows in {**left, **unsent}.items() if rows},
        read_standing(context.workspace, plan),
        signature,
    )


def _run_report(context: Context, plan: Plan) -> Path | None:
    """The report of the run or the night that made the plan: it has the name of its snapshot, or one of its own."""
    for file in sorted(context.workspace.reports.glob("*-run.json")):
        try:
            report = json.loads(file.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(report, dict) and report.get("plan") == plan.name:
            return file
    return None


def _report(file: Path, kind: str) -> bytes:
    """A report's bytes. Raises Damaged where it is not what a command writes."""
    data = file.read_bytes()
    try:
        is_whole = isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        is_whole = False
    if not is_whole:
        what = f"{file} is no report of this tool any more"
        raise Damaged(what, hint=f"migrate {kind}, which writes it again; or remove the file")
    return data


def check_evidence(file: Path, head: str | None = None) -> Checked:
    """What is wrong with an archive; with `head` also whether it is the one that ended in it. Raises UsageError."""
    try:
        checked = check(read_plain(file, _LARGEST_ARCHIVE))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from None
    if head is not None and checked.head != head.strip().lower():
        return Checked(
            checked.head,
            checked.parts,
            (*checked.problems, "its head is not the one that was given"),
        )
    return checked


def _snapshots(plan: Plan) -> Iterator[str]:
    """The snapshot that a plan was made from, and of a delta those that it stands on."""
    used: SnapshotUsed | BaseUsed | None = plan.document.snapshot
    while used is not None:
        yield used.name
        used = used.base


def _manifests(context: Context, plan: Plan) -> dict[str, bytes]:
    """The snapshot's manifest, and of a delta those of the snapshots it stands on."""
    used = plan.document.snapshot
    parts = {"manifest.json": _manifest(context, plan, used.name, used.manifest_sha256)}
    base = used.base
    while base is not None:
        # Without the snapshots below, nobody could tell later what a delta's plan was made from.
        parts[f"base/{base.name}/manifest.json"] = _manifest(
            context, plan, base.name, base.manifest_sha256
        )
        base = base.base
    return parts


def _manifest(context: Context, plan: Plan, name: str, sha256: str) -> bytes:
    file = context.workspace.snapshots / name / "manifest.json"
    data = file.read_bytes() if file.is_file() else b""
    if sha256_bytes(data) != sha256:
        raise Stale(
            f"snapshot {name!r} is not the one that plan {plan.name!r} was made from",
            hint=f"bring its manifest.json back from a backup, below {context.workspace.snapshots}; "
            "evidence of another plan: --plan NAME",
        )
    return data


def _mappings(context: Context, plan: Plan) -> dict[str, bytes]:
    """The texts that the plan was made from: those that it carries, or those beside it where they are the same."""
    if plan.document.carried:
        check_carried(plan.folder, plan.document)
        return {
            entry.path: (plan.folder / entry.path).read_bytes() for entry in plan.document.carried
        }
    files = {}
    for dataset, used in plan.document.mappings.items():
        file = context.project.mappings / used.file
        data = file.read_bytes() if file.is_file() else b""
        if sha256_bytes(data) != used.sha256:
            raise Stale(
                f"mapping {used.file} ({dataset}) is not the one that plan {plan.name!r} was made with",
                hint="bring that version of the file back, or name the plan that was made with this one: --plan NAME",
            )
        files[f"mappings/{used.file}"] = data
        for name in used.includes:
            beside = context.project.mappings / name
            files[f"mappings/{name}"] = beside.read_bytes() if beside.is_file() else b""
    return files


def _counts(
    plan: Plan, books: Mapping[str, DatasetBooks], unsent: Mapping[str, int]
) -> dict[str, Any]:
    """What plan and ledger say of each dataset; of one whose load was never begun, what is to be sent and no counts."""
    planned = plan.document.datasets
    return {dataset: asdict(entry) for dataset, entry in books.items()} | {
        dataset: {
            "dataset": dataset,
            "planned": planned[dataset].planned,
            "count_before": None,
            "unsent": rows,
        }
        for dataset, rows in unsent.items()
    }


def _rejects(context: Context, plan: Plan, dataset: str) -> dict[str, Any]:
    frame = parquet.scan(plan.file(dataset, "rejects.parquet")).select("rule", "column")
    counted = frame.group_by("rule", "column").len("rows").sort("rule", "column").collect()
    refused = count_refusals(context.workspace.ledger, plan.name, dataset)
    return {
        "by_rule": counted.to_dicts(),
        "refused_by_target": {str(status): rows for status, rows in refused.items()},
    }


def _corrections(plan: Plan) -> list[dict[str, Any]]:
    """How many values of which field were put right by whom and why, and whether the plan took them; not which ones."""
    carried = read_carried(plan.folder).filter(pl.col("state") != BEFORE)
    # Counts and reasons: an archive is handed to others, so no value may be in it.
    by = ["resource", "field", "by", "why", "state"]
    return carried.group_by(by).agg(pl.len().alias("values")).sort(by).to_dicts()


def _totals(plan: Plan) -> list[dict[str, Any]]:
    """What orders are worth and when events were, in source and plan; without the examples, which are values."""
    tables = (replace(table, examples=()) for table in read_totals(plan).values())
    return [summarise_table(table) for table in tables]


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()
