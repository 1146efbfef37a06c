"""The `migrate` command: a list of command names, each loaded only when it is called.

Nothing here imports polars, httpx or pydantic, so that `--help` and shell completion answer at once.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import json
import logging
import os
import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from migrate import __version__
from migrate.cli.app import App, CommandGroup, global_options, wants_json
from migrate.cli.complete import COMPLETION_VARIABLE
from migrate.cli.registry import COMMANDS
from migrate.cli.streams import (
    end_bars,
    hold_standard_streams,
    prepare_streams,
    say_wrong_usage,
    wants_colour,
)
from migrate.errors import Damaged, GateError, Interrupted, MigrateError
from migrate.report.inert import inert_text

_STEPS = {"undo": ("plan", "run")}
"""Second words of commands that are no groups."""


def _load(name: str) -> click.Command | None:
    """The command of that name in the table; its module is imported now."""
    command = getattr(importlib.import_module(COMMANDS[name][0]), name)
    return command if isinstance(command, click.Command) else None


class LazyGroup(CommandGroup):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of a migration."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None where there is none of that name."""
        return _load(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command named by the first argument. Raises UsageError naming the nearest one where there is none."""
        if args and args[0] == "help":
            args = [*args[1:], "--help"]
            if len(args) == 1:
                click.echo(ctx.get_help(), color=ctx.color)
                ctx.exit()
        is_unknown = args and args[0] not in COMMANDS and not args[0].startswith("-")
        if is_unknown and not ctx.resilient_parsing:
            near = difflib.get_close_matches(args[0], [*COMMANDS, "help"], 1)
            ctx.fail(
                f"No such command {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else "")
            )
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin with what was typed, from the table, and the options."""
        items = [
            CompletionItem(name, help=text)
            for name, (_, text) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list from the table, without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_module, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    params=list(global_options()),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    examples=(
        "migrate demo",
        "migrate init acme-migration",
        "migrate --project acme-migration/migrate.toml status",
    ),
    epilog="First time here?  `migrate demo` shows a whole migration without any account.",
)
@click.version_option(__version__, "-V", "--version", prog_name="migrate")
@click.pass_context
def cli(context: click.Context) -> None:
    """Move a retailer's data from Datatrics v2 to Octolis: nothing lost, nothing invented, nothing silent.

    Without a command: where this migration stands and what is next; this help where there is none yet.
    """
    if context.invoked_subcommand is None:
        if context.ensure_object(App).project_file.exists():
            from migrate.cli.status import status

            context.invoke(status)
        click.echo(context.get_help())


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    # Snapshots, plans and the ledger hold personal data: nobody else on this machine shall read them.
    os.umask(0o077)
    hold_standard_streams()
    app = App(as_json=wants_json(sys.argv))
    prepare_streams(as_json=app.as_json)
    sys.exit(_offer(app) if os.environ.get(COMPLETION_VARIABLE) else _run(app))


def _offer(app: App) -> int:
    # The shell shows what comes back in the line that somebody is typing: whatever goes wrong, nothing is offered.
    with contextlib.suppress(Exception):
        cli.main(prog_name="migrate", standalone_mode=False, obj=app)
    return 0


def _run(app: App) -> int:
    exit_code = 1
    try:
        exit_code = _call(app)
    finally:
        end_bars()
        app.end_record(exit_code)
    return exit_code


def _call(app: App) -> int:
    arguments = sys.argv[1:]
    name = next((argument for argument in arguments if argument in COMMANDS), "migrate")
    try:
        result = cli.main(
            prog_name="migrate",
            standalone_mode=False,
            obj=app,
            color=None if wants_colour() else False,
        )
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        say_wrong_usage(error)
        if app.as_json:
            _print_usage_error(_whole_name(name, arguments), error)
        return error.exit_code
    except MigrateError as error:
        if isinstance(error, GateError):
            app.stopped_by = error.what
        return app.fail(_whole_name(name, arguments), error)
    except (click.Abort, KeyboardInterrupt):
        stopped = Interrupted("stopped at once", hint="give the same command again")
        return app.fail(_whole_name(name, arguments), stopped)
    except BaseException as error:
        if _is_unforeseen(error):
            damage = _explain(app, name, error)
        else:
            damage = None
        if damage is None:
            raise
        return app.fail(_whole_name(name, arguments), damage)
    return result if isinstance(result, int) else 0


def _whole_name(name: str, arguments: Sequence[str]) -> str:
    """The command as its result names it, `rejects list` for one: with its second word, where it has been given one."""
    if name == "migrate":
        return name
    command = _load(name)
    known = command.commands if isinstance(command, click.Group) else _STEPS.get(name, ())
    given = [argument for argument in arguments[arguments.index(name) + 1 :] if argument in known]
    return " ".join([name, *given[:1]])


def _is_unforeseen(error: BaseException) -> bool:
    """Whether it is an error of the program, or of polars', which gives up over odd bytes with what is no Exception."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _explain(app: App, name: str, error: BaseException) -> MigrateError | None:
    """The damaged file that an unforeseen error came from; None for a bug. The traceback is for the log."""
    if isinstance(error, RecursionError):
        # Nothing of the tool's own is nested deeper than a few dozen levels: somebody tampered with a file.
        logging.getLogger(__name__).exception("%s read something nested too deeply", name)
        what = (
            "a file of the workspace is nested deeper than this program reads: it was tampered with"
        )
        return Damaged(what, hint="migrate status --verbose; its log names the place")
    logging.getLogger(__name__).exception("%s ended with a bug", name)
    return _find_damage(app)


def _find_damage(app: App) -> MigrateError | None:
    if app.workspace is None:
        return None
    from migrate.app.damage import find_damage

    # Whatever goes wrong here, the bug is what its user should see.
    with contextlib.suppress(Exception):
        return find_damage(app.workspace)
    return None


def _print_usage_error(name: str, error: click.ClickException) -> None:
    summary = {
        "command": name,
        "exit_code": error.exit_code,
        "status": "error",
        "error": error.format_message(),
    }
    click.echo(inert_text(json.dumps(summary, ensure_ascii=False)))
