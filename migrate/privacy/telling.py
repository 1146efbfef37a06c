"""Which values say who somebody is: long enough to be looked for, and nobody else's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from migrate.privacy.leaves import Leaf
from migrate.privacy.spellings import fold

_SHORTEST = 4
_FEWEST_DIGITS = 6
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
# A field that says whose address it is says so by its name: `customer_email`, `E-mailadres`, `courriel2`. With anybody
# else's word in it (`employee_email`, `invited_by_mail`) it may be another person's.
_OWN_WORDS = (
    "customer|client|buyer|user|contact|subscriber|member|profile|person|personal|private|primary|secondary|main|home"
    "|work|business|login|account|alternative|alternate|other|old|new|previous|sent|hashed"
)
_OWN_MAIL = re.compile(
    rf"(?:{_OWN_WORDS})*(?:e?mails?|e?mailaddress(?:es)?|e?mailadres(?:sen)?|e?mailadresse|adresse?e?mail|courriel|correo)"
    r"(?:hash|hashed|md5|sha1|sha256|sha512|lower|normalized)?[0-9]*"
)
_TOO = {
    # who pays for an order, and whom a mail went to, is a person of the record as well
    "sales": re.compile(r"billing|invoice|order|payer|payment"),
    "interactions": re.compile(r"recipient|receiver|rcpt|^to$"),
}
_OWN_OBJECTS = re.compile(
    rf"(?:{_OWN_WORDS}|metadata|data|attributes?|custom|fields?|customfields|mergefields|mergevars|properties|details"
    r"|contactdetails|info|identity|identities|personalia|e?mails?|addresses|address)*[0-9]*"
)
_SIGNS = re.compile(r"[^a-z0-9]")
_AMOUNT = re.compile(r"[-+]?\d+([.,]\d{1,6})?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([ T].*)?")
_BIRTH = re.compile(r"(?i)birth|dob|geboorte|naissance|geburt")
_OF_A_PERSON = re.compile(
    r"(?i)id$|mail|name|phone|mobile|tel|address|street|zip|postal|postcode|iban|vat|^ip$|_ip$|note|remark|comment"
)
_HEX = re.compile(r"[0-9a-f]{16,128}")
_PHONE = re.compile(r"\+?[\d ()/-]{7,24}")


def is_email(text: str) -> bool:
    """Whether a text is an address and nothing else."""
    return _EMAIL.fullmatch(text.strip()) is not None


def is_own_mail(names: Sequence[str], resource: str = "profiles") -> bool:
    """Whether a field, by its name and those of the objects around it, holds the address of whom the record is of.

    `resource`: of an order it is also the address of who pays, of an interaction that of whom something was sent to.
    """
    plain = [_SIGNS.sub("", fold(name)) for part in names for name in part.split(".")]
    *objects, own = plain or [""]
    if resource in _TOO:
        objects = [_TOO[resource].sub("", name) for name in objects]
        own = _TOO[resource].sub("", own) or ("email" if resource == "interactions" and own else "")
    return _OWN_MAIL.fullmatch(own) is not None and all(map(_OWN_OBJECTS.fullmatch, objects))


def is_findable(text: str) -> bool:
    """Whether a text is long and odd enough that finding it elsewhere means something."""
    trimmed = text.strip()
    if len(trimmed) < _SHORTEST:
        return False
    if any(char.isalpha() for char in trimmed):
        return True
    return sum(char.isdigit() for char in trimmed) >= _FEWEST_DIGITS


def values_of_profile(leaves: Iterable[Leaf]) -> set[str]:
    """What one of the person's profiles says that could tell who it is: all of it but amounts and plain moments."""
    return {leaf.text for leaf in leaves if is_findable(leaf.text) and not _is_plain(leaf)}


def values_of_event(leaves: Iterable[Leaf]) -> set[str]:
    """What a sale or an interaction of the person says of them: not what was bought, which others buy as well."""
    named = [leaf for leaf in leaves if not leaf.in_list and _OF_A_PERSON.search(leaf.name)]
    return {leaf.text for leaf in named if is_findable(leaf.text) and not _is_plain(leaf)}


def values_of_row(texts: Iterable[str], known: Iterable[str]) -> set[str]:
    """What a row made of the person's records says in a new form: hashes, numbers written anew, texts joined."""
    folded = [fold(value) for value in known]
    values = set()
    for text in texts:
        trimmed = text.strip()
        is_form = (
            is_email(trimmed)
            or _HEX.fullmatch(trimmed.lower())
            or (_PHONE.fullmatch(trimmed) and not _MOMENT.fullmatch(trimmed))
        )
        if is_findable(trimmed) and (is_form or any(value in fold(trimmed) for value in folded)):
            values.add(text)
    return values


def _is_plain(leaf: Leaf) -> bool:
    """Whether a value is a moment or an amount, which tells nothing alone; a date of birth does."""
    trimmed = leaf.text.strip()
    if _MOMENT.fullmatch(trimmed):
        return not _BIRTH.search(leaf.name)
    has_fraction = _AMOUNT.fullmatch(trimmed) and not trimmed.isdigit()
    return bool(has_fraction)
