"""Starting, stopping, and the sandbox's own handles."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from migrate.errors import UsageError
from migrate.sandbox.app import split_path
from migrate.sandbox.serve import Sandbox, SandboxSettings
from tests.object_store import free_port

Start = Callable[..., Sandbox]
Connect = Callable[[Sandbox], Any]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.com", ""])
def test_loopback_only(host: str) -> None:
    """Any address that others can reach is refused."""
    with pytest.raises(UsageError, match="loopback"):
        Sandbox(SandboxSettings(host=host))


def test_a_taken_port() -> None:
    """One clear error."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UsageError, match="cannot listen"),
    ):
        Sandbox(SandboxSettings(port=taken.getsockname()[1])).__enter__()


def test_port_is_free_again_after_the_block(start: Start) -> None:
    """The same port can be taken at once, and two sandboxes do not know of each other."""
    port = free_port()  # one that no other test is given in between
    with Sandbox(SandboxSettings(port=port)) as box:
        assert httpx.get(f"{box.url}/_sandbox/state").status_code == 200
    again = start(port=port)
    assert again.url.endswith(f":{port}")
    assert again.datatrics_url == f"{again.url}/2.0"
    assert again.octolis_url == f"{again.url}/v1/data"


def test_settings_do_not_print_keys() -> None:
    """A settings object in a traceback or a log holds no key."""
    assert "secret" not in repr(SandboxSettings(datatrics_key="secret1", octolis_keys=("secret2",)))


def test_state_and_log(box: Sandbox, datatrics: Connect, octolis: Connect) -> None:
    """Counts per resource, dataset, kind and status; the log has sizes and times and never a key."""
    datatrics(box).get("/profile")
    datatrics(box).get("/profile/1")
    octolis(box).results([{"contact_key": "1", "firstname": "x"}])
    state = httpx.get(f"{box.url}/_sandbox/state").json()
    assert state["requests"] == {
        "datatrics": {"list": {"200": 1}, "get": {"400": 1}},
        "octolis": {"batch": {"200": 1}},
    }
    assert state["resources"]["profiles"] == 0
    assert (state["datasets"]["contacts"]["id"], state["datasets"]["contacts"]["count"]) == (
        "ds-contacts",
        1,
    )
    log = httpx.get(f"{box.url}/_sandbox/log?since=1")
    assert [entry["n"] for entry in log.json()["requests"]] == [2, 3]
    assert log.json()["requests"][1]["bytes_in"] > 0
    assert "sandbox-octolis-key" not in log.text
    assert httpx.get(f"{box.url}/_sandbox/log?since=x").status_code == 400


def test_answers_are_dated_when_they_are_made(box: Sandbox, datatrics: Connect) -> None:
    """The Date of an answer is its own second, not one kept from answers before: loads tell by it what is new."""
    client = datatrics(box)
    for _ in range(15):
        before_s = int(time.time())
        dated_s = parsedate_to_datetime(client.get("/profile").headers["Date"]).timestamp()
        assert before_s <= dated_s <= time.time()
        time.sleep(0.1)


def test_reset_and_unknown_handles(box: Sandbox, octolis: Connect) -> None:
    """Reset empties data and counters; an unknown handle is 404."""
    octolis(box).results([{"contact_key": "1", "firstname": "x"}])
    assert httpx.post(f"{box.url}/_sandbox/reset").status_code == 200
    state = httpx.get(f"{box.url}/_sandbox/state").json()
    assert (state["datasets"]["contacts"]["count"], state["requests"]) == (0, {})
    for url in ("/_sandbox/nothing", "/nothing", "/"):
        assert httpx.get(f"{box.url}{url}").status_code == 404


def test_mappings_declare_datasets(tmp_path: Path, octolis: Connect) -> None:
    """A folder of mappings is enough to write to the datasets they name."""
    mapping = "dataset: products\nkey: [sku]\ncolumns:\n  sku: {from: sku, type: text}\n"
    (tmp_path / "products.yaml").write_text(mapping, "utf-8")
    with Sandbox(SandboxSettings(mappings=tmp_path)) as box:
        assert octolis(box).results([{"sku": "007"}], "products")[0]["record"]["sku"] == "007"


def test_paths_are_split_before_they_are_decoded() -> None:
    """The prefix says whose request it is; the rest stays encoded."""
    assert split_path("/2.0/project/1/profile/a%2Fb") == ("datatrics", "/project/1/profile/a%2Fb")
    assert split_path("/v1/data/webhook/x") == ("octolis", "/webhook/x")
    assert split_path("/2.01/x") == ("none", "/2.01/x")
