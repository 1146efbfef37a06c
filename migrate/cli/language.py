"""The option by which a page is written in its reader's language."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from migrate.cli.app import App
from migrate.names import LANGUAGES, Language

if TYPE_CHECKING:
    from migrate.config import Project


def language_of(app: App, project: Project) -> Language:
    """The language of pages and lists: that of `--lang`, or else the project's."""
    return app.language or project.report_language


def language_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command `--lang`; without it the project file says the language (`language_of`)."""
    return click.option(
        "--lang",
        type=click.Choice(LANGUAGES),
        expose_value=False,
        callback=_set_language,
        help="The language of the page and its lists [report_language in migrate.toml, else en].",
    )(function)


def _set_language(context: click.Context, _option: click.Parameter, value: Language | None) -> None:
    context.ensure_object(App).language = value
