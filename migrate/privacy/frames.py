"""Rows of a frame that hold known values, in columns of any type: a quick look first, then a close one.

The quick look works on whole columns and misses nothing; only what it leaves is read closely, text by text. A million
records would otherwise take an hour.
"""

from __future__ import annotations

from itertools import chain

import polars as pl

from migrate.privacy.spellings import INVISIBLE_SIGNS, Finder, readings

_SEPARATOR = "|"
"""Between the columns of a row that are searched as one text: it is part of no word and of no encoding."""
_SILENT = (pl.Boolean, pl.Null)
# `\/` apart, which PHP writes for every slash of every link: it is undone for the whole column at once.
_ENCODED = r"\\[^/]|%[0-9A-Fa-f]{2}|&[#A-Za-z]"
# Scripts in which folding case is more than lower case are read closely; of others it is these three letters.
_CLOSELY = r"[\x{130}\x{13a0}-\x{13ff}\x{1c80}-\x{1c8f}\x{1f00}-\x{1fff}\x{ab70}-\x{abbf}]"
# Letters of western Europe as JSON escapes them, but for `ß`: none of them becomes a letter of ASCII in any reading.
_LATIN_ESCAPE = r"\\u00(?:[cC][0-9a-fA-F]|[dD][0-9a-eA-E]|[eEfF][0-9a-fA-F])"
_FOLDED_OTHERWISE = {"ß": "ss", "ς": "σ", "և": "եւ"}
_HASHED = r"[0-9A-Fa-f]{32}"


def rows_with(frame: pl.DataFrame, *finders: Finder) -> pl.DataFrame:
    """The rows of a snapshot's part that may hold one of the values: none that does is missing."""
    texts = frame.get_column("_raw").fill_null("")
    found = _nothing(frame.height)
    for finder in finders:
        found |= _may_hold(texts, finder)
    return frame.filter(found)


def mask_of(frame: pl.DataFrame, finder: Finder) -> pl.Series:
    """True for each row that holds one of the values, in any column."""
    if not finder or not frame.height:
        return _nothing(frame.height)
    texts = _text_of_rows(frame)
    table = texts.alias("text").to_frame()
    possible = table.filter(_may_hold(texts, finder)).unique().get_column("text")
    return texts.is_in([text for text in possible if finder.finds(text)])


def columns_with(frame: pl.DataFrame, finder: Finder) -> dict[str, int]:
    """How many rows of each column hold one of the values; columns without any are left out."""
    some = frame.filter(mask_of(frame, finder))
    if not some.height:
        return {}
    counts = {name: int(mask_of(some.select(name), finder).sum()) for name in some.columns}
    return {name: count for name, count in counts.items() if count}


def _text_of_rows(frame: pl.DataFrame) -> pl.Series:
    """Each row as one text: lists and objects as they are written, blobs as the text in them, nulls as nothing."""
    columns = [
        _text_of(frame.get_column(name), kind)
        for name, kind in frame.schema.items()
        if kind not in _SILENT
    ]
    if not columns:
        return pl.Series("text", [""] * frame.height, dtype=pl.String)
    named = [column.alias(str(at)) for at, column in enumerate(columns)]
    return pl.DataFrame(named).select(pl.concat_str(pl.all(), separator=_SEPARATOR)).to_series()


def _text_of(column: pl.Series, kind: pl.DataType) -> pl.Series:
    if kind == pl.String:
        return column.fill_null("")
    if kind == pl.Binary:
        decoded = [(value or b"").decode("utf-8", "replace") for value in column]
        return pl.Series(column.name, decoded, dtype=pl.String)
    if isinstance(kind, pl.List) and kind.inner == pl.String:
        return column.list.join(_SEPARATOR, ignore_nulls=True).fill_null("")
    if kind.is_nested() or kind == pl.Object:
        written = ["" if value is None else str(value) for value in column.to_list()]
        return pl.Series(column.name, written, dtype=pl.String)
    return column.cast(pl.String, strict=False).fill_null("")


def _nothing(rows: int) -> pl.Series:
    return pl.repeat(False, rows, dtype=pl.Boolean, eager=True)


def _may_hold(texts: pl.Series, finder: Finder) -> pl.Series:
    """False for texts that surely hold none of the values."""
    if not finder or not len(texts):
        return _nothing(len(texts))
    without_slashes = texts.str.replace_all("\\/", "/", literal=True)
    found = _contains(_fold_roughly(without_slashes), finder)
    found |= _has_digest(without_slashes, finder)
    encoded = (
        _without_letters(without_slashes, finder).str.contains(f"{_ENCODED}|{_CLOSELY}") & ~found
    )
    if encoded.any():
        decoded = _decoded_may_hold(texts.filter(encoded), finder)
        found = found.scatter(encoded.arg_true(), decoded)
    return found


def _without_letters(texts: pl.Series, finder: Finder) -> pl.Series:
    """The texts without escapes that hide none of the values: of letters that no value has."""
    if not all(needle.isascii() for needle in finder.needles):
        return texts
    return texts.str.replace_all(_LATIN_ESCAPE, "_")


def _has_digest(texts: pl.Series, finder: Finder) -> pl.Series:
    hashed = texts.str.contains(_HASHED)
    if not finder.digests or not hashed.any():
        return _nothing(len(texts))
    words = texts.filter(hashed).str.to_lowercase().str.extract_all(r"\b[0-9a-f]{32,128}\b")
    rows = pl.DataFrame({"row": hashed.arg_true(), "word": words}).explode("word")
    theirs = rows.filter(pl.col("word").is_in(list(finder.digests))).get_column("row").unique()
    return (
        _nothing(len(texts)).scatter(theirs, values=True) if len(theirs) else _nothing(len(texts))
    )


def _decoded_may_hold(texts: pl.Series, finder: Finder) -> pl.Series:
    """The same of texts with encodings in them, each in all of its readings."""
    layers = [list(readings(text)) for text in texts]
    flat = pl.Series("text", list(chain.from_iterable(layers)), dtype=pl.String)
    rows = pl.Series("row", [at for at, some in enumerate(layers) for _ in some], dtype=pl.UInt32)
    held = set(rows.filter(_contains(flat, finder)))
    return pl.Series("found", [at in held for at in range(len(layers))], dtype=pl.Boolean)


def _contains(texts: pl.Series, finder: Finder) -> pl.Series:
    if not finder.needles:
        return _nothing(len(texts))
    return texts.str.contains_any(list(finder.needles))


def _fold_roughly(texts: pl.Series) -> pl.Series:
    """What `spellings.fold` makes of them, but for the letters of which case folding is more than lower case."""
    is_ascii = ~texts.str.contains(r"[^\x00-\x7f]")
    lower = texts.str.to_lowercase().str.replace_all(r"\s+", " ")
    if is_ascii.all():
        return lower
    composed = texts.filter(~is_ascii).str.normalize("NFKC").str.to_lowercase()
    plain = composed.str.replace_all(INVISIBLE_SIGNS, "").str.replace_all(r"\s+", " ")
    plain = plain.str.replace_many(_FOLDED_OTHERWISE)
    return lower.scatter((~is_ascii).arg_true(), plain)
