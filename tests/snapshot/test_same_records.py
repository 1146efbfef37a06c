"""Which records are the same, whatever their number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.snapshot import same_records as module
from migrate.snapshot.records import IdentityFields, identify_page, identities_digest
from migrate.snapshot.same_records import DuplicateSurvey, survey
from migrate.snapshot.spool import PageEntry, Spool

FIELDS = IdentityFields(("id",), ("source",), ("updated",))
identities = st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.integers(0, 3))


def surveyed(folder: Path, pages: list[list[tuple[str, int, int]]]) -> DuplicateSurvey:
    """The survey of pages of (source, id, day of update)."""
    spool = Spool(folder)
    spool.open()
    for number, page in enumerate(pages, 1):
        items = [
            b'{"id":%d,"source":"%s","updated":"2020-01-0%d"}' % (i, s.encode(), day)
            for s, i, day in page
        ]
        records = identify_page(number, items, FIELDS)
        entry = PageEntry(number, len(items), 0, identities_digest(records), "", "")
        spool.record(spool.write(records, entry))
    return survey(spool, FIELDS)


@given(st.lists(st.lists(identities, max_size=8), max_size=6), st.sampled_from([1, 3, 500_000]))
def test_one_of_each_identity_stays_and_it_is_the_newest(
    tmp_path_factory: pytest.TempPathFactory, pages: list[list[tuple[str, int, int]]], at_once: int
) -> None:
    """Counts and rows left out agree with a plain dictionary, in one slice or in many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_HASHES_AT_ONCE", at_once)
        patch.setattr(module, "_PAGES_AT_ONCE", 2)
        found = surveyed(tmp_path_factory.mktemp("spool"), pages)
    newest: dict[tuple[str, int], int] = {}
    for source, id_, day in (record for page in pages for record in page):
        newest[source, id_] = max(day, newest.get((source, id_), 0))
    stays = [
        record
        for number, page in enumerate(pages, 1)
        for row, record in enumerate(page)
        if row not in found.left_out.get(number, [])
    ]
    assert {(source, id_): day for source, id_, day in stays} == newest
    assert len(stays) == len(newest) == found.distinct
    assert found.received == sum(map(len, pages))


def kept(folder: Path, *updated: str) -> tuple[int, DuplicateSurvey]:
    """Which of some copies of one record stays, counted from 0, by their `updated`."""
    spool = Spool(folder)
    spool.open()
    items = [json.dumps({"id": 1, "n": n, "updated": u}).encode() for n, u in enumerate(updated)]
    records = identify_page(1, items, FIELDS)
    entry = PageEntry(1, len(items), 0, identities_digest(records), "", "")
    spool.record(spool.write(records, entry))
    found = survey(spool, FIELDS)
    (row,) = set(range(len(updated))) - set(found.left_out[1])
    return row, found


@pytest.mark.parametrize(
    ("updated", "row", "undated"),
    [
        (("01-01-2020 10:00", "31-12-2019"), 0, 0),
        (("31-12-2019", "01-01-2020 10:00"), 1, 0),
        (("999999999", "1577836800"), 1, 0),
        (("1577836800", "999999999"), 0, 0),
        (("2020-01-01T00:30:00+02:00", "2019-12-31T23:00:00Z"), 1, 0),
        (("03-04-2020", "04-03-2020"), 1, 1),
        (("soon", "later"), 1, 1),
        (("2020-01-01", "2020-01-01"), 1, 1),
        (("2020-03-01", "unknown", "2019-01-01"), 1, 2),
        (("2020-03-01", "2019-01-01", "2020-02-01"), 0, 0),
    ],
)
def test_of_doubles_the_newer_stays_in_any_spelling(
    tmp_path: Path, updated: tuple[str, ...], row: int, undated: int
) -> None:
    """Where neither can be told, the one in the later place, and that is counted."""
    found_row, found = kept(tmp_path, *updated)
    assert found_row == row
    assert (found.changed_duplicates, found.undated_duplicates) == (len(updated) - 1, undated)
