"""Which rows of a workspace's Parquet files are a person's: by identity, by key and masterid, by any value."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from migrate.privacy.frames import mask_of
from migrate.privacy.person import Identity, Person
from migrate.privacy.spellings import Finder, fold
from migrate.privacy.telling import is_own_mail, values_of_row

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
    telling: Finder,
    *,
    resources: Iterable[str],
    dataset: str | None,
    key_column: str | None = None,
) -> pl.Series:
    """True for each row that is the person's; a row of somebody else that holds their address is not.

    `finder` finds all that is known of them, `telling` what nobody else's record holds.
    `resources` are those that the rows can be made of, where they do not say so themselves: an id alone may be a
    profile's and somebody else's order's. None given: any of them. `key_column`: the dataset's key, where it is one.
    """
    theirs = pl.repeat(False, frame.height, dtype=pl.Boolean, eager=True)
    for source_name, id_name in _IDENTITY_COLUMNS:
        if {source_name, id_name} <= set(frame.columns):
            theirs |= _has_identity(frame, source_name, id_name, _of(person, resources))
    if not _names_anybody(frame):
        theirs |= _is_example(frame, person)
    if "sources" in frame.columns and isinstance(frame.schema["sources"], pl.List):
        theirs |= _made_of(frame.get_column("sources"), person, set(resources))
    keys = sorted({key for of, key in person.keys if of == dataset})
    masterids = sorted({masterid for of, masterid in person.masterids if of == dataset})
    for name in {"key", key_column or "key"} & set(frame.columns):
        if frame.schema[name] == pl.String:
            theirs |= frame.get_column(name).is_in(keys).fill_null(value=False)
    for name in _MASTERID_COLUMNS:
        if name in frame.columns and frame.schema[name] == pl.String:
            theirs |= frame.get_column(name).is_in(masterids).fill_null(value=False)
    mentions = mask_of(frame, finder) & ~theirs
    if not mentions.any():
        return theirs
    return theirs.scatter(
        mentions.arg_true(), _not_mentions(frame.filter(mentions), finder, telling)
    )


def _not_mentions(rows: pl.DataFrame, finder: Finder, telling: Finder) -> pl.Series:
    """Which of some rows with a known value, none of a record of theirs by its identity, are theirs all the same."""
    theirs = mask_of(rows, telling)
    if _names_record(rows):
        # What others' records derive from nobody else's value is not theirs, whatever it holds.
        named = [name for name in ("_id", "id") if name in rows.columns]
        says = [pl.col(name).cast(pl.String).fill_null("") != "" for name in named]
        if "sources" in rows.columns and isinstance(rows.schema["sources"], pl.List):
            says.append(pl.col("sources").list.len().fill_null(0) > 0)
        return theirs | ~rows.select(pl.any_horizontal(says)).to_series()
    if not _names_anybody(rows):
        return pl.repeat(True, rows.height, dtype=pl.Boolean, eager=True)
    own = [name for name in rows.columns if is_own_mail([name]) or name == "key"]
    if own:
        return theirs | mask_of(rows.select(own), finder)
    return theirs


def _names_record(frame: pl.DataFrame) -> bool:
    pairs = [pair for pair in _IDENTITY_COLUMNS if set(pair) <= set(frame.columns)]
    is_made_of = isinstance(frame.schema.get("sources"), pl.List)
    return bool(pairs) or is_made_of


def note_keys(mine: pl.DataFrame, person: Person, dataset: str) -> None:
    """Notes the keys and masterids in rows that are theirs."""
    for name in ("key", *_MASTERID_COLUMNS):
        noted = person.keys if name == "key" else person.masterids
        if name in mine.columns:
            noted.update((dataset, str(value)) for value in mine.get_column(name).drop_nulls())


def new_forms(mine: pl.DataFrame, known: Iterable[str]) -> dict[str, set[str]]:
    """By column the new forms of known values in rows that are theirs: hashes, numbers written anew, texts joined."""
    forms = {}
    for name, kind in mine.schema.items():
        if kind == pl.String and name not in _NOT_VALUES:
            texts = values_of_row(mine.get_column(name).drop_nulls().unique(), known)
            if texts:
                forms[name] = texts
    return forms


def drop_shared(forms: dict[str, set[str]], others: pl.DataFrame) -> None:
    """Takes out of `forms` what somebody else's row says as well: it tells nobody apart."""
    for name, texts in forms.items():
        if name in others.columns and others.schema[name] == pl.String:
            column = others.get_column(name)
            texts -= set(column.filter(column.is_in(sorted(texts))))


def _names_anybody(frame: pl.DataFrame) -> bool:
    named = {"sources", "key", *_MASTERID_COLUMNS, *(id_name for _, id_name in _IDENTITY_COLUMNS)}
    return bool(named & set(frame.columns))


def _is_example(frame: pl.DataFrame, person: Person) -> pl.Series:
    """Rows of a list of examples whose value only the person's records hold."""
    is_example = pl.repeat(False, frame.height, dtype=pl.Boolean, eager=True)
    for name in _EXAMPLE_COLUMNS & set(frame.columns):
        if frame.schema[name] == pl.String:
            theirs = [text is not None and fold(text) in person.cells for text in frame[name]]
            is_example |= pl.Series(name, theirs, dtype=pl.Boolean)
    return is_example


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
    nothing = pl.repeat(False, len(sources), dtype=pl.Boolean, eager=True)
    if isinstance(sources.dtype, pl.List):
        kind = sources.dtype.inner
    else:
        kind = None
    if not isinstance(kind, pl.Struct) or not {"source", "id"} <= {f.name for f in kind.fields}:
        return nothing
    rows = pl.DataFrame(
        {"row": pl.int_range(len(sources), dtype=pl.UInt32, eager=True), "of": sources}
    )
    origins = rows.explode("of").drop_nulls("of").unnest("of")
    if "resource" not in origins.columns:
        origins = origins.with_columns(pl.lit(None, pl.String).alias("resource"))
    named = origins.select(
        "row",
        pl.col("resource").cast(pl.String),
        pl.col("source").cast(pl.String).fill_null(""),
        pl.col("id").cast(pl.String),
    )
    known = [(resource, source or "", id_) for resource, source, id_ in person.identities]
    unsaid = [(None, source, id_) for of, source, id_ in known if not resources or of in resources]
    columns = ["resource", "source", "id"]
    theirs = pl.DataFrame([*known, *unsaid], dict.fromkeys(columns, pl.String), orient="row")
    # `unsaid` has null for its resource, which equals nothing in a plain join.
    hits = named.join(theirs.unique(), on=columns, how="semi", nulls_equal=True).get_column("row")
    if len(hits):
        return nothing.scatter(hits.unique(), values=True)
    return nothing
