"""A running sandbox for the tests of both services.

Clients are made with verify=False: all is plain HTTP on loopback, and loading certificates takes longer than a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings

DATASETS = """
[contacts]
id = "ds-contacts"
keys = [["contact_key"], ["email"]]
mandatory = ["firstname"]
protected = ["lifetime_value"]
[contacts.columns]
contact_key = "text"
email = "text"
firstname = "text"
city = {type = "text", recipe = "uppercase"}
orders = "integer"
total = "float"
born = "date"
newsletter = {type = "boolean", default = false}
lifetime_value = "float"

[lines]
keys = [["order", "position"]]
[lines.columns]
order = "text"
position = "integer"
name = "text"

[report]
read_only = true
[report.columns]
total = "float"

[webhooks.notify]
methods = ["POST"]
headers = {x-origin = "migration"}
"""
KEY = "sandbox-octolis-key"
Start = Callable[..., Sandbox]


@pytest.fixture
def datasets_file(tmp_path: Path) -> Path:
    """The datasets of these tests."""
    path = tmp_path / "datasets.toml"
    path.write_text(DATASETS, "utf-8")
    return path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for all tests of a module: starting and stopping costs more than most of them."""
    path = tmp_path_factory.mktemp("sandbox") / "datasets.toml"
    path.write_text(DATASETS, "utf-8")
    with Sandbox(SandboxSettings(datasets=path, limits=Limits(enforce=False))) as box:
        yield box


@pytest.fixture
def box(running: Sandbox) -> Sandbox:
    """The module's sandbox, as good as new."""
    assert httpx.post(f"{running.url}/_sandbox/faults", json=[], verify=False).status_code == 200
    assert httpx.post(f"{running.url}/_sandbox/reset", verify=False).status_code == 200
    return running


@pytest.fixture
def start(datasets_file: Path) -> Iterator[Start]:
    """Starts a sandbox with some settings; all are stopped at the end."""
    with ExitStack() as stack:

        def run(**settings: Any) -> Sandbox:
            settings = {"datasets": datasets_file, "limits": Limits(enforce=False), **settings}
            return stack.enter_context(Sandbox(SandboxSettings(**settings)))

        yield run


@pytest.fixture
def datatrics() -> Iterator[Callable[[Sandbox], httpx.Client]]:
    """A client of the Datatrics side, with its key."""
    with ExitStack() as stack:

        def connect(box: Sandbox) -> httpx.Client:
            headers = {"x-apikey": "sandbox-datatrics-key"}
            base = f"{box.datatrics_url}/project/demo"
            return stack.enter_context(
                httpx.Client(base_url=base, headers=headers, timeout=60, verify=False)
            )

        yield connect


class Octolis:
    """A small client of the Octolis side: adds the key and the mandatory headers."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        """One request; bytes go out as they are, anything else as JSON."""
        content = (
            {"content": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
        )
        headers = {"Content-Type": "application/json"}
        return self.client.request(
            method, path, params={"api-key": KEY, **query}, headers=headers, **content
        )

    def results(
        self, records: Any, dataset: str = "ds-contacts", method: str = "POST"
    ) -> list[dict[str, Any]]:
        """The results of one batch."""
        answer = self(method, f"/datasets/{dataset}/records/batch", records)
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    def records(self, dataset: str = "ds-contacts", **query: Any) -> list[dict[str, Any]]:
        """The records of one list request."""
        answer = self("GET", f"/datasets/{dataset}/records", **query)
        assert answer.status_code == 200, answer.text
        return answer.json()["records"]


@pytest.fixture
def octolis() -> Iterator[Callable[[Sandbox], Octolis]]:
    """A client of the Octolis side."""
    with ExitStack() as stack:
        yield lambda box: Octolis(
            stack.enter_context(httpx.Client(base_url=box.octolis_url, timeout=60, verify=False))
        )
