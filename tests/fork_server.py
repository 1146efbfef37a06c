"""The server of `tests/forked.py`: imports the tool once, then forks a child for each program it is asked for."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import socket
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]
STREAMS = 3
"""File descriptors that come with a request: stdout, stderr, and where its number and its exit code go."""


def import_all() -> None:
    """Imports every module of the tool. None may start a thread of Python's, or a fork would be unsafe."""
    import migrate

    for module in pkgutil.walk_packages(migrate.__path__, "migrate."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    read_shipped_mappings()


def read_shipped_mappings() -> None:
    """Reads the YAML that nearly every command begins with; what is read once, `read_yaml` remembers by its text."""
    from migrate.language.yaml_text import read_yaml
    from migrate.project import shipped_mappings

    for file in sorted(shipped_mappings().glob("*.yaml")):
        read_yaml(file.read_bytes())


def listen(requests: socket.socket, most_bytes: int) -> dict[str, Any]:
    """Forks for each request, and ends this process when nobody can ask any more. Returns in a child: its request."""
    while True:
        reap()
        message, streams, _flags, _address = socket.recv_fds(requests, most_bytes, STREAMS)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            requests.close()
            return attend(json.loads(message), streams)
        for stream in streams:
            os.close(stream)


def reap() -> None:
    """Takes leave of the children that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def attend(request: dict[str, Any], streams: list[int]) -> dict[str, Any]:
    """Forks the program, tells its number, and its exit code when it has ended. Returns in the program: its request.

    Only a parent can learn how a process ended, and the server must not wait.
    """
    stdout, stderr, ends = streams
    program = os.fork()
    if program == 0:
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        for stream in streams:
            os.close(stream)
        return request
    os.close(stdout)
    os.close(stderr)
    os.write(ends, f"{program}\n".encode())
    _, status = os.waitpid(program, 0)
    os.write(ends, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def run(request: dict[str, Any]) -> NoReturn:
    """Runs the program to its end. Its modules are not taken down one by one: that would copy all that is shared."""
    code: object = 1
    try:
        become(request)
        code = 0
    except SystemExit as left:
        code = left.code or 0
    except BaseException:  # noqa: BLE001  as Python shows it, whatever it is
        sys.excepthook(*sys.exc_info())
    if not isinstance(code, int):
        sys.stderr.write(f"{code}\n")
        code = 1
    threading._shutdown()  # waits for threads and pools, as any Python does at its end
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def become(request: dict[str, Any]) -> None:
    """Runs what `python` with these arguments would."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environ"])
    arguments = request["arguments"]
    if arguments[0] == "-m":
        sys.path[0] = request["folder"]
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(arguments[0]).parent)
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    import_all()
    gc.freeze()  # looking for garbage would copy every page that the children share
    run(listen(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
