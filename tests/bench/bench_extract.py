"""`migrate extract` beside its peers, against a server with prepared pages. Run by hand:

    python tests/bench/bench_extract.py [--records 500000] [--rounds 3] [--peer-python PATH]
    python tests/bench/bench_extract.py --records 200000 --latency 0.2
    python tests/bench/bench_extract.py --memory 100000 1000000

Each round runs every side once, each in a fresh process: start-up is included, but not the compiling of modules,
which an installation does once; so every side runs once before, unmeasured. Peers need the dependency group `bench`, in
this environment or in that of `--peer-python`; one that is missing is left out. Memory is the highest sum over the
process and its children of what each holds alone plus its share of what they hold together (PSS).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CONNECTIONS = 8
PAGE_SIZE = 500
WARM_UP_RECORDS = 1_000
BODIES = """
import sys, httpx
from concurrent.futures import ThreadPoolExecutor
url, records, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
client = httpx.Client()
def fetch(page):
    with client.stream("GET", url, params={"page": page, "limit": 500}) as response:
        return sum(map(len, response.iter_bytes()))
with ThreadPoolExecutor(8) as pool:
    assert sum(pool.map(fetch, range(1, records // 500 + 1))) > records * 100
"""
PANDAS = """
import sys, requests, pandas
url, folder = sys.argv[1], sys.argv[3]
session, frames, page, pages = requests.Session(), [], 1, 1
while page <= pages:
    answer = session.get(url, params={"page": page, "limit": 500}).json()
    pages, page = answer["total_pages"], page + 1
    frames.append(pandas.json_normalize(answer["items"]))
frame = pandas.concat(frames)
frame.to_parquet(folder + "/out.parquet")
assert len(frame) == int(sys.argv[2])
"""
DLT = """
import os, sys
url, records, folder, fast = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4] == "fast"
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
if fast:
    os.environ.update(NORMALIZE__WORKERS="2", DATA_WRITER__FILE_MAX_ITEMS="50000", NORMALIZE__START_METHOD="spawn")
if __name__ == "__main__":
    import dlt
    from dlt.sources.rest_api import rest_api_source
    base, _, path = url.rpartition("/")
    paginator = {"type": "page_number", "base_page": 1, "page_param": "page", "total_path": "total_pages"}
    endpoint = {"path": path, "params": {"limit": 500}, "data_selector": "items", "paginator": paginator}
    resources = [{"name": "profile", "endpoint": endpoint}]
    source = rest_api_source({"client": {"base_url": base + "/"}, "resources": resources})
    if fast:
        source.max_table_nesting = 0
    out = dlt.destinations.filesystem("file://" + folder + "/out")
    pipeline = dlt.pipeline("bench", pipelines_dir=folder + "/pipelines", destination=out, dataset_name="d")
    pipeline.run(source, loader_file_format="parquet")
    assert pipeline.last_trace.last_normalize_info.row_counts["profile"] == records
"""
PEERS = {
    "plain httpx, 8 threads, bodies thrown away": (BODIES, ()),
    "requests + pandas": (PANDAS, ()),
    "dlt REST source, fastest settings": (DLT, ("fast",)),
    "dlt REST source, defaults": (DLT, ("default",)),
}
OURS = "migrate extract"


@dataclass(frozen=True)
class Measured:
    """One run: seconds of wall and of CPU, and the peak of memory in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: float


@contextmanager
def serving(records: int, latency_s: float) -> Iterator[str]:
    """The address of a list with so many records."""
    command = [sys.executable, str(HERE / "page_server.py"), str(records), str(latency_s)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/2.0/project/bench/profile"
        server.stdin.close()


def run_ours(url: str, records: int, folder: Path) -> Measured:
    """One extract through the command line."""
    base = url.removesuffix("/project/bench/profile")
    settings = f'base_url = "{base}"\nproject_id = "bench"\nrequests_per_second = 100000\nconcurrency = {CONNECTIONS}\n'
    (folder / "migrate.toml").write_text(f"[datatrics]\n{settings}")
    command = [sys.executable, "-m", "migrate", "extract", "profiles", "--json", "--quiet"]
    measured, out = run(command, folder, {"DATATRICS_API_KEY": "bench"})
    found = json.loads(out)["resources"]["profiles"]
    assert (found["verdict"], found["distinct"]) == ("proven", records), found
    return measured


def run_peer(name: str, python: str, url: str, records: int, folder: Path) -> Measured:
    """One run of a peer."""
    code, arguments = PEERS[name]
    script = folder / "peer.py"
    script.write_text(code)
    return run([python, str(script), url, str(records), str(folder), *arguments], folder, {})[0]


def run(command: list[str], folder: Path, extra: dict[str, str]) -> tuple[Measured, str]:
    """A command's measures and what it printed. Raises CalledProcessError."""
    environment = {**os.environ, **extra, "PYTHONPATH": str(HERE.parents[1])}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began, before = time.monotonic(), os.times()
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        peak, done = [0.0], threading.Event()
        watcher = threading.Thread(target=watch, args=(process.pid, peak, done))
        watcher.start()
        out = process.communicate()[0]
        wall_s, after = time.monotonic() - began, os.times()
        done.set()
        watcher.join()
    if process.returncode:
        raise subprocess.CalledProcessError(
            process.returncode,
            command,
            out,
            (folder / "stderr").read_text(encoding="utf-8")[-2000:],
        )
    cpu_s = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return Measured(wall_s, cpu_s, peak[0]), out


def watch(pid: int, peak: list[float], done: threading.Event) -> None:
    """Keeps the highest memory of a process and its children, ten times a second."""
    while not done.wait(0.1):
        peak[0] = max(peak[0], sum(memory_mb(one) for one in [pid, *children(pid)]))


def children(pid: int) -> list[int]:
    """A process's children, grandchildren and so on."""
    try:
        own = [
            int(c)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for c in (task / "children").read_text(encoding="utf-8").split()
        ]
    except OSError:
        return []
    return [found for child in own for found in (child, *children(child))]


def memory_mb(pid: int) -> float:
    """A process's share of memory; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def compare(records: int, latency_s: float, rounds: int, python: str, skip: set[str]) -> None:
    """All sides in turn, so often; prints the medians."""
    results: dict[str, list[Measured]] = {name: [] for name in (OURS, *PEERS) if name not in skip}
    with serving(WARM_UP_RECORDS, 0) as url:
        for name in list(results):
            try:
                run_side(name, python, url, WARM_UP_RECORDS)
            except subprocess.CalledProcessError as error:
                say(f"  left out: {name}: {str(error.stderr or error).strip().splitlines()[-1]}")
                del results[name]
    with serving(records, latency_s) as url:
        for _ in range(rounds):
            for name, runs in results.items():
                runs.append(run_side(name, python, url, records))
    print_table(records, latency_s, rounds, results)


def run_side(name: str, python: str, url: str, records: int) -> Measured:
    """One run of any side, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        return (
            run_ours(url, records, at) if name == OURS else run_peer(name, python, url, records, at)
        )


def print_table(
    records: int, latency_s: float, rounds: int, results: dict[str, list[Measured]]
) -> None:
    """The medians, and how many times faster ours is."""
    say(f"{records:,} records, {latency_s * 1000:.0f} ms latency a page, medians of {rounds}")
    say(f"  {'':44} {'records/s':>10} {'wall s':>8} {'CPU s':>8} {'MB':>6} {'ours is':>8}")
    wall = {name: statistics.median(run.wall_s for run in runs) for name, runs in results.items()}
    for name, runs in results.items():
        cpu_s = statistics.median(run.cpu_s for run in runs)
        peak_mb = statistics.median(run.peak_mb for run in runs)
        times = f"{wall[name] / wall[OURS]:7.1f}x" if OURS in wall else ""
        say(
            f"  {name:44} {records / wall[name]:10,.0f} {wall[name]:8.1f} {cpu_s:8.1f} {peak_mb:6.0f} {times:>8}"
        )
    if latency_s and OURS in wall:
        bound = CONNECTIONS / latency_s
        say(
            f"  ours: {100 * records / PAGE_SIZE / wall[OURS] / bound:.0f} % of connections / latency"
        )


def say(text: str) -> None:
    """One line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-python", default=sys.executable, metavar="PATH")
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument(
        "--memory", type=int, nargs="+", metavar="RECORDS", help="only ours, once for each size"
    )
    chosen = parser.parse_args()
    for records in chosen.memory or []:
        compare(records, 0.0, 1, chosen.peer_python, set(PEERS))
    if not chosen.memory:
        skip = set(PEERS) if chosen.only_ours else set()
        compare(chosen.records, chosen.latency, chosen.rounds, chosen.peer_python, skip)


if __name__ == "__main__":
    main()
