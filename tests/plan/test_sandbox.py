"""Plans against the sandbox over real sockets: what was loaded reads back as unchanged, in every type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from threading import Event

import polars as pl
import pytest
from pydantic import SecretStr

from migrate.config import Octolis
from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings
from migrate.target.client import TargetClient

EVERY_TYPE = """
version: 1
dataset: contacts
resource: profiles
key: [contact_key]
columns:
  contact_key: {from: email, type: text}
  name:        {from: name, type: text}
  age:         {from: age, type: integer}
  spent:       {from: spent, type: float}
  optin:       {from: optin, type: boolean, values: {"1": true, "0": false}}
  created_at:  {from: created, type: datetime}
  born:        {from: born, type: date}
  extra:       {from: extra, type: json}
ignore: [profileid]
"""

VALUES = [
    {
        "name": 'a "quoted", word',
        "age": "-5",
        "spent": "0.1",
        "optin": "1",
        "born": "1978-06-23",
        "extra": '{"a": [1]}',
    },
    {
        "name": "two\nlines\r\n",
        "age": "2147483647",
        "spent": "12345.678901",
        "optin": "0",
        "born": "2000-02-29",
    },
    {"name": " spaces ", "age": "0", "spent": "-0.0", "extra": "[]"},
    {"name": "émoji 🎈", "spent": "1e3"},
    {"name": "NULL", "spent": "2147483647"},
]


@pytest.fixture
def client(bench) -> Iterator[TargetClient]:
    """The sandbox's Octolis with a dataset `contacts`, as the bench's target."""
    (bench.project.mappings / "orders.yaml").unlink()
    bench.write_mapping("contacts", EVERY_TYPE)
    settings = SandboxSettings(mappings=bench.project.mappings, limits=Limits(enforce=False))
    with Sandbox(settings) as box:
        octolis = Octolis(
            base_url=box.octolis_url, limit_speed=100, datasets={"contacts": "contacts"}
        )
        bench.project = bench.project.model_copy(update={"octolis": octolis})
        key = (SecretStr("sandbox-octolis-key"),)
        with closing(TargetClient(octolis, key, state_file=None, stop=Event())) as made:
            bench.target = made
            yield made


def send(client: TargetClient, plan) -> None:
    """What `load` does with a plan, without any of its care."""
    records = pl.read_parquet(plan.file("contacts", "records.parquet"))
    for batch in records.partition_by("batch", maintain_order=True):
        answer = client.upsert_batch("contacts", f"[{','.join(batch['payload'])}]".encode())
        assert answer.status == 200
        assert b'"written":false' not in answer.body.replace(b" ", b"")


def test_what_was_loaded_is_unchanged(bench, client, make_profile) -> None:
    """Create, then nothing to send; a changed value comes up as an update of that column alone."""
    profiles = [make_profile(number, **values) for number, values in enumerate(VALUES)]
    bench.snapshot.resources["profiles"].records = profiles
    first = bench.plan("first")
    counts = first.document.datasets["contacts"]
    assert (counts.rejected, counts.create, counts.warnings) == (0, len(VALUES), ())
    send(client, first)
    second = bench.plan("second").document.datasets["contacts"]
    assert (second.unchanged, second.change_counts, second.warnings) == (len(VALUES), {}, ())
    profiles[0]["age"] = "-6"
    third = bench.plan("third")
    assert third.document.datasets["contacts"].change_counts == {"age": 1}
    update = pl.read_parquet(third.file("contacts", "records.parquet")).row(0, named=True)
    assert update["masterid"] == client.get_record("contacts", update["masterid"])["__masterid__"]
