"""The sandbox's source from the outside: whole records put there byte for byte, and records taken away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from pydantic import SecretStr

from migrate.demo.feed import chunks
from migrate.errors import RemoteError
from migrate.net.http import NoReplyError, Remote, Request

_DEADLINE_S = 300.0
_CHUNK_RECORDS, _CHUNK_BYTES = 5_000, 4_000_000


class SandboxSource:
    """The source of a sandbox at `url`, which has to be on this machine: nothing here goes anywhere else."""

    def __init__(
        self, url: str, project_id: str, *, key: SecretStr, control_token: SecretStr | None = None
    ) -> None:
        def authorize(request: Request) -> None:
            request.headers["x-apikey"] = key.get_secret_value()
            if control_token is not None:
                request.headers["x-sandbox-token"] = control_token.get_secret_value()

        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        self._project = f"2.0/project/{quote(project_id, safe='')}"
        self._remote = Remote(
            "the sandbox",
            f"{url}/",
            authorize=authorize,
            headers=headers,
            connections=1,
            deadline_s=_DEADLINE_S,
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
