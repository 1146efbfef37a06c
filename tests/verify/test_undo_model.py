"""What can be undone of a record, against a target in memory: keys that were taken over, merges, and others' edits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.sandbox.declare import Column, DatasetSpec
from migrate.sandbox.octolis import Dataset, Refused, decode
from migrate.verify.rules import ColumnRule, DatasetRules
from migrate.verify.undo import Verdict, Write, judge_record, kinds_of, literal_of, restoring

RULES = DatasetRules(
    dataset="contacts", resource="profiles", key=("k",),
    columns={
        "k": ColumnRule("k", "text", required=True), "e": ColumnRule("e", "text"),
        "city": ColumnRule("city", "text"), "n": ColumnRule("n", "integer"),
    },
)  # fmt: skip
NAMES = tuple(RULES.columns)
KEYS = ("k", "e")
SPEC = DatasetSpec(
    "contacts", "contacts",
    (Column("k"), Column("e"), Column("city"), Column("n", "integer")), (("k",), ("e",)),
)  # fmt: skip
KINDS = {"k": "string", "e": "string", "city": "string", "n": "number"}

values = st.fixed_dictionaries(
    {"k": st.sampled_from("abc")},
    optional={
        "e": st.sampled_from("xyz"),
        "city": st.sampled_from(("Old", "New", "Ürümqi")),
        "n": st.integers(0, 2),
    },
)
edits = st.fixed_dictionaries(
    {"k": st.sampled_from("abc")},
    optional={"city": st.sampled_from(("Theirs", "Old")), "n": st.integers(0, 3)},
)


@dataclass
class Life:
    """A target, and what a load and others did to it."""

    target: Dataset = field(default_factory=lambda: Dataset(SPEC))
    now_ms: int = 0
    writes: dict[str, list[Write]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    survivors: set[str] = field(default_factory=set)
    theirs: set[tuple[str, str]] = field(default_factory=set)

    def rows(self) -> dict[str, dict[str, str | None]]:
        """What the target's export shows: texts."""
        return {m: texts(decode(row)) for m, row in self.target.rows.items()}

    def upsert(self, record: dict[str, Any]) -> Any:
        """One record is written."""
        self.now_ms += 1
        return self.target.upsert(dict(record), self.now_ms)

    def load(self, records: list[dict[str, Any]]) -> None:
        """The plan's records, as they were planned against what the target held."""
        held = {row["k"]: (masterid, row) for masterid, row in self.rows().items()}
        for record in records:
            known = set(self.target.rows)
            done = self.upsert(record)
            if isinstance(done, Refused):
                continue
            masterid, sent = done.row.masterid, texts(record)
            meant, was = held.get(record["k"], ("", {}))
            changed = (
                [name for name, text in sent.items() if was.get(name) != text]
                if meant == masterid
                else []
            )
            change = "update" if masterid in known else "create"
            self.writes.setdefault(masterid, []).append(Write(change, changed, sent))
            self.gone |= set(done.removed)
            self.survivors |= {masterid} if done.removed else set()

    def edit(self, record: dict[str, Any]) -> None:
        """Somebody else writes."""
        before = self.rows()
        done = self.upsert(record)
        if not isinstance(done, Refused):
            after = self.rows()[done.row.masterid]
            was = before.get(done.row.masterid, {})
            self.theirs |= {(done.row.masterid, n) for n in NAMES if was.get(n) != after.get(n)}
            self.gone |= set(done.removed)
            self.survivors |= {done.row.masterid} if done.removed else set()


def texts(values: dict[str, Any]) -> dict[str, str | None]:
    """Values as the export shows them."""
    decoded = {
        n: msgspec.json.decode(v) if isinstance(v, msgspec.Raw) else v for n, v in values.items()
    }
    return {n: None if v in (None, "") else str(v) for n, v in decoded.items()}


def undo(
    life: Life, before: dict[str, dict[str, str | None]]
) -> dict[str, tuple[Verdict, set[str]]]:
    """Every record that was written: its verdict, and the columns that are listed as not given back."""
    now, found = life.rows(), {}
    for masterid, writes in life.writes.items():
        if masterid in life.gone or masterid in life.survivors:
            continue
        verdict = judge_record(RULES, writes, before.get(masterid), now.get(masterid))
        left = set(verdict.left)
        if verdict.kind == "restorable":
            for bare in (False, True):
                made = restoring(RULES, KEYS, masterid, verdict, KINDS, bare=bare)
                body = msgspec.json.decode(made.payload)
                assert body.pop("__masterid__") == masterid
                assert set(body) == set(made.columns)
                left = set(made.left)
                life.now_ms += 1
                if not body or not isinstance(
                    life.target.update(masterid, body, life.now_ms), Refused
                ):
                    break
            else:
                left = set(verdict.before) | left
        found[masterid] = (verdict, left)
    return found


@given(st.lists(values, max_size=4), st.lists(values, max_size=5), st.lists(edits, max_size=2))
def test_nothing_differs_in_silence(
    before_load: list[dict[str, Any]], planned: list[dict[str, Any]], others: list[dict[str, Any]]
) -> None:
    """After an undo every record is as it was, or named: as another's, as merged, or with the columns that are not."""
    life = Life()
    for record in before_load:
        life.upsert(record)
    before = life.rows()
    life.load(planned)
    for record in others:
        life.edit(record)
    loaded = life.rows()
    found = undo(life, before)
    after = life.rows()
    for masterid, held in before.items():
        if masterid in life.gone or masterid in life.survivors or masterid not in after:
            continue
        verdict, left = found.get(masterid, (Verdict("restored"), set[str]()))
        if verdict.kind == "changed_since":
            assert after[masterid] == loaded[masterid]
            assert any((masterid, name) in life.theirs for name in NAMES)
            continue
        for name in NAMES:
            is_theirs = (masterid, name) in life.theirs and name not in verdict.before
            assert after[masterid].get(name) == held.get(name) or name in left or is_theirs, (
                name,
                verdict,
            )
    for masterid in after.keys() - before.keys():
        verdict = found.get(masterid, (Verdict("merged"), set()))[0]
        assert verdict.kind != "restorable"
        assert after[masterid] == loaded[masterid]


@pytest.mark.parametrize(
    ("kind", "text", "shown", "literal"),
    [
        ("integer", "7", "number", "7"),
        ("integer", "007", "string", '"007"'),
        ("integer", "007", None, '"007"'),
        ("integer", "007", "number", None),
        ("float", "n/a", None, '"n/a"'),
        ("float", "n/a", "number", None),
        ("float", "1.50", "number", "1.50"),
        ("float", "NaN", "number", None),
        ("boolean", "yes", None, '"yes"'),
        ("boolean", "yes", "boolean", None),
        ("boolean", "t", "boolean", "true"),
        ("boolean", "0", None, "false"),
        ("text", "7", "number", "7"),
        ("text", "7", "string", '"7"'),
        ("text", 'a "b"', None, '"a \\"b\\""'),
        ("date", "1970-05-11T00:00:00.000Z", None, '"1970-05-11 00:00:00"'),
        ("datetime", "some day", None, '"some day"'),
        ("text", None, "string", "null"),
        ("integer", "", "number", "null"),
    ],
)
def test_a_value_goes_back_as_it_was(
    kind: str, text: str | None, shown: str | None, literal: str | None
) -> None:
    """In the type that the target shows, else in the mapping's where the text fits it; never as another value."""
    assert literal_of(ColumnRule("c", kind), text, shown) == literal


def test_the_types_that_a_target_shows() -> None:
    """A column that shows several types tells nothing."""
    records = [
        {
            "a": msgspec.Raw(b'"x"'),
            "b": msgspec.Raw(b"1"),
            "c": msgspec.Raw(b"true"),
            "d": msgspec.Raw(b"null"),
        },
        {
            "a": msgspec.Raw(b"1"),
            "b": msgspec.Raw(b"-2.5"),
            "c": msgspec.Raw(b"false"),
            "d": msgspec.Raw(b"[]"),
        },
    ]
    assert kinds_of(records) == {"b": "number", "c": "boolean"}
