"""Mappings tried out on a snapshot's records before any plan: what `mapping check` counts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import polars as pl
import pytest

from migrate.mapping.against import SnapshotFindings, check_against
from migrate.mapping.files import list_mappings, read_leniently
from migrate.mapping.transform import Settings
from migrate.mapping.trial import Trial, try_all

PEOPLE = """version: 1
dataset: people
resource: profiles
key: [email]
columns:
  email: {from: email, type: text, apply: [trim, lowercase]}
  born: {from: born, type: date, format: '%d/%m/%Y', on_invalid: omit}
"""
ORDERS = """version: 1
dataset: orders
resource: sales
key: [id]
lookups:
  buyer: {dataset: people, source: source, id: profileid, on_orphan: keep}
columns:
  id: {from: id, type: text}
  buyer: {from: buyer.email, type: text}
"""


def frame(**columns: list[str | None]) -> pl.DataFrame:
    """Rows as a snapshot has them."""
    height = len(next(iter(columns.values())))
    ids = [str(number) for number in range(1, height + 1)]
    own = {"_source": ["shop"] * height, "_id": ids, "_position": list(range(height))}
    texts = dict.fromkeys(columns, pl.String)
    return pl.DataFrame({**own, **columns}, schema_overrides=texts)


def tried(
    folder: Path, frames: dict[str, list[pl.DataFrame]], **files: str
) -> tuple[dict[str, Trial], Callable[[str], list[str]]]:
    """The files tried out by name, and what a check says of one of them."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    mappings, problems = read_leniently(list_mappings(folder), whole=True)
    assert problems == []

    def read(resource: str, _fields: Collection[str]) -> Iterator[pl.DataFrame]:
        return iter(frames.get(resource, []))

    every = {mapping.file for mapping in mappings}
    trials = {
        Path(file).stem: one for file, one in try_all(mappings, every, read, Settings()).items()
    }

    def says(name: str) -> list[str]:
        [mapping] = [one for one in mappings if Path(one.file).stem == name]
        known = [one.columns for one in frames[mapping.resource]]
        fields = [name for names in known for name in names if not name.startswith("_")]
        shown = SnapshotFindings(fields, {"shop"}, {})
        found = check_against(mapping, shown, [mapping], trials[name], lambda text, _column: text)
        return [remark.text for remark in found]

    return trials, says


def test_every_record_is_read(tmp_path: Path) -> None:
    """One birthday of another spelling at the very end of 150,000 is found, whatever stands before it."""
    part = frame(email=[None] * 50_000, born=["01/02/1980"] * 50_000)
    last = frame(email=["z@x.nl"], born=["1980-02-01"])
    trials, says = tried(tmp_path, {"profiles": [part, part, part, last]}, people=PEOPLE)
    assert trials["people"].records == 150_001
    assert trials["people"].losses["born", "omitted_not_a_date"] == 1
    [line] = [line for line in says("people") if "columns.born" in line]
    assert "reads 150,000 of 150,001 values" in line
    assert "1980-02-01" in line


def test_keys_that_stand_for_nobody_are_named(tmp_path: Path) -> None:
    """29 people of the address n/a would become one; one of them alone, and real people, are nobody's business."""
    emails: list[str | None] = (
        ["n/a"] * 29 + ["noreply@shop.nl"] * 2 + ["-", "jan@x.nl", "jan@x.nl"]
    )
    _, says = tried(tmp_path, {"profiles": [frame(email=emails)]}, people=PEOPLE)
    [line] = [line for line in says("people") if "stands for nobody" in line]
    assert line.startswith("people.yaml:4:6: key: 31 rows have a key that stands for nobody: ")
    assert "n/a (29 rows), noreply@shop.nl (2 rows); the rows of each become one" in line
    assert "jan" not in line


def test_look_ups_are_made(tmp_path: Path) -> None:
    """A column from a look-up is filled where the other record gives a row, and what finds nothing is counted."""
    people = frame(email=["an@x.nl", "bo@x.nl", None])
    sales = frame(profileid=["1", "2", "3", "9", None])
    trials, says = tried(
        tmp_path, {"profiles": [people], "sales": [sales]}, people=PEOPLE, orders=ORDERS
    )
    orders = trials["orders"]
    # of five: two find a person, one waits for the person who is rejected, one finds nobody, one asks for nobody
    assert (orders.filled["buyer"], orders.waiting, orders.orphans["buyer"]) == (2, 1, 1)
    lines = "\n".join(says("orders"))
    assert (
        "lookups.buyer: finds nothing for 1 of 3 ids; those rows are kept without its columns"
        in lines
    )
    assert "1 rows wait for a record that is rejected" in lines


def test_a_look_up_into_the_second_file_of_a_dataset(tmp_path: Path) -> None:
    """A buyer who is in the sales only is found by the sale, and not by a profile of the same number."""
    buyers = PEOPLE.replace("profiles", "sales").replace("resource", "precedence: 2\nresource")
    first = PEOPLE.replace("resource", "precedence: 1\nresource")
    orders = ORDERS.replace("id: profileid", "id: id, resource: sales")
    frames = {
        "profiles": [frame(email=["an@x.nl"])],
        "sales": [frame(email=["bo@x.nl", "cy@x.nl"])],
    }
    trials, _ = tried(tmp_path, frames, people=first, buyers=buyers, orders=orders)
    assert trials["orders"].filled["buyer"] == 2
    assert trials["orders"].orphans["buyer"] == 0


def test_many_unused_fields_are_one_line_however_strict(tmp_path: Path) -> None:
    """Thirty fields that nobody maps are one problem where the file says `fail`, as they are one remark elsewhere."""
    strict = PEOPLE + "unmapped: fail\n"
    (tmp_path / "people.yaml").write_text(strict, encoding="utf-8")
    [mapping], _ = read_leniently(list_mappings(tmp_path), whole=True)
    fields = [f"extra_{number}" for number in range(30)]
    for share in (1.0, 0.2):
        shown = SnapshotFindings(["email", "born", *fields], {"shop"}, dict.fromkeys(fields, share))
        found = check_against(mapping, shown, [mapping])
        problems = [remark for remark in found if remark.level == "problem"]
        assert len(problems) == 1
        assert all(name in problems[0].text for name in fields)


def test_answers_that_many_give_are_said(tmp_path: Path) -> None:
    """A shop's own word for yes is shown, so that it can be listed; what one person wrote is not."""
    text = PEOPLE[: PEOPLE.index("  born:")]
    text += (
        "  news: {from: news, type: boolean, consent: true, values: {ja: true}, unlisted: omit}\n"
    )
    answers: list[str | None] = ["graag"] * 6 + ["ja"] * 3 + ["bel me op 0612345678"]
    people = frame(email=[f"p{n}@x.nl" for n in range(10)], news=answers)
    _, says = tried(tmp_path, {"profiles": [people]}, people=text)
    [line] = [line for line in says("people") if "columns.news" in line]
    assert "7 of 10 answers give no consent (consent_unlisted): 'graag' (6)" in line
    assert "0612345678" not in line


SOUND = "good: {from: city, type: text}"
WRONG_COLUMNS = [
    "x: {from: city, type: text, apply: [trim, lowercas]}",
    "x: {from: city, type: text, apply: [{truncate: x}]}",
    "x: {from: city, type: text, apply: [{truncate: -1}]}",
    "x: {from: city, type: decimal, apply: [{amount: klingon}]}",
    "x: {from: city, type: text, apply: [{phone: Nowhere}]}",
    "x: {from: city, type: text, apply: 3}",
    "x: {from: city, type: numbr}",
    "x: {from: city, type: datetime, format: '%Q'}",
    "x: {from: city, type: datetime, format: 3}",
    "x: {from: city, type: text, format: '%Y'}",
    "x: {sql: '(((', type: text}",
    "x: {sql: 'SELECT 1', type: text}",
    "x: {sql: 'NOWHERE(city)', type: text}",
    "x: {sql: 'city', from: city, type: text}",
    "x: {from: city, type: text, values: $nowhere}",
    "x: {from: city, type: text, values: 3}",
    "x: {from: city, type: text, on_invalid: perhaps}",
    "x: {from: city, type: text, unlisted: perhaps}",
    "x: {from: city, type: text, consent: true}",
    "x: {from: city, type: text, nokey: 1}",
    "x: {from: item.name, type: text}",
    "x: {from: 3.5, type: text}",
    "x: {type: text}",
    "x: 3",
]
WRONG_FILES = [
    "key: [nowhere]",
    "key: []",
    "keey: 3",
    "where: '((('",
    "where: 'NOWHERE(city)'",
    "where: 'stores.name = 1'",
    "each: 3",
    "lookups: {stores: {dataset: nowhere, id: city}}",
    "lookups: {stores: {dataset: things}}",
    "lookups: {stores: 3}",
    "tables: {stores: nowhere.csv}",
    "collapse: {by: latset}",
    "alternative_keys: [[nowhere]]",
    "ignore: 3",
    "unmapped: perhaps",
    "examples: [3]",
    "precedence: x",
    "resource: nowhere",
    "version: 7",
    "target: nowhere",
]


@pytest.mark.parametrize(("column", "line"), [
    *((column, "") for column in WRONG_COLUMNS), *(("", line) for line in WRONG_FILES),
])  # fmt: skip
def test_what_is_wrong_is_not_tried_and_the_rest_is(tmp_path: Path, column: str, line: str) -> None:
    """A file with any mistake is still looked at: what is sound in it is tried, and nothing breaks."""
    keys = {"version": "1", "dataset": "things", "resource": "profiles", "key": "[good]"}
    name, _, value = line.partition(": ")
    text = "".join(f"{key}: {said}\n" for key, said in {**keys, name: value}.items() if key)
    columns = "".join(f"  {one}\n" for one in (SOUND, column) if one)
    (tmp_path / "things.yaml").write_text(f"{text}columns:\n{columns}", encoding="utf-8")
    mappings, problems = read_leniently(list_mappings(tmp_path), whole=True)
    assert problems

    def read(_resource: str, fields: Collection[str]) -> Iterator[pl.DataFrame]:
        others: dict[str, list[str | None]] = {one: [None, None] for one in fields}
        yield frame(**{**others, "city": ["Utrecht", None]})

    for made in mappings:
        trials = try_all(mappings, {made.file}, read, Settings())
        if column and made.triable is not None:
            assert trials[made.file].filled["good"] == 1
            assert "x" not in trials[made.file].filled
