"""The full lists behind the diff report, as Parquet, CSV and workbooks: every row, where the report shows samples.

Written a dataset at a time and streamed, so that memory does not grow with the plan. In the CSV no cell is a formula.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from migrate import parquet
from migrate.mapping.rules import RULES
from migrate.names import MASTERID
from migrate.plan.classify import written_text
from migrate.plan.compare import differing
from migrate.report.diff_view import column_types, shown_of
from migrate.report.labels import KINDS, LIST_HEADS
from migrate.report.shown import Shown
from migrate.report.words import SEPARATORS, Words
from migrate.spreadsheet import write_csv, write_xlsx
from migrate.workspace import replacing

if TYPE_CHECKING:
    from migrate.plan.open_plan import Plan

MOST_IN_WORKBOOK = 50_000
# The name becomes that of a file, on whatever system the page is opened.
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_MASKED = ("key", "old_key", "id", "winner_id", "value", "like", "lost")


@dataclass(frozen=True)
class WrittenList:
    """One list: what it holds, how many rows, and its files; no workbook of more rows than people look through."""

    dataset: str
    what: str
    rows: int
    parquet: Path
    csv: Path
    workbook: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of its files."""
        return (self.parquet, self.csv, *([self.workbook] if self.workbook else []))


def write_lists(plan: Plan, folder: Path, shown: Shown, words: Words) -> list[WrittenList]:
    """Writes every list that has rows into `folder` and returns them, the datasets in the plan's order."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = []
    for dataset in plan.document.datasets:
        for what, frame in _lists(plan, dataset, shown):
            if frame.height:
                written.append(write_list(folder, dataset, what, frame, words))
    return written


def write_list(
    folder: Path, dataset: str, what: str, frame: pl.DataFrame, words: Words
) -> WrittenList:
    """Writes one list as Parquet, and as CSV and workbook for a reader of that language."""
    name = f"{_UNSAFE.sub('_', dataset)}-{what}"
    rows_file = folder / f"{name}.parquet"
    csv_file = folder / f"{name}.csv"
    with replacing(rows_file) as temporary:
        parquet.write(frame, temporary, compression="zstd", statistics=False)
    for_people = _in_words(frame, words)
    with replacing(csv_file) as temporary:
        write_csv(for_people, temporary, SEPARATORS[words.language])
    if frame.height <= MOST_IN_WORKBOOK:
        workbook = folder / f"{name}.xlsx"
    else:
        workbook = None
    if workbook:
        with replacing(workbook) as temporary:
            write_xlsx(for_people, temporary, f"{dataset} {what}")
    return WrittenList(dataset, what, frame.height, rows_file, csv_file, workbook)


def _in_words(frame: pl.DataFrame, words: Words) -> pl.DataFrame:
    """The frame with heads, rules and kinds of change in the reader's language; English keeps the tool's own names."""
    if words.language == "en":
        return frame
    says = {rule.name: words.say(rule.says) for rule in RULES.values()}
    changes = {kind: words.say(label) for kind, label in KINDS}
    spoken = {"rule": says, "change": changes}
    named = frame.with_columns(
        pl.col(name).replace(spoken[name]) for name in frame.columns if name in spoken
    )
    return named.rename(
        {name: words.say(LIST_HEADS[name]) for name in frame.columns if name in LIST_HEADS}
    )


def _lists(plan: Plan, dataset: str, shown: Shown) -> Iterator[tuple[str, pl.DataFrame]]:
    shown = shown_of(plan, dataset, shown)
    types = column_types(plan, dataset)
    yield "rows", _masked(_rows(plan, dataset), shown)
    yield "changes", _changes(plan, dataset, shown)
    yield "recipes", _recipes(plan, dataset, shown)
    for name in ("rejects", "collapsed", "foreign", "merges", "keys", "gone", "moved", "missing"):
        file = plan.file(dataset, f"{name}.parquet")
        if file.is_file():
            if name == "foreign":
                keys = plan.document.mappings[dataset].key
            else:
                keys = ()
            frame = parquet.read(file)
            if name == "rejects":
                frame = _values_masked(frame, types, shown)
            # A reject's value is masked by the type of its column already.
            yield name, _masked(frame, shown, keys, but="value" if name == "rejects" else "")
    yield (
        "unmapped",
        pl.DataFrame([entry.model_dump() for entry in plan.document.datasets[dataset].unmapped]),
    )


def _values_masked(
    frame: pl.DataFrame, types: Mapping[str, pl.DataType], shown: Shown
) -> pl.DataFrame:
    """The rows with each `value` shown as values of its `column` are."""
    place = "_place"
    shares = frame.with_row_index(place).partition_by("column", as_dict=True)
    masked = [
        share.with_columns(shown.column(share["value"], types.get(name), name or ""))
        for (name,), share in shares.items()
    ]
    if masked:
        return pl.concat(masked).sort(place).drop(place)
    return frame


def _masked(
    frame: pl.DataFrame, shown: Shown, more: tuple[str, ...] = (), *, but: str = ""
) -> pl.DataFrame:
    names = [name for name in frame.columns if name in {*_MASKED, *more} - {but}]
    return frame.with_columns(
        shown.column(frame.get_column(name)) for name in names if frame.schema[name] == pl.String
    )


def _rows(plan: Plan, dataset: str) -> pl.DataFrame:
    """Every planned row: its key, what happens to it, the columns that change, and the record it came from."""
    frames = []
    for name in ("records", "unchanged"):
        first = pl.col("sources").list.first().struct
        frames.append(
            parquet.scan(plan.file(dataset, f"{name}.parquet")).select(
                "key", "change", "masterid", "changed", first.field("source"), first.field("id")
            )
        )
    return pl.concat(frames).collect()


_CHANGES = dict.fromkeys(["key", "masterid", "column", "old", "new"], pl.String)


def _changes(plan: Plan, dataset: str, shown: Shown) -> pl.DataFrame:
    """Every value that changes: key, masterid, column, old, new."""
    records = parquet.scan(plan.file(dataset, "records.parquet"))
    types = column_types(plan, dataset)
    parts = []
    for name, stored, old in _beside_the_target(
        plan, dataset, plan.document.datasets[dataset].change_counts
    ):
        new = records.filter(pl.col("changed").list.contains(name)).select(
            "key", "masterid", as_text(records, stored).alias("new")
        )
        changed = new.join(old, on="masterid", how="left", maintain_order="left").collect()
        parts.append(_shown(changed, name, types[name], shown))
    return pl.concat([pl.DataFrame(schema=_CHANGES), *parts])


def _recipes(plan: Plan, dataset: str, shown: Shown) -> pl.DataFrame:
    """Every value that the target's own recipes keep different, in the form of `_changes`; none of them is sent."""
    files = [plan.file(dataset, f"{name}.parquet") for name in ("records", "unchanged")]
    rows = pl.concat([parquet.scan(file).drop("batch", "position", strict=False) for file in files])
    types = column_types(plan, dataset)
    parts = []
    for name, stored, old in _beside_the_target(
        plan, dataset, plan.document.datasets[dataset].recipe_counts
    ):
        new = rows.filter(pl.col("masterid").is_not_null()).select(
            "key", "masterid", pl.col(stored).alias("new"), as_text(rows, stored).alias("_text")
        )
        pairs = new.join(old, on="masterid", how="inner", maintain_order="left").collect()
        sent = pairs.with_columns(sent=pl.col("new").is_not_null())
        changed = pairs.filter(differing(sent, types[name])).with_columns(new=pl.col("_text"))
        parts.append(_shown(changed, name, types[name], shown))
    return pl.concat([pl.DataFrame(schema=_CHANGES), *parts])


def _beside_the_target(
    plan: Plan, dataset: str, names: Iterable[str]
) -> Iterator[tuple[str, str, pl.LazyFrame]]:
    """Of each column: its name, its name in the plan's files, and `masterid, old` of the target as it was read."""
    reading = plan.document.target_reading.get(dataset)
    if reading is None or not reading.files:
        return
    target_rows = parquet.scan([plan.folder / file.path for file in reading.files])
    shows = target_rows.collect_schema().names()
    stored = plan.document.mappings[dataset].stored_columns
    for name in names:
        if name in shows:
            old = pl.col(name)
        else:
            old = pl.lit(None, pl.String)
        yield (
            name,
            stored.get(name, name),
            target_rows.select(pl.col(MASTERID).alias("masterid"), old.alias("old")),
        )


def _shown(changed: pl.DataFrame, name: str, dtype: pl.DataType, shown: Shown) -> pl.DataFrame:
    return changed.select(
        shown.column(changed.get_column("key")),
        "masterid",
        pl.lit(name).alias("column"),
        shown.column(changed.get_column("old"), dtype, name),
        shown.column(changed.get_column("new"), dtype, name),
    )


def as_text(frame: pl.LazyFrame, column: str) -> pl.Expr:
    """A mapped column as the text that is compared with the target's."""
    return written_text(pl.col(column), frame.collect_schema()[column])
