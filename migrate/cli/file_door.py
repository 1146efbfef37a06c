"""The options of `migrate load` that go through files instead of the API."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from migrate.cli.app import CommandOutcome
from migrate.cli.user_path import UserPath

if TYPE_CHECKING:
    from migrate.app.context import Context
    from migrate.app.file_door import HandedOver
    from migrate.app.upload import Uploaded
    from migrate.hours import SendingHours


@dataclass(frozen=True)
class FileDoor:
    """What of it is asked; nothing by default, and then a load goes by the API."""

    folder: Path | None = None
    form: str | None = None
    sftp: str | None = None
    limit: str | None = None
    settle: bool = False
    import_over: bool = False
    take_back: bool = False

    @property
    def is_asked(self) -> bool:
        """Whether the load is not by the API."""
        return bool(self.is_handover or self.settle or self.take_back)

    @property
    def is_handover(self) -> bool:
        """Whether rows are to become files."""
        return bool(self.folder or self.sftp)

    @property
    def asked_again(self) -> str:
        """The words of a command line that ask for the same."""
        given = (("--files", self.folder), ("--format", self.form), ("--sftp", self.sftp))
        words = [
            f" {option} {shlex.quote(str(value))}"
            for option, value in (*given, ("--limit", self.limit))
            if value
        ]
        words += [" --settle"] if self.settle else []
        words += [" --import-over"] if self.import_over else []
        words += [" --take-back"] if self.take_back else []
        return "".join(words)

    def check(self) -> None:
        """Raises click.UsageError for options that say nothing together."""
        if sum((self.is_handover, self.settle, self.take_back)) > 1:
            raise click.UsageError("--files, --settle and --take-back: one of them at a time.")
        if self.limit and not self.sftp:
            raise click.UsageError("--limit is of --sftp.")
        if self.import_over and not self.settle:
            raise click.UsageError("--import-over is said with --settle.")
        if self.form and not self.is_handover:
            raise click.UsageError("--format is of --files.")


@dataclass(frozen=True)
class Within:
    """When it may send, and how the command line says so."""

    hours: SendingHours
    options: str = ""


def file_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options; the command's function gets one `FileDoor` in their place, as `door`."""
    options = (
        click.option(
            "--files",
            "folder",
            type=UserPath(file_okay=False, path_type=Path),
            help="Write the rows as files into an empty folder, for the account's own import.",
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(["csv", "json"]),
            help="What files: [octolis.files] format, or csv.",
        ),
        click.option(
            "--sftp",
            metavar="sftp://USER@HOST/PATH",
            help="Upload the files, by a key of the agent or key_file in [octolis.files].",
        ),
        click.option("--limit", metavar="RATE", help="At most so many bytes a second, as 5MB."),
        click.option(
            "--settle",
            is_flag=True,
            help="After the import: read the target back; what is there as sent is written.",
        ),
        click.option(
            "--import-over",
            is_flag=True,
            help="With --settle: no file is imported any more, so the rest may go by the API.",
        ),
        click.option(
            "--take-back",
            is_flag=True,
            help="The files are never going to be imported: remove them, and load by the API.",
        ),
    )

    def call(*args: Any, **kwargs: Any) -> Any:
        names = ("folder", "form", "sftp", "limit", "settle", "import_over", "take_back")
        door = FileDoor(**{name: kwargs.pop(name) for name in names})
        door.check()
        return function(*args, door=door, **kwargs)

    call.__name__, call.__doc__ = function.__name__, function.__doc__
    # click keeps the options that stand below on the function itself
    call.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(options):
        option(call)
    return call


def go_by_files(
    context: Context,
    door: FileDoor,
    datasets: tuple[str, ...],
    name: str,
    within: Within,
    *,
    canary: int | None,
    confirm_merges: int | None,
) -> CommandOutcome:
    """What the command is for, where it is asked to go by files."""
    if door.settle:
        return _settle(context, door, datasets, name)
    if door.take_back:
        return _take_back(context, datasets, name)
    from migrate.app.file_door import HandOver, run_hand_over
    from migrate.app.hours import within_hours
    from migrate.report.file_door import render_handed_over, summarise_handed_over

    form: Any = door.form
    asked = HandOver(door.folder, form, canary, confirm_merges)
    # A wrong address is refused here, before rows become files and count as handed over.
    going = _upload_of(door)
    again = f"migrate load{door.asked_again}{within.options} --plan {name}"
    with within_hours(context, within.hours, name, again) as bounded:
        done = run_hand_over(bounded, datasets, name, asked)
        # Within the same hours: an upload that would end after them is stopped as the rest is.
        sent = going(bounded, done) if going is not None else None
    return CommandOutcome(
        command="load",
        text=render_handed_over(done, sent),
        data=summarise_handed_over(done, sent),
        status="handed over",
        next=f"migrate load --settle --plan {done.plan}",
    )


def _upload_of(door: FileDoor) -> Callable[[Context, HandedOver], Uploaded] | None:
    """What uploads the files, None where they are carried by hand. What is asked is read before anything is done."""
    if door.sftp is None:
        return None
    from migrate.app.upload import run_upload
    from migrate.net.sftp_place import parse_place, parse_rate

    place = parse_place(door.sftp)
    limit = parse_rate(door.limit) if door.limit else 0.0
    return lambda context, done: run_upload(context, done, place, limit)


def _settle(
    context: Context, door: FileDoor, datasets: tuple[str, ...], name: str
) -> CommandOutcome:
    from migrate.app.settle_files import run_settle
    from migrate.report.file_door import render_settled, summarise_settled

    done = run_settle(context, datasets, name, import_over=door.import_over)
    again = f"migrate load --settle --plan {done.plan}"
    following = f"migrate reconcile --deep --plan {done.plan}"
    if done.left:
        if done.released:
            following = f"migrate load --plan {done.plan}"
        else:
            following = again
    return CommandOutcome(
        command="load",
        text=render_settled(done),
        data=summarise_settled(done),
        exit_code=3 if done.left else 0,
        status="settled in part" if done.left else "settled",
        next=following,
    )


def _take_back(context: Context, datasets: tuple[str, ...], name: str) -> CommandOutcome:
    from migrate.app.settle_files import run_take_back
    from migrate.report.file_door import render_taken_back

    freed = run_take_back(context, datasets, name)
    return CommandOutcome(
        command="load",
        text=render_taken_back(name, freed),
        data={"plan": name, "freed": dict(freed)},
        status="taken back",
        next=f"migrate load --plan {name}",
    )
