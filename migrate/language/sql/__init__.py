"""A mapping's SQL as a tree: what the text says, with a type at every node, before any engine runs it.

The text is cut and parsed by sqlglot as PostgreSQL's; what comes out is taken over node by node, each
from a closed list, into the small tree of `tree`. Two engines write that tree in their own words, so
neither ever sees the text: no word that a database knows and these pages do not can act, and no
sub-query, file or other row can be reached.

docs/sql.md says what each node means, with examples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from sqlglot import ParseError, exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.tokenizer_core import TokenType

from migrate.language.sql import choices, numbers, texts, truth
from migrate.language.sql.reader import Found, Take, TreeReader
from migrate.language.sql.tokens import check_nesting, guarded_tokens
from migrate.language.sql.tree import Node, SqlRefused

__all__ = ["MAX_LENGTH", "Expression", "Node", "SqlRefused", "parse_sql"]

MAX_LENGTH = 4000
_TAKERS: dict[type[Found], Take] = {
    exp.Paren: lambda reader, found: reader.node(found.this),
    **truth.TAKERS,
    **numbers.TAKERS,
    **choices.TAKERS,
    **texts.TAKERS,
}


@dataclass(frozen=True)
class Expression:
    """A whole expression, and the fields it reads in the order of the text."""

    root: Node
    fields: tuple[str, ...]


@lru_cache(maxsize=1024)
def parse_sql(text: str) -> Expression:
    """The expression in `text`. Raises SqlRefused."""
    if len(text) > MAX_LENGTH:
        raise SqlRefused(f"longer than {MAX_LENGTH} characters", MAX_LENGTH)
    tokens = list(guarded_tokens(text))
    if not tokens:
        raise SqlRefused("there is no expression", 0)
    # Before the parser, which finds out too late: by a RecursionError, without a place.
    check_nesting(tokens)
    try:
        parsed = Postgres().parser().parse(tokens, text)
    except ParseError as error:
        raise _as_refusal(error, text) from None
    except RecursionError:
        raise SqlRefused("nested too deeply", 0) from None
    if len(parsed) != 1 or parsed[0] is None:
        raise SqlRefused("one expression only", 0)
    names = [token.text for token in tokens if token.token_type == TokenType.IDENTIFIER]
    return Expression(TreeReader(_TAKERS).node(parsed[0]), tuple(dict.fromkeys(names)))


def _as_refusal(error: ParseError, text: str) -> SqlRefused:
    detail = error.errors[0] if error.errors else {}
    what = str(detail.get("description") or "this cannot be read").partition(" for <class")[0]
    what = re.sub(
        r"Required keyword: '\w+' missing", "something is missing before this place", what
    )
    what = what.replace("Invalid expression / Unexpected token", "this cannot follow here")
    at = len(str(detail.get("start_context") or ""))
    return SqlRefused(what, min(at, len(text)))
