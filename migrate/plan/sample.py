"""A coherent sample: some rows of one dataset, and every record that hangs together with them.

Downwards, what names one of the drawn records by a look-up of the mapping comes along: orders of a contact, their
lines, interactions, consents. Upwards, what these name comes along: by a look-up, and the products and categories that
lines, events and products name by their own fields, which the shipped mappings join by no look-up. Names of products
are compared whatever the source, since the source of an order is often not that of the catalogue.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import polars as pl

from migrate.mapping.fields import IDENTITY, column_of, value_at
from migrate.mapping.model import Lookup
from migrate.mapping.model import Mapping as DatasetMapping
from migrate.plan.collapse import PART
from migrate.plan.collapsed_rows import FinalRows
from migrate.plan.scope import IDENTITIES, InsideSample, are_among
from migrate.snapshot.reading import Snapshot, SnapshotResource
from migrate.snapshot.union import has_field

_PRODUCT_NAMES = frozenset({"itemid", "item_id", "productid", "product_id", "sku"})
_LINES = frozenset({"items", "products", "lines"})
_CATEGORY_NAMES = frozenset({"category", "categories", "categoryid", "categoryids", "category_id"})
_OWN_NAMES = {
    "content_items": ("sku", "metadata.sku"),
    "content_categories": ("name", "metadata.name", "category.name"),
}
"""By what a product or a category may be named besides its id."""


@dataclass(frozen=True)
class Drawn:
    """Rows that were drawn: by resource the `identities` of all records they are made of; how many rows there were."""

    identities: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    rows: int = 0
    of: int = 0


def draw_rows(rows: FinalRows, resources: Sequence[str], count: int, seed: int) -> Drawn:
    """`count` of the rows, or all where there are fewer. `resources`: of the dataset's files, in their order.

    **Guarantees**: the same keys and the same seed always give the same rows, whatever their order; a larger sample of
    the same seed has all rows of a smaller one.
    """
    smallest: list[tuple[bytes, str]] = []
    for frame in rows.frames(["_key"]):
        ranks = ((_rank(seed, key), key) for key in frame.get_column("_key"))
        smallest = heapq.nsmallest(count, (*smallest, *ranks))
    keys = pl.Series("_key", [key for _, key in smallest], dtype=pl.String)
    has_parts = PART in rows.accepted.schema
    members: list[pl.DataFrame] = []
    for frame in rows.frames(["_key", "_source", "_id", *([PART] if has_parts else [])]):
        chosen = frame.filter(pl.col("_key").is_in(keys.implode()))
        if has_parts:
            number = pl.col(PART).cast(pl.Int64)
        else:
            number = pl.lit(0, pl.Int64)
        resource = number.replace_strict(dict(enumerate(resources)), return_dtype=pl.String)
        own = chosen.select(resource.alias("resource"), source="_source", id="_id")
        merged = chosen.select(pl.col("_sources").explode(empty_as_null=False)).drop_nulls()
        fields = (pl.col("_sources").struct.field(name) for name in own.columns)
        members += [own, merged.select(fields)]
    every = pl.concat(members)
    identities = {name: _once([every.filter(resource=name).drop("resource")]) for name in resources}
    return Drawn(identities, len(keys), rows.height)


def _rank(seed: int, key: str) -> bytes:
    # Python's own hash differs from run to run, and a sample must come out the same again.
    return hashlib.blake2b(f"{seed}\0{key}".encode(), digest_size=16).digest()


def _once(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frames).drop_nulls("id").unique().sort("source", "id")


@dataclass
class HangingTogether:
    """The records of a snapshot that hang together with some of them. `mappings`: looked-up datasets first."""

    snapshot: Snapshot
    mappings: Mapping[str, DatasetMapping]
    aliases: Mapping[str, str]
    inside: dict[str, pl.DataFrame] = field(default_factory=dict)

    def gather(self, drawn: Mapping[str, pl.DataFrame]) -> InsideSample:
        """The sample: the `drawn` records, those that name them, and those that these name."""
        self.inside = dict(drawn)
        for resource in self._resources():
            if resource not in self.inside:
                self._take_children(resource)
        below = set(self.inside)
        # Looked-up datasets come first in them, so the other way round what is found
        # looks up in its turn.
        for file in reversed(self._files()):
            for lookup in file.lookups.values():
                parent = self._resource_of(lookup)
                if parent is not None and parent not in below:
                    self._take_parents(str(file.resource), file.each, lookup, parent)
        for resource in _NAMED_IN:
            if resource in self._resources() and resource not in below:
                self._take_named(resource)
        return InsideSample(self.inside)

    def _files(self) -> list[DatasetMapping]:
        return list(chain.from_iterable(mapping.parts for mapping in self.mappings.values()))

    def _resources(self) -> list[str]:
        return list(dict.fromkeys(str(file.resource) for file in self._files()))

    def _resource_of(self, lookup: Lookup) -> str | None:
        mapping = self.mappings.get(lookup.dataset)
        if mapping is None or lookup.project is not None:
            return None
        return str(mapping.part_of(lookup.resource).resource)

    def _take_children(self, resource: str) -> None:
        """The records of a resource that look up one that is inside, by a field of the record itself."""
        files = [file for file in self._files() if str(file.resource) == resource]
        asked = []
        for lookup in chain.from_iterable(file.lookups.values() for file in files):
            parent = self._resource_of(lookup)
            if parent is not None and parent in self.inside:
                asked.append((lookup, parent))
        opened = self._opened(resource)
        if opened is None or not asked:
            return
        names = set(chain.from_iterable((lookup.source, *lookup.ids) for lookup, _ in asked))
        fields = [column_of(name) for name in names if name not in IDENTITY]
        children = [pl.DataFrame(schema=IDENTITIES)]
        for frame in opened.frames([name for name in fields if has_field(opened, name)], raw=False):
            for lookup, parent in asked:
                named = _looked_up(frame, lookup)
                is_child = self._are_inside(parent, named)
                own = frame.filter(is_child).select(source="_source", id="_id")
                children.append(own)
        self._add(resource, children)

    def _are_inside(self, resource: str, named: pl.DataFrame) -> pl.Series:
        """Which of the named records are inside, sources that are one under their aliases being one."""
        return are_among(self._resolved(named), self._resolved(self.inside[resource]))

    def _resolved(self, identities: pl.DataFrame) -> pl.DataFrame:
        return identities.with_columns(pl.col("source").replace(dict(self.aliases)))

    def _take_parents(self, child: str, each: str | None, lookup: Lookup, parent: str) -> None:
        """The records of a resource that inside records look up."""
        named = set[tuple[str | None, str]]()
        for record, source in self._records(child):
            if _reads_elements(lookup):
                elements = _elements(record, each)
            else:
                elements = [None]
            for element in elements:
                asked = _text_at(record, element, lookup.source) or source
                texts = (_text_at(record, element, name) for name in lookup.ids)
                wanted = next((text for text in texts if text), None)
                if wanted is not None:
                    named.add((asked, wanted))
        # As texts, since a source may be none, which sorts with no text.
        pairs = pl.DataFrame(sorted(named, key=str), schema=IDENTITIES, orient="row")
        self._take_where(parent, self._resolved(pairs).unique(), by=("source", "id"))

    def _take_named(self, resource: str) -> None:
        """The products or categories that inside records name by fields of theirs, whatever the source."""
        wanted = set[str]()
        for other, names_one in _NAMED_IN[resource].items():
            for record, _ in self._records(other):
                wanted |= {leaf.text for leaf in _leaves(record) if leaf.text and names_one(leaf)}
        self._take_where(resource, pl.DataFrame({"id": sorted(wanted)}, {"id": pl.String}), ("id",))

    def _take_where(self, resource: str, wanted: pl.DataFrame, by: Sequence[str]) -> None:
        opened = self._opened(resource)
        if opened is None:
            return
        # Products are named whatever the source: that of an order is often not that of the catalogue.
        others = [] if "source" in by else list(_OWN_NAMES[resource])
        taken = [pl.DataFrame(schema=IDENTITIES)]
        for frame in opened.frames([name for name in others if has_field(opened, name)], raw=False):
            names = [name for name in others if name in frame.columns]
            for name in ("_id", *names):
                keyed = self._resolved(frame.select(pl.col("_source").alias("source"), id=name))
                is_named = are_among(keyed, wanted, by)
                taken.append(frame.filter(is_named).select(source="_source", id="_id"))
        self._add(resource, taken)

    def _records(self, resource: str) -> Iterator[tuple[Mapping[str, object], str | None]]:
        """The inside records of a resource as they were sent, numbers as their text, each with its source."""
        opened = self._opened(resource)
        if opened is None or resource not in self.inside:
            return
        chosen = InsideSample(self.inside)
        for frame in opened.frames([]):
            inside = frame.filter(chosen.of(resource, frame))
            for raw, source in inside.select("_raw", "_source").iter_rows():
                yield _parse(raw), source

    def _opened(self, resource: str) -> SnapshotResource | None:
        return self.snapshot.resource(resource)

    def _add(self, resource: str, frames: Sequence[pl.DataFrame]) -> None:
        known = self.inside.get(resource, pl.DataFrame(schema=IDENTITIES))
        self.inside[resource] = _once([known, *frames])


def _looked_up(frame: pl.DataFrame, lookup: Lookup) -> pl.DataFrame:
    """The identity that each record looks up, as `IDENTITIES`; null where it names none."""
    named = [_field(frame, name) for name in lookup.ids]
    filled = [pl.when(text != "").then(text) for text in named]
    return frame.select(
        _field(frame, lookup.source).alias("source"), pl.coalesce(filled).alias("id")
    )


def _field(frame: pl.DataFrame, name: str) -> pl.Expr:
    column = IDENTITY.get(name, column_of(name))
    known = column in frame.columns
    if known:
        return pl.col(column).cast(pl.String)
    return pl.lit(None, pl.String)


def _reads_elements(lookup: Lookup) -> bool:
    return any(name == "item" or name.startswith("item.") for name in (lookup.source, *lookup.ids))


def _parse(raw: str) -> Mapping[str, object]:
    try:
        # One client sends an id as a number and as a text: its digits as sent are what joins the two.
        value = json.loads(raw, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _elements(record: Mapping[str, object], each: str | None) -> list[object]:
    value = value_at(record, each) if each else None
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _text_at(record: Mapping[str, object], element: object, name: str) -> str | None:
    if name == "item" or name.startswith("item."):
        if name == "item":
            value = element
        else:
            value = value_at(element, name.removeprefix("item."))
    else:
        value = value_at(record, column_of(name))
    return value if isinstance(value, str) else None


@dataclass(frozen=True)
class _Leaf:
    """A text in a record: the name it stands under, and the one above that; elements of a list have the list's."""

    above: str
    name: str
    text: str


def _leaves(value: object, above: str = "", name: str = "") -> Iterator[_Leaf]:
    if isinstance(value, str):
        yield _Leaf(above, name, value)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part, above, name)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, name, key)


def _names_product(leaf: _Leaf) -> bool:
    return leaf.name in _PRODUCT_NAMES or (leaf.above in _LINES and leaf.name in ("id", "item"))


def _names_parent_product(leaf: _Leaf) -> bool:
    return leaf.name == "parent_id"


def _names_category(leaf: _Leaf) -> bool:
    is_inside = leaf.above in _CATEGORY_NAMES and leaf.name in ("id", "name")
    return is_inside or leaf.name in _CATEGORY_NAMES


_NAMED_IN: Mapping[str, Mapping[str, Callable[[_Leaf], bool]]] = {
    "content_items": {
        "sales": _names_product,
        "interactions": _names_product,
        "content_items": _names_parent_product,
    },
    "content_categories": {
        "content_items": _names_category,
        "sales": _names_category,
        "interactions": _names_category,
    },
}
"""Which texts of which records name products and categories; products come first, as they name categories."""
