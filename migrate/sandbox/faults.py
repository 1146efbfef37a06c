"""Faults to order: which requests they hit and what they do, deterministic for a seed; and the wrong answers.

A fault is written `SIDE:KIND[=VALUE][@KEY=VALUE,…]`, for example `datatrics:500@every=7`, `octolis:429=2@p=0.1` or
`datatrics:cap-limit=100`. Keys: `every` (each n-th request), `at` (the n-th; `3+5` for several), `p` (a share),
`path` and `method` (patterns with `*`), `times` (at most so often), `applied=1` (the request is carried out, then
answered wrongly), `body` (`json`, `html` or `empty`, for a status).

Values: `429=` seconds, `date`, `garbage` or `none` for Retry-After; `slow=` and `drip=` seconds; `redirect=` a URL;
`cap-limit=`, `wrong-total=`, `empty-page=` and `short-results=` a number; `partial=` each how manyth record fails, with
a status after a slash (`partial=3/423`); `altered=` a column.

Of the side `sftp`, `path` is the file's name: `disconnect=` and `full=` the bytes after which an upload breaks off or
finds the disk full; `import-lag=` seconds; `import-partial=` each how manyth row is refused; `import-encoding=` what
the import takes the file for.
"""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from fnmatch import fnmatchcase
from types import MappingProxyType

from migrate.errors import UsageError
from migrate.sandbox.exchange import Reply, json_reply

SIDES = ("datatrics", "octolis", "sftp")
STATUSES = ("400", "401", "403", "404", "410", "424", "500", "502", "503", "504")
ANSWERS = (
    *STATUSES,
    "429",
    "html200",
    "empty200",
    "204",
    "error200",
    "redirect",
    "truncated-json",
    "gzip",
)
WIRE = ("reset", "reset-after", "cut", "slow", "stall", "drip")
PAGING = (
    "cap-limit",
    "ignore-page",
    "repeat-last",
    "no-totals",
    "wrong-total",
    "totals-text",
    "empty-page",
)
BATCH = ("423", "partial", "short-results", "shuffle-results", "null-results", "altered")
UPLOAD = ("disconnect", "full", "denied")
IMPORT = ("import-lag", "import-partial", "import-refused", "import-encoding")
KINDS = {
    "datatrics": (*ANSWERS, *WIRE, *PAGING),
    "octolis": (*ANSWERS, *WIRE, *BATCH),
    "sftp": (*UPLOAD, *IMPORT),
}
LIES = frozenset((*PAGING, *BATCH))
VALUES = {
    kind: re.compile(pattern)
    for kind, pattern in (
        ("cap-limit", r"[1-9]\d*"),
        ("wrong-total", r"[+-]?\d+"),
        ("empty-page", r"[1-9]\d*"),
        ("short-results", r"([1-9]\d*)?"),
        ("partial", r"([1-9]\d*)?(/\d{3})?"),
        ("slow", r"(\d+(\.\d+)?)?"),
        ("drip", r"(\d+(\.\d+)?)?"),
        ("disconnect", r"\d*"),
        ("full", r"\d*"),
        ("import-lag", r"\d+(\.\d+)?"),
        ("import-partial", r"[1-9]\d*"),
        ("import-encoding", r"latin-1|cp1252|utf-16"),
    )
}
KEYS = ("every", "at", "p", "path", "method", "times", "applied", "body")
CHOICES = {"applied": ("0", "1"), "body": ("json", "html", "empty")}
_NONE: Mapping[str, str] = MappingProxyType({})
HTML = b"<!DOCTYPE html><html><head><title>Service unavailable</title></head><body><h1>Sorry</h1></body></html>"
HTML_TYPE = "text/html; charset=utf-8"
BODIES: dict[str, tuple[bytes, str]] = {"html": (HTML, HTML_TYPE), "empty": (b"", "text/plain")}
PLAIN = {"html200": Reply(200, HTML, HTML_TYPE), "empty200": Reply(200), "204": Reply(204)}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. With none of `every`, `at` and `probability` it hits every request that fits."""

    side: str
    kind: str
    value: str = ""
    every: int | None = None
    at: tuple[int, ...] = ()
    probability: float | None = None
    path: str = "*"
    method: str = "*"
    times: int | None = None
    params: Mapping[str, str] = field(default_factory=lambda: _NONE)

    @property
    def applied(self) -> bool:
        """Whether the request is carried out before it is answered wrongly."""
        return self.params.get("applied") == "1"


def parse_fault(text: str) -> Fault:
    """The fault a text describes. Raises UsageError, which lists the kinds."""
    side, colon, rest = text.strip().partition(":")
    name, _, conditions = rest.partition("@")
    kind, _, value = name.partition("=")
    if not colon or side not in SIDES or kind not in KINDS[side]:
        raise _unknown(text, KINDS.get(side, ()))
    if conditions:
        keys = dict(part.partition("=")[::2] for part in conditions.split(","))
    else:
        keys = {}
    stray = sorted(set(keys) - set(KEYS))
    if stray:
        raise UsageError(
            f"fault {text!r}: unknown key {stray[0]!r}", hint=f"keys: {', '.join(KEYS)}"
        )
    try:
        fault = _build(side, kind, value, keys)
    except ValueError as error:
        raise UsageError(
            f"fault {text!r}: {error}", hint="SIDE:KIND[=VALUE][@every=N,at=N,p=SHARE,times=N]"
        ) from None
    return fault


def _build(side: str, kind: str, value: str, keys: Mapping[str, str]) -> Fault:
    if kind in VALUES and not VALUES[kind].fullmatch(value):
        raise ValueError(f"{kind} cannot be {value!r}")
    for key, allowed in CHOICES.items():
        if key in keys and keys[key] not in allowed:
            raise ValueError(f"{key} is one of {', '.join(allowed)}, not {keys[key]!r}")
    return Fault(
        side=side,
        kind=kind,
        value=value,
        every=_number(keys, "every"),
        at=tuple(_positive(one) for one in keys["at"].split("+")) if "at" in keys else (),
        probability=float(keys["p"]) if "p" in keys else None,
        path=keys.get("path", "*"),
        method=keys.get("method", _usual_method(side, kind)).upper(),
        times=_number(keys, "times"),
        params=MappingProxyType({name: keys[name] for name in ("applied", "body") if name in keys}),
    )


def _usual_method(side: str, kind: str) -> str:
    """What a fault hits where nothing is said of it: of an upload and its import, one or the other."""
    if side != "sftp":
        return "*"
    return "IMPORT" if kind in IMPORT else "WRITE"


def _number(keys: Mapping[str, str], name: str) -> int | None:
    return _positive(keys[name]) if name in keys else None


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"{text} is not a positive number")
    return number


def _unknown(text: str, kinds: Iterable[str]) -> UsageError:
    if not kinds:
        return UsageError(
            f"fault {text!r}: no such side", hint=f"SIDE:KIND with SIDE one of {', '.join(SIDES)}"
        )
    return UsageError(f"fault {text!r}: no such kind", hint=f"kinds: {', '.join(kinds)}")


@dataclass(slots=True)
class _Armed:
    fault: Fault
    rng: random.Random
    seen: int = 0
    hits: int = 0

    def fires(self, side: str, method: str, path: str) -> bool:
        fault = self.fault
        if (
            side != fault.side
            or not fnmatchcase(path, fault.path)
            or not fnmatchcase(method, fault.method)
        ):
            return False
        # Counted before `times` is looked at: which of the requests is
        # the n-th hangs on nothing else.
        self.seen += 1
        if fault.times is not None and self.hits >= fault.times:
            return False
        if not self._is_due():
            return False
        self.hits += 1
        return True

    def _is_due(self) -> bool:
        fault = self.fault
        conditions = []
        if fault.every is not None:
            conditions.append(self.seen % fault.every == 0)
        if fault.at:
            conditions.append(self.seen in fault.at)
        if fault.probability is not None:
            conditions.append(self.rng.random() < fault.probability)
        # Several conditions are alternatives: `every=10,at=3` hits the 3rd and each 10th.
        return not conditions or any(conditions)


class FaultBook:
    """The faults in force, each with its own counter and its own random numbers."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self._seed = seed
        self.replace(faults)

    def replace(self, faults: Iterable[Fault]) -> None:
        """Puts other faults in force; all counters begin again."""
        self._armed = [
            # Numbers of its own, so that one more fault behind it changes
            # nothing of when this one hits.
            _Armed(fault, random.Random(f"{self._seed}/{n}/{fault.side}/{fault.kind}"))  # noqa: S311 - not a secret
            for n, fault in enumerate(faults)
        ]

    def fire(self, side: str, method: str, path: str) -> list[Fault]:
        """The faults that hit this request, in the order they were given."""
        return [armed.fault for armed in self._armed if armed.fires(side, method, path)]


def early_answer(fault: Fault, wall_s: float) -> Reply | None:
    """The answer that needs no right one: None where the fault is of another sort."""
    if fault.kind in STATUSES:
        return _status(fault)
    if fault.kind == "429":
        return replace(_message(429), headers=_retry_after(fault.value, wall_s))
    if fault.kind == "error200":
        return replace(_message(500), status=200)
    if fault.kind == "redirect":
        # Port 9 is RFC 863's discard: who follows the redirect with a key takes it nowhere.
        return Reply(302, headers=(("Location", fault.value or "http://127.0.0.1:9/elsewhere"),))
    return PLAIN.get(fault.kind)


def _status(fault: Fault) -> Reply:
    body = BODIES.get(fault.params.get("body", "json"))
    if body is None:
        return _message(int(fault.kind))
    return Reply(int(fault.kind), *body)


def _message(status: int) -> Reply:
    """An error both services' clients can read: it has the fields of either."""
    text = "Injected fault"
    return json_reply({"status": status, "message": text, "title": text, "detail": text}, status)


def _retry_after(value: str, wall_s: float) -> tuple[tuple[str, str], ...]:
    if value == "none":
        return ()
    if value == "date":
        return (("Retry-After", formatdate(wall_s + 1, usegmt=True)),)
    return (("Retry-After", "soon" if value == "garbage" else value or "1"),)


def _truncate(reply: Reply) -> Reply:
    return replace(reply, body=reply.body[: len(reply.body) * 2 // 3])


def _compress(reply: Reply) -> Reply:
    return replace(
        reply,
        body=gzip.compress(reply.body, 1),
        headers=(*reply.headers, ("Content-Encoding", "gzip")),
    )


SPOILERS: dict[str, Callable[[Reply], Reply]] = {"truncated-json": _truncate, "gzip": _compress}
"""What is done to the right answer before it is sent."""
