"""What became of every record of the source: planned, or left out for a reason. Pure.

Each record is followed by its identity, so that what the plan lacks is found in the month and
currency in which the source has it. Nothing here asks the mapping what a record is worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import polars as pl

from migrate.sentence import Sentence
from migrate.totals.amounts import AMOUNT, read_amounts
from migrate.totals.declared import Kind
from migrate.totals.records import RECORDS_SCHEMA, identity, plain_label
from migrate.totals.rule import Rule
from migrate.totals.table import (
    NO_DATE,
    ON_PURPOSE,
    Figure,
    Group,
    RowExample,
    Table,
    side_by_side,
)

PLANNED_SCHEMA: dict[str, Any] = {
    "who": pl.UInt64,
    "element": pl.Int64,
    "amount": AMOUNT,
    "unreadable": pl.Boolean,
    "period": pl.String,
    "label": pl.String,
}
FATES_SCHEMA: dict[str, Any] = {
    "who": pl.UInt64,
    "element": pl.Int64,
    "place": pl.Int64,
    "reason": pl.String,
    "winner": pl.UInt64,
    "winner_element": pl.Int64,
}
"""`place`: of the record in the snapshot, null where only its identity is known. `winner`: whose
row a collapsed one went into."""

KEPT_SCHEMA: dict[str, Any] = {"who": pl.UInt64, "reason": pl.String}

_ELEMENT = ["who", "element"]


@dataclass(frozen=True)
class Outcome:
    """What a plan made of a resource.

    `planned`: a row for each planned one, by the record that it is of. `fates`: those that the plan
    lists as rejected, discarded, waiting or collapsed. `filtered`: how many rows a `where` left out.
    `touched_from`: of a delta, the place from which records may have changed. `inside`: of a part or a sample, by place
    whether the record is of it. `kept`: whose lines are planned although their order is left out, as `KEPT_SCHEMA`.
    """

    planned: pl.DataFrame
    fates: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FATES_SCHEMA))
    filtered: int = 0
    touched_from: int = 0
    inside: pl.Series | None = None
    kept: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=KEPT_SCHEMA))

    def are_asked_for(self, places: pl.Series) -> pl.Series:
        """Whether the plan is of the records at these places of the snapshot."""
        if self.inside is not None:
            return self.inside.gather(places)
        return places >= self.touched_from


def account(
    rule: Rule, records: pl.DataFrame, outcome: Outcome, examples: pl.DataFrame | None = None
) -> Table:
    """The table of a dataset: source, what is left out by reason, and plan.

    **Shape**: `records` as `RECORDS_SCHEMA`, `outcome.planned` as `PLANNED_SCHEMA`.

    **Guarantees**: in each group source = all that is left out + what is planned, by the source's
    own fields.
    """
    fated = _with_reasons(records, outcome, is_lines=rule.kind == "lines")
    fated = _with_labels(fated, outcome.planned)
    groups = side_by_side(_figures_by_place(rule, fated, outcome))
    shown = () if examples is None else tuple(RowExample(*row) for row in examples.iter_rows())
    doubts = (*rule.doubts, *_doubts_about_amounts(rule, records, outcome.planned))
    undated = 0
    if rule.time:
        wanted = fated.filter(~pl.col("reason").is_in(ON_PURPOSE))
        undated = int(wanted.get_column("undated").sum())
    return Table(rule.dataset, rule.kind, rule.by, groups, shown, doubts, undated, rule.resource)


def _figures_by_place(
    rule: Rule, fated: pl.DataFrame, outcome: Outcome
) -> dict[str, Mapping[tuple[str, str], Figure]]:
    """`source`, each reason to leave records out, `plan`, and each reason why lines are kept all the same."""
    places = {"source": _figures(fated, rule.kind)}
    for (reason,), rows in fated.group_by("reason"):
        if reason != "planned":
            places[str(reason)] = _figures(rows, rule.kind)
    places["plan"] = _figures(outcome.planned, rule.kind)
    kept = outcome.planned.join(outcome.kept, on="who", how="inner")
    for (reason,), rows in kept.group_by("reason"):
        places[str(reason)] = _figures(rows, rule.kind)
    return places


def _doubts_about_amounts(
    rule: Rule, records: pl.DataFrame, planned: pl.DataFrame
) -> tuple[Sentence, ...]:
    """A doubt where the plan has amounts and the source none: its field for them is not one of the known."""
    if rule.kind != "revenue" or not rule.amount:
        return ()
    has_amounts = records.get_column("amount").is_not_null().any()
    plan_has = planned.get_column("amount").is_not_null().any()
    if has_amounts or not plan_has:
        return ()
    doubt = Sentence(
        "no record has a field that is known to hold what an order is worth ({fields}); name it under "
        "[datatrics.totals.sales] amount",
        fields=tuple(name for name in rule.fields.amount if "." not in name),
    )
    return (doubt,)


def _with_reasons(records: pl.DataFrame, outcome: Outcome, *, is_lines: bool) -> pl.DataFrame:
    """The records with `reason`: `planned`, or why they are not."""
    fated = _with_listed_reasons(records, outcome.fates, is_lines=is_lines)
    is_settled = fated.get_column("reason").is_not_null()
    # One identity may stand in the snapshot several times: the last of them is the one that counts.
    open_ones = _numbered(fated.filter(~is_settled).drop("reason"))
    planned = outcome.planned.select(_ELEMENT).with_columns(
        pl.lit(0, pl.UInt32).alias("nth"), pl.lit("planned").alias("reason")
    )
    collapsed = _collapsed(outcome, records, planned, is_lines=is_lines)
    known = pl.concat([planned, collapsed]).unique([*_ELEMENT, "nth"], keep="first")
    reasoned = open_ones.join(known, on=[*_ELEMENT, "nth"], how="left", maintain_order="left")
    reasoned = _with_other_reasons(reasoned, outcome)
    names = [*RECORDS_SCHEMA, "reason"]
    return pl.concat([fated.filter(is_settled).select(names), reasoned.select(names)])


def _with_listed_reasons(
    records: pl.DataFrame, fates: pl.DataFrame, *, is_lines: bool
) -> pl.DataFrame:
    """With `reason` of the records that the plan lists by their place, null for the others."""
    by_place = fates.filter(pl.col("place").is_not_null())
    own = by_place.select("element", "place", "reason").unique(["element", "place"])
    listed = records.join(own, on=["element", "place"], how="left", maintain_order="left")
    if not is_lines:
        return listed
    # a record that was rejected as such takes all of its lines with it
    whole = by_place.filter(pl.col("element") == 0).unique("place")
    of_record = whole.select("place", pl.col("reason").alias("_whole"))
    listed = listed.join(of_record, on="place", how="left", maintain_order="left")
    return listed.with_columns(pl.coalesce("reason", "_whole").alias("reason")).drop("_whole")


def _with_other_reasons(records: pl.DataFrame, outcome: Outcome) -> pl.DataFrame:
    """With a reason for the records that neither a list nor the planned rows have one for."""
    asked_for = outcome.are_asked_for(records.get_column("place"))
    records = records.with_columns(asked_for.alias("asked_for"))
    unlisted = records.filter(pl.col("reason").is_null() & pl.col("asked_for"))
    # A row that no file of the plan lists was filtered; more of them than were counted is a loss.
    rest = "filtered" if unlisted.height == outcome.filtered else "unread"
    reason = (
        pl.when(pl.col("reason").is_not_null()).then("reason")
        .when(~pl.col("asked_for")).then(pl.lit("outside"))
        .otherwise(pl.lit(rest))
    )  # fmt: skip
    return records.with_columns(reason.alias("reason"))


def _numbered(records: pl.DataFrame) -> pl.DataFrame:
    """With `nth`: 0 for the last record of an identity, 1 for the one before it."""
    if not records.select(pl.struct(_ELEMENT).is_duplicated().any()).item():
        return records.with_columns(pl.lit(0, pl.UInt32).alias("nth"))
    nth = pl.col("place").rank("ordinal", descending=True).over(_ELEMENT) - 1
    return records.with_columns(nth.cast(pl.UInt32).alias("nth"))


def _collapsed(
    outcome: Outcome, records: pl.DataFrame, planned: pl.DataFrame, *, is_lines: bool
) -> pl.DataFrame:
    """`who, element, nth, reason` of the rows that went into others: copies of them, or not."""
    lost = outcome.fates.filter(pl.col("reason") == "collapsed")
    lost = lost.join(
        planned.select(*_ELEMENT, "nth"), on=_ELEMENT, how="left", maintain_order="left"
    )
    behind = pl.when(pl.col("nth").is_not_null()).then(1).otherwise(0)
    nth = (pl.int_range(pl.len()).over(_ELEMENT) + behind).cast(pl.UInt32)
    lost = lost.with_columns(nth.alias("nth"))
    own = _numbered(records)
    values = ["amount", "unreadable", "period", "label"]
    mine = lost.join(own.select(*_ELEMENT, "nth", *values), on=[*_ELEMENT, "nth"], how="left")
    of_winner = own.filter(pl.col("nth") == 0).select(
        pl.col("who").alias("winner"),
        pl.col("element").alias("winner_element"),
        *(pl.col(name).alias(f"{name}_won") for name in values),
    )
    both = mine.join(of_winner, on=["winner", "winner_element"], how="left")
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}_won")) for name in values)
    if is_lines:
        # Two lines of one order are two purchases, however alike they look.
        same &= (pl.col("who") != pl.col("winner")) | (
            pl.col("element") == pl.col("winner_element")
        )
    reason = pl.when(same).then(pl.lit("copies")).otherwise(pl.lit("replaced"))
    return both.select(*_ELEMENT, "nth", reason.alias("reason"))


def _with_labels(fated: pl.DataFrame, planned: pl.DataFrame) -> pl.DataFrame:
    """Where the source names no currency, that of the planned row: it says nothing against it."""
    if not fated.get_column("label").null_count():
        return fated
    theirs = planned.unique(_ELEMENT).select(
        *_ELEMENT, pl.lit("planned").alias("reason"), pl.col("label").alias("theirs")
    )
    labelled = fated.join(theirs, on=[*_ELEMENT, "reason"], how="left", maintain_order="left")
    return labelled.with_columns(pl.coalesce("label", "theirs").alias("label")).drop("theirs")


def _figures(rows: pl.DataFrame, kind: Kind) -> Mapping[tuple[str, str], Figure]:
    sums = rows.group_by(pl.col("period").fill_null(""), pl.col("label").fill_null("")).agg(
        pl.len().alias("rows"),
        pl.col("amount").fill_null(0).sum(),
        pl.col("unreadable").sum().alias("unreadable"),
    )
    return {
        (period, label): Figure(
            rows_, Decimal() if kind != "revenue" else amount.normalize(), unreadable or 0
        )
        for period, label, rows_, amount, unreadable in sums.iter_rows()
    }


def planned_rows(rule: Rule, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of a plan or of the target as `PLANNED_SCHEMA`.

    **Shape**: `rows` has `source`, `id`, `element`, and the rule's columns under `amount`, `time`
    and `label`, as the plan has them or as texts.
    """
    period = pl.lit("", pl.String)
    if rule.time is not None:
        period = _period(rows.schema["time"], "%Y-%m-%d" if rule.kind == "events" else "%Y-%m")
    amounts = _amounts(rule, rows)
    if rule.label:
        label = plain_label(pl.col("label"), rule.kind)
    else:
        label = pl.lit(None, pl.String)
    made = rows.select(
        identity(pl.col("source"), pl.col("id")).alias("who"),
        pl.col("element").fill_null(0).alias("element"),
        period.alias("period"),
        label.alias("label"),
    )
    return made.hstack(amounts).select(list(PLANNED_SCHEMA)).cast(pl.Schema(PLANNED_SCHEMA))


def with_target(rule: Rule, table: Table, held: pl.DataFrame) -> Table:
    """The table with what the target holds of the plan's rows.

    **Shape**: `held` has the rule's columns as texts, under `amount`, `time` and `label`.
    """
    nobody = [pl.lit("", pl.String).alias(name) for name in ("source", "id")]
    rows = held.with_columns(*nobody, pl.lit(0, pl.Int64).alias("element"))
    figures: dict[str, Mapping[tuple[str, str], Figure]] = {
        "target": _figures(planned_rows(rule, rows), rule.kind)
    }
    for place, figure_of in (("source", _source_of), ("plan", _plan_of)):
        figures[place] = {(g.period, g.label): figure_of(g) for g in table.groups}
    for group in table.groups:
        for reason, figure in {**group.left_out, **group.beside}.items():
            figures[reason] = {**figures.get(reason, {}), (group.period, group.label): figure}
    return replace(table, groups=side_by_side(figures))


def _source_of(group: Group) -> Figure:
    return group.source


def _plan_of(group: Group) -> Figure:
    return group.plan


def _period(kind: pl.DataType, spelt: str) -> pl.Expr:
    if kind.is_temporal():
        return pl.col("time").dt.strftime(spelt).fill_null(NO_DATE)
    if spelt.endswith("%d"):
        length = len("2024-01-31")
    else:
        length = len("2024-01")
    return (
        pl.when(pl.col("time") != "")
        .then(pl.col("time").str.slice(0, length))
        .otherwise(pl.lit(NO_DATE))
    )


def _amounts(rule: Rule, rows: pl.DataFrame) -> pl.DataFrame:
    if rule.amount is None:
        nothing = pl.Series("amount", [None], dtype=AMOUNT).new_from_index(0, rows.height)
        return pl.DataFrame([nothing, nothing.is_not_null().alias("unreadable")])
    column = rows.get_column("amount")
    if column.dtype == pl.String:
        amounts = read_amounts(column, rows.get_column("source"))
    else:
        exact = column.cast(AMOUNT, strict=False).alias("amount")
        amounts = pl.DataFrame(
            [exact, (column.is_not_null() & exact.is_null()).alias("unreadable")]
        )
    if not rule.cents:
        return amounts
    hundredth = pl.col("amount") * pl.lit(Decimal("0.01")).cast(AMOUNT)
    return amounts.with_columns(hundredth.cast(AMOUNT).alias("amount"))
