"""Webhooks of somebody's own: what they are told, how it is signed, and that nothing depends on them."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from migrate.app.context import Context
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.webhooks import SIGNATURE, Message, message_of, send_summary
from migrate.config import load_project
from migrate.errors import ConfigError
from migrate.progress import Silence
from tests.harness import SOURCE_KEY, TARGET_KEY, Project
from tests.serving import serving
from tests.verify.conftest import make_job

NOW = datetime(2026, 11, 30, 6, tzinfo=UTC)
SECRET = "a-shared-secret"
KEYS = {
    "DATATRICS_API_KEY": SOURCE_KEY,
    "OCTOLIS_API_KEYS": TARGET_KEY,
    "TEAM_SECRET": SECRET,
}


@dataclass
class Heard:
    """What a receiver has got, and what it answers."""

    status: int = 200
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def handler(heard) -> type[BaseHTTPRequestHandler]:  # noqa: N805  # `self` is the handler's
        """Takes POSTs."""

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                heard.headers.append(dict(self.headers))
                self.send_response(heard.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                """Says nothing."""

        return Handler


class Notes(Silence):
    """Keeps what a user would be told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keeps a line."""
        self.lines.append(text)


def job(project: Project, more: str, octolis: str = "") -> tuple[Context, Notes]:
    """The project with these webhooks, and what is noted."""
    project.write(octolis=f"limit_speed = 100\n{octolis}", more=more)
    notes = Notes()
    made = make_job(load_project(project.folder / "migrate.toml", KEYS))
    return replace(made, progress=notes), notes


SUMMARY = {
    "command": "load",
    "plan": "first",
    "exit_code": 3,
    "status": "done, with rejected records",
    "datasets": {"contacts": {"written": 1_200, "rejected": 3, "reasons": ["jan@example.org"]}},
    "exports": "/srv/jan/migration/exports/first",
    "reasons": [["email jan@example.org is taken", 3]],
}


def test_a_message_has_numbers_and_words_of_ours_only() -> None:
    """Whatever a summary holds, only the closed list of counts is told; no value, no path, no word of a service."""
    told = json.loads(message_of(SUMMARY, NOW).body("numbers"))
    assert told["datasets"] == {"contacts": {"written": 1_200, "rejected": 3}}
    assert (told["event"], told["exit_code"], told["at"]) == ("end", 3, "2026-11-30T06:00:00+00:00")
    assert "jan" not in json.dumps(told)
    assert json.loads(message_of(SUMMARY, NOW).body("text")) == {
        "text": "migrate load of plan first has ended (exit code 3): 1,200 records written, 3 refused"
    }


@pytest.mark.parametrize(
    ("exit_code", "status", "event"),
    [
        (0, "done", "end"),
        (3, "pending", "pending"),
        (4, "mismatch", "end"),
        (8, "stopped by a gate", "gate"),
        (130, "interrupted", "stop"),
        (6, "stopped", "stop"),
    ],
)
def test_how_a_command_ended_is_the_event(exit_code: int, status: str, event: str) -> None:
    """A count that is waited for is no end yet, a gate is told as such, and a difference is an end."""
    summary = {"command": "run", "exit_code": exit_code, "status": status}
    assert message_of(summary, NOW).event == event


def test_it_is_signed_and_only_what_is_wanted_is_told(make_project: Callable[..., Project]) -> None:
    """The signature is that of RFC 2104 over the very bytes; an event that is not listed is not sent."""
    heard = Heard()
    with serving(heard.handler()) as url:
        more = (
            f'[webhooks.team]\nurl = "{url}/hook"\nsecret_env = "TEAM_SECRET"\nevents = ["gate"]\n'
        )
        context, notes = job(make_project(feeding=False), more)
        send_summary(context, SUMMARY)
        assert heard.bodies == []
        send_summary(context, {**SUMMARY, "exit_code": 8})
    [body], [headers] = heard.bodies, heard.headers
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == f"sha256={digest}"
    assert notes.lines == []


@pytest.mark.parametrize("status", [None, 500, 302])
def test_that_nobody_hears_it_is_a_note(
    make_project: Callable[..., Project], status: int | None
) -> None:
    """No service, or one that refuses or sends elsewhere: a line that names the webhook and not its address."""
    heard = Heard(status or 200)
    with serving(heard.handler()) as url:
        address = url if status else "http://127.0.0.1:9/secret-path"
        context, notes = job(make_project(feeding=False), f'[webhooks.team]\nurl = "{address}"\n')
        send_summary(context, SUMMARY)
    [line] = notes.lines
    assert line.startswith("webhook team could not be told about end: ")
    assert "127.0.0.1" not in line


def test_a_load_tells_how_far_it_is(make_project: Callable[..., Project]) -> None:
    """Every so many minutes while it runs, the counts of the ledger; the load itself is as ever."""
    heard = Heard()
    with serving(heard.handler()) as url:
        more = f'[webhooks.team]\nurl = "{url}"\nevery_minutes = 0.005\n'
        context, _ = job(make_project(whole=True, latency_s=0.4), more, "concurrency = 1")
        run_extract(context)
        run_plan(context, ["interactions"], name="night")
        done = run_load(context, name="night", canary=0).datasets["interactions"]
    told = [json.loads(body) for body in heard.bodies]
    assert done.written == 2_500
    assert {entry["event"] for entry in told} == {"progress"}
    written = [entry["datasets"].get("interactions", {}).get("written", 0) for entry in told]
    assert written == sorted(written)
    assert str(context.workspace.root) not in b"".join(heard.bodies).decode()


def test_an_address_is_named_once_and_is_safe(make_project: Callable[..., Project]) -> None:
    """Both or neither of url and url_env is an error of the file, and so is http to another machine."""
    project = make_project(feeding=False)
    for lines in ("", 'url = "https://a.example"\nurl_env = "X"', 'url = "http://a.example"'):
        with pytest.raises(ConfigError):
            job(project, f"[webhooks.team]\n{lines}\n")


def test_an_address_that_is_a_secret_comes_from_the_environment(
    make_project: Callable[..., Project],
) -> None:
    """Where the variable is not set, or is no https address, that is a note; nothing is sent."""
    context, notes = job(make_project(feeding=False), '[webhooks.team]\nurl_env = "TEAM_URL"\n')
    send_summary(context, SUMMARY)
    assert notes.lines == ["webhook team: TEAM_URL is not set to an https address"]
    assert Message("end", "load", 0, None, NOW).text == "migrate load has ended (exit code 0)"
