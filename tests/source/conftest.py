"""A sandbox with profiles in it, and a way to extract from it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from migrate.config import Datatrics
from migrate.progress import Silence
from migrate.sandbox.faults import parse_fault
from migrate.sandbox.serve import Sandbox, SandboxSettings
from migrate.source.client import SourceClient
from migrate.source.extract import Extraction, ExtractRequest, extract
from migrate.source.resources import resolve_resources
from migrate.source.since import Since
from migrate.workspace import Workspace

KEY = "sandbox-datatrics-key"


class Notes(Silence):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Keeps `text`."""
        self.notes.append(text)


@dataclass
class Bench:
    """A sandbox, a workspace, and the settings of the next extract."""

    url: str
    workspace: Workspace
    resources: tuple[str, ...] = ("profiles",)
    page_size: int = 10
    concurrency: int = 4
    request_deadline_s: float = 60
    retry_budget_s: float = 120
    key: str = KEY
    project_id: str = "demo"
    stop: threading.Event = field(default_factory=threading.Event)
    notes: Notes = field(default_factory=Notes)
    requests: int = 0
    since: Since | None = None
    only_source: str | None = None

    def settings(self) -> Datatrics:
        """The project's settings for the source."""
        return Datatrics(
            base_url=self.url,
            project_id=self.project_id,
            page_size=self.page_size,
            concurrency=self.concurrency,
            requests_per_second=2000,
            request_deadline_s=self.request_deadline_s,
            retry_budget_s=self.retry_budget_s,
        )

    @contextmanager
    def client(self) -> Iterator[SourceClient]:
        """A client, closed at the end."""
        with closing(
            SourceClient(self.settings(), SecretStr(self.key), stop=self.stop, note=self.notes.note)
        ) as client:
            yield client
            self.requests = client.requests

    def extract(self, snapshot: str | None = None) -> Extraction:
        """Extracts with the settings as they are now."""
        with self.client() as client:
            return self.extract_with(client, snapshot)

    def extract_with(self, client: SourceClient, snapshot: str | None = None) -> Extraction:
        """Extracts with a client of one's own."""
        resources = resolve_resources(self.resources)
        request = ExtractRequest(
            resources,
            snapshot,
            {resource.name: self.page_size for resource in resources},
            self.project_id,
            self.url,
            self.concurrency,
            since=self.since,
            only_source=self.only_source,
        )
        return extract(
            client, self.workspace, request, self.notes, self.stop, lambda: datetime.now(UTC)
        )

    def post_profiles(self, numbers: range, **fields: object) -> None:
        """Puts profiles into the sandbox, each created a second after the one before."""
        profiles = [
            {
                "profileid": str(n),
                "source": "shop",
                "profile": {
                    "created": f"2020-01-01 {n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}",
                    **fields,
                },
            }
            for n in numbers
        ]
        self.send("POST", "profile/bulk", {"profiles": profiles})

    def delete_profile(self, number: int) -> None:
        """Takes a profile out of the sandbox."""
        self.send("DELETE", f"profile/{number}?source=shop", None)

    def forget_faults(self) -> None:
        """Makes the sandbox a good one."""
        httpx.post(f"{self.url.removesuffix('/2.0')}/_sandbox/faults", json=[]).raise_for_status()

    def send(self, method: str, path: str, body: object) -> None:
        """One request to the sandbox's Datatrics."""
        reply = httpx.request(
            method,
            f"{self.url}/project/demo/{path}",
            headers={"x-apikey": KEY, "Content-Type": "application/json"},
            content=None if body is None else json.dumps(body),
        )
        assert reply.status_code == 200, reply.text

    def ids(self, found: Extraction, resource: str = "profiles") -> list[str]:
        """The ids in a finished snapshot's parts, in order."""
        import polars as pl

        return pl.read_parquet(found.folder / resource / "part-*.parquet")["_id"].to_list()


StartBench = Callable[..., Bench]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartBench]:
    """Starts a sandbox with faults and a number of profiles."""
    boxes: list[Sandbox] = []

    def begin(*faults: str, profiles: int = 95) -> Bench:
        settings = SandboxSettings(
            faults=tuple(parse_fault(f"datatrics:{text}") for text in faults)
        )
        boxes.append(Sandbox(settings))
        bench = Bench(boxes[-1].__enter__().datatrics_url, Workspace(tmp_path / "work"))
        if profiles:
            bench.post_profiles(range(profiles), email="a@example.org", score=1.10)
        return bench

    yield begin
    for box in boxes:
        box.__exit__(None, None, None)
