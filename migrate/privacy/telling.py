"""Which values say who somebody is: long enough to be looked for, and nobody else's."""

from __future__ import annotations

import re
from collections.abc import Iterable

from migrate.privacy.leaves import Leaf
from migrate.privacy.spellings import fold

_SHORTEST = 4
_FEWEST_DIGITS = 6
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
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
    found = set()
    for text in texts:
        trimmed = text.strip()
        is_form = (
            is_email(trimmed)
            or _HEX.fullmatch(trimmed.lower())
            or (_PHONE.fullmatch(trimmed) and not _MOMENT.fullmatch(trimmed))
        )
        if is_findable(trimmed) and (is_form or any(value in fold(trimmed) for value in folded)):
            found.add(text)
    return found


def _is_plain(leaf: Leaf) -> bool:
    """Whether a value is a moment or an amount, which tells nothing alone; a date of birth does."""
    trimmed = leaf.text.strip()
    if _MOMENT.fullmatch(trimmed):
        return not _BIRTH.search(leaf.name)
    has_fraction = _AMOUNT.fullmatch(trimmed) and not trimmed.isdigit()
    return bool(has_fraction)
