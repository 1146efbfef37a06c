"""What one request came to, before anybody judges it.

A service's words are kept without what it was sent: an error may repeat a record's values, and those are personal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec

from migrate.errors import Refused
from migrate.net.http import parse_date

# These end a load at once. What a batch holds is refused by others (400, 413, 422), see `results`.
_FINAL = frozenset({401, 403, 404, 405, 406, 410, 415})
# A `Retry-After` date is compared with the answer's own `Date`: no wait may be reckoned from nonsense.
_FIRST_YEAR, _LAST_YEAR = 2000, 2200
# Marks that turn the direction of text are no controls to a terminal, and still change what a person reads.
_UNSAFE = re.compile(
    r"[^\x20-\x7e\u00a0-\u024f\u0370-\u1fff\u2010-\u2027\u2030-\u205e\u20a0-\ud7ff\uf900-\ufefe]"
)
GONE = "…"
_SHORTEST = 3


@dataclass(frozen=True)
class Answer:
    """One attempt: a whole reply, or (status 0) the `reason` why there is none.

    `applied` tells whether the service may have acted on it. `key` says which key was used, as "key 2 of 3". `sent` is
    the JSON of what was sent, which an error may repeat. `location`: where a redirect leads, without query and key.
    """

    status: int
    body: bytes = field(default=b"", repr=False)
    sent: bytes = field(default=b"", repr=False)
    reason: str = ""
    applied: bool = True
    key: str = "key 1 of 1"
    request_id: str = ""
    traceparent: str = ""
    server_time: datetime | None = None
    retry_after_s: float | None = None
    elapsed_s: float = 0.0
    location: str = ""

    @property
    def is_final(self) -> bool:
        """True when asking again cannot help: no leave, no such thing, or a redirect, which is never followed."""
        return self.status in _FINAL or 300 <= self.status < 400

    @property
    def is_throttled(self) -> bool:
        """True for 429."""
        return self.status == 429


def clean_text(text: object, longest: int = 200) -> str:
    """`text` on one line, without control or direction marks, cut to `longest`: safe for terminals and logs."""
    line = " ".join(_UNSAFE.sub(" ", str(text)).split())
    if len(line) <= longest:
        return line
    return line[: longest - 1] + "…"


def error_title(answer: Answer) -> str:
    """The service's own words on an error, title and detail, without values that were sent; empty for a body that is
    not its JSON."""
    try:
        value = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if not isinstance(value, Mapping):
        return ""
    # `values` and `errors` repeat the payload: a person's data would stand in a log.
    texts = [value[name] for name in ("title", "detail") if isinstance(value.get(name), str)]
    words = [clean_text(without_echo(text, answer.sent)) for text in texts]
    return ": ".join(word for word in dict.fromkeys(words) if word)


def status_text(status: int) -> str:
    """The status with its standard name, such as `404 Not Found`."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def server_moment(text: str) -> datetime | None:
    """The moment of a `Date` header, None where it is none, or one that no clock shows: nothing is reckoned by that."""
    moment = parse_date(text)
    if moment is not None and _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        return moment
    return None


def refusal(answer: Answer, place: str) -> Refused:
    """The error for a final answer, naming the key by its number and the `place` (a dataset or webhook id)."""
    title = error_title(answer)
    if 300 <= answer.status < 400:
        there = f" to {answer.location}" if answer.location else ""
        return Refused(
            f"Octolis answers {answer.key} for {place}: {status_text(answer.status)}, a redirect{there} that is not "
            "followed",
            status=answer.status,
            hint=_hint(answer.status, is_webhook=place.startswith("webhook")),
        )
    return Refused(
        f"Octolis refused {answer.key} for {place}: {status_text(answer.status)}"
        + (f" ({title})" if title else ""),
        status=answer.status,
        hint=_hint(answer.status, is_webhook=place.startswith("webhook")),
    )


def _hint(status: int, *, is_webhook: bool) -> str:
    # An account sets the method, headers and addresses of each webhook, so the key is not the only suspect.
    if is_webhook and status in (403, 405):
        return "check OCTOLIS_API_KEYS, and the method and headers under [octolis.webhooks] in migrate.toml"
    if status in (401, 403):
        return (
            "check OCTOLIS_API_KEYS: the key is wrong, revoked or not allowed to use this dataset"
        )
    if status in (404, 410):
        if is_webhook:
            section = "[octolis.webhooks]"
        else:
            section = "[octolis.datasets]"
        return f"check the id under {section} and base_url under [octolis] in migrate.toml"
    if 300 <= status < 400:
        return "redirects are not followed, so that the key stays with its host; write the final address as base_url"
    return "check base_url under [octolis] in migrate.toml; this looks like another service"


def without_echo(words: str, sent: bytes) -> str:
    """`words` with each value of `sent` that stands in them as a word or as several replaced by `…`.

    `sent` is the JSON of a request. Names of members stay, since they tell what is wrong; so do values of one or two
    characters, since they tell nobody apart.
    """
    if not words or not sent:
        return words
    try:
        value = msgspec.json.decode(sent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return words
    low = words.lower()
    echoed = {text for text in _texts(value) if len(text) >= _SHORTEST and text.lower() in low}
    if not echoed:
        return words
    # The longest first, so that no part of a value stays.
    pattern = "|".join(re.escape(text) for text in sorted(echoed, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", GONE, words, flags=re.IGNORECASE)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value.strip()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def redirect_place(location: str) -> str:
    """Where a redirect leads, without its query: the key may stand in there."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return ""
    if parts.hostname:
        host = parts.netloc.rpartition("@")[2]  # with its port, without a name and password
        return clean_text(f"{parts.scheme}://{host}{parts.path}")
    return ""
