"""Field names that mean something to whoever proposes a mapping.

**Source.** What the shop plug-ins for Magento and PrestaShop send, and the documents' examples.
"""

from __future__ import annotations

import re

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
