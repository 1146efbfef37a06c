"""A real object store on loopback for the tests: SeaweedFS, one program, with the S3 protocol and credentials."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

BUCKET = "snapshots"
ACCESS_KEY, SECRET_KEY = "object-store-user", "object-store-canary-4e1d"
_GRPC_ABOVE = 10_000
_STARTUP_S, _ATTEMPTS = 120.0, 3


@dataclass(frozen=True)
class ObjectStore:
    """A running store with an empty bucket."""

    endpoint: str

    @property
    def environ(self) -> dict[str, str]:
        """What a client needs in its environment."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }


@contextlib.contextmanager
def open_object_store(folder: Path) -> Iterator[ObjectStore]:
    """A store whose data are in `folder` while the block runs."""
    ports, process = _start(folder)
    try:
        yield ObjectStore(f"http://127.0.0.1:{ports[-1]}")
    finally:
        _stop(process, ports)


def _start(folder: Path) -> tuple[list[int], subprocess.Popen[bytes]]:
    """A store that takes requests; on other ports where somebody was quicker to take one."""
    for attempt in range(_ATTEMPTS):
        ports, place = _free_pairs(4), folder / str(attempt)
        place.mkdir()
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(_command(place, *ports), stdout=log, stderr=log, cwd=place)
        if _answers(
            process,
            f"http://127.0.0.1:{ports[2]}/buckets/{BUCKET}/",
            f"http://127.0.0.1:{ports[3]}",
        ):
            return ports, process
        _stop(process, ports)
    said = (place / "log").read_text(encoding="utf-8", errors="replace")
    raise AssertionError(f"the object store did not start: {said[-1000:]}")


def _command(folder: Path, master: int, volume: int, filer: int, s3: int) -> list[str]:
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
    return [
        _program(), "server", f"-dir={folder}", "-ip=127.0.0.1", "-s3", f"-s3.config={config}", "-s3.iam=false",
        f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}",
        "-master.volumeSizeLimitMB=64", "-master.telemetry=false", "-master.electionTimeout=1s",
        "-volume.max=20", "-s3.port.iceberg=0", "-s3.port.lance=0",
    ]  # fmt: skip


def _stop(process: subprocess.Popen[bytes], ports: list[int]) -> None:
    process.kill()
    process.wait()
    for path in Path(tempfile.gettempdir()).glob("seaweedfs-*.sock"):
        if any(
            path.stem.endswith(f"-{port + above}") for port in ports for above in (0, _GRPC_ABOVE)
        ):
            path.unlink(missing_ok=True)


def _program() -> str:
    found = shutil.which(
        "weed", path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    )
    assert found, "the tests need SeaweedFS: install the development requirements"
    return found


def _answers(process: subprocess.Popen[bytes], bucket: str, endpoint: str) -> bool:
    """Waits until there is a bucket and S3, which begins last, takes something in it; False when that never comes."""
    until, is_made = time.monotonic() + _STARTUP_S, False
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(httpx.TransportError, BaseError):
            is_made = is_made or httpx.post(bucket, timeout=30).is_success
            if is_made:
                store = _open(endpoint)
                obstore.put(store, "probe", b"x")
                obstore.delete(store, "probe")
                return process.poll() is None
        time.sleep(0.1)
    return False


def _open(endpoint: str) -> S3Store:
    """The bucket by its own protocol, asked once a call."""
    return S3Store(
        BUCKET,
        endpoint=endpoint,
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        region="us-east-1",
        client_options={"allow_http": True, "timeout": timedelta(seconds=30)},
        retry_config={"max_retries": 0},
    )


def _free_pairs(count: int) -> list[int]:
    """Ports that are free, each with the one for gRPC above it, and no two the same."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port(0, _GRPC_ABOVE))
    return list(found)


def free_port(*above: int) -> int:
    """A port that is free, as are those so far above it; one that the system hands out to nobody by itself."""
    while True:
        port = random.randrange(11_000, 20_000)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for number in above or (0,):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port + number))
            return port
