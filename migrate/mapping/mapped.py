"""What became of the rows of a mapping, and which rule each row breaks first; the same of several runs put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import polars as pl

from migrate.mapping.columns import FIELD, Computed, first_value
from migrate.mapping.model import Lookup, Mapping
from migrate.mapping.series import rule_where
from migrate.mapping.source_rows import PLACE
from migrate.mapping.types import render

EXAMPLES = 3
MAX_VALUE = 200
_LOOKED_AT = 100
FILTERED = pl.Schema({"_source": pl.String, "_id": pl.String, "_position": pl.Int64})

V = TypeVar("V")
Losses = dict[str, dict[str, int]]


class LossExample(NamedTuple):
    """A value before and after, and the record that it is of, so that it goes when the record's person is erased."""

    before: str | None
    after: str | None
    source: str | None
    id: str | None

    @property
    def pair(self) -> tuple[str | None, str | None]:
        """What makes it another example than the others."""
        return self.before, self.after


LossExamples = dict[str, dict[str, tuple[LossExample, ...]]]


@dataclass(frozen=True)
class Mapped:
    """What became of the rows.

    **Shape.** `accepted`: `_source`, `_id`, `_position`, `_element` (place from 1 with `each`, else null), `_recency`
    (naive UTC, null where no time is known), `_key`, `_touched` (whether a delta snapshot can have changed the row;
    true where there is none), the mapped columns, and a Boolean `_null:COLUMN` for columns that may send null.
    `rejected`: `_source`, `_id`, `_position`, `_element`, `rule`, `column`, `value` (at most 200 characters).
    `losses`: by column and loss, how many accepted rows; `loss_examples`: of each the first few different ones,
    not masked, at most 200 characters, None for no value.
    `looked_up_anew`: positions of the records, whatever became of them, whose look-ups a delta may have changed.
    `set_aside`: rows that were discarded or wait for their parent, as `SET_ASIDE`.
    `filtered_rows`: the `_source`, `_id` and `_position` of the rows that were filtered.
    **Guarantees.** read == filtered + rejected + set aside + accepted. Order is the input's.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    read: int
    filtered: int
    empty_each: int
    orphans: dict[str, int]
    losses: Losses
    loss_examples: LossExamples
    set_aside: pl.DataFrame
    looked_up_anew: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.Int64))
    filtered_rows: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FILTERED))


def join_mapped(parts: Sequence[Mapped]) -> Mapped:
    """Several runs of rows as one, in their order; at least one."""
    if len(parts) == 1:
        return parts[0]
    return Mapped(
        accepted=pl.concat([part.accepted for part in parts]),
        rejected=pl.concat([part.rejected for part in parts]),
        read=sum(part.read for part in parts),
        filtered=sum(part.filtered for part in parts),
        empty_each=sum(part.empty_each for part in parts),
        orphans=_summed(part.orphans for part in parts),
        losses=_by_column((part.losses for part in parts), _summed),
        loss_examples=join_examples(part.loss_examples for part in parts),
        looked_up_anew=pl.concat([part.looked_up_anew for part in parts]),
        set_aside=pl.concat([part.set_aside for part in parts]),
        filtered_rows=pl.concat([part.filtered_rows for part in parts]),
    )


def join_examples(parts: Iterable[LossExamples]) -> LossExamples:
    """The first few different examples of each loss over several runs of rows."""
    return _by_column(parts, lambda losses: _first_examples(list(losses)))


def count_losses(
    computed: dict[str, Computed], rows: pl.DataFrame, accepted: pl.Series
) -> tuple[Losses, LossExamples]:
    """How many accepted rows lost something, by column and loss, and examples of each. `rows` say whose they are."""
    counts: Losses = {}
    examples: LossExamples = {}
    for name, column in computed.items():
        for loss, lost in column.losses.items():
            lost_of_accepted = lost & accepted
            count = int(lost_of_accepted.sum())
            if count:
                counts.setdefault(name, {})[loss] = count
                some = _examples(column, rows, lost_of_accepted)
                examples.setdefault(name, {})[loss] = some
    return counts, examples


def _examples(column: Computed, rows: pl.DataFrame, lost: pl.Series) -> tuple[LossExample, ...]:
    # More than are shown, since the first ones may all be the same text.
    at = lost.arg_true().head(_LOOKED_AT)
    before = column.origin.gather(at)
    after = column.value.gather(at).rename("after")
    if after.dtype != pl.String:
        after = after.to_frame().select(render("after", after.dtype)).to_series()
    whose = rows.select("_source", "_id")[at].iter_rows()
    examples = []
    for sent, made, (source, id_) in zip(before, after, whose, strict=True):
        examples.append(LossExample(_cut(sent), _cut(made), source, id_))
    return _different(examples)


def _different(examples: Iterable[LossExample]) -> tuple[LossExample, ...]:
    """The first few that differ in their values."""
    by_pair: dict[tuple[str | None, str | None], LossExample] = {}
    for example in examples:
        by_pair.setdefault(example.pair, example)
    return tuple(by_pair.values())[:EXAMPLES]


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:MAX_VALUE]


def _first_examples(
    parts: list[dict[str, tuple[LossExample, ...]]],
) -> dict[str, tuple[LossExample, ...]]:
    by_loss: dict[str, list[LossExample]] = {}
    for part in parts:
        for loss, examples in part.items():
            by_loss.setdefault(loss, []).extend(examples)
    return {loss: _different(examples) for loss, examples in by_loss.items()}


def _summed(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in counts:
        total.update(part)
    return dict(total)


def _by_column(
    parts: Iterable[dict[str, dict[str, V]]], join: Callable[[Iterable[dict[str, V]]], dict[str, V]]
) -> dict[str, dict[str, V]]:
    of_column: dict[str, list[dict[str, V]]] = {}
    for part in parts:
        for name, examples in part.items():
            of_column.setdefault(name, []).append(examples)
    return {name: join(examples) for name, examples in of_column.items()}


def find_rejects(
    mapping: Mapping,
    rows: pl.DataFrame,
    orphans: dict[str, pl.Series],
    computed: dict[str, Computed],
) -> pl.DataFrame:
    """One row per row: the first rule it breaks, the column, the text; null where it breaks none."""
    nothing = pl.lit(None, dtype=pl.String)
    rejects = pl.DataFrame([rows[name] for name in PLACE]).with_columns(
        nothing.alias(name) for name in ("rule", "column", "value")
    )
    # Look-ups first: what a column makes of an orphan says less than that nobody was found.
    for name, orphan in orphans.items():
        lookup = mapping.lookups[name]
        if lookup.on_orphan == "reject" and orphan.any():
            ids = lookup_ids(lookup, rows)
            rejects = _note(rejects, name, rule_where(orphan, "orphan"), ids)
    for name, column in computed.items():
        if column.rule.null_count() < rows.height:
            rejects = _note(rejects, name, column.rule, column.text)
    return rejects


def _note(rejects: pl.DataFrame, name: str, rule: pl.Series, text: pl.Series) -> pl.DataFrame:
    """The rejects with a rule for rows that had none: of several the first counts."""
    is_first = pl.col("rule").is_null() & pl.col("_rule").is_not_null()
    told = {
        "rule": pl.col("_rule"),
        "column": pl.lit(name),
        "value": pl.col("_text").str.slice(0, MAX_VALUE),
    }
    both = rejects.with_columns(rule.alias("_rule"), text.alias("_text"))
    noted = both.with_columns(
        pl.when(is_first).then(value).otherwise(pl.col(column)).alias(column)
        for column, value in told.items()
    )
    return noted.drop("_rule", "_text")


def lookup_ids(lookup: Lookup, rows: pl.DataFrame) -> pl.Series:
    """The id that each row looks up."""
    return first_value([rows[FIELD + name] for name in lookup.ids])
