"""One way to make a page: every value in it is escaped, and inert for terminals, readers and browsers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import jinja2

from migrate.report.terminal import inert


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
    environment.filters.update(filters)
    return environment.get_template(name)
