"""A service that repeats what it was sent in its errors: none of it goes into a log or onto a screen."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import polars as pl

from migrate.load.ledger_view import LedgerView
from tests.harness import Project
from tests.serving import serving

MakeProject = Callable[..., Project]
OF_PEOPLE = ("email", "firstname", "lastname", "phone", "address", "contact_key")


class _Echo(BaseHTTPRequestHandler):
    """Forwards to the sandbox, but answers a batch as `refuse` says."""

    behind = ""
    protocol_version = "HTTP/1.1"

    @staticmethod
    def refuse(records: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        raise NotImplementedError

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what is printed."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.split("?")[0].endswith("/records/batch"):
            status, value = self.refuse(
                json.loads(body)["records"] if body[:1] == b"{" else json.loads(body)
            )
            return self._send(
                status, json.dumps(value).encode(), {"content-type": "application/json"}
            )
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("host", "connection")
        }
        request = urllib.request.Request(
            self.behind + self.path, body or None, headers, method=self.command
        )
        try:
            with urllib.request.urlopen(request) as reply:
                self._send(reply.status, reply.read(), reply.headers)
        except urllib.error.HTTPError as error:
            self._send(error.code, error.read(), error.headers)
        return None

    def _send(self, status: int, body: bytes, headers: Any) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in (
                "content-length",
                "transfer-encoding",
                "connection",
                "date",
                "server",
            ):
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815  # names of the library


def told(record: dict[str, Any]) -> str:
    """All values of a record in a sentence, as a careless service would write it."""
    return "; ".join(f"value {value!r} of {name} is not valid" for name, value in record.items())


def whole(records: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    """The batch is refused for its first record, which is told in title and detail."""
    title = f"Validation failed for {records[0].get('email')}"
    return 400, {
        "title": title,
        "detail": told(records[0])[:400],
        "status": 400,
        "values": records[0],
    }


def one_by_one(records: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    """Each record is refused with its own values in title, detail and the list of errors."""
    results = [
        {
            "written": False,
            "error": {
                "title": f"Validation failed for {record.get('email')}",
                "detail": told(record),
                "status": 400,
                "values": record,
                "errors": [told(record), {"message": told(record), "instancePath": "/email"}],
            },
        }
        for record in records
    ]
    return 200, {"results": results}


def final(records: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    """The load is refused for good, in the words of a record."""
    return 403, {"title": "Forbidden", "detail": told(records[0])[:400], "status": 403}


@contextmanager
def echoing(project: Project) -> Iterator[type[_Echo]]:
    """Puts the echo between the project and its sandbox; what it yields may be told to refuse otherwise."""
    assert project.sandbox is not None
    handler = type("Echo", (_Echo,), {"behind": project.sandbox.url})
    with serving(handler) as url:
        project.write(
            target_url=f'"{url}/v1/data"', gates="max_errors = 5", octolis="retry_budget_s = 1"
        )
        yield handler


def values_of_people(project: Project) -> set[str]:
    """The values of the planned contacts that tell who somebody is."""
    file = next((project.folder / "migration" / "plans").glob("*/contacts/records.parquet"))
    frame = pl.read_parquet(file)
    texts = {
        value
        for name in OF_PEOPLE
        if name in frame.columns
        for value in frame[name].drop_nulls().to_list()
    }
    return {text for text in texts if len(text) > 3}


def test_no_value_that_comes_back_is_shown_or_logged(make_project: MakeProject) -> None:
    """Neither by the load, which ends with what the service says, nor in the log with -v, nor in the ledger."""
    project = make_project()
    shown = []
    with echoing(project) as echo:
        assert project.run("extract", "profiles", "-q", "-v").code == 0
        assert project.run("plan", "contacts", "-q", "-v").code in (0, 3)
        for refuse, words in (
            (final, "403"),
            (whole, "Validation failed"),
            (one_by_one, "Validation failed"),
        ):
            echo.refuse = staticmethod(refuse)
            done = project.run("load", "-v")
            assert done.code in (6, 8), done
            assert words in done.stdout + done.stderr
            shown.append(done.stdout + done.stderr)
    values = values_of_people(project)
    assert len(values) > 1_000
    log = b"".join(
        path.read_bytes() for path in (project.folder / "migration" / "log").iterdir()
    ).decode()
    for text in (log, *shown, *reasons(project)):
        assert sorted(value for value in values if value in text)[:5] == []


def reasons(project: Project) -> list[str]:
    """Why records and requests were refused, as the ledger has it."""
    with LedgerView(project.folder / "migration" / "ledger.sqlite") as view:
        plan = view.plans()[0]
        found = [reason for reason, _ in view.reasons(plan, 100)] + [
            failure.reason for failure in view.failures(plan)
        ]
    assert found
    return found
