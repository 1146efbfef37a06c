"""One person found and taken out of the workspace's files, for an erasure request.

Who the person is: profiles whose id is the one given, or that hold the e-mail address. With them go their sales and
interactions, and everything that plans, exports and the ledger keep of those records. A sale or interaction is theirs
by the address, by the profile's id within the same source or its alias, and by the id alone where nobody else's profile
has that id: a mailing service names its own source and the shop's ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.verify.record import Record, field_reader

Identity = tuple[str, str | None, str]
"""Resource, source, id."""
Frames = Callable[[], Iterable[pl.DataFrame]]

_TELLING = (
    "profileid",
    "profile_id",
    "id",
    "email",
    "name",
    "lastname",
    "phone",
    "mobile",
    "address",
    "ip",
    "entity_id",
)
_SHORTEST = 4
_PROFILE_IDS = (
    "profileid",
    "profile_id",
    "metadata.profileid",
    "metadata.profile_id",
    "interaction.profileid",
)


@dataclass(frozen=True)
class Subject:
    """The person asked for: an e-mail address or a profile's id, of one source or of any."""

    text: str
    source: str | None = None

    @property
    def is_email(self) -> bool:
        """True for what looks like an address."""
        return "@" in self.text

    def pattern(self) -> str:
        """A regular expression that finds the address as a whole, whatever its case."""
        return (
            rf"(?i)(?:^|[^A-Za-z0-9._%+\-]){re.escape(self.text.strip())}(?:$|[^A-Za-z0-9._%+\-])"
        )


@dataclass
class DataSubject:
    """What was found of a person: identities of records, keys by dataset, masterids by dataset."""

    identities: set[Identity] = field(default_factory=set)
    keys: set[tuple[str, str]] = field(default_factory=set)
    masterids: set[tuple[str, str]] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    """What tells them from others, as their profiles spell it: their masks may stand in reports."""

    def note_values(self, raw: str) -> None:
        """Notes what one of the person's profiles says that could tell who it is."""
        record = Record(raw, None, None)
        for name in _TELLING:
            for text in (
                field_reader(path)(record) for path in (name, f"metadata.{name}", f"profile.{name}")
            ):
                if text and len(text) >= _SHORTEST:
                    self.values |= {text, text.strip(), text.strip().lower()}


def find_in_snapshots(
    subject: Subject, frames: Mapping[str, Frames], aliases: Mapping[str, str]
) -> set[Identity]:
    """The identities of a person's records; `frames` gives a resource's parts, as often as asked."""
    found: set[Identity] = set()
    profiles = frames.get("profiles", _no_frames)
    for frame in profiles():
        found |= {
            ("profiles", source, id_)
            for source, id_ in frame.filter(_is_profile(subject))
            .select("_source", "_id")
            .iter_rows()
        }
    owners = {(aliases.get(source or "", source), id_) for _resource, source, id_ in found}
    alone = _ids_of_nobody_else(profiles(), found)
    readers = [field_reader(name) for name in _PROFILE_IDS]
    for resource, parts in frames.items():
        if resource == "profiles":
            continue
        for frame in parts():
            for source, id_, raw in (
                frame.filter(_may_be_theirs(subject, owners))
                .select("_source", "_id", "_raw")
                .iter_rows()
            ):
                record = Record(raw, source, id_)
                owner = next((text for text in (read(record) for read in readers) if text), None)
                is_owned = owner in alone or (aliases.get(source or "", source), owner) in owners
                if is_owned or _mentions(subject, raw):
                    found.add((resource, source, id_))
    return found


def _no_frames() -> Iterator[pl.DataFrame]:
    return iter(())


def profiles_of(found: set[Identity], frames: Mapping[str, Frames]) -> Iterator[str]:
    """The JSON of the profiles among what was found."""
    theirs = {(source, id_) for resource, source, id_ in found if resource == "profiles"}
    ids = [id_ for _source, id_ in theirs]
    for frame in frames.get("profiles", _no_frames)():
        rows = frame.filter(pl.col("_id").is_in(ids)).select("_source", "_id", "_raw").iter_rows()
        yield from (raw for source, id_, raw in rows if (source, id_) in theirs)


def _ids_of_nobody_else(profiles: Iterable[pl.DataFrame], found: set[Identity]) -> set[str]:
    ids = {id_ for _resource, _source, id_ in found}
    every = [
        frame.filter(pl.col("_id").is_in(list(ids))).select("_source", "_id") for frame in profiles
    ]
    others = {
        id_
        for frame in every
        for source, id_ in frame.iter_rows()
        if ("profiles", source, id_) not in found
    }
    return ids - others


def _is_profile(subject: Subject) -> pl.Expr:
    mine = (
        pl.col("_raw").str.contains(subject.pattern())
        if subject.is_email
        else pl.col("_id") == subject.text
    )
    return mine if subject.source is None else mine & (pl.col("_source") == subject.source)


def _may_be_theirs(subject: Subject, owners: Iterable[tuple[str | None, str]]) -> pl.Expr:
    """A quick look, so that only few records are read closely: the id or the address stands somewhere in the JSON."""
    wanted = [
        pl.col("_raw").str.contains(id_, literal=True)
        for id_ in sorted({id_ for _source, id_ in owners})
    ]
    if subject.is_email:
        wanted.append(pl.col("_raw").str.contains(subject.pattern()))
    return pl.any_horizontal(*wanted) if wanted else pl.lit(value=False)


def _mentions(subject: Subject, text: str) -> bool:
    return subject.is_email and re.search(subject.pattern(), text) is not None


def take_out(
    file: Path, subject: Subject, person: DataSubject, resource: str, dataset: str | None
) -> tuple[pl.DataFrame, int]:
    """A Parquet file's rows without the person's, and how many were theirs; their keys and masterids are noted.

    `resource` is what the rows are made of: an id alone may be a profile's and somebody else's order's.
    """
    frame = parquet.read(file)
    mine = frame.select(_is_theirs(frame, subject, person, resource, dataset)).to_series()
    theirs = frame.filter(mine)
    if dataset is not None:
        for column, found in (
            ("key", person.keys),
            ("masterid", person.masterids),
            ("__masterid__", person.masterids),
        ):
            if column in theirs.columns:
                found.update(
                    (dataset, str(value)) for value in theirs.get_column(column).drop_nulls()
                )
    return frame.filter(~mine), theirs.height


def _is_theirs(
    frame: pl.DataFrame, subject: Subject, person: DataSubject, resource: str, dataset: str | None
) -> pl.Expr:
    tests = [pl.lit(value=False)]
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    if subject.is_email:
        tests += [
            pl.col(name).str.contains(subject.pattern()).fill_null(value=False) for name in texts
        ]
    pairs = sorted({(source or "", id_) for of, source, id_ in person.identities if of == resource})
    for source_name, id_name in (
        ("_source", "_id"),
        ("source", "id"),
        ("winner_source", "winner_id"),
    ):
        if {source_name, id_name} <= set(frame.columns) and pairs:
            same = [
                (pl.col(source_name).fill_null("") == source) & (pl.col(id_name) == id_)
                for source, id_ in pairs
            ]
            tests.append(pl.any_horizontal(*same).fill_null(value=False))
    if "sources" in frame.columns and pairs:
        who = pl.element().struct
        same = [
            (who.field("source").fill_null("") == source) & (who.field("id") == id_)
            for source, id_ in pairs
        ]
        tests.append(
            pl.col("sources").list.eval(pl.any_horizontal(*same)).list.any().fill_null(value=False)
        )
    for name, known in (
        ("key", person.keys),
        ("masterid", person.masterids),
        ("__masterid__", person.masterids),
    ):
        mine = sorted({value for of, value in known if of == dataset})
        if name in texts and mine:
            tests.append(pl.col(name).is_in(mine).fill_null(value=False))
    return pl.any_horizontal(*tests)
