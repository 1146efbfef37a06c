"""Fuzzing for as long as there is time: `python -m tests.fuzz.run [--minutes N] [NAME...]`, 10 minutes each.

Where atheris is installed, libFuzzer makes the inputs and keeps those that reach new lines in `fuzz-corpus/`, from
which the next run goes on. Elsewhere inputs are those of the corpus, changed at random. What ends in an error of
Python's or takes too long is written to `fuzz-found/` and named; the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import random
import re
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from .mutate import TOKENS, mutate
from .targets import CORPUS, Target

LONGEST_S = 20.0
"""Of the processor's time for one input: other work on the machine makes no input slow."""
HANGING_S = 300.0
"""By the clock, all that libFuzzer knows: so long only what never ends takes, also where the machine has other work."""
STARTING_S = 1_200.0
"""For a machine with other work: until everything is imported, with its lines counted, it may take minutes."""
LONGEST_GUIDED = 30_000
"""Bytes of an input of libFuzzer's: what is longer takes most of the time and reaches no other line."""
FOUND = Path("fuzz-found")
KEPT = Path("fuzz-corpus")
_FOUND_LINE = re.compile(rb"^(?:found: |.*Test unit written to )", re.MULTILINE)
_INPUTS = re.compile(rb"stat::number_of_executed_units:\s*(\d+)")
_COVERED = re.compile(rb"cov: (\d+)")


@dataclass
class Fuzzed:
    """What came of one target: inputs tried, places of the program reached (0: not counted), different failures."""

    inputs: int = 0
    covered: int = 0
    failures: int = 0


def main() -> int:
    """1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--random", action="store_true", help="without libFuzzer")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CORPUS))
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(CORPUS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    seed = chosen.seed if chosen.seed is not None else time.time_ns()
    is_guided = not chosen.random and importlib.util.find_spec("atheris") is not None
    sys.stdout.write(f"seed {seed}, {'guided by coverage' if is_guided else 'at random'}\n")
    failures = 0
    for name in chosen.names or CORPUS:
        started = time.monotonic()
        fuzz = fuzz_guided if is_guided else fuzz_at_random
        result = fuzz(name, chosen.minutes * 60, seed)
        sys.stdout.write(
            f"{name}: {result.inputs:,} inputs in {time.monotonic() - started:,.0f} s, "
            f"{result.covered:,} places covered, {result.failures} found\n"
        )
        sys.stdout.flush()
        failures += result.failures
    return int(failures > 0)


def fuzz_guided(name: str, seconds: float, seed: int) -> Fuzzed:
    """Lets libFuzzer run for so long; begun again where an input hangs or eats the memory, which ends its process."""
    folder = prepare_corpus(name)
    FOUND.mkdir(exist_ok=True)
    result, ends_at = Fuzzed(), time.monotonic() + seconds
    while (left := ends_at - time.monotonic()) > 1:
        command = [
            sys.executable,
            "-m",
            "tests.fuzz.guided",
            name,
            str(folder),
            str(left),
            str(seed),
        ]
        try:
            done = subprocess.run(command, capture_output=True, timeout=left + STARTING_S)
        except subprocess.TimeoutExpired:
            # libFuzzer itself ends an input that hangs: this is a machine that had no time for the process
            sys.stdout.write(f"{name}: did not end in time, and was stopped\n")
            break
        said = done.stdout + done.stderr
        result.inputs += sum(map(int, _INPUTS.findall(said)))
        result.covered = max([result.covered, *map(int, _COVERED.findall(said))])
        result.failures += len(_FOUND_LINE.findall(said))
        sys.stdout.write(done.stdout.decode("utf-8", "replace"))
        if done.returncode and not _FOUND_LINE.search(said):
            result.failures += 1
            sys.stdout.write(said[-3_000:].decode("utf-8", "replace"))
            break
        seed += 1
    return result


def prepare_corpus(name: str) -> Path:
    """The folder of a target's inputs, with the seeds in it and the words that libFuzzer may put into them."""
    folder = KEPT / name
    folder.mkdir(parents=True, exist_ok=True)
    for data in (seed for seed in CORPUS[name][1] if len(seed) <= LONGEST_GUIDED):
        (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    words = ['"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in TOKENS]
    folder.with_suffix(".dict").write_text("\n".join(words) + "\n")
    return folder


def fuzz_at_random(name: str, seconds: float, seed: int) -> Fuzzed:
    """Gives a target changed inputs for so many seconds."""
    target, seeds = CORPUS[name]
    chance = random.Random(seed)  # repeatable, not secret
    result, known = Fuzzed(), set[str]()
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        data = mutate(chance.choice(seeds), seeds, chance)
        result.inputs += 1
        failure = try_one(target, data)
        if failure is not None and failure not in known:
            known.add(failure)
            note_failure(name, data, failure)
    result.failures = len(known)
    return result


def note_failure(name: str, data: bytes, failure: str) -> None:
    """Keeps the input and says where."""
    FOUND.mkdir(exist_ok=True)
    file = FOUND / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
    file.write_bytes(data)
    sys.stdout.write(f"found: {file}\n{failure}\n")
    sys.stdout.flush()


def try_one(target: Target, data: bytes) -> str | None:
    """Where an input makes a target fail, or that it takes too long; None where it does neither."""
    started_s = time.process_time()
    try:
        target(data)
    except Exception as error:  # noqa: BLE001  # any error here is what is looked for
        last = traceback.extract_tb(error.__traceback__)[-4:]
        places = " < ".join(
            f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(last)
        )
        return f"{type(error).__name__} at {places}: {str(error)[:200]}"
    took_s = time.process_time() - started_s
    return f"took {took_s:.0f} s" if took_s > LONGEST_S else None


if __name__ == "__main__":
    raise SystemExit(main())
