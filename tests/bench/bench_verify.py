"""How fast the verifier works out what a dataset should hold, and how much memory reading all of it back takes.

python tests/bench/bench_verify.py [--records 200000]    rows a second of the shipped mappings, of the clock and of CPU
python tests/bench/bench_verify.py --deep 500000         contacts worked out, read back and compared: peak memory
python tests/bench/bench_verify.py --deep 500000 --dataset order_items     the same with lines of orders
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from migrate.verify.compare import STATES, KnownRows
from migrate.verify.deep import verify_dataset
from migrate.verify.expected import Scope, expect_dataset
from migrate.verify.known import Known
from migrate.verify.lookup import LookupTable, looked_up_columns
from migrate.verify.readback import Reading
from migrate.verify.rules import Conventions, DatasetRules, read_rules
from migrate.verify.spill import KEY, Spill

ROUNDS = 3
PART_ROWS = 20_000


def profiles(first: int, count: int) -> list[dict[str, object]]:
    """Profiles with the fields that shops send."""
    return [
        {
            "profileid": str(n), "source": "Magento 2", "email": f" Person{n}@Example.test", "firstname": "Anneliese",
            "lastname": "van der Meulen", "address": "Kerkstraat 1", "zip": "1012 AB", "city": "Amsterdam",
            "newsletter": n % 2, "dateofbirth": "1970-05-11", "created": "2023-03-15 10:30:00",
            "updated": "2024-03-15 10:30:00", "gender": "Female", "phone": "0201234567",
        }
        for n in range(first, first + count)
    ]  # fmt: skip


def sales(first: int, count: int) -> list[dict[str, object]]:
    """Orders of three lines."""
    line = {
        "itemid": "sku-1",
        "name": "Woollen blanket",
        "price": "19.99",
        "quantity": "1.0000",
        "total": "19.99",
    }
    return [
        {
            "conversionid": f"{n:09d}", "source": "Magento 2", "profileid": str(n), "currency": "EUR", "total": "59.97",
            "created": "2024-03-15 10:30:00", "items": [line] * 3,
        }
        for n in range(first, first + count)
    ]  # fmt: skip


def frame_of(rows: Sequence[Mapping[str, object]], first: int = 0) -> pl.DataFrame:
    """The rows as a snapshot gives them."""
    return pl.DataFrame(
        {
            "_position": range(first, first + len(rows)),
            "_source": [str(row["source"]) for row in rows],
            "_id": [str(row.get("conversionid") or row["profileid"]) for row in rows],
            "_raw": [json.dumps(row) for row in rows],
        }
    )


@dataclass(frozen=True)
class Counted:
    """A count."""

    count: int


@dataclass(frozen=True)
class MemoryTarget:
    """A dataset that holds what was expected, served page by page from files of CSV."""

    files: Sequence[Path]
    rows: int

    def count(self, dataset_id: str, filters: Mapping[str, str] | None = None) -> Counted:
        """All rows."""
        return Counted(self.rows)

    def export_csv(
        self,
        dataset_id: str,
        page: int,
        page_size: int = PART_ROWS,
        filters: Mapping[str, str] | None = None,
        selection: Sequence[str] | None = None,
    ) -> bytes:
        """One file as CSV."""
        if page > len(self.files):
            return b""
        return self.files[page - 1].read_bytes()


def measure_speed(count: int, rules: Mapping[str, DatasetRules]) -> None:
    """Prints rows a second, of the clock and of CPU time, the median of three rounds, one line a dataset."""
    made = {
        "contacts": profiles(0, count),
        "orders": sales(0, count),
        "order_items": sales(0, count),
    }
    for dataset, records in made.items():
        frame = frame_of(records)
        lookups = {
            name: LookupTable(tuple(looked_up_columns(rules[dataset], name)))
            for name in rules[dataset].lookups
        }
        paces = [_pace(rules[dataset], frame, lookups) for _ in range(ROUNDS)]
        clock, cpu, rows = (statistics.median(found) for found in zip(*paces, strict=True))
        sys.stdout.write(
            f"{dataset:12} {clock:10,.0f} rows/s  {cpu:10,.0f} rows/s of CPU  {rows:,.0f} rows\n"
        )


def _pace(
    rules: DatasetRules, frame: pl.DataFrame, lookups: Mapping[str, LookupTable]
) -> tuple[float, float, int]:
    clock, cpu = time.perf_counter(), time.process_time()
    parts = frame.iter_slices(PART_ROWS)
    rows = expect_dataset(rules, parts, Conventions(), lookups, lambda _n: None).rows.height
    return rows / (time.perf_counter() - clock), rows / (time.process_time() - cpu), rows


@dataclass(frozen=True)
class Measured:
    """A dataset to read back: what its records are, how many rows each gives, and a column to put wrong."""

    records: Callable[[int, int], list[dict[str, object]]]
    rows_each: int
    odd: str
    times: tuple[str, ...]


MEASURED = {
    "contacts": Measured(profiles, 1, "city", ("created_at", "updated_at")),
    "order_items": Measured(sales, 3, "name", ("created_at",)),
}


def measure_memory(count: int, dataset: str, rules: DatasetRules, odd: int) -> None:
    """Prints peak memory and time of a whole read-back of `count` rows, every `odd`-th of which differs.

    What making the records costs is taken off. Where something differs the target is read and compared twice.
    """
    measured = MEASURED[dataset]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lookups = {
            name: LookupTable(tuple(looked_up_columns(rules, name))) for name in rules.lookups
        }
        began, began_at = time.process_time(), time.perf_counter()
        scope = Scope(folder=folder / "expected", rows=count)
        parts = _parts(measured, count)
        expected = expect_dataset(rules, parts, Conventions(), lookups, lambda _n: None, scope)
        cpu_s = time.process_time() - began - sum(_MADE_S)
        clock_s = time.perf_counter() - began_at - sum(_MADE_S)
        states, files = Spill(folder / "known", expected.shelf.buckets), []
        for number, bucket in enumerate(expected.buckets()):
            own = bucket.rows.select(
                pl.col(KEY), pl.lit("written").alias("state"), pl.col(KEY).alias("masterid")
            )
            states.add(own.select(list(STATES)))
            texts = [pl.col(f"c:{column}").alias(column) for column in expected.columns]
            stored = bucket.rows.select(pl.col(KEY).alias("__masterid__"), *texts)
            is_odd = pl.int_range(pl.len()) % odd == 0 if odd else pl.lit(value=False)
            wrong = pl.when(is_odd).then(pl.lit("Utrecht")).otherwise(measured.odd)
            files.append(folder / f"stored-{number}.csv")
            # times as the target shows them
            times = pl.col(*measured.times).str.replace(" ", "T") + "Z"
            stored.with_columns(wrong.alias(measured.odd), times).write_csv(files[-1])
        target = MemoryTarget(files, count)
        reading = Reading(
            folder / "pages",
            lambda: datetime.now(UTC),
            threading.Event(),
            page_rows=10**9,
        )
        known = Known(states, None, KnownRows())
        began, began_at = time.process_time(), time.perf_counter()
        found = verify_dataset(
            expected, known, target, dataset, reading, lambda _s: None, folder / "found.parquet"
        )
        cpu_s += time.process_time() - began
        clock_s += time.perf_counter() - began_at
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sys.stdout.write(
            f"{count:,} {dataset}: {found.compared:,} compared, {found.different:,} differ; peak {peak_mb:,.0f} MB; "
            f"{cpu_s:,.1f} s of CPU ({count / cpu_s:,.0f} rows/s of one core), {clock_s:,.1f} s by the clock "
            f"({count / clock_s:,.0f} rows/s)\n"
        )


_MADE_S: list[float] = []
"""What it took to make the records, of this thread."""


def _parts(measured: Measured, count: int) -> Iterator[pl.DataFrame]:
    records = count // measured.rows_each
    for first in range(0, records, PART_ROWS):
        began = time.thread_time()
        made = frame_of(measured.records(first, min(PART_ROWS, records - first)), first)
        _MADE_S.append(time.thread_time() - began)
        yield made


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--deep", type=int)
    parser.add_argument("--dataset", choices=MEASURED, default="contacts", help="with --deep")
    parser.add_argument(
        "--odd", type=int, default=0, help="with --deep: so many rows apart, one differs"
    )
    asked = parser.parse_args()
    rules = read_rules(Path(__file__).parents[2] / "mappings")
    if asked.deep:
        measure_memory(asked.deep, asked.dataset, rules[asked.dataset], asked.odd)
    else:
        measure_speed(asked.records, rules)


if __name__ == "__main__":
    main()
