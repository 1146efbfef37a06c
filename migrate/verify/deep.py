"""Every record read back and compared with what the snapshot says it should be; a difference counts when it stays.

One reading shows what differs; the target prepares records some time after they are written, so the differences are
read again after a wait, and only those that two readings in a row show alike count. The others are `pending`.

Both sides are cut into the same buckets by key and compared one after another, so memory does not grow with the
dataset: what waits its turn lies in files beside the pages, and goes when the dataset is done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from migrate import parquet
from migrate.verify.compare import (
    IDENTITY,
    OVERTAKEN,
    SCHEMA,
    Comparison,
    absorbed_masterids,
    compare_bucket,
    held_keys,
    names_of_rekeyed,
    rename,
)
from migrate.verify.expected import Expected
from migrate.verify.known import Known
from migrate.verify.preparation import hold_back
from migrate.verify.readback import (
    ALL_MASTERIDS,
    MASTERID,
    Pages,
    Reading,
    Target,
    forget_reading,
    read_pages,
)
from migrate.verify.spill import KEY, Spill
from migrate.workspace import replacing

WAIT_S = 5.0
SAMPLES = 5
_ROUNDS = 4
Verdict = Literal["match", "mismatch", "pending", "unverified"]


@dataclass(frozen=True)
class DeepDataset:
    """One dataset's read-back. Units: records, but `cells` (differing values by column).

    `file` has all findings, with the columns of `compare.SCHEMA`, and `samples` a few of each kind; `by_name` counts
    them by finding and name. `outside`: keys that nothing may have changed since the last plan, not compared.
    `unverifiable` names columns (or `*`, the dataset) that the verifier could not work out, with the reason;
    `unverified` counts the planned rows of such a dataset. `moving`: records beyond the expected that come and go.
    `made_since`: records that plans which were loaded later have made; what they wrote again is in `unsettled`.

    **Guarantees**: compared = verified + different + recipe_changed + those of them that are pending; expected =
    verified + different + recipe_changed + missing + merged_away + pending + unsettled.
    """

    dataset: str
    expected: int
    compared: int
    missing: int = 0
    extra: int = 0
    doubled: int = 0
    different: int = 0
    recipe_changed: int = 0
    merged_away: int = 0
    pending: int = 0
    moving: int = 0
    verified: int = 0
    unverified: int = 0
    there_before: int = 0
    made_since: int = 0
    outside: int = 0
    unsettled: Mapping[str, int] = field(default_factory=dict)
    cells: Mapping[str, int] = field(default_factory=dict)
    by_name: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    unverifiable: Mapping[str, str] = field(default_factory=dict)
    samples: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SCHEMA))
    file: Path | None = None

    @property
    def verdict(self) -> Verdict:
        """`mismatch` for what counts, `pending` for what still moves, `unverified` where a column could not be told."""
        if self.missing or self.extra or self.doubled or self.different:
            return "mismatch"
        if self.pending or self.moving:
            return "pending"
        if self.unverifiable or (self.unsettled.get(OVERTAKEN) and not self.verified):
            return "unverified"
        return "match"


def verify_dataset(
    expected: Expected,
    known: Known,
    target: Target,
    dataset_id: str,
    reading: Reading,
    sleep: Callable[[float], None],
    file: Path,
    wait_s: float = WAIT_S,
) -> DeepDataset:
    """The dataset read back until its differences rest; all findings go to `file`.

    The pages of the last reading stay in `reading.folder`, so that a verification that is stopped in a later dataset
    need not read this one again; whoever asks for the whole verification removes them.
    """
    folder = reading.folder.with_name(f"{reading.folder.name}.buckets")
    forget_reading(folder)
    try:
        tally = _compare_all(expected, known, read_pages(target, dataset_id, reading), folder / "0")
        settled = tally.files
        moving = list[Path]()
        for number in range(1, _ROUNDS + 1):
            # Nothing differs: a second reading of the target could prove no more.
            if not tally.findings:
                settled = tally.files
                moving = []
                break
            before = tally
            # Pages that stay would be read again instead of the target, and agree with themselves.
            forget_reading(reading.folder)
            sleep(wait_s)
            tally = _compare_all(
                expected, known, read_pages(target, dataset_id, reading), folder / str(number)
            )
            settled, moving = _agreed(before, tally)
            if not moving:
                break
        settled = _renamed(settled, expected, known, tally.pages)
        # Once everything counts as prepared nothing is waited for: a difference is then what it is.
        if known.rest.coming is not None:
            settled, waiting = _held_back(settled, known)
            moving += waiting
        return _count(expected, tally, settled, moving, file)
    finally:
        forget_reading(folder)


@dataclass
class _Tally:
    """What one comparison of all buckets found; its findings lie in `files`, one for each bucket."""

    pages: Pages
    files: list[Path] = field(default_factory=list)
    findings: int = 0
    expected: int = 0
    outside: int = 0
    compared: int = 0
    there_before: int = 0
    made_since: int = 0
    unsettled: Counter[str] = field(default_factory=Counter)

    def add(self, comparison: Comparison, file: Path) -> None:
        """Counts one bucket and puts its findings away."""
        parquet.write(comparison.findings, file, statistics=False)
        self.files.append(file)
        self.findings += comparison.findings.height
        self.compared += comparison.compared
        self.there_before += comparison.there_before
        self.made_since += comparison.made_since
        self.unsettled.update(comparison.unsettled)


def _compare_all(expected: Expected, known: Known, pages: Pages, folder: Path) -> _Tally:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target_keys = Spill(folder / "held", expected.shelf.buckets)
    absorbed: set[str] = set()
    for page in pages.frames():
        absorbed |= absorbed_masterids(page)
        target_keys.add(page.with_columns(held_keys(expected.rules, page)))
    tally = _Tally(pages)
    schema = dict(pl.Schema({KEY: pl.String, MASTERID: pl.String, ALL_MASTERIDS: pl.String}))
    for number in range(expected.shelf.buckets):
        bucket = expected.bucket(number)
        of_bucket = known.bucket(number)
        compared = compare_bucket(
            expected, bucket, target_keys.bucket(number, schema), of_bucket, absorbed
        )
        tally.add(compared, folder / f"findings-{number:05d}.parquet")
        judged = bucket.judged(of_bucket.states.get_column(KEY)).height
        tally.expected += judged
        tally.outside += bucket.rows.height - judged
    target_keys.close()
    return tally


def _agreed(first: _Tally, second: _Tally) -> tuple[list[Path], list[Path]]:
    """Files of the findings that both readings have, and of those that are new or changed in the second."""
    settled = []
    moving = list[Path]()
    for earlier, later in zip(first.files, second.files, strict=True):
        before = parquet.read(earlier)
        findings = parquet.read(later)
        both = findings.join(before, on=list(IDENTITY), how="semi", nulls_equal=True)
        new = findings.join(before, on=list(IDENTITY), how="anti", nulls_equal=True)
        settled.append(_put_beside(later, "both", both))
        if new.height:
            moving.append(_put_beside(later, "new", new))
    return settled, moving


def _renamed(files: list[Path], expected: Expected, known: Known, pages: Pages) -> list[Path]:
    """Files of the findings in which what is there under another key than it should is not called lost."""
    is_lost = (pl.col("finding") == "missing") & (pl.col("name") == "lost")
    rows = parquet.scan(files).filter(is_lost).select("masterid", "key").collect()
    lost = dict(rows.drop_nulls("masterid").iter_rows())
    if not lost:
        return files
    holders: dict[str, str | None] = {}
    for page in pages.frames():
        there = page.filter(pl.col(MASTERID).is_in(list(lost)))
        holders |= zip(there.get_column(MASTERID), held_keys(expected.rules, there), strict=True)
    planned = known.planned({key for key in holders.values() if key is not None})
    # Not lost: it is there, under a key by which nobody has looked for it.
    names = names_of_rekeyed(lost, holders, planned)
    return [
        _put_beside(file, "named", rename(parquet.read(file), names)) if names else file
        for file in files
    ]


def _held_back(files: list[Path], known: Known) -> tuple[list[Path], list[Path]]:
    """The files without findings that the target's preparation may still take away, and files of those."""
    kept = []
    waiting = list[Path]()
    for file in files:
        findings = parquet.read(file)
        waits = hold_back(findings, known.rest.begun, coming=bool(known.rest.coming))
        kept.append(_put_beside(file, "kept", findings.filter(~waits)))
        if waits.any():
            waiting.append(_put_beside(file, "waiting", findings.filter(waits)))
    return kept, waiting


def _put_beside(file: Path, kind: str, findings: pl.DataFrame) -> Path:
    beside = file.with_name(f"{kind}-{file.name}")
    parquet.write(findings, beside, statistics=False)
    return beside


def _count(
    expected: Expected, tally: _Tally, settled: list[Path], moving: list[Path], file: Path
) -> DeepDataset:
    """The numbers of one dataset, with its findings in order in `file`. A record with several columns counts once."""
    order = ["finding", "key", "column", "masterid"]
    with replacing(file) as temporary:
        parquet.sink(parquet.scan(settled).sort(order, maintain_order=True), temporary)
    findings = parquet.scan(file)
    records = _pairs(findings.unique(["finding", "key", "masterid"]).group_by("finding").len())
    recipe = _keys_of(findings, "recipe_changed")
    differing = _keys_of(findings, "different")
    # pl.concat of no frames is an error, and a scan of no files as well
    if moving:
        open_ = pl.concat(map(parquet.read, moving))
    else:
        open_ = findings.clear().collect()
    still = open_.filter(~pl.col("finding").is_in(["extra", "doubled"]))
    at_rest = differing | recipe | _keys_of(findings, "missing") | _keys_of(findings, "merged_away")
    differs_still = _keys_of(open_, "different") | _keys_of(open_, "recipe_changed")
    cells = _pairs(findings.filter(pl.col("finding") == "different").group_by("column").len())
    by_name: dict[str, dict[str, int]] = {}
    for finding, name, count in (
        findings.group_by("finding", "name").len().sort("finding", "name").collect().iter_rows()
    ):
        by_name.setdefault(finding, {})[name] = count
    samples = findings.filter(
        pl.int_range(pl.len()).over("finding", "name", "column") < SAMPLES
    ).collect()
    return DeepDataset(
        dataset=expected.rules.dataset,
        expected=tally.expected,
        compared=tally.compared,
        # compared = verified + those with a difference, for good or still moving
        verified=tally.compared - len(differing | recipe | differs_still),
        pending=len(set(still.get_column("key")) - at_rest),
        moving=open_.height - still.height,
        there_before=tally.there_before,
        made_since=tally.made_since,
        outside=tally.outside,
        unsettled=dict(tally.unsettled),
        cells=dict(sorted(cells.items(), key=lambda cell: (-cell[1], cell[0]))),
        by_name=by_name,
        unverifiable=dict(expected.unverifiable),
        samples=samples.sort(order),
        file=file,
        missing=records.get("missing", 0),
        extra=records.get("extra", 0),
        doubled=records.get("doubled", 0),
        different=records.get("different", 0),
        recipe_changed=len(recipe - differing),
        merged_away=records.get("merged_away", 0),
    )


def _keys_of(findings: pl.LazyFrame | pl.DataFrame, finding: str) -> set[str]:
    """The keys of the records with a finding."""
    keys = findings.lazy().filter(pl.col("finding") == finding).select(pl.col("key").unique())
    return set(keys.collect().get_column("key"))


def _pairs(counted: pl.LazyFrame) -> dict[str, int]:
    return dict(counted.collect().iter_rows())
