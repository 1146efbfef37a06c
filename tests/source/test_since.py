"""Deltas: what is new, changed, unchanged and gone, by whichever way the server allows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from migrate.errors import Interrupted, UsageError, WorkspaceError
from migrate.snapshot.delta import NEWEST_FIRST, WHOLE_LIST
from migrate.source.since import resolve_since


def feed(bench: Any, numbers: range, *, updated: datetime, **fields: object) -> None:
    """Profiles whose creation is old and whose update is as given."""
    bench.post_profiles(numbers, updated=updated.strftime("%Y-%m-%d %H:%M:%S"), **fields)


def feed_shuffled(bench: Any, count: int) -> None:
    """Profiles, all updated long ago and in another order than they were created."""
    updates = [
        datetime(2020, 6, 1) - timedelta(hours=number * 37 % (count - 1)) for number in range(count)
    ]
    profiles = [
        {
            "profileid": str(number),
            "source": "shop",
            "profile": {
                "created": f"2020-01-01 00:{number // 60:02d}:{number % 60:02d}",
                "updated": f"{update}",
            },
        }
        for number, update in enumerate(updates)
    ]
    bench.send("POST", "profile/bulk", {"profiles": profiles})


def prepare(start: Callable[..., Any], *faults: str) -> Any:
    """A finished snapshot `a` of 200 profiles."""
    bench = start(*faults, profiles=0)
    feed_shuffled(bench, 200)
    bench.extract("a")
    return bench


def change(bench: Any) -> None:
    """Three new, two changed."""
    soon = datetime.now(UTC) + timedelta(seconds=5)
    feed(bench, range(200, 203), updated=soon)
    feed(bench, range(7, 9), updated=soon, city="Delft")


def states(found: Any) -> dict[str, list[int]]:
    """The ids in the delta's file by state."""
    frame = pl.read_parquet(found.folder / "profiles" / "delta.parquet")
    grouped = frame.group_by("state").agg(pl.col("_id").cast(pl.Int64).sort())
    return dict(grouped.iter_rows())


def test_new_and_changed_records_are_read_newest_first(start: Callable[..., Any]) -> None:
    """A few pages instead of all, and only what is new or changed is in the parts; never is that proven complete."""
    bench = prepare(start)
    change(bench)
    bench.since = resolve_since(bench.workspace, "a", "demo", newest_first=True)
    found = bench.extract("b")
    result = found.resources["profiles"]
    assert result.delta is not None
    assert (result.delta.new, result.delta.changed, result.delta.unchanged, result.delta.gone) == (
        3,
        2,
        198,
        0,
    )
    assert result.delta.how == NEWEST_FIRST
    assert result.verdict == "unproven"
    assert sorted(map(int, bench.ids(found))) == [7, 8, 200, 201, 202]
    assert states(found) == {"new": [200, 201, 202], "changed": [7, 8]}
    assert bench.requests <= 6


def test_what_is_gone_costs_the_whole_list(start: Callable[..., Any]) -> None:
    """The counts do not add up without it, and the file names it."""
    bench = prepare(start)
    change(bench)
    bench.delete_profile(50)
    bench.since = resolve_since(bench.workspace, "a", "demo", newest_first=True)
    found = bench.extract("b")
    delta = found.resources["profiles"].delta
    assert delta is not None
    assert (delta.new, delta.changed, delta.unchanged, delta.gone, delta.how) == (
        3,
        2,
        197,
        1,
        WHOLE_LIST,
    )
    assert states(found) == {"new": [200, 201, 202], "changed": [7, 8], "gone": [50]}
    assert sorted(map(int, bench.ids(found))) == [7, 8, 200, 201, 202]


def test_a_server_that_cannot_sort_is_not_believed(start: Callable[..., Any]) -> None:
    """Records without `updated` are compared one by one."""
    bench = start(profiles=60)
    bench.extract("a")
    bench.post_profiles(range(60, 62), email="b@example.org")
    bench.post_profiles(range(5, 6), city="Delft")
    bench.since = resolve_since(bench.workspace, "a", "demo", newest_first=True)
    found = bench.extract("b")
    delta = found.resources["profiles"].delta
    assert delta is not None
    assert (delta.new, delta.changed, delta.gone, delta.how) == (2, 1, 0, WHOLE_LIST)


def test_nothing_changed_is_an_empty_delta(start: Callable[..., Any]) -> None:
    """An empty part that opens like any other."""
    bench = prepare(start)
    bench.since = resolve_since(bench.workspace, "a", "demo")
    found = bench.extract("b")
    delta = found.resources["profiles"].delta
    assert delta is not None
    assert (delta.new, delta.changed, delta.unchanged, delta.gone) == (0, 0, 200, 0)
    assert bench.ids(found) == []


def test_a_time_without_a_snapshot(start: Callable[..., Any]) -> None:
    """What is younger arrives; what is new and what changed cannot be told, and is not."""
    bench = start(profiles=0)
    feed_shuffled(bench, 100)
    change(bench)
    bench.since = resolve_since(bench.workspace, "2026-01-01", "demo")
    found = bench.extract("b")
    result = found.resources["profiles"]
    assert result.delta is not None
    assert (result.delta.new, result.delta.gone) == (None, None)
    assert {"7", "8", "200", "201", "202"} <= set(bench.ids(found))
    assert len(bench.ids(found)) <= 20
    assert result.verdict == "unproven"


def test_a_delta_of_a_delta(start: Callable[..., Any]) -> None:
    """It is compared with what the source held at the first one, less what was gone then; and read newest first."""
    bench = prepare(start)
    bench.since = resolve_since(bench.workspace, "a", "demo")
    change(bench)
    bench.delete_profile(150)
    bench.extract("b")
    bench.since = resolve_since(bench.workspace, "b", "demo", newest_first=True)
    feed(bench, range(203, 205), updated=datetime.now(UTC) + timedelta(seconds=9))
    found = bench.extract("c")
    assert states(found) == {"new": [203, 204]}
    delta = found.resources["profiles"].delta
    assert delta is not None
    assert (delta.unchanged, delta.gone, delta.how) == (202, 0, NEWEST_FIRST)
    assert found.since is not None
    assert found.since.snapshot == "b"


def test_a_kill_in_the_whole_list_resumes_there(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of the whole list are not read twice, and pages of the two orders never mix."""
    bench = prepare(start)
    change(bench)
    bench.delete_profile(50)
    bench.since = resolve_since(bench.workspace, "a", "demo", newest_first=True)
    with bench.client() as client:
        ask = client.ask

        def few(wanted: Any) -> Any:
            if wanted.sort == "created" and wanted.number > 12:
                raise WorkspaceError("enough")
            return ask(wanted)

        monkeypatch.setattr(client, "ask", few)
        with pytest.raises(WorkspaceError):
            bench.extract_with(client, "b")
    found = bench.extract("b")
    result = found.resources["profiles"]
    assert result.resumed_pages >= 8
    assert result.delta is not None
    assert (result.delta.new, result.delta.changed, result.delta.gone) == (3, 2, 1)


def test_what_cannot_be_compared_with_is_refused(start: Callable[..., Any]) -> None:
    """Neither a time nor a snapshot; another project's snapshot."""
    bench = prepare(start)
    with pytest.raises(UsageError, match="neither a finished snapshot nor a time"):
        resolve_since(bench.workspace, "yesterday", "demo")
    with pytest.raises(WorkspaceError, match="is of project demo"):
        resolve_since(bench.workspace, "a", "other")
    since = resolve_since(bench.workspace, "2026-01-01T00:00:00+02:00", "demo")
    assert since.time == datetime(2025, 12, 31, 22, tzinfo=UTC)
    assert since.base is not None
    assert since.base.name == "a"


def test_an_interrupted_delta_names_what_it_was_made_since(start: Callable[..., Any]) -> None:
    """The command in the hint resumes it: by the snapshot's name, or by the time that was asked for."""
    bench = prepare(start)
    by_name = resolve_since(bench.workspace, "a", "demo")
    assert by_name.words == "a"
    by_time = resolve_since(bench.workspace, "2026-01-01T00:00:00+02:00", "demo")
    assert resolve_since(bench.workspace, by_time.words, "demo").record == by_time.record
    bench.since = by_name
    bench.stop.set()
    with pytest.raises(Interrupted) as caught:
        bench.extract("b")
    assert caught.value.hint == "migrate extract profiles --snapshot b --since a"
