"""Reading a dataset back: every page, resumable, one row per masterid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from migrate.errors import Interrupted, RemoteError
from migrate.verify.buckets import find_interval
from migrate.verify.known import CountMark
from migrate.verify.readback import Reading, parse_page, read_back, read_pages


@dataclass(frozen=True)
class Counted:
    """A count."""

    count: int


@dataclass
class Target:
    """A dataset of numbered records; `pages` are the numbers of the pages asked for, `stop` is set after one."""

    size: int
    stop: Event = field(default_factory=Event)
    stop_after: int | None = None
    pages: list[int] = field(default_factory=list)

    def count(self, dataset_id: str, filters: Mapping[str, str] | None = None) -> Counted:
        return Counted(self.size)

    def export_csv(
        self,
        dataset_id: str,
        page: int,
        page_size: int = 50_000,
        filters: Mapping[str, str] | None = None,
        selection: Sequence[str] | None = None,
    ) -> bytes:
        self.pages.append(page)
        if page == self.stop_after:
            self.stop.set()
        rows = self.records()[(page - 1) * page_size : page * page_size]
        return "\n".join(["__masterid__,name", *(f'm{n},"{name}"' for n, name in rows)]).encode()

    def records(self) -> list[tuple[int, str]]:
        """Number and name of each record, in the order in which they are exported."""
        return [(n, f"name {n}") for n in range(self.size)]


def reading(folder: Path, stop: Event, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> Reading:
    """A reading of ten rows a page."""
    return Reading(folder / "pages", lambda: now, stop, page_rows=10)


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 30])
def test_every_record_is_read_once(tmp_path: Path, size: int) -> None:
    """Also where the last page is full, or there is none."""
    found = read_back(Target(size), "d", reading(tmp_path, Event()))
    assert found["__masterid__"].to_list() == [f"m{n}" for n in range(size)]


def test_an_interrupted_reading_goes_on(tmp_path: Path) -> None:
    """Pages that were read are not asked for again, unless an hour has passed or the count has changed."""
    target = Target(35, stop_after=2)
    with pytest.raises(Interrupted):
        read_back(target, "d", reading(tmp_path, target.stop))
    again = Target(35)
    assert read_back(again, "d", reading(tmp_path, again.stop)).height == 35
    assert again.pages == [3, 4]
    late = Target(35)
    read_back(
        late,
        "d",
        reading(tmp_path, late.stop, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=2)),
    )
    assert late.pages == [1, 2, 3, 4]
    grown = Target(36)
    assert read_back(grown, "d", reading(tmp_path, grown.stop)).height == 36


@dataclass
class Moving(Target):
    """A dataset of which some records were modified while it was read: they come again at the end, as they are now."""

    def records(self) -> list[tuple[int, str]]:
        """The modified ones stand twice."""
        return [(n, "old") for n in range(self.size)] + [(n, "new") for n in (3, 4, 12)]


def test_a_record_that_moved_counts_as_it_was_read_last(tmp_path: Path) -> None:
    """Every record once, the later version of those that came twice; page by page it is the same."""
    pages = read_pages(Moving(25), "d", reading(tmp_path, Event()))
    found = dict(pages.whole().iter_rows())
    assert len(found) == pages.whole().height == 25
    assert {name for name, value in found.items() if value == "new"} == {"m3", "m4", "m12"}
    assert sum(frame.height for frame in pages.frames(["name"])) == 25


def test_both_spellings_of_the_systems_columns_are_read() -> None:
    """The help pages spell them in another way than the API's samples; other columns keep their names."""
    page = parse_page(b"__master-Id__,__modified-At__,__created_at__,name,__odd__\nm,t,c,n,o", "d")
    assert page.columns == ["__masterid__", "__modified_at__", "__created_at__", "name", "__odd__"]


def test_a_page_that_is_no_csv_is_refused() -> None:
    """An error page with status 200 is not an empty dataset."""
    with pytest.raises(RemoteError):
        parse_page(b"<html>maintenance</html>", "d")


def test_count_marks_narrow_a_loss_to_an_interval() -> None:
    """The first mark outside its bounds names the batches; marks inside say nothing."""
    sound = [CountMark(10, 5_000, 4_900, 5_000), CountMark(20, 9_950, 9_900, 10_000)]
    assert find_interval(sound) is None
    sentence = find_interval([*sound, CountMark(30, 14_400, 14_900, 15_000)])
    assert sentence is not None
    assert "between batches 20 and 30" in sentence
