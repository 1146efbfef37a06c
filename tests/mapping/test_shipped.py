"""The shipped mappings against records as Magento, PrestaShop and the documents send them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from migrate.language.files import mapping_files
from migrate.mapping.files import read_mappings
from migrate.mapping.model import Mapping
from migrate.mapping.transform import Mapped, Settings, map_rows
from migrate.mapping.types import payloads

FOLDER = Path(__file__).parents[2] / "mappings"
ALIASES = Settings({"*": "UTC", "Prestashop-1": "Europe/Amsterdam"}, {"Magento2": "Magento 2"})


@pytest.fixture(scope="module")
def shipped() -> dict[str, Mapping]:
    """All shipped mappings."""
    return read_mappings(FOLDER)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, value in record.items():
        found[prefix + name] = _text(value)
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
    return found


def _snapshot(source: str, id_field: str, *records: dict[str, Any]) -> pl.DataFrame:
    flat = [_flat(record) for record in records]
    names = dict.fromkeys(name for record in flat for name in record)
    frame = {
        name: [record.get(name) for record in flat]
        for name in names
        if name not in {"_source", "_id"}
    }
    frame |= {
        "_source": [
            _text(r.get("source", r.get("metadata", {}).get("source", source))) for r in records
        ],
        "_id": [_text(r[id_field]) for r in records],
    }
    rows = pl.DataFrame(frame, schema=dict.fromkeys(frame, pl.String))
    return rows.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("_position"))


def _sent(mapping: Mapping, found: Mapped) -> list[dict[str, Any]]:
    assert found.rejected.rows() == []
    return [json.loads(text) for text in payloads(mapping, found.accepted)]


def _contacts(shipped: dict[str, Mapping]) -> pl.DataFrame:
    rows = _snapshot(
        "Magento 2",
        "profileid",
        {"profileid": "ab:cd:3_32_2_67108864", "source": "Magento 2"},
        {"profileid": "7", "source": "Prestashop-1"},
    )
    accepted = map_rows(shipped["contacts"], rows, {}, ALIASES).accepted
    return accepted.select(
        pl.col("_source").alias("source"), pl.col("_id").alias("id"), "contact_key"
    )


def _orders(shipped: dict[str, Mapping]) -> pl.DataFrame:
    rows = _snapshot("", "conversionid", {"conversionid": "9", "source": "tcj"})
    accepted = map_rows(shipped["orders"], rows, {"contact": _contacts(shipped)}, ALIASES).accepted
    return accepted.select(
        pl.col("_source").alias("source"), pl.col("_id").alias("id"), "order_key"
    )


def test_all_are_there_in_an_order_that_works(shipped: dict[str, Mapping]) -> None:
    """Each dataset has its mapping, contacts before those that look them up."""
    names = list(shipped)
    assert sorted(names) == [
        "categories", "consents", "contacts", "interactions", "order_items", "orders", "products"
    ]  # fmt: skip  # one line
    dependent = ("orders", "order_items", "interactions", "consents")
    assert all(names.index("contacts") < names.index(name) for name in dependent)
    assert names.index("orders") < names.index("order_items")
    assert all(
        "source" in mapping.columns and mapping.columns["source"].type == "text"
        for mapping in shipped.values()
    )


@pytest.mark.parametrize("file", mapping_files(FOLDER), ids=lambda file: file.name)
def test_editors_find_the_schema(file: Path) -> None:
    """Each file begins with the line by which editors find the JSON Schema."""
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=mapping.schema.json"


def test_documented_profile(shipped: dict[str, Mapping]) -> None:
    """The example of the documents: everything flat, zone-less times."""
    rows = _snapshot(
        "",
        "profileid",
        {
            "profileid": "de02c53b",
            "source": "MyWebshop",
            "objecttype": "profile",
            "created": "2016-05-18 13:47:00",
            "updated": "2016-05-18 13:47:00",
            "email": "Jan@Example.com ",
            "firstname": "Jan",
            "country": "The Netherlands",
            "gender": "Male",
            "lang": "NL",
            "dateofbirth": "1978-06-23",
            "zip": "01234",
        },
    )
    assert _sent(shipped["contacts"], map_rows(shipped["contacts"], rows, {}, ALIASES)) == [
        {
            "contact_key": "MyWebshop:de02c53b",
            "source": "MyWebshop",
            "profileid": "de02c53b",
            "email": "jan@example.com",
            "firstname": "Jan",
            "zip": "01234",
            "country": "The Netherlands",
            "lang": "nl",
            "gender": "male",
            "birthdate": "1978-06-23 00:00:00",
            "created_at": "2016-05-18 13:47:00",
            "updated_at": "2016-05-18 13:47:00",
        }
    ]


def test_shop_profiles(shipped: dict[str, Mapping]) -> None:
    """PrestaShop's 0 and 1, zero dates and local times; Magento's names of times, sync state and silence on consent."""
    rows = _snapshot(
        "",
        "profileid",
        {
            "profileid": "7",
            "source": "Prestashop-1",
            "newsletter": 1,
            "optin": "0",
            "dateofbirth": "0000-00-00",
            "status": "1",
            "created": "2020-07-01 12:00:00",
            "ip": "1.2.3.4",
        },
        {
            "profileid": "ab:cd",
            "source": "Magento 2",
            "created_at": "2023-07-01 12:00:00",
            "status": "Queued for Update",
            "entity_id": 5,
        },
    )
    shop, magento = _sent(shipped["contacts"], map_rows(shipped["contacts"], rows, {}, ALIASES))
    assert (shop["newsletter"], shop["optin"], shop["created_at"], shop["consent_ip"]) == (
        True,
        False,
        "2020-07-01 10:00:00",
        "1.2.3.4",
    )
    assert not {"birthdate", "status"} & set(shop)
    assert magento == {
        "contact_key": "Magento 2:ab:cd",
        "source": "Magento 2",
        "profileid": "ab:cd",
        "created_at": "2023-07-01 12:00:00",
    }


def test_two_identities_never_make_one_key(shipped: dict[str, Mapping]) -> None:
    """A colon or percent sign in source or id cannot make two profiles one contact."""
    pairs = [("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c"), ("a", "%3Ab:c")]
    rows = _snapshot(
        "", "profileid", *({"source": source, "profileid": number} for source, number in pairs)
    )
    assert map_rows(shipped["contacts"], rows, {}, ALIASES).accepted["_key"].n_unique() == len(
        pairs
    )


def test_content(shipped: dict[str, Mapping]) -> None:
    """Attributes at the top or under metadata, comma prices, long floats, '' for nothing."""
    rows = _snapshot(
        "",
        "id",
        {
            "id": "12",
            "name": "Wool",
            "metadata": {
                "source": "shop",
                "created": "2020-01-01 00:00:00",
                "price": "24,99",
                "stock": "",
            },
        },
        {
            "id": "12-34",
            "price": 12.099999999999998,
            "special_price": 0,
            "categories": [{"categoryid": "1"}],
            "metadata": {"source": "Magento 2"},
        },
        {
            "id": "1",
            "metadata": {
                "source": "tcj",
                "manufacturer_id": "2",
                "department": "GROCERY",
                "package_size": "22 OZ",
            },
        },
    )
    found = map_rows(shipped["products"], rows, {}, ALIASES)
    assert _sent(shipped["products"], found) == [
        {
            "product_key": "shop:12",
            "source": "shop",
            "itemid": "12",
            "name": "Wool",
            "price": 24.99,
            "created_at": "2020-01-01 00:00:00",
        },
        {
            "product_key": "Magento 2:12-34",
            "source": "Magento 2",
            "itemid": "12-34",
            "categories": '[{"categoryid": "1"}]',
            "price": 12.1,
            "special_price": 0,
        },
        {
            "product_key": "tcj:1",
            "source": "tcj",
            "itemid": "1",
            "manufacturer_id": "2",
            "department": "GROCERY",
            "package_size": "22 OZ",
        },
    ]
    assert found.losses["price"] == {"comma_replaced": 1, "rounded": 1}


def test_categories(shipped: dict[str, Mapping]) -> None:
    """Names stay whole, a tree is not guessed from them."""
    rows = _snapshot(
        "", "id", {"id": 5, "metadata": {"source": "Magento 2", "name": "Women > Shoes", "url": ""}}
    )
    found = map_rows(shipped["categories"], rows, {}, ALIASES)
    assert _sent(shipped["categories"], found) == [
        {
            "category_key": "Magento 2:5",
            "source": "Magento 2",
            "categoryid": "5",
            "name": "Women > Shoes",
        }
    ]


def test_sales_find_their_contact(shipped: dict[str, Mapping]) -> None:
    """Magento's profile_id under another name of its source, PrestaShop's number, a nested record, an unknown buyer."""
    rows = _snapshot(
        "",
        "conversionid",
        {
            "conversionid": "000000123",
            "source": "Magento2",
            "profile_id": "ab:cd:3_32_2_67108864",
            "total": "31.2200",
            "status": "Synced",
            "created_at": "2023-07-01 12:00:00",
            "updated_at": "2024-01-01 00:00:00",
        },
        {
            "conversionid": "3000000060",
            "source": "Prestashop-1",
            "profileid": 7,
            "total": 19.99,
            "created": "2020-07-01 12:00:00",
        },
        {
            "conversionid": "1",
            "source": "x",
            "metadata": {"profileid": "nobody", "created": "2020-04-28T14:08:45Z"},
            "goalid": -1,
        },
    )
    found = map_rows(shipped["orders"], rows, {"contact": _contacts(shipped)}, ALIASES)
    magento, shop, other = _sent(shipped["orders"], found)
    assert magento == {
        "order_key": "Magento2:000000123",
        "source": "Magento2",
        "conversionid": "000000123",
        "contact_key": "Magento 2:ab:cd:3_32_2_67108864",
        "profileid": "ab:cd:3_32_2_67108864",
        "total": 31.22,
        "created_at": "2023-07-01 12:00:00",
        "updated_at": "2024-01-01 00:00:00",
    }
    assert (shop["contact_key"], shop["profileid"], shop["total"]) == ("Prestashop-1:7", "7", 19.99)
    assert (other["goalid"], other["profileid"], other["created_at"], "contact_key" in other) == (
        "-1",
        "nobody",
        "2020-04-28 14:08:45",
        False,
    )
    assert found.orphans == {"contact": 1}


def test_lines(shipped: dict[str, Mapping]) -> None:
    """Two lines of one product stay two; quantities as decimals; discounts of real purchases to the cent."""
    items = [
        {"itemid": "SKU-1", "quantity": "1.0000", "price": 10, "total": 10},
        {"itemid": "SKU-1", "quantity": 1, "price": 0},
        {
            "id": 1029743,
            "quantity": 2,
            "price": 1.645,
            "total": 3.29,
            "retail_disc": 0.4,
            "coupon_disc": 0,
            "coupon_match_disc": 0,
        },
    ]
    rows = _snapshot(
        "",
        "conversionid",
        {"conversionid": "9", "source": "tcj", "items": items, "created": "2017-01-01 00:00:00"},
    )
    sent = _sent(
        shipped["order_items"],
        map_rows(
            shipped["order_items"],
            rows,
            {"contact": _contacts(shipped), "order": _orders(shipped)},
            ALIASES,
        ),
    )
    assert [line["order_item_key"] for line in sent] == ["tcj:9:1", "tcj:9:2", "tcj:9:3"]
    assert sent[0]["quantity"] == 1
    assert sent[2] == {
        "order_item_key": "tcj:9:3",
        "order_key": "tcj:9",
        "source": "tcj",
        "conversionid": "9",
        "position": 3,
        "itemid": "1029743",
        "quantity": 2,
        "price": 1.645,
        "total": 3.29,
        "retail_disc": 0.4,
        "coupon_disc": 0,
        "coupon_match_disc": 0,
        "created_at": "2017-01-01 00:00:00",
    }


def test_interactions(shipped: dict[str, Mapping]) -> None:
    """Everything under metadata; codes beyond int32 arrive as text."""
    metadata = {
        "datetime": "2017-03-01 10:00:00",
        "profileid": "7",
        "event": "redeem",
        "emailid": "987654321",
        "coupon_upc": 10000085364,
    }
    rows = _snapshot(
        "",
        "interactionid",
        {"interactionid": "1", "source": "Prestashop-1", "objecttype": "x", "metadata": metadata},
    )
    sent = _sent(
        shipped["interactions"],
        map_rows(shipped["interactions"], rows, {"contact": _contacts(shipped)}, ALIASES),
    )
    assert sent == [
        {
            "interaction_key": "Prestashop-1:1",
            "source": "Prestashop-1",
            "interactionid": "1",
            "contact_key": "Prestashop-1:7",
            "profileid": "7",
            "event": "redeem",
            "emailid": "987654321",
            "coupon_upc": "10000085364",
            "occurred_at": "2017-03-01 09:00:00",
        }
    ]
