"""A project whose plan has something of everything: new, changed, same, rejected, collapsed, merging, hostile rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from migrate.config import Gates, Project
from migrate.plan.open_plan import Plan
from migrate.plan.shipments import Shipment, Shipments
from tests.plan.conftest import Bench, FakeResource, FakeSnapshot, FakeTarget, profile

HOSTILE = "<script>alert(1)</script>\u202egpj.exe\x1b[31m=1+1"

CONTACTS = """
version: 1
dataset: contacts
resource: profiles
key: [contact_key]
alternative_keys: [[email], [lastname, born]]
columns:
  contact_key: {from: profileid, type: text}
  email:       {from: email, type: text, apply: [trim]}
  name:        {from: name, type: text}
  city:        {from: city, type: text, apply: [trim]}
  age:         {from: age, type: integer}
  spent:       {from: spent, type: float}
  optin:       {from: optin, type: boolean, values: {"1": true, "0": false}, consent: true}
  lastname:    {from: lastname, type: text}
  born:        {from: born, type: date}
  created_at:  {from: created, type: datetime}
"""

ORDERS = """
version: 1
dataset: orders
resource: sales
key: [order_key]
where: "goalid IS NULL OR goalid <> '-1'"
lookups:
  contact: {dataset: contacts, source: source, id: profileid}
columns:
  order_key:   {sql: "source || ':' || id", type: text}
  contact_key: {from: contact.contact_key, type: text}
  total:       {from: total, type: float, apply: [decimal_comma]}
  currency:    {from: currency, type: text}
  created_at:  {from: created, type: datetime}
"""

INTERACTIONS = """
version: 1
dataset: interactions
resource: interactions
key: [interaction_key]
columns:
  interaction_key: {sql: "source || ':' || id", type: text}
  event:       {from: event, type: text}
  occurred_at: {from: datetime, type: datetime, on_invalid: omit}
"""


def make_bench(folder: Path) -> Bench:
    """The project with its snapshot and target, ready to plan."""
    project = Project.model_validate(
        {
            "workspace": folder / "migration",
            "mappings": folder / "mappings",
            "datatrics": {"project_id": "1"},
            "octolis": {
                "datasets": {name: name for name in ("contacts", "orders", "interactions")}
            },
            "gates": Gates.model_validate({"max_loss": {"contacts.city": "1%"}}),
        }
    )
    snapshot = FakeSnapshot(
        {
            "profiles": FakeResource(_profiles(), "profileid", part_rows=50),
            "sales": FakeResource(_sales(), "conversionid", part_rows=50),
            "interactions": FakeResource(_interactions(), "interactionid", part_rows=50),
        }
    )
    bench = Bench(folder, project, snapshot, FakeTarget({"contacts": _held()}))
    for name, text in (("contacts", CONTACTS), ("orders", ORDERS), ("interactions", INTERACTIONS)):
        bench.write_mapping(name, text)
    bench.sent = _sent(folder)
    return bench


def _sent(folder: Path) -> Shipments:
    """An earlier load of every contact's city: what proves that the target's capitals are its own."""
    cities = {row["profileid"]: (row["city"] or "").strip() for row in _profiles()}
    file = folder / "sent.parquet"
    pl.DataFrame({"key": list(cities), "city": list(cities.values())}).write_parquet(file)
    return lambda dataset: [Shipment(file, {}, arrived=True)] if dataset == "contacts" else []


def make_plan(folder: Path) -> Plan:
    """The plan of that project."""
    return make_bench(folder).plan("plan")


def _profiles() -> list[dict[str, str | None]]:
    rows = [
        profile(
            n,
            name=f"Name {n}",
            age=str(20 + n % 50),
            spent=f"{n}.50",
            optin="1",
            city=f"City {n % 7}",
            shade="blue",
        )
        for n in range(1, 121)
    ]
    rows[2] |= {"name": HOSTILE}
    rows[3] |= {"age": "forty"}
    rows[4] |= {"age": "99999999999"}
    rows[5] |= {"email": "info@shop.example"}
    rows[6] |= {"email": "info@shop.example"}
    rows[7] |= {"email": "A9@example.test"}
    rows[8] |= {"city": "  Utrecht "}
    rows[9] |= {"lastname": "Jansen", "born": "1980-05-06"}
    rows[10] |= {"lastname": "Jansen", "born": "1980-05-06"}
    rows.append({**rows[0], "created": "2023-01-01 00:00:00"})
    return rows


def _sales() -> list[dict[str, str | None]]:
    return [
        {
            "source": "shop",
            "conversionid": f"c{n}",
            "profileid": f"p{n % 60}",
            "total": f"{n},99",
            "currency": "EUR" if n % 5 else "SEK",
            "created": f"2024-{n % 6 + 1:02d}-{n % 27 + 1:02d} 12:00:00",
            "goalid": "-1" if n % 40 == 0 else None,
        }
        for n in range(1, 201)
    ]


def _interactions() -> list[dict[str, str | None]]:
    return [
        {"source": "mail", "interactionid": f"i{n}", "event": ("open", "click")[n % 2]}
        | {"datetime": f"2024-03-{n * n % 28 + 1:02d} 08:00:00"}
        for n in range(1, 301)
    ]


def _held() -> list[dict[str, str | None]]:
    def held(n: int, **values: str | None) -> dict[str, str | None]:
        mapped: Mapping[str, str | None] = {
            "contact_key": f"p{n}",
            "email": f"a{n}@example.test",
            "name": f"Name {n}",
            "city": f"CITY {n % 7}",
            "age": str(20 + n % 50),
            "spent": f"{n}.5",
            "optin": "true",
            "created_at": f"2024-01-{n % 28 + 1:02d}T10:00:00.000Z",
        }
        return {"__masterid__": f"m-{n}", **mapped, **values}

    rows = [held(n) for n in range(20, 60)]
    rows[0] |= {"name": "Old name"}
    rows[1] |= {"spent": "1.00", "optin": "false", "name": HOSTILE}
    rows[2] |= {"name": None, "created_at": "2020-01-01T00:00:00Z"}
    rows.append(held(990, contact_key="elsewhere", email="a1@example.test"))
    rows.append(held(991, contact_key="other", email="a1@example.test"))
    return rows
