"""`migrate sandbox`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app
from migrate.cli.streams import say
from migrate.cli.user_path import UserPath

if TYPE_CHECKING:
    from migrate.privacy.secrets import SandboxKeys
    from migrate.sandbox.serve import Sandbox, SandboxSettings

_READY = """\
Both services are up on this machine{fed}. Ctrl-C ends them.
{how}
Documents:     {url}/openapi.json
What is in it: {url}/_sandbox/state
Both want the header  x-sandbox-token: {control_token}"""
_IN_PROJECT = """
{project_file} points to them. In another terminal, in this folder: migrate run
"""
# What stands here is TOML and a .env file as they are, to be pasted.
_ELSEWHERE = """
A project for them is made by `migrate init DIR --sandbox`; or paste this into a migrate.toml:

[datatrics]
base_url = "{datatrics}"
project_id = "{project_id}"

[octolis]
base_url = "{octolis}"
limit_speed = {speed:g}

[octolis.datasets]
{datasets}

and this into .env beside it (chmod 600 .env):

DATATRICS_API_KEY={datatrics_key}
OCTOLIS_API_KEYS={octolis_keys}
SANDBOX_TOKEN={control_token}

Keys and token are new with each start, unless they are set in the environment or in such a .env.
"""
_SFTP = """
Files are taken by SFTP and imported: migrate load --sftp {sftp}
For that, set in migrate.toml:

[octolis.files]
host_key = "{host_key}"
key_file = "{key_file}"
"""
_KEY_FACTS = {
    "datatrics_key": "DATATRICS_API_KEY",
    "octolis_keys": "OCTOLIS_API_KEYS",
    "control_token": "SANDBOX_TOKEN",
}
_AS_SET = "(as set)"
_USUAL_PORT = 8720


@command(
    "sandbox",
    "migrate sandbox",
    "migrate sandbox --feed demo",
    "migrate sandbox --feed saved-files --speed 20",
    "migrate sandbox --db rehearsal.sqlite --speed 20",
    "migrate sandbox --fault datatrics:500@every=7 --fault octolis:reset-after@p=0.05",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="0 takes any free port [8720, or that of the project's addresses].",
)
@click.option(
    "--feed",
    "feed_with",
    metavar="demo|DIR|SNAPSHOT",
    help="Fill the source: made-up data, a folder of files saved from the API, or a snapshot.",
)
@click.option(
    "--db",
    type=UserPath(dir_okay=False, path_type=Path),
    help="Keep the state in this SQLite file.",
)
@click.option(
    "--mappings",
    type=UserPath(file_okay=False, exists=True, path_type=Path),
    help="Declare the datasets of these mapping files [the project's, or the shipped ones].",
)
@click.option(
    "--datasets",
    type=UserPath(dir_okay=False, exists=True, path_type=Path),
    help="Declare datasets in a TOML file: keys, mandatory, protected, defaults, recipes.",
)
@click.option("--project-id", help="The Datatrics project; * takes any [the project's, or demo].")
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
    type=click.FloatRange(min=0.01),
    help="Make the limits' windows this much shorter [the project's limit_speed, or 1].",
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
@click.option(
    "--reading",
    "readings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Read what the documents leave open another way; see docs/sandbox.md.",
)
@click.option(
    "--sftp",
    type=UserPath(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Take files by SFTP as well, and import them; this folder gets the key that logs in.",
)
@click.option(
    "--sftp-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Where; 0 takes any free port.",
)
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
@click.option("--seed", default=0, type=int, help="Makes the faults repeatable.")
@pass_app
def sandbox(  # noqa: PLR0913, PLR0917  # one parameter per option
    app: App,
    host: str,
    port: int | None,
    feed_with: str | None,
    db: Path | None,
    mappings: Path | None,
    datasets: Path | None,
    project_id: str | None,
    key_count: int,
    limits: str,
    speed: float | None,
    windows: str,
    latency: float,
    preparation: float,
    faults: tuple[str, ...],
    readings: tuple[str, ...],
    seed: int,
    sftp: Path | None,
    sftp_port: int,
    until_stdin_closes: bool,
) -> None:
    """Run Datatrics v2 and the Octolis Data API on this machine, for rehearsals and tests.

    Written from the services' documents: what they forbid, it refuses. It begins empty, or with what --feed names; the
    documented POST calls feed it, too. Datasets are those of the mapping files; a dataset's id is its logical name.
    Only programs on this machine that have its keys get an answer, and no web page does.

    In a project whose addresses are on this machine (`migrate init --sandbox`) it takes port, project id, mappings,
    keys and the limits' speed from there.
    """
    from migrate.privacy.secrets import read_sandbox_keys
    from migrate.sandbox.declare import parse_readings
    from migrate.sandbox.faults import parse_fault
    from migrate.sandbox.limits import Limits
    from migrate.sandbox.serve import SandboxSettings, serve

    home = _read_home(app)
    keys = read_sandbox_keys(app.project_file.absolute().parent / ".env", os.environ, key_count)
    speed = home.speed if speed is None else speed
    # A file of datasets declares all there is: nothing of the project's own is added to it.
    usual_mappings = None if datasets else home.mappings
    settings = SandboxSettings(
        host=host,
        port=home.port if port is None else port,
        db=db,
        mappings=mappings or usual_mappings,
        datasets=datasets,
        project_id=project_id or home.project_id,
        datatrics_key=keys.datatrics,
        octolis_keys=keys.octolis,
        control_token=keys.control,
        limits=Limits(enforce=limits == "on", speed=speed, windows=windows),
        latency_s=latency,
        preparation_s=preparation,
        faults=tuple(parse_fault(text) for text in faults),
        readings=parse_readings(readings) if readings else None,
        seed=seed,
        sftp=None if sftp is None else sftp.absolute(),
        sftp_port=sftp_port,
        copies={} if datasets else home.copies,
        is_open=not feed_with,
    )

    def on_ready(running: Sandbox) -> None:
        url = running.url
        if until_stdin_closes:
            # Not before: what closes at once would end it by a signal that nothing takes yet.
            threading.Thread(target=_end_with_stdin, daemon=True).start()
        if feed_with:
            fed = _feed(app, settings, url, feed_with, home.snapshots)
            running.open()
        else:
            fed = {}
        facts = {
            "url": url,
            "datatrics": f"{url}/2.0",
            "octolis": f"{url}/v1/data",
            "project": settings.project_id,
            **{fact: _shown(name, keys) for fact, name in _KEY_FACTS.items()},
            "datasets": ", ".join(_dataset_ids(settings)),
            **_sftp_facts(running),
        }
        if app.as_json:
            head = {"command": "sandbox", "exit_code": 0, "status": "ready"}
            click.echo(json.dumps({**head, **facts, "fed": fed}))
            return
        say(_say_ready(facts, settings, home, fed))
        if running.sftp is not None:
            say(_SFTP.format(**facts))

    serve(settings, on_ready, app.stop)
    if not app.as_json:
        kept = f" Its state is in {db}." if db else ""
        app.finish(CommandOutcome("sandbox", f"The sandbox has ended.{kept}"))


def _sftp_facts(running: Sandbox) -> dict[str, str]:
    """Where files are taken and how, where they are."""
    if running.sftp is None:
        return {}
    address = running.sftp
    return {"sftp": address.url, "host_key": address.host_key, "key_file": str(address.key_file)}


@dataclass(frozen=True)
class _Home:
    """What a sandbox takes from the project it is started in; `project_file`: None for one that is not made for it.

    `copies`: the datasets of its other targets by id, and which dataset each is like.
    """

    port: int
    project_id: str
    mappings: Path
    speed: float
    snapshots: Path | None = None
    project_file: Path | None = None
    copies: Mapping[str, str] = field(default_factory=dict)


def _read_home(app: App) -> _Home:
    from urllib.parse import urlsplit

    from migrate.config_values import LOOPBACK
    from migrate.project import shipped_mappings

    if not app.project_file.exists():
        return _Home(_USUAL_PORT, "demo", shipped_mappings(), 1.0)
    project = app.open_project()
    snapshots = project.workspace / "snapshots"
    addresses = [urlsplit(part.base_url) for part in (project.datatrics, project.octolis)]
    if any(address.hostname not in LOOPBACK for address in addresses):
        # The project of a real migration: nothing of it is this sandbox's, but its snapshots may be fed.
        return _Home(_USUAL_PORT, "demo", shipped_mappings(), 1.0, snapshots)
    copies: dict[str, str] = {}
    for target in project.targets.values():
        # A target at another address is another account, which this sandbox does not play.
        if target.base_url in (None, project.octolis.base_url):
            copies |= {id_: name for name, id_ in target.datasets.items()}
    return _Home(
        port=addresses[0].port or _USUAL_PORT,
        project_id=project.datatrics.project_id,
        mappings=project.mappings,
        speed=project.octolis.limit_speed,
        snapshots=snapshots,
        project_file=project.file,
        copies=copies,
    )


def _feed(
    app: App, settings: SandboxSettings, url: str, what: str, snapshots: Path | None
) -> dict[str, int]:
    from pydantic import SecretStr

    from migrate.app.sandbox_feed import SandboxAddress, feed_sandbox
    from migrate.cli.app import utc_now

    address = SandboxAddress(
        url=url,
        project_id="demo" if settings.project_id == "*" else settings.project_id,
        key=SecretStr(settings.datatrics_key),
        control_token=SecretStr(settings.control_token or ""),
    )
    return feed_sandbox(address, what, snapshots, app.progress(), app.stop, utc_now)


def _dataset_ids(settings: SandboxSettings) -> list[str]:
    from migrate.sandbox.serve import account_of

    return [spec.id for spec in account_of(settings).datasets if spec.id not in settings.copies]


def _say_ready(
    facts: Mapping[str, str], settings: SandboxSettings, home: _Home, fed: Mapping[str, int]
) -> str:
    records = ", ".join(f"{resource} ({count:,})" for resource, count in fed.items())
    # With another --port the project points elsewhere, and needs the addresses spelt out.
    is_home = home.project_file is not None and facts["url"].endswith(f":{home.port}")
    how = (_IN_PROJECT if is_home else _ELSEWHERE).format(
        **{name: value for name, value in facts.items() if name != "datasets"},
        project_file=home.project_file,
        project_id="demo" if settings.project_id == "*" else settings.project_id,
        speed=settings.limits.speed,
        datasets="\n".join(
            f"{json.dumps(name)} = {json.dumps(name)}" for name in _dataset_ids(settings)
        ),
    )
    return _READY.format(**facts, fed=f", with {records}" if records else "", how=how)


def _shown(name: str, keys: SandboxKeys) -> str:
    # A key that was set may be the real service's, whoever mistook one shell for the other.
    return _AS_SET if name in keys.given else keys.environ()[name]


def _end_with_stdin() -> None:
    # So that the sandbox of a demo ends with the demo, however that ends.
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
