"""What an extract says is to be done, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.cli.main import main
from migrate.errors import WorkspaceError
from migrate.report.extract import render_extraction, summarise_extraction
from migrate.report.words import words_of
from migrate.sentence import write_parts
from migrate.snapshot.layout import ResourceResult, UnreadRecord, advise, needs_attention
from migrate.snapshot.reading import newest_whole
from migrate.source.extract import Extraction
from migrate.source.since import resolve_since
from migrate.source.verdict import Observation, judge

FINE = ResourceResult(3, 3, 3, 0, 0, 0, 0, 1, 4, 0.1, 0, "proven", "3 announced before and after")


@given(
    verdict=st.sampled_from(["proven", "drifted", "unproven"]),
    unread=st.integers(0, 2),
    damaged=st.integers(0, 2),
    vanished=st.integers(0, 2),
)
def test_whatever_is_not_whole_is_said_with_what_to_do(
    verdict: Any, unread: int, damaged: int, vanished: int
) -> None:
    """A line each, and none where nothing is the matter; the lines and the exit code agree."""
    places = [UnreadRecord(1, place + 1, "HTTP 500") for place in range(unread)]
    result = replace(FINE, verdict=verdict, unread=places, damaged=damaged, vanished=vanished)
    lines = list(advise("sales", result))
    assert bool(lines) == needs_attention(result)
    assert all("migrate extract sales" in line for line in lines)
    assert any("cannot be read" in line for line in lines) == bool(unread)
    assert any("no UTF-8" in line for line in lines) == bool(damaged)
    assert any("gone from the source" in line for line in lines) == bool(vanished)
    found = Extraction("a", Path(), {"sales": result})
    assert summarise_extraction(found)["to_do"] == lines
    assert all(line in render_extraction(found) for line in lines)


def test_a_reason_is_kept_in_parts_and_read_without_them() -> None:
    """A manifest holds what its sentence is made of; of an earlier one the English text is all there is."""
    _, reason = judge(Observation(5, 7, 6, moved=True, rounds=3, troubles=["odd"], damaged=2))
    result = replace(FINE, reason=str(reason), reason_parts=write_parts(reason))
    read = msgspec.json.decode(msgspec.json.encode(result), type=ResourceResult)
    assert read.why == read.reason == reason
    assert "7 angekündigt, aber 6 verschiedene Datensätze empfangen (-1)" in words_of("de").say(
        read.why
    )
    assert FINE.why == FINE.reason
    assert replace(FINE, reason_parts={"says": "{lacks}", "values": {"a": 1}}).why == FINE.reason


def call(bench: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of `migrate extract` against the bench's sandbox."""
    folder.mkdir(exist_ok=True)
    (folder / "migrate.toml").write_text(
        f'[datatrics]\nproject_id = "demo"\nbase_url = "{bench.url}"\npage_size = 10\n'
        "requests_per_second = 1000\n"
    )
    monkeypatch.setenv("DATATRICS_API_KEY", bench.key)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["migrate", "extract", *words, "--quiet"])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("fault", "code"), [((), 0), (("no-totals",), 3), (("wrong-total=+4",), 3)]
)
def test_an_extract_that_is_not_proven_ends_with_3(
    start: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: tuple[str, ...],
    code: int,
) -> None:
    """Also when the finished snapshot is only shown again; what to do is on the terminal."""
    bench = start(*fault)
    for _ in range(2):
        assert call(bench, tmp_path / "p", monkeypatch, "profiles", "--snapshot", "a") == code
        assert ("To do:" in capsys.readouterr().out) == bool(code)


def test_profiles_of_one_source(
    start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only those are asked for; the snapshot is a part, and not taken for a whole one."""
    bench = start(profiles=25)
    other = [
        {"profileid": "x", "source": "other shop", "profile": {"created": "2020-01-01 00:00:00"}}
    ]
    bench.send("POST", "profile/bulk", {"profiles": other})
    bench.only_source = "other shop"
    found = bench.extract("part")
    assert (found.only_source, bench.ids(found)) == ("other shop", ["x"])
    assert found.resources["profiles"].verdict == "proven"
    assert newest_whole(bench.workspace) is None
    bench.only_source = None
    with pytest.raises(WorkspaceError, match="only_source: other shop, now nothing"):
        bench.extract("part")
    assert len(bench.ids(bench.extract("whole"))) == 26
    assert call(bench, tmp_path / "p", monkeypatch, "--source", "other shop") == 2
    assert call(bench, tmp_path / "p", monkeypatch, "sales", "--source", "other shop") == 2
    assert (
        call(bench, tmp_path / "p", monkeypatch, "profiles", "--source", "s", "--since", "a") == 2
    )


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("2020-01-01", "is before snapshot a, which this delta is based on"),
        ("2999-01-01", "lies in the future"),
        ("a", None),
    ],
)
def test_a_watermark_that_decides_nothing_is_said(
    start: Callable[..., Any], time: str, said: str | None
) -> None:
    """As a note while it runs, and in the result."""
    bench = start(profiles=5)
    bench.extract("a")
    bench.since = resolve_since(bench.workspace, time, "demo")
    found = bench.extract("b")
    assert [said in note for note in found.notes] == ([True] if said else [])
    assert not said or any(said in note for note in bench.notes.notes)
    between = bench.since.__class__(datetime.now(UTC) - timedelta(0), bench.since.base)
    assert between.notes(datetime.now(UTC)) == []
