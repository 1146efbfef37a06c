"""What `plan.json` holds. Nothing in it depends on the clock, on the plan's name or on the machine."""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from migrate.plan.corrections_used import CorrectionsUsed
from migrate.sentence import Sentence, StoredSentence, one_after_other

FORMAT = 1
"""Raised whenever the meaning of a plan's files changes; a plan of another format is stale."""

Minutes = Annotated[float, Field(ge=0, le=1e9)]
"""From the load's start. At most some 1,900 years, whose end a clock can still show."""

SCOPE_FOLDER = "scope"
"""The folder of a plan that says what of the snapshot it is, where it is not all; no dataset may have this name."""


class _Part(BaseModel):
    # A field that this version does not know may change what the rest means:
    # such a plan is refused.
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlannedFile(_Part):
    """A file of the plan; `path` is relative to the plan's folder. Units: bytes."""

    path: str
    rows: int
    bytes: int
    sha256: str


class BaseUsed(_Part):
    """The snapshot that a delta was planned with; `base` where that is a delta itself."""

    name: str
    manifest_sha256: str
    # Down to the whole snapshot: whichever of them has changed makes the plan stale.
    base: BaseUsed | None = None


class SnapshotUsed(_Part):
    """The snapshot the plan was made from, and the verdict of each resource it was read for; of a delta its `base`."""

    name: str
    manifest_sha256: str
    verdicts: dict[str, str]
    base: BaseUsed | None = None


class ParentUsed(_Part):
    """A dataset by whose key the rows of another one refer to its rows.

    `columns`: the columns of theirs, with the column of its key that each of them holds.
    """

    dataset: str
    columns: dict[str, str]


class FileUsed(_Part):
    """A mapping file as it was: `sha256` is that of its bytes, `includes` those of files it takes something from."""

    file: str
    sha256: str
    includes: dict[str, str] = {}
    resource: str


class MappingUsed(FileUsed):
    """The mapping of a dataset as it was; `after`: where several files make it, those behind the first, in order."""

    key: tuple[str, ...]
    alternative_keys: tuple[tuple[str, ...], ...] = ()
    recipe_columns: tuple[str, ...]
    consent_columns: tuple[str, ...] = ()
    stored_columns: dict[str, str]
    """Mapped columns that stand under another name in the plan's Parquet files, since theirs is taken there."""
    parents: tuple[ParentUsed, ...] = ()
    after: tuple[FileUsed, ...] = ()

    @property
    def files(self) -> tuple[FileUsed, ...]:
        """The files that make the dataset, in their order of precedence."""
        return (self, *self.after)


class OtherPlanUsed(_Part):
    """A plan of another project in whose rows a look-up was made; `sha256` is that of its `plan.json`."""

    project: str
    plan: str
    sha256: str


class CarriedFile(_Part):
    """A text that the plan was made from, as it lies in the plan's folder. Units: bytes."""

    path: str
    bytes: int
    sha256: str


class SampleOf(_Part):
    """A plan of `rows` of the `of` rows of one dataset, drawn by `seed`, with all that hangs together with them.

    The identities of its records stand in `scope/RESOURCE.parquet`.
    """

    kind: Literal["sample"] = "sample"
    dataset: str
    rows: int
    of: int
    seed: int = 0

    @property
    def told(self) -> str:
        """What it is, as a reader is told."""
        return Sentence(
            "a sample: {rows} of {of} rows of {dataset} (seed {seed}), and the records that belong to them",
            rows=self.rows,
            of=self.of,
            dataset=self.dataset,
            seed=str(self.seed),
        )


class PartOf(_Part):
    """A plan of the records of some sources, of a span of days, or of both. Units: days in UTC, both ends included.

    No `sources`: of all. A record without a readable time belongs to the part that has no first day.
    """

    kind: Literal["part"] = "part"
    sources: tuple[str, ...] = ()
    first_day: date | None = None
    last_day: date | None = None
    field: Literal["created", "updated"] = "created"

    @property
    def has_days(self) -> bool:
        """Whether it is a span of time."""
        return self.first_day is not None or self.last_day is not None

    @property
    def told(self) -> str:
        """What it is, as a reader is told."""
        parts: list[str] = []
        if self.sources:
            names = tuple(name or Sentence("(none)") for name in self.sources)
            parts.append(Sentence("source {sources}", sources=names))
        if self.has_days:
            parts.append(self._days)
        return Sentence("a part: {what}", what=one_after_other(parts))

    @property
    def _days(self) -> str:
        field = Sentence("created" if self.field == "created" else "updated")
        first = str(self.first_day)
        last = str(self.last_day)
        if self.last_day is None:
            return Sentence("{field} from {first}", field=field, first=first)
        if self.first_day is None:
            return Sentence("{field} to {last}", field=field, last=last)
        return Sentence("{field} from {first} to {last}", field=field, first=first, last=last)


Scope = Annotated[SampleOf | PartOf, Field(discriminator="kind")]


class TargetReading(_Part):
    """What one dataset of the target held; `moving`: rows came or went while it was read, every time.

    `reread`: pages that were read again since rows moved; a row that stands in several files counts as the last says.
    """

    rows: int
    count: int
    files: tuple[PlannedFile, ...]
    columns: tuple[str, ...]
    repeated_keys: int
    moving: bool
    reread: int = 0


class Unmapped(_Part):
    """A snapshot field that no mapping uses nor ignores; `filled` is the share of records that have a value."""

    field: str
    filled: float


class SharedKey(_Part):
    """What is odd about the values of one key. Units: values, and the planned rows that have them.

    `shared`: several planned rows have the value; `placeholders`: values that stand for nobody in particular;
    `look_alikes`: values that differ in letter case, spaces or Unicode form only, so the target keeps them apart.
    """

    columns: tuple[str, ...]
    empty: int
    shared: int
    shared_rows: int
    placeholders: int
    placeholder_rows: int
    look_alikes: int
    look_alike_rows: int


class MergeForecast(_Part):
    """Which records would become one, by key and alternative keys. Units: clusters, records.

    `records`: those in clusters; `masterids_lost`: records of the target that would disappear; `rows_fused`: planned
    rows that would end in another one's record. **Guarantees**: masterids_lost + rows_fused = records - clusters.
    """

    clusters: int = 0
    records: int = 0
    largest: int = 0
    masterids_lost: int = 0
    rows_fused: int = 0
    keys: tuple[SharedKey, ...] = ()


class FileCounts(_Part):
    """What became of the records of one of several files that make a dataset. Units: rows.

    `planned`: rows of which its record has won the key. **Guarantees**: as of `DatasetPlan`.
    """

    file: str
    resource: str
    read: int
    filtered: int
    rejected: int
    discarded: int
    waiting: int
    collapsed: int
    planned: int
    outside: int = 0
    outside_delta: int = 0

    @property
    def accounted(self) -> int:
        """The rows that something has become of; the others a delta leaves as they are."""
        left_out = self.filtered + self.rejected + self.discarded + self.waiting
        return left_out + self.collapsed + self.planned


class TotalsUsed(_Part):
    """How a dataset was totalled: its columns, and the fields of the source that they are held against.

    `resource`: of which it is made, or, where several files make it, whose rows are totalled; '' in an earlier version.

    The groups themselves stand in `totals.parquet`. `equal` is of all of them.
    """

    kind: Literal["revenue", "events", "lines"]
    amount: str | None = None
    time: str | None = None
    label: str | None = None
    cents: bool = False
    as_days: bool = False
    spelling: str | None = None
    source_amount: tuple[str, ...] = ()
    source_time: tuple[str, ...] = ()
    source_label: tuple[str, ...] = ()
    source_lines: tuple[str, ...] = ()
    equal: bool = True
    doubts: tuple[StoredSentence, ...] = ()
    unread_times: int = 0
    resource: str = ""


class DatasetPlan(_Part):
    """One dataset's counts. Units: rows, requests, points, minutes; `empty_each` records.

    `placeholder` counts accepted rows whose key stands for nobody (`n/a`, `noreply@…`) and that would become one with
    others: by the key while they are collapsed, or by another key in the target.

    `by_source` counts planned rows by the source of the record that won, '' where it has none. `merge_forecast` is
    `merges.masterids_lost + merges.rows_fused`. `recipes`: columns compared as report-only, and what tells so:
    `declared`, or the name of what the target was seen to do to every value.

    Of a delta, `outside_delta` counts the rows of the base that no change has touched, `gone` the rows of records that
    are gone since, `moved` those whose record has another key now; the last two stay in the target, to be seen to by
    hand. `outside_missing` counts the untouched rows that the target does not hold: the base was not loaded, or not to
    the end, and no delta will ever send them. None where nobody looked: no delta, or the target was not read.

    `outside` counts the rows that are in no sample and no part that the plan is of.

    `corrected`: records that were read and that have a value in them which a person has put right.

    `foreign`: records of the target that no row of ours maps to, without those that `other_projects` have loaded.

    `discarded` rows were left out by a person, `waiting` ones are not sent before their parent is.
    `files`: where several files make the dataset, what became of the records of each, in their order.

    **Guarantees**: read = filtered + rejected + discarded + waiting + collapsed + planned +
    outside + outside_delta; planned = create + update +
    unchanged + unknown.
    """

    read: int
    filtered: int
    rejected: int
    collapsed: int
    placeholder: int = 0
    planned: int
    create: int
    update: int
    unchanged: int
    unknown: int
    merge_forecast: int
    batches: int
    points: int
    minutes: float
    rejected_by_rule: dict[str, int]
    by_source: dict[str, int]
    change_counts: dict[str, int]
    recipe_counts: dict[str, int]
    losses: dict[str, dict[str, int]]
    orphans: dict[str, int]
    unmapped: tuple[Unmapped, ...]
    foreign: int
    empty_each: int
    warnings: tuple[StoredSentence, ...]
    merges: MergeForecast = MergeForecast()
    recipes: dict[str, str] = {}
    outside: int = 0
    outside_delta: int = 0
    gone: int = 0
    moved: int = 0
    outside_missing: int | None = None
    discarded: int = 0
    waiting: int = 0
    corrected: int = 0
    other_projects: int = 0
    totalled: TotalsUsed | None = None
    totalled_after: tuple[TotalsUsed, ...] = ()
    files: tuple[FileCounts, ...] = ()

    @property
    def totals(self) -> tuple[TotalsUsed, ...]:
        """How its rows were totalled: those of each resource that holds something to total."""
        return (*(() if self.totalled is None else (self.totalled,)), *self.totalled_after)

    def filtered_of(self, resource: str) -> int:
        """How many rows of this resource a `where` left out."""
        return next((one.filtered for one in self.files if one.resource == resource), self.filtered)

    @property
    def judged(self) -> int:
        """Rows that were read to be planned: what a share of rejected rows is of."""
        return self.read - self.outside - self.outside_delta

    @property
    def accepted(self) -> int:
        """Rows that the mapping accepted: what a share of losses is of."""
        return self.judged - self.filtered - self.rejected - self.discarded - self.waiting


class Stretch(_Part):
    """When one dataset is loaded, by number of API keys. Units: requests, points, minutes from the load's start."""

    dataset: str
    requests: int
    points: int
    starts: dict[int, Minutes]
    ends: dict[int, Minutes]


class Forecast(_Part):
    """What `load` will cost at the documented limits, by number of API keys. Units: requests, points, minutes.

    `account_share`: the part of the account's points that is ours; the rest is left to other tools.
    """

    requests: int
    points: int
    minutes_by_keys: dict[int, Minutes]
    account_share: float = 1.0
    timeline: tuple[Stretch, ...] = ()


class GateFinding(_Part):
    """A gate of the project file and how this plan stands to it; `not set` where it has no limit.

    `not judged` where what it would be held against cannot be known; the text says why.
    """

    gate: str
    verdict: Literal["ok", "broken", "not judged", "not set"]
    text: StoredSentence


class PlanDocument(_Part):
    """The whole of `plan.json`."""

    format: int
    snapshot: SnapshotUsed
    mappings: dict[str, MappingUsed]
    settings: dict[str, str | int | dict[str, str]]
    settings_sha256: str
    dataset_ids: dict[str, str]
    target: str | None = None
    """The `--target` that it is for; None for [octolis]."""
    scope: Scope | None = None
    """What of the snapshot it is; None for all of it."""
    webhook_ids: dict[str, str] = {}
    """Of the feeds: datasets that go to a webhook, are never read, and so are all `unknown`."""
    offline: bool
    skipped: dict[str, StoredSentence]
    target_reading: dict[str, TargetReading]
    datasets: dict[str, DatasetPlan]
    forecast: Forecast
    gates: tuple[GateFinding, ...]
    files: tuple[PlannedFile, ...]
    corrections: CorrectionsUsed | None = None
    """None where there were none."""
    looked_up: tuple[OtherPlanUsed, ...] = ()
    """Plans of other projects in whose rows look-ups were made, the newest of each first."""
    carried: tuple[CarriedFile, ...] = ()
    """Mappings, what they share and their tables; none in a plan of an earlier version."""


def dump_document(document: PlanDocument) -> bytes:
    """The bytes of `plan.json`: the same document always gives the same bytes."""
    return (
        json.dumps(document.model_dump(mode="json"), ensure_ascii=False, indent=2) + "\n"
    ).encode()
