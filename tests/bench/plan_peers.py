"""Reading the target and comparing by other means, for `bench_plan.py`: polars by hand, pandas, the library diffly."""

from __future__ import annotations

from pathlib import Path

import polars as pl


def _polars_sides(folder: Path) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    planned = pl.scan_parquet(folder / "planned")
    schema = {name: dtype for name, dtype in planned.collect_schema().items()}
    pages = [
        pl.read_csv(file.read_bytes(), infer_schema=False)
        for file in sorted((folder / "pages").iterdir())
    ]
    typed = [
        (pl.col(name) == "true").alias(name)
        if dtype == pl.Boolean
        else pl.col(name)
        .str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", strict=False)
        .cast(pl.Datetime("us"))
        if dtype.is_temporal()
        else pl.col(name).cast(dtype, strict=False)
        for name, dtype in schema.items()
    ]
    return planned, pl.concat(pages).lazy().select("__masterid__", *typed)


def by_polars(folder: Path) -> int:
    """A full join by hand, column by column, in the columns' types."""
    planned, held = _polars_sides(folder)
    columns = [name for name in planned.collect_schema() if name != "key"]
    both = planned.join(held, on="key", how="full", suffix="_held")
    marks = [
        pl.col(name).ne_missing(pl.col(f"{name}_held")).alias(f"{name}_differs") for name in columns
    ]
    found = both.with_columns(marks).collect()
    matched = pl.col("key").is_not_null() & pl.col("key_held").is_not_null()
    differs = pl.any_horizontal(f"{name}_differs" for name in columns)
    return int(found.select((matched & differs).sum()).item())


def by_diffly(folder: Path) -> int:
    """The comparison of the library diffly over the same frames."""
    from diffly import compare_frames

    planned, held = _polars_sides(folder)
    comparison = compare_frames(planned, held.drop("__masterid__"), primary_key="key")
    return int(comparison.num_rows_joined_unequal())


def by_pandas(folder: Path) -> int:
    """An outer merge by hand, as most people would write it."""
    import pandas as pd

    planned = pd.read_parquet(folder / "planned")
    planned["spent"] = planned["spent"].astype(float)
    pages = [
        pd.read_csv(file, parse_dates=["created_at"])
        for file in sorted((folder / "pages").iterdir())
    ]
    held = pd.concat(pages)
    held["created_at"] = held["created_at"].dt.tz_localize(None)
    both = planned.merge(held, on="key", how="outer", suffixes=("", "_held"), indicator=True)
    differs = pd.Series(data=False, index=both.index)
    for name in planned.columns:
        if name != "key":
            other = both[f"{name}_held"]
            differs |= (both[name] != other) & ~(both[name].isna() & other.isna())
    return int((differs & (both["_merge"] == "both")).sum())
