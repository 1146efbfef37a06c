"""What is lost is counted, with examples; and many rows give what few give."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from migrate.mapping import source_rows as base
from migrate.mapping.model import Mapping
from migrate.mapping.transform import Mapped, Settings, map_rows
from migrate.mapping.types import payloads

Make = Callable[..., Mapping]
Rows = Callable[..., pl.DataFrame]
Run = Callable[..., Mapped]


@pytest.mark.parametrize(
    ("settings", "text", "loss", "after"),
    [
        ("type: text, apply: [trim]", " x ", "trimmed", "x"),
        ("type: text, apply: [truncate: 2]", "abc", "truncated", "ab"),
        ("type: float", "1.23456789", "rounded", "1.234568"),
        ("type: datetime", "2020-01-01 00:00:00", "zone_assumed", "2020-01-01 00:00:00"),
        ("type: json", '["a"]', "flattened", '["a"]'),
        ("type: text", '{"a": 1}', "flattened", '{"a": 1}'),
        ("type: integer, default: 7", None, "defaulted", "7"),
        ("type: integer, on_invalid: omit", "x", "omitted_not_an_integer", None),
        ("type: date", "2020-01-01 10:00:00", "time_dropped", "2020-01-01 00:00:00"),
    ],
)
def test_each_loss_has_an_example(
    run: Run, settings: str, text: str | None, loss: str, after: str | None
) -> None:
    """A loss is counted, and shown as what was sent and what became of it."""
    found = run(settings, [text])
    assert found.losses == {"x": {loss: 1}}
    [example] = found.loss_examples["x"][loss]
    assert example.pair == (text, after)


def test_examples_are_few_short_and_different(run: Run) -> None:
    """At most three, each once, no value longer than 200 characters, none of a rejected row."""
    found = run("type: integer, apply: [trim]", [" 1", " 1", " x", " 2", " 3", " 4", "5"])
    assert found.losses == {"x": {"trimmed": 5}}
    examples = found.loss_examples["x"]["trimmed"]
    assert [example.pair for example in examples] == [(" 1", "1"), (" 2", "2"), (" 3", "3")]
    long = run("type: text, apply: [trim]", [" " + "x" * 900])
    [example] = long.loss_examples["x"]["trimmed"]
    assert [len(text or "") for text in example.pair] == [200, 200]


def test_a_text_that_only_begins_like_a_list_is_not_flattened(run: Run) -> None:
    """Only a whole JSON list or object counts."""
    assert run("type: text", ["[sic] fine", "{x}", "1"]).losses == {}


COLUMNS = """n: {from: [n, m], type: integer, on_invalid: omit}
t: {from: t, type: text, apply: [trim, lowercase]}
d: {from: d, type: datetime}
f: {from: f, type: float, apply: [decimal_comma]}
p: {from: position, type: integer}
q: {from: item.q, type: text, apply: [truncate: 2]}
k: {from: c.k, type: text}"""
TOP = "each: items\nwhere: \"t <> 'no'\"\nlookups: {c: {dataset: contacts, source: source, id: t, on_orphan: keep}}"


def _many(rows: Rows) -> pl.DataFrame:
    count = 300
    return rows(
        ids=[None if i % 97 == 96 else str(i) for i in range(count)],
        n=[["1", "x", None, "2147483648"][i % 4] for i in range(count)],
        m=[str(i) for i in range(count)],
        t=[[" A ", "no", "b", None, "İ"][i % 5] for i in range(count)],
        d=[
            ["2020-03-29 02:30:00", "2020-01-01", "2020-10-25 02:30:00", "0000-00-00"][i % 4]
            for i in range(count)
        ],
        f=[["1,5", "1.23456789", "1,234", "1e5"][i % 4] for i in range(count)],
        items=[
            ['[{"q":"abc"},{"q":1.10}]', None, "oops", '{"x":{"q":"d"}}', "[]"][i % 5]
            for i in range(count)
        ],
    )


CONTACTS = pl.DataFrame({"source": ["shop", "shop"], "id": ["b", "b"], "k": ["first", "second"]})
SETTINGS = Settings({"*": "Europe/Amsterdam"})


def digest(mapping: Mapping, found: Mapped) -> str:
    """A fingerprint of everything that came out."""
    told = [
        payloads(mapping, found.accepted).to_list(),
        found.accepted.select(
            "_source", "_id", "_position", "_element", "_key", pl.col("_recency").cast(str)
        ).rows(),
        found.rejected.rows(),
        [
            found.read,
            found.filtered,
            found.empty_each,
            found.orphans,
            found.losses,
            found.loss_examples,
        ],
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def test_slices_change_nothing(mapping: Make, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the rows are cut on the way, what comes out is the same."""
    made = mapping(COLUMNS, top=TOP)
    whole = map_rows(made, _many(rows), {"c": CONTACTS}, SETTINGS)
    assert whole.read == whole.accepted.height + whole.filtered + whole.rejected.height
    for rows_a_slice, bytes_a_slice in ((7, 1 << 20), (1000, 64), (1, 1)):
        monkeypatch.setattr(base, "SLICE_ROWS", rows_a_slice)
        monkeypatch.setattr(base, "SLICE_BYTES", bytes_a_slice)
        cut = map_rows(made, _many(rows), {"c": CONTACTS}, SETTINGS)
        assert digest(made, cut) == digest(made, whole)


def test_frames_are_gathered(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small frames become fewer, the same rows in the same order; few bytes bound them as few rows do."""
    whole = _many(rows)
    parts = [*whole.iter_slices(7), whole.clear()]

    def heights() -> list[int]:
        found = list(base.gather_frames(parts))
        assert pl.concat(found).equals(whole)
        return [frame.height for frame in found]

    assert heights() == [300]
    monkeypatch.setattr(base, "GATHERED_ROWS", 100)
    assert heights() == [105, 105, 90]
    monkeypatch.setattr(base, "GATHERED_BYTES", 1)
    assert heights() == [7] * 42 + [6, 0]
    assert list(base.gather_frames([])) == []


PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
from pathlib import Path
import polars as pl
import test_mapped as t
from migrate.mapping.files import read_mapping
frame = pl.read_parquet({rows!r})
made = read_mapping(Path({file!r}))
print(t.digest(made, t.map_rows(made, frame, {{"c": t.CONTACTS}}, t.SETTINGS)))
"""


def test_nothing_around_the_process_matters(mapping: Make, rows: Rows, tmp_path: Path) -> None:
    """The same input gives the same output whatever the number of threads, hash seed, locale or zone of the machine."""
    made = mapping(COLUMNS, top=TOP)
    frame = _many(rows)
    frame.write_parquet(tmp_path / "rows.parquet")
    paths = {
        "folder": str(Path(__file__).parent),
        "rows": str(tmp_path / "rows.parquet"),
        "file": made.file,
    }
    here = digest(made, map_rows(made, frame, {"c": CONTACTS}, SETTINGS))
    machines = (
        {"POLARS_MAX_THREADS": "1", "PYTHONHASHSEED": "1", "LC_ALL": "tr_TR.UTF-8", "TZ": "America/St_Johns"},
        {"POLARS_MAX_THREADS": "7", "PYTHONHASHSEED": "99", "LC_ALL": "C", "TZ": "Pacific/Apia"},
        {"POLARS_MAX_THREADS": "3", "PYTHONHASHSEED": "7", "LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Kathmandu"},
    )  # fmt: skip
    program = PROGRAM.format(**paths)
    for environ in machines:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == here, environ
