"""One way to make a page: every value in it is escaped, and inert for terminals, readers and browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import jinja2
from markupsafe import Markup, escape

from migrate.report.terminal import inert, say_count


def page_template(name: str, **filters: Callable[..., Any]) -> jinja2.Template:
    """The template of that name, with the filters `n` (grouped number), `money` (two decimals) and the given ones.

    **Guarantees**: a name that the template uses and nobody gave is an error, never an empty place.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("migrate.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: inert(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["n"] = lambda value: "–" if value is None else f"{value:,}"
    environment.filters["money"] = lambda value: "–" if value is None else f"{Decimal(value):,.2f}"
    environment.filters["codes"] = _codes
    environment.filters["an"] = lambda noun: (
        f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
    )
    environment.filters["count"] = say_count
    environment.globals["telling"] = telling_columns
    environment.filters.update(filters)
    return environment.get_template(name)


def _codes(text: str) -> Markup:
    """A sentence with what stands between backticks as code; everything else escaped and inert."""
    pieces = inert(text).split("`")
    if len(pieces) % 2 == 0:
        # an odd mark has no partner, so it is shown as it is
        pieces[-2:] = [f"{pieces[-2]}`{pieces[-1]}"]
    shown = [
        Markup("<code>{}</code>").format(piece) if at % 2 else escape(piece)
        for at, piece in enumerate(pieces)
    ]
    return Markup("").join(shown)


def telling_columns(
    rows: Iterable[Mapping[str, Any] | object], columns: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Those of the columns, (key, label), that say something in any of the rows: not only zeros and gaps."""
    every = list(rows)
    return [(key, label) for key, label in columns if any(_value(row, key) for row in every)]


def _value(row: Mapping[str, Any] | object, key: str) -> Any:
    return row.get(key) if isinstance(row, Mapping) else getattr(row, key, None)
