"""Reading the target page by page while others write to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event

import polars as pl
import pytest

from migrate.errors import Interrupted, RemoteError, WorkspaceError
from migrate.plan.reading import Held, ReadingPlace, parse_page, read_target
from migrate.plan.reading_state import REUSABLE, State
from migrate.progress import Silence


def row(number: int, **values: str | None) -> dict[str, str | None]:
    """A row of the target."""
    return {"__masterid__": f"m{number}", "key": f"k{number}", "name": None, **values}


def column_of(held: Held, name: str) -> pl.Series:
    """One column of the rows that were read."""
    return pl.concat(list(held.frames([name]))).get_column(name)


@pytest.fixture
def read(bench, tmp_path):
    """Reads dataset `d` of the bench's target, two rows a page."""
    folder = tmp_path / "plan" / "contacts"
    folder.mkdir(parents=True)

    def reader(rows, on_page=lambda _dataset, _page: None, stop=None):
        bench.target.datasets["d"] = rows
        bench.target.on_page = on_page
        place = ReadingPlace("contacts", "d", folder, tmp_path / "plan", lambda: reader.now)
        return read_target(bench.target, place, Silence(), stop or Event(), page_rows=2)

    reader.target, reader.folder, reader.now = (
        bench.target,
        folder,
        datetime(2026, 1, 2, tzinfo=UTC),
    )
    return reader


@pytest.mark.parametrize(("rows", "pages"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3)])
def test_every_row_is_read_once(read, rows: int, pages: int) -> None:
    """Up to the short page, and past a full last one to an empty one; each page is kept as a file."""
    held = read([row(number) for number in range(rows)])
    assert (held.height, held.reading.rows, held.reading.count, held.reading.moving) == (
        rows,
        rows,
        rows,
        False,
    )
    assert read.target.pages == pages
    kept = [pl.read_parquet(path) for path in sorted(read.folder.glob("before-*.parquet"))]
    assert (
        sum(frame.height for frame in kept) == rows == sum(file.rows for file in held.reading.files)
    )


def test_null_and_empty_are_told_apart_where_the_csv_does(read) -> None:
    """An empty field is null, a quoted one ''; line ends and quotes inside a value survive."""
    held = read([row(1, name=None), row(2, name=""), row(3, name='a\n"b",c')])
    assert column_of(held, "name").to_list() == [None, "", 'a\n"b",c']


def test_a_short_page_is_no_end_while_rows_are_missing(read) -> None:
    """A service that gives fewer rows a page than asked loses nothing."""
    export = read.target.export_csv
    read.target.export_csv = lambda dataset, page, _size: export(dataset, page, 1)
    held = read([row(number) for number in range(3)])
    assert (held.reading.rows, held.reading.moving) == (3, False)


def test_a_row_that_moves_is_read_again(read) -> None:
    """A row written while it was read moves to the end and another is skipped: the second reading is right."""
    rows = [row(number) for number in range(4)]
    moved = []

    def move(_dataset: str, page: int) -> None:
        if page == 1 and not moved:
            moved.append(rows.append(rows.pop(0)))

    held = read(rows, move)
    assert held.reading.moving is False
    assert sorted(column_of(held, "key")) == ["k0", "k1", "k2", "k3"]
    assert len(list(read.folder.glob("before-*.parquet"))) == 2


def test_a_target_that_never_rests_is_recorded_as_moving(read) -> None:
    """After three readings the plan is made all the same, each row once, and says so."""
    rows = [row(number) for number in range(4)]
    held = read(
        rows, lambda _dataset, page: rows.append(row(len(rows))) if page * 2 > len(rows) else None
    )
    assert held.reading.moving is True
    assert column_of(held, "__masterid__").n_unique() == held.height == len(column_of(held, "key"))


def test_what_is_no_export_is_refused() -> None:
    """A page of HTML, or a CSV of something else, is an error and no empty dataset."""
    for body in (b"<html>busy</html>", b"a,b\n1,2\n", b'a,b\n"1'):
        with pytest.raises(RemoteError, match="not a CSV"):
            parse_page(body, "contacts")
    assert parse_page(b"", "contacts").height == 0
    assert parse_page(b"__masterid__,a\n", "contacts").columns == ["__masterid__", "a"]


def test_reading_stops_between_pages(read) -> None:
    """Ctrl-C does not wait for the whole export."""
    stop = Event()
    with pytest.raises(Interrupted):
        read(
            [row(number) for number in range(8)],
            lambda _dataset, page: stop.set() if page == 2 else None,
            stop,
        )
    assert read.target.pages == 2


def test_columns_that_change_between_pages_are_refused(read) -> None:
    """Somebody edits the dataset's structure: the pages do not belong together."""
    rows = [row(number) for number in range(4)]

    def edit(_dataset: str, page: int) -> None:
        rows[2:] = [{**there, "new": "x"} for there in rows[2:]]
        read.target.datasets["d"] = [*rows[2:], *rows[:2]] if page == 1 else rows

    with pytest.raises(RemoteError, match="columns of dataset 'contacts' changed"):
        read(rows, edit)


def test_what_only_an_earlier_round_has_seen_is_looked_up(read) -> None:
    """A record merged away while it was read is none; one that a later round skipped is there all the same."""
    rows = [row(number) for number in range(6)]
    moves = [lambda: (rows.append(rows.pop(0)), rows.pop(2)), lambda: rows.append(rows.pop(0))]

    def move(_dataset: str, page: int) -> None:
        if page == 1 and moves:
            moves.pop()()

    held = read(rows, move)
    assert sorted(column_of(held, "__masterid__")) == sorted(
        there["__masterid__"] for there in rows
    )
    assert (held.reading.moving, held.height) == (False, 5)
    assert held.reading.reread > 0


def test_a_page_that_cannot_be_written_stops_the_reading(read, monkeypatch) -> None:
    """It is written while the next one is asked for: one more request at most, and the error is the disk's."""

    def fail(*_: object, **__: object) -> None:
        raise WorkspaceError("the disk is full")

    monkeypatch.setattr(State, "add_page", fail)
    with pytest.raises(WorkspaceError, match="the disk is full"):
        read([row(number) for number in range(8)])
    assert read.target.pages <= 2


def test_pages_with_their_columns_in_another_order_belong_together(read) -> None:
    """A service may order the columns of each page as it likes."""
    rows = [
        row(0, name="a"),
        row(1, name="b"),
        dict(reversed(row(2, name="c").items())),
        row(3, name="d"),
    ]
    read.target.datasets["d"] = rows
    export = read.target.export_csv
    read.target.export_csv = lambda dataset, page, _size: export(dataset, page, 1)
    held = read(rows)
    assert column_of(held, "name").to_list() == ["a", "b", "c", "d"]
    assert column_of(held, "__masterid__").to_list() == ["m0", "m1", "m2", "m3"]


def test_an_interrupted_reading_goes_on_where_it_was(read) -> None:
    """Pages on disk are not asked for again; a page that is no longer whole makes the reading start over."""
    stop = Event()
    rows = [row(number) for number in range(9)]
    with pytest.raises(Interrupted):
        read(rows, lambda _dataset, page: stop.set() if page == 3 else None, stop)
    assert read.target.pages == 3
    held = read(rows)
    assert (held.height, held.reading.moving, read.target.pages) == (9, False, 5)
    assert read(rows).reading == held.reading, "a reading that is done is not done again"
    assert read.target.pages == 6, "one row at the end tells that nothing was written since"
    next(read.folder.glob("before-*.parquet")).write_bytes(b"cut")
    assert read(rows).height == 9
    assert read.target.pages == 11


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.append(rows.pop(0) | {"name": "changed"}),
        lambda rows: rows.append(row(99)),
        lambda rows: rows.pop(0),
        lambda rows: (rows.pop(0), rows.append(row(99))),
        lambda rows: rows[-1].update(name="changed"),
        lambda rows: [rows.pop() for _ in range(2)],
    ],
)
def test_a_reading_that_no_longer_holds_is_made_again(read, change) -> None:
    """Whatever was written since: the plan that goes on compares with what the target holds now."""
    rows = [row(number) for number in range(5)]
    read(rows)
    change(rows)
    held = read(rows)
    assert column_of(held, "__masterid__").to_list() == [there["__masterid__"] for there in rows]
    assert column_of(held, "name").to_list() == [there["name"] for there in rows]


def test_an_ended_round_that_was_not_judged_is_looked_at_too(read) -> None:
    """Killed between the last page and the count after it, and then written to: the pages are of another time."""
    rows = [row(number) for number in range(5)]
    read(rows)
    state = State.model_validate_json((read.folder / "reading.json").read_bytes())
    state.reading = None
    (read.folder / "reading.json").write_bytes(state.model_dump_json().encode())
    rows.append(rows.pop(0) | {"name": "changed"})
    assert column_of(read(rows), "name").to_list()[-1] == "changed"


@pytest.mark.parametrize("later", [REUSABLE, timedelta(days=3), timedelta(seconds=-1)])
def test_an_old_reading_is_made_again(read, later: timedelta) -> None:
    """After a quarter of an hour, or where the clock was put back, nothing of it is taken up: finished or not."""
    rows = [row(number) for number in range(5)]
    read(rows)
    read.now += later
    assert read(rows).height == 5
    assert read.target.pages == 6
    read.now += later
    stop = Event()
    with pytest.raises(Interrupted):
        read(rows, lambda _dataset, page: stop.set() if page == 2 else None, stop)
    pages = read.target.pages
    read.now += later
    assert read(rows).height == 5
    assert read.target.pages == pages + 3
    read.now += REUSABLE - timedelta(seconds=1)
    read(rows)
    assert read.target.pages == pages + 4, "a younger one is"


def test_a_reading_of_a_moving_target_is_never_taken_up(read) -> None:
    """What never came to rest cannot be told to be the same."""
    rows = [row(number) for number in range(4)]
    read(rows, lambda _dataset, page: rows.append(row(len(rows))) if page * 2 > len(rows) else None)
    pages = read.target.pages
    assert read(rows).reading.moving is False
    assert read.target.pages > pages
