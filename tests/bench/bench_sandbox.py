"""How much the sandbox serves: list pages and batches per second. Run by hand: `python tests/bench/bench_sandbox.py`.

The server is a process of its own; its CPU seconds are what one core would be busy for, however slow the client is.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings

PAGES = 400
BATCHES = 60
PROFILES = 20_000
COLUMNS = [f"text_{n}" for n in range(8)]
DATASETS = (
    '[contacts]\nkeys = [["contact_key"]]\n[contacts.columns]\ncontact_key = "text"\n'
    'total = "float"\norders = "integer"\n'
    'created_at = "datetime"\noptin = "boolean"\nage = "integer"\n'
    + "".join(f'{name} = "text"\n' for name in COLUMNS)
)


def run_server(pipe: Connection, folder: str, db: bool) -> None:
    """Serves until told to stop; sends its address, then its CPU seconds whenever asked."""
    datasets = Path(folder, "datasets.toml")
    datasets.write_text(DATASETS, "utf-8")
    settings = SandboxSettings(
        datasets=datasets,
        db=Path(folder, "sandbox.db") if db else None,
        limits=Limits(enforce=False),
    )
    with Sandbox(settings) as sandbox:
        pipe.send(int(sandbox.url.rpartition(":")[2]))
        while pipe.recv():
            usage = resource.getrusage(resource.RUSAGE_SELF)
            pipe.send(usage.ru_utime + usage.ru_stime)


def make_profile(number: int) -> dict[str, object]:
    """One profile as it is written, of about 540 bytes."""
    attributes = {f"attribute_{n}": f"value {n} of profile {number}" for n in range(10)}
    created = f"2020-01-{number % 28 + 1:02d} 12:00:00"
    return {
        "profileid": str(number),
        "source": "Shop",
        "profile": {**attributes, "total": 19.99, "created": created},
    }


def make_record(number: int) -> dict[str, object]:
    """One record of 14 columns."""
    values = {name: f"{name} of {number}" for name in COLUMNS}
    typed = {
        "total": 19.99,
        "orders": number,
        "created_at": "2020-02-03 04:05:06",
        "optin": True,
        "age": 44,
    }
    return {"contact_key": f"Shop:{number}", **values, **typed}


def measure(label: str, count: int, ask: Callable[[int], None], pipe: Connection) -> None:
    """Prints requests per second, by the clock and by the server's CPU."""
    pipe.send(True)
    cpu_s = pipe.recv()
    started_s = time.perf_counter()
    for number in range(count):
        ask(number)
    elapsed_s = time.perf_counter() - started_s
    pipe.send(True)
    cpu_s = pipe.recv() - cpu_s
    by_clock, by_cpu = count / elapsed_s, count / cpu_s
    print(f"{label:34} {by_clock:10.0f} /s by the clock {by_cpu:10.0f} /s of server CPU")  # noqa: T201


def bench(db: bool) -> None:
    """One server, all measurements."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        server = context.Process(target=run_server, args=(other, folder, db), daemon=True)
        server.start()
        connection = http.client.HTTPConnection("127.0.0.1", pipe.recv())
        headers = {
            "x-apikey": "sandbox-datatrics-key",
            "Accept": "*/*",
            "Content-Type": "application/json",
        }

        def ask(method: str, path: str, body: bytes | None = None) -> None:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()

        bulks = [
            json.dumps({"profiles": [make_profile(n) for n in range(at, at + 500)]}).encode()
            for at in range(0, PROFILES, 500)
        ]
        batches = [
            json.dumps([make_record(n) for n in range(at * 500, at * 500 + 500)]).encode()
            for at in range(BATCHES)
        ]
        records = "/v1/data/datasets/contacts/records"
        key = "api-key=sandbox-octolis-key"
        print(f"state in {'a SQLite file' if db else 'memory'}")  # noqa: T201
        bulk = "/2.0/project/demo/profile/bulk"
        measure("bulks of 500 profiles", len(bulks), lambda n: ask("POST", bulk, bulks[n]), pipe)
        profiles = "/2.0/project/demo/profile?limit=500&sort=created&order=1&page="
        measure(
            "list pages of 500 profiles",
            PAGES,
            lambda n: ask("GET", f"{profiles}{n % 40 + 1}"),
            pipe,
        )
        measure(
            "batches of 500, creating",
            BATCHES,
            lambda n: ask("POST", f"{records}/batch?{key}", batches[n]),
            pipe,
        )
        measure(
            "batches of 500, updating",
            BATCHES,
            lambda n: ask("POST", f"{records}/batch?{key}", batches[n]),
            pipe,
        )
        measure(
            "exports of 30,000 records, JSON", 3, lambda _: ask("GET", f"{records}?{key}"), pipe
        )
        measure(
            "exports of 30,000 records, CSV",
            3,
            lambda _: ask("GET", f"{records}?{key}&format=csv"),
            pipe,
        )
        pipe.send(False)
        server.join(timeout=10)


if __name__ == "__main__":
    for with_db in (False, True):
        bench(with_db)
