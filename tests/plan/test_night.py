"""The night equals the whole plan: what the base's plan and a delta's plan leave is what a whole plan of the end gives.

The whole plan is made of a snapshot of its own, of the records as they are in the end and in an order of
their own: it shares nothing with the union that the delta's plan reads.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import settings

from migrate.mapping.files import read_mappings
from migrate.mapping.transform import Settings
from migrate.plan.collapsed_rows import FinalRows
from migrate.plan.dataset import Final, finish_dataset
from migrate.plan.delta import Lookups, lookups_of, read_base, rows_left_behind
from migrate.plan.rows import Way, map_files
from migrate.snapshot.layout import ResourceResult
from migrate.snapshot.reading import SnapshotResource
from migrate.snapshot.union import UnionResource, living
from migrate.verify import rules as verifier
from migrate.verify.expected import expect_dataset
from migrate.verify.lookup import looked_up_columns

BATCH_BYTES = 1_000_000
RESULT = ResourceResult(0, 0, 0, 0, 0, 0, 0, 1, 1, 0.1, 0, "proven", "")
ALIASES = {"store": "shop"}
ID_FIELDS = {"profiles": "profileid", "sales": "conversionid"}
FIELDS = {
    "profiles": ("source", "profileid", "email", "name", "optin", "country", "created", "updated"),
    "sales": ("source", "conversionid", "profileid", "total", "created", "updated"),
}
CONTACTS = """
version: 1
dataset: contacts
resource: profiles
key: [email]
where: "country IS NULL OR country <> 'XX'"
collapse: {{by: {by}, order_by: [updated]{order}, fill_gaps: {fill}}}
columns:
  email: {{from: email, type: text}}
  name: {{from: name, type: text}}
  optin: {{from: optin, type: boolean, consent: true, values: {{"1": true, "0": false}}}}
  country: {{from: country, type: text}}
  at: {{from: updated, type: datetime, on_invalid: omit}}
ignore: [created]
"""
ORDERS = """
version: 1
dataset: {dataset}
resource: sales
key: {key}
collapse: {{by: {by}, order_by: [updated]{order}, fill_gaps: {fill}}}
lookups:
  contact: {{dataset: contacts, source: source, id: profileid, on_orphan: {orphan}}}
columns:
  order_key: {{sql: "source || ':' || conversionid", type: text}}
  email: {{from: contact.email, type: text}}
  name: {{from: contact.name, type: text}}
  country: {{sql: "COALESCE(contact.country, 'none')", type: text}}
  total: {{from: total, type: text}}
ignore: [created, updated]
"""
Record = dict[str, str | None]
Records = dict[tuple[str, str], Record]
World = dict[str, Records]


@dataclass(frozen=True)
class Frames(SnapshotResource):
    """Records in memory, as a resource of a snapshot."""

    records: tuple[Record, ...] = field(kw_only=True)

    @property
    def rows(self) -> int:
        return len(self.records)

    def frames(self, fields: Any = None, *, raw: Any = True) -> Iterator[pl.DataFrame]:
        names = list(FIELDS[self.name]) if fields is None else list(fields)
        schema = dict.fromkeys(("_source", "_id", "_raw", *names), pl.String)
        half = len(self.records) // 2
        at = 0
        for part in (self.records[:half], self.records[half:]):
            rows = [
                {n: r.get(n) for n in names}
                | {"_source": r["source"], "_id": r[ID_FIELDS[self.name]], "_raw": json.dumps(r)}
                for r in part
            ]
            frame = pl.DataFrame(rows, schema=schema)
            positions = pl.int_range(at, at + len(rows), dtype=pl.Int64, eager=True)
            at += len(rows)
            yield frame.with_columns(positions.alias("_position"), pl.lit(1).alias("_page"))


def resource_of(name: str, records: list[Record], touched_from: int = 0) -> Frames:
    """A whole resource."""
    columns = ("_source", "_id", "_page", "_raw", *FIELDS[name])
    return Frames(
        name, Path(), RESULT, columns, (), touched_from=touched_from, records=tuple(records)
    )


def put_on(
    base: SnapshotResource, before: dict[Any, Record], after: dict[Any, Record]
) -> SnapshotResource:
    """What changed put on the base, as a delta holds it."""
    changed = [record for who, record in after.items() if before.get(who) != record]
    who = {"_source": pl.String, "_id": pl.String}
    keys = [(r["source"], r[ID_FIELDS[base.name]]) for r in changed]
    known = pl.DataFrame(keys, schema=who, orient="row")
    gone = pl.DataFrame([w for w in before if w not in after], schema=who, orient="row")
    if isinstance(base, UnionResource):
        gone = pl.concat([base.gone.join(known, on=list(who), how="anti"), gone]).unique()
    kept = sum(
        f.join(known, on=list(who), how="anti", nulls_equal=True).height for f in base.frames([])
    )
    return UnionResource(
        base.name, Path(), RESULT, base.columns, (), touched_from=kept, base=base,
        delta=resource_of(base.name, changed), keys=known, hidden=known, kept=kept, gone=gone,
    )  # fmt: skip


def finish(
    mapping: Any,
    resource: SnapshotResource,
    tables: dict[str, Lookups],
    folder: Path,
    *,
    is_delta: bool,
) -> tuple[Final, Lookups]:
    """One dataset of a plan, up to its final rows."""
    now = {name: tables[lookup.dataset].now for name, lookup in mapping.lookups.items()}
    before = {
        name: table.before
        for name, lookup in mapping.lookups.items()
        if (table := tables[lookup.dataset]).before is not None
    }
    way = Way(mapping, now, Settings({}, ALIASES), BATCH_BYTES, is_delta, before)
    mapped = map_files(mapping, [(living(resource), way)], folder / mapping.dataset, lambda _: None)
    base = read_base([(resource, way)], mapped) if is_delta else None
    final = finish_dataset(mapping, mapped, folder / mapping.dataset, BATCH_BYTES, base)
    columns = {"email", "name", "country"} & set(mapping.columns)
    return final, lookups_of(mapping, final.gathered, mapped, base, columns)


def rows_of(rows: FinalRows, columns: list[str]) -> dict[str, tuple[Any, ...]]:
    """The rows that are planned, by key: all of them, or of a delta those that it touches."""
    found = pl.concat([frame.select("_key", *columns) for frame in rows.frames()])
    if rows.touched is not None:
        found = found.filter(rows.touched)
    return {key: tuple(values) for key, *values in found.iter_rows()}


@dataclass(frozen=True)
class Planned:
    """What a plan sends of each dataset, by key, and the old keys that it lists as left behind."""

    rows: dict[str, dict[str, tuple[Any, ...]]]
    left: dict[str, set[str]]


def plan(
    mappings: dict[str, Any],
    resources: dict[str, SnapshotResource],
    folder: Path,
    *,
    is_delta: bool,
) -> Planned:
    """The rows of the contacts, and of every dataset of orders that looks them up."""
    tables: dict[str, Lookups] = {}
    rows, left = {}, {}
    for name, mapping in mappings.items():
        final, tables[name] = finish(
            mapping, resources[mapping.resource], tables, folder, is_delta=is_delta
        )
        rows[name] = rows_of(final.gathered.rows, list(mapping.columns))
        if final.base is not None:
            key = {n: pl.String() for n in mapping.key}
            behind = rows_left_behind(final.base, final.mapped, None, key, folder)
            alone = behind.gone.filter(pl.col("others") == 0)["key"].drop_nulls()
            left[name] = {*behind.moved["old_key"], *alone}
    shutil.rmtree(folder, ignore_errors=True)
    return Planned(rows, left)


@dataclass(frozen=True)
class Group:
    """Datasets that are collapsed in the same way: contacts, and orders by key and `on_orphan`."""

    by: str
    fill: str
    orders: tuple[tuple[str, str], ...]


def read_rules(folder: Path, group: Group) -> dict[str, Any]:
    """The mappings of a group: the contacts, and a dataset of orders for each of its rules."""
    folder.mkdir(parents=True)
    order = ", source_order: [shop, store]" if group.by == "source_order" else ""
    ranked = {"by": group.by, "fill": group.fill, "order": order}
    texts = {"contacts": CONTACTS.format(**ranked)}
    for number, (key, orphan) in enumerate(group.orders):
        name = f"orders_{number}"
        texts[name] = ORDERS.format(dataset=name, key=key, orphan=orphan, **ranked)
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text.strip())
    read = dict(read_mappings(folder))
    return {name: read[name] for name in texts}


TIMES = (None, "2024-01-01 00:00:00", "02-01-2024", "soon")
VALUES: dict[str, dict[str, tuple[str | None, ...]]] = {
    "profiles": {
        "email": ("a@x", "b@x", "c@x", None),
        "name": (None, "N", "M"),
        "optin": (None, "0", "1"),
        "country": (None, "NL", "XX"),
        "created": TIMES,
        "updated": TIMES,
    },
    "sales": {
        "profileid": ("1", "9", "10", "x"),
        "total": ("1", "2"),
        "created": TIMES,
        "updated": TIMES,
    },
}
# What tells records, keys and groups of one story from those of another; XX is what `where` looks for.
OWN = ("profileid", "conversionid", "email", "country", "total")
STORIES = 42
"""So many independent sources in one run: what costs is the run, not its records."""


class Author:
    """Makes up what happens to a small source, again and again in the same way."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)

    def story(self, number: int) -> list[World]:
        """A source at three moments: records edited, deleted, inserted and made again in between."""
        first = {name: self._some(name, {}) for name in VALUES}
        second = self._later(first)
        worlds = [first, second, self._later(second)]
        return [self._marked(world, number) for world in worlds]

    def _later(self, world: World) -> World:
        return {name: self._some(name, self._edited(name, world[name])) for name in world}

    def _edited(self, name: str, records: Records) -> Records:
        kept: Records = {}
        for who, record in records.items():
            what = self.random.choice(["keep", "keep", "all", "one", "drop"])
            fresh = self._values(name) if what in ("all", "one") else {}
            if what == "one":
                chosen = self.random.choice(sorted(fresh))
                fresh = {chosen: fresh[chosen]}
            if what != "drop":
                kept[who] = {**record, **fresh}
        return kept

    def _some(self, name: str, records: Records) -> Records:
        """The records and some new ones, a few of which may have been there before."""
        every = [
            (source, id_) for source in ("shop", "store") for id_ in ("1", "9", "10", "b", "a")
        ]
        for who in self.random.sample(every, self.random.randint(0, 4)):
            fresh = {"source": who[0], ID_FIELDS[name]: who[1], **self._values(name)}
            records.setdefault(who, fresh)
        return records

    def _values(self, name: str) -> Record:
        return {field: self.random.choice(some) for field, some in VALUES[name].items()}

    def _marked(self, world: World, number: int) -> World:
        marked: World = {}
        for name, records in world.items():
            for (source, id_), record in records.items():
                own = {
                    f: f"{number}.{v}"
                    for f, v in record.items()
                    if f in OWN and v not in (None, "XX")
                }
                marked.setdefault(name, {})[source, f"{number}.{id_}"] = {**record, **own}
            marked.setdefault(name, {})
        return marked


def together(stories: list[World]) -> World:
    """Many small sources as one."""
    return {name: {w: r for story in stories for w, r in story[name].items()} for name in VALUES}


ORDERS_KEPT = (("[order_key]", "keep"),)
# What a plan costs is the plan, not its records: orders of several keys share the contacts that they look up.
GROUPS = [
    Group("latest", "true", (("[order_key]", "keep"), ("[total]", "keep"))),
    Group("latest", "false", (("[order_key]", "reject"), ("[country]", "reject"))),
    Group("first", "true", (("[order_key]", "keep"), ("[country]", "keep"))),
    Group("first", "false", (("[country]", "reject"), ("[total]", "reject"))),
    Group(
        "source_order",
        "true",
        (("[order_key]", "reject"), ("[country]", "reject"), ("[total]", "reject")),
    ),
    Group("source_order", "false", (("[country]", "keep"),)),
]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{group.by}-{group.fill}")
def test_base_and_deltas_leave_what_a_whole_plan_gives(tmp_path: Path, group: Group) -> None:
    """Value by value, for every collapse, key and look-up, two nights long: 42 stories of edits under each of 12 rules.

    What no record makes any more is listed, and nothing else. The nightly profile tells ten times as many.
    """
    for seed in range(max(1, settings().max_examples // 500)):
        author = Author(f"{seed} {group}")
        stories = [author.story(number) for number in range(STORIES)]
        mappings = read_rules(tmp_path / f"mappings-{seed}", group)
        history = [together(list(moment)) for moment in zip(*stories, strict=True)]
        check_history(mappings, history, tmp_path, author.random)


def check_history(
    mappings: dict[str, Any], history: list[World], folder: Path, random: Random
) -> None:
    """Holds the base's plan and each delta's against whole plans of records in any order."""
    resources = {n: resource_of(n, list(records.values())) for n, records in history[0].items()}
    held = plan(mappings, resources, folder / "base", is_delta=False).rows
    unions: dict[str, SnapshotResource] = dict(resources)
    for before, after in pairwise(history):
        unions = {n: put_on(unions[n], before[n], after[n]) for n in unions}
        delta = plan(mappings, unions, folder / "delta", is_delta=True)
        shuffled = {n: random.sample(list(r.values()), len(r)) for n, r in after.items()}
        alone = {name: resource_of(name, found) for name, found in shuffled.items()}
        whole = plan(mappings, alone, folder / "whole", is_delta=False).rows
        check_by_verifier(folder, unions, whole)
        for name, rows in whole.items():
            stays = {key: values for key, values in held[name].items() if key in rows}
            left = held[name].keys() - rows.keys()
            assert delta.rows[name].items() <= rows.items()
            assert {**stays, **delta.rows[name]} == rows
            assert left <= delta.left[name]
            assert not delta.left[name] & rows.keys()
        held = whole


def check_by_verifier(
    folder: Path, unions: dict[str, SnapshotResource], whole: dict[str, dict[str, tuple[Any, ...]]]
) -> None:
    """The verifier's reading of what is living gives the same rows, by the order of records that it reads itself."""
    (mappings,) = sorted(folder.glob("mappings-*"))[-1:]
    tables: dict[str, Any] = {}
    for name, rule in verifier.read_rules(mappings).items():
        alive = living(unions[rule.resource])
        lookups = {
            lookup: tables[asked.dataset].lookup_table(looked_up_columns(rule, lookup), ALIASES)
            for lookup, asked in rule.lookups.items()
        }
        conventions = verifier.Conventions(source_aliases=ALIASES)
        made = expect_dataset(rule, alive.frames([]), conventions, lookups, lambda _: None)
        tables[name] = made
        assert not made.unverifiable
        texts = made.rows.select("_key", *(f"c:{column}" for column in made.columns))
        found = {key: tuple(values) for key, *values in texts.iter_rows()}
        assert found == {key: tuple(map(canonical, values)) for key, values in whole[name].items()}


def canonical(value: Any) -> str | None:
    """A planned value as the verifier writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def test_the_dead_do_not_beat_the_living(tmp_path: Path) -> None:
    """A deleted record's newer values, phone and consent stay with it, and so in the night after."""
    mappings = read_rules(tmp_path / "mappings", Group("latest", "true", ORDERS_KEPT))
    dead = {"source": "shop", "profileid": "1", "email": "ann@x.nl", "name": "Old", "optin": "1",
            "country": "NL", "updated": "2025-01-01 00:00:00"}  # fmt: skip
    alive = {
        **dead,
        "profileid": "101",
        "name": "Ann",
        "optin": None,
        "country": None,
        "updated": "2024-01-01 00:00:00",
    }
    first = {("shop", "1"): dead}
    second = {("shop", "101"): alive}
    base = {"profiles": resource_of("profiles", [dead]), "sales": resource_of("sales", [])}
    unions = {"profiles": put_on(base["profiles"], first, second), "sales": base["sales"]}
    unions["sales"] = replace(unions["sales"], touched_from=0)
    found = plan(mappings, unions, tmp_path / "delta", is_delta=True)
    (values,) = found.rows["contacts"].values()
    assert values[:4] == ("ann@x.nl", "Ann", None, None)
    again = {**unions, "profiles": put_on(unions["profiles"], second, second)}
    assert plan(mappings, again, tmp_path / "again", is_delta=True).rows["contacts"] == {}


def test_first_is_first_whatever_changed(tmp_path: Path) -> None:
    """Of two with one address only the first one's name changes: the delta says what the whole plan says."""
    mappings = read_rules(tmp_path / "mappings", Group("first", "false", ORDERS_KEPT))
    one = {"source": "shop", "profileid": "1", "email": "a@x", "name": "FIRST"}
    other = {**one, "profileid": "2", "name": "SECOND"}
    before = {("shop", "1"): one, ("shop", "2"): other}
    after = {("shop", "1"): {**one, "name": "CHANGED"}, ("shop", "2"): other}
    unions = {
        "profiles": put_on(resource_of("profiles", [one, other]), before, after),
        "sales": resource_of("sales", []),
    }
    found = plan(mappings, unions, tmp_path / "delta", is_delta=True)
    assert found.rows["contacts"]["a@x"][1] == "CHANGED"
