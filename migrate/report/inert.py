"""The last line of defence for terminals: whole pages and JSON without a sign that is obeyed instead of shown.

What goes into a page is made inert where it is put in; this is for what somebody forgot.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    r"(?P<colour>\x1b\[(?:0|1|2|22|3[0-79]|9[0-7])m)"
    "|[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control, direction and invisible signs; apart, the colours and bold that this program gives itself."""


def inert_page(text: str) -> str:
    """A page of text for a terminal: its lines, colours and bold stay, every other such sign becomes its escape."""
    return _UNSAFE.sub(lambda match: match["colour"] or _escaped(match.group()), text)


def inert_text(text: str) -> str:
    """JSON or HTML with every such sign escaped, as JSON allows for any sign in a text."""
    return _UNSAFE.sub(lambda match: _escaped(match.group()), text)


def _escaped(signs: str) -> str:
    units = signs.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
