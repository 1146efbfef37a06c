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
from migrate.source.files import Piece, read_pages
from migrate.source.import_files import ImportRequest, import_files
from migrate.source.resources import SALES, resolve_resources
from migrate.workspace import Workspace

RECORDS = [{"profileid": str(n), "source": "shop", "score": 1.10, "name": "Zoë"} for n in range(25)]


def take(tmp_path: Path, *named: str, snapshot: str | None = None) -> Extraction:
    """The snapshot of the files in `files`."""
    resources = resolve_resources(named or ("profiles",))
    sizes = {resource.name: 10 for resource in resources}
    request = ImportRequest(tmp_path / "files", resources, named, snapshot, sizes, "demo")
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
    assert "25 announced but 10 distinct" in result.reason


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


def test_a_sale_with_items_is_a_sale(tmp_path: Path) -> None:
    """Lines and totals of its own do not make it a list answer."""
    sale = {
        "conversionid": "7",
        "source": "s",
        "total_items": 2,
        "items": [{"itemid": "1"}, {"itemid": "2"}],
    }
    path = tmp_path / "sales.ndjson"
    path.write_bytes(json.dumps(sale).encode())
    pages = list(read_pages(SALES, [path], 10))
    assert [len(page.items) for page in pages] == [1]
    assert Piece(pages[0].items).items == (json.dumps(sale).encode(),)


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
        ("profiles.json", b'{"profileid":"\xff"}', "no whole JSON"),
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
