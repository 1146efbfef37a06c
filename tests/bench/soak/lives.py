"""The ways in which a life of the loading process ends."""

from __future__ import annotations

import signal
import time

from stage import Life, Stage

MOST_REQUESTS = 14


def killed(stage: Stage) -> None:
    """SIGKILL after a few requests, at any moment."""
    process = stage.start()
    stage.wait_for_requests(process, stage.rng.randint(1, MOST_REQUESTS))
    time.sleep(stage.rng.uniform(0, 0.03))
    process.kill()
    stage.end(process)


def asked_to_stop(stage: Stage) -> None:
    """SIGTERM or Ctrl-C: what is in flight ends and is written down, so nothing has to be sent again."""
    process = stage.start()
    stage.wait_for_requests(process, stage.rng.randint(1, MOST_REQUESTS))
    process.send_signal(stage.rng.choice((signal.SIGTERM, signal.SIGINT)))
    before = stage.resent
    code, said = stage.end(process)
    if (code, stage.resent) != (130, before):
        stage.wrong.append(
            f"asked to stop: exit code {code}, {stage.resent - before} left in flight: {said:.200}"
        )


def disk_full(stage: Stage) -> None:
    """No file may grow any more: one line of why, exit code 7, and the next life goes on."""
    files = [stage.ledger, stage.ledger.with_name("ledger.sqlite-wal")]
    largest = max((file.stat().st_size for file in files if file.exists()), default=0)
    process = stage.start(max(largest, 200_000) + stage.rng.randrange(60_000))
    stage.wait_for_requests(process, 4 * MOST_REQUESTS)
    if process.poll() is None:
        process.kill()
    code, said = stage.end(process)
    if code not in (7, -signal.SIGKILL) or "Traceback" in said:
        stage.wrong.append(f"disk full: exit code {code}: {said:.300}")


def two_at_once(stage: Stage) -> None:
    """The second process is told who is at work and ends with 7; then the first is killed."""
    first = stage.start()
    stage.wait_for_requests(first, 1)
    second = stage.start()
    _, said = second.communicate(timeout=60)
    if first.poll() is None and (second.returncode != 7 or f"process {first.pid}" not in said):
        stage.wrong.append(f"the second of two: exit code {second.returncode}: {said:.200}")
    first.kill()
    stage.end(first)


LIVES: dict[str, tuple[Life, int]] = {
    "killed": (killed, 80),
    "asked to stop": (asked_to_stop, 8),
    "disk full": (disk_full, 6),
    "two at once": (two_at_once, 6),
}
"""Each with how many in a hundred end so."""
