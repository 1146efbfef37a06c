"""Telling others how a command ended: numbers only, nothing of a person and no path of this machine."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from migrate.app.target_client import open_target
from migrate.app.webhooks import message_of, tell_webhooks
from migrate.config import SUMMARY_WEBHOOK
from migrate.errors import MigrateError

if TYPE_CHECKING:
    from migrate.app.context import Context

_NOTIFY_BUDGET_S = 30.0


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
        kept = {
            name: inner
            for name, inner in value.items()
            if not (isinstance(inner, str) and folder in inner)
        }
        return {name: _without_paths(inner, folder) for name, inner in kept.items()}
    if isinstance(value, list | tuple):
        return [
            _without_paths(inner, folder)
            for inner in value
            if not (isinstance(inner, str) and folder in inner)
        ]
    return value
