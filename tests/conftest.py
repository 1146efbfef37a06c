"""What all tests share: hypothesis profiles, and a project folder beside a running sandbox."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

# A unit test must not wait for the sandbox, the demo and httpx: a fixture that needs them imports them.
if TYPE_CHECKING:
    from migrate.demo.data import DemoData
    from migrate.sandbox.serve import Sandbox
    from tests.harness import Project

# The workers fill the cores; threads of polars in each of them would only take turns.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

# What commands tell each other of a key lies in the user's own folder: not in that of whoever runs the tests.
_STATE = tempfile.TemporaryDirectory(prefix="migrate-state-", ignore_cleanup_errors=True)
os.environ["XDG_STATE_HOME"] = _STATE.name
_numbers = itertools.count()

# Where this is set, every command that a test starts would be compiled anew: half of each one's time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Nor is it one that values take long to be made.
SLOW = (HealthCheck.too_slow,)
settings.register_profile(
    "ci", max_examples=50, deadline=None, derandomize=True, suppress_health_check=SLOW
)
settings.register_profile(
    "few", max_examples=10, deadline=None, derandomize=True, suppress_health_check=SLOW
)
settings.register_profile("dev", max_examples=100, deadline=None, suppress_health_check=SLOW)
settings.register_profile("nightly", max_examples=5_000, deadline=None, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def _is_broken(interaction: dict[str, Any]) -> bool:
    return interaction["interaction"]["datetime"] == "yesterday"


WHOLE_COMMANDS = {"app", "cli", "runbooks"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what runs whole commands against services: by its folder, or by the services that it asks for."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if item.path.parent.name in WHOLE_COMMANDS or "make_project" in fixtures:
            item.add_marker(pytest.mark.end_to_end)


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait that one test's service has asked for must not hold back another test, whose service has the same port."""
    monkeypatch.setenv("XDG_STATE_HOME", str(Path(_STATE.name, str(next(_numbers)))))


@pytest.fixture(autouse=True)
def _patient_httpx() -> None:
    """httpx gives up after five seconds, which is no fault of what is tested where the machine is busy."""
    if "httpx" not in sys.modules:
        return
    from httpx._config import DEFAULT_TIMEOUT_CONFIG

    for kind in ("connect", "read", "write", "pool"):
        setattr(DEFAULT_TIMEOUT_CONFIG, kind, 60.0)


@pytest.fixture(scope="session")
def demo_data() -> DemoData:
    """The made-up retailer with a fifth of its orders and interactions, the broken ones among them.

    The whole of it says the same of a command, and takes every test that runs one three times as long.
    """
    from dataclasses import replace

    from migrate.demo.synthetic import build_synthetic

    data = build_synthetic()
    sales = data.sales[::5]  # those with broken values stand at multiples of twenty
    interactions = data.built["interactions"]
    kept = [one for number, one in enumerate(interactions) if number % 5 == 0 or _is_broken(one)]
    built = {**data.built, "sales": [sale.record for sale in sales], "interactions": kept}
    return replace(data, built=built, sales=sales)


@pytest.fixture
def make_project(tmp_path: Path, demo_data: DemoData) -> Iterator[Callable[..., Project]]:
    """Makes a project folder beside a fed sandbox; settings of the sandbox may be changed.

    `whole`: with all of the demo's data, for what has to be in the middle of many pages or batches.
    """
    import httpx
    from pydantic import SecretStr

    from migrate.demo.feed import feed
    from migrate.demo.synthetic import build_synthetic
    from migrate.progress import Silence
    from migrate.project import shipped_mappings, start_project
    from migrate.sandbox.limits import Limits
    from migrate.sandbox.serve import Sandbox, SandboxSettings
    from tests.harness import SOURCE_KEY, TARGET_KEY, Project

    running: list[Sandbox] = []

    def make(
        name: str = "project",
        *,
        feeding: bool = True,
        whole: bool = False,
        faults: tuple[str, ...] = (),
        **changes: Any,
    ) -> Project:
        chosen = {
            "mappings": shipped_mappings(),
            "datatrics_key": SOURCE_KEY,
            "octolis_keys": (TARGET_KEY,),
            "limits": Limits(enforce=False),
            **changes,
        }
        sandbox = Sandbox(SandboxSettings(**chosen)).__enter__()
        running.append(sandbox)
        if feeding:
            data = build_synthetic() if whole else demo_data
            feed(sandbox.datatrics_url, "demo", SecretStr(SOURCE_KEY), data, Silence())
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
    from migrate.project import start_project
    from tests.harness import Project

    start_project(tmp_path / "bare")
    project = Project(tmp_path / "bare")
    project.write()
    return project
