"""The fields that a mapping reads, of many records at once: one row a record, or one for each element of its list.

Records that look alike are read by one decoder made for them. What that decoder cannot take (half a surrogate pair, a
name with two dots, a value of another kind) is read by `record`, value by value, with the same answers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from typing import Any

import msgspec
import polars as pl

from migrate.verify.record import (
    HALF,
    NUL,
    elements,
    literal_text,
    marked_text,
    reach,
    split_object,
)

SOURCE, ID, PLACE, ORDER, LEFT, LEFT_AT = (
    "_source", "_id", "_position", "_order", "_left", "_left_at",
)  # fmt: skip
SENT_SOURCE, SENT_ID = "_sent_source", "_sent_id"
"""The same as texts to send: with a NUL for each half of a surrogate pair, which a snapshot shows spelt out."""
_SPELT_HALF = r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_ID_FIELDS = ("profileid", "id", "itemid", "categoryid", "conversionid", "interactionid")
_SOURCE_FIELDS = (
    "source",
    *(f"{one}.source" for one in ("metadata", "profile", "item", "conversion", "interaction")),
)
_FIRST = 50
_TAKEN_NAME = re.compile(r'[^"\\\x00-\x1f]*')
_NOTHING = msgspec.Raw(b"")
_LISTS = msgspec.json.Decoder(list[list[msgspec.Raw]])
_EMPTY = (None, "", "[]", "{}")
_NO_LIST = frozenset([b"", b"null", b'""', b"{}"])
Texts = Sequence[str | None]


@dataclass(frozen=True)
class Wanted:
    """The names that are read: of the record itself, and of the elements of its list `each` (`item`, `item.NAME`)."""

    names: tuple[str, ...]
    each: str | None = None
    items: tuple[str, ...] = ()


@dataclass
class _Rows:
    """Rows before their fields: which record each is of, its place in the list, its element, and why it is left out."""

    of: list[int]
    places: list[int | None]
    elements: list[bytes]
    left: list[str | None]


def read_fields(
    frame: pl.DataFrame, wanted: Wanted, *, with_identity: bool = False
) -> pl.DataFrame:
    """The rows of records (`_raw`, `_source`, `_id`, `_position`), each field a column of texts.

    **Shape**: `_source`, `_id`, `_order` (the record's place in the snapshot), `_position` (the element's, from 1),
    `_left` and `_left_at` (the rule that left a row out already, and of which name), `f:NAME`, `e:NAME`. A field that
    no record has may lack its column. `with_identity`: also `_sent_source` and `_sent_id`.
    """
    raws = frame.get_column("_raw").cast(pl.Binary).to_list()
    columns = {f"f:{name}": texts for name, texts in read_columns(raws, wanted.names).items()}
    own = {SOURCE: frame["_source"], ID: frame["_id"], ORDER: frame["_position"].cast(pl.Int64)}
    if with_identity:
        own[SENT_SOURCE] = _as_sent(frame["_source"], raws, _SOURCE_FIELDS)
        own[SENT_ID] = _as_sent(frame["_id"], raws, _ID_FIELDS)
    made = pl.DataFrame(
        own | {name: pl.Series(name, texts, dtype=pl.String) for name, texts in columns.items()}
    )
    if wanted.each is None:
        left = [None if id_ else "id_missing" for id_ in frame["_id"].to_list()]
        rows = _Rows([], [None] * len(raws), [], left)
    else:
        rows = _expand(raws, frame["_id"].to_list(), wanted)
        made = made[rows.of]
    items = _item_columns(rows, wanted.items)
    return made.with_columns(
        pl.Series(PLACE, rows.places, dtype=pl.Int64),
        pl.Series(LEFT, rows.left, dtype=pl.String),
        *items,
    ).with_columns(_left_at(wanted.each))


def _as_sent(shown: pl.Series, raws: Sequence[bytes], names: Sequence[str]) -> pl.Series:
    """Identities with a NUL where the record has half a surrogate pair, and not a text that spells its escape."""
    suspects = shown.str.contains(_SPELT_HALF).fill_null(value=False).arg_true()
    texts = [
        next(
            (read for name in names if (read := _as_shown(shown[row], raws[row], name))), shown[row]
        )
        for row in suspects
    ]
    return shown.scatter(suspects, texts) if texts else shown


def _as_shown(shown: str, raw: bytes, name: str) -> str | None:
    """The text of a field with NULs for its halves, where a snapshot shows it so; else None."""
    text = reach(split_object(raw) or {}, name, marked_text)
    if text is None or HALF not in text:
        return None
    spelt = _SPELT_HALF.join(map(re.escape, text.split(HALF)))
    if re.fullmatch(spelt, shown, re.DOTALL):
        return text.replace(HALF, NUL)
    return None


def _left_at(each: str | None) -> pl.Expr:
    return (
        pl.when(pl.col(LEFT) == "id_missing")
        .then(pl.lit("id"))
        .when(pl.col(LEFT).is_not_null())
        .then(pl.lit(each, pl.String))
        .alias(LEFT_AT)
    )


def _expand(raws: Sequence[bytes], ids: Texts, wanted: Wanted) -> _Rows:
    """One row for each element; one for a record without an id, or whose list is none."""
    rows = _Rows([], [], [], [])
    for at, (id_, members) in enumerate(zip(ids, _lists(raws, wanted), strict=True)):
        if not id_ or members is None:
            _add(rows, at, None, b"", "each_not_a_list" if id_ else "id_missing")
            continue
        for place, element in enumerate(members, 1):
            _add(rows, at, place, bytes(element), None)
    return rows


def _add(rows: _Rows, at: int, place: int | None, element: bytes, rule: str | None) -> None:
    rows.of.append(at)
    rows.places.append(place)
    rows.elements.append(element)
    rows.left.append(rule)


def _lists(raws: Sequence[bytes], wanted: Wanted) -> Iterable[Sequence[bytes | msgspec.Raw] | None]:
    """The elements of each record's list; None where it holds something else."""
    assert wanted.each is not None
    if "." not in wanted.each:
        data = b"[" + b",".join(raws) + b"]"
        literals = _members(raws, data, [], frozenset([wanted.each]))
        try:
            if literals is not None:
                lists = [bytes(raw) for raw in literals.get(wanted.each, [b""] * len(raws))]
                whole = b",".join(b"[]" if one in _NO_LIST else one for one in lists)
                return _LISTS.decode(b"[" + whole + b"]")
        except msgspec.DecodeError:
            pass
    paths = [name.removeprefix("item.") for name in wanted.items if name != "item"]
    members = [split_object(raw) or {} for raw in raws]
    texts = [reach(one, wanted.each, marked_text) for one in members]
    return [[] if text in _EMPTY else elements(str(text), paths) for text in texts]


def _item_columns(rows: _Rows, items: Sequence[str]) -> list[pl.Series]:
    """The elements' fields; notes each element in which nothing is said of them as left out."""
    if not items:
        return []
    texts_by_name: dict[str, Texts] = {}
    if "item" in items:
        texts_by_name["item"] = [literal_text(element) for element in rows.elements]
    paths = [name.removeprefix("item.") for name in items if name != "item"]
    for path, texts in read_columns(rows.elements, paths).items():
        texts_by_name[f"item.{path}"] = texts
    says = [False] * len(rows.of)
    for texts in texts_by_name.values():
        says = [known or bool(text) for known, text in zip(says, texts, strict=True)]
    rows.left = [
        rule if rule is not None or something else "empty_element"
        for rule, something in zip(rows.left, says, strict=True)
    ]
    return [pl.Series(f"e:{name}", texts, dtype=pl.String) for name, texts in texts_by_name.items()]


def read_columns(objects: Sequence[bytes], names: Collection[str]) -> dict[str, Texts]:
    """The fields of JSON objects by name, as `record.reach` reads them; what is no object has none.

    Names that no object has may be left out.
    """
    plain = [name for name in names if "." not in name]
    inner: dict[str, list[str]] = {}
    for name in names:
        head, dot, tail = name.partition(".")
        if dot:
            inner.setdefault(head, []).append(tail)
    if all(objects):
        filled = objects
    else:
        filled = [one or b"{}" for one in objects]
    data = b"[" + b",".join(filled) + b"]"
    if _has_dotted(data, inner):
        members = None
    else:
        members = _members(objects, data, plain, frozenset(inner))
    if members is None:
        return _one_by_one(objects, names)
    read = {name: _texts(members[name]) for name in plain if name in members}
    for head, tails in inner.items():
        if head not in members:
            continue
        read |= {f"{head}.{tail}": texts for tail, texts in _inner(members[head], tails).items()}
    return read


def _inner(literals: Sequence[Any], tails: Sequence[str]) -> dict[str, Texts]:
    """The fields of the objects in one field."""
    datas = [bytes(literal) for literal in literals]
    at = [place for place, data in enumerate(datas) if data[:1] == b"{"]
    if not at:
        return {}
    columns = read_columns([datas[place] for place in at], tails)
    return {tail: _scattered(texts, at, len(datas)) for tail, texts in columns.items()}


def _scattered(texts: Texts, at: Sequence[int], rows: int) -> Texts:
    scattered: list[str | None] = [None] * rows
    for place, text in zip(at, texts, strict=True):
        scattered[place] = text
    return scattered


def _has_dotted(data: bytes, inner: Mapping[str, Sequence[str]]) -> bool:
    """Whether a name with a dot may stand in an object as it is: it goes before the field of an object."""
    beginnings = [f'"{head}.'.encode() for head in inner]
    # A dot may be spelt as an escape, in either case.
    signs = (*beginnings, rb"\u002e", rb"\u002E") if rb"\u" in data else beginnings
    return any(sign in data for sign in signs)


def _one_by_one(objects: Sequence[bytes], names: Collection[str]) -> dict[str, Texts]:
    members = [split_object(data) or {} for data in objects]
    return {name: [reach(one, name) for one in members] for name in names}


def _texts(values: Sequence[Any]) -> Texts:
    """Literals as texts; strings are decoded already."""
    if not values or not isinstance(values[0], msgspec.Raw):
        return values
    # Most columns have few different texts; each is decoded once.
    known: dict[bytes, str | None] = {}
    texts = []
    for literal in map(bytes, values):
        if literal not in known:
            known[literal] = literal_text(literal)
        texts.append(known[literal])
    return texts


def _members(
    objects: Sequence[bytes], data: bytes, names: Iterable[str], literal: frozenset[str]
) -> dict[str, Sequence[Any]] | None:
    """Some members of each object, those that are there: as text where all are strings, else as literals.

    `data`: the objects as one list. None where it has to be asked of each alone.
    """
    every = dict.fromkeys([*names, *sorted(literal)])
    seen = _kinds(objects)
    closed = {name: name in every and name not in literal and seen[name] for name in seen}
    opened = {name: name not in literal and seen.get(name, True) for name in every}
    for kinds, is_closed in ((closed, True), (opened, False), (dict.fromkeys(every, False), False)):
        # msgspec takes no name with a quote or a control character in it.
        if not all(map(_TAKEN_NAME.fullmatch, kinds)):
            continue
        try:
            rows = _decoder(tuple(kinds.items()), is_closed).decode(data)
        except msgspec.ValidationError:
            continue
        except (msgspec.DecodeError, RecursionError):
            return None
        # A text such as `{},{}` is two objects in the list: all behind it would be read as their neighbours.
        if len(rows) != len(objects):
            return None
        return {
            name: list(map(attrgetter(f"f{at}"), rows))
            for at, name in enumerate(kinds)
            if name in every
        }
    return None


def _kinds(objects: Sequence[bytes]) -> dict[str, bool]:
    """The members of the first objects, and whether all their values are strings."""
    are_texts: dict[str, bool] = {}
    for one in islice(objects, _FIRST):
        for name, raw in (split_object(one) or {}).items():
            are_texts[name] = are_texts.get(name, True) and bytes(raw)[:1] in {b'"', b"n"}
    return are_texts


@lru_cache(maxsize=256)
def _decoder(
    members: tuple[tuple[str, bool], ...], is_closed: bool
) -> msgspec.json.Decoder[list[Any]]:
    """A decoder of objects with these members, each as text or as a literal, and no others if closed."""
    fields = [
        (f"f{at}", str | None, msgspec.field(name=name, default=None))
        if is_text
        else (f"f{at}", msgspec.Raw, msgspec.field(name=name, default=_NOTHING))
        for at, (name, is_text) in enumerate(members)
    ]
    # They hold texts only and no cycles, so the garbage collector need not look at them.
    alike = msgspec.defstruct("Alike", fields, gc=False, forbid_unknown_fields=is_closed)
    return msgspec.json.Decoder(list[alike])  # type: ignore[valid-type]  # made at run time
