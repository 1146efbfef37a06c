"""Python programs of ours as processes of their own, forked from one that has imported all they need.

Most of a short command's time is importing: two thirds of a second each, for hundreds of commands. Here a server
imports everything once and forks a child for each command. The child is a real process: it has its own memory, folder,
environment, streams, signals and exit code. What hangs on how Python itself starts (its own variables, the encoding of
its streams, what is imported when) needs a Python that was started: there, `subprocess` is used.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TypeAlias

CAN_FORK = sys.platform == "linux"
_READ_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "POLARS_", "RAYON_")
_MOST_BYTES = 160_000
_PROGRAM = Path(__file__).with_name("fork_server.py")
_lock = threading.Lock()


class Command:
    """A running program, in the words of `subprocess.Popen`; its output is text."""

    def __init__(self, stdout: IO[str], stderr: IO[str], ends: IO[str]) -> None:
        self.stdout, self.stderr = stdout, stderr
        self.returncode: int | None = None
        self._ends = ends  # a line with the number of the process, and one with its exit code when it has ended
        self.pid = int(ends.readline())

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        if self.returncode is None and select.select([self._ends], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended; of one killed by a signal the negative number of the signal."""
        if self.returncode is None:
            if not select.select([self._ends], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("migrate", timeout or 0)
            self.returncode = int(self._ends.readline())
            self._ends.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that it printed, once it has ended."""
        printed = {"stdout": "", "stderr": ""}

        def read(name: str, stream: IO[str]) -> None:
            printed[name] = stream.read()

        readers = [
            threading.Thread(target=read, args=(name, getattr(self, name)), daemon=True)
            for name in printed
        ]
        ends_at = None if timeout is None else time.monotonic() + timeout
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(None if ends_at is None else max(0, ends_at - time.monotonic()))
        self.wait(None if ends_at is None else max(0, ends_at - time.monotonic()))
        for stream in (self.stdout, self.stderr):
            stream.close()
        return printed["stdout"], printed["stderr"]

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it."""
        self.send_signal(signal.SIGKILL)


Process: TypeAlias = Command | subprocess.Popen[str]


def start(arguments: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Process:
    """Starts Python with these arguments: `-m` and a module, or the path of a program, and what it is given."""
    is_plain = all(
        os.environ.get(name) == environ.get(name)
        for name in {*os.environ, *environ}
        if name.startswith(_READ_AT_START)
    )
    request = json.dumps({"arguments": arguments, "folder": str(folder), "environ": dict(environ)})
    if not (CAN_FORK and is_plain) or len(request) > _MOST_BYTES:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=environ,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    ours, theirs = zip(*(os.pipe() for _ in range(3)), strict=True)
    with _lock:
        socket.send_fds(_server(), [request.encode()], list(theirs))
    for end in theirs:
        os.close(end)
    return Command(*(os.fdopen(end, encoding="utf-8") for end in ours))


def run(
    arguments: Sequence[str], folder: Path, environ: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """The same, waited for."""
    process = start(arguments, folder, environ)
    stdout, stderr = process.communicate(timeout=timeout_s)
    assert process.returncode is not None
    return subprocess.CompletedProcess(list(arguments), process.returncode, stdout, stderr)


def run_on_terminal(
    arguments: Sequence[str], folder: Path, environ: Mapping[str, str], terminal: int
) -> None:
    """The same with a terminal as its stdout and stderr, waited for."""
    if not CAN_FORK:
        command = [sys.executable, *arguments]
        streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
        subprocess.run(command, cwd=folder, env=environ, check=False, **streams)
        return
    ends, to_say = os.pipe()
    request = json.dumps({"arguments": arguments, "folder": str(folder), "environ": dict(environ)})
    with _lock:
        socket.send_fds(_server(), [request.encode()], [terminal, terminal, to_say])
    os.close(to_say)
    with os.fdopen(ends) as said:
        said.read()


@functools.cache
def _server() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _MOST_BYTES)
    command = [sys.executable, str(_PROGRAM), str(theirs.fileno()), str(_MOST_BYTES)]
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    theirs.close()
    atexit.register(_end, ours, process)
    return ours


def _end(server: socket.socket, process: subprocess.Popen[bytes]) -> None:
    server.close()
    process.wait()
