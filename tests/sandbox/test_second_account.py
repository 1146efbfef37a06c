"""Another account of this machine, really another: it reaches the port and the list of processes, and gets nothing."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

NOBODY = 65_534
PATHS = (
    "/2.0/project/demo/profile", "/v1/data/datasets/contacts/records", "/_sandbox/state", "/_sandbox/records/profiles",
)  # fmt: skip
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may become somebody else"
)


@contextlib.contextmanager
def running_sandbox(folder: Path) -> Iterator[tuple[int, int, str]]:
    """A sandbox as somebody starts it, with its memory in a file: its process, its port, all that it printed."""
    command = [sys.executable, "-m", "migrate", "sandbox", "--db", "m.sqlite", "--port", "0"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    lines: list[str] = []
    try:
        while not any("OCTOLIS_API_KEYS" in line for line in lines):
            lines.append(process.stdout.readline())
            assert process.poll() is None
        said = "".join(lines)
        port = re.search(r"127\.0\.0\.1:(\d+)", said)
        assert port
        yield process.pid, int(port[1]), said
    finally:
        process.terminate()
        process.communicate()


def as_nobody(pid: int, port: int, folder: Path) -> dict[str, object]:
    """What the account `nobody` gets of it, without any key."""
    "localhost".encode("idna")  # read now: who is somebody else may not be let at our Python
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        found: dict[str, object] = {}
        with contextlib.suppress(BaseException):
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            for path in PATHS:
                asked = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                asked.request("GET", path)
                found[path] = asked.getresponse().status
            for file in (f"/proc/{pid}/environ", str(folder / "m.sqlite")):
                try:
                    found[file] = len(Path(file).read_bytes())
                except OSError as error:
                    found[file] = type(error).__name__
            found["processes"] = Path(f"/proc/{pid}/cmdline").read_text("utf-8")
        os.write(writing, json.dumps(found).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        told: dict[str, object] = json.loads(answer.read())
    os.waitpid(child, 0)
    return told


def test_it_gets_no_record_no_key_and_no_file(tmp_path: Path) -> None:
    """Each path wants its key or the control token; neither is in a list of processes or an environment it may read."""
    with running_sandbox(tmp_path) as (pid, port, said):
        told = as_nobody(pid, port, tmp_path)
    assert [told[path] for path in PATHS] == [403, 401, 401, 401]
    assert told[f"/proc/{pid}/environ"] == "PermissionError"
    assert told[str(tmp_path / "m.sqlite")] == "PermissionError"
    keys = re.findall(r"[A-Za-z0-9_-]{24,}", said)
    assert keys
    assert not [key for key in keys if key in str(told["processes"])]
