"""`migrate sandbox`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app
from migrate.privacy.secrets import (
    SANDBOX_CONTROL_NAME,
    SOURCE_NAME,
    TARGET_NAME,
    SandboxKeys,
    read_sandbox_keys,
)

_READY = """\
Both services are up on this machine. In another terminal, in your project's folder:

  migrate.toml   [datatrics]  base_url = "{datatrics}"   project_id = "{project}"
                 [octolis]    base_url = "{octolis}"{speed}
  environment    DATATRICS_API_KEY={datatrics_key}
                 OCTOLIS_API_KEYS={octolis_keys}
  datasets       {datasets}

Documents: {url}/openapi.json    What is in it: {url}/_sandbox/state
Both want the header  x-sandbox-token: {control_token}

Keys and token are new with each start and open everything in it. To keep them, set DATATRICS_API_KEY, OCTOLIS_API_KEYS
and SANDBOX_TOKEN in the environment or in .env beside migrate.toml. Ctrl-C ends it."""
_KEY_FACTS = {
    "datatrics_key": SOURCE_NAME,
    "octolis_keys": TARGET_NAME,
    "control_token": SANDBOX_CONTROL_NAME,
}
_AS_SET = "(as set)"


@command(
    "sandbox",
    "migrate sandbox",
    "migrate sandbox --db rehearsal.sqlite --speed 20",
    "migrate sandbox --fault datatrics:500@every=7 --fault octolis:reset-after@p=0.05",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option(
    "--port",
    default=8720,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0 takes any free port.",
)
@click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the state in this SQLite file.",
)
@click.option(
    "--mappings",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Declare the datasets of these mapping files [the shipped ones].",
)
@click.option(
    "--datasets",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Declare datasets in a TOML file: keys, mandatory, protected, defaults, recipes.",
)
@click.option(
    "--project-id", default="demo", show_default=True, help="The Datatrics project; * takes any."
)
@click.option(
    "--keys",
    "key_count",
    default=1,
    show_default=True,
    type=click.IntRange(1, 100),
    help="How many Octolis keys it makes.",
)
@click.option(
    "--limits",
    type=click.Choice(["on", "off"]),
    default="on",
    show_default=True,
    help="The points rule.",
)
@click.option(
    "--speed",
    default=1.0,
    type=click.FloatRange(min=0.01),
    help="Make the limits' windows this much shorter [1].",
)
@click.option(
    "--windows",
    type=click.Choice(["first-use", "clock"]),
    default="first-use",
    show_default=True,
    help="Where the limits' windows begin: at a first request, or on the clock.",
)
@click.option(
    "--latency", default=0.0, type=click.FloatRange(min=0), help="Seconds added to every answer."
)
@click.option(
    "--preparation",
    default=0.0,
    type=click.FloatRange(min=0),
    help="Seconds until a write can be read.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="SIDE:KIND[@WHEN]",
    help="A fault to inject; see docs/sandbox.md.",
)
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
@click.option("--seed", default=0, type=int, help="Makes the faults repeatable.")
@pass_app
def sandbox(  # noqa: PLR0913, PLR0917  # one parameter per option
    app: App,
    host: str,
    port: int,
    db: Path | None,
    mappings: Path | None,
    datasets: Path | None,
    project_id: str,
    key_count: int,
    limits: str,
    speed: float,
    windows: str,
    latency: float,
    preparation: float,
    faults: tuple[str, ...],
    seed: int,
    until_stdin_closes: bool,
) -> None:
    """Run Datatrics v2 and the Octolis Data API on this machine, for rehearsals and tests.

    Written from the services' documents: what they forbid, it refuses. It begins empty: feed the source through its
    documented POST calls. Datasets are those of the mapping files; a dataset's id is its logical name. Only programs on
    this machine that have its keys get an answer, and no web page does.
    """
    from migrate.project import shipped_mappings
    from migrate.sandbox.declare import declare
    from migrate.sandbox.faults import parse_fault
    from migrate.sandbox.limits import Limits
    from migrate.sandbox.serve import SandboxSettings, serve

    keys = read_sandbox_keys(app.project_file.absolute().parent / ".env", os.environ, key_count)
    settings = SandboxSettings(
        host=host,
        port=port,
        db=db,
        mappings=mappings or (None if datasets else shipped_mappings()),
        datasets=datasets,
        project_id=project_id,
        datatrics_key=keys.datatrics,
        octolis_keys=keys.octolis,
        control_token=keys.control,
        limits=Limits(enforce=limits == "on", speed=speed, windows=windows),
        latency_s=latency,
        preparation_s=preparation,
        faults=tuple(parse_fault(text) for text in faults),
        seed=seed,
    )

    def on_ready(url: str) -> None:
        facts = {
            "url": url,
            "datatrics": f"{url}/2.0",
            "octolis": f"{url}/v1/data",
            "project": settings.project_id,
            **{fact: _shown(name, keys) for fact, name in _KEY_FACTS.items()},
            "datasets": ", ".join(
                dataset.id for dataset in declare(settings.mappings, settings.datasets).datasets
            ),
        }
        if app.as_json:
            click.echo(
                json.dumps({"command": "sandbox", "exit_code": 0, "status": "ready", **facts})
            )
            return
        note = f"   limit_speed = {speed:g}" if speed != 1 else ""
        click.echo(_READY.format(**facts, speed=note))

    if until_stdin_closes:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    serve(settings, on_ready)
    if not app.as_json:
        app.finish(
            CommandOutcome(
                "sandbox", "The sandbox has ended." + (f" Its state is in {db}." if db else "")
            )
        )


def _shown(name: str, keys: SandboxKeys) -> str:
    # A key that was set may be the real service's, whoever mistook one shell for the other.
    return _AS_SET if name in keys.given else keys.environ()[name]


def _end_with_stdin() -> None:
    # So that the sandbox of a demo ends with the demo, however that ends.
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
