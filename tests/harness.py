"""A project folder and the command as a process, for the tests of the command line."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import forked

if TYPE_CHECKING:
    from migrate.sandbox.serve import Sandbox

SOURCE_KEY = "source-key-canary-1b7f"
TARGET_KEY = "target-key-canary-9c2e"
DATASETS = ("contacts", "categories", "products", "orders", "order_items", "interactions")
SALES = 300
"""Orders in the data that a test's project is fed with, unless it asks for the whole: every fifth of 1,500."""
TEST_TARGET = "[targets.test.datasets]\n" + "\n".join(
    f'{name} = "test-{name}"' for name in DATASETS
)
"""Another set of datasets, which the sandbox has where it is made with `copies=TEST_COPIES`."""
TEST_COPIES = {f"test-{name}": name for name in DATASETS}
PATIENCE_S = 300
"""How long anything is waited for that must come: it ends what hangs, and tells nothing of a slow machine."""


def wait_until(true: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Waits until `true` holds."""
    ends_at = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < ends_at, "it never came to hold"
        time.sleep(0.01)


def from_batch(number: int, kind: str, *more: str) -> str:
    """A fault that hits every batch sent to the target from the `number`-th on; `more` keys, such as `applied=1`."""
    at = "+".join(map(str, range(number, number + 500)))
    return f"octolis:{kind}@{','.join(('path=*batch', f'at={at}', *more))}"


@dataclass
class Done:
    """A finished process; `summary` is its JSON object."""

    code: int
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found


@dataclass
class Project:
    """A project folder whose migrate.toml points to a sandbox."""

    folder: Path
    sandbox: Sandbox | None = None
    environ: dict[str, str] = field(default_factory=dict)

    def write(self, **changes: str) -> None:
        """Writes migrate.toml; `changes` replaces whole lines' values."""
        url = self.sandbox.url if self.sandbox else "http://127.0.0.1:9"
        values = {
            "workspace": '"migration"',
            "project_id": '"demo"',
            "source_url": f'"{url}/2.0"',
            "target_url": f'"{url}/v1/data"',
            "datasets": "\n".join(f'{name} = "{name}"' for name in DATASETS),
            "gates": "",
            "datatrics": "requests_per_second = 1000",
            "octolis": "",
            "more": "",
            **changes,
        }
        (self.folder / "migrate.toml").write_text(
            f"workspace = {values['workspace']}\n"
            f"[datatrics]\nbase_url = {values['source_url']}\nproject_id = {values['project_id']}\n"
            f"{values['datatrics']}\n"
            f"[octolis]\nbase_url = {values['target_url']}\n{values['octolis']}\n"
            f"[octolis.datasets]\n{values['datasets']}\n"
            f"[gates]\n{values['gates']}\n{values['more']}\n",
            encoding="utf-8",
        )

    def start(self, *arguments: str, **environ: str) -> forked.Process:
        """The command as a process that runs."""
        env = {
            **os.environ,
            "DATATRICS_API_KEY": SOURCE_KEY,
            "OCTOLIS_API_KEYS": TARGET_KEY,
            **self.environ,
            **environ,
        }
        return forked.start(["-m", "migrate", *arguments], self.folder, env)

    def run(self, *arguments: str, timeout_s: float = PATIENCE_S, **environ: str) -> Done:
        """The command, waited for."""
        process = self.start(*arguments, **environ)
        stdout, stderr = process.communicate(timeout=timeout_s)
        return Done(process.returncode, stdout, stderr)

    def kill_when(
        self, condition: Callable[[], bool], *arguments: str, timeout_s: float = PATIENCE_S
    ) -> None:
        """Starts the command and kills it with SIGKILL as soon as `condition` holds; it must not have ended before."""
        process = self.start(*arguments)
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert process.poll() is None, process.communicate()
            if time.monotonic() > deadline:
                process.kill()
                raise AssertionError(f"the moment to kill never came: {process.communicate()}")
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL

    def set_faults(self, faults: tuple[str, ...]) -> None:
        """Replaces the sandbox's faults."""
        assert self.sandbox is not None
        import httpx

        httpx.post(f"{self.sandbox.url}/_sandbox/faults", json=list(faults)).raise_for_status()

    def state(self) -> dict[str, Any]:
        """What the sandbox says of itself."""
        assert self.sandbox is not None
        import httpx

        found = httpx.get(f"{self.sandbox.url}/_sandbox/state").json()
        assert isinstance(found, dict)
        return found
