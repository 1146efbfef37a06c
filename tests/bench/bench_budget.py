"""Prints what the points budget reaches in ten simulated minutes, for both kinds of windows and several phases.

Run by hand: `python tests/bench/bench_budget.py`. Targets: one key ≥ 96 % of 135 writes a minute at up to 30 ms of
jitter, ≥ 88 % at 100 ms; two keys ≥ 98 % of 200; at most one refusal in a hundred requests. A jitter of 100 ms is a
delay spread evenly over 0 … 100 ms, on the way out and again on the way back.

With `--real` it loads for two minutes of real time each (`--seconds 120`) into a sandbox process that enforces the
limits: one key and two, latencies of 50 ms, 300 ms and 2 s. The first minute's burst counts once in two minutes, as it
does in the ceiling.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "target"), str(ROOT / "tests" / "bench")]

from limits_model import Service, jitter, simulate  # noqa: E402 - the path has to be set first
from real_load import CEILINGS, pace_at  # noqa: E402 - the path has to be set first

from migrate.target.budget import Budget  # noqa: E402 - the path has to be set first

MINUTES = 10
PHASES: dict[str, list[tuple[float, float, float] | None]] = {
    "first-use": [None],
    "clock": [(n / 7, 60 * n / 7, 60 * n / 5 % 60) for n in range(7)],
}
TARGETS = {
    (1, 10): 0.96,
    (1, 30): 0.96,
    (1, 100): 0.88,
    (2, 10): 0.98,
    (2, 30): 0.98,
    (2, 100): 0.98,
}


def measure(keys: int, jitter_ms: int, latency_s: float, kind: str) -> tuple[float, float]:
    """The worst rate of all phases, as a share of the ceiling, and the worst refusals per hundred requests."""
    worst_rate, worst_refused = 2.0, 0.0
    for seed, phases in enumerate(PHASES[kind] * (3 if kind == "first-use" else 1)):
        rng = random.Random(seed)
        delays = [jitter(rng, latency_s / 2, jitter_ms / 1000) for _ in range(2)]
        outcome = simulate(
            Service(phases, keys),
            Budget(keys),
            seconds=60 * MINUTES,
            outward=delays[0],
            backward=delays[1],
        )
        worst_rate = min(worst_rate, outcome.per_minute(60 * MINUTES) / (135 if keys == 1 else 200))
        worst_refused = max(
            worst_refused, 100 * outcome.refused / (outcome.accepted + outcome.refused)
        )
    return worst_rate, worst_refused


def main() -> int:
    """0 when every target is met."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--real", action="store_true", help="real time, against a sandbox that enforces the limits"
    )
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--windows", choices=["first-use", "clock"], default="first-use")
    chosen = parser.parse_args()
    return measure_real(chosen.seconds, chosen.windows) if chosen.real else measure_all()


def measure_real(seconds: float, windows: str) -> int:
    """0 when the real loads meet their targets, too."""
    missed = 0
    sys.stdout.write(f"{seconds:.0f} s each, windows {windows}\n")
    sys.stdout.write(
        f"{'keys':>4} {'latency s':>9} {'batches/min':>11} {'of ceiling':>10} {'429s/100':>8} {'core':>6}\n"
    )
    for keys, ceiling in CEILINGS.items():
        for latency_s in (0.05, 0.3, 2.0):
            pace = pace_at(keys, latency_s, windows, seconds)
            share, target = pace.batches_a_minute / ceiling, TARGETS[keys, 30]
            met = share >= target and pace.refused <= 1
            missed += not met
            line = f"{keys:4} {latency_s:9} {pace.batches_a_minute:11.1f} {share:10.1%} {pace.refused:8.2f}"
            sys.stdout.write(f"{line} {pace.core:6.1%} {target:.0%} {'met' if met else 'MISSED'}\n")
            sys.stdout.flush()
    return 1 if missed else 0


def measure_all() -> int:
    """0 when every target is met in simulated time."""
    missed = 0
    sys.stdout.write(
        f"{'keys':>4} {'jitter ms':>9} {'latency s':>9} {'windows':>10} {'of ceiling':>10} {'429s/100':>8} target\n"
    )
    for (keys, jitter_ms), target in TARGETS.items():
        for latency_s in (0.05, 0.3, 1.0, 2.0):
            for kind in PHASES:
                rate, refused = measure(keys, jitter_ms, latency_s, kind)
                met = rate >= target and refused <= 1
                missed += not met
                line = (
                    f"{keys:4} {jitter_ms:9} {latency_s:9} {kind:>10} {rate:10.1%} {refused:8.2f}"
                )
                sys.stdout.write(f"{line} {target:.0%} {'met' if met else 'MISSED'}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
