"""`migrate completion`."""

from __future__ import annotations

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app
from migrate.cli.complete import COMPLETION_VARIABLE


@command(
    "completion",
    "migrate completion bash > ~/.local/share/bash-completion/completions/migrate",
    "migrate completion zsh > ~/.zfunc/_migrate",
    "migrate completion fish > ~/.config/fish/completions/migrate.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="bash|zsh|fish")
@pass_app
def completion(app: App, shell: str) -> None:
    """Print the script that makes Tab complete commands, options and this project's names.

    Names are those of datasets, resources, snapshots and plans. The examples install it for good; for zsh the folder
    must be in fpath before compinit runs (fpath+=~/.zfunc). To try it in a running bash or zsh:

    source <(migrate completion bash)
    """
    from click.shell_completion import get_completion_class

    from migrate.cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} is not known here")
    script = kind(cli, {}, "migrate", COMPLETION_VARIABLE).source().strip()
    app.finish(
        CommandOutcome(command="completion", text=script, data={"shell": shell, "script": script})
    )
