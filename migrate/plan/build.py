"""The dry run: snapshot + mappings + the target as it is → a plan. Sends no write, ever."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from threading import Event

import polars as pl

from migrate.config import Project
from migrate.errors import Interrupted, MappingError, WorkspaceError
from migrate.mapping.model import Mapping, parts_of
from migrate.mapping.rules import LOSSES
from migrate.mapping.transform import Settings, lookup_columns, typed_schema
from migrate.plan.carried import carry_texts
from migrate.plan.corrections import (
    NO_CORRECTIONS,
    count_corrected,
    used_corrections,
    write_carried,
)
from migrate.plan.cost import forecast_cost, minutes_of
from migrate.plan.dataset import (
    FEED_WARNING,
    Final,
    Notes,
    compare_rows,
    count_dataset,
    finish_dataset,
    require_key_columns,
    target_warnings,
    write_dataset,
)
from migrate.plan.delta import Lookups, delta_warnings, lookups_of, read_base
from migrate.plan.document import (
    FORMAT,
    DatasetPlan,
    PlanDocument,
    PlannedFile,
    SnapshotUsed,
    TargetReading,
    Unmapped,
    dump_document,
)
from migrate.plan.files import SPILL
from migrate.plan.gates import check_places, judge_gates
from migrate.plan.inputs import base_used, mapping_used, whole_below
from migrate.plan.keys import look_alike_warnings
from migrate.plan.limits import Limits, limit_plan
from migrate.plan.open_plan import Plan, settings_sha256, settings_that_matter
from migrate.plan.plan_folder import begin_plan, explained, finish_plan
from migrate.plan.reading import Held, ReadingPlace, TargetReader, read_target
from migrate.plan.request import (
    Choice,
    OtherRows,
    PlanRequest,
    SampleAsked,
    choose_datasets,
    looked_up_by,
    words_again,
    words_of,
)
from migrate.plan.rows import Way, map_files
from migrate.plan.sample import Drawn, draw_rows
from migrate.plan.set_aside import NO_DISCARDS, OrdersHeld, write_left_out, write_set_aside
from migrate.plan.shipments import Shipments
from migrate.plan.totals import title_of, total_dataset, totals_rules_of, used_of, write_totals
from migrate.plan.unmapped import say_unmapped, unmapped_element_fields, unmapped_fields
from migrate.progress import Progress
from migrate.snapshot.reading import Snapshot, SnapshotResource
from migrate.snapshot.union import living
from migrate.totals.table import Table
from migrate.workspace import Workspace


def build_plan(  # noqa: PLR0913, PLR0917  # called once, with one value from each stage before it
    project: Project,
    workspace: Workspace,
    snapshot: Snapshot,
    mappings: Dict[str, Mapping],
    client: TargetReader | None,
    request: PlanRequest,
    progress: Progress,
    stop: Event,
    now: Callable[[], datetime],
) -> Plan:
    """The finished plan, also written to `plans/NAME`.

    Each mapping in turn, looked-up datasets first: its resource is mapped part by part, rows that share a key are
    collapsed, the target is read and compared, batches are cut, files are written. `plan.json` comes last; without
    it the plan does not exist. Without a `client` the plan is offline.

    **Guarantees**: the same snapshot, mappings, settings, target and earlier loads give the same bytes in every file
    but `begun.json`; the loads count only as the proof of a recipe;
    read = filtered + rejected + discarded + waiting + collapsed + planned (+ outside, + outside_delta)
    for each dataset; in memory are a few bytes a
    row, one part of the rows and one column of both sides.

    **Raises** UsageError, ConfigError, MappingError, WorkspaceError, RemoteError; Interrupted when `stop` is set.
    """
    choice = choose_datasets(request, mappings, project)
    needed = {name: mapping for name, mapping in mappings.items() if name in choice.needed}
    target = None if request.offline else client
    parts = parts_of(needed.values())
    resources = {str(part.resource): _resource(snapshot, part) for part in parts}
    check_places(
        project.gates, {name: mapping.columns for name, mapping in mappings.items()}, LOSSES
    )
    asked = words_of(request, snapshot.name, project.octolis.base_url, project.target)
    again = words_again(request, snapshot.name, project.target)
    with (
        begin_plan(workspace, request.name, asked, now) as (name, folder),
        explained(name, folder, again),
    ):
        making = Making(
            project,
            snapshot,
            mappings,
            choice,
            target,
            folder,
            progress,
            stop,
            now,
            request.sent,
            request.discarded,
            request.corrections.filter(pl.col("resource").is_in(list(resources))),
            request.theirs,
            request.foreign,
            # of a sample or a part all is planned that it is of, changed or not
            is_delta=snapshot.base is not None and request.scope is None,
        )
        making.check_unmapped(resources)
        making.limit(request)
        for mapping in needed.values():
            making.make(mapping, resources)
        hashes = dict[str, str]()
        for part in parts:
            hashes |= {Path(part.file).name: part.sha256, **part.includes}
        # Mappings are edited after a load; what looks back at it needs those of then.
        carried = carry_texts(project.mappings, folder, hashes, needed)
        document = making.document(resources).model_copy(update={"carried": carried})
        finish_plan(folder, dump_document(document), choice.ids)
    return Plan(name, folder, document)


def _resource(snapshot: Snapshot, mapping: Mapping) -> SnapshotResource:
    resource = snapshot.resource(mapping.resource)
    if resource is None:
        raise WorkspaceError(
            f"dataset {mapping.dataset!r} needs {mapping.resource}, which snapshot {snapshot.name!r} does not have",
            hint=f"migrate extract {mapping.resource} --snapshot {snapshot.name}",
        )
    return resource


@dataclass
class Making:
    """A plan in the making: what it is made of, and what stands already."""

    project: Project
    snapshot: Snapshot
    mappings: Dict[str, Mapping]
    choice: Choice
    target: TargetReader | None
    folder: Path
    progress: Progress
    stop: Event
    now: Callable[[], datetime]
    sent: Shipments
    discarded: pl.DataFrame = field(default_factory=lambda: NO_DISCARDS)
    corrections: pl.DataFrame = field(default_factory=lambda: NO_CORRECTIONS)
    theirs: Dict[str, frozenset[str]] = field(default_factory=dict)
    foreign: OtherRows = field(default_factory=OtherRows)
    tables: dict[str, Lookups] = field(default_factory=dict)
    left_out: dict[str, pl.DataFrame] = field(default_factory=dict)
    unmapped: dict[str, tuple[Unmapped, ...]] = field(default_factory=dict)
    readings: dict[str, TargetReading] = field(default_factory=dict)
    datasets: dict[str, DatasetPlan] = field(default_factory=dict)
    files: list[PlannedFile] = field(default_factory=list)
    totals: dict[str, Table] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    is_delta: bool = False

    def make(self, mapping: Mapping, resources: Dict[str, SnapshotResource]) -> None:
        """One dataset: its final rows, what other datasets look up in them, and, where it is planned, its files."""
        with self._worked_out(mapping, resources) as final:
            if mapping.dataset in self.choice.ids:
                self._plan(final, resources)

    @contextlib.contextmanager
    def _worked_out(
        self, mapping: Mapping, resources: Dict[str, SnapshotResource]
    ) -> Iterator[Final]:
        """A dataset's final rows, while the block runs; what is looked up of it stays."""
        files = [(resources[part.resource], self._way(part)) for part in mapping.parts]
        final = self._finish(mapping, files)
        wanted = self._looked_up(mapping.dataset)
        if wanted is not None:
            self.tables[mapping.dataset] = lookups_of(
                mapping, final.gathered, final.mapped, final.base, wanted
            )
            self.left_out[mapping.dataset] = final.mapped.left_out
        yield final
        final.clear()
        shutil.rmtree(final.spill, ignore_errors=True)

    def limit(self, request: PlanRequest) -> None:
        """Says what of the snapshot the plan is of. Raises UsageError like `limit_plan`."""
        needed = {name: m for name, m in self.mappings.items() if name in self.choice.needed}
        self.limits = limit_plan(
            request, self.choice, self.snapshot, needed, self._settings(), self._draw
        )
        self.files += self.limits.write(self.folder)
        self.files += write_carried(self.corrections, self.folder)

    def _draw(self, first: str, asked: SampleAsked) -> Drawn:
        """Some of the rows that the whole snapshot gives of a dataset."""
        drawn = Drawn()
        before = looked_up_by(first, self.mappings)
        for mapping in [self.mappings[name] for name in self.mappings if name in before]:
            with self._worked_out(mapping, self.snapshot.resources) as final:
                if mapping.dataset == first:
                    resources = [str(part.resource) for part in mapping.parts]
                    drawn = draw_rows(final.gathered.rows, resources, asked.rows, asked.seed)
        self.tables.clear()
        return drawn

    def _settings(self) -> Settings:
        datatrics = self.project.datatrics
        return Settings(
            datatrics.timezones,
            datatrics.source_aliases,
            self.project.octolis.float_digits,
            datatrics.project_id,
        )

    def _way(self, mapping: Mapping) -> Way:
        tables = {name: self._table_of(mapping, name) for name in mapping.lookups}
        before = {n: t.before for n, t in tables.items() if t.before is not None}
        now = {name: table.now for name, table in tables.items()}
        of_record = pl.col("resource").fill_null(mapping.resource) == mapping.resource
        discarded = self.discarded.filter(pl.col("dataset") == mapping.dataset, of_record)
        return Way(
            mapping,
            now,
            self._settings(),
            self.project.octolis.batch_bytes,
            self.is_delta,
            before,
            discarded,
            self.limits.inside,
        )

    def _table_of(self, mapping: Mapping, name: str) -> Lookups:
        lookup = mapping.lookups[name]
        if lookup.project is not None:
            # what has changed there is no change of a delta's own
            rows = self.foreign.found[mapping.file, name]
            return Lookups(rows, rows if self.is_delta else None)
        resource = self.mappings[lookup.dataset].part_of(lookup.resource).resource
        return self.tables[lookup.dataset].of(resource)

    def _finish(self, mapping: Mapping, files: Sequence[tuple[SnapshotResource, Way]]) -> Final:
        # Records that are gone from the source win nothing, fill nothing and consent to nothing.
        alive = [(living(resource), way) for resource, way in files]
        spill = self.folder / f"{SPILL}{mapping.dataset}"
        task = f"plan {mapping.dataset}"
        self.progress.begin(task, total=sum(one.rows for one, _ in alive), unit="records")
        mapped = map_files(mapping, alive, spill, lambda records: self._tick(task, records))
        self.progress.end(task)
        if self.is_delta:
            base = read_base(files, mapped)
        else:
            base = None
        return finish_dataset(mapping, mapped, spill, self.project.octolis.batch_bytes, base)

    def _plan(self, final: Final, resources: Dict[str, SnapshotResource]) -> None:
        """Compares the rows with the target, writes the dataset's files and counts."""
        mapping, dataset = final.mapping, final.mapping.dataset
        folder = self.folder / dataset
        folder.mkdir(mode=0o700, exist_ok=True)
        unmapped = self._unmapped(mapping, resources)
        target = self._read(mapping, folder)
        if target is not None:
            require_key_columns(target.reading, mapping, self.choice.ids[dataset])
        types = typed_schema(mapping, self.project.octolis.float_digits)
        theirs = self.theirs.get(self.choice.ids[dataset], frozenset())
        compared = compare_rows(final, target, types, self.sent, theirs)
        written = write_dataset(
            final, compared, folder, self.folder, self.project.octolis.batch_bytes
        )
        aside = final.mapped.set_aside
        self.files += write_set_aside(aside, self.discarded, mapping.resource, folder, self.folder)
        whole = whole_below(self.snapshot).name
        warnings = (
            *delta_warnings(compared.left, final.outside, compared.missing_count, whole),
            *([FEED_WARNING] if mapping.is_feed else []),
        )
        warnings += look_alike_warnings(
            final.gathered.rows,
            compared.classified.labels,
            target,
            mapping.key,
            sum(key.look_alike_rows for key in compared.merges.counts.keys),
        )
        if target is not None:
            classified = compared.classified
            reading = target.reading.model_copy(update={"repeated_keys": classified.repeated_keys})
            warnings += target_warnings(reading, classified, mapping)
            self.readings[dataset] = reading
            self.files += reading.files
        self.files += written.files
        minutes = minutes_of(written.batches, self.project)
        counts = count_dataset(final, compared, written, minutes, Notes(unmapped, warnings))
        corrected = count_corrected(self.corrections, mapping.resources)
        counts = counts.model_copy(update={"corrected": corrected})
        self.datasets[dataset] = self._totalled(mapping, resources, counts, folder)

    def _totalled(
        self,
        mapping: Mapping,
        resources: Dict[str, SnapshotResource],
        counts: DatasetPlan,
        folder: Path,
    ) -> DatasetPlan:
        """The counts with how the dataset's totals stand; the totals themselves go to a file."""
        used = []
        for number, rule in enumerate(totals_rules_of(mapping, self.project)):
            resource = living(resources[rule.resource])
            if self.is_delta:
                touched_from = resource.touched_from
            else:
                touched_from = 0
            zones = self.project.datatrics.timezones
            if rule.kind == "lines":
                orders = OrdersHeld(self.mappings, self.tables, self.left_out)
                lines = mapping.part_of(rule.resource)
                self.files.append(write_left_out(lines, resource, orders, self.project, folder))
            filtered = counts.filtered_of(rule.resource)
            table = total_dataset(
                rule, resource, folder, zones, filtered=filtered,
                touched_from=touched_from, inside=self.limits.inside,
                aliases=self.project.datatrics.source_aliases,
            )  # fmt: skip
            beside = rule.resource if number else ""
            self.totals[title_of(mapping.dataset, beside)] = table
            self.files += write_totals(table, folder, self.folder, beside)
            used.append(used_of(rule, table))
        if not used:
            return counts
        return counts.model_copy(update={"totalled": used[0], "totalled_after": tuple(used[1:])})

    def document(self, resources: Dict[str, SnapshotResource]) -> PlanDocument:
        """What `plan.json` says, once all datasets are done."""
        settings = settings_that_matter(self.project)
        verdicts = {name: resource.result.verdict for name, resource in sorted(resources.items())}
        return PlanDocument(
            format=FORMAT,
            snapshot=SnapshotUsed(
                name=self.snapshot.name,
                manifest_sha256=self.snapshot.manifest_sha256,
                verdicts=verdicts,
                base=base_used(self.snapshot.base),
            ),
            mappings={
                name: mapping_used(self.mappings[name], self.mappings)
                for name in self.mappings
                if name in self.choice.needed
            },
            settings=settings,
            settings_sha256=settings_sha256(settings),
            dataset_ids={
                name: id_ for name, id_ in self.choice.ids.items() if name not in self.choice.feeds
            },
            webhook_ids={
                name: id_ for name, id_ in self.choice.ids.items() if name in self.choice.feeds
            },
            target=self.project.target,
            scope=self.limits.scope,
            looked_up=self.foreign.plans,
            corrections=used_corrections(self.corrections),
            offline=self.target is None,
            skipped=self.choice.skipped,
            target_reading=self.readings,
            datasets=self.datasets,
            forecast=forecast_cost(
                {name: plan.batches for name, plan in self.datasets.items()}, self.project
            ),
            gates=judge_gates(self.datasets, verdicts, self.project.gates, self.totals),
            files=tuple(self.files),
        )

    def _tick(self, task: str, records: int) -> None:
        self.progress.advance(task, records)
        if self.stop.is_set():
            raise Interrupted("stopped before the plan was finished; nothing was sent")

    def _looked_up(self, dataset: str) -> set[str] | None:
        """The columns that needed mappings look up in a dataset; None where none does."""
        columns_used: set[str] | None = None
        for part in parts_of(self.mappings[name] for name in self.choice.needed):
            columns = lookup_columns(part)
            for lookup, rule in part.lookups.items():
                if rule.dataset == dataset and rule.project is None:
                    columns_used = (columns_used or set()) | columns[lookup]
        return columns_used

    def _unmapped(
        self, mapping: Mapping, resources: Dict[str, SnapshotResource]
    ) -> tuple[Unmapped, ...]:
        """The fields of the dataset's resources that no mapping takes."""
        parts = [(part, living(resources[part.resource])) for part in mapping.parts]
        return tuple(chain.from_iterable(self._unmapped_of(*one) for one in parts))

    def check_unmapped(self, resources: Dict[str, SnapshotResource]) -> None:
        """Looks for what strict mappings leave unmapped. Raises MappingError naming it in all of their files."""
        problems: list[str] = []
        for part in parts_of(self.mappings[name] for name in self.choice.ids):
            if part.unmapped == "fail":
                left = self._unmapped_of(part, living(resources[part.resource]))
                problems += say_unmapped(part, left)
        if problems:
            hint = "map these fields, name them under `ignore`, or set `unmapped: report`"
            raise MappingError(problems, hint=hint)

    def _unmapped_of(self, part: Mapping, resource: SnapshotResource) -> tuple[Unmapped, ...]:
        if part.resource not in self.unmapped:
            every = parts_of(self.mappings.values())
            same = [other for other in every if other.resource == part.resource]
            elements = unmapped_element_fields(resource, same)
            self.unmapped[part.resource] = (*unmapped_fields(resource, same), *elements)
        return self.unmapped[part.resource]

    def _read(self, mapping: Mapping, folder: Path) -> Held | None:
        # Nothing can be read back from a webhook.
        if self.target is None or mapping.is_feed:
            return None
        place = ReadingPlace(
            mapping.dataset, self.choice.ids[mapping.dataset], folder, self.folder, self.now
        )
        return read_target(self.target, place, self.progress, self.stop)
