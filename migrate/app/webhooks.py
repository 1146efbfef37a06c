"""Telling others by a webhook of their own: which command, how it ended, and counts. Nothing of a person, no path.

What is said is put together here from a closed list of numbers and words; nothing of a message, a value or a file is
passed on. That nobody hears it stops nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from migrate import __version__
from migrate.app.not_loaded import read_totals
from migrate.app.target_client import open_target
from migrate.config import SUMMARY_WEBHOOK
from migrate.errors import MigrateError
from migrate.net.http import NoReplyError, Remote

Event = Literal["end", "stop", "gate", "pending", "progress"]
SIGNATURE = "X-Migrate-Signature"
_DEADLINE_S = 10.0
_GATE, _WITH_REJECTS = 8, 3
# A closed list: numbers and words of ours, so that nothing of a record can be in a message.
_COUNTS = (
    "planned", "sent", "written", "created", "updated", "merged", "rejected", "deferred", "open",
    "expected", "count_after", "difference",
)  # fmt: skip
_VERDICTS = frozenset({"match", "mismatch", "pending", "unfinished", "unverified", "undone"})
_NOTIFY_BUDGET_S = 30.0

if TYPE_CHECKING:
    from migrate.app.context import Context
    from migrate.config import OutgoingWebhook, Project


@dataclass(frozen=True)
class Message:
    """What is told. `datasets`: counts by dataset, of `_COUNTS` only."""

    event: Event
    command: str
    exit_code: int | None
    plan: str | None
    at: datetime
    datasets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """One sentence for people."""
        words = {
            "end": "has ended", "stop": "has stopped", "gate": "was stopped by a safety gate",
            "pending": "waits for the target to prepare what was written", "progress": "goes on",
        }  # fmt: skip
        of_plan = f" of plan {self.plan}" if self.plan else ""
        if self.exit_code is not None:
            code = f" (exit code {self.exit_code})"
        else:
            code = ""
        written = sum(counts.get("written", 0) for counts in self.datasets.values())
        refused = sum(counts.get("rejected", 0) for counts in self.datasets.values())
        if self.datasets:
            numbers = f": {written:,} records written, {refused:,} refused"
        else:
            numbers = ""
        return f"migrate {self.command}{of_plan} {words[self.event]}{code}{numbers}"

    def body(self, kind: str) -> bytes:
        """The JSON that is sent; of kind `text` the sentence alone, as chat services take it."""
        if kind == "text":
            return json.dumps({"text": self.text}).encode()
        message = {
            "event": self.event,
            "text": self.text,
            "command": self.command,
            "plan": self.plan,
            "exit_code": self.exit_code,
            "at": self.at.isoformat(timespec="seconds"),
            "datasets": {name: dict(counts) for name, counts in self.datasets.items()},
            "tool": f"migrate {__version__}",
        }
        return json.dumps(message).encode()


def message_of(summary: Mapping[str, Any], at: datetime) -> Message:
    """What a command's summary gives to tell."""
    exit_code = summary.get("exit_code")
    counts = {str(name): _counts_of(entry) for name, entry in _tables_of(summary).items()}
    plan = summary.get("plan")
    return Message(
        _event_of(exit_code, summary.get("status")),
        str(summary.get("command", "")),
        exit_code if isinstance(exit_code, int) else None,
        plan if isinstance(plan, str) else None,
        at,
        {name: count for name, count in counts.items() if count},
    )


def _event_of(exit_code: object, status: object) -> Event:
    # Before the exit code: what is waited for is no end yet.
    if status == "pending":
        return "pending"
    if exit_code == _GATE:
        return "gate"
    # A verdict of reconcile is an end, whatever it says.
    if exit_code in (0, _WITH_REJECTS) or status in _VERDICTS:
        return "end"
    return "stop"


def _tables_of(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    datasets = summary.get("datasets")
    return datasets if isinstance(datasets, Mapping) else {}


def _counts_of(entry: object) -> dict[str, int]:
    if not isinstance(entry, Mapping):
        return {}
    numbers = {name: entry.get(name) for name in _COUNTS}
    # Not isinstance: a bool is an int to Python.
    return {name: n for name, n in numbers.items() if type(n) is int}


def tell_webhooks(context: Context, message: Message) -> None:
    """Sends the message to every webhook that wants its event. Never raises: what fails is a note."""
    for name, webhook in context.project.webhooks.items():
        is_wanted = message.event in webhook.events or message.event == "progress"
        if is_wanted and (message.event != "progress" or webhook.every_minutes):
            _tell(context, name, webhook, message)


def _tell(context: Context, name: str, webhook: OutgoingWebhook, message: Message) -> None:
    url = _address(context.project, webhook)
    if url is None:
        context.progress.note(f"webhook {name}: {webhook.url_env} is not set to an https address")
        return
    body = message.body(webhook.body)
    headers = {"Content-Type": "application/json", **webhook.headers}
    if webhook.secret_env is not None:
        secret = _secret(context.project, webhook.secret_env)
        if secret is None:
            context.progress.note(f"webhook {name}: {webhook.secret_env} is not set")
            return
        # Over the very bytes that are sent: JSON written anew by the receiver would be other ones.
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers[SIGNATURE] = f"sha256={digest}"
    # The address may be a secret itself, so no error of the network is passed on with its words.
    trouble = "no answer"
    try:
        with contextlib.closing(
            Remote(
                f"webhook {name}",
                url,
                authorize=lambda _request: None,
                headers={},
                connections=1,
                # No load waits longer than this for somebody else's server.
                deadline_s=_DEADLINE_S,
            )
        ) as remote:
            status = remote.send("POST", "", body=body, extra_headers=headers).status
        # A redirect is not followed: a signed message goes nowhere else.
        if 200 <= status < 300:
            return
        trouble = f"answered {status}"
    except (MigrateError, NoReplyError, OSError, ValueError) as error:
        trouble = f"no answer ({type(error).__name__})"
    context.progress.note(f"webhook {name} could not be told about {message.event}: {trouble}")


def _address(project: Project, webhook: OutgoingWebhook) -> str | None:
    if webhook.url_env is None:
        return webhook.url
    url = _secret(project, webhook.url_env)
    # Counts say how a business goes; over plain HTTP anybody on the way reads them.
    if url is not None and url.startswith("https://"):
        return url
    return None


def _secret(project: Project, name: str) -> str | None:
    keys = project.secrets.others.get(name, ())
    return ",".join(key.get_secret_value() for key in keys) or None


@contextlib.contextmanager
def telling_progress(context: Context, command: str, plan: str) -> Iterator[None]:
    """While the block runs, the webhooks that want it are told every so many minutes how far the load is."""
    every = {
        name: webhook for name, webhook in context.project.webhooks.items() if webhook.every_minutes
    }
    ended = threading.Event()
    threads = [
        threading.Thread(
            # A daemon: a server that does not answer must not keep the command from ending.
            target=_tell_again,
            args=(context, name, webhook, command, plan, ended),
            daemon=True,
        )
        for name, webhook in every.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()


def _tell_again(
    context: Context,
    name: str,
    webhook: OutgoingWebhook,
    command: str,
    plan: str,
    ended: threading.Event,
) -> None:
    while not ended.wait(webhook.every_minutes * 60):
        # That nobody hears of a load must not stop it.
        with contextlib.suppress(MigrateError):
            totals = read_totals(context.workspace, plan)
            counts = {
                dataset: {
                    "planned": entry.planned, "written": entry.written, "rejected": entry.rejected,
                    "deferred": entry.deferred, "open": entry.open,
                }
                for dataset, entry in totals.items()
            }  # fmt: skip
            message = Message("progress", command, None, plan, context.now(), counts)
            _tell(context, name, webhook, message)


if TYPE_CHECKING:
    from migrate.app.context import Context


def send_summary(context: Context, summary: Mapping[str, object]) -> None:
    """Tells the webhooks of the project how a command ended; that it fails is a note and no error."""
    tell_webhooks(context, message_of(summary, context.now()))
    _send_to_notify(context, summary)


def _send_to_notify(context: Context, summary: Mapping[str, object]) -> None:
    """Sends the summary to Octolis's webhook `notify`, where one is configured."""
    webhook = context.project.octolis.webhooks.get(SUMMARY_WEBHOOK)
    if webhook is None:
        return
    settings = context.project.octolis.model_copy(update={"retry_budget_s": _NOTIFY_BUDGET_S})
    project = context.project.model_copy(update={"octolis": settings})
    with open_target(replace(context, project=project, stop=threading.Event())) as client:
        try:
            client.send_webhook(
                webhook, _without_paths(summary, str(context.project.file.absolute().parent))
            )
        except MigrateError as error:
            context.progress.note(f"the summary could not be sent to webhook notify: {error.what}")


def _without_paths(value: object, folder: str) -> object:
    """A summary without the paths of this machine: the receiver is another one."""
    if isinstance(value, Mapping):
        kept = {name: inner for name, inner in value.items() if not _is_place(inner, folder)}
        return {name: _without_paths(inner, folder) for name, inner in kept.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(inner, folder) for inner in value if not _is_place(inner, folder)]
    return value


def _is_place(value: object, folder: str) -> bool:
    """Whether a value says where something lies: files may have been written outside of the project, too."""
    if not isinstance(value, str):
        return False
    return folder in value or Path(value).is_absolute() or value.startswith("sftp://")
