"""Memory of the commands that come after a load: a replay of rejects, and an undo, at two sizes.

    python tests/bench/bench_again.py --rows 30000 300000

A sandbox holds as many contacts as `--rows` says, of nine columns. All of them change at the source, and of every
second one a value breaks a rule. The other half is loaded; the mapping is mended, the rejects are replayed, and that is
undone again. Each command is a process of its own, whose peak of memory the system tells. A replay plans and loads, so
it is told beside the plan and the load before it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEYS = {"DATATRICS_API_KEY": "bench", "OCTOLIS_API_KEYS": "bench"}
NAMES = ("email", "firstname", "lastname", "city", "street", "phone", "origin")
COLUMNS = "\n".join(f"  {name}: {{from: {name}, type: text}}" for name in NAMES)
MAPPING = (
    "version: 1\ndataset: contacts\nresource: profiles\nkey: [contact_key]\ncolumns:\n"
    "  contact_key: {from: profileid, type: text}\n"
    + COLUMNS
    + "\n  score: {from: score, type: integer}\n"
    "ignore: [created, updated]\n"
)
PROJECT = """
[datatrics]
base_url = "http://127.0.0.1:PORT/2.0"
project_id = "demo"
[octolis]
base_url = "http://127.0.0.1:PORT/v1/data"
limit_speed = 1000
[octolis.datasets]
contacts = "contacts"
[gates]
max_rejected = "100%"
max_collapsed = "100%"
"""


def main() -> None:
    """Measures at each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[30_000, 300_000])
    for rows in parser.parse_args().rows:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), rows)


def measure(folder: Path, rows: int) -> None:
    """Goes through the job once, and tells what each command took."""
    (folder / "mappings").mkdir()
    mapping = folder / "mappings" / "contacts.yaml"
    mapping.write_text(MAPPING, encoding="utf-8")
    with sandbox(folder) as port:
        (folder / "migrate.toml").write_text(PROJECT.replace("PORT", str(port)), encoding="utf-8")
        for name, is_changed in (("first", False), ("second", True)):
            write_records(folder / name, rows, is_changed=is_changed)
            extract = ("extract", "profiles", "--from-files", name, "--expect", f"profiles={rows}")
            run(folder, *extract, "--snapshot", name)
            _, plan_mb, _ = run(folder, "plan", "--snapshot", name, "--plan", name)
            _, load_mb, _ = run(folder, "load", "--plan", name)
        tell(f"{rows:,} rows: the plan before: {plan_mb:.0f} MB, its load: {load_mb:.0f} MB")
        mapping.write_text(
            MAPPING.replace(
                "type: integer", 'type: integer, values: {"none": "0"}, unlisted: keep'
            ),
            encoding="utf-8",
        )
        replayed, mb, seconds = run(folder, "rejects", "replay", "--plan", "second", "--json")
        told = json.loads(replayed)
        tell(f"{rows:,} rows: replay of {told['rejects']:,} rejects: {mb:.0f} MB, {seconds:.0f} s")
        for what in ("plan", "run"):
            _, mb, seconds = run(folder, "undo", what, "--plan", told["new_plan"], "--json")
            tell(
                f"{rows:,} rows: undo {what} of {rows // 2:,} updates: {mb:.0f} MB, {seconds:.0f} s"
            )


def tell(line: str) -> None:
    """Prints a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def write_records(folder: Path, rows: int, *, is_changed: bool) -> None:
    """The profiles as they are saved from the source."""
    folder.mkdir()
    with (folder / "profiles.ndjson").open("w", encoding="utf-8") as file:
        for number in range(rows):
            record = {name: f"{name} of number {number}" for name in NAMES}
            record |= {"profileid": str(number), "source": "shop", "created": "2026-01-01 10:00:00"}
            score = "none" if is_changed and number % 2 else str(number % 100)
            city = "Changed" if is_changed else "City"
            file.write(json.dumps(record | {"score": score, "city": city}) + "\n")


def run(folder: Path, *words: str) -> tuple[bytes, float, float]:
    """What a command prints, its peak of memory in MB and its seconds. Raises RuntimeError where it fails."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "migrate", *words, "-q"], cwd=folder, stdout=stdout, stderr=stderr,
            env={**os.environ, **KEYS, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder)},
        )  # fmt: skip
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        stderr.seek(0)
        # 3: done, with rejects
        if process.returncode not in (0, 3):
            raise RuntimeError(f"{' '.join(words)}: {stderr.read().decode()[-2000:]}")
        return stdout.read(), used.ru_maxrss / 1024, time.monotonic() - began


@contextlib.contextmanager
def sandbox(folder: Path) -> Iterator[int]:
    """The port of a sandbox in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    server = subprocess.Popen(
        [sys.executable, "-m", "migrate", "sandbox", "--mappings", "mappings", "--port", str(port),
         "--limits", "off", "--preparation", "0", "-q"],
        cwd=folder, env={**os.environ, **KEYS, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
