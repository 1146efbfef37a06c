"""The account's SFTP source on loopback: one user, one key that is made anew with each start, one folder.

Written on asyncssh's server, which shares nothing with how the tool uploads. What lies in the folder is imported, see
`imports`. The user's key and the server's are random; the first is put into a file for whoever is to log in, readable
by this user only, as the API's keys are handed over.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migrate.errors import UsageError
from migrate.sandbox.faults import FaultBook

USER = "sandbox"
DROP, CLIENT_KEY, KNOWN_HOSTS = "drop", "client_key", "known_hosts"


@dataclass(frozen=True)
class SftpAddress:
    """Where files are taken, and how: the URL, the fingerprint of the server's key, the file with the user's."""

    url: str
    host_key: str
    key_file: Path
    known_hosts: Path


def start_sftp(
    home: Path, host: str, port: int, faults: FaultBook
) -> tuple[SftpAddress, Callable[[], None]]:
    """Serves the folder `drop` below `home`; the address, and what stops it. Raises UsageError without asyncssh."""
    try:
        # Here, since it comes with an extra that few installations have.
        import asyncssh
    except ImportError:
        raise UsageError(
            "the sandbox's SFTP needs the package asyncssh",
            hint="pip install 'migrate-datatrics-octolis[sftp]'",
        ) from None
    drop = home / DROP
    drop.mkdir(parents=True, exist_ok=True, mode=0o700)
    server_key = asyncssh.generate_private_key("ssh-ed25519")
    client_key = asyncssh.generate_private_key("ssh-ed25519")
    _write(home / CLIENT_KEY, client_key.export_private_key())
    server = _Server(asyncssh, server_key, client_key.convert_to_public(), drop, faults)
    listening_on = server.start(host, port)
    shown = f"[{host}]" if ":" in host else host
    line = f"[{host}]:{listening_on} ".encode() + server_key.export_public_key()
    _write(home / KNOWN_HOSTS, line)
    address = SftpAddress(
        f"sftp://{USER}@{shown}:{listening_on}/",
        server_key.convert_to_public().get_fingerprint(),
        home / CLIENT_KEY,
        home / KNOWN_HOSTS,
    )
    return address, server.stop


class _Server:
    """asyncssh's server on a loop and a thread of its own; the rest of the sandbox knows no asyncio."""

    def __init__(
        self, ssh: Any, server_key: Any, public_key: Any, drop: Path, faults: FaultBook
    ) -> None:
        self._ssh, self._server_key, self._public_key = ssh, server_key, public_key
        self._drop, self._faults = drop, faults
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._started: Future[int] = Future()
        self._logins: list[Any] = []
        self._thread: threading.Thread | None = None

    def start(self, host: str, port: int) -> int:
        """Begins to listen; the port. Raises UsageError where it is taken."""
        self._thread = threading.Thread(
            target=self._run, args=(host, port), name="sandbox-sftp", daemon=True
        )
        self._thread.start()
        try:
            return self._started.result()
        except OSError as error:
            raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}") from None

    def stop(self) -> None:
        """Ends it and every connection."""
        # An asyncio event may be set by its own loop's thread only.
        self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread is not None:
            self._thread.join()

    def _run(self, host: str, port: int) -> None:
        try:
            self._loop.run_until_complete(self._serve(host, port))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    async def _serve(self, host: str, port: int) -> None:
        try:
            server = await self._ssh.create_server(
                lambda: _login(self._ssh, self._public_key, self._logins),
                host,
                port,
                server_host_keys=[self._server_key],
                sftp_factory=lambda channel: _files(self._ssh, channel, self._drop, self._faults),
                # The help pages promise SFTP only.
                allow_scp=False,
            )
        except OSError as error:
            self._started.set_exception(error)
            return
        self._started.set_result(server.get_port())
        await self._stopping.wait()
        server.close()
        # Closing stops new logins only; one that stays open would hold the end up for ever.
        for connection in self._logins:
            connection.abort()
        await asyncio.gather(*(one.wait_closed() for one in self._logins), return_exceptions=True)
        await server.wait_closed()


def _write(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def _login(ssh: Any, public_key: Any, logins: list[Any]) -> Any:
    """Lets in the one user who has the one key. `logins` gets every connection."""

    class Login(ssh.SSHServer):  # type: ignore[misc]
        def connection_made(self, connection: Any) -> None:
            logins.append(connection)

        # True: nobody comes in without proving who he is.
        def begin_auth(self, _username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return False

        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: Any) -> bool:
            return username == USER and bool(key == public_key)

    return Login()


def _files(ssh: Any, channel: Any, drop: Path, faults: FaultBook) -> Any:
    """The folder, with what was ordered to go wrong. `path` of a fault is the name under which a file is written."""

    class Files(ssh.SFTPServer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(channel, chroot=os.fsencode(drop))
            self._bounds: dict[int, tuple[str, int]] = {}
            self._bytes: dict[int, int] = {}

        def open(self, path: bytes, pflags: int, attrs: Any) -> Any:
            if not pflags & ssh.FXF_WRITE:
                return super().open(path, pflags, attrs)
            name = os.path.basename(path).decode("utf-8", "replace")  # noqa: PTH119  bytes of the protocol
            fired = {f.kind: f.value for f in faults.fire("sftp", "WRITE", name)}
            if "denied" in fired:
                raise ssh.SFTPPermissionDenied("permission denied")
            opened = super().open(path, pflags, attrs)
            for kind in ("disconnect", "full"):
                if kind in fired:
                    self._bounds[id(opened)] = (kind, int(fired[kind] or 0))
            return opened

        def write(self, file_obj: Any, offset: int, data: bytes) -> int:
            kind, bound = self._bounds.get(id(file_obj), ("", 0))
            # Counted rather than read off the offset: a client may send blocks out of order.
            taken = self._bytes.get(id(file_obj), 0)
            self._bytes[id(file_obj)] = taken + len(data)
            if kind and taken + len(data) > bound:
                if kind == "full":
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                channel.get_connection().abort()
                raise ssh.SFTPConnectionLost("cut off")
            return int(super().write(file_obj, offset, data))

    return Files()
