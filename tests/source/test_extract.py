"""The straight path, interruption and resumption, against a real server."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from migrate.errors import Interrupted, Locked, UsageError, WorkspaceError
from migrate.snapshot.reading import list_snapshots, open_snapshot
from migrate.snapshot.spool import journaled_pages
from migrate.source.resources import RESOURCES, resolve_resources
from tests.harness import wait_until

DRIVER = """
    import sys, threading
    from datetime import UTC, datetime
    from pathlib import Path
    from pydantic import SecretStr
    from migrate.config import Datatrics
    from migrate.progress import Silence
    from migrate.source.client import SourceClient
    from migrate.source.extract import ExtractRequest, extract
    from migrate.source.resources import resolve_resources
    from migrate.workspace import Workspace

    url, root = sys.argv[1:]
    stop = threading.Event()
    settings = Datatrics(base_url=url, project_id="demo", page_size=10, concurrency=4, requests_per_second=2000)
    client = SourceClient(settings, SecretStr("sandbox-datatrics-key"), stop=stop, note=print)
    request = ExtractRequest(resolve_resources(["profiles"]), "killed", {"profiles": 10}, "demo", url, 4)
    print("begun", flush=True)
    extract(client, Workspace(Path(root)), request, Silence(), stop, lambda: datetime.now(UTC))
"""


def part_hashes(found: Any) -> list[str]:
    """The hashes of a snapshot's parts, as its manifest has them."""
    snapshot = open_snapshot(found_workspace(found), found.snapshot)
    return [part.sha256 for resource in snapshot.resources.values() for part in resource.parts]


def found_workspace(found: Any) -> Any:
    """The workspace a finished extract wrote to."""
    from migrate.workspace import Workspace

    return Workspace(found.folder.parent.parent)


def test_all_five_resources_become_one_snapshot(start: Callable[..., Any]) -> None:
    """Each resource with its own query, identity and envelope; an empty one is finished too."""
    bench = start(profiles=25)
    stamp = {"created": "2020-01-01 00:00:00"}
    bench.send(
        "POST",
        "content/bulk?type=items",
        {"items": [{"itemid": "7", "source": "s", "item": {"name": "x"}}]},
    )
    bench.send(
        "POST",
        "content/bulk?type=categories",
        {"items": [{"itemid": "7", "source": "s", "item": {"name": "c"}}]},
    )
    sale = {
        "conversionid": "9",
        "source": "s",
        "conversion": {**stamp, "total": 1.5, "items": [{"itemid": "7"}]},
    }
    bench.send("POST", "sale/bulk", {"items": [sale]})
    bench.resources = ()
    found = bench.extract()
    assert list(found.resources) == list(RESOURCES)
    assert {name: r.distinct for name, r in found.resources.items()} == {
        "profiles": 25,
        "content_items": 1,
        "content_categories": 1,
        "sales": 1,
        "interactions": 0,
    }
    assert {r.verdict for r in found.resources.values()} == {"proven"}
    items = next(open_snapshot(bench.workspace, None).resources["content_items"].frames())
    assert items.select("_source", "_id", "name", "metadata.source").row(0) == ("s", "7", "x", "s")
    sales = next(open_snapshot(bench.workspace, None).resources["sales"].frames(["total", "items"]))
    assert sales["total"].to_list() == ["1.5"]
    assert bench.ids(found, "interactions") == []


def test_content_on_the_command_line_is_both_resources() -> None:
    """One word for both content types; an unknown word is answered with the nearest."""
    assert [r.name for r in resolve_resources(["content"])] == [
        "content_items",
        "content_categories",
    ]
    with pytest.raises(UsageError) as caught:
        resolve_resources(["profile"])
    assert caught.value.hint == "did you mean 'profiles'?"


def test_the_same_source_gives_the_same_parts(start: Callable[..., Any]) -> None:
    """Two extracts differ in name and time only."""
    bench = start(profiles=1200)
    first, second = bench.extract("one"), bench.extract("two")
    assert part_hashes(first) == part_hashes(second)
    assert len(part_hashes(first)) == 5


def test_the_newer_of_two_equal_identities_stays(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row per identity: the one updated last; rows without an id are all kept."""
    from migrate.source import client as module

    bodies = {
        1: b'[{"profileid":"1","source":"s","updated":"2020-03"},{"profileid":"2","source":"s"},{"v":1}]',
        2: b'[{"profileid":"1","source":"s","updated":"2020-02"},{"profileid":1,"source":"s","updated":"2020-01"}]',
        3: b'[{"profileid":"2","source":"s"},{"v":1},{"profileid":"3","source":"s"}]',
    }
    monkeypatch.setattr(
        module.SourceClient,
        "ask",
        lambda self, wanted: bodies.get(wanted.number, b"[]"),
    )
    bench = start(profiles=0)
    found = bench.extract()
    result = found.resources["profiles"]
    assert (result.received, result.distinct, result.duplicates, result.changed_duplicates) == (
        8,
        5,
        3,
        2,
    )
    assert result.without_id == 2
    assert result.verdict == "unproven"
    frame = next(open_snapshot(bench.workspace, None).resources["profiles"].frames(["updated"]))
    assert frame.select("_id", "updated").rows() == [
        ("1", "2020-03"),
        (None, None),
        ("2", None),
        (None, None),
        ("3", None),
    ]


@pytest.mark.parametrize("answers", [1, 4, 9, 12])
def test_a_killed_extract_goes_on_where_it_stopped(
    start: Callable[..., Any], tmp_path: Path, answers: int
) -> None:
    """After SIGKILL the same command ends in the same parts as a clean run, without asking twice for what it has."""
    bench = start(f"stall@method=GET,at={answers}")
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DRIVER), bench.url, str(tmp_path / "work")],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    # whichever page is the one that never comes, all others do; the first is asked for alone
    wait_for_pages(bench, 0 if answers == 1 else 9 if answers <= 10 else 10)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    bench.forget_faults()

    stored = stored_pages(bench)
    found = bench.extract("killed")
    result = found.resources["profiles"]
    assert (result.verdict, result.distinct, result.resumed_pages) == ("proven", 95, stored)
    ends = 8
    assert bench.requests <= 10 - stored + 1 + 1 + 2 + ends
    assert part_hashes(found) == part_hashes(bench.extract("clean"))


def stored_pages(bench: Any) -> int:
    """The pages that the journal of the one snapshot names."""
    return list_snapshots(bench.workspace)[0].resources["profiles"].pages


def wait_for_pages(bench: Any, at_least: int) -> None:
    """Returns when there is a snapshot and its journal names so many pages."""

    def are_there() -> bool:
        states = list_snapshots(bench.workspace)
        return (
            bool(states) and "profiles" in states[0].resources and stored_pages(bench) >= at_least
        )

    wait_until(are_there)


def test_a_stop_keeps_what_is_in_flight_and_names_the_next_command(
    start: Callable[..., Any],
) -> None:
    """Interrupted with a hint; without a name the next extract resumes the same snapshot."""
    bench, kept = start(), []

    def advance(_task: str, by: int, *, total: int | None = None) -> None:
        kept.append(by)
        if len(kept) == 2:
            bench.stop.set()

    bench.notes.advance = advance
    bench.concurrency = 2
    with pytest.raises(Interrupted) as caught:
        bench.extract()
    assert len(kept) == 4, "the first page alone, then three at a time"
    name = list_snapshots(bench.workspace)[0].name
    assert caught.value.hint == f"migrate extract profiles --snapshot {name}"
    bench.stop.clear()
    found = bench.extract()
    assert found.snapshot == name
    assert found.resources["profiles"].resumed_pages == 4
    assert found.resources["profiles"].verdict == "proven"


def interrupt(bench: Any) -> Path:
    """An unfinished snapshot named `part`, with some pages; its folder."""
    with bench.client() as client:
        ask = client.ask

        def few(wanted: Any) -> Any:
            if wanted.number > 6:
                raise Interrupted("enough")
            return ask(wanted)

        client.ask = few
        with pytest.raises(Interrupted):
            bench.extract_with(client, "part")
    return bench.workspace.snapshots / "part"


def test_a_torn_journal_and_a_torn_page_are_fetched_again(start: Callable[..., Any]) -> None:
    """Half a line, half a page and a stray file are not believed."""
    bench = start()
    folder = interrupt(bench) / "profiles"
    pages = sorted((folder / "pages").iterdir())
    assert len(pages) == 6
    with (folder / "journal.jsonl").open("r+b") as journal:
        journal.truncate(journal.seek(0, os.SEEK_END) - 30)
    # the page whose line is torn is whichever was the last to come
    told = [page for page in pages if int(page.name.partition("-")[0]) in journaled_pages(folder)]
    assert len(told) == 5
    told[1].write_bytes(told[1].read_bytes()[:100])
    told[2].unlink()
    (folder / "pages" / "00000099-stray.page").write_bytes(b"x")
    found = bench.extract("part")
    assert found.resources["profiles"].resumed_pages == 3, sorted(pages)
    assert part_hashes(found) == part_hashes(bench.extract("clean"))


def test_records_that_slid_during_an_interruption_are_not_lost(start: Callable[..., Any]) -> None:
    """A deletion between two runs makes the stored pages worthless, and that is noticed."""
    bench = start()
    interrupt(bench)
    bench.delete_profile(3)
    bench.post_profiles(range(95, 96))
    found = bench.extract("part")
    assert found.resources["profiles"].verdict == "proven"
    assert sorted(map(int, bench.ids(found))) == [n for n in range(96) if n != 3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"page_size": 20}, "page_sizes"),
        ({"project_id": "other"}, "project_id"),
        ({"resources": ()}, "resources"),
    ],
)
def test_other_settings_do_not_mix_into_a_snapshot(
    start: Callable[..., Any], change: dict[str, Any], words: str
) -> None:
    """What was begun with one page size, project or list of resources is not continued with another."""
    bench = start()
    interrupt(bench)
    for name, value in change.items():
        setattr(bench, name, value)
    with pytest.raises(WorkspaceError, match=words) as caught:
        bench.extract("part")
    assert "NEW-NAME" in (caught.value.hint or "")


def test_a_finished_snapshot_is_not_written_to(start: Callable[..., Any]) -> None:
    """The same call again gives it back without a request; another one is refused; without a name it makes another."""
    bench = start(profiles=5)
    first = bench.extract("one")
    manifest = (first.folder / "manifest.json").read_bytes()
    bench.post_profiles(range(5, 9))
    assert bench.extract("one") == first
    assert bench.requests == 0
    bench.page_size = 7
    with pytest.raises(WorkspaceError, match="begun with other settings"):
        bench.extract("one")
    assert bench.extract().snapshot != first.snapshot
    assert (first.folder / "manifest.json").read_bytes() == manifest


def test_the_second_of_two_extracts_is_refused(start: Callable[..., Any], tmp_path: Path) -> None:
    """It names the first one's process; nothing of the first one is touched."""
    bench = start("stall@method=GET,at=5,times=1")
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DRIVER), bench.url, str(tmp_path / "work")],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    wait_for_pages(bench, at_least=1)
    with pytest.raises(Locked, match=str(process.pid)):
        bench.extract("killed")
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_full_disk_is_one_message_and_resumes(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored stays; with space again the extract ends as if nothing had been."""
    bench = start()
    real, count = Path.write_bytes, [0]

    def write_bytes(path: Path, data: bytes) -> int:
        count[0] += ".page" in path.name or path.suffix == ".tmp"
        if count[0] > 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(WorkspaceError, match=r"bytes\) cannot be written: No space left") as caught:
        bench.extract()
    assert "free disk space" in (caught.value.hint or "")
    monkeypatch.undo()
    found = bench.extract()
    assert found.resources["profiles"].resumed_pages >= 1
    assert found.resources["profiles"].verdict == "proven"


def test_parts_open_in_plain_polars(start: Callable[..., Any]) -> None:
    """A glob over the parts is all a reader needs, and values are as sent."""
    bench = start(profiles=600)
    found = bench.extract()
    frame = pl.read_parquet(found.folder / "profiles" / "part-*.parquet")
    assert frame.height == 600
    assert set(frame["score"]) == {"1.1"}
