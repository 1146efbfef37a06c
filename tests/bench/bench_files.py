"""How fast a plan's rows become files: `python -m tests.bench.bench_files [ROWS]`."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import polars as pl

from migrate.load.files.rows import DatasetRows, FileColumn
from migrate.load.files.writer import FileSettings, PlanOfFiles, write_files
from migrate.load.handover import LeftRows
from migrate.plan.files import SOURCES, write_frames

COLUMNS = {
    "order_item_key": pl.String(), "order_key": pl.String(), "line": pl.Int32(), "sku": pl.String(),
    "name": pl.String(), "price": pl.Decimal(38, 6), "quantity": pl.Int32(), "created_at": pl.Datetime("us"),
    "is_gift": pl.Boolean(), "colour": pl.String(),
}  # fmt: skip
PART = 100_000


def part(first: int) -> pl.DataFrame:
    """So many order lines from that number on."""
    n = pl.int_range(first, first + PART, eager=True)
    text = n.cast(pl.String)
    mapped = pl.DataFrame(
        {
            "order_item_key": "Magento 2:" + text + ":1",
            "order_key": "Magento 2:" + text,
            "line": n % 7,
            "sku": "sku-" + (n % 5_000).cast(pl.String),
            "name": "Woollen blanket; size " + (n % 40).cast(pl.String),
            "price": (n % 9_999).cast(pl.Decimal(38, 6)) / 100,
            "quantity": n % 3 + 1,
            "created_at": pl.from_epoch(1_577_836_800 + n, time_unit="s"),
            "is_gift": n % 2 == 0,
            "colour": pl.Series([None] * PART, dtype=pl.String),
        }
    ).cast(COLUMNS)
    leading = pl.DataFrame(
        {
            "batch": n // 500,
            "position": n % 500,
            "change": ["create"] * PART,
            "key": mapped["order_item_key"],
        }
    ).with_columns(
        pl.col("batch", "position").cast(pl.Int32),
        payload=pl.lit('{"x":"') + pl.col("key") + pl.lit("y" * 180 + '"}'),
        sources=pl.lit([], SOURCES),
    )
    return leading.hstack(mapped)


def run(rows: int) -> None:
    """Writes the plan's file, then the files from it, and says what that took."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        records = home / "records.parquet"
        write_frames((part(at) for at in range(0, rows, PART)), part(0).schema, records, home)
        batches = pl.int_range(0, rows // 500, dtype=pl.Int32, eager=True).alias("batch")
        settled = pl.DataFrame(
            {"batch": [0], "position": [0]}, {"batch": pl.Int32, "position": pl.Int32}
        )
        left = LeftRows(batches, settled, rows - 1)
        columns = [FileColumn(name, name) for name in COLUMNS]
        work = DatasetRows("order_items", records, columns, left)
        for form in ("csv", "json"):
            began, cpu = time.perf_counter(), time.process_time()
            plan = PlanOfFiles("bench", "", date(2026, 11, 29))
            made = write_files(home / form, plan, [work], FileSettings(form), lambda _d, _n: None)
            wall, used = time.perf_counter() - began, time.process_time() - cpu
            size = sum(file.bytes for file in made.files)
            sys.stdout.write(
                f"{form}: {rows:,} rows, {size:,} bytes, {len(made.files)} files: {wall:.1f} s, {used:.1f} s of CPU\n"
            )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sys.stdout.write(f"most memory: {peak:,.0f} MiB\n")


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
