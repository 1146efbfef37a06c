"""Files saved from the API give the snapshot that the API would have given."""

from __future__ import annotations

import gzip
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from migrate.errors import Damaged, MigrateError, UsageError
from migrate.progress import Silence
from migrate.source.extract import Extraction
from migrate.source.import_files import ImportRequest, import_files
from migrate.source.resources import resolve_resources
from migrate.workspace import Workspace

RECORDS = [{"profileid": str(n), "source": "shop", "score": 1.10, "name": "Zoë"} for n in range(25)]


def take(
    tmp_path: Path,
    *named: str,
    snapshot: str | None = None,
    encoding: str | None = None,
    expect: dict[str, int] | None = None,
) -> Extraction:
    """The snapshot of the files in `files`."""
    resources = resolve_resources(named or ("profiles",))
    sizes = {resource.name: 10 for resource in resources}
    request = ImportRequest(
        tmp_path / "files",
        resources,
        named,
        snapshot,
        sizes,
        "demo",
        encoding=encoding,
        expect=expect or {},
        vouched_by="ann@desk",
    )
    return import_files(
        Workspace(tmp_path / "work"),
        request,
        Silence(),
        threading.Event(),
        lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )


def write(tmp_path: Path, name: str, data: bytes) -> None:
    """A file among the saved ones."""
    path = tmp_path / "files" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def answer(records: list[Any], total: int = 25) -> bytes:
    """A list answer as the API sends it."""
    return json.dumps(
        {"total_elements": total, "total_pages": 3, "page": 1, "size": 10, "items": records}
    ).encode()


def ids(found: Extraction, resource: str = "profiles") -> list[str]:
    """The ids in the parts."""
    return pl.read_parquet(found.folder / resource / "part-*.parquet")["_id"].to_list()


def test_saved_pages_are_as_good_as_the_api(tmp_path: Path) -> None:
    """Whole answers with totals, packed or not, prove the resource complete."""
    write(tmp_path, "profiles-1.json", answer(RECORDS[:10]))
    write(tmp_path, "profiles-2.json.gz", gzip.compress(answer(RECORDS[10:20])))
    write(tmp_path, "profiles-3.json.zst", zstandard.compress(answer(RECORDS[20:])))
    found = take(tmp_path)
    assert found.resources["profiles"].verdict == "proven", found.resources["profiles"].reason
    assert ids(found) == [str(n) for n in range(25)]


def test_a_page_that_is_missing_is_noticed(tmp_path: Path) -> None:
    """The totals say more than came."""
    write(tmp_path, "profiles-1.json", answer(RECORDS[:10]))
    result = take(tmp_path).resources["profiles"]
    assert (result.verdict, result.distinct) == ("unproven", 10)
    assert "25 announced by 1 saved answer, but 10 distinct received (-15)" in result.reason


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress, zstandard.compress])
def test_a_record_a_line(tmp_path: Path, pack: Any) -> None:
    """NDJSON is read line by line, and without totals nothing is proven."""
    lines = b"\n".join(json.dumps(record).encode() for record in RECORDS) + b"\n\n"
    suffix = {0x1F: ".gz", 0x28: ".zst"}.get(pack(lines)[0], "")
    write(tmp_path, f"profiles/all.ndjson{suffix}", pack(lines))
    found = take(tmp_path)
    assert ids(found) == [str(n) for n in range(25)]
    assert found.resources["profiles"].verdict == "unproven"
    assert found.resources["profiles"].pages == 3


def test_arrays_single_records_and_answers_a_line(tmp_path: Path) -> None:
    """Each form a person saves in."""
    write(tmp_path, "profiles/a.json", json.dumps(RECORDS[:3], indent=2).encode())
    write(tmp_path, "profiles/b.json", b"\xef\xbb\xbf" + json.dumps(RECORDS[3], indent=2).encode())
    write(tmp_path, "profiles/c.jsonl", answer(RECORDS[4:6]) + b"\n" + answer(RECORDS[6:8]))
    write(tmp_path, "profiles/d.json", b"\n".join(json.dumps(r).encode() for r in RECORDS[8:10]))
    assert ids(take(tmp_path)) == [str(n) for n in range(10)]


PEOPLE = [{"profileid": str(n), "source": "shop"} for n in range(5)]
ODD_PEOPLE = [
    '{"profileid":"0","source":"shop","v":NaN}',
    '{"profileid":"1","source":"shop","v":"half \\ud83d"}',
    '{"profileid":"2","source":"shop","v":"a\tb"}',
    '{"profileid":"3","source":"shop","v":007}',
    '{"profileid":"4","source":"shop","v":[1,],}',
]
LINES = [{"itemid": "1"}, {"itemid": "2"}]


def odd_answer(beginning: str = "{", end: str = ',"total_elements":5}') -> str:
    """A list answer of records that only a tolerant reader takes."""
    return f'{beginning}"items":[{",".join(ODD_PEOPLE)}]{end}'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("profiles.json", odd_answer()),
        ("profiles.json", odd_answer(end="}")),
        ("profiles.json", odd_answer('{"total_items":"5","page":1,"took":3,', "}")),
        ("profiles.json", f'{{"items":[{",".join(ODD_PEOPLE)},],"size":5}}'),
        ("profiles.ndjson", "\n".join(ODD_PEOPLE)),
        ("profiles.json", "\r\n".join(ODD_PEOPLE) + "\r\n\r\n"),
        ("profiles.jsonl", odd_answer()),
        ("profiles.json", f"[{','.join(ODD_PEOPLE)}]"),
        ("profiles.json", "[\n" + ",\n".join(ODD_PEOPLE) + "\n]\n"),
        ("profiles.json", f"[{odd_answer()}]"),
        ("profiles.json", json.dumps({"items": {str(n * 2): p for n, p in enumerate(PEOPLE)}})),
        ("profiles.ndjson", "\x1e" + "\n\x1e".join(ODD_PEOPLE)),
    ],
)
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_a_list_is_the_same_list_however_it_was_saved(
    tmp_path: Path, name: str, text: str, encoding: str
) -> None:
    """Answers, arrays and lines, with or without totals, in any encoding of Unicode: five records."""
    write(tmp_path, name, text.encode(encoding))
    assert sorted(ids(take(tmp_path))) == list("01234")


@pytest.mark.parametrize(
    ("sale", "count"),
    [
        ({"conversionid": "7", "source": "s", "total_items": 2, "items": LINES}, 1),
        ({"source": "S", "items": LINES, "total_items": 2, "size": 2}, 1),
        ({"source": "S", "items": LINES, "size": 2}, 1),
        ({"metadata": {"source": "S"}, "items": LINES, "total_items": 2}, 1),
        (
            {
                "items": [{"conversionid": "1"}, {"conversionid": "2"}],
                "source": "S",
                "total_items": 2,
            },
            2,
        ),
        ({"items": [{"conversionid": "1"}, {"conversionid": "2"}], "shop": "S"}, 2),
        ({"items": [{"conversionid": "1"}, {"conversionid": "2"}]}, 2),
    ],
)
@pytest.mark.parametrize("name", ["sales.json", "sales.ndjson"])
def test_a_sale_with_lines_is_a_sale(
    tmp_path: Path, sale: dict[str, Any], count: int, name: str
) -> None:
    """Lines and totals of its own do not make it a list answer, and a list answer is no sale."""
    write(tmp_path, name, json.dumps(sale).encode())
    assert len(ids(take(tmp_path, "sales"), "sales")) == count


@pytest.mark.parametrize(
    "text",
    [
        '{"error":{"message":"no access"}}',
        '{"status":400,"message":"no"}',
        '{"data":[{"profileid":"1"}]}',
        '{"profiles":{"items":[]}}',
        '{"items":"none"}',
        "[1,2,3]",
        '[{"error":"no"}]',
        '"text"',
        "null",
        "17",
        '{"profileid":"1","source":"s"}\n{"error":{"message":"no access"}}',
        '{"profileid":"1","source":"s"}\n{"status":500,"message":"no"}',
    ],
)
def test_what_is_neither_record_nor_answer_is_refused_by_name(tmp_path: Path, text: str) -> None:
    """It never becomes one odd record."""
    write(tmp_path, "profiles-7.json", text.encode())
    with pytest.raises(Damaged, match=r"profiles-7\.json: (it|line 2) is neither"):
        take(tmp_path)


def test_latin_1_is_refused_by_file_and_line_and_read_when_named(tmp_path: Path) -> None:
    """The option reads exactly the lines that are no UTF-8."""
    lines = [json.dumps({"profileid": str(n), "name": "Zoë"}, ensure_ascii=False) for n in range(3)]
    write(
        tmp_path,
        "profiles.ndjson",
        b"\n".join([lines[0].encode(), *(t.encode("latin-1") for t in lines[1:])]),
    )
    with pytest.raises(Damaged, match=r"profiles\.ndjson: line 2 is no UTF-8: byte 0xEB") as caught:
        take(tmp_path)
    assert "--encoding cp1252" in str(caught.value.hint)
    found = take(tmp_path, encoding="latin-1")
    assert (
        pl.read_parquet(found.folder / "profiles" / "part-*.parquet")["name"].to_list()
        == ["Zoë"] * 3
    )


def test_an_encoding_that_does_not_read_the_file_is_said(tmp_path: Path) -> None:
    """By file and line; and a name that is no encoding before anything is read."""
    write(tmp_path, "profiles.ndjson", b'{"profileid":"1"}\n{"profileid":"\x81"}')
    with pytest.raises(Damaged, match="line 2 or one soon after it is no cp1252"):
        take(tmp_path, encoding="cp1252")
    for name in ("latin-99", "base64"):
        with pytest.raises(UsageError, match="there is no encoding"):
            take(tmp_path, encoding=name)


def test_every_file_is_in_the_manifest(tmp_path: Path) -> None:
    """With its records, its answers, and what stood outside of them."""
    write(tmp_path, "profiles/a.json", answer(RECORDS[:10]))
    write(tmp_path, "profiles/b.ndjson", b"\n".join(json.dumps(r).encode() for r in RECORDS[10:]))
    result = take(tmp_path).resources["profiles"]
    assert [(f.name, f.records, f.answers, f.loose) for f in result.files] == [
        ("profiles/a.json", 10, 1, 0),
        ("profiles/b.ndjson", 15, 0, 15),
    ]
    assert result.verdict == "proven", result.reason


def paged(page: int, rows: int, pages: int | None) -> bytes:
    """A list answer that counts pages only."""
    said = {} if pages is None else {"total_pages": pages}
    records = [{"profileid": f"{page}-{n}"} for n in range(rows)]
    return json.dumps({"page": page, **said, "items": records}).encode()


@pytest.mark.parametrize(
    ("pages", "verdict", "words"),
    [
        ([(1, 10, 3), (2, 10, 3), (3, 4, 3)], "proven", "pages 1 to 3 without a gap"),
        ([(1, 10, 3), (3, 4, 3)], "unproven", "of 3 pages 1 is missing (2)"),
        ([(1, 10, 3), (2, 10, 4), (3, 4, 4)], "unproven", "nothing in the files says"),
        ([(1, 10, None), (2, 4, None), (3, 0, None)], "proven", "pages 1 to 2 without a gap"),
        ([(1, 10, None), (2, 4, None)], "unproven", "--expect profiles=14"),
    ],
)
def test_pages_without_a_gap_prove_the_list(
    tmp_path: Path, pages: list[tuple[int, int, int | None]], verdict: str, words: str
) -> None:
    """Where the last one is known: by a number of pages, or by an empty one. A short page says nothing."""
    for page in pages:
        write(tmp_path, f"profiles-{page[0]}.json", paged(*page))
    result = take(tmp_path).resources["profiles"]
    assert (result.verdict, words in result.reason) == (verdict, True), result.reason


@pytest.mark.parametrize(
    ("expected", "total", "verdict", "words"),
    [
        (25, None, "proven", "25 vouched for by ann@desk"),
        (
            26,
            None,
            "unproven",
            "26 vouched for by ann@desk (--expect), but 25 distinct received (-1)",
        ),
        (25, 25, "proven", "25 announced by 1 saved answer,"),
        (25, 30, "unproven", "the saved answers announce 30 records, but --expect says 25"),
    ],
)
def test_a_person_vouches_for_the_number(
    tmp_path: Path, expected: int, total: int | None, verdict: str, words: str
) -> None:
    """Where the files do not say it; what they say is not overruled. Who said so is kept."""
    data = json.dumps(RECORDS).encode() if total is None else answer(RECORDS, total)
    write(tmp_path, "profiles.json", data)
    result = take(tmp_path, expect={"profiles": expected}).resources["profiles"]
    assert (result.verdict, words in result.reason) == (verdict, True), result.reason
    assert result.expected is not None
    assert (result.expected.records, result.expected.by) == (expected, "ann@desk")


def test_totals_that_changed_while_saving_are_no_proof(tmp_path: Path) -> None:
    """The list moved."""
    write(tmp_path, "profiles-1.json", answer(RECORDS[:10], 25))
    write(tmp_path, "profiles-2.json", answer(RECORDS[10:], 26))
    result = take(tmp_path).resources["profiles"]
    assert (result.verdict, "between 25 and 26" in result.reason) == ("drifted", True)


def test_other_settings_are_another_snapshot(tmp_path: Path) -> None:
    """A finished snapshot is not given back for a number that was not asked of it."""
    write(tmp_path, "profiles.json", json.dumps(RECORDS).encode())
    take(tmp_path, snapshot="one")
    with pytest.raises(MigrateError, match="begun with other settings"):
        take(tmp_path, snapshot="one", expect={"profiles": 25})
    with pytest.raises(UsageError, match="none of the resources taken here"):
        take(tmp_path, expect={"sales": 25})


def test_a_strange_record_does_not_stop_a_file(tmp_path: Path) -> None:
    """What is JSON but no plain object stays, is counted, and keeps the resource from being proven."""
    write(tmp_path, "profiles.ndjson", b'{"profileid":"1"}\n"text"\n{"profileid":"2","v":NaN}\n')
    found = take(tmp_path)
    result = found.resources["profiles"]
    assert ids(found) == ["1", None, "2"]
    assert (result.unparsed, result.without_id) == (1, 1)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("profiles.json", answer(RECORDS)[:-40], "no whole JSON"),
        ("profiles.ndjson", b'{"profileid":"1"}\n{"profileid":"2', "line 2 is no whole JSON"),
        ("profiles.json.gz", gzip.compress(answer(RECORDS))[:-30], "packing is broken"),
        ("profiles.json.zst", zstandard.compress(answer(RECORDS))[:-5], "packing is broken"),
        ("profiles.json.zst", b"not packed at all", "packing is broken"),
        ("profiles.json", b'{"profileid":"\xff"}', "line 1 is no UTF-8"),
        ("profiles.json", b" \n", "it is empty"),
    ],
)
def test_a_cut_file_is_refused_by_name(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    """Half a file never becomes a snapshot."""
    write(tmp_path, name, data)
    with pytest.raises(Damaged, match=words) as caught:
        take(tmp_path)
    assert name in caught.value.what


def test_a_file_of_no_resource_is_not_passed_over(tmp_path: Path) -> None:
    """It is named; where one resource is asked for by name, it is taken for it."""
    write(tmp_path, "export-1.json", answer(RECORDS[:5], 5))
    with pytest.raises(UsageError, match=r"export-1\.json"):
        take(tmp_path)
    assert len(ids(take(tmp_path, "profiles"))) == 5


@pytest.mark.parametrize("make", [False, True])
def test_nothing_to_take_is_said(tmp_path: Path, make: bool) -> None:
    """No folder, or none with a file of use."""
    if make:
        write(tmp_path, "readme.txt", b"hello")
    with pytest.raises(MigrateError):
        take(tmp_path)


def test_the_same_again_gives_back_the_same_snapshot(tmp_path: Path) -> None:
    """A finished snapshot is not written again."""
    write(tmp_path, "profiles.json", answer(RECORDS))
    assert take(tmp_path, snapshot="one") == take(tmp_path, snapshot="one")


def test_other_versions_of_a_record_are_kept_apart(tmp_path: Path) -> None:
    """They are counted and listed, with the page of the one that stays and why it does."""
    lines = [
        {"profileid": "1", "updated": "01-01-2020 10:00", "n": 1},
        {"profileid": "1", "updated": "31-12-2019", "n": 2},
        {"profileid": "2", "updated": "soon", "n": 3},
        {"profileid": "2", "updated": "later", "n": 4},
    ]
    write(tmp_path, "profiles.ndjson", b"\n".join(json.dumps(line).encode() for line in lines))
    found = take(tmp_path)
    result = found.resources["profiles"]
    assert (result.changed_duplicates, result.undated_duplicates) == (2, 1)
    kept = pl.read_parquet(found.folder / "profiles" / "part-*.parquet")["n"].to_list()
    assert kept == ["1", "4"]
    doubles = pl.read_parquet(found.folder / "profiles" / "doubles.parquet")
    assert [
        (json.loads(raw)["n"], by_time) for raw, by_time in doubles.select("_raw", "by_time").rows()
    ] == [
        (2, True),
        (3, False),
    ]
