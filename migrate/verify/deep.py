"""Every record read back and compared with what the snapshot says it should be; a difference counts when it stays.

One reading shows what differs; the target prepares records some time after they are written, so the differences are
read again after a wait, and only those that two readings in a row show alike count. The others are `pending`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from migrate.verify.compare import IDENTITY, Comparison, Known, compare_dataset
from migrate.verify.expected import Expected
from migrate.verify.readback import Reading, Target, forget_reading, read_back

WAIT_S = 5.0
_ROUNDS = 4
Verdict = Literal["match", "mismatch", "pending", "unverified"]


@dataclass(frozen=True)
class DeepDataset:
    """One dataset's read-back. Units: records, but `cells` (differing values by column).

    `findings` has the columns of `compare.SCHEMA`; `by_name` counts them by finding and name. `unverifiable` names
    columns (or `*`, the dataset) that the verifier could not work out, with the reason.
    """

    dataset: str
    expected: int
    compared: int
    missing: int = 0
    extra: int = 0
    doubled: int = 0
    different: int = 0
    recipe_changed: int = 0
    pending: int = 0
    there_before: int = 0
    unsettled: Mapping[str, int] = field(default_factory=dict)
    cells: Mapping[str, int] = field(default_factory=dict)
    by_name: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    unverifiable: Mapping[str, str] = field(default_factory=dict)
    findings: pl.DataFrame = field(default_factory=pl.DataFrame)
    held: pl.DataFrame = field(default_factory=pl.DataFrame)
    file: Path | None = None

    @property
    def verdict(self) -> Verdict:
        """`mismatch` for what counts, `pending` for what still moves, `unverified` where nothing could be told."""
        if self.missing or self.extra or self.doubled or self.different:
            return "mismatch"
        if self.pending:
            return "pending"
        return "unverified" if "*" in self.unverifiable else "match"


def verify_dataset(
    expected: Expected,
    known: Known,
    target: Target,
    dataset_id: str,
    reading: Reading,
    sleep: Callable[[float], None],
    wait_s: float = WAIT_S,
) -> DeepDataset:
    """The dataset read back until its differences rest.

    The pages of the last reading stay in `reading.folder`, so that a verification that is stopped in a later dataset
    need not read this one again; whoever asks for the whole verification removes them.
    """
    held = read_back(target, dataset_id, reading)
    comparison = compare_dataset(expected, held, known)
    settled, pending = comparison.findings, 0
    for _ in range(_ROUNDS):
        if not comparison.findings.height:
            settled, pending = comparison.findings, 0
            break
        before = comparison.findings
        forget_reading(reading.folder)
        sleep(wait_s)
        held = read_back(target, dataset_id, reading)
        comparison = compare_dataset(expected, held, known)
        settled, pending = _agreed(before, comparison.findings)
        if not pending:
            break
    return count_findings(expected, comparison, settled, pending, held)


def _agreed(first: pl.DataFrame, second: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The findings that both readings have, and how many of the second are new or changed."""
    both = second.join(first, on=list(IDENTITY), how="semi", nulls_equal=True)
    return both.sort("finding", "key", "column", "masterid"), second.height - both.height


def count_findings(
    expected: Expected, comparison: Comparison, findings: pl.DataFrame, pending: int, held: pl.DataFrame
) -> DeepDataset:
    """The numbers of one dataset. A record with several differing columns counts once."""
    records = {
        name: findings.filter(pl.col("finding") == name).select("key", "masterid").n_unique()
        for name in ("missing", "extra", "doubled", "different", "recipe_changed")
        if findings.filter(pl.col("finding") == name).height
    }
    different = findings.filter(pl.col("finding") == "different")
    by_name: dict[str, Counter[str]] = {}
    for finding, name in findings.select("finding", "name").iter_rows():
        by_name.setdefault(finding, Counter())[name] += 1
    return DeepDataset(
        dataset=expected.rules.dataset,
        expected=expected.rows.height,
        compared=comparison.compared,
        pending=pending,
        there_before=comparison.there_before,
        unsettled=comparison.unsettled,
        cells=dict(Counter(different.get_column("column").to_list()).most_common()),
        by_name={finding: dict(names) for finding, names in sorted(by_name.items())},
        unverifiable=expected.unverifiable,
        findings=findings,
        held=held,
        missing=records.get("missing", 0),
        extra=records.get("extra", 0),
        doubled=records.get("doubled", 0),
        different=records.get("different", 0),
        recipe_changed=records.get("recipe_changed", 0),
    )
