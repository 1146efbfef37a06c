"""The last line of defence for secrets: replaces known keys in any text that is about to be written.

The first line is that keys never reach a text (see migrate.net.http). In the log e-mail addresses are replaced too: a
server's words may hold one, and so does the path of a record whose id is one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "***"
# Real clients of both services send the key in the URL, as `apikey=` or `api-key=`.
_KEY_IN_URL = re.compile(r"(?i)((?:api-?key|apikey)=)[^&\s\"']+")

SHORTEST_KEY = 6
"""A shorter key, such as one of a test, stands in plain words and numbers: replaced there it would leave no text
readable, and what was replaced would tell the key. No service gives one out."""
_EMAIL = re.compile(r"[\w.+%'-]{1,200}(?:@|%40)[\w-]+(?:\.[\w-]+)+")


class Redactor:
    """Replaces the given secrets, also percent-encoded, and anything that looks like a key in a URL.

    Secrets shorter than `SHORTEST_KEY` are replaced only where they stand as a key in a URL.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        long_ones = [secret for secret in secrets if len(secret) >= SHORTEST_KEY]
        spellings = {text for secret in long_ones for text in (secret, quote(secret, safe=""))}
        # The longest first: where one key begins with another, the rest of it would stay.
        ordered = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def clean(self, text: str) -> str:
        """`text` without secrets."""
        text = _KEY_IN_URL.sub(rf"\1{MASK}", text)
        if self._pattern:
            return self._pattern.sub(MASK, text)
        return text


class RedactingFormatter(logging.Formatter):
    """Formats with another formatter, then cleans the whole line, traceback included, also of e-mail addresses."""

    def __init__(self, inner: logging.Formatter, redactor: Redactor) -> None:
        super().__init__()
        self._inner = inner
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """The cleaned line."""
        return _EMAIL.sub(MASK, self._redactor.clean(self._inner.format(record)))
