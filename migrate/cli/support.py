"""`migrate support`."""

from __future__ import annotations

from pathlib import Path

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app, utc_now
from migrate.cli.user_path import UserPath


@command("support", "migrate support", "migrate support --out for-the-vendor.zip")
@click.option(
    "--out",
    metavar="FILE",
    type=UserPath(dir_okay=False, path_type=Path),
    help="Where to write it [support-TIME.zip].",
)
@pass_app
def support(app: App, out: Path | None) -> None:
    """Pack logs and states into one file for whoever helps you from afar; nothing is sent.

    It holds versions, settings, counts of snapshots, plans and ledger, the last errors, the log, and the names, sizes
    and hashes of the workspace's files. No key is in it, and every word of a message that is not the tool's own is
    masked. Look into it before you send it: it is a zip of plain text.
    """
    from migrate.app.support.bundle import pack_support
    from migrate.privacy.written import note_written

    now = utc_now()
    project = app.open_project()
    workspace = app.open_workspace(project)
    file = out or Path(f"support-{now:%Y%m%d-%H%M%S}.zip")
    bundle = pack_support(project, workspace, file, now, app.progress())
    note_written(workspace.root, bundle.file, "migrate support")
    lines = [f"  {size:>11,}  {name}" for name, size in bundle.members.items()]
    app.finish(
        CommandOutcome(
            command="support",
            text="\n".join(
                [
                    f"Wrote {bundle.file}:",
                    *lines,
                    "",
                    "Nothing was sent. Look into it before you do.",
                ]
            ),
            data={"file": str(bundle.file), "members": dict(bundle.members)},
        )
    )
