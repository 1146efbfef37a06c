"""The one door to SFTP: files put on a server whose key is known. The only module of the tool that knows asyncssh.

A file goes under a name that no import finds, and takes its own once the server has it whole. An upload that broke off
goes on: what the server has of it is read back and compared by its hash, since a size alone says nothing of the bytes.

**Source**: RFC 4253 (host keys), draft-ietf-secsh-filexfer-02 (the protocol that OpenSSH speaks).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrate.errors import (
    ConfigError,
    GaveUp,
    Interrupted,
    MigrateError,
    RemoteError,
    Unreachable,
)
from migrate.net.sftp_place import SftpPlace

if TYPE_CHECKING:
    import asyncssh

_BLOCK_BYTES = 1 << 20
_TIMEOUT_S = 30
_KEEPALIVE_S = 15
_PAUSES_S = (1.0, 4.0, 15.0)
"""Waits before a connection that was lost is tried again; they begin again once a block has arrived."""
_ASK = "nothing was sent; ask whoever runs the server whether its key has changed, and only then enter it"


@dataclass(frozen=True)
class Trust:
    """How the server is known, and how the user is. `host_key`: a fingerprint `SHA256:…`, in place of `known_hosts`."""

    host_key: str | None = None
    known_hosts: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True)
class LocalFile:
    """A file to upload. Units: bytes."""

    path: Path
    bytes: int
    sha256: str

    @property
    def partial_name(self) -> str:
        """What it is called until it is whole; the hash is part of it, so that it goes on with the same bytes only."""
        return f".{self.path.name}.{self.sha256[:12]}.partial"


@dataclass(frozen=True)
class Uploading:
    """What an upload tells, and what ends it. `limit`: bytes a second, 0 for no bound.

    `begin` is told the file and the bytes of it that are there already, `tick` how many more arrived, `done` that the
    server has it whole.
    """

    begin: Callable[[LocalFile, int], None]
    tick: Callable[[LocalFile, int], None]
    done: Callable[[LocalFile], None]
    note: Callable[[str], None]
    is_stopped: Callable[[], bool]
    limit: float = 0.0
    pauses_s: Sequence[float] = _PAUSES_S


def upload(
    place: SftpPlace, trust: Trust, files: Sequence[LocalFile], uploading: Uploading
) -> None:
    """Puts files on the server one after another, each whole under its name.

    **Guarantees**: interrupted, killed or cut off anywhere, the same call goes on; a file that the server has whole is
    not sent again; no file of another content is replaced.

    **Raises**: ConfigError for a server or a key that is not known; RemoteError; Interrupted.
    """
    ssh = _library()
    with _quiet_loop() as run:
        run(_Upload(ssh, place, trust, uploading).put_all(files))


def remove(place: SftpPlace, trust: Trust, files: Sequence[LocalFile]) -> set[str]:
    """Takes files from the server again, whole or in part; the names of those that were not there whole."""
    ssh = _library()
    quiet = Uploading(
        lambda _f, _n: None, lambda _f, _n: None, lambda _f: None, lambda _t: None, lambda: False
    )
    with _quiet_loop() as run:
        gone: set[str] = run(_Upload(ssh, place, trust, quiet).remove_all(files))
    return gone


def _library() -> Any:
    try:
        import asyncssh
    except ImportError:
        raise ConfigError(
            "SFTP needs the package asyncssh, which is not installed",
            hint="pip install 'migrate-datatrics-octolis[sftp]'",
        ) from None
    return asyncssh


@contextlib.contextmanager
def _quiet_loop() -> Any:
    """A loop that leaves Ctrl-C to the command line, which asks to stop by an event."""
    loop = asyncio.new_event_loop()
    try:
        yield loop.run_until_complete
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class _Lost(Exception):
    """The connection broke off, which may be gone the next time."""


@dataclass
class _Upload:
    """Files on their way to one place."""

    ssh: Any
    place: SftpPlace
    trust: Trust
    told: Uploading
    _whole: set[str] = field(default_factory=set)
    _tries: int = 0
    _began_s: float = field(default_factory=time.monotonic)
    _sent: int = 0

    async def put_all(self, files: Sequence[LocalFile]) -> None:
        """All of them, over as many connections as it takes."""
        while True:
            try:
                async with self._connected() as sftp:
                    for file in files:
                        if file.path.name not in self._whole:
                            await self._put(sftp, file)
                            self._whole.add(file.path.name)
            except _Lost as lost:
                if self._tries >= len(self.told.pauses_s):
                    raise GaveUp(
                        f"{self.place.url}: the connection was lost again and again: {lost}",
                        hint="the same command goes on where it was",
                    ) from None
                pause_s = self.told.pauses_s[self._tries]
                self._tries += 1
                self.told.note(f"{self.place.url}: {lost}; trying again in {pause_s:g} s")
                await self._wait(pause_s)
            else:
                return

    async def remove_all(self, files: Sequence[LocalFile]) -> set[str]:
        """Each of them, under either name; the names of those that are not there whole."""
        gone = set()
        try:
            async with self._connected() as sftp:
                for file in files:
                    for name in (file.partial_name, file.path.name):
                        try:
                            await sftp.remove(str(self.place.path / name))
                        except (self.ssh.SFTPNoSuchFile, self.ssh.SFTPNoSuchPath):
                            gone.add(name)
        except _Lost as lost:
            raise Unreachable(f"{self.place.url}: {lost}") from None
        return {file.path.name for file in files if file.path.name in gone}

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncssh.SFTPClient]:
        keys = _HostKeys(self.ssh, self.trust)
        try:
            connection = await asyncio.wait_for(self._connect(keys), _TIMEOUT_S)
        except self.ssh.HostKeyNotVerifiable:
            raise self._unknown_host(keys) from None
        except self.ssh.PermissionDenied:
            raise RemoteError(
                f"{self.place.url}: the server takes no key of ours for {self.place.user}",
                hint="set key_file in [octolis.files], or put the key into the agent (ssh-add)",
            ) from None
        except (self.ssh.KeyImportError, self.ssh.KeyEncryptionError) as error:
            raise ConfigError(
                f"the key {self.trust.key_file} cannot be used: {error}",
                hint="one with a passphrase goes into the agent: ssh-add; then leave key_file out",
            ) from None
        except (OSError, self.ssh.Error, TimeoutError) as error:
            why = str(error) or "no answer"
            if self._whole or self._sent:
                raise _Lost(why) from None
            raise Unreachable(f"{self.place.url} cannot be reached: {why}") from None
        async with connection:
            try:
                async with connection.start_sftp_client() as sftp:
                    yield sftp
            except MigrateError:
                raise
            except self.ssh.SFTPError as error:
                raise self._explain(error) from None
            except (OSError, self.ssh.Error) as error:
                raise _Lost(str(error) or "the connection was closed") from None

    async def _connect(self, keys: _HostKeys) -> asyncssh.SSHClientConnection:
        if self.trust.key_file is None:
            login = {}
        else:
            login = {"client_keys": [str(self.trust.key_file)]}
        connection: asyncssh.SSHClientConnection = await self.ssh.connect(
            self.place.host,
            self.place.port,
            username=self.place.user,
            known_hosts=keys.known,
            client_factory=keys.client,
            preferred_auth=["publickey"],
            password=None,
            config=None,
            keepalive_interval=_KEEPALIVE_S,
            login_timeout=_TIMEOUT_S,
            **login,
        )
        return connection

    def _unknown_host(self, keys: _HostKeys) -> MigrateError:
        shown = ", ".join(keys.shown) or "none that could be read"
        where = f"the server {self.place.host}:{self.place.port}"
        if self.trust.host_key is not None:
            return RemoteError(
                f"{where} shows the key {shown}, and host_key in [octolis.files] is {self.trust.host_key}",
                hint=_ASK,
            )
        if keys.knows(self.place.host, self.place.port):
            return RemoteError(
                f"{where} shows the key {shown}, and the known hosts have another one for it",
                hint=_ASK,
            )
        return ConfigError(
            f"{where} is not known; it shows the key {shown}",
            hint="compare it with what whoever runs the server tells you by another way; then set in [octolis.files]: "
            f'host_key = "{keys.shown[0] if keys.shown else "SHA256:…"}"',
        )

    def _explain(self, error: Exception) -> Exception:
        ssh, where = self.ssh, self.place.url
        if isinstance(error, ssh.SFTPConnectionLost | ssh.SFTPNoConnection):
            return _Lost("the connection was closed")
        if isinstance(error, ssh.SFTPPermissionDenied | ssh.SFTPWriteProtect):
            return RemoteError(
                f"{where}: the server does not let {self.place.user} write there: {error}",
                hint="another path, or the right to write; the same command goes on",
            )
        if isinstance(error, ssh.SFTPNoSuchFile | ssh.SFTPNoSuchPath | ssh.SFTPNotADirectory):
            return RemoteError(f"{where}: there is no such folder", hint="name one that is there")
        if isinstance(error, ssh.SFTPNoSpaceOnFilesystem | ssh.SFTPQuotaExceeded):
            return RemoteError(
                f"{where}: the disk is full", hint="have space made there; the same command goes on"
            )
        return RemoteError(
            f"{where}: the server refused: {error} (some servers say that of a full disk)",
            hint="the same command goes on",
        )

    async def _put(self, sftp: asyncssh.SFTPClient, file: LocalFile) -> None:
        target = str(self.place.path / file.path.name)
        partial = str(self.place.path / file.partial_name)
        size = await self._size(sftp, target)
        if size is not None:
            if size != file.bytes or await self._hash(sftp, target, size) != file.sha256:
                raise RemoteError(
                    f"{target} on the server is another file, and is not replaced",
                    hint="move it away, or name another path",
                )
            self.told.begin(file, file.bytes)
            self.told.done(file)
            return
        start = await self._start(sftp, partial, file)
        self.told.begin(file, start)
        await self._send(sftp, partial, file, start)
        if await self._size(sftp, partial) != file.bytes:
            raise RemoteError(f"{partial} on the server has another size than what was sent")
        await self._rename(sftp, partial, target)
        self.told.done(file)

    async def _size(self, sftp: asyncssh.SFTPClient, path: str) -> int | None:
        try:
            return (await sftp.stat(path)).size
        except (self.ssh.SFTPNoSuchFile, self.ssh.SFTPNoSuchPath):
            return None

    async def _start(self, sftp: asyncssh.SFTPClient, partial: str, file: LocalFile) -> int:
        """How many bytes of a file the server has for certain."""
        size = await self._size(sftp, partial) or 0
        # The last block may have holes: its parts are written side by side.
        whole = max(0, (size - 1) // _BLOCK_BYTES) * _BLOCK_BYTES
        if not whole or size > file.bytes:
            return 0
        there = await self._hash(sftp, partial, whole)
        if there != _hash_of(file.path, whole):
            self.told.note(
                f"{file.path.name}: what the server has of it is something else; from the beginning"
            )
            return 0
        return whole

    async def _hash(self, sftp: asyncssh.SFTPClient, path: str, size: int) -> str:
        """The hash of the first bytes of a file on the server, which are read back for that."""
        digest, at = hashlib.sha256(), 0
        async with sftp.open(path, "rb") as remote:
            while at < size:
                block = await remote.read(min(_BLOCK_BYTES, size - at), at)
                if not block:
                    break
                assert isinstance(block, bytes)
                digest.update(block)
                at += len(block)
                self._check_stopped()
        return digest.hexdigest()

    async def _send(
        self, sftp: asyncssh.SFTPClient, partial: str, file: LocalFile, start: int
    ) -> None:
        flags = self.ssh.FXF_WRITE | self.ssh.FXF_CREAT
        if not start:
            flags |= self.ssh.FXF_TRUNC
        # Records of people: nobody else on the server may read them while they arrive.
        attrs = self.ssh.SFTPAttrs(permissions=0o600)
        # No link is followed: the path lies in a folder that others may write to.
        no_link = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(file.path, os.O_RDONLY | no_link)
        with os.fdopen(handle, "rb") as local:
            local.seek(start)
            async with sftp.open(partial, flags, attrs, encoding=None) as remote:
                at = start
                while block := local.read(self._block_bytes()):
                    await remote.write(block, at)
                    at += len(block)
                    self._sent += len(block)
                    self._tries = 0
                    self.told.tick(file, len(block))
                    self._check_stopped()
                    await self._pace()

    async def _rename(self, sftp: asyncssh.SFTPClient, partial: str, target: str) -> None:
        try:
            # Only the extension of OpenSSH promises to do it in one step.
            await sftp.posix_rename(partial, target)
        except self.ssh.SFTPOpUnsupported:
            await sftp.rename(partial, target)

    def _block_bytes(self) -> int:
        """Small enough that a bound is kept within a second."""
        size = _BLOCK_BYTES
        while self.told.limit and size > max(1024, self.told.limit / 2):
            size //= 2
        return size

    async def _pace(self) -> None:
        if self.told.limit:
            # Over the whole upload, so that a slow minute may be made up for.
            due_s = self._sent / self.told.limit
            await self._wait(due_s - (time.monotonic() - self._began_s))

    async def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (remaining_s := until - time.monotonic()) > 0:
            await asyncio.sleep(min(remaining_s, 0.25))
            self._check_stopped()

    def _check_stopped(self) -> None:
        if self.told.is_stopped():
            raise Interrupted(
                "stopped while files were uploaded; what the server has of them stays",
                hint="the same command goes on where it was",
            )


class _HostKeys:
    """Whose key is trusted, and what the server has shown."""

    def __init__(self, ssh: Any, trust: Trust) -> None:
        self.ssh, self.shown = ssh, list[str]()
        self.wanted = trust.host_key
        usual = trust.known_hosts or Path.home() / ".ssh" / "known_hosts"
        try:
            if self.wanted:
                text = ""
            else:
                text = usual.read_text("utf-8", "replace")
        except OSError:
            if trust.known_hosts is not None:
                raise ConfigError(
                    f"{usual} cannot be read", hint="known_hosts in [octolis.files] names it"
                ) from None
            text = ""
        self.known = ssh.import_known_hosts(text)

    def knows(self, host: str, port: int) -> bool:
        """Whether there is any key of this server."""
        trusted = self.ssh.match_known_hosts(self.known, host, "", port)
        return bool(trusted[0])

    def client(self) -> Any:
        """What asyncssh asks about a key that the known hosts do not have."""
        keys = self

        class Client(self.ssh.SSHClient):  # type: ignore[misc, name-defined]
            def validate_host_public_key(
                self, _host: str, _addr: str, _port: int, key: Any
            ) -> bool:
                fingerprint = key.get_fingerprint()
                keys.shown.append(fingerprint)
                return keys.wanted is not None and fingerprint == keys.wanted.rstrip("=")

        return Client()


def _hash_of(path: Path, size: int) -> str:
    """The hash of a file's first bytes."""
    digest, remaining = hashlib.sha256(), size
    with path.open("rb") as file:
        while remaining and (block := file.read(min(_BLOCK_BYTES, remaining))):
            digest.update(block)
            remaining -= len(block)
    return digest.hexdigest()
