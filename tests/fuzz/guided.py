"""Coverage-guided fuzzing of one target by libFuzzer: `python -m tests.fuzz.guided NAME FOLDER SECONDS SEED`.

A process of its own, because libFuzzer ends the process it runs in, and any process that hangs or eats the memory.
Each failure is a line `found: FILE`, followed by what failed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

_MOST_MEMORY_MB = 3_000


def main() -> None:
    """Runs until the time is over; ends the process."""
    name, folder, seconds, seed = sys.argv[1:]
    # Only what is imported in here tells libFuzzer which of its lines an input reaches.
    with atheris.instrument_imports(include=["migrate"]):
        from .run import FOUND, HANGING_S, LONGEST_GUIDED, note_failure, try_one
        from .targets import CORPUS

        target, _seeds = CORPUS[name]
        known: set[str] = set()

        def test(data: bytes) -> None:
            failure = try_one(target, data)
            if failure is not None and failure not in known:
                known.add(failure)
                note_failure(name, data, failure)

        options = {
            "max_total_time": max(1, round(float(seconds))),
            "seed": int(seed) % (1 << 31) or 1,
            "max_len": LONGEST_GUIDED,
            "timeout": round(HANGING_S),
            "rss_limit_mb": _MOST_MEMORY_MB,
            "artifact_prefix": f"{FOUND}/{name}-",
            "dict": Path(folder).with_suffix(".dict"),
            "print_final_stats": 1,
            "report_slow_units": round(HANGING_S),
        }
        atheris.Setup(
            ["fuzz", *(f"-{key}={value}" for key, value in options.items()), folder], test
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
