"""E-mail addresses: what is one, and what only looks different from one.

**Source.** RFC 5321, 5322 and 6531 by way of email-validator, without asking any name server: letters of
every script on both sides of the @, quoted local parts; no names beside the address, no addresses of machines.
"""

from __future__ import annotations

import re

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
