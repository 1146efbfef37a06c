"""The text that a reader of a piece of HTML sees, the verifier's own walk over the parsed page.

**Source**: docs/mapping.md, `strip_html`; the HTML standard's parsing by way of lexbor.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser

# By name, as the standard lists them: `<jan@example.com>` and `a <b` are what a person wrote, and no tags.
_LINE = set(
    str.split(
        "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark nobr q rp rt ruby s samp "
        "small span strike strong sub sup time tt u var wbr"
    )
)
_BLOCKS = set(
    str.split(
        "address applet area article aside audio base basefont blink blockquote body br button canvas caption center "
        "col colgroup datalist dd details dialog dir div dl dt embed fieldset figcaption figure footer form frame "
        "frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html img input legend li link main map marquee menu meta "
        "meter nav noscript object ol optgroup option output p param picture pre progress search section select slot "
        "source summary svg table tbody td textarea tfoot th thead title tr track ul video"
    )
)
_UNSEEN = set(str.split("script style template iframe noembed noframes xmp"))
_FLAGS = set(
    str.split(
        "allowfullscreen async autofocus autoplay checked compact controls default defer disabled download "
        "formnovalidate hidden inert ismap itemscope loop multiple muted nomodule noshade novalidate nowrap open "
        "playsinline readonly required reversed selected"
    )
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});", re.ASCII)
_OPENING = re.compile(
    r"</?([a-z][a-z0-9]*(?::[a-z][a-z0-9]*)?)(?=[\s/>])", re.IGNORECASE | re.ASCII
)
_OTHER = re.compile(r"<!--.*?-->|<!doctype[^<>]*>|<\?xml[^<>]*\?>", re.IGNORECASE | re.DOTALL)
_ATTRIBUTE = re.compile(r"""[\s/]+([^\s"'<>/=]+)(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>`]+))?""")
_END = re.compile(r"[\s/]*>")


def text_of_html(text: str) -> str:
    """The text between the tags; a text without markup keeps its white space."""
    pieces = []
    has_markup = False
    at = 0
    plain_from = 0
    while (at := text.find("<", at)) >= 0:
        end = _markup_end(text, at)
        if end is None:
            at += 1
            continue
        # the words on both sides of a block are two, whether or not the parser finds a place for its tag
        name = _OPENING.match(text, at)
        if name and name.group(1).lower() in _BLOCKS:
            around = " "
        else:
            around = ""
        pieces += [_as_text(text[plain_from:at]), around + text[at:end] + around]
        has_markup, plain_from, at = True, end, end
    pieces.append(_as_text(text[plain_from:]))
    if not has_markup:
        return _entities_only(text)
    body = LexborHTMLParser("<body>" + "".join(pieces)).body
    if body is not None:
        return " ".join("".join(_texts(body)).split())
    return ""


def _markup_end(text: str, at: int) -> int | None:
    """Where the tag or comment that begins here ends; None where it is text."""
    other = _OTHER.match(text, at)
    if other:
        return other.end()
    opening = _OPENING.match(text, at)
    if opening is None:
        return None
    name = opening.group(1).lower()
    if ":" not in name and name not in _LINE | _BLOCKS | _UNSEEN:
        return None
    at = opening.end()
    while True:
        closing = _END.match(text, at)
        if closing:
            return closing.end()
        attribute = _ATTRIBUTE.match(text, at)
        if attribute is None:
            return None
        is_bare = "=" not in attribute.group()
        # A bare word that is no flag shows a sentence with signs in it, and not a tag.
        if is_bare and attribute.group(1).lower() not in _FLAGS:
            return None
        at = attribute.end()


def _as_text(text: str) -> str:
    pieces = []
    at = 0
    for entity in _ENTITY.finditer(text):
        pieces += [
            text[at : entity.start()].replace("&", "&amp;").replace("<", "&lt;"),
            entity.group(),
        ]
        at = entity.end()
    return "".join([*pieces, text[at:].replace("&", "&amp;").replace("<", "&lt;")])


def _entities_only(text: str) -> str:
    if not _ENTITY.search(text):
        return text
    # The parser takes the line break behind this tag away; without one it would take the text's own.
    area = LexborHTMLParser("<textarea>\n" + _as_text(text)).css_first("textarea")
    return area.text(deep=True) if area is not None else text


def _texts(node: object) -> list[str]:
    """All texts below a node that a reader sees, in order."""
    texts: list[str] = []
    # A stack instead of recursion: markup may be nested deeper than Python likes to call.
    waiting: list[object] = [node]
    while waiting:
        this = waiting.pop()
        tag = getattr(this, "tag", None)
        if tag == "-text":
            texts.append(str(getattr(this, "text_content", None) or ""))
        elif tag != "-comment" and tag not in _UNSEEN:
            child = getattr(this, "last_child", None)
            while child is not None:
                waiting.append(child)
                child = child.prev
    return texts
