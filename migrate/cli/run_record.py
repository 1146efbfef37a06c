"""Keeps in the ledger that a command was given, by whom, and how it ended; never a key, never a person.

That it cannot be kept is a line in the log and nothing else: a command must not fail for its own record.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migrate import __version__
from migrate.cli.registry import COMMANDS
from migrate.errors import MigrateError

if TYPE_CHECKING:
    from migrate.config import Gates, Project
    from migrate.workspace import Workspace

_log = logging.getLogger(__name__)
HIDDEN = "..."
# Their values are about a person, or are words of somebody who may have named one.
_PERSONAL_OPTIONS = ("--subject", "--note", "--why", "--value", "--reason")
_PERSONAL = re.compile(r"@|%40")
# These change nothing anywhere, and what they are asked may be somebody's id.
_ONLY_LOOK = ("trace", "check")
_WITH_STEPS = ("rejects", "undo", "mapping", "corrections")
_NAMES_RECORDS = ("corrections remove",)
_MOST_CHARS = 1_000


@dataclass(frozen=True)
class BegunRun:
    """A command whose beginning is in the ledger."""

    workspace: Workspace
    number: int

    def end(self, exit_code: int, stopped_by: str | None) -> None:
        """Keeps how it ended; not where the workspace is gone by now."""
        from migrate.load.ledger_notes import LedgerNotes

        if not self.workspace.ledger.exists():
            return
        try:
            with LedgerNotes(self.workspace.ledger) as notes:
                notes.end_run(self.number, exit_code, stopped_by)
        except (MigrateError, OSError) as error:
            _log.warning("that the command ended is not in the ledger: %s", error)


def begin_record(
    project: Project, workspace: Workspace, arguments: Sequence[str]
) -> BegunRun | None:
    """The record of the running command, None where the ledger cannot take it."""
    from migrate.load.ledger_notes import LedgerNotes, RunBegun
    from migrate.privacy.redact import Redactor

    name = command_of(arguments)
    if name in _ONLY_LOOK:
        return None
    line = safe_command_line(arguments)
    cleaned = Redactor(project.secrets.texts()).clean(line)[:_MOST_CHARS]
    begun = RunBegun(name, cleaned, __version__, raised_gates(project.gates))
    try:
        with LedgerNotes(workspace.ledger) as notes:
            return BegunRun(workspace, notes.begin_run(begun))
    except (MigrateError, OSError) as error:
        _log.warning("that the command began is not in the ledger: %s", error)
        return None


def command_of(arguments: Sequence[str]) -> str:
    """The command's name with that of its step, such as `undo run`; without anything that was given to it."""
    known = {*COMMANDS, *_WITH_STEPS}
    at = next((place for place, word in enumerate(arguments) if word in known), None)
    if at is None:
        return "migrate"
    name = arguments[at]
    step = next((word for word in arguments[at + 1 :] if not word.startswith("-")), "")
    if name in _WITH_STEPS and step:
        return f"{name} {step}"
    return name


def safe_command_line(arguments: Sequence[str]) -> str:
    """The command as it was typed, without what it says of a person."""
    shown: list[str] = []
    hide = False
    is_of_records = command_of(arguments) in _NAMES_RECORDS
    for place, word in enumerate(arguments):
        option, is_given, _value = word.partition("=")
        if hide or _PERSONAL.search(word):
            shown.append(f"{option}={HIDDEN}" if is_given and option.startswith("--") else HIDDEN)
            hide = False
            continue
        if option in _PERSONAL_OPTIONS:
            shown.append(f"{option}={HIDDEN}" if is_given else option)
            hide = not is_given
            continue
        if (
            is_of_records
            and place
            and not word.startswith("-")
            and arguments[place - 1] == "remove"
        ):
            shown.append(HIDDEN)
            break
        # Where a project lies may name its customer, and whose home it is; its own name is enough.
        shown.append(os.path.basename(word) if os.path.isabs(word) else word)  # noqa: PTH117, PTH119  a word, no path yet
    return shlex.join(["migrate", *shown])


def raised_gates(gates: Gates) -> Mapping[str, str]:
    """The safety gates that the project file sets to another value than the default."""
    usual = type(gates)()
    raised: dict[str, str] = {}
    for name in type(gates).model_fields:
        value = getattr(gates, name)
        if value != getattr(usual, name):
            raised[name] = str(getattr(value, "text", value))
    return raised
