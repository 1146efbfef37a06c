"""What every command shares: global options, one way to end, one way to fail."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from migrate.cli.complete import offer_names
from migrate.cli.registry import COMMANDS
from migrate.cli.streams import draws_bars, end_bars, say
from migrate.cli.user_path import UserPath
from migrate.errors import GateError, MigrateError
from migrate.report.inert import inert_page, inert_text

if TYPE_CHECKING:
    from migrate.app.context import Context
    from migrate.cli.run_record import BegunRun
    from migrate.config import Project
    from migrate.names import Language
    from migrate.progress import Progress
    from migrate.workspace import Workspace

_log = logging.getLogger(__name__)
_STOPPING = "\nstopping: finishing what is in flight (once more stops at once) ...\n"
_WITHOUT_PROJECT = ("init", "demo", "sandbox", "completion")
PROJECT_FILE = "migrate.toml"
# Without a log that is open, nothing of it goes to stderr: what a user should read is printed there already.
logging.getLogger("migrate").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class CommandOutcome:
    """How a command ended: `data` is its part of the JSON object, `text` what a person reads on stdout."""

    command: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int = 0
    status: str = "done"
    next: str | None = None


@dataclass
class App:
    """The global options of one call, and what is opened from them."""

    project_file: Path = field(default_factory=lambda: find_project(Path.cwd()))
    names_project: bool = False
    """True where somebody gave --project, so that every command that is suggested has to name it, too."""
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    force_unlock: bool = False
    language: Language | None = None
    """The language that `--lang` names, None where the project file says it."""
    stop: threading.Event = field(default_factory=threading.Event)
    achieved: Mapping[str, Any] = field(default_factory=dict)
    """What a command that fails has to tell all the same: joins the JSON object of the failure."""
    workspace: Workspace | None = None
    run: BegunRun | None = None
    stopped_by: str | None = None

    def open_project(self) -> Project:
        """The checked project file. Raises ConfigError; WorkspaceError for a link out of its workspace."""
        from migrate.config import load_project
        from migrate.privacy.own import check_links

        project = load_project(self.project_file)
        # Before a byte is read or written: no command goes where a link in the workspace would lead it.
        check_links(project.workspace)
        return project

    def open_workspace(self, project: Project) -> Workspace:
        """The project's workspace, made and writable, with the log opened in it. Raises WorkspaceError."""
        from migrate.cli.logs import open_log
        from migrate.privacy.own import check_links
        from migrate.workspace import Workspace

        workspace = Workspace.of(project)
        self.workspace = workspace
        workspace.forces_unlock = self.force_unlock
        # Before a byte is read or written: no command goes where a link in the workspace would lead it.
        check_links(workspace.root)
        workspace.create()
        open_log(workspace.log, project.secrets, verbose=self.verbose)
        return workspace

    @contextmanager
    def context(self) -> Iterator[Context]:
        """What a stage is given; while the block runs, Ctrl-C and SIGTERM ask it to stop."""
        from migrate.app.context import Context

        project = self.open_project()
        workspace = self.open_workspace(project)
        self.record(project, workspace)
        with self.interruptible() as stop:
            yield Context(project, workspace, self.progress(), stop, utc_now, self.force_unlock)

    def record(self, project: Project, workspace: Workspace) -> None:
        """Keeps in the ledger that the command was given, and by whom."""
        from migrate.cli.run_record import begin_record

        self.run = begin_record(project, workspace, sys.argv[1:])

    def end_record(self, exit_code: int, stopped_by: str | None = None) -> None:
        """Keeps how the command ended, where its beginning was kept."""
        if self.run is not None:
            self.run.end(exit_code, stopped_by or self.stopped_by)
            self.run = None

    def progress(self) -> Progress:
        """Progress bars on a terminal, heartbeat lines elsewhere, nothing with --quiet."""
        from migrate.cli.progress import Bars, Heartbeat, Logged
        from migrate.progress import Silence

        if self.quiet:
            return Logged(Silence())
        return Logged(Bars() if draws_bars() else Heartbeat())

    def finish(self, outcome: CommandOutcome) -> NoReturn:
        """Prints the outcome and ends the process with its exit code."""
        end_bars()
        _log.info("%s: %s, exit code %s", outcome.command, outcome.status, outcome.exit_code)
        if outcome.exit_code == GateError.exit_code:
            self.stopped_by = str(outcome.data.get("stopped") or outcome.status)
        if self.as_json:
            self._print_json(outcome)
        else:
            say(inert_page(outcome.text))
            if outcome.next:
                self._print_next(outcome.next)
        raise click.exceptions.Exit(outcome.exit_code)

    def _print_next(self, command: str) -> None:
        click.echo(f"\nnext: {click.style(self.full(command), bold=True)}")

    def suggest(self, command: str) -> None:
        """Prints the command that continues, of one that shows something again and again, then ends the process."""
        self._print_next(command)
        raise click.exceptions.Exit(0)

    def _print_json(self, outcome: CommandOutcome) -> None:
        head = {
            "command": outcome.command,
            "exit_code": outcome.exit_code,
            "status": outcome.status,
        }
        if outcome.next:
            tail = {"next": self.full(outcome.next)}
        else:
            tail = {}
        text = json.dumps({**head, **outcome.data, **tail}, ensure_ascii=False, default=str)
        click.echo(inert_text(text))

    def full(self, text: str) -> str:
        """`text` with the project file named in every command that needs one, so that it can be given as it is."""
        if not self.names_project:
            return text
        named = f"migrate --project {shlex.quote(str(self.project_file))} "
        commands = "|".join(name for name in COMMANDS if name not in _WITHOUT_PROJECT)
        # Not behind a letter or a slash: a path that ends in `migrate` is no command.
        return re.sub(rf"(?<![\w./-])migrate (?=({commands})\b)", lambda _found: named, text)

    def fail(self, command: str, error: MigrateError) -> int:
        """Says what went wrong, on stderr or as the JSON object; returns the exit code."""
        from migrate.report.terminal import inert

        end_bars()
        _log.error("%s: %s, exit code %s", command, error.what, error.exit_code)
        hint = self.full(error.hint) if error.hint else None
        if self.as_json:
            problem = {"error": error.what, "hint": hint, "kind": type(error).__name__}
            achieved = {**self.achieved}
            if "next" in achieved:
                achieved["next"] = self.full(str(achieved["next"]))
            status = "interrupted" if error.exit_code == 130 else "error"
            head = {"command": command, "exit_code": error.exit_code, "status": status}
            whole = {**head, **problem, **achieved}
            click.echo(inert_text(json.dumps(whole, ensure_ascii=False, default=str)))
        label = click.style(
            "interrupted" if error.exit_code == 130 else "error", fg="red", bold=True
        )
        lines = [inert(line) for line in error.what.splitlines()] or [type(error).__name__]
        say(f"{label}: " + "\n  ".join(lines), err=True)
        if hint:
            say(f"  -> {inert(hint)}", err=True)
        return error.exit_code

    def _leave(self) -> None:
        text = "stopped at once; give the same command again to resume"
        if self.as_json:
            problem = {
                "command": _command_name(),
                "exit_code": 130,
                "status": "interrupted",
                "error": text,
            }
            with contextlib.suppress(OSError):
                os.write(1, (json.dumps(problem) + "\n").encode())
        with contextlib.suppress(OSError):
            # The cursor may stand behind a bar.
            begin = "\n" if draws_bars() else ""
            os.write(2, f"{begin}{text}\n".encode())
        # Threads that wait for an answer would keep the process for as long as that takes.
        os._exit(130)

    @contextmanager
    def interruptible(self, *, announce: bool = True) -> Iterator[threading.Event]:
        """An event that the first Ctrl-C or SIGTERM sets; the second stops the process at once.

        At once is as safe as a kill: what the ledger and the snapshot have accepted is on disk.
        """

        def on_signal(_number: int, _frame: object) -> None:
            if self.stop.is_set():
                self._leave()
            self.stop.set()
            if announce:
                # Straight to the descriptor: the signal may have come in the middle of a write to the stream.
                with contextlib.suppress(OSError):
                    os.write(2, _STOPPING.encode())

        numbers = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # Whoever began it with nohup wants it to outlive the terminal.
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, on_signal) for number in numbers}
        try:
            yield self.stop
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _command_name() -> str:
    context = click.get_current_context(silent=True)
    if context:
        return context.info_name or "migrate"
    return "migrate"


def utc_now() -> datetime:
    """The wall clock, as an aware time; used as a label only."""
    return datetime.now(UTC)


def find_project(start: Path) -> Path:
    """The project file of the folder `start`, or else of the nearest folder above it that has one.

    Relative to `start` where it is there or nowhere, so that messages stay short. A file above that belongs to
    another user is passed over: whoever may write to a shared folder must not decide where keys are sent.
    """
    for folder in start.parents if not (start / PROJECT_FILE).exists() else ():
        file = folder / PROJECT_FILE
        with contextlib.suppress(OSError):
            if file.is_file() and file.stat().st_uid in {_user(), 0}:
                return file
    return Path(PROJECT_FILE)


def _user() -> int:
    # Windows knows no user numbers; its files are all of user 0.
    return os.geteuid() if hasattr(os, "geteuid") else 0


def _set_project(context: click.Context, _option: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    app = context.ensure_object(App)
    named = Path(value)
    app.project_file = named / PROJECT_FILE if named.is_dir() else named
    app.names_project = True


def _set_flag(name: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def set_flag(context: click.Context, _option: click.Parameter, value: bool) -> None:
        if value:
            setattr(context.ensure_object(App), name, True)

    return set_flag


def global_options() -> list[click.Option]:
    """The options that stand before or after any command's name."""
    return [
        click.Option(
            ["--project"],
            metavar="FILE|FOLDER",
            type=UserPath(),
            expose_value=False,
            callback=_set_project,
            help="The project file [migrate.toml here or above].",
        ),
        click.Option(
            ["--json", "as_json"],
            is_flag=True,
            expose_value=False,
            callback=_set_flag("as_json"),
            help="Print one JSON object on stdout at the end.",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_set_flag("quiet"),
            help="No progress.",
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_set_flag("verbose"),
            help="Log every request (never a key) to the workspace's log.",
        ),
    ]


def target_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option that takes another set of datasets than that of [octolis]."""
    text = "Another set of datasets: [targets.NAME] in migrate.toml [that of octolis]."
    return click.option("--target", metavar="NAME", help=text)(function)


def unlock_option() -> click.Option:
    """The option of every command that may find a lock in the workspace."""
    return click.Option(
        ["--force-unlock"],
        is_flag=True,
        expose_value=False,
        callback=_set_flag("force_unlock"),
        help="Break a lock that a process on another host, or a container that is gone, left behind.",
    )


class _WithExamples(click.Command):
    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples as they are, one command a line."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"  {example}\n")
        super().format_epilog(ctx, formatter)


class Command(_WithExamples):
    """A command that also takes the global options, shows its examples, and offers names to the shell."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(global_options())
        if self.name not in _WITHOUT_PROJECT:
            self.params.append(unlock_option())
        offer_names(self.params)


class CommandGroup(_WithExamples, click.Group):
    """A group of commands that shows its examples."""


def command(name: str, *examples: str) -> Callable[[Callable[..., Any]], Command]:
    """A decorator that makes a function one of the tool's commands."""

    def decorate(function: Callable[..., Any]) -> Command:
        return click.command(name, cls=Command, examples=examples)(function)

    return decorate


def group(name: str, *examples: str) -> Callable[[Callable[..., Any]], CommandGroup]:
    """A decorator that makes a function a group of the tool's commands."""

    def decorate(function: Callable[..., Any]) -> CommandGroup:
        names = {"help_option_names": ["-h", "--help"]}
        return click.group(name, cls=CommandGroup, examples=examples, context_settings=names)(
            function
        )

    return decorate


def pass_app(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives the command's function the App as its first argument; the options that click keeps on it stay."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(click.get_current_context().ensure_object(App), *args, **kwargs)

    return call


def wants_json(arguments: list[str]) -> bool:
    """True when --json stands among the arguments, also where click could not read them."""
    return "--json" in arguments
