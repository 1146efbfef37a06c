"""Objects below a URL of an object store; the only module that knows obstore.

Credentials come from where the store's own tools take them (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`,
`AWS_ENDPOINT_URL`; `GOOGLE_…`; `AZURE_STORAGE_ACCOUNT_NAME`, …), never from the project file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from migrate.errors import ConfigError, RemoteError, Unreachable

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_RETRIES = 5
_RETRY_TIMEOUT = timedelta(seconds=60)
_REQUEST_TIMEOUT = timedelta(seconds=120)
# Below what stores take in one request: S3 takes 1,000.
_AT_ONCE_DELETED = 500


class Objects:
    """The objects below `url`; paths are relative to it, with `/`. Every call asks the store, none caches.

    **Raises**: Unreachable, RemoteError; ConfigError where the package for object stores is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._store = _open(url)

    def options(self) -> dict[str, str]:
        """What an engine that opens the URL itself has to be told beside the environment."""
        if _endpoint_is_here():
            return {"aws_allow_http": "true"}
        return {}

    def get(self, path: str) -> bytes | None:
        """The object's bytes, None where there is no such object."""
        import obstore

        with _translated(self.url, path):
            try:
                return bytes(obstore.get(self._store, path).bytes())
            except FileNotFoundError:
                return None

    def put(self, path: str, data: bytes) -> None:
        """Writes the whole object or nothing, in the place of what is there."""
        import obstore

        with _translated(self.url, path):
            obstore.put(self._store, path, data)

    def create(self, path: str, data: bytes) -> bool:
        """True when the object now holds `data`, False when another one was there before.

        **Guarantees**: of two writers at the same moment one gets False, in a store that can write on condition. In one
        that cannot, the object is looked for first.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, NotSupportedError

        with _translated(self.url, path):
            try:
                obstore.put(self._store, path, data, mode="create")
            except (AlreadyExistsError, NotSupportedError) as error:
                # The answer to a first try may have been lost on the way: what is there can be ours.
                stored = self.get(path)
                if stored is None and isinstance(error, NotSupportedError):
                    self.put(path, data)
                    return True
                return stored == data
            return True

    def sizes(self, folder: str) -> dict[str, int]:
        """The objects below `folder` by path, with their sizes in bytes."""
        import obstore

        with _translated(self.url, folder):
            entries = list(chain.from_iterable(obstore.list(self._store, f"{folder}/")))
        return {str(entry["path"]): int(entry["size"]) for entry in entries}

    def folders(self) -> list[str]:
        """The names of the folders right below the URL."""
        import obstore

        with _translated(self.url, ""):
            return [
                str(name).strip("/")
                for name in obstore.list_with_delimiter(self._store)["common_prefixes"]
            ]

    def delete(self, paths: Iterable[str]) -> None:
        """Removes objects; one that is not there is no error."""
        import obstore

        names = list(paths)
        for start in range(0, len(names), _AT_ONCE_DELETED):
            with _translated(self.url, names[start]), contextlib.suppress(FileNotFoundError):
                obstore.delete(self._store, names[start : start + _AT_ONCE_DELETED])


def _open(url: str) -> ObjectStore:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError:
        raise ConfigError(
            f"snapshots = {url!r} needs the package obstore, which is not installed",
            hint="pip install 'obstore>=0.9,<1'",
        ) from None
    options: Any = {"allow_http": _endpoint_is_here(), "timeout": _REQUEST_TIMEOUT}
    try:
        return from_url(
            url,
            client_options=options,
            retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_TIMEOUT},
        )
    except (BaseError, ValueError) as error:
        raise ConfigError(
            f"snapshots = {url!r} cannot be opened: {type(error).__name__}", hint=_HINT
        ) from None


def _endpoint_is_here() -> bool:
    """Whether a store on this machine is meant; only there unencrypted HTTP is accepted."""
    endpoints = [os.environ[name] for name in _ENDPOINTS if os.environ.get(name)]
    return bool(endpoints) and all(
        urlsplit(endpoint).hostname in _LOOPBACK for endpoint in endpoints
    )


_HINT = "check the URL, and the credentials and the region or account in the environment; docs/scale.md tells them"


@contextlib.contextmanager
def _translated(url: str, path: str) -> Iterator[None]:
    """Turns the store's errors into ours. Their text is left out: answers of stores repeat parts of the credentials."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        what = f"{url}: {path or 'the list of snapshots'} {_trouble(error)}"
        raise (RemoteError if "refused" in what else Unreachable)(what, hint=_HINT) from None


# What the engine's texts say in its own words, in the order in which they are looked for.
_TROUBLES = {
    "nosuchbucket": "is refused: there is no such bucket",
    "403 forbidden": "is refused: the credentials do not allow it",
    "401 unauthorized": "is refused: the credentials are not known",
    "credential": "cannot be asked for: there are no credentials in the environment",
    "builder error": "cannot be asked for: plain http:// is for a store on this machine only",
    "timed out": "did not answer in time",
    "connect": "cannot be reached",
}


def _trouble(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return _TROUBLES["nosuchbucket"]
    text = str(error).lower()
    return next(
        (plain for word, plain in _TROUBLES.items() if word in text),
        f"failed: {type(error).__name__}",
    )
