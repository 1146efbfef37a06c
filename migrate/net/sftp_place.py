"""Where files go by SFTP, and how fast, as a command line says it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from migrate.errors import UsageError

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMG]?)B?", re.IGNORECASE)
# Rates of lines are given in thousands, not in 1,024.
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True)
class SftpPlace:
    """A folder on a server: `sftp://user@host[:port]/path`."""

    user: str
    host: str
    port: int
    path: PurePosixPath

    @property
    def url(self) -> str:
        """The place in one word, without any secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == 22 else f":{self.port}"
        return f"sftp://{self.user}@{host}{port}{self.path}"


def parse_place(text: str) -> SftpPlace:
    """The place that a URL names. Raises UsageError; a password in it is refused."""
    try:
        url = urlsplit(text)
        port = url.port or 22
    except ValueError:
        raise _no_place(text) from None
    if url.password is not None:
        raise UsageError(
            "a password has no place in a URL: the shell's history would keep it",
            hint="log in by a key: the agent's, or key_file in [octolis.files]",
        )
    if url.scheme != "sftp" or not url.hostname or not url.username or url.query or url.fragment:
        raise _no_place(text)
    return SftpPlace(
        unquote(url.username), url.hostname, port, PurePosixPath(unquote(url.path) or "/")
    )


def _no_place(text: str) -> UsageError:
    return UsageError(
        f"{text!r:.120} is no place for files",
        hint="sftp://user@host/path, or with a port: sftp://user@host:2222/path",
    )


def parse_rate(text: str) -> float:
    """Bytes a second of `5MB`, `500k`. Raises UsageError."""
    match = _SIZE.fullmatch(text.strip().removesuffix("/s"))
    if match is None or not float(match[1]):
        raise UsageError(f"{text!r:.40} is no rate", hint="bytes a second, such as 500k or 5MB")
    return float(match[1]) * _UNITS[match[2].upper()]
