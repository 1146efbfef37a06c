"""Which rows of a workspace's Parquet files are a person's: by identity, by key and masterid, by any value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from migrate.privacy.frames import mask_of
from migrate.privacy.person import Identity, Person
from migrate.privacy.spellings import Finder, fold
from migrate.privacy.telling import values_of_row

_IDENTITY_COLUMNS = (("_source", "_id"), ("source", "id"), ("winner_source", "winner_id"))
_MASTERID_COLUMNS = ("masterid", "__masterid__", "gone", "survivor")
_EXAMPLE_COLUMNS = {"before", "after", "example", "value", "old", "new"}
_NOT_VALUES = frozenset(
    {"change", "rule", "column", "loss", "kind", "stage", "reason", "payload", "resource", "place"}
)


def mask_theirs(
    frame: pl.DataFrame,
    person: Person,
    finder: Finder,
    *,
    resources: Iterable[str],
    dataset: str | None,
    key_column: str | None = None,
) -> pl.Series:
    """True for each row that is the person's.

    `resources` are those that the rows can be made of, where they do not say so themselves: an id alone may be a
    profile's and somebody else's order's. None given: any of them. `key_column`: the dataset's key, where it is one.
    """
    found = mask_of(frame, finder)
    for source_name, id_name in _IDENTITY_COLUMNS:
        if {source_name, id_name} <= set(frame.columns):
            found |= _has_identity(frame, source_name, id_name, _of(person, resources))
    if not _names_anybody(frame):
        found |= _is_example(frame, person)
    if "sources" in frame.columns and isinstance(frame.schema["sources"], pl.List):
        found |= _made_of(frame.get_column("sources"), person, set(resources))
    keys = sorted({key for of, key in person.keys if of == dataset})
    masterids = sorted({masterid for of, masterid in person.masterids if of == dataset})
    for name in {"key", key_column or "key"} & set(frame.columns):
        if frame.schema[name] == pl.String:
            found |= frame.get_column(name).is_in(keys).fill_null(value=False)
    for name in _MASTERID_COLUMNS:
        if name in frame.columns and frame.schema[name] == pl.String:
            found |= frame.get_column(name).is_in(masterids).fill_null(value=False)
    return found


def learn_from(frame: pl.DataFrame, theirs: pl.Series, person: Person, dataset: str | None) -> bool:
    """Notes the keys, masterids and new forms of values in the rows that are theirs; true where one was not known."""
    mine, others = frame.filter(theirs), frame.filter(~theirs)
    before = len(person.keys), len(person.masterids), len(person.values)
    if dataset is not None:
        for name in ("key", *_MASTERID_COLUMNS):
            noted = person.keys if name == "key" else person.masterids
            if name in mine.columns:
                noted.update((dataset, str(value)) for value in mine.get_column(name).drop_nulls())
    known = person.known()
    for name, kind in mine.schema.items():
        if kind == pl.String and name not in _NOT_VALUES:
            texts = values_of_row(mine.get_column(name).drop_nulls().unique(), known)
            # What somebody else's row says as well tells nobody apart.
            shared = others.filter(pl.col(name).is_in(sorted(texts))).get_column(name)
            person.values |= texts - set(shared)
    return before != (len(person.keys), len(person.masterids), len(person.values))


def _names_anybody(frame: pl.DataFrame) -> bool:
    named = {"sources", "key", *_MASTERID_COLUMNS, *(id_name for _, id_name in _IDENTITY_COLUMNS)}
    return bool(named & set(frame.columns))


def _is_example(frame: pl.DataFrame, person: Person) -> pl.Series:
    """Rows of a list of examples whose value only the person's records hold."""
    found = pl.repeat(False, frame.height, dtype=pl.Boolean, eager=True)
    for name in _EXAMPLE_COLUMNS & set(frame.columns):
        if frame.schema[name] == pl.String:
            theirs = [text is not None and fold(text) in person.cells for text in frame[name]]
            found |= pl.Series(name, theirs, dtype=pl.Boolean)
    return found


def _of(person: Person, resources: Iterable[str]) -> set[Identity]:
    wanted = set(resources)
    return {identity for identity in person.identities if not wanted or identity[0] in wanted}


def _has_identity(
    frame: pl.DataFrame, source_name: str, id_name: str, identities: set[Identity]
) -> pl.Series:
    says_resource = "resource" in frame.columns and source_name == "source"
    table = frame.select(
        pl.col(source_name).cast(pl.String).fill_null("").alias("source"),
        pl.col(id_name).cast(pl.String).alias("id"),
        *([pl.col("resource").cast(pl.String)] if says_resource else []),
    )
    rows = [
        {"resource": resource, "source": source or "", "id": id_}
        for resource, source, id_ in identities
    ]
    known = pl.DataFrame(rows, schema=dict.fromkeys(("resource", "source", "id"), pl.String))
    columns = ["source", "id", *(["resource"] if says_resource else [])]
    marked = known.select(columns).unique().with_columns(theirs=pl.lit(value=True))
    joined = table.join(marked, on=columns, how="left", maintain_order="left")
    return joined.get_column("theirs").fill_null(value=False)


def _made_of(sources: pl.Series, person: Person, resources: set[str]) -> pl.Series:
    """Which rows were made of one of the person's records; an origin without a resource is of any of `resources`."""
    known = {(resource, source or "", id_) for resource, source, id_ in person.identities}
    unsaid = {(None, source, id_) for of, source, id_ in known if not resources or of in resources}
    theirs = known | unsaid
    found = [
        any(_origin(origin) in theirs for origin in origins or ()) for origins in sources.to_list()
    ]
    return pl.Series("theirs", found, dtype=pl.Boolean)


def _origin(origin: Mapping[str, Any]) -> tuple[str | None, str, str | None]:
    return origin.get("resource"), origin.get("source") or "", origin.get("id")
