"""No key in anything the tool writes, with debug logging, on success and on every kind of failure."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import httpx
import pytest

from migrate.cli.main import cli
from migrate.net.http import NoReplyError, Remote
from tests.harness import SOURCE_KEY, TARGET_KEY, Done, Project

MakeProject = Callable[..., Project]
WRONG_KEY = "wrong-key-canary-77"
KEYS = tuple(key.encode() for key in (SOURCE_KEY, TARGET_KEY, WRONG_KEY))
FAULTS = {
    "refused": ("octolis:403@path=*batch*",),
    "server errors": ("datatrics:500@every=3,times=4", "octolis:502@every=3,times=4,body=html"),
    "cut connections": ("datatrics:cut@every=3,times=3", "octolis:reset-after@every=3,times=3"),
    "broken answers": (
        "datatrics:truncated-json@every=4,times=2",
        "octolis:html200@every=4,times=2",
    ),
    "redirects": ("octolis:redirect=http://127.0.0.1:9/elsewhere@path=*count*",),
}
ARGUMENTS = {
    "inspect": "--html inspection.html",
    "mapping check": "--no-snapshot",
    "mapping new": "sales --out new.yaml",
    "mapping preview": "mappings/contacts.yaml",
    "diff": "--html diff.html",
    "rejects discard": "--reason e --note x",
    "rejects show": "--show-values",
    "reconcile": "--deep",
    "trace": "profiles 1 --show-values",
    "undo": "plan",
    "purge": "--dry-run",
    "sandbox": "--port 0 --until-stdin-closes",
    "completion": "bash",
    "init": "another",
}
ORDER = ("check", "extract", "inspect", "mapping", "plan", "diff", "load")
"""Commands that others need to have run before; the rest follows in any order."""
NOT_RUN = {"demo": "it makes keys of its own and asks for nobody's"}


def leaves(command: click.Group, prefix: str = "") -> Iterator[str]:
    """The names of all commands that do something."""
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if isinstance(found, click.Group):
            yield from leaves(found, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


def texts_of(project: Project, runs: dict[str, Done]) -> dict[str, bytes]:
    """Everything that was printed or written, by name."""
    found = {str(path): path.read_bytes() for path in project.folder.rglob("*") if path.is_file()}
    for name, done in runs.items():
        found |= {
            f"stdout of {name}": done.stdout.encode(),
            f"stderr of {name}": done.stderr.encode(),
        }
    return found


def with_keys(texts: dict[str, bytes]) -> list[str]:
    """The names of the texts that hold a key."""
    return [name for name, text in texts.items() if any(key in text for key in KEYS)]


def test_every_command(make_project: MakeProject) -> None:
    """With -v, one after another: no key in any file, log, ledger, report, bundle or message; no command crashes."""
    project = make_project()
    names = [name for name in leaves(cli) if name not in NOT_RUN]
    first = [name for start in ORDER for name in names if name.split()[0] == start]
    runs = {name: Done(0, "", "") for name in first + [name for name in names if name not in first]}
    for name in runs:
        runs[name] = project.run(*name.split(), *shlex.split(ARGUMENTS.get(name, "")), "-v")
    texts = texts_of(project, runs)
    assert with_keys(texts) == []
    log = b"".join(
        text
        for name, text in texts.items()
        if Path(name).suffix == ".jsonl" and "log" in Path(name).parts
    )
    assert b"GET Datatrics" in log
    assert b"POST Octolis" in log
    assert [name for name, text in texts.items() if b"Traceback" in text] == []
    assert {name: done for name, done in runs.items() if done.code == 1} == {}


def test_every_kind_of_failure(make_project: MakeProject) -> None:
    """The services fail in every way, keys are wrong, nobody is there: the canary keys are written nowhere."""
    project = make_project()
    project.write(datasets='categories = "categories"\nproducts = "products"')
    runs = {}
    for name, faults in FAULTS.items():
        project.set_faults(faults)
        runs[f"check, {name}"] = project.run("check", "-v")
        runs[f"run, {name}"] = project.run("run", "-v", "--json")
    project.set_faults(())
    wrong = {"DATATRICS_API_KEY": WRONG_KEY, "OCTOLIS_API_KEYS": f"{WRONG_KEY},{WRONG_KEY}-2"}
    runs["wrong keys"] = project.run("check", "-v", **wrong)
    runs["wrong source key"] = project.run("extract", "-v", "--snapshot", "new", **wrong)
    runs["no such header"] = project.run("check", "-v", DATATRICS_API_KEY=f"{WRONG_KEY} ü")
    project.write(
        source_url='"https://no-such-host.invalid/2.0"',
        target_url='"http://127.0.0.1:9/v1"',
        octolis="retry_budget_s = 1",
    )
    runs["nobody there"] = project.run("check", "-v")
    (project.folder / "migration" / "ledger.sqlite").write_bytes(b"broken" * 100)
    runs["broken ledger"] = project.run("status", "-v")
    assert {name: done for name, done in runs.items() if done.code in (1, 2)} == {}
    assert {runs[name].code for name in ("wrong keys", "nobody there")} == {4}
    texts = texts_of(project, runs)
    assert with_keys(texts) == []
    assert [name for name, text in texts.items() if b"Traceback" in text] == []


def test_an_id_that_is_an_email_address_is_not_in_the_log(make_project: MakeProject) -> None:
    """A record is asked for by its id: found, in several sources, unknown; nothing of that is in a file of the log."""
    project = make_project(feeding=False)
    email = "jan.canary@example.org"
    for source in ("shop", "till"):
        profile = {
            "profileid": email,
            "source": source,
            "profile": {"email": email, "created": "2020-01-01 00:00:00"},
        }
        httpx.post(
            f"{project.sandbox.url}/2.0/project/demo/profile/bulk",
            json={"profiles": [profile]},
            headers={"x-apikey": SOURCE_KEY},
        ).raise_for_status()
    assert project.run("extract", "profiles", "-q").code == 0
    assert project.run("plan", "contacts", "-q", "--offline").code in (0, 3)
    assert project.run("trace", "profiles", email, "--source", "shop", "-v").code == 0
    several = project.run("trace", "profiles", email)
    assert (several.code, "several sources have profiles" in several.stderr) == (2, True)
    unknown = project.run("trace", "profiles", f"un{email}", "--source", "shop", "-v")
    assert (unknown.code, "profiles of this id" in unknown.stderr) == (2, True)
    assert email not in unknown.stderr
    logs = b"".join(file.read_bytes() for file in (project.folder / "migration" / "log").iterdir())
    assert b"profile/***" in logs
    assert b"canary@" not in logs
    assert b"canary%40" not in logs


BUG = """
import sys
from migrate.cli.main import main
from migrate.target.client import TargetClient

def count(self, *arguments):
    inner = vars(self._remote), vars(self._remote._client)
    raise RuntimeError(f"a bug: {self!r} {vars(self)!r} {inner!r} {self._keys}")

TargetClient.count = count
sys.argv[1:] = ["check", "-v"]
main()
"""


def test_a_bug_with_everything_in_its_message(make_project: MakeProject) -> None:
    """A traceback that shows the client and all it holds shows no key, on the screen and in the log; exit code 1."""
    project = make_project(feeding=False)
    environ = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
    done = subprocess.run(
        [sys.executable, "-c", BUG],
        cwd=project.folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
    )
    texts = texts_of(project, {"bug": Done(done.returncode, done.stdout, done.stderr)})
    assert done.returncode == 1
    assert with_keys(texts) == []
    assert "RuntimeError: a bug: <migrate.target.client.TargetClient" in done.stderr
    assert any(
        b"RuntimeError: a bug" in text
        for name, text in texts.items()
        if Path(name).suffix == ".jsonl"
    )


def test_a_request_that_fails_has_never_held_the_key() -> None:
    """Not the error, what led to it, the request it carries, nor a traceback with all local variables."""

    def authorize(request: httpx.Request) -> None:
        request.headers["x-apikey"] = SOURCE_KEY
        request.url = request.url.copy_merge_params({"api-key": TARGET_KEY})

    remote = Remote(
        "X", "http://127.0.0.1:9/v1", authorize=authorize, headers={}, connections=1, deadline_s=5
    )
    try:
        remote.send("GET", "/records", params={"page": 1})
    except NoReplyError as error:
        shown = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
        context = error.__context__
        assert isinstance(context, httpx.HTTPError)
        request = context.request
        shown += f"{error!r} {error.args} {context!r} {context.args} {request!r} {request.url} {request.headers.raw}"
        assert "/records" in shown
        assert SOURCE_KEY not in shown
        assert TARGET_KEY not in shown
    else:
        pytest.fail("something answers at port 9")
    finally:
        remote.close()


def test_files_are_for_their_owner_only(make_project: MakeProject) -> None:
    """Everything in the workspace is 0600 or 0700: it holds personal data."""
    project = make_project()
    assert project.run("run", "-q").code == 3
    paths = list((project.folder / "migration").rglob("*"))
    assert len(paths) > 20
    assert [str(path) for path in paths if path.stat().st_mode & 0o077] == []
