"""Regular expressions of a mapping: the part that reads the same everywhere and takes linear time everywhere.

No look-around, no groups with a name or a flag, no references back. `\\d`, `\\w` and `\\s` mean ASCII's. A point is any
character, a line end too; `$` is the very end.
"""

from __future__ import annotations

import re

WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + "\u2028\u2029\u202f\u205f\u3000"
)
"""What Unicode calls white space. Python's own `strip` and `\\s` take four control characters more."""
# RE2, which DuckDB uses, takes no more; repeats in one another multiply.
MAX_REPEATED = 1000
_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": r" \t\n\r\f\v"}
_TOKEN = re.compile(
    r"(?P<class>\\[dDwWsS])|(?P<escaped>\\[.\\+*?()\[\]{}|^$/\-])"
    r"|(?P<set>\[\^?(?:[^\[\]\\&~\-]|\\[dws.\\\[\]\-^]|[A-Za-z0-9]-[A-Za-z0-9]|-(?=\]))+\])"
    r"|(?P<times>\{(?P<least>[0-9]{1,4})(?P<comma>,(?P<most>[0-9]{0,4}))?\})|(?P<repeat>[*+?])"
    r"|(?P<open>\((?!\?))|(?P<close>\))|(?P<or>\|)|(?P<anchor>[\^$])|(?P<plain>[^\\\[\]{}()*+?|^$])"
)
_REPEATS = frozenset({"times", "repeat"})


class PatternRefused(ValueError):
    """What in a pattern is not read."""


def check_pattern(pattern: str) -> None:
    """Raises PatternRefused for a pattern beyond the part that reads the same everywhere."""
    opened: list[int] = []
    before = "open"
    repeated = 1
    at = 0
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None or token.lastgroup is None:
            raise PatternRefused(
                f"the pattern at {pattern[at : at + 10]!r} is not read; plain sets and groups are"
            )
        kind = _kind(token)
        if kind in _REPEATS:
            if before in {"open", "or", "anchor"} or before in _REPEATS:
                raise PatternRefused(f"the pattern repeats nothing at {pattern[at : at + 10]!r}")
            repeated = _count(token, repeated)
        elif kind == "open":
            opened.append(at)
        elif kind == "close":
            if not opened:
                raise PatternRefused("the pattern closes a bracket that was not opened")
            opened.pop()
        before = kind
        at = token.end()
    if opened:
        raise PatternRefused("the pattern does not close a bracket")


def _kind(found: re.Match[str]) -> str:
    return next(name for name in _KINDS if found.group(name) is not None)


_KINDS = ("class", "escaped", "set", "times", "repeat", "open", "close", "or", "anchor", "plain")


def _count(found: re.Match[str], repeated: int) -> int:
    if found.group("times") is None:
        return repeated
    least = int(found.group("least"))
    most = int(found.group("most") or least)
    if found.group("most") and most < least:
        raise PatternRefused(f"the pattern repeats at most {most} times and at least {least}")
    repeated *= max(most, least, 1)
    if repeated > MAX_REPEATED:
        raise PatternRefused(f"the pattern repeats more than {MAX_REPEATED} times")
    return repeated


def spelt_out(pattern: str) -> str:
    """A checked pattern in words that Rust's and RE2's engines read alike: each class as its characters."""
    pieces: list[str] = []
    for token in _TOKEN.finditer(pattern):
        text = token.group()
        if token.group("class"):
            inverted = "^" if text[1].isupper() else ""
            pieces.append(f"[{inverted}{_CLASSES[text[1].lower()]}]")
        elif token.group("set"):
            inner = re.sub(r"\\([dws])", lambda one: _CLASSES[one.group(1)], text[1:-1])
            pieces.append(f"[{inner}]")
        else:
            pieces.append(text)
    return "(?s)" + "".join(pieces)
