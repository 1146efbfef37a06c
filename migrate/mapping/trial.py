"""A mapping tried out on a snapshot's records: what its columns make of them, and what goes wrong, counted.

No look-up is made: it would need the other datasets. Columns that come from one are left out of what is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import polars as pl

from migrate.mapping.columns import Computed
from migrate.mapping.fields import lookup_columns, lookup_of, sql_names
from migrate.mapping.model import Mapping
from migrate.mapping.transform import Settings, lookup_tables, work_out

TRIED_ROWS = 100_000
_EXAMPLES = 3


@dataclass
class Trial:
    """What became of the rows looked at: of each column how many have a value, which rules break and what gets lost.

    `examples`: by column and rule or loss, the first few different texts as sent, not masked.
    """

    rows: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)
    losses: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)


def try_out(mapping: Mapping, frames: Iterable[pl.DataFrame], settings: Settings) -> Trial:
    """The mapping on the first records that `frames` gives, as a snapshot has them."""
    tables = lookup_tables(mapping, _no_rows(mapping), settings)
    columns = [name for name in mapping.columns if not _is_looked_up(mapping, name)]
    trial = Trial()
    for frame in frames:
        worked = work_out(mapping, frame, tables, settings)
        trial.rows += worked.rows.height
        for name in columns:
            _count(trial, name, worked.computed[name])
        for part in worked.early:
            for rule, column in part.select("rule", "column").iter_rows():
                trial.rules[str(column), str(rule)] += 1
        if trial.rows >= TRIED_ROWS:
            break
    return trial


def _count(trial: Trial, name: str, computed: Computed) -> None:
    trial.filled[name] += len(computed.value) - computed.value.null_count()
    trial.said[name] += len(computed.origin) - computed.origin.null_count()
    if computed.rule.null_count() < len(computed.rule):
        for rule, count in computed.rule.drop_nulls().value_counts().iter_rows():
            trial.rules[name, rule] += count
            _keep_examples(
                trial,
                (name, rule),
                computed.origin.filter((computed.rule == rule).fill_null(value=False)),
            )
    for loss, lost in computed.losses.items():
        trial.losses[name, loss] += int(lost.sum())
        _keep_examples(trial, (name, loss), computed.origin.filter(lost.fill_null(value=False)))


def _keep_examples(trial: Trial, key: tuple[str, str], texts: pl.Series) -> None:
    known = trial.examples.setdefault(key, [])
    for text in texts.drop_nulls().head(50).unique(maintain_order=True):
        if len(known) < _EXAMPLES and text not in known:
            known.append(text)


def _no_rows(mapping: Mapping) -> dict[str, pl.DataFrame]:
    """Look-ups that find nothing."""
    used = lookup_columns(mapping)
    return {
        name: pl.DataFrame(schema=dict.fromkeys(("source", "id", *used[name]), pl.String))
        for name in mapping.lookups
    }


def _is_looked_up(mapping: Mapping, column: str) -> bool:
    rule = mapping.columns[column]
    names: Collection[str] = (*rule.fields, *sql_names(rule.sql))
    return any(lookup_of(mapping, name) for name in names)
