"""Demo data on its way to a source: by the documented bulk calls of Datatrics v2, or planted into the sandbox.

Planted records are kept byte for byte, and can be taken away, which the documented calls cannot do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

import msgspec
from pydantic import SecretStr

from migrate.demo.data import RESOURCES, DemoData
from migrate.errors import Refused, RemoteError, Unreachable
from migrate.net.http import NoReplyError, Remote, Request
from migrate.progress import Progress

_DEADLINE_S = 120.0
_AGAIN = "look at what the service says (`migrate sandbox` logs to stderr), then give the same command again"
_PLANT_DEADLINE_S = 300.0
_CHUNK_RECORDS, _CHUNK_BYTES = 5_000, 4_000_000


@dataclass(frozen=True)
class _Bulk:
    """One bulk call. **Source**: the Postman collection of Datatrics v2, "Bulk Create/Update …"."""

    path: str
    list_key: str
    params: tuple[tuple[str, str], ...] = ()


_BULKS = {
    "profiles": _Bulk("profile/bulk", "profiles"),
    "content_categories": _Bulk("content/bulk", "items", (("type", "categories"),)),
    "content_items": _Bulk("content/bulk", "items", (("type", "items"),)),
    "sales": _Bulk("sale/bulk", "items"),
    "interactions": _Bulk("interaction/bulk", "interactions"),
}


class _Answer(msgspec.Struct):
    items: list[msgspec.Raw]


def feed(
    datatrics_url: str,
    project_id: str,
    key: SecretStr,
    data: DemoData,
    progress: Progress,
    *,
    control_token: SecretStr | None = None,
    chunk_records: int = 1_000,
    chunk_bytes: int = 4_000_000,
) -> dict[str, int]:
    """How many records of each resource the service has taken; `datatrics_url` ends with its version, `…/2.0`.

    `control_token` opens a sandbox that answers nobody else before it is full.

    **Guarantees**: records are sent in the order of the data, one request at a time; each answer lists as many items as
    were sent. Feeding twice leaves the same state as feeding once, since the bulk calls replace what they know.

    **Raises**: Unreachable, Refused or RemoteError, naming the resource and how many records arrived before.
    """

    remote = Remote(
        "Datatrics",
        f"{datatrics_url.rstrip('/')}/project/{quote(project_id, safe='')}/",
        authorize=partial(_authorize, key, control_token),
        headers={"Accept": "application/json", "Content-Type": "application/json"},
        connections=1,
        deadline_s=_DEADLINE_S,
    )
    totals = data.counts()
    fed = {}
    try:
        for resource in RESOURCES:
            progress.begin(_task(resource), total=totals[resource], unit="records")
            portions = chunks(data.records(resource), chunk_records, chunk_bytes)
            fed[resource] = _feed_resource(remote, resource, portions, progress)
            progress.end(_task(resource))
    finally:
        remote.close()
    return fed


def _authorize(key: SecretStr, control_token: SecretStr | None, request: Request) -> None:
    request.headers["x-apikey"] = key.get_secret_value()
    if control_token is not None:
        request.headers["x-sandbox-token"] = control_token.get_secret_value()


def _task(resource: str) -> str:
    return f"feed {resource}"


def _feed_resource(
    remote: Remote, resource: str, portions: Iterator[list[bytes]], progress: Progress
) -> int:
    fed = 0
    for chunk in portions:
        _post(remote, resource, chunk, fed)
        fed += len(chunk)
        progress.advance(_task(resource), len(chunk))
    return fed


def chunks(records: Iterable[bytes], max_records: int, max_bytes: int) -> Iterator[list[bytes]]:
    """The records in order, in lists of at most `max_records`.

    **Guarantees**: a list holds at most `max_bytes` of records, unless one record alone is larger; none is empty.
    """
    chunk: list[bytes] = []
    size = 0
    for record in records:
        if chunk and (len(chunk) >= max_records or size + len(record) > max_bytes):
            yield chunk
            chunk = []
            size = 0
        chunk.append(record)
        size += len(record)
    if chunk:
        yield chunk


def _post(remote: Remote, resource: str, chunk: list[bytes], fed: int) -> None:
    bulk = _BULKS[resource]
    where = f"feeding {resource} to {remote.base_url} (after {fed:,} records)"
    body = b'{"%s":[%s]}' % (bulk.list_key.encode(), b",".join(chunk))
    try:
        reply = remote.send("POST", bulk.path, params=dict(bulk.params), body=body)
    except NoReplyError as error:
        raise Unreachable(f"{where}: {error.reason}", hint=_AGAIN) from None
    if 400 <= reply.status < 500:
        raise Refused(
            f"{where}: the service answered {reply.status}", status=reply.status, hint=_AGAIN
        )
    if reply.status != 200:
        raise RemoteError(f"{where}: the service answered {reply.status}", hint=_AGAIN)
    taken = _count_items(reply.body, where)
    # The real bulk call is known to accept a part of what it was sent without saying so.
    if taken != len(chunk):
        raise RemoteError(
            f"{where}: sent {len(chunk):,} records, the answer lists {taken:,}", hint=_AGAIN
        )


def _count_items(body: bytes, where: str) -> int:
    try:
        return len(msgspec.json.decode(body, type=_Answer).items)
    except msgspec.MsgspecError:
        raise RemoteError(
            f"{where}: the answer is not the documented list of items", hint=_AGAIN
        ) from None


class SandboxSource:
    """The source of a sandbox at `url`, which has to be on this machine: nothing here goes anywhere else."""

    def __init__(
        self, url: str, project_id: str, *, key: SecretStr, control_token: SecretStr | None = None
    ) -> None:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        self._project = f"2.0/project/{quote(project_id, safe='')}"
        self._remote = Remote(
            "the sandbox",
            f"{url}/",
            authorize=partial(_authorize, key, control_token),
            headers=headers,
            connections=1,
            deadline_s=_PLANT_DEADLINE_S,
        )

    def plant(self, resource: str, records: Iterable[bytes]) -> int:
        """How many records the resource has taken, each as it is; one of a known identity takes that one's place."""
        planted = 0
        for chunk in chunks(records, _CHUNK_RECORDS, _CHUNK_BYTES):
            self._send("POST", f"_sandbox/records/{resource}", {}, b"[" + b",".join(chunk) + b"]")
            planted += len(chunk)
        return planted

    def delete(self, path: str, query: Mapping[str, str], source: str, id_: str) -> None:
        """Takes a record away, by the documented call; one that is not there is away already."""
        self._send(
            "DELETE",
            f"{self._project}/{path}/{quote(id_, safe='')}",
            {**query, "source": source},
            None,
        )

    def close(self) -> None:
        """Closes the connection."""
        self._remote.close()

    def _send(self, method: str, path: str, params: Mapping[str, str], body: bytes | None) -> None:
        try:
            reply = self._remote.send(method, path, params=params, body=body)
        except NoReplyError as error:
            raise RemoteError(f"the sandbox did not answer: {error.reason}") from None
        if reply.status != 200 and (method, reply.status) != ("DELETE", 404):
            raise RemoteError(f"the sandbox answered {reply.status} to {method}")
