"""Another account of this machine and a page in a browser get nothing out of a sandbox."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import stat
import sys
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.app.rehearsal import SandboxProcess, sandbox_process
from migrate.errors import UsageError
from migrate.project import shipped_mappings
from migrate.sandbox.exchange import is_loopback, refuse_stranger
from migrate.sandbox.serve import Sandbox
from migrate.sandbox.store import Store
from tests.harness import Project

from .conftest import KEY, Start

TOKEN = "control-token"  # of a sandbox that lives within this test
PATHS = (
    "/2.0/project/demo/profile",
    f"/v1/data/datasets/contacts/records?api-key={KEY}",
    "/_sandbox/state",
    "/_sandbox/reset",
    "/openapi.json",
    "/",
)
GOOD = {"x-apikey": "sandbox-datatrics-key", "x-sandbox-token": TOKEN}


@pytest.fixture
def guarded(start: Start) -> Sandbox:
    """A sandbox with a control token, as the command line starts it."""
    return start(control_token=TOKEN)


def test_this_machine_by_its_own_names() -> None:
    """Every way to write the loopback, with any port and without one."""
    for host in (
        "127.0.0.1",
        "127.0.0.1:8720",
        "localhost:1",
        "LOCALHOST",
        "[::1]:80",
        "127.1.2.3",
    ):
        assert is_loopback(host), host


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "127.0.0.1.evil.example:80", "localhost.evil.example", "0.0.0.0", "10.0.0.1",
     "user@127.0.0.1", "127.0.0.1/x", "[::1", "127.0.0.1:99999999", "2130706433", "::1"],
)  # fmt: skip
def test_any_other_name_is_a_strangers(host: str) -> None:
    """A name that somebody else's DNS lets point here is none of ours."""
    assert not is_loopback(host)


@given(st.text(max_size=40))
def test_no_host_makes_it_fail(host: str) -> None:
    """Whatever stands there, it is judged; only what names the loopback passes."""
    assert is_loopback(host) or refuse_stranger({"host": host}) is not None


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8720"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "http://127.0.0.1:1"},
        {"referer": "http://localhost:1/page"},
        {"referer": "https://evil.example/page"},
        {"sec-fetch-site": "cross-site"},
    ],
    ids=lambda headers: "=".join(next(iter(headers.items()))),
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_of_elsewhere_gets_nothing(
    guarded: Sandbox, path: str, headers: dict[str, str], method: str
) -> None:
    """Even one that knows every key: the same few words on every path, and no leave for its scripts."""
    reply = httpx.request(method, guarded.url + path, headers={**GOOD, **headers})
    assert reply.status_code in (403, 421)
    assert set(reply.json()) == {"error"}
    assert not [name for name in reply.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "path", ["/_sandbox/state", "/_sandbox/log", "/openapi.json", "/_sandbox/x"]
)
@pytest.mark.parametrize("given", [{}, {"x-sandbox-token": ""}, {"x-sandbox-token": TOKEN + "x"}])
def test_control_paths_need_the_token(guarded: Sandbox, path: str, given: dict[str, str]) -> None:
    """Whoever only reaches the port learns no count, no path and no column."""
    assert httpx.get(guarded.url + path, headers=given).status_code == 401
    assert httpx.get(guarded.url + path, headers=GOOD).status_code in (200, 404)


def test_a_reset_by_a_form_of_another_page_changes_nothing(guarded: Sandbox) -> None:
    """A cross-site post is refused before it is carried out."""
    records = b'[{"profileid": "1", "source": "Shop", "created": "2020-01-01 00:00:00"}]'
    url = f"{guarded.url}/_sandbox"
    httpx.post(f"{url}/records/profiles", content=records, headers=GOOD).raise_for_status()
    form = {"origin": "https://evil.example", "content-type": "text/plain", **GOOD}
    assert httpx.post(f"{url}/reset", headers=form).status_code == 403
    assert httpx.get(f"{url}/state", headers=GOOD).json()["resources"]["profiles"] == 1


def test_a_page_of_its_own_and_programs_are_answered(guarded: Sandbox) -> None:
    """What this machine itself shows in a browser, and everything without such headers."""
    own = {"origin": guarded.url, "referer": guarded.url + "/", "sec-fetch-site": "same-origin"}
    for headers in (own, {}):
        reply = httpx.get(guarded.url + PATHS[0], headers={**GOOD, **headers})
        assert reply.status_code == 200


def test_a_strangers_body_is_not_even_read(guarded: Sandbox) -> None:
    """The answer comes before the body, so that nobody fills the memory who may not ask."""
    port = int(guarded.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(
            b"POST /_sandbox/reset HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 999999999\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 421")


@pytest.mark.skipif(
    not Path("/proc/self/cmdline").exists(), reason="the list of processes is elsewhere"
)
def test_no_list_of_processes_shows_a_key_and_every_run_has_its_own(tmp_path: Path) -> None:
    """What another account sees of a rehearsal's sandbox: no key in its command line, files of mode 0600."""
    runs: list[SandboxProcess] = []
    for run in range(2):
        file = tmp_path / f"{run}.sqlite"
        with sandbox_process(shipped_mappings(), 1000, "--db", str(file), keys=2) as box:
            runs.append(box)
            secrets = [box.datatrics_key, *box.octolis_keys.split(","), box.control_token]
            assert len(set(secrets)) == 4
            assert all(len(secret) >= 32 for secret in secrets)
            lines = [_read(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
            assert not [line for line in lines for secret in secrets if secret.encode() in line]
            assert httpx.get(f"{box.url}/_sandbox/state").status_code == 401
            modes = [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob(f"{run}.sqlite*")]
            assert set(modes) == {0o600}
    assert not {runs[0].datatrics_key, runs[0].control_token} & {
        runs[1].datatrics_key,
        runs[1].control_token,
    }
    assert not [
        run for run in runs if run.datatrics_key in repr(run) or run.control_token in repr(run)
    ]


def _read(path: Path) -> bytes:
    # a process may end between the listing and the reading
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


@pytest.mark.skipif(os.name == "nt", reason="rights are elsewhere there")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_file_is_its_owners_under_any_umask(tmp_path: Path, umask: int) -> None:
    """New or there already with other rights, the journals beside it included."""
    before = os.umask(umask)
    try:
        for name in ("new", "old"):
            file = tmp_path / f"{name}.sqlite"
            if name == "old":
                with contextlib.closing(sqlite3.connect(file)) as connection:
                    connection.execute("CREATE TABLE t (x)")
                file.chmod(0o644)
            store = Store(file)
            store.save_webhook("notify", b"{}")
            assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob(f"{name}.*")} == {
                0o600
            }
            store.close()
    finally:
        os.umask(before)


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are others there")
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: str) -> None:
    """A link may lead anywhere, and a pipe would wait for ever."""
    file = tmp_path / "db"
    if kind == "link":
        file.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.mkdir()
    with pytest.raises(UsageError, match="cannot be used"):
        Store(file)
    assert not (tmp_path / "elsewhere").exists()


def test_keys_that_are_set_are_taken_and_not_printed(bare_project: Project) -> None:
    """From the environment or .env: they may be those of the real services."""
    (bare_project.folder / ".env").write_text("SANDBOX_TOKEN=a-token-of-ones-own\n")
    (bare_project.folder / ".env").chmod(0o600)
    done = bare_project.run("sandbox", "--port", "0", "--until-stdin-closes", "--json", "-q")
    ready = json.loads(done.stdout)
    assert {ready["datatrics_key"], ready["octolis_keys"], ready["control_token"]} == {"(as set)"}
    assert "a-token-of-ones-own" not in done.stdout + done.stderr
