"""What functions of `apply` make of one text: e-mail addresses, phone numbers, HTML; and texts that stand for nobody.

**Source.** E-mail: RFC 5321, 5322 and 6531 by way of email-validator, without asking any name server: letters of
every script on both sides of the @, quoted local parts; no names beside the address, no addresses of machines.
Phone: Google's libphonenumber by way of phonenumbers, to E.164 where what was sent can be only one number. It reads a
number without `+` as one of the country, even where it begins with that country's own code: 4917612345678 would become
+49 49 17612345678, which nobody has.
HTML: the standard's parsing, by way of lexbor (selectolax), to what a reader of the page would see in one line. A text
that only looks like HTML, as `5<x and y>3`, holds no element of HTML and stays as it is.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

# characters that show nothing: zero widths, marks of direction, soft hyphens, byte order marks
INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# addresses that need no library to be told: nearly all, and many times faster; no dots that stand wrong
PLAIN = (
    rf"^[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+)*@(?:{_LABEL}\.)+"
    r"[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z]$"
)
# two dashes in these places are kept for encoded names, which the library reads
ENCODED = r"@(?:.*\.)?[^@.]{2}--"
LONGEST, LONGEST_LOCAL = 254, 64
NOT_A_NUMBER = "not_a_phone_number"
AMBIGUOUS = "ambiguous_phone_number"
# what phonenumbers reads as the digits on the keys of a telephone: "020 Kantoor" would become a number nobody gave
_KEYED_WORD = re.compile(r"[^+\uff0b\d]*[+\uff0b\d](?:[^;]*?[A-Za-z]){3}")
_INTERNATIONAL = re.compile(r"\s*(?:\(\s*)?[+\uff0b]")


def read_email(text: str) -> str | None:
    """The address without its invisible characters, otherwise as it is; None for what is none."""
    from email_validator import EmailNotValidError, validate_email

    address = re.sub(f"[{INVISIBLE}]", "", text)
    try:
        validate_email(
            address,
            check_deliverability=False,
            allow_quoted_local=True,
            allow_smtputf8=True,
            test_environment=True,
            strict=True,
        )
    except EmailNotValidError:
        return None
    return address


def read_phone(text: str, region: str) -> tuple[str | None, str | None]:
    """The number as E.164, or the rule it breaks.

    A number with `+` says its country. One without is read as of the region, and where its digits begin with the
    region's calling code, or with 00, also as if a `+` stood before them: two different valid numbers are ambiguous.
    """
    if _KEYED_WORD.match(text):
        return None, NOT_A_NUMBER
    national = _valid(text, region)
    if _INTERNATIONAL.match(text):
        return (national, None) if national else (None, NOT_A_NUMBER)
    whole = _valid(_with_plus(text, region), region)
    if national and whole and national != whole:
        return None, AMBIGUOUS
    number = national or whole
    return (number, None) if number else (None, NOT_A_NUMBER)


def refuse_region(region: object) -> str | None:
    """What is wrong with a region, or None."""
    import phonenumbers

    if region in phonenumbers.SUPPORTED_REGIONS:
        return None
    return (
        f"`phone` wants a country as two capital letters, as in `phone: NL`; {region!r} is not one"
    )


def _with_plus(text: str, region: str) -> str:
    """The text as an international number where it can be one without its `+`, else ''."""
    import phonenumbers

    plain = text.split(";", maxsplit=1)[0]
    digits = "".join(str(int(char)) for char in plain if char.isdecimal())
    code = str(phonenumbers.country_code_for_region(region))
    if digits.startswith("00"):
        return "+" + digits[2:]
    return "+" + digits if digits.startswith(code) else ""


def _valid(text: str, region: str) -> str | None:
    import phonenumbers

    if not text:
        return None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


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
    texts: list[str] = []
    _gather(parser.body, texts)
    return " ".join("".join(texts).split())


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


def _gather(node: LexborNode, texts: list[str]) -> None:
    """The texts under a node, in order. A loop and a stack: a page may be nested deeper than Python may call."""
    stack = [node]
    while stack:
        this = stack.pop()
        if this.tag == "-text":
            texts.append(this.text_content or "")
        elif this.tag not in _HIDDEN and this.tag != "-comment":
            stack.extend(reversed(_children(this)))


def _children(node: LexborNode) -> list[LexborNode]:
    children, child = [], node.child
    while child is not None:
        children.append(child)
        child = child.next
    return children


_ROLES = (
    "info|infos|contact|contacts|hello|hi|mail|email|e-mail|sales|support|service|office|admin|administrator|webmaster|"
    "postmaster|root|klantenservice|a+"
)
"""Mailboxes that are read by somebody, and that two records of one company may well share."""
_NOBODYS = (
    r"no-?_?reply|do-?_?not-?_?reply|none|nobody|no[-_]?e?-?mail|no|na|n-a|null|unknown|anonymous|anonym|guest|"
    r"klant|geen|geen[-_]?e?-?mail|onbekend|test|tests|tester|dummy|example|fake|abc|asdf|qwerty|x+|1+"
)
"""Mailboxes that nobody reads, as shops and people write them where a form insists on an address."""
_WORDS = (
    r"n/?a|n\.a\.?|n\.v\.t\.?|nvt|none|\(none\)|null|nil|nan|undefined|empty|unknown|onbekend|unbekannt|inconnu|"
    r"geen|leeg|keine?|leer|aucun|vide|anonym(?:ous|e)?|anoniem|guest|gast|test|dummy|tbd|"
    r"[-‐-―]+|\.+|_+|\*+|x+|\?+|(?:0[ /.-]?)+"
)
_NUMBERS = r"\+?\d{0,3}[ ()-]*0{6,}|\+?(?:0?123456\d*|1{6,}|9{6,})"
_NOWHERE = r".*@(?:localhost|invalid)"
PLACEHOLDER = (
    rf"(?i)^\s*(?:{_WORDS}|1+|(?:{_ROLES}|{_NOBODYS})(?:\+[^@]*)?@.*|{_NOWHERE}|{_NUMBERS})\s*$"
)
"""What people and shops write where a form insists on a value: `info@…`, `noreply@…`, `n/a`, `-`, `0000000`."""

_NOBODY = rf"(?:{_WORDS}|1{{4,}}|(?:{_NOBODYS})(?:\+[^@]*)?@[^\"]*|{_NOWHERE}|{_NUMBERS})"
_PREFIX = r"(?:[^:|\"@]*[:|])?"
NOBODY = (
    rf"(?i)^\s*(?:{_NOBODY}|{_PREFIX}(?:{_WORDS}))\s*$|"
    rf'^\[(?:.*,)?"\s*(?:{_NOBODY})\s*"(?:,.*)?\]$'
)
"""A key that stands for nobody: of one column, of a source and an id, or one of several columns.

Narrower than `PLACEHOLDER`: the shared mailbox of a company (`info@…`) is one customer with more than one record.
"""
