"""How fast the verifier works out what a dataset should hold: records a second of the shipped mappings, one core.

python tests/bench/bench_verify.py [--records 20000]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import polars as pl

from migrate.verify.expected import expect_dataset
from migrate.verify.rules import Conventions, read_rules

ROUNDS = 3


def profiles(count: int) -> list[dict[str, object]]:
    """Profiles with the fields that shops send."""
    return [
        {
            "profileid": str(n), "source": "Magento 2", "email": f" Person{n}@Example.test", "firstname": "Anneliese",
            "lastname": "van der Meulen", "address": "Kerkstraat 1", "zip": "1012 AB", "city": "Amsterdam",
            "newsletter": n % 2, "dateofbirth": "1970-05-11", "created": "2023-03-15 10:30:00",
            "updated": "2024-03-15 10:30:00", "gender": "Female", "phone": "0201234567",
        }
        for n in range(count)
    ]  # fmt: skip


def sales(count: int) -> list[dict[str, object]]:
    """Orders of three lines."""
    line = {"itemid": "sku-1", "name": "Woollen blanket", "price": "19.99", "quantity": "1.0000", "total": "19.99"}
    return [
        {
            "conversionid": f"{n:09d}", "source": "Magento 2", "profileid": str(n), "currency": "EUR", "total": "59.97",
            "created": "2024-03-15 10:30:00", "items": [line] * 3,
        }
        for n in range(count)
    ]  # fmt: skip


def main() -> None:
    """Prints one line a dataset: the median of three rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    count = parser.parse_args().records
    rules = read_rules(Path(__file__).parents[2] / "mappings")
    made = {"contacts": profiles(count), "orders": sales(count), "order_items": sales(count)}
    for dataset, rows in made.items():
        frame = pl.DataFrame(
            {
                "_position": range(count),
                "_source": [str(row["source"]) for row in rows],
                "_id": [str(row.get("conversionid") or row["profileid"]) for row in rows],
                "_raw": [json.dumps(row) for row in rows],
            }
        )
        lookups = {name: {} for name in rules[dataset].lookups}
        seconds = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            found = expect_dataset(rules[dataset], [frame], Conventions(), lookups, lambda _n: None)
            seconds.append(time.perf_counter() - began)
        rate = count / statistics.median(seconds)
        sys.stdout.write(f"{dataset:12} {rate:10,.0f} records/s  {found.rows.height:,} rows\n")


if __name__ == "__main__":
    main()
