"""What reads bytes that others wrote, each as a function of bytes: it may raise the tool's own errors and no other.

`CORPUS` has what each begins from: right inputs, and those that were trouble once.
"""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import polars as pl
import xlsxwriter
import zstandard

from migrate import parquet
from migrate.config import load_project
from migrate.errors import MigrateError
from migrate.load.ledger_schema import connect
from migrate.load.ledger_view import LedgerView
from migrate.mapping.files import read_mappings
from migrate.names import MASTERID
from migrate.net.bounds import UnpackingError, unpack_body
from migrate.net.retry import TransientError
from migrate.plan.open_plan import open_plan
from migrate.plan.reading import parse_page
from migrate.privacy.contents import places_in
from migrate.privacy.spellings import Finder
from migrate.project import shipped_mappings
from migrate.sheets import read_rows
from migrate.snapshot.reading import list_snapshots, open_snapshot
from migrate.snapshot.records import add_fields, identify_page
from migrate.source.page import error_text, read_damaged_page, read_page
from migrate.source.resources import RESOURCES
from migrate.source.saved_files import SavedPages
from migrate.target.answer import Answer, error_title
from migrate.target.reads import csv_reader, read_count, read_list, read_one
from migrate.target.results import AnswerColumns, SentRecord, read_answer
from migrate.verify.evidence import check, pack
from migrate.workspace import Workspace

Target = Callable[[bytes], None]
_SENT = tuple(
    SentRecord(position, f"k{position}", json.dumps({"k": f"k{position}", "n": 1}))
    for position in range(2)
)
_DEEP = 100_000
GIVES_UP = Path(__file__).with_name("inputs") / "gives-up.parquet"
"""Rows over which polars gives up with what is no Exception."""


def page(data: bytes) -> None:
    """A list answer of Datatrics, and the records in it, down to the columns of a snapshot."""
    with suppress(TransientError):
        error_text(data)
        for read in (read_page, read_damaged_page):
            found = read(1, data)
            for resource in (RESOURCES["profiles"], RESOURCES["content_items"]):
                add_fields(identify_page(1, found.items, resource.fields))


def answer(data: bytes) -> None:
    """An answer of Octolis to anything: a batch, a count, a list, one record, an error."""
    columns = AnswerColumns(("k",))
    for status in (200, 207, 400, 500):
        given = Answer(status, body=data, sent=b'[{"k": "k0"}]')
        error_title(given)
        read_answer(given, _SENT, columns)
        for read in (read_count, read_list, read_one, csv_reader()):
            with suppress(TransientError, MigrateError):
                read(given)


def export(data: bytes) -> None:
    """A page of the target's CSV export."""
    with suppress(MigrateError, TransientError):
        read = csv_reader()
        given = Answer(200, body=data)
        # believed where it came three times
        for _ in range(2):
            with suppress(TransientError):
                read(given)
        parse_page(read(given), "contacts")


def body(data: bytes) -> None:
    """A packed body."""
    with suppress(UnpackingError):
        unpack_body([data[:7], data[7:]], "gzip", lambda: False)


def mapping(data: bytes) -> None:
    """A mapping file."""
    with tempfile.TemporaryDirectory() as name, suppress(MigrateError):
        (Path(name) / "contacts.yaml").write_bytes(data)
        read_mappings(Path(name))


def settings(data: bytes) -> None:
    """`migrate.toml`."""
    with tempfile.TemporaryDirectory() as name, suppress(MigrateError):
        (Path(name) / "migrate.toml").write_bytes(data)
        load_project(Path(name) / "migrate.toml", {})


def env(data: bytes) -> None:
    """`.env`."""
    with tempfile.TemporaryDirectory() as name, suppress(MigrateError):
        (Path(name) / "migrate.toml").write_text('[datatrics]\nproject_id = "1"\n')
        (Path(name) / ".env").write_bytes(data)
        (Path(name) / ".env").chmod(0o600)
        load_project(Path(name) / "migrate.toml", {})


def saved(data: bytes) -> None:
    """Saved files, plain and packed."""
    for ending in (".json", ".ndjson", ".json.gz", ".ndjson.zst", ".csv"):
        with tempfile.TemporaryDirectory() as name, suppress(MigrateError):
            file = Path(name) / f"profiles{ending}"
            file.write_bytes(data)
            fields = RESOURCES["profiles"].fields
            for found in SavedPages(RESOURCES["profiles"], Path(name), [file]).read(100):
                add_fields(identify_page(found.number, found.items, fields))


def archive(data: bytes) -> None:
    """An evidence archive, and the search in one."""
    check(data)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "x.zip"
        file.write_bytes(data)
        places_in(file, "x.zip", Finder(["jan@example.com"]))


def manifest(data: bytes) -> None:
    """A snapshot's manifest and its mark."""
    for kind in ("manifest.json", "begun.json"):
        with tempfile.TemporaryDirectory() as name, suppress(MigrateError):
            workspace = Workspace(Path(name))
            folder = workspace.snapshots / "a"
            folder.mkdir(parents=True)
            (folder / kind).write_bytes(data)
            list_snapshots(workspace)
            open_snapshot(workspace, "a")


def plan(data: bytes) -> None:
    """A plan's document and its mark."""
    for kind in ("plan.json", "begun.json"):
        with tempfile.TemporaryDirectory() as name, suppress(MigrateError):
            workspace = Workspace(Path(name))
            folder = workspace.plans / "a"
            folder.mkdir(parents=True)
            (folder / kind).write_bytes(data)
            open_plan(workspace, "a")


def sheet(data: bytes) -> None:
    """A table that somebody sends back: CSV, or a workbook."""
    with tempfile.TemporaryDirectory() as name, suppress(MigrateError):
        file = Path(name) / "x.xlsx"
        file.write_bytes(data)
        list(read_rows(file))


def _workbook(*cells: tuple[int, int]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        page = book.add_worksheet()
        for row, column in cells:
            page.write_string(row, column, "id")
    return out.getvalue()


def rows(data: bytes) -> None:
    """A file of rows of a plan, and the search in one."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "plans" / "p" / "contacts" / "rejects.parquet"
        file.parent.mkdir(parents=True)
        file.write_bytes(data)
        places_in(file, "x", Finder(["jan@example.com"]))
        with suppress(MigrateError, pl.exceptions.PolarsError):
            parquet.read(file)
        with suppress(MigrateError):
            parquet.check_whole(file)


def _rows() -> bytes:
    texts = dict.fromkeys(("source", "id", "rule", "column", "value", "resource"), "x")
    out = io.BytesIO()
    frame = pl.DataFrame({**texts, "position": 1, "snapshot_row": 2})
    frame.write_parquet(out, compression="uncompressed", statistics=False)
    return out.getvalue()


def ledger(data: bytes) -> None:
    """A ledger."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "ledger.sqlite"
        for use in (lambda: LedgerView(file).close(), lambda: connect(file).close()):
            file.write_bytes(data)
            with suppress(MigrateError):
                use()


def _zipped(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return out.getvalue()


def _ledger() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "ledger.sqlite"
        connect(file).close()
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
        return file.read_bytes()


_RECORD = (
    b'{"profileid":"1","source":"Shop","email":"jan@example.com","created":"2024-01-01 00:00:00"}'
)
_PAGE = b'{"items":[' + _RECORD + b'],"total_elements":1,"total_pages":1}'
_NESTED = b"[" * _DEEP + b"]" * _DEEP
_DEEP_RECORD = b'{"profileid":"1","source":"s","a":' + _NESTED + b"}"
_DIGITS = b'{"profileid":"1","source":"s","n":' + b"9" * 20_000 + b"}"
_MAPPING = (shipped_mappings() / "contacts.yaml").read_bytes()
_EXPONENT = b'{"profileid":"1","source":"s","n":1e999999999,"m":-1e-999999999}'

CORPUS: dict[str, tuple[Target, list[bytes]]] = {
    "page": (
        page,
        [
            _PAGE,
            _NESTED,
            b'{"items":[' + _DEEP_RECORD + b"," + _DIGITS + b"," + _EXPONENT + b"]}",
            b'{"items":[],"total_elements":' + b"9" * 5000 + b"}",
            b'{"items":[1,null,"x",[],{}]}',
            b'{"items":[{"profileid":{"a":1},"source":[1]}],"total_pages":"x"}',
            b'{"error":' + _NESTED + b"}",
            b'{"items":[{"profileid":"\\ud800","source":"s","a":"\\u0000"}]}',
            b"<html>",
            b"",
        ],
    ),
    "answer": (
        answer,
        [
            b'{"results":[{"written":true,"record":{"k":"k0"}},{"written":false,"error":{"status":400}}]}',
            b'{"results":' + _NESTED + b"}",
            b'{"count":' + b"9" * 5000 + b"}",
            b'{"records":[{"k":' + _NESTED + b"}]}",
            b'{"title":"x","detail":{"a":[1]},"status":"400"}',
            b'{"record":{"n":' + b"1" * 20_000 + b',"e":1e999999999}}',
            b'{"results":[{"written":true,"record":{"k":"k0","n":1e999999999}},null]}',
            b"[]",
            b"",
        ],
    ),
    "export": (
        export,
        [
            f'{MASTERID},a\n1,"x"\n'.encode(),
            f"{MASTERID},{MASTERID}\n1,2\n".encode(),
            f'{MASTERID},a\n1,"x\n'.encode(),
            b"\xff\xfe" + f"{MASTERID}".encode("utf-16-le"),
            f"{MASTERID}\n".encode() + b"\x00" * 50,
            MASTERID.encode() + b"," * 5000 + b"\n1\n",
            gzip.compress(f"{MASTERID}\n".encode() + bytes(1 << 20)),
            zstandard.ZstdCompressor().compress(f"{MASTERID}\n".encode() + bytes(1 << 20)),
        ],
    ),
    "body": (body, [gzip.compress(_PAGE), gzip.compress(b"") * 3, gzip.compress(bytes(1 << 20))]),
    "mapping": (
        mapping,
        [
            _MAPPING,
            b"%YAML 1.0\n---\na: 1\n",
            b"a: &a [x]\nb: [*a, *a]\n",
            b"[" * 5000,
            b"a: " * 3000,
            b"- " * 3000 + b"x",
            b"version: 1\ndataset: " + b"9" * 5000 + b"\n",
            b'version: 1\ndataset: a\nresource: profiles\nkey: [k]\ncolumns:\n  k: {sql: "'
            + b"(" * 3000
            + b"1"
            + b")" * 3000
            + b'", type: text}\n',
            b"version: 1\ndataset: ../../x\nresource: profiles\nkey: [k]\ncolumns:\n  k: {from: a, type: text}\n",
            b"%YAML 1.1\n---\n!!python/object/apply:os.system [id]\n",
            b"? [a]\n: b\n",
            b"a: !!binary x\n",
            b"\x00\x01",
        ],
    ),
    "settings": (
        settings,
        [
            b'[datatrics]\nproject_id = "1"\n[gates]\nmax_rejected = "2%"\n',
            b"a = " + b"[" * 5000,
            b"a.b.c.d = 1\n" * 50,
            b'[datatrics]\nproject_id = "1"\nconcurrency = 99999999999999999999999\n',
            b'[datatrics]\nproject_id = "1"\nrequests_per_second = nan\nretry_budget_s = inf\n',
            b'workspace = "\\u0000"\n[datatrics]\nproject_id = "1"\n',
            b'[datatrics]\nproject_id = "1"\n[datatrics.timezones]\n"*" = "../../etc/passwd"\n',
            b'[datatrics]\nproject_id = "1"\n[gates]\nmax_rejected = "1e400%"\n',
        ],
    ),
    "env": (
        env,
        [
            b"DATATRICS_API_KEY=abc\nOCTOLIS_API_KEYS='a,b'\n",
            b"DATATRICS_API_KEY=${X}\n",
            b"A=" + b"'" * 5000,
            b"\x00=\x00",
            b"OCTOLIS_API_KEYS=" + b"," * 5000,
            b"\\" * 999,
        ],
    ),
    "saved": (
        saved,
        [
            b"[" + _RECORD + b"]",
            _RECORD + b"\n" + _RECORD,
            _PAGE,
            gzip.compress(_PAGE),
            zstandard.ZstdCompressor().compress(_RECORD),
            zstandard.ZstdCompressor().compress(bytes(1 << 20)),
            _DEEP_RECORD,
            b"[" + _DIGITS + b"]",
            _NESTED,
            b"\xff\xfe" + "[{}]".encode("utf-16-le"),
            b"profileid,source\n1,s\n",
            b"",
        ],
    ),
    "archive": (
        archive,
        [
            pack({"plan.json": b"{}"}, {"plan": "x"})[0],
            _zipped(("evidence.json", b"0" * (1 << 20))),
            _zipped(("evidence.json", _NESTED), compression=zipfile.ZIP_STORED),
            _zipped(("../../x", b"1"), ("evidence.json", b"[]"), compression=zipfile.ZIP_STORED),
            _zipped(("a.zip", _zipped(("b.zip", _zipped(("c", b"jan@example.com")))))),
            gzip.compress(gzip.compress(bytes(1 << 20))),
        ],
    ),
    "manifest": (
        manifest,
        [
            b'{"format":1,"name":"a","resources":{}}',
            b'{"format":99}',
            _NESTED,
            b'{"started":"0000-00-00"}',
            b'{"format":1,"name":"a","base_url":"x","project_id":"1","resources":["profiles"],"page_sizes":{},'
            b'"tool_version":"1","started":"9999-12-31T23:59:59+23:59"}',
            b"[]",
            b"null",
        ],
    ),
    "plan": (
        plan,
        [
            b"{}",
            b'{"format":1}',
            _NESTED,
            b"[]",
            b'{"format":1,"snapshot":' + _NESTED + b"}",
            b"null",
        ],
    ),
    "sheet": (
        sheet,
        [
            b"id;value\n1;'=1\n",
            b"\xff\xfe" + "id\t1\n".encode("utf-16-le"),
            b'id,"x',
            _workbook((0, 0), (1, 0), (1, 1)),
            _workbook((0, 0), (1_048_575, 16_383)),
            _zipped(("xl/workbook.xml", _NESTED)),
            _zipped(
                ("xl/workbook.xml", b"<workbook/>"), ("xl/worksheets/sheet1.xml", bytes(1 << 20))
            ),
        ],
    ),
    "rows": (
        rows,
        [
            _rows(),
            GIVES_UP.read_bytes(),
            b"PAR1",
            b"PAR1" + bytes(100) + b"PAR1",
            b"",
            _zipped(("a", b"PAR1")),
        ],
    ),
    "ledger": (ledger, [_ledger(), b"SQLite format 3\x00" + bytes(200), b"", b"x" * 4096]),
}


def seeds_of(name: str) -> list[bytes]:
    """What a target begins from."""
    return CORPUS[name][1]
