"""One person found in a workspace's records, for an erasure request: who they are, and what tells them from others.

Who the person is: profiles whose id is the one given, or that have the e-mail address as their own; with an id, the
profiles of every source that have its address too, since it is one human who asks. An address is a record's own in a
field that says so by its name, or that the mappings take for the key. A record that only mentions it (a note, who sold
something) is somebody else's and stays; it is told where that is. With the profiles go their sales and interactions.
One of these is theirs by their own address, by the profile's id within the same source or its alias, and by the id
alone where nobody else's profile has that id: a mailing service names its own source and the shop's ids.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from migrate.privacy.frames import rows_with
from migrate.privacy.leaves import Leaf, leaves_of
from migrate.privacy.spellings import Finder, fold, readings, undo_layer
from migrate.privacy.telling import (
    is_email,
    is_findable,
    is_own_mail,
    values_of_event,
    values_of_profile,
)

Identity = tuple[str, str | None, str]
"""Resource, source, id."""
Frames = Callable[[], Iterable[pl.DataFrame]]

_OWNER = re.compile(
    r"(?i)(profile|customer|contact|visitor|user|person|subscriber)_?-?ids?$|^(profile|customer)$"
)
_UNREADABLE = "a record that nobody can read"
# Addresses that a shop or its staff enter for customers without one: whoever follows them takes strangers along.
_SHARED_BOXES = frozenset(
    [
        "info",
        "noreply",
        "no-reply",
        "donotreply",
        "admin",
        "webmaster",
        "office",
        "contact",
        "sales",
        "support",
        "mail",
        "email",
        "test",
        "none",
        "unknown",
    ]
)
_MOST_PROFILES_OF_AN_ADDRESS = 25
"""An address that more have is a till's or a club's: it does not say that all are one person."""
_PROFILES = "profiles"
_EVENTS = frozenset({"sales", "interactions"})
_FIRST_ROWS = 500
_LONG_MASTERID = 16


@dataclass(frozen=True)
class Subject:
    """The person asked for: an e-mail address or a profile's id, of one source or of any."""

    text: str
    source: str | None = None

    @classmethod
    def of(cls, text: str, source: str | None = None) -> Subject:
        """Whoever is named by a text, which may be copied out of a link or a page: `jan%40example.com`, say."""
        layers = [text, *_undone(text)]
        address = next((layer for layer in layers if "@" in layer), text)
        return cls(address, source)

    @property
    def is_email(self) -> bool:
        """True for what looks like an address."""
        return "@" in self.text

    def ids(self) -> frozenset[str]:
        """What the id asked for may be: as given, or copied out of JSON, a link or a page."""
        layers = [self.text, *_undone(self.text)]
        return frozenset(_plain_id(text) for text in layers)


@dataclass
class Person:
    """What was found of a person: identities of records, keys and masterids by dataset, values that tell them apart."""

    identities: set[Identity] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    keys: set[tuple[str, str]] = field(default_factory=set)
    masterids: set[tuple[str, str]] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    """Nobody else's: their spellings, hashes and masks are looked for in every file."""
    cells: set[str] = field(default_factory=set)
    """Folded texts of any length that only their records hold: whose they are in a list of examples without names."""
    reasons: set[tuple[str, str | None, str, str]] = field(default_factory=set)
    """Why each profile is theirs: resource, source, id, and by what."""
    mentions: set[tuple[str, str | None, str, str]] = field(default_factory=set)
    """Records of others that hold their address: resource, source, id, and the field that it stands in."""

    def take(self, identity: Identity, why: str) -> None:
        """Adds a profile, with the reason."""
        self.identities.add(identity)
        if not any(known[:3] == identity for known in self.reasons):
            self.reasons.add((*identity, why))

    def telling(self) -> set[str]:
        """What nobody else's record holds, so that a row with it is theirs; an address others may mention."""
        return self.known() - self.addresses

    def known(self) -> set[str]:
        """What says for itself that a text is of them. Keys do not: `Shop:448` may be an order of somebody else's."""
        long_ones = {text for _dataset, text in self.masterids if len(text) >= _LONG_MASTERID}
        return self.values | self.addresses | long_ones

    def key_texts(self) -> set[str]:
        """Their keys in any dataset, where they are long enough to be looked for."""
        return {key for _dataset, key in self.keys if is_findable(key)}

    def join(self, other: Person) -> None:
        """Adds what another search found of them."""
        self.identities |= other.identities
        self.addresses |= other.addresses
        self.keys |= other.keys
        self.masterids |= other.masterids
        self.values |= other.values
        self.cells |= other.cells
        self.reasons |= other.reasons
        self.mentions |= other.mentions


@dataclass(frozen=True)
class Search:
    """Where to look for a person: `frames` gives a resource's parts, as often as asked.

    `aliases`: other names of sources. `key_fields`: fields that the mappings take for the key of a profile, dotted.
    """

    frames: Mapping[str, Frames]
    aliases: Mapping[str, str]
    key_fields: Collection[str] = ()

    def own_field(self, raw: str, finder: Finder, resource: str = _PROFILES) -> str | None:
        """The field by which a record has one of the values for its own address; None where it has none."""
        for leaf in leaves_of(raw):
            names = (*leaf.path, leaf.name)
            is_own = is_own_mail(names, resource) or ".".join(names) in self.key_fields
            if is_own and finder.finds(leaf.text):
                return ".".join(names)
            if leaf.text == raw and finder.finds(raw):
                return _UNREADABLE
            if leaf.text.startswith("{") and leaf.text != raw:
                inner = self.own_field(leaf.text, finder, resource)
                if inner is not None:
                    return f"{leaf.name}.{inner}"
        return None


def find_person(
    subject: Subject,
    frames: Mapping[str, Frames],
    aliases: Mapping[str, str],
    key_fields: Collection[str] = (),
) -> Person:
    """The person with all of their records and values, see `Search`."""
    person, search = Person(), Search(frames, aliases, key_fields)
    if subject.is_email and subject.source is None:
        person.addresses.add(subject.text.strip())
    _find_profiles(subject, person, search)
    _find_events(subject, person, search)
    candidates = _values_of(person, frames)
    person.values |= nobody_elses(candidates, person, frames)
    person.cells |= _cells_of(person, frames)
    person.mentions = {one for one in person.mentions if one[:3] not in person.identities}
    return person


def _find_profiles(subject: Subject, person: Person, search: Search) -> None:
    named = Finder([subject.text]) if subject.is_email else None
    ids = subject.ids()
    addresses: set[str] = set()
    for source, id_, raw in _rows(search.frames, _PROFILES, _profile_filter(named, ids)):
        if subject.source is not None and source != subject.source:
            continue
        identity = (_PROFILES, source, id_)
        if _plain_id(id_) in ids or (named is not None and named.finds(id_)):
            why: str | None = "its id"
        elif named is not None:
            field_ = search.own_field(raw, named)
            why = None if field_ is None else f"the address in {field_}"
            if field_ is None and named.finds(raw):
                person.mentions.add((*identity, _mentioning(raw, named)))
        else:
            why = None
        if why is not None:
            person.take(identity, why)
            addresses |= _own_addresses(leaves_of(raw), search)
    if subject.source is None and not subject.is_email:
        person.addresses |= _follow(addresses, person, search)
    if subject.source is None:
        _add_aliases(person, search.frames, search.aliases)


def _mentioning(raw: str, finder: Finder) -> str:
    """The fields of a record that hold one of the values."""
    fields = (
        ".".join((*leaf.path, leaf.name)) for leaf in leaves_of(raw) if finder.finds(leaf.text)
    )
    return ", ".join(dict.fromkeys(fields)) or "the name of a field"


def _profile_filter(
    named: Finder | None, ids: Collection[str]
) -> Callable[[pl.DataFrame], pl.DataFrame]:
    if named is not None:
        return lambda frame: rows_with(frame, named)
    return partial(_perhaps_of_ids, sorted(ids))


def _follow(addresses: set[str], person: Person, search: Search) -> set[str]:
    """The addresses that are the person's own; the profiles of other sources that have them join the person."""
    own = set()
    for address in sorted(addresses):
        finder = Finder([address])
        holders: dict[Identity, str] = {}
        mentions = set()
        rows = _rows(search.frames, _PROFILES, partial(_with_values, finder))
        for source, id_, raw in rows:
            field_ = search.own_field(raw, finder)
            if field_ is not None:
                holders[_PROFILES, source, id_] = field_
            elif finder.finds(raw):
                mentions.add((_PROFILES, source, id_, _mentioning(raw, finder)))
        is_shared = (
            fold(address).partition("@")[0] in _SHARED_BOXES
            or len(holders) > _MOST_PROFILES_OF_AN_ADDRESS
        )
        if not is_shared:
            own.add(address)
            person.mentions |= mentions
            for identity, field_ in holders.items():
                person.take(identity, f"the same address in {field_}")
    return own


def _add_aliases(person: Person, frames: Mapping[str, Frames], aliases: Mapping[str, str]) -> None:
    """A profile of the same id in a source that is another name of the same shop is the same profile."""
    owners = _owners(person, aliases)
    ids = sorted({id_ for _source, id_ in owners})
    for source, id_, _raw in _rows(frames, _PROFILES, partial(_perhaps_of_ids, ids)):
        if _owner(source, id_, aliases) in owners:
            person.take((_PROFILES, source, id_), "its id, in another name of the same source")


def _find_events(subject: Subject, person: Person, search: Search) -> None:
    frames, aliases = search.frames, search.aliases
    owners = _owners(person, aliases)
    ids = {id_ for _source, id_ in owners}
    alone = ids - _ids_of_others(person, ids, frames)
    if subject.is_email and subject.source is None:
        own = [subject.text]
    else:
        own = []
    addresses = Finder([*person.addresses, *own], hashed=False)
    quick = (addresses, Finder([], exact=ids))
    for resource in frames:
        if resource == _PROFILES:
            continue
        for source, id_, raw in _rows(frames, resource, lambda frame: rows_with(frame, *quick)):
            is_theirs = _is_owned(leaves_of(raw), source, owners, alone, aliases)
            if search.own_field(raw, addresses, resource) is not None:
                is_theirs = True
            # A product is nobody's: whoever it names, their maker or the one to ask, it is not erased with them.
            if is_theirs and resource in _EVENTS:
                person.identities.add((resource, source, id_))
            elif addresses.finds(raw):
                person.mentions.add((resource, source, id_, _mentioning(raw, addresses)))


def _is_owned(
    leaves: Iterable[Leaf],
    source: str | None,
    owners: set[tuple[str | None, str]],
    alone: set[str],
    aliases: Mapping[str, str],
) -> bool:
    named = {_plain_id(leaf.text) for leaf in leaves if _OWNER.search(leaf.name)}
    return any(text in alone or _owner(source, text, aliases) in owners for text in named)


def _ids_of_others(person: Person, ids: set[str], frames: Mapping[str, Frames]) -> set[str]:
    return {
        _plain_id(id_)
        for source, id_, _raw in _rows(frames, _PROFILES, partial(_perhaps_of_ids, sorted(ids)))
        if _plain_id(id_) in ids and (_PROFILES, source, id_) not in person.identities
    }


def _values_of(person: Person, frames: Mapping[str, Frames]) -> set[str]:
    values: set[str] = set()
    for resource in frames:
        theirs = [identity for identity in person.identities if identity[0] == resource]
        ids = sorted({id_ for _resource, _source, id_ in theirs})
        for source, id_, raw in _rows(frames, resource, partial(_with_ids, ids)):
            if (resource, source, id_) not in person.identities:
                continue
            leaves = leaves_of(raw)
            values |= (
                values_of_profile(leaves) if resource == _PROFILES else values_of_event(leaves)
            )
            # A short id, such as 12, stands everywhere and would make everybody's rows theirs.
            values |= {id_} if is_findable(id_) else set()
    return values


def _cells_of(person: Person, frames: Mapping[str, Frames]) -> set[str]:
    """The folded texts that records of theirs hold and no others do, whatever they are."""
    cells: set[str] = set()
    for resource in frames:
        ids = sorted({id_ for of, _source, id_ in person.identities if of == resource})
        for source, id_, raw in _rows(frames, resource, partial(_with_ids, ids)):
            if (resource, source, id_) in person.identities:
                cells |= {fold(leaf.text) for leaf in leaves_of(raw)}
    cells.discard("")
    for resource in frames:
        for frame in frames[resource]():
            _drop_cells_of_others(cells, frame, resource, person)
    return cells


def _drop_cells_of_others(
    cells: set[str], frame: pl.DataFrame, resource: str, person: Person
) -> None:
    start, rows = 0, _FIRST_ROWS
    while start < frame.height and cells:
        chunk = rows_with(frame.slice(start, rows), Finder([], exact=cells))
        for source, id_, raw in chunk.select("_source", "_id", "_raw").iter_rows():
            if (resource, source, id_) not in person.identities:
                cells -= {fold(leaf.text) for leaf in leaves_of(raw)}
        start = start + rows
        rows = rows * 4


def nobody_elses(candidates: set[str], person: Person, frames: Mapping[str, Frames]) -> set[str]:
    """The candidates that no record of anybody else holds, in any spelling."""
    left = {
        value: Finder([value], hashed=False)
        for value in candidates
        if value not in person.addresses
    }
    for resource in frames if left else ():
        for frame in frames[resource]():
            _drop_held_by_others(left, frame, resource, person)
    return set(left)


def _drop_held_by_others(
    left: dict[str, Finder], frame: pl.DataFrame, resource: str, person: Person
) -> None:
    start, rows = 0, _FIRST_ROWS
    while start < frame.height and left:
        # A value that many have is found in the first rows; the rest are searched for the few that are left.
        chunk = rows_with(frame.slice(start, rows), Finder(left, hashed=False))
        for source, id_, raw in chunk.select("_source", "_id", "_raw").iter_rows():
            if (resource, source, id_) not in person.identities:
                said = list(readings(raw))
                shared = [value for value, finder in left.items() if finder.stands_in(said)]
                for value in shared:
                    del left[value]
        start = start + rows
        rows = rows * 4


def _rows(
    frames: Mapping[str, Frames],
    resource: str,
    keep: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
) -> Iterator[tuple[str | None, str, str]]:
    """Source, id and JSON of a resource's records; of those only that `keep` leaves, where it is given."""
    for frame in frames.get(resource, _no_frames)():
        kept = frame if keep is None else keep(frame)
        for source, id_, raw in kept.select("_source", "_id", "_raw").iter_rows():
            yield source, id_ or "", raw or ""


def _with_values(finder: Finder, frame: pl.DataFrame) -> pl.DataFrame:
    return rows_with(frame, finder)


def _with_ids(ids: Sequence[str], frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("_id").is_in(ids))


def _perhaps_of_ids(ids: Sequence[str], frame: pl.DataFrame) -> pl.DataFrame:
    """The rows whose id may be one of `ids`, as `_plain_id` has them: plain ASCII has one spelling only."""
    id_ = pl.col("_id")
    return frame.filter(id_.is_in(ids) | id_.str.contains(r"[^\x21-\x7e]"))


def _no_frames() -> Iterator[pl.DataFrame]:
    return iter(())


def _owners(person: Person, aliases: Mapping[str, str]) -> set[tuple[str | None, str]]:
    return {
        _owner(source, id_, aliases)
        for resource, source, id_ in person.identities
        if resource == _PROFILES
    }


def _owner(source: str | None, id_: str, aliases: Mapping[str, str]) -> tuple[str | None, str]:
    return aliases.get(source or "", source), _plain_id(id_)


def _own_addresses(leaves: Iterable[Leaf], search: Search) -> set[str]:
    return {
        leaf.text.strip()
        for leaf in leaves
        if is_email(leaf.text)
        and (
            is_own_mail((*leaf.path, leaf.name))
            or ".".join((*leaf.path, leaf.name)) in search.key_fields
        )
    }


def _plain_id(text: str) -> str:
    """An id without what spellings of it differ by; case stays, since ids in Base64 differ by nothing else."""
    return unicodedata.normalize("NFC", text).strip()


def _undone(text: str) -> list[str]:
    layers = []
    for _ in range(3):
        undone = undo_layer(text)
        if undone == text:
            break
        layers.append(undone)
        text = undone
    return layers
