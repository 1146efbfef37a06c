"""As many cases as asked for: `python -m tests.agreement.run [--cases N] [--seed N] [--only NAME,NAME] [--list]`.

A case is one record under one mapping. `--only` names what every mapping should hold where it can, as `each`,
`STRPOS`, `%y`, `consent by SQL`; `--list` prints the names. Differences are printed with their seed, and the exit code
is 1. Refused files count for nothing. Ctrl-C ends it and tells how many cases were tried.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from .cases import RECORDS, Refused, compare, make_case

_SHOWN = 5
_LISTED_SEEDS = 300


def main() -> int:
    """1 where the two readings differ in some case."""
    parser = argparse.ArgumentParser(prog="python -m tests.agreement.run")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    chosen = parser.parse_args()
    only = [name for name in chosen.only.split(",") if name]
    with tempfile.TemporaryDirectory() as folder:
        if chosen.list:
            sys.stdout.write("\n".join(names(Path(folder))) + "\n")
            return 0
        return run(Path(folder), chosen.cases, chosen.seed, only)


def names(folder: Path) -> list[str]:
    """The names of all that cases are made of."""
    made: Counter[str] = Counter()
    for seed in range(_LISTED_SEEDS):
        made.update(make_case(folder, seed, records=0)[1])
    return sorted(made)


def run(folder: Path, cases: int, seed: int, only: list[str]) -> int:
    """1 where the two readings differ in some case from this seed on."""
    tried = refused = differing = 0
    started = time.monotonic()
    first = seed
    while tried < cases:
        found: list[str] = []
        try:
            found, _ = compare(folder, seed, only)
            tried += RECORDS
        except Refused:
            refused += 1
        except KeyboardInterrupt:
            break
        except Exception:  # noqa: BLE001  # an error of Python's is a difference like another
            found = [traceback.format_exc(limit=-4)]
        if found:
            differing += 1
            shown = "\n    ".join(found[:_SHOWN])
            sys.stdout.write(f"seed {seed}: {len(found)} differences\n    {shown}\n")
            sys.stdout.flush()
        seed += 1
    took = f"{time.monotonic() - started:.0f} s"
    sys.stdout.write(
        f"{tried:,} cases, seeds {first} to {seed - 1}, {refused} refused, {differing} differ, {took}\n"
    )
    return int(differing > 0)


if __name__ == "__main__":
    raise SystemExit(main())
