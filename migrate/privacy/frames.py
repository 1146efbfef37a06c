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
# `\/` apart, which PHP writes for every slash of every link: it is undone for the whole column at once, where a value
# has a slash.
_ENCODED = r"\\[^/]|%[0-9A-Fa-f]{2}|&[#A-Za-z]"
# Scripts in which folding case is more than lower case are read closely; of others it is these three letters.
_CLOSELY = r"[\x{130}\x{13a0}-\x{13ff}\x{1c80}-\x{1c8f}\x{1f00}-\x{1fff}\x{ab70}-\x{abbf}]"
# Letters of western Europe as JSON escapes them, but for `ß`: none of them becomes a letter of ASCII in any reading.
_LATIN_ESCAPE = r"\\u00(?:[cC][0-9a-fA-F]|[dD][0-9a-eA-E]|[eEfF][0-9a-fA-F])"
_FOLDED_OTHERWISE = {"ß": "ss", "ς": "σ", "և": "եւ"}
_ODD_SPACES = r"[\t-\r\x1c-\x1f]|  "
# MD5 has the fewest digits of the hashes that are looked for.
_HASHED = r"[0-9A-Fa-f]{32}"


def rows_with(frame: pl.DataFrame, *finders: Finder) -> pl.DataFrame:
    """The rows of a snapshot's part that may hold one of the values: none that does is missing."""
    texts = frame.get_column("_raw").fill_null("")
    holds = _nothing(frame.height)
    for finder in finders:
        holds |= _may_hold(texts, finder)
    return frame.filter(holds)


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
        return _text_of_bytes(column)
    if isinstance(kind, pl.List) and kind.inner == pl.String:
        return column.list.join(_SEPARATOR, ignore_nulls=True).fill_null("")
    if isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct) and _is_flat(kind.inner):
        # In Python this was half of all the time: it is how each planned row says what it was made of.
        fields = [pl.element().struct.field(field.name) for field in kind.inner.fields]
        texts = [field.cast(pl.String, strict=False).fill_null("") for field in fields]
        joined = column.list.eval(pl.concat_str(texts, separator=_SEPARATOR))
        return joined.list.join(_SEPARATOR, ignore_nulls=True).fill_null("")
    if kind.is_nested() or kind == pl.Object:
        written = ["" if value is None else str(value) for value in column.to_list()]
        return pl.Series(column.name, written, dtype=pl.String)
    return column.cast(pl.String, strict=False).fill_null("")


def _text_of_bytes(column: pl.Series) -> pl.Series:
    try:
        return column.cast(pl.String).fill_null("")
    except pl.exceptions.PolarsError:
        # What is no UTF-8, as the bytes of a damaged record are: polars casts all of a column or, strict or not, none.
        pass
    decoded = [(value or b"").decode("utf-8", "replace") for value in column]
    return pl.Series(column.name, decoded, dtype=pl.String)


def _is_flat(kind: pl.Struct) -> bool:
    kinds = [field.dtype for field in kind.fields]
    return all(one in (pl.String, pl.Null) or one.is_integer() for one in kinds)


def _nothing(rows: int) -> pl.Series:
    return pl.repeat(False, rows, dtype=pl.Boolean, eager=True)


def _may_hold(texts: pl.Series, finder: Finder) -> pl.Series:
    """False for texts that surely hold none of the values."""
    if not finder or not len(texts):
        return _nothing(len(texts))
    if any("/" in needle for needle in finder.needles):
        texts = texts.str.replace_all("\\/", "/", literal=True)
    is_ascii = texts.str.len_bytes() == texts.str.len_chars()
    may_hold = _holds_needle(texts, is_ascii, finder)
    may_hold |= _has_digest(texts, finder)
    encoded = texts.str.contains(_ENCODED) & ~may_hold
    if not is_ascii.all():
        others = texts.filter(~is_ascii).str.contains(_CLOSELY)
        encoded |= _nothing(len(texts)).scatter((~is_ascii).arg_true(), others) & ~may_hold
    if encoded.any():
        candidates = texts.filter(encoded)
        is_hidden = _without_letters(candidates, finder).str.contains(f"{_ENCODED}|{_CLOSELY}")
        decoded = _nothing(len(candidates))
        if is_hidden.any():
            inside = _decoded_may_hold(candidates.filter(is_hidden), finder)
            decoded = decoded.scatter(is_hidden.arg_true(), inside)
        may_hold = may_hold.scatter(encoded.arg_true(), decoded)
    return may_hold


def _holds_needle(texts: pl.Series, is_ascii: pl.Series, finder: Finder) -> pl.Series:
    """Which texts hold one of the needles once they are folded; most are as good as folded but for their case."""
    if not finder.needles:
        return _nothing(len(texts))
    is_plain = is_ascii & ~texts.str.contains(_ODD_SPACES)
    needles = list(finder.needles)
    if is_plain.all():
        return texts.str.contains_any(needles, ascii_case_insensitive=True)
    holds = texts.str.contains_any(needles, ascii_case_insensitive=True) & is_plain
    folded = _contains(_fold_roughly(texts.filter(~is_plain)), finder)
    return holds.scatter((~is_plain).arg_true(), folded)


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
    if len(theirs):
        return _nothing(len(texts)).scatter(theirs, values=True)
    return _nothing(len(texts))


def _decoded_may_hold(texts: pl.Series, finder: Finder) -> pl.Series:
    """The same of texts with encodings in them, each in all of its readings."""
    layers = [list(readings(text)) for text in texts]
    flat = pl.Series("text", list(chain.from_iterable(layers)), dtype=pl.String)
    rows = pl.Series("row", [at for at, some in enumerate(layers) for _ in some], dtype=pl.UInt32)
    places = set(rows.filter(_contains(flat, finder)))
    return pl.Series("found", [at in places for at in range(len(layers))], dtype=pl.Boolean)


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
