"""The file door: a plan's rows handed over as files, read back after their import, or taken back.

The order is what makes it safe: the canaries go by the API and are compared; then all files are written; then the
ledger says that the rows are handed over; and only then may a file leave. From there until the handover has ended no
load sends any row of these datasets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from migrate.app.discards import check_discards
from migrate.app.other_projects import refuse_collisions, written_by_others
from migrate.app.pipeline import refuse_broken
from migrate.app.plan_to_load import plan_to_load
from migrate.app.remake import check_loadable
from migrate.app.standing import begun_at, note_loading
from migrate.app.target_client import open_target
from migrate.errors import Interrupted, Stale, UsageError
from migrate.load.files.manifest import HandoverManifest
from migrate.load.files.names import Format
from migrate.load.files.rows import DatasetRows, FileColumn
from migrate.load.files.writer import FileSettings, PlanOfFiles, write_files
from migrate.load.handover import DatasetFiles, HandedFile, Handover
from migrate.load.ledger import Ledger
from migrate.load.ledger_opening import PlannedDataset
from migrate.load.ledger_view import LedgerView
from migrate.load.loader import Options, load
from migrate.load.parents import RefusedParents
from migrate.load.planned import PlannedRecords, PlanToLoad
from migrate.mapping.files import read_mappings
from migrate.mapping.model import Mapping as DatasetMapping
from migrate.plan.files import stored_columns
from migrate.plan.open_plan import Plan, check_fresh, check_gates, open_plan
from migrate.privacy.written import note_written

if TYPE_CHECKING:
    from migrate.app.context import Context

FILES = "files"
"""The folder below `exports/PLAN` that files go to, where no other is named."""


@dataclass(frozen=True)
class HandOver:
    """What is asked of a handover. `folder`: None for the usual one; `form`: None for the project's."""

    folder: Path | None = None
    form: Format | None = None
    canary: int | None = None
    confirm_merges: int | None = None


@dataclass(frozen=True)
class HandedOver:
    """What was handed over. `left_out`: datasets of the plan that cannot go by files, each with the reason.

    `written_s`: the seconds it took to write the files; 0 where they were there.
    """

    plan: str
    folder: Path
    manifest: HandoverManifest
    rows: Mapping[str, int]
    left_out: Mapping[str, str] = field(default_factory=dict)
    written_s: float = 0.0


def run_hand_over(
    context: Context, datasets: Sequence[str], name: str | None, asked: HandOver
) -> HandedOver:
    """Writes what is left to be sent of a plan as files, and notes that it is handed over.

    Given again it goes on: what was written whole is not written again.

    **Raises**: as `run_load`; Stale where rows were sent by the API and nobody knows what became of them.
    """
    plan = open_plan(context.workspace, name)
    context = replace(context, project=context.project.for_target(plan.document.target))
    # The same looks as before a load: a file cannot be called back once it is imported.
    check_loadable(context.workspace, plan)
    check_fresh(plan, context.project, context.workspace)
    check_discards(context.workspace, plan)
    refuse_collisions(context.project, plan)
    gates = context.project.gates
    if asked.confirm_merges is not None:
        gates = gates.model_copy(update={"max_merges": max(gates.max_merges, asked.confirm_merges)})
    refuse_broken(plan, check_gates(plan, gates))
    to_load, left_out = _by_files(plan_to_load(plan, context.project.octolis, datasets))
    folder = (asked.folder or context.workspace.exports / plan.name / FILES).absolute()
    note_loading(context.workspace, plan, {})
    # The canaries of an earlier call were sent and compared: once is enough.
    if not _is_handed_over(context, plan, to_load):
        first = gates.canary if asked.canary is None else asked.canary
        options = Options(
            force_unlock=context.force_unlock,
            canary=first,
            # One record by the API shows what the target makes of our values, before a file has all of them.
            only_canaries=True,
            others=written_by_others(context.project),
        )
        with open_target(context) as client:
            load(
                client, context.workspace, to_load, gates, context.progress, context.stop,
                options=options,
            )  # fmt: skip
    return _write(context, plan, to_load, folder, _settings(context, asked.form), left_out)


def _by_files(plan: PlanToLoad) -> tuple[PlanToLoad, dict[str, str]]:
    """The datasets that can go by files, and why the others cannot."""
    # A feed has no dataset that an import could fill or that could be read back.
    feeds = {d.name: "it goes to a webhook" for d in plan.datasets if d.webhook is not None}
    chosen = tuple(d for d in plan.datasets if d.name not in feeds and d.rows)
    if not chosen:
        raise UsageError(
            f"plan {plan.name!r} has no row that could go as a file",
            hint=f"migrate load --plan {plan.name}",
        )
    return replace(plan, datasets=chosen), feeds


def _is_handed_over(context: Context, plan: Plan, to_load: PlanToLoad) -> bool:
    with LedgerView(context.workspace.ledger) as view:
        open_ones = {one.dataset for one in view.handovers(plan.name) if one.is_open}
    names = {dataset.name for dataset in to_load.datasets}
    if open_ones & names and not names <= open_ones:
        raise Stale(
            f"{', '.join(sorted(open_ones & names))} of plan {plan.name!r} are handed over, and others are not",
            hint="name the others: migrate load DATASET --files DIR --plan "
            f"{plan.name}; or settle those first: migrate load --settle --plan {plan.name}",
        )
    return bool(open_ones & names)


def _settings(context: Context, form: Format | None) -> FileSettings:
    files = context.project.octolis.files
    return FileSettings(
        form or files.format, files.separator, files.file_rows, files.file_bytes, files.empty
    )


def _write(
    context: Context,
    plan: Plan,
    to_load: PlanToLoad,
    folder: Path,
    settings: FileSettings,
    left_out: Mapping[str, str],
) -> HandedOver:
    began = context.now()
    with opened_ledger(context, to_load) as ledger:
        known = {one.dataset: one for one in ledger.handovers.open_ones()}
        # Never written anew: an import may have the files already.
        if known:
            return _known(plan, list(known.values()), folder, left_out)
        # What was refused by the API takes its children with it, by this door as by the other.
        parents = RefusedParents(ledger, plan.folder, context.progress)
        for dataset in to_load.datasets:
            parents.settle_all_waiting(dataset, PlannedRecords(dataset))
        mappings = read_mappings(context.project.mappings)
        rows = [
            DatasetRows(
                dataset.name,
                dataset.records,
                file_columns(mappings[dataset.name]),
                ledger.handovers.left(dataset.name),
            )
            for dataset in to_load.datasets
        ]
        rows = [one for one in rows if one.left.rows]
        if not rows:
            raise Stale(
                f"nothing of plan {plan.name!r} is left to be sent",
                hint=f"migrate reconcile --plan {plan.name}",
            )
        with _WritingProgress(context, rows) as tick:
            of_plan = PlanOfFiles(plan.name, to_load.sha256(), _day_of(plan))
            manifest = write_files(folder, of_plan, rows, settings, tick)
        # Before the ledger says it: files that nobody knows of could not be found by an erasure.
        _remember(context, folder, manifest)
        given = [DatasetFiles(one.dataset, one.left, _files(manifest, one)) for one in rows]
        ledger.handovers.hand_over(folder, manifest.sha256(), given)
    seconds = (context.now() - began).total_seconds()
    counts = {one.dataset: one.left.rows for one in rows}
    return HandedOver(plan.name, folder, manifest, counts, left_out, seconds)


def _known(
    plan: Plan,
    handovers: Sequence[Handover],
    folder: Path,
    left_out: Mapping[str, str],
) -> HandedOver:
    """A handover of an earlier call, whose files have to be there as they were written."""
    first = handovers[0]
    # Written to a second place, the same rows could be imported from both.
    if first.folder != folder:
        raise UsageError(
            f"plan {plan.name!r} is handed over in {first.folder}",
            hint=f"name that folder: --files {first.folder}; or take it back: "
            f"migrate load --take-back --plan {plan.name}",
        )
    manifest = handed_manifest(plan.name, first)
    counts = {one.dataset: one.rows for one in handovers}
    return HandedOver(plan.name, folder, manifest, counts, left_out)


def handed_manifest(plan: str, handover: Handover) -> HandoverManifest:
    """The manifest of a handover. Raises Stale where it is not the one that was noted."""
    from migrate.load.files.manifest import read_manifest

    manifest = read_manifest(handover.folder)
    # Files that were touched hold other rows than the ledger has as handed over.
    if manifest is None or manifest.sha256() != handover.manifest_sha256:
        raise Stale(
            f"the files of plan {plan!r} are not in {handover.folder} any more as they were written",
            hint="if they were imported: migrate load --settle; if they never will be: migrate load --take-back",
        )
    return manifest


def opened_ledger(context: Context, to_load: PlanToLoad) -> _OpenedLedger:
    """The ledger with the plan opened for files, locked while the block runs."""
    return _OpenedLedger(context, to_load)


class _OpenedLedger:
    def __init__(self, context: Context, to_load: PlanToLoad) -> None:
        workspace = context.workspace
        lock_file = workspace.ledger.with_suffix(".lock")
        self._lock = workspace.lock(lock_file, "the ledger", force=context.force_unlock)
        self._file, self._plan = workspace.ledger, to_load

    def __enter__(self) -> Ledger:
        self._lock.__enter__()
        try:
            self._ledger = Ledger(self._file)
            planned = [
                PlannedDataset(d.name, d.dataset_id, PlannedRecords(d).batch_rows, d.target)
                for d in self._plan.datasets
            ]
            self._ledger.open_plan(self._plan.name, planned, self._plan.sha256(), by_files=True)
        # Ctrl-C, too: a lock that stays would refuse every later load.
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        return self._ledger

    def __exit__(self, *_error: object) -> None:
        self._ledger.close()
        self._lock.__exit__(None, None, None)


def file_columns(mapping: DatasetMapping) -> list[FileColumn]:
    """The columns of a dataset's files, in the mapping's order."""
    stored = stored_columns(list(mapping.columns))
    return [
        FileColumn(name, stored[name], sends_null=_sends_null(mapping, name))
        for name in mapping.columns
    ]


def _sends_null(mapping: DatasetMapping, name: str) -> bool:
    parts = [part.columns.get(name) for part in mapping.parts]
    return any(column is not None and column.may_send_null for column in parts)


def _day_of(plan: Plan) -> date:
    """The day that the files are of: when their plan was begun, so that a later call names them alike."""
    begun = begun_at(plan)
    if begun is None:
        begun = (plan.folder / "plan.json").stat().st_mtime
    return datetime.fromtimestamp(begun, UTC).date()


def _files(manifest: HandoverManifest, rows: DatasetRows) -> list[HandedFile]:
    return [
        HandedFile(file.name, file.rows, file.bytes, file.sha256)
        for file in manifest.of(rows.dataset)
    ]


def _remember(context: Context, folder: Path, manifest: HandoverManifest) -> None:
    """Puts files that lie elsewhere on the list that an erasure goes through."""
    root = context.workspace.root
    if folder.resolve().is_relative_to(root.resolve()):
        return
    for file in manifest.files:
        note_written(root, folder / file.name, "migrate load --files", file.sha256)


class _WritingProgress:
    """Shows how many rows are written of each dataset; what is told them ends the work when the job is to stop."""

    def __init__(self, context: Context, rows: Sequence[DatasetRows]) -> None:
        self._context, self._rows = context, rows

    def __enter__(self) -> Callable[[str, int], None]:
        for one in self._rows:
            self._context.progress.begin(f"write {one.dataset}", total=one.left.rows, unit="rows")
        return self._tick

    def _tick(self, dataset: str, rows: int) -> None:
        self._context.progress.advance(f"write {dataset}", rows)
        if self._context.stop.is_set():
            raise Interrupted(
                "stopped while the files were written; nothing is handed over",
                hint="give the same command again: it writes the files again",
            )

    def __exit__(self, *_error: object) -> None:
        for one in self._rows:
            self._context.progress.end(f"write {one.dataset}")
