"""A second chance for rejects: they are sent through the same rules and gates again, and each is told of after it.

There may be as many rejects as there are records, a whole dataset that stayed busy for one. So they are put aside in
files before the load changes what the ledger says of them, and looked for in the new plan some at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.app.context import Context
from migrate.app.pipeline import run_load, run_plan
from migrate.app.standing import check_not_undone, newer_load, read_standing
from migrate.app.target_client import reading_folder
from migrate.errors import Stale, UsageError
from migrate.load.ledger_notes import LedgerNotes
from migrate.load.ledger_view import LedgerView
from migrate.load.loader import LoadResult
from migrate.load.rejects import IDENTITY, SCHEMA, TRANSIENT, open_rejects, reject_frames
from migrate.plan.open_plan import Plan, open_plan
from migrate.plan.request import scope_again
from migrate.verify.readback import forget_reading
from migrate.workspace import Workspace

SENT, THERE, COLLAPSED, WAITING, DISCARDED, FILTERED, AGAIN, NOT_SENT = (
    "sent", "there already", "collapsed", "waiting", "discarded", "filtered", "rejected again",
    "not sent yet",
)  # fmt: skip
_SETTLED = (SENT, THERE, COLLAPSED, FILTERED)
"""What became of a reject so that nothing is left to do about it."""
_ENDS = {"written": SENT, "rejected": AGAIN, "waiting": WAITING}
"""What the target has made of a record that was sent, by its state in the ledger."""
_LISTS = {
    "unchanged": THERE, "collapsed": COLLAPSED, "rejects": AGAIN, "waiting": WAITING,
    "discarded": DISCARDED,
}  # fmt: skip
_WHO = IDENTITY[1:]
_KEPT = ("reject", "kind", *IDENTITY)
# So many rejects are looked for in one reading of the new plan's lists.
_PART_ROWS = 25_000


@dataclass(frozen=True)
class Replay:
    """What became of a plan's open rejects in plan `new`: how many of `rejects` came to each end, by `fates`.

    `new` is the plan itself where its transient records only had to be sent again; `loaded` is None where the new plan
    was made and not loaded, and then `sent` is what would be.
    """

    old: str
    new: Plan
    rejects: int
    loaded: LoadResult | None
    fates: Mapping[str, int] = field(default_factory=dict)

    @property
    def released(self) -> int:
        """Rejects that there is nothing left to do about."""
        return sum(count for fate, count in self.fates.items() if fate in _SETTLED)


@dataclass
class _OpenRejects:
    """The rejects of a plan that were open when the replay began: their identities, in files."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    rows: int = 0
    kinds: set[str] = field(default_factory=set)
    datasets: set[str] = field(default_factory=set)

    def add(self, rejects: pl.DataFrame) -> None:
        """Puts some aside."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.files.append(self.folder / f"part-{len(self.files):05d}.parquet")
        parquet.write(rejects, self.files[-1])
        self.rows += rejects.height
        self.kinds.update(rejects["kind"].unique())
        self.datasets.update(rejects["dataset"].unique())

    def parts(self) -> Iterator[pl.DataFrame]:
        """All of them, some at a time."""
        yield from map(parquet.read, self.files)


def replay(context: Context, name: str | None, *, plan_only: bool = False) -> Replay:
    """Sends what was rejected through the mappings, the plan's rules, the gates and the load again.

    Permanent rejects need a new plan of the same snapshot, which sees the fixed mapping and what the target holds by
    now: so only what is not there is sent, also rows that waited for a rejected parent. Feeds are left out, since a new
    plan sends a webhook everything again. Where all open rejects are transient, the plan itself is loaded again.

    **Guarantees**: memory does not grow with the rejects.

    **Raises**: UsageError where no reject is open; Stale where the plan was undone, or where newer records were loaded
    since; all that `run_plan` and `run_load` raise.
    """
    plan = open_plan(context.workspace, name)
    # Put aside first, since the load changes what the ledger says of them.
    folder = reading_folder(context, plan, "replay")
    forget_reading(folder)
    try:
        return _replay(context, plan, _put_aside(context.workspace, plan, folder), plan_only)
    finally:
        forget_reading(folder)


def _replay(context: Context, plan: Plan, before: _OpenRejects, plan_only: bool) -> Replay:
    if not before.rows:
        raise UsageError(f"plan {plan.name!r} has no open rejects", hint="migrate rejects list")
    # What was taken back on purpose would be written again in passing.
    check_not_undone(context.workspace, plan, "a replay would load all of it again")
    if before.kinds == {TRANSIENT}:
        loaded = run_load(context, name=plan.name)
        return Replay(plan.name, plan, before.rows, loaded, _tell(context, plan, before))
    if before.datasets <= set(plan.document.webhook_ids):
        raise UsageError(
            "all open rejects are of feeds; a new plan of a feed would send all of its rows to the webhook again",
            hint="fix the mapping, give it a `where` that leaves only these records, and plan that",
        )
    _refuse_older(context.workspace, plan)
    used = plan.document.snapshot
    new = run_plan(
        context,
        # Without the feeds: a webhook cannot be asked what it has, so it would be sent everything again.
        list(plan.document.dataset_ids),
        snapshot=used.name,
        # On the same base again: without it a delta lacks all that it did not touch.
        base=used.base.name if used.base else None,
        # The same sample or part, or the replay would send the whole.
        scope=scope_again(plan.document.scope),
        target=plan.document.target,
    )
    if plan_only:
        would = _tell(context, new, before, is_loaded=False)
        return Replay(plan.name, new, before.rows, None, would)
    loaded = run_load(context, name=new.name)
    with LedgerNotes(context.workspace.ledger) as notes:
        fates = _tell(context, new, before, marks=(notes, plan.name))
    return Replay(plan.name, new, before.rows, loaded, fates)


def _put_aside(workspace: Workspace, plan: Plan, folder: Path) -> _OpenRejects:
    """The open rejects of a plan as they are now."""
    rejects = _OpenRejects(folder)
    waiting: list[pl.DataFrame] = []
    with _ledger(workspace) as view:
        for frame in reject_frames(plan, view):
            waiting.append(open_rejects(frame).select(_KEPT))
            if sum(one.height for one in waiting) >= _PART_ROWS:
                rejects.add(pl.concat(waiting))
                waiting = []
    if any(one.height for one in waiting):
        rejects.add(pl.concat(waiting))
    return rejects


def _ledger(workspace: Workspace) -> LedgerView | nullcontext[None]:
    if workspace.ledger.exists():
        return LedgerView(workspace.ledger)
    return nullcontext()


def _refuse_older(workspace: Workspace, plan: Plan) -> None:
    """Raises Stale where records of a newer snapshot were loaded since: a new plan of this one would take them back."""
    others = [overtaking.plan for overtaking in read_standing(workspace, plan).overtaken_by]
    newer = newer_load(workspace, plan.document.snapshot.name, others)
    if newer is not None:
        raise Stale(
            f"plan {newer[0]!r}, of the newer snapshot {newer[1]!r}, was loaded since: a new plan of "
            f"{plan.document.snapshot.name!r} would write older values over it",
            hint="make a whole snapshot and a plan of that: migrate extract, then migrate plan",
        )


def _tell(
    context: Context,
    new: Plan,
    before: _OpenRejects,
    *,
    is_loaded: bool = True,
    marks: tuple[LedgerNotes, str] | None = None,
) -> dict[str, int]:
    """How many rejects came to which end in a plan, the most first.

    `is_loaded`: whether the ledger tells what became of planned records; else it is told what would. `marks`: where
    those that there is nothing left to do about are marked as replayed, and the plan that they are rejects of.
    """
    counts: Counter[str] = Counter()
    with _ledger(context.workspace) as view:
        for part in before.parts():
            fates = _each_fate(new, part, view if is_loaded else None)
            counts.update(fates["fate"].to_list())
            if marks is not None:
                notes, plan = marks
                settled = fates.filter(pl.col("fate").is_in(_SETTLED)).select("reject", "fate")
                notes.mark_rejects(
                    plan,
                    [
                        (reject, "replayed", f"{fate} by plan {new.name}")
                        for reject, fate in settled.iter_rows()
                    ],
                )
    return dict(counts.most_common())


def _each_fate(new: Plan, rejects: pl.DataFrame, view: LedgerView | None) -> pl.DataFrame:
    """What became of each of some rejects in a plan; without a ledger, what would become of them.

    **Shape**: the columns of `rejects` and `fate`.
    """
    known = pl.concat(
        [
            _ends(new, dataset, rejects.filter(pl.col("dataset") == dataset), view)
            for dataset in rejects["dataset"].unique().sort()
        ]
    )
    # A record that went into a row is described by the row, whatever else is said of one of its elements.
    first = known.unique(list(IDENTITY), keep="first", maintain_order=True)
    joined = rejects.join(
        first, on=list(IDENTITY), how="left", nulls_equal=True, maintain_order="left"
    )
    return joined.with_columns(pl.col("fate").fill_null(FILTERED))


def _ends(new: Plan, dataset: str, rejects: pl.DataFrame, view: LedgerView | None) -> pl.DataFrame:
    """Where the records of some rejects ended in a plan, planned ones first: what is in no list was filtered."""
    schema = {name: SCHEMA[name] for name in IDENTITY}
    fates = [pl.DataFrame(schema={**schema, "fate": pl.String})]
    if dataset not in new.document.datasets:
        return fates[0]
    who = rejects.lazy().select(_WHO).unique()
    records = new.file(dataset, "records.parquet")
    if records.is_file():
        fates.append(_told(_planned(new.name, dataset, records, who, view), dataset))
    for name, fate in _LISTS.items():
        file = new.file(dataset, f"{name}.parquet")
        if file.is_file():
            listed = parquet.scan(file)
            if name == "unchanged":
                listed = listed.select(pl.col("sources").explode()).unnest("sources")
            mine = listed.select(_WHO).join(who, on=_WHO, how="semi", nulls_equal=True)
            ended = mine.with_columns(pl.lit(fate).alias("fate"))
            fates.append(_told(ended.collect(engine="streaming"), dataset))
    return pl.concat(fates)


def _planned(
    plan: str, dataset: str, file: Path, who: pl.LazyFrame, view: LedgerView | None
) -> pl.DataFrame:
    """Those of some records that a plan sends, with what came of it."""
    sent = (
        parquet.scan(file)
        .select("batch", pl.col("position").alias("place"), pl.col("sources"))
        .explode("sources")
        .unnest("sources")
        .join(who, on=_WHO, how="semi", nulls_equal=True)
        .collect(engine="streaming")
    )
    if view is None:
        return sent.with_columns(pl.lit(SENT).alias("fate"))
    places = sent.select("batch", "place")
    states = {
        (batch, place): state
        for batch, place, state in view.states(plan, dataset, places.iter_rows())
    }
    fates = [_ENDS.get(states.get(place, ""), NOT_SENT) for place in places.iter_rows()]
    return sent.with_columns(pl.Series("fate", fates, dtype=pl.String))


def _told(ended: pl.DataFrame, dataset: str) -> pl.DataFrame:
    return ended.select(pl.lit(dataset).alias("dataset"), *_WHO, pl.col("fate").cast(pl.String))
