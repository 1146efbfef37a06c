"""What a terminal, an eye or a spreadsheet would obey in the data is inert wherever it is printed or written."""

from __future__ import annotations

import csv
import json
import os
import unicodedata
from pathlib import Path

import pytest

from migrate.project import start_project

from .conftest import SOURCE_KEY, TARGET_KEY
from .test_tampered import run_here

pytestmark = pytest.mark.end_to_end

FORMULA = "=HYPERLINK(0)"
LIVE = "\x1b[2J\x9b31m\u202etxt.exe\u2066\u200f\x07\x08"
"""Clears the screen, colours it, turns the direction of what follows, rings, steps back."""
COMMANDS = (
    ("extract", "--from-files", "saved"), ("inspect",), ("inspect", "--html", "inspect.html"),
    ("mapping", "preview", "mappings/contacts.yaml"), ("mapping", "new", "profiles"), ("plan", "--offline"), ("diff",),
    ("diff", "--show-values"), ("diff", "--html", "diff.html", "--show-values"), ("rejects", "list"),
    ("rejects", "show", FORMULA), ("rejects", "export"), ("trace", "profiles", f"{FORMULA}{LIVE}1"),
    ("trace", "profiles", LIVE),
    ("status",), ("history",), ("load",), ("reconcile",), ("evidence",), ("undo", "plan"),
    ("support", "--out", "s.zip"),
    ("purge", "--subject", f"{FORMULA}{LIVE}1", "--dry-run"), ("purge", "--dry-run"),
)  # fmt: skip


def write_files(folder: Path) -> None:
    """Profiles, sales and interactions of which every text is hostile, some of them to be rejected."""
    word = FORMULA + LIVE
    profiles = [
        {
            "profileid": f"{word}{n}", "source": word, "email": f"{word}@example.test", "firstname": word, "city": word,
            "dateofbirth": word, "created": word if n else "2024-01-01 00:00:00", f"{word}field": word,
            "country": word, "phone": word, "newsletter": word,
        }
        for n in range(3)
    ]  # fmt: skip
    sales = [
        {"conversionid": f"{word}{n}", "source": word, "profileid": f"{word}{n}", "total": word, "currency": word,
         "created": word, "items": [{"itemid": word, "name": word, "price": word, "quantity": word}]}
        for n in range(3)
    ]  # fmt: skip
    folder.mkdir()
    for name, records in (("profiles", profiles), ("sales", sales)):
        (folder / f"{name}.json").write_text(json.dumps(records))


def live_in(text: str) -> set[str]:
    """The characters that somebody would obey."""
    return {
        char for char in text if unicodedata.category(char) in ("Cc", "Cf") and char not in "\n\r\t"
    } - {"\ufeff"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose source is files that somebody made on purpose."""
    folder = tmp_path_factory.mktemp("hostile") / "p"
    start_project(folder)
    write_files(folder / "saved")
    (folder / "migrate.toml").write_text(
        '[datatrics]\nproject_id = "1"\nretry_budget_s = 1\n'
        '[octolis]\nbase_url = "http://127.0.0.1:9/v1/data"\nretry_budget_s = 1\n'
        '[octolis.datasets]\ncontacts = "contacts"\norders = "orders"\norder_items = "order_items"\n'
    )
    return folder


def test_no_output_obeys_the_data(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As text and as JSON, on both streams; and in every file of lines, pages and lists that is written."""
    monkeypatch.setenv("DATATRICS_API_KEY", SOURCE_KEY)
    monkeypatch.setenv("OCTOLIS_API_KEYS", TARGET_KEY)
    before = os.umask(0o077)
    try:
        for command in COMMANDS:
            for form in ((), ("--json",)):
                code, out, err = run_here(project, *command, *form)
                assert isinstance(code, int), code
                assert not live_in(out + err), (command, form, live_in(out + err))
    finally:
        os.umask(before)
    pages = [
        path for path in project.rglob("*") if path.suffix in (".html", ".csv", ".txt", ".jsonl")
    ]
    assert {path.suffix for path in pages} >= {".html", ".csv", ".jsonl"}
    for page in pages:
        text = page.read_text("utf-8")
        assert not live_in(text), (page, live_in(text))
        if page.suffix == ".csv":
            check_cells(text)


def check_cells(text: str) -> None:
    """No cell begins as a formula does; one of them came as one."""
    for row in csv.reader(text.removeprefix("\ufeff").splitlines(keepends=True)):
        for cell in (part for one in row for part in (one, *one.split(";"))):
            assert cell[:1] not in ("=", "+", "@", "\t", "\r", "|"), cell
