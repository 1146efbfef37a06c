"""How fast the verifier works out what a dataset should hold, and how much memory reading all of it back takes.

python tests/bench/bench_verify.py [--records 200000]    rows a second of the shipped mappings, of the clock and of CPU
python tests/bench/bench_verify.py --deep 500000         contacts worked out, read back and compared: peak memory
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
from collections.abc import Iterator, Mapping, Sequence
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


def sales(count: int) -> list[dict[str, object]]:
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
        for n in range(count)
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
    made = {"contacts": profiles(0, count), "orders": sales(count), "order_items": sales(count)}
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


def measure_memory(count: int, rules: DatasetRules, odd: int) -> None:
    """Prints peak memory and CPU time of a whole read-back of `count` contacts, every `odd`-th of which differs.

    What making the records costs is taken off. Where something differs the target is read and compared twice.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.process_time()
        scope = Scope(folder=folder / "expected", rows=count)
        expected = expect_dataset(rules, _parts(count), Conventions(), {}, lambda _n: None, scope)
        worked_out_s = time.process_time() - began - sum(_MADE_S)
        states, files = Spill(folder / "known", expected.shelf.buckets), []
        for number, bucket in enumerate(expected.buckets()):
            own = bucket.rows.select(
                pl.col(KEY), pl.lit("written").alias("state"), pl.col(KEY).alias("masterid")
            )
            states.add(own.select(list(STATES)))
            texts = [pl.col(f"c:{column}").alias(column) for column in expected.columns]
            stored = bucket.rows.select(pl.col(KEY).alias("__masterid__"), *texts)
            is_odd = pl.int_range(pl.len()) % odd == 0 if odd else pl.lit(value=False)
            city = pl.when(is_odd).then(pl.lit("Utrecht")).otherwise("city").alias("city")
            files.append(folder / f"stored-{number}.csv")
            # times as the target shows them
            times = pl.col("created_at", "updated_at").str.replace(" ", "T") + "Z"
            stored.with_columns(city, times).write_csv(files[-1])
        target = MemoryTarget(files, count)
        reading = Reading(
            folder / "pages",
            lambda: datetime.now(UTC),
            threading.Event(),
            lambda _n: None,
            page_rows=10**9,
        )
        known = Known(states, None, KnownRows())
        began = time.process_time()
        found = verify_dataset(
            expected, known, target, "contacts", reading, lambda _s: None, folder / "found.parquet"
        )
        compared_s = time.process_time() - began
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sys.stdout.write(
            f"{count:,} contacts: {found.compared:,} compared, {found.different:,} differ; peak {peak_mb:,.0f} MB; "
            f"worked out in {worked_out_s:,.1f} s of CPU, compared in {compared_s:,.1f} s, "
            f"together {count / (worked_out_s + compared_s):,.0f} rows/s of CPU\n"
        )


_MADE_S: list[float] = []
"""What it took to make the records, of this thread."""


def _parts(count: int) -> Iterator[pl.DataFrame]:
    for first in range(0, count, PART_ROWS):
        began = time.thread_time()
        made = frame_of(profiles(first, min(PART_ROWS, count - first)), first)
        _MADE_S.append(time.thread_time() - began)
        yield made


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--deep", type=int)
    parser.add_argument(
        "--odd", type=int, default=0, help="with --deep: so many rows apart, one differs"
    )
    asked = parser.parse_args()
    rules = read_rules(Path(__file__).parents[2] / "mappings")
    if asked.deep:
        measure_memory(asked.deep, rules["contacts"], asked.odd)
    else:
        measure_speed(asked.records, rules)


if __name__ == "__main__":
    main()
