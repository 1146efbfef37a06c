"""What a value of `migrate.toml` may be: limits of gates, addresses, time zones, names. Each says what is right."""

from __future__ import annotations

import difflib
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from migrate.hours import DailyHours, parse_hours

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Limit(BaseModel):
    """A gate's limit: a share of the rows (`"1%"`) or a number of rows (`100`)."""

    model_config = ConfigDict(frozen=True)
    text: str
    share: float | None = None
    number: int | None = None

    def allows(self, found: int, of: int) -> bool:
        """True when `found` of `of` rows stay within the limit."""
        if self.share is not None:
            return found <= self.share * of
        return self.number is None or found <= self.number


def _parse_limit(value: object) -> object:
    if isinstance(value, Limit):
        return value
    # To Python `true` is the number 1.
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Limit(text=str(value), number=value)
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            share = float(value.strip()[:-1]) / 100
        except ValueError:
            share = -1.0
        if 0 <= share <= 1:
            return Limit(text=value, share=share)
    raise ValueError('write a number of rows (100) or a share of them ("1%")')


class AmountLimit(BaseModel):
    """A gate's limit in money: a sum in any currency (`0`, `12.50`) or a share of the source's (`"1%"`)."""

    model_config = ConfigDict(frozen=True)
    text: str
    share: Decimal | None = None
    amount: Decimal | None = None

    def allows_amount(self, difference: Decimal, of: Decimal) -> bool:
        """True when a difference of `found` stays within the limit of a sum of `of`."""
        if self.share is not None:
            return abs(difference) <= self.share * abs(of)
        return self.amount is None or abs(difference) <= self.amount


def _parse_amount_limit(value: object) -> object:
    if isinstance(value, AmountLimit):
        return value
    # TOML's numbers with a fraction are binary floats, which hold no cents beyond that.
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 10**15:
        return AmountLimit(text=str(value), amount=Decimal(str(value)))
    if isinstance(value, str):
        text = value.strip()
        try:
            number = Decimal(text.removesuffix("%"))
        except InvalidOperation:
            number = Decimal(-1)
        if text.endswith("%") and 0 <= number <= 100:
            return AmountLimit(text=value, share=number / 100)
        if not text.endswith("%") and 0 <= number < 10**15:
            return AmountLimit(text=value, amount=number)
    raise ValueError('write an amount (12.50) or a share of the source\'s sum ("1%")')


def _checked_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write a URL such as https://host/path")
    # A key would cross the network in the clear.
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("plain http:// is accepted for this machine only; write https://")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "write the URL without user, key, query or fragment; keys come from the environment"
        )
    return value.rstrip("/")


def _listed(value: object) -> object:
    """One name may stand without brackets."""
    return (value,) if isinstance(value, str) else value


def _checked_store(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("s3", "gs", "az") or not parts.netloc:
        raise ValueError("write s3://bucket/prefix, gs://bucket/prefix or az://container/prefix")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            "write the URL without user, key, query or fragment; keys come from the environment"
        )
    return value.rstrip("/")


def _checked_zones(value: dict[str, str]) -> dict[str, str]:
    for source, zone in value.items():
        if zone not in available_timezones():
            near = difflib.get_close_matches(zone, available_timezones(), 1)
            raise ValueError(
                f"{zone!r} (for {source!r}) is no time zone"
                + (f"; did you mean {near[0]!r}?" if near else "")
            )
    return value


def _flattened(value: Any, prefix: str = "") -> Any:
    """`orders.total` without quotes is a table in a table for TOML: the same place."""
    if not isinstance(value, dict) or isinstance(value, Limit):
        return value
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        flat |= (
            _flattened(inner, f"{prefix}{name}.")
            if isinstance(inner, dict)
            else {f"{prefix}{name}": inner}
        )
    return flat


def _checked_places(value: dict[str, Limit]) -> dict[str, Limit]:
    for place in value:
        parts = place.split(".")
        if len(parts) not in (2, 3) or not all(parts):
            raise ValueError(
                f'{place!r} is no column: write "dataset.column" or "dataset.column.loss"'
            )
    return value


def _parse_hours(value: object) -> object:
    """One text or several, as hours of the day."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ValueError('write hours such as "08:00-18:00", or a list of such texts')
    return tuple(parse_hours(text) for text in texts)


MoneyLimit = Annotated[AmountLimit, BeforeValidator(_parse_amount_limit)]
FieldNames = Annotated[tuple[str, ...], BeforeValidator(_listed)]
GateLimit = Annotated[Limit, BeforeValidator(_parse_limit)]
LossLimits = Annotated[
    dict[str, GateLimit], BeforeValidator(_flattened), AfterValidator(_checked_places)
]
Url = Annotated[str, AfterValidator(_checked_url)]
StoreUrl = Annotated[str, AfterValidator(_checked_store)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
QuietHours = Annotated[tuple[DailyHours, ...], BeforeValidator(_parse_hours)]
Zones = Annotated[dict[str, str], AfterValidator(_checked_zones)]
