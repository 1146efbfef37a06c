"""What people and shops write where a form insists on a value: patterns of texts that stand for nobody."""

from __future__ import annotations

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
