"""The file door from plan to proof, against a sandbox that imports what lies in a folder."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
import polars as pl
import pytest

from migrate.app.context import Context
from migrate.app.file_door import HandOver, run_hand_over
from migrate.app.hours import HourStop, within_hours
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.reconcile import run_reconcile
from migrate.app.settle_files import run_settle, run_take_back
from migrate.app.standing import read_standing
from migrate.app.trace import run_trace
from migrate.app.undo import run_undo
from migrate.app.upload import run_upload
from migrate.config import load_project
from migrate.errors import Interrupted, Stale, UsageError
from migrate.hours import SendingHours
from migrate.load.ledger_view import LedgerView
from migrate.load.loader import result_so_far
from migrate.net.sftp_place import SftpPlace, parse_place
from migrate.plan.open_plan import open_plan
from migrate.progress import Silence
from migrate.report.shown import Shown
from migrate.report.trace import TraceShown, render_trace
from tests.harness import SOURCE_KEY, TARGET_KEY, Project
from tests.verify.conftest import make_job

KEYS = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
DATASETS = ("contacts", "orders", "order_items")


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """The folder that the account imports from."""
    return tmp_path / "sftp" / "drop"


@pytest.fixture
def project(make_project: Callable[..., Project], drop: Path) -> Project:
    """A project of the demo's data beside a sandbox that imports."""
    made = make_project(whole=True, sftp=drop.parent)
    assert made.sandbox is not None
    assert made.sandbox.sftp is not None
    files = f'file_rows = 700\nhost_key = "{made.sandbox.sftp.host_key}"\nkey_file = "{made.sandbox.sftp.key_file}"'
    made.write(octolis=f"limit_speed = 100\n[octolis.files]\n{files}")
    return made


@pytest.fixture
def job(project: Project) -> Context:
    """The project with a snapshot and the plan `big`."""
    context = make_job(load_project(project.folder / "migrate.toml", KEYS))
    run_extract(context)
    run_plan(context, DATASETS, name="big")
    return context


def bring(folder: Path, drop: Path) -> None:
    """What whoever carries the files does."""
    for file in sorted(folder.glob("*.csv")):
        shutil.copy(file, drop / file.name)


def imported(project: Project) -> list[dict[str, Any]]:
    """What the sandbox says of its imports."""
    assert project.sandbox is not None
    found: list[dict[str, Any]] = httpx.get(f"{project.sandbox.url}/_sandbox/imports").json()[
        "imported"
    ]
    return found


def place_of(project: Project) -> SftpPlace:
    """The sandbox's SFTP source."""
    assert project.sandbox is not None
    assert project.sandbox.sftp is not None
    return parse_place(project.sandbox.sftp.url)


def run_hand_over_again(job: Context, folder: Path) -> str:
    """How a handover of a plan of which nothing is left begins to say so."""
    with pytest.raises(Stale) as refused:
        run_hand_over(job, (), "big", HandOver(folder))
    return refused.value.what[:10]


def state(job: Context) -> str:
    """How the plan stands."""
    return read_standing(job.workspace, open_plan(job.workspace, "big")).state


def test_rows_go_by_files_and_are_proven(
    job: Context, project: Project, drop: Path, tmp_path: Path
) -> None:
    """A canary by the API, the rest as files; written only once read back; no row by both doors; proven by value."""
    folder = tmp_path / "files"
    done = run_hand_over(job, (), "big", HandOver(folder))
    assert {path.name for path in folder.iterdir()} == {
        "handover.json",
        *(file.name for file in done.manifest.files),
    }
    rows = {name: sum(f.rows for f in done.manifest.of(name)) for name in DATASETS}
    planned = open_plan(job.workspace, "big").document.datasets
    assert rows == done.rows == {name: planned[name].create - 1 for name in DATASETS}
    assert len(done.manifest.of("contacts")) == 2, "1,199 rows in files of at most 700"
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.glob("*.csv"))
    assert state(job) == "handed over"
    with pytest.raises(Stale, match="handed over"):
        run_load(job, name="big")
    run_plan(job, DATASETS, name="other")
    with pytest.raises(Stale, match="handed over"):
        run_load(job, name="other")
    with pytest.raises(Stale, match="handed over"):
        run_undo(job, "big", wait_s=0)
    assert run_reconcile(job, "big").verdict == "unfinished"

    assert run_hand_over(job, (), "big", HandOver(folder)).manifest == done.manifest
    check_that_trace_names_the_files(job, folder)
    place = place_of(project)
    sent = run_upload(job, done, place)
    assert sent.sent == sent.bytes == sum(file.bytes for file in done.manifest.files)
    with pytest.raises(Stale, match="already"):
        run_upload(job, done, replace(place, path=PurePosixPath("/elsewhere")))
    early = run_settle(job, (), "big")
    assert run_hand_over_again(job, folder) == "nothing of"
    assert early.left == 0
    assert [one["refused"] for one in imported(project)] == [0] * len(done.manifest.files)
    assert {name: d.written for name, d in early.datasets.items()} == rows
    assert early.result.datasets["contacts"].created == planned["contacts"].create
    assert state(job) == "loaded"
    proof = run_reconcile(job, "big", deep=True, wait_s=0)
    assert proof.verdict == "match"
    walk = pl.read_parquet(job.workspace.exports / "big" / "crosswalk-contacts.parquet")
    assert walk.get_column("masterid").null_count() == 0
    assert walk.get_column("key").n_unique() == planned["contacts"].create


def check_that_trace_names_the_files(job: Context, folder: Path) -> None:
    """Each row is in the very file that `trace` names, the canary in none."""
    records = pl.read_parquet(open_plan(job.workspace, "big").file("contacts", "records.parquet"))
    (canary,) = settled_keys(job, "contacts", "written")
    places = {0, 1, 700, 701, records.height - 1, int(records["key"].index_of(canary) or 0)}
    for place in sorted(places):
        key, source = records.item(place, "key"), records.item(place, "sources")[0]
        facts = run_trace(job, "profiles", source["id"], source["source"], "big", live=False)
        (row,) = facts["datasets"]["contacts"]["rows"]
        if key == canary:
            assert row["file"] is None
            continue
        others = [file for file in folder.glob("contacts*.csv") if file.name != row["file"]["name"]]
        assert key in (folder / row["file"]["name"]).read_text()
        assert not any(f"\n{key};" in file.read_text() for file in others)
        assert f"handed over in {row['file']['name']}" in render_trace(
            facts, TraceShown(Shown(None))
        )


def test_children_of_what_the_api_refused_stay_behind(
    job: Context, project: Project, tmp_path: Path
) -> None:
    """Lines of an order that the API has refused would be orphans: no file has them, and they count as waiting."""
    project.set_faults(("octolis:partial=50/400@path=*orders/records/batch",))
    orders = run_load(job, ["orders"], name="big").datasets["orders"]
    assert orders.rejected > 0
    project.set_faults(())
    refused = settled_keys(job, "orders", "rejected")
    folder = tmp_path / "files"
    done = run_hand_over(job, ["order_items"], "big", HandOver(folder))
    lines = pl.read_parquet(open_plan(job.workspace, "big").file("order_items", "records.parquet"))
    waiting = lines.filter(pl.col("order_key").is_in(refused))
    assert done.rows["order_items"] == lines.height - waiting.height - 1
    written = "".join(file.read_text() for file in sorted(folder.glob("*.csv")))
    assert not [key for key in waiting.get_column("key") if f"\n{key};" in written]
    totals = result_so_far(job.workspace, "big")
    assert totals is not None
    assert totals.datasets["order_items"].waiting == waiting.height


def settled_keys(job: Context, dataset: str, state: str) -> list[str]:
    """The keys of a dataset of which the ledger has this last word."""
    with contextlib.closing(sqlite3.connect(job.workspace.ledger)) as books:
        query = (
            "SELECT r.key FROM records r JOIN datasets d ON d.id = r.dataset"
            " WHERE d.name = ? AND r.state = ?"
        )
        return [key for (key,) in books.execute(query, (dataset, state))]


def test_a_killed_upload_goes_on_with_what_the_server_has(
    job: Context, project: Project, drop: Path
) -> None:
    """Killed in the middle of a file, the same command sends the rest of it only, and the file is whole."""
    file = project.folder / "migrate.toml"
    file.write_text(file.read_text().replace("file_rows = 700", ""))
    project.set_faults(("sftp:import-lag=3600",))
    command = ["load", "order_items", "--format", "json", "--sftp", place_of(project).url]
    mib = 1 << 20

    def is_half_there() -> bool:
        return any(path.stat().st_size > mib for path in drop.glob(".*.partial"))

    project.kill_when(is_half_there, *command, "--limit", "1MB")
    assert not list(drop.glob("order_items*"))
    done = project.run(*command, "--json")
    assert done.code == 0, done.stderr
    uploaded = done.summary["uploaded"]
    assert 0 < uploaded["sent"] <= uploaded["bytes"] - mib
    (whole,) = drop.iterdir()
    assert hashlib.sha256(whole.read_bytes()).hexdigest() == done.summary["files"][0]["sha256"]


def test_an_upload_ends_with_its_hours_and_goes_on_the_next_night(
    job: Context, project: Project, tmp_path: Path
) -> None:
    """What the server has whole by then is noted; the command that goes on is told; nothing is sent twice."""
    folder, place = tmp_path / "files", place_of(project)
    done = run_hand_over(job, ["contacts"], "big", HandOver(folder))
    first, *others = done.manifest.of("contacts")
    six = datetime(2026, 11, 30, 6, tzinfo=UTC)
    clock = [six - timedelta(hours=1)]

    class Clock(Silence):
        def end(self, task: str) -> None:
            if first.name in task:
                clock[0] = six

    late = replace(job, now=lambda: clock[0], progress=Clock())
    hours = SendingHours(until=six)
    with (
        pytest.raises(Interrupted, match="its hours are over") as stopped,
        within_hours(late, hours, "big", "again") as bounded,
    ):
        assert isinstance(bounded.stop, HourStop)
        bounded.stop.look_s = 0.0  # not only four times a second
        run_upload(bounded, done, place)
    assert stopped.value.hint == "again"
    with LedgerView(job.workspace.ledger) as view:
        (handover,) = view.handovers("big")
        uploaded = {file.name: file.uploaded for file in view.handed_files(handover)}
    assert uploaded == {first.name: True} | {file.name: False for file in others}
    assert run_upload(job, done, place).sent == sum(file.bytes for file in others)


def test_what_the_import_did_not_take_goes_by_the_api(
    job: Context, project: Project, drop: Path, tmp_path: Path
) -> None:
    """Refused rows stay handed over until the import is over by somebody's word; then the load sends just these."""
    project.set_faults(("sftp:import-partial=4@path=contacts*",))
    folder = tmp_path / "files"
    done = run_hand_over(job, ["contacts"], "big", HandOver(folder))
    bring(folder, drop)
    first = run_settle(job, (), "big")
    missing = sum(file.rows // 4 for file in done.manifest.files)
    entry = first.datasets["contacts"]
    assert (entry.missing, entry.different, entry.written) == (
        missing,
        0,
        done.rows["contacts"] - missing,
    )
    assert entry.file is not None
    assert pl.read_parquet(entry.file).get_column("reason").to_list() == ["missing"] * missing
    with pytest.raises(Stale, match="handed over"):
        run_load(job, ["contacts"], name="big")
    assert run_settle(job, (), "big", import_over=True).datasets["contacts"].missing == missing
    before = run_load(job, ["contacts"], name="big").datasets["contacts"]
    assert before.written == before.planned
    with pytest.raises(UsageError, match="nothing"):
        run_settle(job, (), "big")
    assert (
        run_reconcile(job, "big", deep=True, wait_s=0).datasets["contacts"].deep.verdict == "match"
    )


def test_a_wrong_encoding_is_found_and_put_right(
    job: Context, project: Project, drop: Path, tmp_path: Path
) -> None:
    """Rows that are there with other letters do not count as written; the load puts them right."""
    project.set_faults(("sftp:import-encoding=latin-1",))
    folder = tmp_path / "files"
    run_hand_over(job, ["contacts"], "big", HandOver(folder))
    bring(folder, drop)
    entry = run_settle(job, (), "big", import_over=True).datasets["contacts"]
    assert entry.different > 0
    assert entry.missing == 0
    run_load(job, ["contacts"], name="big")
    assert (
        run_reconcile(job, "big", deep=True, wait_s=0).datasets["contacts"].deep.verdict == "match"
    )


def test_a_handover_is_taken_back(
    job: Context, project: Project, drop: Path, tmp_path: Path
) -> None:
    """Its files go, here and on the server, its rows are sent by the API; not once an import may have a file."""
    project.set_faults(("sftp:import-lag=3600",))
    folder = tmp_path / "files"
    done = run_hand_over(job, ["contacts"], "big", HandOver(folder))
    run_upload(job, done, place_of(project))
    assert len(list(drop.iterdir())) == len(done.manifest.files)
    assert run_take_back(job, (), "big") == done.rows
    assert not [*folder.glob("*.csv"), *drop.iterdir()]
    run_upload(job, run_hand_over(job, ["contacts"], "big", HandOver(folder)), place_of(project))
    for file in drop.iterdir():
        file.unlink()
    with pytest.raises(Stale, match="an import may have taken it"):
        run_take_back(job, (), "big")
    run_settle(job, (), "big", import_over=True)
    assert run_load(job, ["contacts"], name="big").datasets["contacts"].open == 0
