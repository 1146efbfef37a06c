"""Which rule each row breaks first, if any."""

from __future__ import annotations

import polars as pl

from migrate.mapping.base import PLACE
from migrate.mapping.columns import FIELD, Computed, first_value
from migrate.mapping.mapped import MAX_VALUE
from migrate.mapping.model import Lookup, Mapping


def find_rejects(
    mapping: Mapping,
    rows: pl.DataFrame,
    orphans: dict[str, pl.Series],
    computed: dict[str, Computed],
) -> pl.DataFrame:
    """One row per row: the first rule it breaks, the column, the text; null where it breaks none."""
    found = pl.DataFrame([rows[name] for name in PLACE]).with_columns(
        pl.lit(None, dtype=pl.String).alias(name) for name in ("rule", "column", "value")
    )
    for name, orphan in orphans.items():
        if mapping.lookups[name].on_orphan == "reject" and orphan.any():
            rule = (
                pl.DataFrame({"o": orphan})
                .select(pl.when(pl.col("o")).then(pl.lit("orphan")))
                .to_series()
            )
            found = _note(found, name, rule, lookup_ids(mapping.lookups[name], rows))
    for name, column in computed.items():
        if column.rule.null_count() < rows.height:
            found = _note(found, name, column.rule, column.text)
    return found


def _note(found: pl.DataFrame, name: str, rule: pl.Series, text: pl.Series) -> pl.DataFrame:
    first = pl.col("rule").is_null() & pl.col("_rule").is_not_null()
    values = {
        "rule": pl.col("_rule"),
        "column": pl.lit(name),
        "value": pl.col("_text").str.slice(0, MAX_VALUE),
    }
    noted = found.with_columns(rule.alias("_rule"), text.alias("_text"))
    return noted.with_columns(
        pl.when(first).then(value).otherwise(pl.col(column)).alias(column)
        for column, value in values.items()
    ).drop("_rule", "_text")


def lookup_ids(lookup: Lookup, rows: pl.DataFrame) -> pl.Series:
    """The id that each row looks up."""
    return first_value([rows[FIELD + name] for name in lookup.ids])
