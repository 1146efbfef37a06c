"""Rows that share a key become one row. Pure: frames in, frames out.

A row here is what a mapping gave for a record: `_source, _id, _position, _element, _recency, _key`, the mapped columns,
and `_null:COLUMN` where null itself is sent. Rows that share no key need not come here.

Which of them is told first is a property of the records alone: when one was created (one that does not say so comes
first, as in the source's own lists), then its source, then its id, numbers in it by their value, then the element's
place. Where a record stood in a list says nothing that a second reading would say again: so a whole plan and a delta
have one order, and two extracts of the same records give the same plan.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Mapping as Dict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import polars as pl

from migrate.mapping.dates import source_zones
from migrate.mapping.recency import rank_times
from migrate.mapping.types import member
from migrate.plan.files import SOURCE

PART = "_part"
"""Which file made a row, by its place in the order of precedence from 0; only where several make the dataset."""
LOSERS = pl.Schema(
    {
        "key": pl.String,
        "winner_resource": pl.String,
        "winner_source": pl.String,
        "winner_id": pl.String,
        "winner_position": pl.Int64,
        "resource": pl.String,
        "source": pl.String,
        "id": pl.String,
        "position": pl.Int64,
        "rank": pl.Int64,
        "lost": pl.String,
    }
)
_NULL, _DEFAULT = "_null:", "_default:"
By = Literal["latest", "first", "source_order"]
# Clients differ: Magento's plug-in sends `created_at`, an interaction has `metadata.datetime` alone.
CREATED_FIELDS = (
    "created",
    "created_at",
    "metadata.created",
    "metadata.created_at",
    "datetime",
    "metadata.datetime",
)
"""Where a record says when it was created; the first that has a value counts."""
CREATED = "_created"


@dataclass(frozen=True)
class CollapseRule:
    """Which row wins, and what it takes from the others. `consents` are boolean columns where a false wins."""

    by: By = "latest"
    source_order: Sequence[str] = ()
    fill_gaps: bool = False
    consents: Collection[str] = ()


@dataclass(frozen=True)
class Collapsed:
    """The surviving rows with `_sources` added, in the order of `_row`; and what went into what.

    **Shape**: `losers` has one row per row that lost, by key and rank (2 is the runner-up), with the columns of
    `LOSERS`; `lost` is JSON text of the columns in which the row had a value other than the one the survivor ended
    with, null where there is none.
    """

    rows: pl.DataFrame
    losers: pl.DataFrame


def collapse_rows(
    rows: pl.DataFrame,
    columns: Sequence[str],
    rule: CollapseRule,
    resources: Sequence[str],
    *,
    drop: Sequence[str] = (),
) -> Collapsed:
    """One row per `_key`; `resources` are those of the dataset's files in their order of precedence.

    The winner is of the first file that has a row (`_part`, where there are several). Among those it is by `latest` the
    row with the highest `_recency` (a row without one loses; the later of equals wins), by `first` the one that stands
    first, by `source_order` the one whose source is named first, an unnamed source last and the latest among equals.
    With `fill_gaps`, a column takes the best-ranked value that a row has of its own: a value beats a null that is sent
    and a default (`_default:COLUMN`), the winner's as well as another's; where no row has one the winner's null or
    default stands. A consent is true only where the winner says so and no other row says false; it is false where any
    row says false, which no default does; gap filling never gives one.

    **Shape**: `rows` may have `_created`, and then first and later follow from the order of records
    (`record_order`), else by `_row`, or else by the order of `rows`. Any other columns are taken along
    from the winner, but for those to `drop`.

    **Guarantees**: the result does not depend on the order in which threads finish.
    """
    ranked = _ranked(rows if "_row" in rows.columns else rows.with_row_index("_row"), rule)
    merged = _merge(ranked.drop(drop, strict=False), columns, rule, resources)
    losers = _losers(ranked, merged, columns, resources)
    return Collapsed(merged.sort("_row"), losers)


def resource_of(resources: Sequence[str]) -> pl.Expr:
    """The resource of the record that a row came from: that of the file that made it."""
    if len(resources) == 1:
        return pl.lit(resources[0]).alias("resource")
    places = dict(enumerate(resources))
    return pl.col(PART).replace_strict(places, return_dtype=pl.String).alias("resource")


def source_of(resources: Sequence[str]) -> pl.Expr:
    """The record that a row came from, as an entry of `_sources`."""
    return pl.struct(
        resource_of(resources),
        pl.col("_source").alias("source"),
        pl.col("_id").alias("id"),
        pl.col("_element").cast(pl.Int64).alias("position"),
    ).cast(SOURCE)


def _ranked(rows: pl.DataFrame, rule: CollapseRule) -> pl.DataFrame:
    """The rows by key, the winner of each key first, with `_group` from 0 and `_rank` from 1.

    Only what ranks them is sorted; the many other columns are moved once.
    """
    if CREATED in rows.columns:
        order_of_rows = record_order(rows)
    else:
        order_of_rows = rows["_row"].alias("_order")
    # Files come before all else: the rule ranks the rows of one file among each other.
    parts = [PART] if PART in rows.columns else []
    narrow = rows.select("_key", "_recency", order_of_rows, "_source", *parts).with_row_index("_at")
    descending = dict.fromkeys(["_key", *parts], False)
    if rule.by == "first":
        descending["_order"] = False
    else:
        # As Datatrics makes its master profiles: the first source in the customer's order wins.
        if rule.by == "source_order":
            narrow = narrow.with_columns(_place_of_source(rule.source_order).alias("_place"))
            descending["_place"] = False
        descending |= {"_recency": True, "_order": True}
    order = narrow.sort(list(descending), descending=list(descending.values()), nulls_last=True)
    begins = (pl.col("_key") != pl.col("_key").shift(1)).fill_null(value=True)
    place = pl.int_range(pl.len(), dtype=pl.UInt32)
    numbered = order.select(
        (begins.cum_sum() - 1).cast(pl.UInt32).alias("_group"),
        (place - pl.when(begins).then(place).forward_fill() + 1).cast(pl.Int64).alias("_rank"),
    )
    return rows[order.get_column("_at")].hstack(numbered)


def _place_of_source(source_order: Sequence[str]) -> pl.Expr:
    """Where a row's source stands in the rule; sources that it does not name come behind all of them."""
    if not source_order:
        return pl.lit(0, pl.Int64)
    # Backwards, so that of a source named twice the first place counts.
    places = {source: place for place, source in reversed(list(enumerate(source_order)))}
    source = pl.col("_source")
    return source.replace_strict(places, default=len(source_order), return_dtype=pl.Int64)


def _merge(
    ranked: pl.DataFrame, columns: Sequence[str], rule: CollapseRule, resources: Sequence[str]
) -> pl.DataFrame:
    """One row per group of rows that `_ranked` has put in order: the winner's, filled and restricted."""
    filled = [column for column in columns if rule.fill_gaps and column not in rule.consents]
    flags = {name for name in ranked.columns if name.startswith((_NULL, _DEFAULT))}
    gathered = (
        ranked.lazy()
        .group_by("_group", maintain_order=True)
        .agg(
            *(
                _own(column, flags).first(ignore_nulls=True).alias(f"_fill:{column}")
                for column in filled
            ),
            source_of(resources).alias("_sources"),
            *((~_own(column, flags)).any().alias(f"_denied:{column}") for column in rule.consents),
        )
        .drop("_group")
        .collect(engine="in-memory")
    )
    winners = ranked.filter(pl.col("_rank") == 1).drop("_group", "_rank")
    merged = winners.hstack(gathered)
    final = merged.with_columns(_final(column, rule) for column in columns)
    # A null is sent to erase: where another row has filled the gap, nothing is to be erased.
    kept_flags = [
        (pl.col(flag) & pl.col(flag.removeprefix(_NULL)).is_null()).alias(flag)
        for flag in sorted(flags)
        if flag.startswith(_NULL)
    ]
    return final.with_columns(kept_flags).select(*winners.columns, "_sources")


def _own(column: str, flags: Collection[str]) -> pl.Expr:
    """A row's value, null for one that is only the column's default."""
    if _DEFAULT + column not in flags:
        return pl.col(column)
    return pl.when(~pl.col(_DEFAULT + column)).then(pl.col(column))


def _final(column: str, rule: CollapseRule) -> pl.Expr:
    won = pl.col(column)
    if column in rule.consents:
        # Two sources of one person may disagree, and the target would keep whichever came last: the stricter holds.
        return pl.when(pl.col(f"_denied:{column}")).then(pl.lit(False)).otherwise(won).alias(column)
    # the winner's own value is the first there is; its null or default stands where nobody has one
    if rule.fill_gaps:
        return pl.coalesce(f"_fill:{column}", won).alias(column)
    return won


def _losers(
    ranked: pl.DataFrame, merged: pl.DataFrame, columns: Sequence[str], resources: Sequence[str]
) -> pl.DataFrame:
    """What each row that did not win was, beside what became of its group; `merged` has the groups in their order."""
    position = pl.col("_element").cast(pl.Int64)
    who = {
        "resource": resource_of(resources),
        "source": pl.col("_source"),
        "id": pl.col("_id"),
        "position": position,
    }
    lost = ranked.filter(pl.col("_rank") > 1)
    # without `_sources`: of a key that many share, each loser would get all of them once more
    kept = merged.drop("_sources")[lost.get_column("_group")]
    return lost.select(
        pl.col("_key").alias("key"),
        *kept.select(expr.alias(f"winner_{name}") for name, expr in who.items()).get_columns(),
        *(expr.alias(name) for name, expr in who.items()),
        pl.col("_rank").alias("rank"),
        _lost(lost, kept, columns).alias("lost"),
    )


def _lost(lost: pl.DataFrame, kept: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """The values that the survivor did not take, as a JSON object; null where it took or had all of them.

    Most columns are the same in most rows, and only what differs is written out.
    """
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, lost.height)

    def tell(name: str) -> pl.Series:
        mine = lost.get_column(name)
        places = (mine.is_not_null() & mine.ne_missing(kept.get_column(name))).arg_true()
        if not len(places):
            return nothing.alias(name)
        texts = (
            mine.gather(places)
            .to_frame()
            .select(member(name, mine.dtype, sends_null=False))
            .to_series()
        )
        return nothing.clone().scatter(places, texts).alias(name)

    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        members = list(pool.map(tell, columns))
    body = pl.concat_str(pl.all(), separator=",", ignore_nulls=True)
    losses = pl.DataFrame(
        [member for member in members if member.null_count() < lost.height] or [nothing]
    )
    losses = losses.select(body.alias("body"))
    return losses.select(
        pl.when(pl.col("body") != "").then(pl.concat_str(pl.lit("{"), "body", pl.lit("}")))
    ).to_series()


def created_times(
    records: pl.DataFrame, timezones: Dict[str, str], aliases: Dict[str, str]
) -> pl.Series:
    """When each record was created, in UTC; null where it does not say so in any known spelling."""
    return times_of(records, CREATED_FIELDS, timezones, aliases)


def times_of(
    records: pl.DataFrame, names: Sequence[str], timezones: Dict[str, str], aliases: Dict[str, str]
) -> pl.Series:
    """The moment, in UTC, in the first of some fields that has a value; null where nothing readable stands there."""
    nothing = pl.Series(CREATED, [None], dtype=pl.Datetime("us"))
    filled = [
        pl.when(pl.col(name) != "").then(pl.col(name))
        for name in names
        if name in records.columns and records[name].null_count() < records.height
    ]
    if not filled:
        return nothing.new_from_index(0, records.height)
    texts = records.select(pl.coalesce(filled).alias("t")).to_series()
    zones = source_zones(records["_source"], timezones, aliases)
    return rank_times(texts, zones).rename(CREATED)


def record_order(rows: pl.DataFrame) -> pl.Series:
    """The place of each row in the order of records, from 0, over these rows.

    **Shape**: `rows` has `_created`, `_source`, `_id`, `_element`.
    """
    # The number at an id's end counts by its value, so that `p9` comes before `p10`.
    digits = pl.col("_id").str.extract(r"(\d*)$", 1)
    value = digits.str.strip_chars_start("0")
    sorted_rows = (
        rows.select(CREATED, "_source", "_id", "_element")
        .with_row_index("_at")
        .sort(
            pl.col(CREATED),
            pl.col("_source"),
            pl.col("_id").str.replace(r"\d*$", ""),
            value.str.len_bytes(),
            value,
            pl.col("_id"),
            pl.col("_element"),
            # A record that does not say when it was created comes first, as in the source's own lists.
            nulls_last=False,
        )
    )
    places = pl.int_range(rows.height, dtype=pl.UInt32, eager=True)
    return places.clone().scatter(sorted_rows["_at"], places).alias("_order")
