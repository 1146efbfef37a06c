"""A project, mappings and a snapshot in a temporary folder, and a target that keeps its rows in memory."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import polars as pl
import pytest

from migrate.config import Project
from migrate.mapping.files import read_mappings
from migrate.plan.build import build_plan
from migrate.plan.document import PartOf
from migrate.plan.open_plan import Plan
from migrate.plan.request import PlanRequest, SampleAsked
from migrate.plan.set_aside import NO_DISCARDS
from migrate.plan.shipments import Shipments, nothing_sent
from migrate.progress import Silence
from migrate.snapshot.reading import WithRaw
from migrate.workspace import Workspace

CONTACTS = """
version: 1
dataset: contacts
resource: profiles
key: [contact_key]
where: "country IS NULL OR country <> 'XX'"
collapse: {by: latest, fill_gaps: true}
columns:
  contact_key: {from: email, type: text, apply: [trim, lowercase]}
  name:        {from: name, type: text}
  age:         {from: age, type: integer}
  spent:       {from: spent, type: float}
  optin:       {from: optin, type: boolean, values: {"1": true, "0": false}, consent: true}
  created_at:  {from: created, type: datetime}
ignore: [profileid]
"""

ORDERS = """
version: 1
dataset: orders
resource: sales
key: [order_key]
lookups:
  contact: {dataset: contacts, source: source, id: profileid}
columns:
  order_key:   {sql: "source || ':' || id", type: text}
  contact_key: {from: contact.contact_key, type: text}
  total:       {from: total, type: float}
  position:    {from: place, type: integer}
ignore: [conversionid]
"""

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class FakeResource:
    """A resource of a snapshot in memory, two records a part."""

    records: list[dict[str, Any]]
    id_field: str
    verdict: str = "proven"
    part_rows: int = 2
    touched_from: int = 0
    name: str = ""

    @property
    def result(self) -> FakeResource:
        return self

    @property
    def rows(self) -> int:
        return len(self.records)

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(name for record in self.records for name in record))

    def frames(
        self, fields: Collection[str] | None, *, raw: WithRaw = True
    ) -> Iterator[pl.DataFrame]:
        wanted = sorted(fields) if fields is not None else self.columns
        system = {
            "_source": pl.String,
            "_id": pl.String,
            "_page": pl.Int64,
            "_raw": pl.String,
            "_position": pl.Int64,
        }
        schema = {**system, **dict.fromkeys(wanted, pl.String)}
        for start in range(0, self.rows, self.part_rows):
            part = self.records[start : start + self.part_rows]
            rows = [
                {
                    "_source": record.get("source"),
                    "_id": record.get(self.id_field),
                    "_page": 1,
                    "_raw": json.dumps({name: _as_sent(text) for name, text in record.items()}),
                }
                | {"_position": start + place}
                | {name: record.get(name) for name in wanted}
                for place, record in enumerate(part)
            ]
            frame = pl.DataFrame(rows, schema=schema)
            if callable(raw) and not raw(frame.drop("_raw")):
                frame = frame.with_columns(_raw=pl.lit(None, pl.String))
            yield frame if raw else frame.drop("_raw")


def _as_sent(text: Any) -> Any:
    """A list or an object of a record as it was before the snapshot made it text."""
    return json.loads(text) if str(text)[:1] in ("[", "{") else text


@dataclass
class FakeSnapshot:
    """A finished snapshot in memory, with a manifest on disk."""

    resources: dict[str, FakeResource]
    name: str = "snap"
    manifest_sha256: str = ""
    base: FakeSnapshot | None = None

    def __post_init__(self) -> None:
        """Tells each resource its name."""
        for name, resource in self.resources.items():
            if isinstance(resource, FakeResource):
                resource.name = name

    def resource(self, name: str) -> FakeResource | None:
        return self.resources.get(name)


@dataclass(frozen=True)
class Count:
    count: int


@dataclass
class FakeTarget:
    """Datasets as lists of rows; null is an empty field, '' a quoted one. `on_page` runs after each page was read."""

    datasets: dict[str, list[dict[str, str | None]]] = field(default_factory=dict)
    on_page: Callable[[str, int], None] = lambda _dataset, _page: None
    pages: int = 0

    def count(self, dataset_id: str, filters: Mapping[str, str] | None = None) -> Count:
        return Count(len(self.datasets.get(dataset_id, [])))

    def export_csv(self, dataset_id: str, page: int, page_size: int = 50_000) -> bytes:
        rows = self.datasets.get(dataset_id, [])
        self.pages += 1
        body = to_csv(
            rows[(page - 1) * page_size : page * page_size], list(rows[0]) if rows else []
        )
        self.on_page(dataset_id, page)
        return body

    def get_record(self, dataset_id: str, masterid: str) -> Mapping[str, Any] | None:
        rows = self.datasets.get(dataset_id, [])
        return next((row for row in rows if row["__masterid__"] == masterid), None)


def to_csv(rows: list[dict[str, str | None]], header: list[str]) -> bytes:
    """CSV as RFC 4180 has it, null unquoted."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(header)
    for row in rows:
        values = [row.get(name) for name in header]
        out.write(
            ",".join("" if v is None else '"' + v.replace('"', '""') + '"' for v in values) + "\n"
        )
    return out.getvalue().encode()


@dataclass
class Bench:
    """Everything a plan is made of, to be changed by a test before it calls `plan`."""

    folder: Path
    project: Project
    snapshot: FakeSnapshot
    target: FakeTarget
    stop: Event = field(default_factory=Event)
    sent: Shipments = nothing_sent
    discarded: pl.DataFrame = field(default_factory=lambda: NO_DISCARDS)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.project.workspace)

    def now(self) -> datetime:
        """A clock that stands."""
        return NOW

    def write_mapping(self, name: str, text: str) -> None:
        self.project.mappings.mkdir(exist_ok=True)
        (self.project.mappings / f"{name}.yaml").write_text(text)

    def write_manifest(self, snapshot: FakeSnapshot) -> None:
        """Puts a snapshot's manifest on disk."""
        manifest = self.workspace.snapshots / snapshot.name / "manifest.json"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text("{}")
        snapshot.manifest_sha256 = hashlib.sha256(b"{}").hexdigest()

    def plan(
        self,
        name: str | None = None,
        *,
        datasets: tuple[str, ...] | None = None,
        offline: bool = False,
        scope: SampleAsked | PartOf | None = None,
    ) -> Plan:
        self.write_manifest(self.snapshot)
        return build_plan(
            self.project,
            self.workspace,
            self.snapshot,
            read_mappings(self.project.mappings),
            self.target,
            PlanRequest(name, datasets, offline, self.sent, self.discarded, scope),
            Silence(),
            self.stop,
            self.now,
        )

    def set(self, section: str, **values: object) -> None:
        """Changes a section of the project."""
        changed = getattr(self.project, section).model_copy(update=values)
        self.project = self.project.model_copy(update={section: changed})


def profile(number: int, **values: str | None) -> dict[str, str | None]:
    """A profile as the snapshot holds it: texts."""
    return {
        "source": "shop",
        "profileid": f"p{number}",
        "email": f"a{number}@example.test",
        "created": f"2024-01-{number % 28 + 1:02d} 10:00:00",
        **values,
    }


@pytest.fixture
def make_profile() -> Callable[..., dict[str, str | None]]:
    """The maker of profiles."""
    return profile


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Three profiles and two sales, mappings `contacts` and `orders`, both with a dataset id, an empty target."""
    profiles = [
        profile(n, name=f"N{n}", age=str(20 + n), spent="1.10", optin="1") for n in range(1, 4)
    ]
    sales = [
        {"source": "shop", "conversionid": "c1", "profileid": "p1", "total": "10.50", "place": "7"},
        {"source": "shop", "conversionid": "c2", "profileid": "gone", "total": "3", "place": None},
    ]
    project = Project.model_validate(
        {
            "workspace": tmp_path / "migration",
            "mappings": tmp_path / "mappings",
            "datatrics": {"project_id": "1"},
            "octolis": {"datasets": {"contacts": "id-contacts", "orders": "id-orders"}},
        }
    )
    made = Bench(
        tmp_path,
        project,
        FakeSnapshot(
            {
                "profiles": FakeResource(profiles, "profileid"),
                "sales": FakeResource(sales, "conversionid"),
            }
        ),
        FakeTarget(),
    )
    made.write_mapping("contacts", CONTACTS)
    made.write_mapping("orders", ORDERS)
    return made
