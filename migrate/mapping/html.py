"""The text of a piece of HTML, as a reader of the page would see it in one line.

**Source.** The HTML standard's parsing, by way of lexbor (selectolax). A text that only looks like HTML, as
`5<x and y>3`, holds no element of HTML and stays as it is.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

# elements within a line of text: none of them parts words
_INLINE = frozenset(
    str.split(
        "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark nobr q rp rt ruby s samp "
        "small span strike strong sub sup time tt u var wbr"
    )
)
_PARTING = frozenset(
    str.split(
        "address applet area article aside audio base basefont blink blockquote body br button canvas caption center "
        "col colgroup datalist dd details dialog dir div dl dt embed fieldset figcaption figure footer form frame "
        "frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html img input legend li link main map marquee menu meta "
        "meter nav noscript object ol optgroup option output p param picture pre progress search section select slot "
        "source summary svg table tbody td textarea tfoot th thead title tr track ul video"
    )
)
# what no reader sees
_HIDDEN = frozenset(str.split("script style template iframe noembed noframes xmp"))
_ELEMENTS = "|".join(sorted(_INLINE | _PARTING | _HIDDEN, key=len, reverse=True))
# attributes that stand without a value; any other word alone shows that `<b and c>` is no tag
_BARE = (
    "allowfullscreen|async|autofocus|autoplay|checked|compact|controls|default|defer|disabled|download|"
    "formnovalidate|hidden|inert|ismap|itemscope|loop|multiple|muted|nomodule|noshade|novalidate|nowrap|open|"
    "playsinline|readonly|required|reversed|selected"
)
_VALUE = r"""(?:"[^"]*"|'[^']*'|[^\s"'<>`]+)"""
_ATTRIBUTE = rf"""(?:[^\s"'<>/=]+\s*=\s*{_VALUE}|(?:{_BARE})(?=[\s/>]))"""
_NAME = rf"(?:(?:{_ELEMENTS})(?=[\s/>])|[a-z][a-z0-9]*:[a-z][a-z0-9]*)"
_TAG = rf"</?{_NAME}(?:[\s/]+{_ATTRIBUTE})*[\s/]*>"
_MARKUP = re.compile(
    rf"<!--.*?-->|<!doctype[^<>]*>|<\?xml[^<>]*\?>|{_TAG}", re.IGNORECASE | re.DOTALL
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# no text without one of these can change
SUSPECT = r"<[/!?A-Za-z]|&[#A-Za-z][A-Za-z0-9]{1,31};"
_TAG_NAME = re.compile("</?([A-Za-z][A-Za-z0-9]*)")


def strip_html(text: str) -> str:
    """The text between tags: words of different blocks apart, entities resolved, what no reader sees left out.

    **Guarantees.** A text without markup and entities comes back as it is, white space and all.
    """
    marks = list(_MARKUP.finditer(text))
    if not marks:
        return _resolve(text)
    # whatever is no markup is made text for the parser, so that it takes away nothing that a reader would miss
    pieces, at = [], 0
    for mark in marks:
        # a parser drops what stands where it may not, as a cell without its table: the words beside it stay apart
        gap = " " if _parts_words(mark.group()) else ""
        pieces += [_shield(text[at : mark.start()]), gap, mark.group(), gap]
        at = mark.end()
    parser = LexborHTMLParser("<body>" + "".join([*pieces, _shield(text[at:])]))
    if parser.body is None:
        return ""
    found: list[str] = []
    _gather(parser.body, found)
    return " ".join("".join(found).split())


def _parts_words(markup: str) -> bool:
    name = _TAG_NAME.match(markup)
    return name is not None and name.group(1).lower() in _PARTING


def _resolve(text: str) -> str:
    """The text with its entities resolved; an `&` that begins none stays."""
    if not _ENTITY.search(text):
        return text
    parser = LexborHTMLParser("<textarea>\n" + _shield(text))
    area = parser.css_first("textarea")
    return text if area is None else area.text(deep=True)


def _shield(text: str) -> str:
    pieces, at = [], 0
    for entity in _ENTITY.finditer(text):
        pieces += [_escape(text[at : entity.start()]), entity.group()]
        at = entity.end()
    return "".join([*pieces, _escape(text[at:])])


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _gather(node: LexborNode, found: list[str]) -> None:
    """The texts under a node, in order. A loop and a stack: a page may be nested deeper than Python may call."""
    stack = [node]
    while stack:
        this = stack.pop()
        if this.tag == "-text":
            found.append(this.text_content or "")
        elif this.tag not in _HIDDEN and this.tag != "-comment":
            stack.extend(reversed(_children(this)))


def _children(node: LexborNode) -> list[LexborNode]:
    children, child = [], node.child
    while child is not None:
        children.append(child)
        child = child.next
    return children
