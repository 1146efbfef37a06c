"""A real project in a folder, a real sandbox on a socket, and the real command as a process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from migrate.demo.data import DemoData
from migrate.demo.feed import feed
from migrate.demo.synthetic import build_synthetic
from migrate.progress import Silence
from migrate.project import shipped_mappings, start_project
from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings
from tests.cli.harness import SOURCE_KEY, TARGET_KEY, Project


@pytest.fixture(scope="session")
def demo_data() -> DemoData:
    """The made-up retailer."""
    return build_synthetic()


@pytest.fixture
def make_project(tmp_path: Path, demo_data: DemoData) -> Iterator[Callable[..., Project]]:
    """Makes a project folder beside a fed sandbox; settings of the sandbox may be changed."""
    running: list[Sandbox] = []

    def make(name: str = "project", *, feeding: bool = True, faults: tuple[str, ...] = (), **changes: Any) -> Project:
        settings = {
            "mappings": shipped_mappings(),
            "datatrics_key": SOURCE_KEY,
            "octolis_keys": (TARGET_KEY,),
            "limits": Limits(enforce=False),
            **changes,
        }
        sandbox = Sandbox(SandboxSettings(**settings)).__enter__()
        running.append(sandbox)
        if feeding:
            feed(sandbox.datatrics_url, "demo", SecretStr(SOURCE_KEY), demo_data, Silence())
        httpx.post(f"{sandbox.url}/_sandbox/faults", json=list(faults)).raise_for_status()
        folder = tmp_path / name
        start_project(folder)
        project = Project(folder, sandbox)
        project.write()
        return project

    yield make
    for sandbox in running:
        sandbox.__exit__(None, None, None)


@pytest.fixture
def bare_project(tmp_path: Path) -> Project:
    """A project folder without any service behind it."""
    start_project(tmp_path / "bare")
    project = Project(tmp_path / "bare")
    project.write()
    return project
