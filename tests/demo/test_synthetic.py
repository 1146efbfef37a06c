"""The made-up retailer: repeatable, sums that hold, and the traps it is made for."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from migrate.demo.data import RESOURCES, Revenue
from migrate.demo.sums import NO_DATE
from migrate.demo.synthetic import Synthetic, build_synthetic

INT32 = 2**31 - 1
DECODER = msgspec.json.Decoder(float_hook=Decimal)


@pytest.fixture(scope="module")
def data() -> Synthetic:
    return build_synthetic()


def _decode(data: Synthetic, resource: str) -> list[dict[str, Any]]:
    return [DECODER.decode(record) for record in data.records(resource)]


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _amount(conversion: dict[str, Any]) -> Decimal | None:
    total = str(conversion["total"])
    return Decimal(total) if re.fullmatch(r"[0-9.]+", total) else None


def test_as_many_records_come_out_as_are_counted(data: Synthetic) -> None:
    """The size is that of a small shop, so that a rehearsal takes seconds."""
    counts = {resource: len(_decode(data, resource)) for resource in RESOURCES}
    assert counts == data.counts()
    assert counts == {
        "profiles": 1_200,
        "content_categories": 40,
        "content_items": 400,
        "sales": 1_500,
        "interactions": 2_500,
    }


def test_the_same_seed_gives_the_same_bytes_in_another_process(data: Synthetic) -> None:
    """Nothing depends on the clock, on hashes of the process or on the machine."""
    ours = hashlib.sha256(
        b"".join(b"".join(data.records(resource)) for resource in RESOURCES)
    ).hexdigest()
    program = """
import hashlib
from migrate.demo.data import RESOURCES
from migrate.demo.synthetic import build_synthetic
data = build_synthetic()
print(hashlib.sha256(b"".join(b"".join(data.records(resource)) for resource in RESOURCES)).hexdigest())
"""
    theirs = subprocess.run(
        [sys.executable, "-c", program],
        env={
            "PYTHONHASHSEED": "7",
            "TZ": "Pacific/Apia",
            "PYTHONPATH": ":".join(filter(None, sys.path)),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert theirs.stdout.strip() == ours


def test_another_seed_gives_other_data(data: Synthetic) -> None:
    """The seed is used."""
    assert list(build_synthetic(3).records("sales")) != list(data.records("sales"))


def test_identities_are_unique(data: Synthetic) -> None:
    """No record replaces another when it is fed."""
    for resource, fields in {
        "profiles": ("profileid",),
        "content_categories": ("itemid", "categoryid"),
        "content_items": ("itemid",),
        "sales": ("conversionid",),
        "interactions": ("interactionid",),
    }.items():
        records = _decode(data, resource)
        ids = {
            (record["source"], str(next(record[name] for name in fields if name in record)))
            for record in records
        }
        assert len(ids) == len(records), resource


def test_the_revenue_is_the_sum_of_the_totals_that_are_numbers(data: Synthetic) -> None:
    """Two ways to the same amounts: what the generator added up, and what the JSON says."""
    months: defaultdict[str, Decimal] = defaultdict(Decimal)
    for record in _decode(data, "sales"):
        conversion = record["conversion"]
        amount = _amount(conversion)
        if amount is not None:
            moment = conversion.get("created") or conversion["created_at"]
            months[moment[:7] if _is_moment(moment) else NO_DATE] += amount
    assert [
        Revenue(month, "EUR", amount) for month, amount in sorted(months.items())
    ] == data.revenue()
    assert len(months) == 24 + 1


def test_the_totals_are_what_their_parts_add_up_to(data: Synthetic) -> None:
    """The shop that sends its sums sends such as agree: goods, tax and shipping, less the discount."""
    discounts = set()
    for record in _decode(data, "sales"):
        conversion = record["conversion"]
        if record["source"] == "Prestashop-1":
            parts = [conversion[part] for part in ("subtotal", "tax", "shipping")]
            assert sum(parts) - conversion["discount"] == conversion["total"]
            discounts.add(conversion["discount"])
    assert len(discounts) > 10


def test_no_sale_changes_its_month_with_the_zone(data: Synthetic) -> None:
    """Read as the local time of any shop of Europe, every sale stays in its month in UTC."""
    for zone in ("Europe/London", "Europe/Amsterdam", "Europe/Helsinki"):
        for record in _decode(data, "sales"):
            text = record["conversion"].get("created") or record["conversion"]["created_at"]
            if _is_moment(text):
                local = datetime.fromisoformat(text.removesuffix("Z")).replace(
                    tzinfo=ZoneInfo(zone)
                )
                assert f"{local.astimezone(ZoneInfo('UTC')):%Y-%m}" == text[:7]


def test_the_events_are_those_of_the_records(data: Synthetic) -> None:
    """All interactions count, also the one whose date is broken."""
    events: defaultdict[str, int] = defaultdict(int)
    for record in _decode(data, "interactions"):
        events[record["interaction"]["event"]] += 1
    assert events == data.event_counts()
    assert list(data.event_counts()) == ["click", "open"]


def test_nine_values_are_broken_and_no_more(data: Synthetic) -> None:
    """A rehearsal shows a handful of rejects, not hundreds."""
    broken = []
    for record in _decode(data, "profiles"):
        profile = record["profile"]
        broken += [
            profile[field]
            for field in ("created", "created_at")
            if not _is_moment(profile.get(field, "2023-01-01"))
        ]
        born = profile.get("dateofbirth", "0000-00-00")
        broken += [born] if born != "0000-00-00" and not _is_moment(born) else []
        consents = [
            str(profile[field]).lower() for field in ("optin", "newsletter") if field in profile
        ]
        broken += [
            consent
            for consent in consents
            if consent not in ("", "0", "1", "yes", "no", "true", "false")
        ]
    for record in _decode(data, "content_items"):
        price = str(record["item"]["price"])
        broken += (
            []
            if re.fullmatch(r"[0-9]+(\.[0-9]+)?|[0-9]{1,3}(\.[0-9]{3})*,[0-9]{2}", price)
            else [price]
        )
    for record in _decode(data, "sales"):
        conversion = record["conversion"]
        broken += [conversion] if _amount(conversion) is None else []
        broken += (
            []
            if _is_moment(conversion.get("created") or conversion["created_at"])
            else [conversion]
        )
        numbers = [
            str(item[field]) for item in conversion["items"] for field in ("price", "quantity")
        ]
        broken += [number for number in numbers if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", number)]
    moments = [record["interaction"]["datetime"] for record in _decode(data, "interactions")]
    broken += [moment for moment in moments if not _is_moment(moment)]
    assert len(broken) == 9


def test_every_address_belongs_to_nobody(data: Synthetic) -> None:
    """Only domains that are reserved for examples."""
    text = b"".join(b"".join(data.records(resource)) for resource in RESOURCES).decode()
    domains = {match.lower() for match in re.findall(r"@([A-Za-z.]+)", text)}
    assert domains == {"example.com", "example.org", "example.net"}


def test_profiles_hold_the_traps_of_their_systems(data: Synthetic) -> None:
    """Colons in ids, sync states, zero dates, consent as number, text, word or not at all."""
    by_source: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in _decode(data, "profiles"):
        by_source[record["source"]].append(record)
    magento = by_source["Magento 2"]
    assert all(record["profileid"].count(":") == 2 for record in magento)
    assert all(
        {"newsletter", "optin", "created"}.isdisjoint(record["profile"]) for record in magento
    )
    assert "Synced" in {record["profile"]["status"] for record in magento}
    shop = [record["profile"] for record in by_source["Prestashop-1"]]
    assert {0, 1, "0", "1"} == {profile["optin"] for profile in shop}
    assert "0000-00-00" in {profile["dateofbirth"] for profile in shop}
    mailing = [record["profile"] for record in by_source["MailChimp"]]
    assert {"yes", "no", "", "maybe", None} == {profile.get("optin") for profile in mailing}
    emails = [record["profile"]["email"].lower() for record in _decode(data, "profiles")]
    assert len(set(emails)) < len(emails)


def test_sales_hold_the_traps_of_their_systems(data: Synthetic) -> None:
    """Two spellings of a source, three schemes of ids, numbers as text, and ids of another type than the profile's."""
    sales = _decode(data, "sales")
    ids = {record["conversionid"] for record in sales if record["source"].startswith("Magento")}
    assert {"Magento 2", "Magento2"} < {record["source"] for record in sales}
    assert any(isinstance(one, int) for one in ids)
    assert any(str(one).startswith("000") for one in ids)
    assert any(isinstance(one, str) and int(one) > INT32 for one in ids)
    profiles = {(record["source"], record["profileid"]) for record in _decode(data, "profiles")}
    for record in sales:
        conversion = record["conversion"]
        source = "Magento 2" if record["source"] == "Magento2" else record["source"]
        customer = conversion.get("profileid", conversion.get("profile_id"))
        assert customer is None or (source, str(customer)) in profiles
        assert isinstance(customer, int) == (source == "Prestashop-1")


def test_products_hold_the_traps_of_their_systems(data: Synthetic) -> None:
    """Decimal commas, long floats, the same id in two languages, '' for missing, markup, emoji, ids as numbers."""
    items = _decode(data, "content_items")
    prices = {str(record["item"]["price"]) for record in items}
    assert any("," in price and "." in price for price in prices)
    assert any(len(price) > 14 for price in prices)
    assert {"Prestashop-1-NL", "Prestashop-1-FR"} < {record["source"] for record in items}
    assert any(record["item"].get("stock") == "" for record in items)
    assert any("<p>" in record["item"].get("description", "") for record in items)
    assert any("🦊" in record["item"]["name"] for record in items)
    assert any(isinstance(record["itemid"], int) for record in items)
    names = [
        record.get("item", record.get("category"))["name"]
        for record in _decode(data, "content_categories")
    ]
    assert any(" > >" in name for name in names)


def test_some_interactions_belong_to_nobody(data: Synthetic) -> None:
    """A subscriber may be gone while the clicks remain."""
    profiles = {(record["source"], record["profileid"]) for record in _decode(data, "profiles")}
    records = _decode(data, "interactions")
    orphans = [
        one for one in records if (one["source"], one["interaction"]["profileid"]) not in profiles
    ]
    assert len(orphans) == 50
