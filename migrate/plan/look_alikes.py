"""New rows whose key the target, or another planned row, has in another spelling.

Octolis compares keys as given, so such rows are planned as they are. A target whose database takes letter
case, spaces or Unicode form for nothing makes them one: they fuse, and the later overwrites. The plan
cannot know which of the two it has before it, so it says what would happen, in numbers.

**Source**: Octolis help, "Add preparation to your dataset": keys are compared as given.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from migrate.plan.classify import Labels
from migrate.plan.keys import folded, value_parts
from migrate.plan.tables import PlanTable
from migrate.sentence import Sentence

_BETWEEN = "\x1f"


def look_alike_warnings(
    rows: PlanTable, labels: Labels, held: PlanTable | None, key: Sequence[str], own_rows: int
) -> tuple[str, ...]:
    """What to know of look-alike keys; `own_rows`: planned rows whose key looks like another planned row's."""
    found = []
    if own_rows:
        found.append(
            Sentence(
                "{count} planned rows have keys that differ from each other in letter case, spaces or Unicode form "
                "only: where the target takes these for one, they fuse, and the later overwrites",
                count=own_rows,
            )
        )
    there = 0 if held is None else _new_beside(rows, labels, held, key)
    if there:
        found.append(
            Sentence(
                "{count} rows are planned as new, though the target has their key in another spelling (letter case, "
                "spaces, Unicode form): where it takes these for one, they fuse with its records, and overwrite them",
                count=there,
            )
        )
    return tuple(found)


def _new_beside(rows: PlanTable, labels: Labels, held: PlanTable, key: Sequence[str]) -> int:
    """How many rows without a row in the target have a key that one without a planned row looks like."""
    matched = labels.matches.is_not_null()
    taken = labels.matches.drop_nulls()
    is_ours = pl.select(pl.repeat(value=False, n=held.height)).to_series()
    is_ours = is_ours.scatter(taken, True) if len(taken) else is_ours
    new, others = _forms(rows, key, ~matched), _forms(held, key, ~is_ours)
    if new is None or others is None or not len(new) or not len(others):
        return 0
    return int(new.is_in(others.unique().implode()).sum())


def _forms(table: PlanTable, key: Sequence[str], wanted: pl.Series) -> pl.Series | None:
    """Hashes of some rows' keys without what may count as nothing; None where the table shows no key."""
    columns = [table.column(name) for name in key]
    if any(column is None for column in columns):
        return None
    parts = [
        column.cast(pl.String).filter(wanted).alias(f"k{place}")
        for place, column in enumerate(columns)
        if column is not None
    ]
    texts = pl.DataFrame(parts).select(pl.concat_str(pl.all(), separator=_BETWEEN)).to_series()
    filled = texts.drop_nulls()
    hashes = [folded(part).hash() for part in value_parts(filled)]
    return pl.concat([pl.Series(dtype=pl.UInt64), *hashes])
