"""One dataset of a plan: its rows collapsed, compared with the target, cut into batches and written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import polars as pl

from migrate.errors import ConfigError
from migrate.mapping.model import Mapping
from migrate.plan.classify import Classified, ComparedColumns, label_rows, label_unread
from migrate.plan.collapsed_rows import CollapsedRows, finish_rows
from migrate.plan.cost import POINTS_A_BATCH
from migrate.plan.delta import (
    MISSING_SCHEMA,
    Base,
    LeftBehind,
    list_missing,
    rows_left_behind,
    rows_missing,
)
from migrate.plan.document import (
    DatasetPlan,
    FileCounts,
    PlannedFile,
    TargetReading,
    Unmapped,
)
from migrate.plan.files import write_frames, write_parquet
from migrate.plan.keys import KeyClusters, find_clusters, shared_placeholders
from migrate.plan.merges import Forecasted, Planned, forecast_merges
from migrate.plan.reading import Held
from migrate.plan.rows import REJECTS_SCHEMA, MappedRows
from migrate.plan.sending import Counts, Rows, write_rows
from migrate.plan.set_aside import count_set_aside
from migrate.plan.shipments import Shipments
from migrate.plan.tally import count_values
from migrate.sentence import Sentence


@dataclass(frozen=True)
class Final:
    """A dataset's rows before they are compared: mapped, then gathered by key. `base`: of a delta, what was before."""

    mapping: Mapping
    mapped: MappedRows
    gathered: CollapsedRows
    spill: Path
    base: Base | None = None

    @property
    def rejected(self) -> int:
        """Rows that broke a rule."""
        return self.mapped.rejected.height + self.gathered.large.height

    @property
    def outside(self) -> int:
        """Rows that the plan is not of: of a delta's base, and touched by no change, or outside of its scope."""
        return self.mapped.tally.outside + self.gathered.outside

    def clear(self) -> None:
        """Removes what is on disk beside the plan's own files."""
        for store in (self.mapped.rejected, self.gathered.losers, self.gathered.rows):
            store.clear()


def finish_dataset(
    mapping: Mapping, mapped: MappedRows, spill: Path, batch_bytes: int, base: Base | None = None
) -> Final:
    """The mapped rows made one by key; one that no request can carry is rejected, `too_large`."""
    if base is not None:
        before = base.keys
    else:
        before = pl.Series(dtype=pl.UInt64)
    return Final(
        mapping, mapped, finish_rows(mapping, mapped, spill, batch_bytes, before), spill, base
    )


@dataclass(frozen=True)
class Compared:
    """What each row will do in the target, which records would become one, and of a delta what it leaves behind.

    `missing`: of a delta, which of the rows that it leaves alone the target should hold and does not.
    `others`: records of the target that other projects have loaded.
    """

    classified: Classified
    merges: Forecasted
    clusters: KeyClusters
    left: LeftBehind | None = None
    missing: pl.Series | None = None
    others: int = 0

    @property
    def missing_count(self) -> int | None:
        """How many rows are missing; None where nobody looked."""
        if self.missing is None:
            return None
        return int(self.missing.sum())


def compare_rows(
    final: Final,
    held: Held | None,
    types: Dict[str, pl.DataType],
    sent: Shipments,
    theirs: Collection[str] = (),
) -> Compared:
    """The rows against the target; `unknown` where it was not read. `sent` proves what its recipes do.

    `theirs`: masterids of what other projects have loaded.
    """
    mapping, rows = final.mapping, final.gathered.rows
    recipes = [name for name, column in mapping.columns.items() if column.recipe]
    # `recipe: false` counts too: where the mapping has said it, nothing is guessed.
    settled = [
        name for name, column in mapping.columns.items() if "recipe" in column.model_fields_set
    ]
    columns = ComparedColumns(types, mapping.key, recipes, settled, lambda: sent(mapping.dataset))
    if held is None:
        classified = label_unread(columns)
    else:
        classified = label_rows(rows, held, columns, final.spill, rows.touched)
    repeated = classified.repeated_keys > 0
    planned = Planned(rows, classified.labels, rows.touched)
    merges = forecast_merges(planned, held, columns, mapping.alternative_keys, repeated=repeated)
    left = None
    if final.base is not None:
        left = rows_left_behind(
            final.base,
            final.mapped,
            held,
            {name: types[name] for name in mapping.key},
            final.spill,
        )
    clusters = find_clusters(final.gathered.losers, ", ".join(mapping.key))
    # Of a part nobody has promised that the rest is there.
    if final.base is None:
        missing = None
    else:
        missing = rows_missing(rows, classified.missing, left)
    if left is not None:
        # What is left of gone records is listed as that, and is nobody else's.
        is_left = pl.col("masterid").is_in(left.gone.get_column("masterid").implode())
        foreign = classified.foreign.filter(~is_left)
        classified = replace(classified, foreign=foreign)
    is_theirs = pl.col("masterid").is_in(list(theirs))
    foreign = classified.foreign.filter(~is_theirs)
    others = classified.foreign.height - foreign.height
    return Compared(replace(classified, foreign=foreign), merges, clusters, left, missing, others)


@dataclass(frozen=True)
class WrittenDataset:
    """A dataset's files, the batches its rows were cut into, and what was counted on the way."""

    files: tuple[PlannedFile, ...]
    batches: int
    counts: Counts


def write_dataset(
    final: Final, compared: Compared, folder: Path, plan_folder: Path, batch_bytes: int
) -> WrittenDataset:
    """Writes the dataset's Parquet files: what is sent, what needs no sending, what was rejected and what collapsed."""
    classified, mapped, gathered = compared.classified, final.mapped, final.gathered
    given = Rows(final.mapping, gathered.rows, mapped.narrow, classified.labels)
    rows = write_rows(given, folder, plan_folder, final.spill, batch_bytes)
    rejected = chain(mapped.rejected.frames(), (gathered.large,))
    losers = gathered.losers
    lists = [
        write_frames(rejected, REJECTS_SCHEMA, folder / "rejects.parquet", plan_folder),
        write_frames(losers.frames(), losers.schema, folder / "collapsed.parquet", plan_folder),
    ]
    if compared.missing is not None:
        missing = list_missing(gathered.rows, compared.missing)
        lists.append(write_frames(missing, MISSING_SCHEMA, folder / "missing.parquet", plan_folder))
    frames = {
        "samples": classified.samples,
        "foreign": classified.foreign,
        "merges": compared.merges.clusters,
        "keys": pl.concat([compared.clusters.largest, compared.merges.odd]),
        "losses": mapped.examples,
    }
    if compared.left is not None:
        frames |= {"gone": compared.left.gone, "moved": compared.left.moved}
    written = [
        write_parquet(frame, folder / f"{name}.parquet", plan_folder)
        for name, frame in frames.items()
    ]
    return WrittenDataset((*rows.files, *lists, *written), rows.batches, rows.counts)


@dataclass(frozen=True)
class Notes:
    """What a reader of the plan should know beside the counts."""

    unmapped: tuple[Unmapped, ...] = ()
    warnings: tuple[str, ...] = ()


def count_dataset(
    final: Final, compared: Compared, written: WrittenDataset, minutes: float, notes: Notes
) -> DatasetPlan:
    """The dataset's counts. Raises AssertionError, a bug, where they do not add up."""
    classified, merges = compared.classified, compared.merges.counts
    tally, collapsed = final.mapped.tally, final.gathered.losers.height
    changes = written.counts.changes
    planned = changes.total()
    discarded, waiting = count_set_aside(final.mapped.set_aside)
    aside = discarded + waiting
    kept = collapsed + planned + final.outside
    if tally.read != tally.filtered + final.rejected + aside + kept:
        raise AssertionError(
            f"{final.mapping.dataset}: filtered, rejected, collapsed and planned are not what was read"
        )
    too_large = count_values(final.gathered.large.get_column("rule"))
    return DatasetPlan(
        read=tally.read,
        filtered=tally.filtered,
        rejected=final.rejected,
        discarded=discarded,
        waiting=waiting,
        collapsed=collapsed,
        placeholder=compared.clusters.placeholder
        + shared_placeholders(compared.merges.odd, ", ".join(final.mapping.key)),
        planned=planned,
        create=changes["create"],
        update=changes["update"],
        unchanged=changes["unchanged"],
        unknown=changes["unknown"],
        merge_forecast=merges.masterids_lost + merges.rows_fused,
        batches=written.batches,
        points=written.batches * POINTS_A_BATCH,
        minutes=minutes,
        rejected_by_rule=dict(sorted((tally.rejected_by_rule | too_large).items())),
        by_source=dict(sorted(written.counts.sources.items())),
        change_counts=classified.change_counts,
        recipe_counts=classified.recipe_counts,
        losses=tally.losses,
        orphans=tally.orphans,
        unmapped=notes.unmapped,
        foreign=classified.foreign.height,
        other_projects=compared.others,
        empty_each=tally.empty_each,
        warnings=notes.warnings,
        merges=merges,
        recipes=_recipes(final.mapping, classified),
        outside=0 if final.base is not None else final.outside,
        outside_delta=0 if final.base is None else final.outside,
        gone=compared.left.gone.height if compared.left else 0,
        moved=compared.left.moved.height if compared.left else 0,
        outside_missing=compared.missing_count,
        files=_count_files(final, written) if len(final.mapping.parts) > 1 else (),
    )


def _count_files(final: Final, written: WrittenDataset) -> tuple[FileCounts, ...]:
    """What became of the records of each of the dataset's files. Raises AssertionError, a bug, as `count_dataset`."""
    mapped, gathered = final.mapped, final.gathered
    losers = gathered.losers.column("resource")
    if losers is None:
        collapsed = Counter[str]()
    else:
        collapsed = Counter(count_values(losers))
    too_large = Counter(count_values(gathered.large.get_column("resource")))
    files = []
    for part, tally in zip(final.mapping.parts, mapped.tallies, strict=True):
        aside = mapped.set_aside.filter(pl.col("resource") == part.resource)
        discarded, waiting = count_set_aside(aside)
        counts = FileCounts(
            file=Path(part.file).name,
            resource=part.resource,
            read=tally.read,
            filtered=tally.filtered,
            rejected=sum(tally.rejected_by_rule.values()) + too_large[part.resource],
            discarded=discarded,
            waiting=waiting,
            collapsed=collapsed[part.resource],
            planned=written.counts.resources[part.resource],
        )
        left = "outside" if final.base is None else "outside_delta"
        files.append(counts.model_copy(update={left: counts.read - counts.accounted}))
    outside = [one.outside + one.outside_delta for one in files]
    if min(outside) < 0 or sum(outside) != final.outside:
        raise AssertionError(
            f"{final.mapping.dataset}: a file's counts are not what was read of it"
        )
    return tuple(files)


def _recipes(mapping: Mapping, classified: Classified) -> dict[str, str]:
    declared = {name: "declared" for name, column in mapping.columns.items() if column.recipe}
    return declared | dict(classified.recognised)


FEED_WARNING = Sentence(
    "goes to a webhook: not verifiable, since nothing can be read back; "
    "every plan of it sends all of its rows"
)


def require_key_columns(reading: TargetReading, mapping: Mapping, dataset_id: str) -> None:
    """Raises ConfigError where the target shows its columns, and one of the mapping's keys is not among them.

    Records that the target cannot tell apart by the key would each become a new one, or all of them one; and there is
    no way to take them out again. A dataset without rows may show no columns of its own: then the canary tells.
    """
    shown = [name for name in reading.columns if not name.startswith("__")]
    lacking = [name for name in mapping.key if name not in shown]
    if not shown or not lacking:
        return
    by_fold = {name.casefold(): name for name in shown}
    twins = [f"{by_fold[n.casefold()]!r}" for n in lacking if n.casefold() in by_fold]
    if twins:
        there = f"; it shows {', '.join(twins)}, and case matters"
    else:
        there = ""
    raise ConfigError(
        f"dataset {dataset_id} ({mapping.dataset}) shows no column {', '.join(lacking)}, which "
        f"{mapping.file} has as a key{there}",
        hint="name the dataset's own deduplication key in the mapping, or have the column made in Octolis; nothing "
        "was sent",
    )


def target_warnings(
    reading: TargetReading, classified: Classified, mapping: Mapping
) -> tuple[str, ...]:
    """What is odd about the target as it was read: columns it does not show, rows that moved, keys that come twice.

    An empty dataset may show no columns of its own; then nothing is said about them.
    """
    shown = any(not name.startswith("__") for name in reading.columns)
    if shown:
        warnings = _column_warnings(reading.columns, mapping.columns)
    else:
        warnings = []
    if reading.moving:
        warnings.append(
            Sentence(
                "the target was written to each time it was read: the changes are those of one moment"
            )
        )
    if reading.repeated_keys:
        warnings.append(
            Sentence(
                "{count} row of the target has the key of another row there",
                "{count} rows of the target have the key of another row there",
                count=reading.repeated_keys,
            )
        )
    warnings += [
        Sentence(
            "key column {column} is a recipe's: rows that the target spells otherwise look new",
            column=name,
        )
        for name in mapping.key
        if mapping.columns[name].recipe
    ]
    warnings += [
        Sentence(
            "{column} is compared as report-only: the target {recipe} every value that was loaded from here; "
            "`recipe: false` sends it all the same",
            column=name,
            recipe=Sentence(recipe),
        )
        for name, recipe in classified.recognised.items()
    ]
    warnings += [
        Sentence(
            "{column} is sent, though the target looks as if it {recipe} every value: no load from here has sent "
            "what is planned now, so it may as well hold what the mapping, or another tool, once made of it; where "
            "its own recipe does it, declare `recipe: true`",
            column=name,
            recipe=Sentence(recipe),
        )
        for name, recipe in classified.unproven.items()
    ]
    warnings += [
        Sentence(
            "{column} differs in letter case and spaces only: if the target's own recipe does that, declare "
            "`recipe: true`",
            column=name,
        )
        for name in classified.recipe_suspects
    ]
    return tuple(warnings)


def _column_warnings(header: Sequence[str], columns: Iterable[str]) -> list[str]:
    by_fold = {name.casefold(): name for name in header}
    missing = [name for name in columns if name not in header]
    twins = {name: by_fold[name.casefold()] for name in missing if name.casefold() in by_fold}
    plain = [name for name in missing if name not in twins]
    warnings: list[str] = [
        Sentence(
            "the target has a column {twin}, the mapping {column}: case matters",
            twin=repr(twin),
            column=repr(name),
        )
        for name, twin in twins.items()
    ]
    if plain:
        warnings.append(
            Sentence("missing_columns: the target shows no column {columns}", columns=tuple(plain))
        )
    return warnings
