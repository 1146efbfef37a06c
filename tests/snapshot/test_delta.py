"""What is new, changed, unchanged and gone, beside the same told with dictionaries."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from migrate.snapshot.delta import NEWEST_FIRST, WHOLE_LIST, compare
from migrate.snapshot.reading import SnapshotResource
from migrate.snapshot.records import Identified
from migrate.snapshot.spool import Spool

Record = tuple[str | None, str | None, bytes]
records = st.tuples(
    st.sampled_from(["s", "t", None]), st.sampled_from(["1", "2", "3", "4", None]), st.just(b"{}")
)
contents = st.sampled_from([b'{"v":1}', b'{"v":2}', b'{"w":1}'])
pages = st.lists(
    st.lists(st.tuples(records, contents).map(lambda r: (*r[0][:2], r[1])), max_size=4), max_size=4
)


def identified(number: int, page: list[Record]) -> Identified:
    """A page's records."""
    sources, ids, items = ([record[at] for record in page] for at in range(3))
    return Identified([number] * len(page), cast(Any, sources), cast(Any, ids), cast(Any, items))


def key_of(record: Record) -> object:
    """What makes it the same record: a nameless one is its content."""
    return record[2] if record[1] is None else record[:2]


def stored(found: list[list[Record]]) -> tuple[Spool, SnapshotResource]:
    """The pages as a spool has them, and as an earlier snapshot's frames."""
    by_number = {number: identified(number, page) for number, page in enumerate(found, 1) if page}
    entries = [SimpleNamespace(number=number) for number in by_number]
    spool = SimpleNamespace(stored=lambda: entries, read=lambda entry: by_number[entry.number])
    base = SimpleNamespace(frames=lambda _columns: (page.frame() for page in by_number.values()))
    return cast(Spool, spool), cast(SnapshotResource, base)


@given(pages, pages, st.sampled_from([WHOLE_LIST, NEWEST_FIRST]))
def test_it_is_as_with_dictionaries(
    before: list[list[Record]], now: list[list[Record]], how: str
) -> None:
    """Of equal ones before the last counts; counts, states in reading order, and the rows to leave out."""
    held = {key_of(record): record[2] for page in before for record in page}
    left_out = {number: [0] for number, page in enumerate(now, 1) if len(page) > 2}
    states, out = (
        list[tuple[str | None, str | None, str]](),
        {page: list(rows) for page, rows in left_out.items()},
    )
    tally, seen = Counter[str](), set[object]()
    for number, page in enumerate(now, 1):
        for row, record in enumerate(page):
            if row in left_out.get(number, []):
                continue
            key = key_of(record)
            state = (
                "new" if key not in held else "unchanged" if held[key] == record[2] else "changed"
            )
            tally[state] += 1
            seen.add(key)
            if state == "unchanged":
                out.setdefault(number, []).append(row)
            else:
                states.append((record[0], record[1], state))
    gone = (
        [record for page in before for record in page if key_of(record) not in seen]
        if how == WHOLE_LIST
        else []
    )

    found = compare(stored(now)[0], left_out, stored(before)[1], how)
    counts = found.counts
    assert (counts.new, counts.changed, counts.gone) == (
        tally["new"],
        tally["changed"],
        len({*map(key_of, gone)}),
    )
    assert counts.unchanged == len(held) - tally["changed"] - (counts.gone or 0)
    assert found.states.rows() == [*states, *((record[0], record[1], "gone") for record in gone)]
    assert found.left_out == out
