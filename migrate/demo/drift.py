"""What a shop does to its records between two snapshots, made up from its own: some change, some come, some go. Pure.

A changed record takes the value of one mapped field from another record, so that every value is one the field can have.
A new record is a copy under an identity of its own.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from migrate.demo.clock import spell, spell_iso
from migrate.demo.data import encode

UPDATED = ("updated", "updated_at", "metadata.updated", "metadata.updated_at")
CREATED = ("created", "created_at", "metadata.created", "metadata.created_at")
# So many values of each field are kept to choose from, however many records there are.
_POOL = 50
# Decoding is what it costs: of records that nothing happens to, each seventh lends its values.
_LOOK_EVERY = 7

Identity = tuple[str, str]
Row = tuple[str | None, str | None, str]
"""A record's source and id, and the record as sent."""


@dataclass(frozen=True)
class Shares:
    """How much of a resource changes, comes and goes; 0.02 is one record in fifty."""

    changed: float = 0.02
    new: float = 0.01
    gone: float = 0.001

    def of(self, rows: int) -> tuple[int, int, int]:
        """Records that change, come and go; at least one where the share is not nothing and there is one."""
        return tuple(
            min(rows, max(round(share * rows), 1 if share else 0)) for share in self._all()
        )  # type: ignore[return-value]  # three of three

    def _all(self) -> tuple[float, float, float]:
        return self.changed, self.new, self.gone


@dataclass(frozen=True)
class DriftFields:
    """Names in a resource's records: `ids` are the identity, one of `changeable` may change, `unique` tell apart."""

    ids: tuple[str, ...]
    changeable: tuple[str, ...]
    unique: tuple[str, ...] = ()


@dataclass
class Drift:
    """What became of a resource: records to write as they stand, and identities that are gone."""

    changed: list[bytes] = field(default_factory=list)
    new: list[bytes] = field(default_factory=list)
    gone: list[Identity] = field(default_factory=list)


def make_drift(
    records: Iterable[Row],
    rows: int,
    fields: DriftFields,
    shares: Shares,
    moment: datetime,
    seed: int,
) -> Drift:
    """The drift of a resource of `rows` records, each of which meets one fate at most; the same for the same `seed`.

    A record without anything that could change, and one without an identity, is left alone. `moment` is when it all
    happened, in the zone in which the records tell their times.
    """
    fates = _draw_fates(rows, shares, seed)
    donors: dict[str, list[Any]] = {name: [] for name in fields.changeable}
    random = Random(seed)  # noqa: S311  nothing here is secret, and repeatability is the point
    drift = Drift()
    for place, (source, id_, raw) in enumerate(records):
        fate = fates.get(place)
        if fate or (donors and place % _LOOK_EVERY == 0):
            record = _read(raw)
        else:
            record = None
        if record is None or source is None or id_ is None:
            continue
        if fate == "gone":
            drift.gone.append((source, id_))
        elif fate == "changed":
            changed = _change(record, fields, donors, random)
            if _stamp(record, UPDATED, moment) or changed:
                drift.changed.append(encode(record))
        elif fate == "new":
            _rename(record, fields, len(drift.new) + 1)
            _stamp(record, (*CREATED, *UPDATED), moment)
            drift.new.append(encode(record))
        _collect(record, donors, random)
    return drift


def _draw_fates(rows: int, shares: Shares, seed: int) -> dict[int, str]:
    random = Random(seed)  # noqa: S311  as above
    changed, new, gone = shares.of(rows)
    chosen = random.sample(range(rows), min(rows, changed + new + gone))
    names = ["gone"] * gone + ["new"] * new + ["changed"] * changed
    # A small resource has fewer records than fates.
    return dict(zip(chosen, names, strict=False))


def _read(raw: str) -> dict[str, Any] | None:
    """The record with every digit of its numbers; None for what a decoder of JSON does not take."""
    try:
        record = json.loads(raw, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _holder(record: dict[str, Any], name: str) -> tuple[dict[str, Any], str] | None:
    """The object in which the value of a dotted name stands, and its name there."""
    if name in record:
        return record, name
    head, _, rest = name.partition(".")
    inner = record.get(head)
    if rest and isinstance(inner, dict):
        return _holder(inner, rest)
    return None


def _values(
    record: dict[str, Any], names: Iterable[str]
) -> Iterator[tuple[str, dict[str, Any], str, Any]]:
    for name in names:
        holder = _holder(record, name)
        if holder and holder[0][holder[1]] not in (None, ""):
            yield name, *holder, holder[0][holder[1]]


def _collect(record: dict[str, Any], donors: Mapping[str, list[Any]], random: Random) -> None:
    for name, _, _, value in _values(record, donors):
        pool = donors[name]
        if len(pool) < _POOL:
            pool.append(value)
        else:
            pool[random.randrange(_POOL)] = value


def _change(
    record: dict[str, Any], fields: DriftFields, donors: Mapping[str, list[Any]], random: Random
) -> bool:
    """Whether there was a field that could change."""
    able = []
    for name, holder, key, value in _values(record, fields.changeable):
        others = [other for other in donors[name] if _is_another(other, value)]
        if others:
            able.append((holder, key, others))
    if able:
        holder, key, others = random.choice(able)
        holder[key] = random.choice(others)
    return bool(able)


def _is_another(other: object, value: object) -> bool:
    # A field that changes its type is a fault of its own, and not what a shop does overnight.
    return other != value and type(other) is type(value)


def _rename(record: dict[str, Any], fields: DriftFields, number: int) -> None:
    for _, holder, key, value in _values(record, fields.ids):
        # Within int32, and beyond what a shop has counted to.
        holder[key] = 900_000_000 + number if isinstance(value, int) else f"rehearsal-{number}"
    for _, holder, key, value in _values(record, fields.unique):
        if isinstance(value, str) and not value.isdigit():
            holder[key] = f"r{number}-{value}"


def _stamp(record: dict[str, Any], names: Sequence[str], moment: datetime) -> bool:
    """Whether there was a time stamp to set; it is spelt as it was."""
    texts = [
        (holder, key, value)
        for _, holder, key, value in _values(record, names)
        if isinstance(value, str)
    ]
    for holder, key, value in texts:
        holder[key] = spell_iso(moment) if "T" in value else spell(moment)
    return bool(texts)


def pick_fields(
    ids: Sequence[str], columns: Collection[str], fixed: Collection[str], unique: Collection[str]
) -> DriftFields:
    """The fields of a resource: of its mapped `columns` those may change that are neither identity nor `fixed`."""
    decide = {*ids, *fixed, *unique, *UPDATED, *CREATED}
    changeable = tuple(
        sorted(name for name in columns if name not in decide and not name.startswith("item."))
    )
    return DriftFields(tuple(ids), changeable, tuple(sorted(set(unique) - set(ids))))
