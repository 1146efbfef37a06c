"""Requests to a real server on loopback."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import threading
import time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler

import httpx
import pytest
from pydantic import SecretStr

from migrate.config import Octolis, Webhook
from migrate.errors import GaveUp, Interrupted, Refused
from migrate.sandbox.faults import parse_fault
from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings
from migrate.target.answer import Answer, clean_text, refusal
from migrate.target.client import TargetClient, filter_text
from tests.harness import wait_until
from tests.serving import serving

KEYS = ("canary-key-one", "canary-key-two")
DATASETS = """
[contacts]
keys = [["k"]]
[contacts.columns]
k = "text"
n = "float"
[webhooks.notify]
"""


@pytest.fixture
def connect(tmp_path):
    """A sandbox with the given faults and a client of it."""
    (tmp_path / "datasets.toml").write_text(DATASETS)
    boxes, clients = [], []

    def go(*faults, keys=KEYS, stop=None, note=lambda _text: None, **settings):
        box = Sandbox(
            SandboxSettings(
                datasets=tmp_path / "datasets.toml",
                octolis_keys=KEYS,
                faults=tuple(parse_fault(fault) for fault in faults),
                limits=Limits(speed=50),
            )
        )
        boxes.append(box.__enter__())
        options = {
            "base_url": box.octolis_url,
            "limit_speed": 50,
            "retry_budget_s": 120,
            **settings,
        }
        secrets = tuple(SecretStr(key) for key in keys)
        client = TargetClient(
            Octolis(**options), secrets, state_file=None, stop=stop or threading.Event(), note=note
        )
        clients.append(client)
        return box, client

    yield go
    for client in clients:
        client.close()
    for box in boxes:
        box.__exit__(None, None, None)


def test_write_and_read_back(connect):
    """What is upserted is counted, exported and found by its masterid, numbers exactly."""
    _, client = connect()
    answer = client.upsert_batch("contacts", b'[{"k": "a b", "n": 19.99}, {"k": "c", "n": 2}]')
    assert answer.status == 200
    assert answer.request_id
    masterid = json.loads(answer.body)["results"][0]["record"]["__masterid__"]
    counted = client.count("contacts")
    assert counted.count == 2
    assert counted.server_time is not None
    assert client.count("contacts", {"k": "a b"}).count == 1
    head, first, second = (
        client.export_csv("contacts", 1, selection=["k", "n"]).decode().splitlines()
    )
    assert (head, first, second) == ("k,n", "a b,19.99", "c,2")
    record = client.get_record("contacts", masterid)
    assert record is not None
    assert record["n"] == Decimal("19.99")
    assert client.get_record("contacts", "nobody") is None
    changed = client.patch_batch(
        "contacts", json.dumps([{"__masterid__": masterid, "n": 3}]).encode()
    )
    assert changed.status == 200
    assert client.export_csv("contacts", 1, filters={"k": "a b"}, selection=["n"]).split() == [
        b"n",
        b"3",
    ]


@pytest.mark.parametrize("value", ["a:b", "a,b"])
def test_values_with_separators_cannot_be_filtered(value):
    """The service's filter has no way to write them."""
    with pytest.raises(ValueError, match="cannot be filtered"):
        filter_text({"k": value})


@pytest.mark.parametrize("status", ["401", "403", "404", "redirect=https://elsewhere.example/"])
def test_a_final_answer_names_key_and_dataset(connect, status):
    """One message with the key's number, never its value; after one request, or one by each key that is refused."""
    box, client = connect(f"octolis:{status}")
    requests = 2 if status in ("401", "403") else 1
    with pytest.raises(Refused, match=r"key [12] of 2 for dataset contacts: [34]\d\d") as caught:
        client.count("contacts")
    assert caught.value.hint
    assert httpx.get(f"{box.url}/_sandbox/state").json()["total_requests"] == requests


def test_a_wrong_key_among_two(connect):
    """The other one does the work; which is wrong is told once, and it is not asked with again."""
    box, client = connect(keys=("wrong", KEYS[1]))
    notes: list[str] = []
    client._note = notes.append
    for _ in range(3):
        assert client.count("contacts").count == 0
    assert [note for note in notes if "refuses key 1 of 2 (403" in note] == notes[:1]
    assert len(notes) == 1
    requests = httpx.get(f"{box.url}/_sandbox/state").json()["requests"]["octolis"]["count"]
    assert requests == {"200": 3, "403": 1}


@pytest.mark.parametrize(
    "fault", ["500", "429=0.01", "reset", "cut", "truncated-json", "html200", "empty200", "204"]
)
def test_reads_are_tried_again(connect, fault):
    """Passing faults of a read pass unseen."""
    _, client = connect(f"octolis:{fault}@at=2+3+5+6")
    for _ in range(2):
        assert client.count("contacts").count == 0
    assert client.export_csv("contacts", 1).startswith(b"k,n")


def test_reads_give_up(connect):
    """A service that stays down ends the read within its budget of time."""
    _, client = connect("octolis:503", retry_budget_s=0.2)
    with pytest.raises(GaveUp, match="counting dataset contacts: gave up"):
        client.count("contacts")


@contextlib.contextmanager
def down_for(retry_after: str):
    """A service that is down for its first answer, and says for how long; gives its URL."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response_only(503 if len(asked) == 1 else 200)
            self.send_header("Retry-After", retry_after)
            self.send_header("Content-Length", "1")
            self.end_headers()
            self.wfile.write(b"7")

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    with serving(Handler) as url:
        yield url


@pytest.mark.parametrize(("retry_after", "least_s"), [("1", 1.0), ("0", 0.05)])
def test_a_read_waits_as_long_as_it_is_told(retry_after, least_s):
    """Retry-After counts with every status, not only with 429; a service that is down is never asked again at once."""
    told, begun = [], time.monotonic()
    with down_for(retry_after) as url:
        settings, stop = Octolis(base_url=url), threading.Event()
        with TargetClient(
            settings, (SecretStr("k"),), state_file=None, stop=stop, note=told.append
        ) as client:
            assert client.count("contacts").count == 7
    assert time.monotonic() - begun >= least_s
    assert len(told) == 1
    assert "503 Service Unavailable; trying again in" in told[0]


@pytest.mark.parametrize("retry_after", ["86400", "20"])
def test_a_wait_beyond_the_budget_is_said(retry_after):
    """Nobody sleeps for a day."""
    with down_for(retry_after) as url:
        settings = Octolis(base_url=url, retry_budget_s=15)
        with (
            TargetClient(
                settings, (SecretStr("k"),), state_file=None, stop=threading.Event()
            ) as client,
            pytest.raises(GaveUp, match=f"asked to wait {retry_after} s"),
        ):
            client.count("contacts")


def test_the_first_answer_counts_as_one():
    """A service that is down is known to be there: from then on the whole budget is its own."""
    waits = []
    with down_for("11") as url:
        stop = threading.Event()
        settings = Octolis(base_url=url, retry_budget_s=600)

        def note(text: str) -> None:
            waits.append(text)
            stop.set()

        with (
            TargetClient(
                settings, (SecretStr("k"),), state_file=None, stop=stop, note=note
            ) as client,
            pytest.raises(Interrupted),
        ):
            client.count("contacts")
    assert waits == ["counting dataset contacts: 503 Service Unavailable; trying again in 11.0 s"]


def test_a_pause_is_told_once(connect):
    """The first who has to wait for a refused key says so, and nobody else."""
    told, stop = [], threading.Event()
    _, client = connect(
        "octolis:429=600@at=1", keys=KEYS[:1], note=told.append, stop=stop, retry_budget_s=900
    )
    assert client.upsert_batch("contacts", b"[]").status == 429

    def send() -> None:
        with contextlib.suppress(Interrupted):
            client.upsert_batch("contacts", b"[]")

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: told)
    time.sleep(0.3)
    stop.set()
    for thread in threads:
        thread.join()
    [text] = told
    assert re.fullmatch(
        r"Octolis lets no key ask again for (600|[3-5]\d\d) s \(429\); waiting", text
    )


def test_an_address_where_nobody_listens():
    """While no answer has ever come, the client does not try for longer than ten seconds."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1/data"
        settings = Octolis(base_url=url, retry_budget_s=900)
        with TargetClient(
            settings, (SecretStr("k"),), state_file=None, stop=threading.Event()
        ) as client:
            assert client.retry_budget_s == 10
            answer = client.upsert_batch("contacts", b"[]")
    assert (answer.status, answer.applied, answer.reason) == (0, False, "connection refused")


def test_a_stop_ends_the_retries(connect):
    """A stop is noticed while a read waits to be tried again, for ten minutes as the service asks."""
    stop = threading.Event()
    timer, fault = threading.Timer(0.1, stop.set), "octolis:429=600@at=2"
    _, client = connect(
        fault, keys=KEYS[:1], stop=stop, note=lambda _text: timer.start(), retry_budget_s=900
    )
    client.count("contacts")
    begun = time.monotonic()
    with pytest.raises(Interrupted):
        client.count("contacts")
    assert time.monotonic() - begun < 300


def test_webhooks(connect):
    """A payload reaches the webhook with its headers."""
    box, client = connect()
    client.send_webhook(
        Webhook(id="notify", method="PUT", headers={"x-origin": "migration"}), {"done": 1}
    )
    [received] = httpx.get(f"{box.url}/_sandbox/webhooks").json()["received"]
    assert received["body"] == {"done": 1}


def test_the_key_shows_nowhere(connect, caplog):
    """Neither logs nor answers nor errors hold a key, also at the most talkative level."""
    caplog.set_level(logging.DEBUG)
    _, client = connect("octolis:500@at=1")
    client.count("contacts")
    answer = client.upsert_batch("contacts", b"[]")
    assert "canary-key" not in caplog.text + repr(answer) + repr(client.__dict__) + str(answer.body)


def test_texts_of_the_service_are_harmless():
    """Control characters, direction marks and markup of an error cannot act on a terminal."""
    body = json.dumps({"title": "\x1b]0;x\x07\u202e evil\nline", "detail": "d" * 500}).encode()
    error = refusal(Answer(403, body, key="key 1 of 1"), "dataset d")
    assert str(error).isprintable()
    assert len(str(error)) < 400
    assert clean_text("a\u200bb\ud800c") == "a b c"
