"""Reading the target and comparing: this tool against polars by hand, pandas and diffly, side by side in one run.

Each is given the planned rows as Parquet and the target as CSV; only this tool keeps what it read, as Parquet with
hashes, and tells which columns of which row change.

Run by hand: `python tests/bench/bench_plan.py [--rows 200000] [--rounds 3] [--cases ours,polars,pandas,diffly,plan]`;
the full size is --rows 1000000, that for memory --rows 10000000 --rounds 1 --cases ours,plan. Each case is a process of
its own, so that its peak memory is its own; the target's CSV pages are prepared on disk, 50,000 rows each. pandas and
diffly are measured where they are installed (dependency group `bench`). Processor seconds stand beside those of the
clock, for a machine that others use too.

`collapse` is mapping and collapse alone, `plan` the whole plan of the rows as profiles (mapping, collapse, payloads,
merge forecast, files), `duckdb` a script for DuckDB that writes the same rows and payloads (`plan_by_duckdb.py`;
`--check` compares them value by value), `report` the same and then its report with all lists. With `--doubles 10`,
one in ten of the profiles shares its key with another.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import plan_peers as peers
import polars as pl
from plan_by_duckdb import plan_by_duckdb

PAGE_ROWS = 50_000
COLUMNS = 14
TEXTS = ["key", "email", "firstname", "lastname", "city", "country", "phone", "lang"]
NUMBERS = ["visits", "orders", "points"]


def main() -> None:
    """Prepares the data, runs the cases in turn, prints one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", default="ours,polars,pandas,diffly,plan,duckdb,report")
    parser.add_argument("--doubles", type=int, default=0)
    parser.add_argument(
        "--shuffled",
        action="store_true",
        help="the target's rows in another order than the source's",
    )
    parser.add_argument("--figures", type=Path, help="write the medians to this file, as JSON")
    parser.add_argument(
        "--check", action="store_true", help="compare duckdb's rows with the plan's"
    )
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(arguments.case, arguments.folder)))  # noqa: T201  # the parent reads it
        return
    wanted = [
        name
        for name in arguments.cases.split(",")
        if name not in ("pandas", "diffly") or _is_installed(name)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, arguments.rows, shuffled=arguments.shuffled)
        write_snapshot(folder, arguments.doubles)
        if arguments.check:
            # in a process of its own: the system counts its memory for those that are begun from it later
            _in_a_process("check", folder)
        found: dict[str, list[dict[str, float]]] = {case: [] for case in wanted}
        for _ in range(arguments.rounds):
            for case in wanted:
                found[case].append(_in_a_process(case, folder))
    show(found, arguments.rows)
    if arguments.figures:
        medians = {
            case: {
                name: statistics.median(run[name] for run in runs) for name in ("cpu", "peak_mb")
            }
            for case, runs in found.items()
        }
        arguments.figures.write_text(json.dumps(medians), encoding="utf-8")


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _in_a_process(case: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--case", case, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def show(found: dict[str, list[dict[str, float]]], rows: int) -> None:
    """One line a case: median seconds, rows a second, against polars by hand, peak memory."""
    medians = {
        case: statistics.median(run["seconds"] for run in runs) for case, runs in found.items()
    }
    about = "1 % changed, 0.5 % missing on each side"
    print(f"{rows:,} rows x {COLUMNS} columns against as many: {about}")  # noqa: T201
    heads = f"{'median s':>9} {'spread':>7} {'cpu s':>7} {'rows/s':>11} {'of polars':>10} {'peak MB':>8}"
    print(f"{'case':8} {heads}")  # noqa: T201
    for case, runs in found.items():
        seconds = [run["seconds"] for run in runs]
        ratio = medians.get("polars", float("nan")) / medians[case]
        memory = max(run["peak_mb"] for run in runs)
        spread = (max(seconds) - min(seconds)) / medians[case]
        cpu = statistics.median(run["cpu"] for run in runs)
        rate = rows / medians[case]
        line = f"{medians[case]:9.2f} {spread:7.0%} {cpu:7.2f} {rate:11,.0f} {ratio:10.2f} {memory:8,.0f}"
        print(f"{case:8} {line}")  # noqa: T201


def prepare(folder: Path, rows: int, *, shuffled: bool = False) -> None:
    """The planned rows as Parquet, and the target as CSV pages; part by part, so that memory does not grow."""
    # every number once, neighbours far from each other: the step is a prime, so it shares no factor with the rows
    step = 999_999_937 if shuffled else 1
    (folder / "planned").mkdir()
    (folder / "pages").mkdir()
    counted = 0
    for number, start in enumerate(range(0, rows, PAGE_ROWS)):
        places = pl.int_range(start, min(start + PAGE_ROWS, rows), eager=True)
        mine = _rows(places)
        theirs = _rows(places * step % rows)
        mine.filter(pl.col("n") % 200 != 1).drop("n").write_parquet(
            folder / "planned" / f"{number:05d}.parquet"
        )
        changed = pl.col("n") % 100 == 0
        held = theirs.filter(pl.col("n") % 200 != 3).with_columns(
            pl.when(changed).then(pl.lit("Elsewhere")).otherwise(pl.col("city")).alias("city"),
            pl.col("created_at").dt.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            pl.format(
                "00000000-0000-4000-8000-{}", pl.col("n").cast(pl.String).str.zfill(12)
            ).alias("__masterid__"),
        )
        held.drop("n").write_csv(folder / "pages" / f"{number:05d}.csv", quote_style="non_numeric")
        counted += held.height
    (folder / "count").write_text(str(counted), encoding="utf-8")


def _rows(numbers: pl.Series) -> pl.DataFrame:
    n = pl.col("n")
    texts = [
        pl.format(name + " {}", (n * 7919 % (10**9 + 7)) if name == "key" else n % 5_000).alias(
            name
        )
        for name in TEXTS
    ]
    texts[0] = pl.format("shop:{}", n * 7919 % (10**9 + 7)).alias("key")
    texts[1] = pl.format("person.{}@example.test", n).alias("email")
    return pl.DataFrame({"n": numbers}).select(
        "n",
        *texts,
        *((n % (50 + at)).cast(pl.Int32).alias(name) for at, name in enumerate(NUMBERS)),
        (n.cast(pl.Decimal(38, 6)) / 100).cast(pl.Decimal(38, 6)).alias("spent"),
        (n % 3 == 0).alias("optin"),
        (pl.datetime(2020, 1, 1) + pl.duration(seconds=n))
        .cast(pl.Datetime("us"))
        .alias("created_at"),
    )


def measure(case: str, folder: Path) -> dict[str, float]:
    """Seconds and peak memory of one case in this process; what it imports is loaded before the clock starts."""
    for module in IMPORTS.get(case, ()):
        importlib.import_module(module)
    started, used = time.perf_counter(), time.process_time()
    changed = CASES[case](folder)
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "cpu": cpu, "peak_mb": peak, "changed": changed}


@dataclass(frozen=True)
class Count:
    """An answer of the count endpoint."""

    count: int


class Pages:
    """A target whose pages are on disk."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted((folder / "pages").iterdir())
        self._count = Count(int((folder / "count").read_text(encoding="utf-8")))

    def count(self, _dataset_id: str, _filters: object = None) -> Count:
        return self._count

    def export_csv(self, _dataset_id: str, page: int, _page_size: int = PAGE_ROWS) -> bytes:
        return self.files[page - 1].read_bytes() if page <= len(self.files) else b""

    def get_record(self, _dataset_id: str, _masterid: str) -> None:
        return None


def ours(folder: Path) -> int:
    """The tool's reading and comparison, pages kept as Parquet."""
    from migrate.plan.classify import ComparedColumns, label_rows
    from migrate.plan.reading import ReadingPlace, read_target
    from migrate.progress import Silence

    with tempfile.TemporaryDirectory() as name:
        place = ReadingPlace(
            "contacts", "d", Path(name) / "contacts", Path(name), lambda: datetime.now(UTC)
        )
        place.folder.mkdir()
        held = read_target(Pages(folder), place, Silence(), Event())
        planned = _planned(folder)
        columns = ComparedColumns(planned.types, ("key",))
        found = label_rows(planned, held, columns, Path(name) / "aside")
        changes = found.labels.chunks(planned.height)
        return sum(int((chunk.get_column("_change") == "update").sum()) for chunk in changes)


def _planned(folder: Path) -> Any:  # its class is the tool's, which peers do not load
    from migrate.plan.tables import ParquetTable

    class Planned(ParquetTable):
        """The planned rows on disk, with their keys as the tool names them."""

        types = pl.read_parquet_schema(next((folder / "planned").iterdir()))

        def frames(self, names: Sequence[str]) -> Iterator[pl.DataFrame]:
            stored = list(dict.fromkeys("key" if name == "_key" else name for name in names))
            for frame in super().frames(stored):
                yield frame.with_columns(pl.col("^key$").alias("_key")).select(names)

    rows = pl.scan_parquet(folder / "planned").select(pl.len()).collect().item()
    names = ["_key", *Planned.types.names()]
    return Planned(sorted((folder / "planned").iterdir()), names, rows)


NOW = datetime(2026, 1, 1, tzinfo=UTC)
BODY_BYTES = 5_000_000
MAPPING = """
version: 1
dataset: contacts
resource: profiles
key: [key]
alternative_keys: [[email]]
columns:
"""


def whole_plan(folder: Path) -> int:
    """A whole plan of the rows as profiles."""
    with tempfile.TemporaryDirectory() as name:
        return _plan(folder, Path(name)).document.datasets["contacts"].update


def plan_and_report(folder: Path) -> int:
    """A whole plan, then its report with all lists."""
    from migrate.report.diff_page import open_report, write_page
    from migrate.report.words import words_of
    from migrate.workspace import Workspace

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        _plan(folder, root)
        plan, view, shown = open_report(Workspace(root / "w"), "plan", show_values=False, start=NOW)
        write_page(plan, view, shown, root / "report.html", made_at="now", words=words_of("en"))
        return plan.document.datasets["contacts"].update


def mapped_and_collapsed(folder: Path) -> int:
    """The rows through the mapping and made one by key, as a plan does it before it looks at the target."""
    from migrate.mapping.transform import Settings
    from migrate.plan.dataset import finish_dataset
    from migrate.plan.rows import Way, map_files

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        _write_mapping(root)
        mapping = _mappings(root)["contacts"]
        resource: Any = _Snapshot(folder)  # what is needed of a resource
        mapped = map_files(
            mapping,
            [(resource, Way(mapping, {}, Settings(), BODY_BYTES))],
            root / "spill",
            lambda _records: None,
        )
        return finish_dataset(mapping, mapped, root / "spill", BODY_BYTES).gathered.rows.height


def _plan(folder: Path, root: Path) -> Any:  # a plan
    from migrate.config import Project
    from migrate.plan.build import build_plan
    from migrate.plan.request import PlanRequest
    from migrate.progress import Silence
    from migrate.workspace import Workspace

    _write_mapping(root)
    values = {
        "workspace": root / "w",
        "mappings": root / "mappings",
        "datatrics": {"project_id": "1"},
    }
    project = Project.model_validate({**values, "octolis": {"datasets": {"contacts": "d"}}})
    target, request, workspace = (
        Pages(folder),
        PlanRequest("plan", None, offline=False),
        Workspace(project.workspace),
    )
    snapshot: Any = _Snapshot(folder)  # what a plan needs of a snapshot
    mappings = _mappings(root)
    return build_plan(
        project, workspace, snapshot, mappings, target, request, Silence(), Event(), lambda: NOW
    )


def _write_mapping(root: Path) -> None:
    types = {
        "spent": "float",
        "optin": "boolean",
        "created_at": "datetime",
        **dict.fromkeys(NUMBERS, "integer"),
    }
    lines = [
        f"  {c}: {{from: {c}, type: {types.get(c, 'text')}}}\n"
        for c in (*TEXTS, *NUMBERS, "spent", "optin", "created_at")
    ]
    (root / "mappings").mkdir()
    (root / "mappings" / "contacts.yaml").write_text(MAPPING + "".join(lines), encoding="utf-8")


def _mappings(root: Path) -> Any:  # mappings by dataset
    from migrate.mapping.files import read_mappings

    return read_mappings(root / "mappings")


class _Snapshot:
    """The planned rows as a snapshot's profiles, one part a page."""

    name, manifest_sha256, verdict, base, touched_from = "bench", "", "proven", None, 0

    def __init__(self, folder: Path) -> None:
        self.files = sorted((folder / "snapshot").iterdir())
        self.columns = [*TEXTS, *NUMBERS, "spent", "optin", "created_at"]
        self.rows = pl.scan_parquet(folder / "snapshot").select(pl.len()).collect().item()

    def resource(self, _name: str) -> _Snapshot:
        return self

    @property
    def result(self) -> _Snapshot:
        return self

    def frames(self, fields, raw):  # type: ignore[no-untyped-def]  # as the snapshot's
        """The parts as texts."""
        own = ["_source", "_id", "_position"]
        for file in self.files:
            texts = pl.read_parquet(file, columns=[*sorted(fields), *own])
            yield texts.with_columns(pl.lit(1, pl.Int64).alias("_page"), pl.lit("{}").alias("_raw"))


def write_snapshot(folder: Path, doubles: int) -> None:
    """The planned rows as texts; one in `doubles` of them, where that is not 0, has the key of the next."""
    (folder / "snapshot").mkdir()
    at = 0
    for file in sorted((folder / "planned").iterdir()):
        frame = pl.read_parquet(file)
        texts = frame.select(*map(_text, frame.columns), pl.col("key").alias("_id"))
        if doubles:
            of_another = pl.int_range(pl.len()) % doubles == 0
            key = pl.when(of_another).then(pl.col("key").shift(-1)).otherwise("key")
            texts = texts.with_columns(key.alias("key"))
        texts.with_columns(
            pl.lit("shop").alias("_source"),
            pl.int_range(at, at + frame.height, dtype=pl.Int64, eager=True).alias("_position"),
        ).write_parquet(folder / "snapshot" / file.name)
        at += frame.height


def by_duckdb(folder: Path) -> int:
    """A whole plan by a script for DuckDB."""
    with tempfile.TemporaryDirectory() as name:
        return plan_by_duckdb(folder, Path(name))


def check(folder: Path) -> int:
    """Raises SystemExit where the script's rows are not those of the plan, or in another order."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        (out / "peer").mkdir()
        plan = _plan(folder, out)
        plan_by_duckdb(folder, out / "peer")
        for file in ("records.parquet", "unchanged.parquet"):
            ours = pl.read_parquet(plan.folder / "contacts" / file)
            theirs = pl.read_parquet(out / "peer" / file).rename({"key": "_key"})
            theirs = theirs.with_columns(pl.col("_key").alias("key"))
            names = [name for name in ours.columns if name != "sources"]
            same = theirs.select(pl.col(name).cast(ours.schema[name]) for name in names)
            if not same.equals(ours.select(names)):
                raise SystemExit(f"{file}: the rows of duckdb are not those of the plan")
            sizes = [frame["sources"].list.len().sum() for frame in (ours, theirs)]
            if sizes[0] != sizes[1]:
                raise SystemExit(f"{file}: {sizes} records went into the rows")
    return 0


def _text(name: str) -> pl.Expr:
    return (
        pl.col(name).dt.strftime("%Y-%m-%d %H:%M:%S")
        if name == "created_at"
        else pl.col(name).cast(pl.String)
    )


IMPORTS = {
    "ours": ("migrate.plan.classify", "migrate.plan.reading", "migrate.progress"),
    "pandas": ("pandas",),
    "diffly": ("diffly",),
    "collapse": ("migrate.plan.build",),
    "plan": ("migrate.plan.build",),
    "duckdb": ("duckdb",),
    "report": ("migrate.plan.build", "migrate.report.diff_page"),
}
CASES = {
    "ours": ours,
    "polars": peers.by_polars,
    "pandas": peers.by_pandas,
    "diffly": peers.by_diffly,
    "collapse": mapped_and_collapsed,
    "plan": whole_plan,
    "duckdb": by_duckdb,
    "check": check,
    "report": plan_and_report,
}

if __name__ == "__main__":
    main()
