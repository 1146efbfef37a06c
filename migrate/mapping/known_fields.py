"""Field names that mean something to whoever proposes a mapping.

**Source.** What the shop plug-ins for Magento and PrestaShop send, and the documents' examples.

A name gives consent only where every word of it is known: unknown words may refuse, withdraw, date or count a consent,
and nobody can list them all. So the lists below hold what gives and what is neutral, never what refuses.

A name gives consent only where every word of it is known: unknown words may refuse, withdraw, date or count a consent,
and nobody can list them all. So the lists below hold what gives and what is neutral, never what refuses.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import chain

from migrate.names import ResourceName

DATASETS: dict[ResourceName, tuple[str, str, str]] = {
    "profiles": ("contacts", "contact_key", "profileid"),
    "content_items": ("products", "product_key", "itemid"),
    "content_categories": ("categories", "category_key", "categoryid"),
    "sales": ("orders", "order_key", "conversionid"),
    "interactions": ("interactions", "interaction_key", "interactionid"),
}

# the identity once more
IDENTITY_FIELDS: dict[ResourceName, frozenset[str]] = {
    "profiles": frozenset({"profileid", "profile_id"}),
    "content_items": frozenset({"itemid"}),
    "content_categories": frozenset({"itemid", "categoryid"}),
    "sales": frozenset({"conversionid", "increment_id"}),
    "interactions": frozenset({"interactionid"}),
}

BOOKKEEPING: dict[str, str] = {
    "objecttype": "says what kind of record it is, which is known",
    "itemtype": "says what kind of record it is, which is known",
    "update_msg": "Magento's plug-in: what its last synchronisation said",
    "update_attempts": "Magento's plug-in: how often it tried",
    "entity_id": "Magento's plug-in: number of its own row",
    "row_id": "Magento's plug-in: number of its own row",
    "address_id": "Magento's plug-in: number of its own row",
}

# what Magento's plug-in writes into `status`: how far its synchronisation is, nothing about the customer or order
SYNC_STATES = frozenset({"Queued for Update", "Synced", "Error", "Failed", "Skipped"})

# names that speak of a consent, of whatever kind: who maps one has to decide what it says
ABOUT_CONSENT = re.compile(
    r"newsletter|nieuwsbrief|infolettre|opt_?-?in|opt_?-?out|consent|subscri|toestemming|einwilligung|zustimmung|"
    r"suppress|no_?mail|unsub|afgemeld|abgemeldet|desinscri|désinscri",
    re.I,
)
BIRTHDAY = re.compile(
    r"birth|dob$|^dob|geboorte|geburt|naissance|anniversaire|verjaardag|nacimiento|nascita", re.I
)
TIME_NAME = re.compile(
    r"date|datum|time|_at$|_on$|created|updated|modified|timestamp|last_|since|until", re.I
)
# Magento's states of a subscription
MAGENTO_STATES = frozenset("1234")

# names and numbers for things, not numbers to count with
CODE = re.compile(
    r"(^|_|\.)(id|code|zip|zipcode|postcode|postal|phone|mobile|tel|telephone|fax|sku|ean|ean13|upc|isbn|gtin|nr|"
    r"number|vat|iban|bic|uid|uuid|guid|key)$|id$",
    re.I,
)
TIMES = ("updated", "updated_at", "created", "created_at", "datetime", "date")


# What is said by itself; several words stand as one phrase. English, Dutch, German, French.
_GIVING = (
    "newsletter", "subscribed", "optin", "opt in", "opted in", "consent", "consented",
    "nieuwsbrief", "toestemming", "einwilligung", "zustimmung", "eingewilligt", "einverständnis", "rundbrief",
    "werbeeinwilligung", "werbeerlaubnis", "consentement", "infolettre", "lettre d information",
)  # fmt: skip
# Somebody agreed, but to what? To terms, an account or a price as well: a consent only beside one of the topics.
_AGREEING = (
    "agreed", "agree", "accepts", "accepted", "accept", "allowed", "allows", "permission", "permitted",
    "akkoord", "aangemeld", "ingeschreven", "geabonneerd", "mag",
    "angemeldet", "abonniert", "zugestimmt", "einverstanden", "erlaubnis", "erlaubt",
    "inscrit", "inscrite", "abonné", "abonnée", "accord", "accepté", "acceptée", "autorisation", "accepte",
)  # fmt: skip
_TOPICS = (
    "marketing", "mailing", "email", "mail", "sms", "push", "whatsapp", "mailen", "benaderd",
    "reclame", "aanbiedingen", "werbung", "angebote", "publicité", "offres", "offers", "advertising", "promotions",
)  # fmt: skip
# Words that change nothing: who, through which channel. None says when, how often, where or why.
_NEUTRAL_ANYWHERE = (
    "e", "phone", "post", "commercial", "promotional", "general", "gdpr", "avg", "dsgvo", "rgpd", "third", "party",
    "partner", "partners", "confirmed", "explicit", "given", "active", "subscription", "status", "flag", "to",
    "the", "for", "of", "by", "via", "our", "own", "and", "is", "has",
    "bevestigd", "gegeven", "actief", "voor", "de", "het", "onze", "en", "worden",
    "bestätigt", "erteilt", "aktiv", "für", "den", "die", "das", "zum", "zur", "und", "per",
    "confirmé", "confirmée", "donné", "donnée", "actif", "pour", "la", "le", "les", "à", "au", "par", "et",
    "courriel", "courrier",
)  # fmt: skip
# Only before the word that gives: behind it they name a shop, a person or a number, `newsletter_store`.
_NEUTRAL_BEFORE = (
    "metadata", "attributes", "custom", "customfields", "preferences", "preference", "settings", "customer", "client",
    "user", "subscriber", "contact", "profile", "buyer", "wants", "want", "receive", "receives", "gives", "gave",
    "shop", "store", "website", "mailchimp", "magento", "shopify", "klaviyo", "prestashop", "datatrics",
    "heeft", "wil", "ontvangt", "ontvangen", "klant", "gebruiker",
    "hat", "ist", "möchte", "erhält", "kunde", "kundin", "a", "est", "veut", "reçoit", "cliente",
)  # fmt: skip
_GLUED = (
    "newsletter", "subscribed", "optin", "consent", "permission", "marketing", "email", "mail", "sms", "nieuwsbrief",
    "toestemming", "einwilligung", "zustimmung", "consentement", "akkoord", "accepts", "gdpr", "push", "whatsapp",
)  # fmt: skip
# The words alone that name a kind of answer, and no answer: a number under such a name is a code of its system.
_STATUS = frozenset({"status"})
# Words that refuse, withdraw or put off. They never make a consent; they only keep a yes from being read as one.
_REFUSING = (
    "no", "not", "non", "dont", "never", "without", "stop", "stopped", "block", "blocked", "blacklist", "blacklisted",
    "suppress", "suppressed", "suppression", "decline", "declined", "refuse", "refused", "reject", "rejected",
    "withdraw", "withdrawn", "withdrawal", "revoke", "revoked", "removed", "unsubscribe", "unsubscribed", "unsub",
    "out", "optout", "optedout", "cancel", "cancelled", "canceled", "bounced", "complained", "complaint", "spam",
    "pending", "unconfirmed", "objection", "objected", "denied", "deny", "disallow", "disallowed", "exclude",
    "excluded",
    "geen", "niet", "nooit", "afgemeld", "afmelding", "uitgeschreven", "opgezegd", "ingetrokken", "geweigerd",
    "weigert", "bezwaar", "geblokkeerd", "stopgezet", "zonder",
    "kein", "keine", "keinen", "nicht", "nie", "ohne", "abgemeldet", "abmeldung", "abbestellt", "abbestellung",
    "widerruf", "widerrufen", "widerspruch", "widersprochen", "abgelehnt", "ablehnung", "gesperrt", "sperre",
    "sans", "pas", "jamais", "refus", "refuse", "refusee", "desinscrit", "desinscrite", "desinscription", "desabonne",
    "desabonnee", "desabonnement", "retire", "retrait", "revoque", "opposition", "oppose", "bloque",
)  # fmt: skip
_CAMEL = re.compile(r"(?<=[a-zà-ÿ0-9])(?=[A-ZÀ-Þ])")
_BREAK = re.compile(r"[\W_]+")


def gives_consent(name: str) -> bool:
    """Whether a field of this name is known to say that somebody agreed.

    `metadata.newsletter_optin` is. A name with a word that is not known here is not: `newsletter_date`,
    `no_newsletter`, `optin_pending`, `mailing_country`.
    """
    words = words_of_name(name)
    anywhere, behind = _vocabulary()
    if not words or not anywhere.issuperset(words):
        return False
    giving_at = next((at for at in range(len(words)) if _begins_with_giving(words[at:])), None)
    if giving_at is not None:
        return behind.issuperset(words[giving_at:])
    return bool(set(words) & _folded(_AGREEING)) and bool(set(words) & _folded(_TOPICS))


def may_refuse(name: str) -> bool:
    """Whether a word of the name refuses, withdraws or puts off: its yes may be a no."""
    return bool(set(words_of_name(name)) & _folded(_REFUSING))


def _begins_with_giving(words: list[str]) -> bool:
    return any(words[: phrase.count(" ") + 1] == phrase.split() for phrase in _folded(_GIVING))


def is_status(name: str) -> bool:
    """Whether a name says that its values are the states of some system, as `newsletter_status`."""
    return bool(_STATUS & set(words_of_name(name)))


def words_of_name(name: str) -> list[str]:
    """The words of a field's name in small letters without accents: `metadata.acceptsMarketing` has three."""
    spaced = _BREAK.sub(" ", _CAMEL.sub(" ", unicodedata.normalize("NFC", name)))
    return list(chain.from_iterable(_unglue(_plain(word)) for word in spaced.split()))


@cache
def _vocabulary() -> tuple[frozenset[str], frozenset[str]]:
    """The words a name may have before the one that gives, and those behind it."""
    giving = frozenset(chain.from_iterable(phrase.split() for phrase in _folded(_GIVING)))
    behind = giving | _folded(_AGREEING) | _folded(_TOPICS) | _folded(_NEUTRAL_ANYWHERE)
    return behind | _folded(_NEUTRAL_BEFORE), behind


@cache
def _folded(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_plain, words))


def _plain(word: str) -> str:
    letters = unicodedata.normalize("NFKD", word.casefold())
    return "".join(char for char in letters if not unicodedata.combining(char))


def _unglue(word: str) -> list[str]:
    """`newsletteroptin` as its two words; a word that is not made of known ones alone stays whole."""
    if word in _vocabulary()[0]:
        return [word]
    words: list[str] = []
    rest = word
    while rest:
        head = next(
            (glued for glued in sorted(_GLUED, key=len, reverse=True) if rest.startswith(glued)),
            None,
        )
        if head is None:
            return [word]
        words.append(head)
        rest = rest[len(head) :]
    return words
