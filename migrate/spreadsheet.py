"""Files that people open in a spreadsheet program: the one guard against texts that it would take for a formula.

**Source**: OWASP, CSV Injection. Excel, LibreOffice and Google Sheets also skip what is invisible before the sign.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO

import polars as pl

# Written with the signs themselves, so that the same pattern is one of Rust's, for columns, and one of Python's.
_SIGNS = "=+\\-@|%\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b\u2212"
_UNSEEN = "\\s\x00-\x20\x7f-\xa0\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_FORMULA = f"^[{_UNSEEN}'\"]*[{_SIGNS}]|[\\r\\n][{_UNSEEN}]*[{_SIGNS}]"
_NUMBER = "^-?[0-9]+(?:[.,][0-9]+)?$"
_INVISIBLE = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
_IS_FORMULA, _IS_NUMBER, _IS_INVISIBLE = map(re.compile, (_FORMULA, _NUMBER, _INVISIBLE))


def write_csv(frame: pl.DataFrame, target: Path | IO[bytes]) -> None:
    """Writes a frame as CSV that opens as it is: with a mark of its encoding, every text quoted and none a formula."""
    defuse(frame).write_csv(target, include_bom=True, quote_style="non_numeric")


def defuse(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with texts, in cells and names of columns, that no spreadsheet takes for a formula; lists as one text.

    Invisible characters become `�`: what they do to what is shown is nothing that anybody meant.
    """
    lists = [
        pl.col(name).cast(pl.List(pl.String)).list.join(", ", ignore_nulls=True)
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.List)
    ]
    flat = frame.with_columns(lists)
    texts = [name for name, kind in flat.schema.items() if kind == pl.String]
    safe = flat.with_columns(_defused(pl.col(name)).alias(name) for name in texts)
    return safe.rename({name: defuse_text(name) for name in safe.columns})


def defuse_text(text: str) -> str:
    """One text that no spreadsheet takes for a formula."""
    is_formula = _IS_FORMULA.search(text) and not _IS_NUMBER.search(text)
    return _IS_INVISIBLE.sub("�", f"'{text}" if is_formula else text)


def _defused(text: pl.Expr) -> pl.Expr:
    is_formula = text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)
    quoted = pl.when(is_formula).then(pl.lit("'") + text).otherwise(text)
    return quoted.str.replace_all(_INVISIBLE, "�")
