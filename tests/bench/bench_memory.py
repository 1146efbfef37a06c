"""Peak memory of every command at two sizes, and what a million rows more would take.

    python tests/bench/bench_memory.py --rows 30000 120000

A migration of `--rows` profiles and as many orders that look them up, one in ten profiles with the key of another, one
in a hundred with a value that breaks a rule; loaded into a sandbox, changed, planned again, and looked back at. Each
command is a process of its own, whose peak of memory the system tells. The sandbox's limits are off. A command whose
memory does not grow has 0 in the last column; what a batch or a page takes is in the first ones.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench_again import COLUMNS, NAMES, PROJECT, run, sandbox

CONTACTS = (
    "version: 1\ndataset: contacts\nresource: profiles\nkey: [contact_key]\ncolumns:\n"
    "  contact_key: {from: person, type: text}\n"
    + COLUMNS
    + "\n  score: {from: score, type: integer}\nignore: [created, updated, profileid]\n"
)
ORDERS = (
    "version: 1\ndataset: orders\nresource: sales\nkey: [order_key]\n"
    "lookups:\n  contact: {dataset: contacts, source: source, id: profileid, on_orphan: keep}\n"
    "columns:\n  order_key: {from: conversionid, type: text}\n"
    '  contact_key: {sql: "contact.contact_key", type: text}\n'
    "  total: {from: total, type: float}\nignore: [created]\n"
)


def main() -> None:
    """Measures at each size and prints one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs=2, default=[30_000, 120_000])
    parser.add_argument("--only", default="", help="commands to measure, separated by commas")
    arguments = parser.parse_args()
    few, many = arguments.rows
    wanted = set(filter(None, arguments.only.split(",")))
    sys.stdout.write(f"{'command':24} {few:>10,} {many:>10,}   MB a million more\n")
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        sides = zip(measure(Path(one), few), measure(Path(other), many), strict=True)
        for (name, small), (_, large) in sides:
            if wanted and name not in wanted:
                continue
            more = (large - small) / (many - few) * 1e6
            sys.stdout.write(f"{name:24} {small:10,.0f} {large:10,.0f} {more:10,.0f}\n")
            sys.stdout.flush()


def measure(folder: Path, rows: int) -> Iterator[tuple[str, float]]:
    """Goes through the job once; gives each command's name and its peak in MB."""
    (folder / "mappings").mkdir()
    (folder / "mappings" / "contacts.yaml").write_text(CONTACTS, encoding="utf-8")
    (folder / "mappings" / "orders.yaml").write_text(ORDERS, encoding="utf-8")
    with sandbox(folder) as port:
        project = (
            PROJECT.replace("PORT", str(port)) + 'max_unequal = "100%"\nmax_merges = 1000000\n'
        )
        project = project.replace(
            'contacts = "contacts"', 'contacts = "contacts"\norders = "orders"'
        )
        (folder / "migrate.toml").write_text(project, encoding="utf-8")
        for name, words in commands(folder, rows):
            yield name, run(folder, *words)[1]


def commands(folder: Path, rows: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The commands in turn; what each needs is made before it."""
    write_records(folder / "first", rows, changed=0)
    write_records(folder / "second", rows, changed=4)
    expect = ("--expect", f"profiles={rows}", "--expect", f"sales={rows}")
    for name in ("first", "second"):
        yield (
            f"extract {name}",
            ("extract", "profiles", "sales", "--from-files", name, *expect, "--snapshot", name),
        )
    yield "inspect", ("inspect", "--snapshot", "first")
    yield "plan", ("plan", "--snapshot", "first", "--plan", "first")
    yield "diff", ("diff", "--plan", "first", "--html", "report.html")
    yield "rejects export", ("rejects", "export", "--plan", "first")
    yield "load", ("load", "--plan", "first")
    yield "plan again", ("plan", "--snapshot", "second", "--plan", "second")
    yield "load again", ("load", "--plan", "second")
    yield "reconcile", ("reconcile", "--plan", "second")
    yield "reconcile --deep", ("reconcile", "--plan", "second", "--deep")
    yield "trace", ("trace", "profiles", "7", "--source", "shop")
    yield "status", ("status",)
    yield "evidence", ("evidence", "--plan", "second")
    yield "undo plan", ("undo", "plan", "--plan", "second")
    yield "undo run", ("undo", "run", "--plan", "second")
    yield "purge one person", ("purge", "--subject", "9", "--yes")


def write_records(folder: Path, rows: int, *, changed: int) -> None:
    """Profiles and sales as they are saved from the source; of every `changed` profiles one has moved."""
    folder.mkdir()
    with (folder / "profiles.ndjson").open("w", encoding="utf-8") as file:
        for number in range(rows):
            record = {name: f"{name} of number {number}" for name in NAMES}
            # mixed up, as no list of the source is in the order of the target
            person = number * 7919 % 1_000_003 if number % 10 else (number + 1) * 7919 % 1_000_003
            record |= {"profileid": str(number), "person": str(person), "source": "shop"}
            record |= {"created": "2026-01-01 10:00:00", "score": str(number % 100)}
            if number % 100 == 3:
                record["score"] = "none"
            if changed and number % changed == 0:
                record["city"] = "Changed"
            file.write(json.dumps(record) + "\n")
    with (folder / "sales.ndjson").open("w", encoding="utf-8") as file:
        for number in range(rows):
            record = {"conversionid": f"c{number}", "profileid": str(number * 31 % rows)}
            record |= {"source": "shop", "total": "12.50", "created": "2026-01-01 10:00:00"}
            file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
