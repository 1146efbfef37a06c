"""Fuzzing for as long as there is time: `python -m tests.fuzz.run [--minutes N] [NAME...]`, 10 minutes each.

Inputs are those of the corpus, changed at random; the seed is printed and can be given. What ends in an error of
Python's or takes too long is written to `fuzz-found/` and named; the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
import traceback
from pathlib import Path

from .mutate import mutate
from .targets import CORPUS, Target

LONGEST_S = 20.0
FOUND = Path("fuzz-found")


def main() -> int:
    """1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CORPUS))
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(CORPUS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    seed = chosen.seed if chosen.seed is not None else time.time_ns()
    sys.stdout.write(f"seed {seed}\n")
    found = 0
    for name in chosen.names or CORPUS:
        runs, failures = fuzz(name, chosen.minutes * 60, random.Random(seed))  # not secret
        sys.stdout.write(f"{name}: {runs:,} inputs, {failures} found\n")
        sys.stdout.flush()
        found += failures
    return int(found > 0)


def fuzz(name: str, seconds: float, chance: random.Random) -> tuple[int, int]:
    """How many inputs a target was given in so many seconds, and how many different failures there were."""
    target, seeds = CORPUS[name]
    ends_at, runs, known = time.monotonic() + seconds, 0, set[str]()
    while time.monotonic() < ends_at:
        data = mutate(chance.choice(seeds), seeds, chance)
        runs += 1
        failure = try_one(target, data)
        if failure is not None and failure not in known:
            known.add(failure)
            FOUND.mkdir(exist_ok=True)
            file = FOUND / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
            file.write_bytes(data)
            sys.stdout.write(f"{name}: {file}\n{failure}\n")
    return runs, len(known)


def try_one(target: Target, data: bytes) -> str | None:
    """Where an input makes a target fail, or that it takes too long; None where it does neither."""
    started = time.monotonic()
    try:
        target(data)
    except Exception as error:  # noqa: BLE001  # any error here is what is looked for
        last = traceback.extract_tb(error.__traceback__)[-4:]
        places = " < ".join(
            f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(last)
        )
        return f"{type(error).__name__} at {places}: {str(error)[:200]}"
    took_s = time.monotonic() - started
    return f"took {took_s:.0f} s" if took_s > LONGEST_S else None


if __name__ == "__main__":
    raise SystemExit(main())
