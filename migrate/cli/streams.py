"""stdout and stderr that can write everything, and that never stop a command.

What an encoding lacks is written in characters that every encoding has, so that a console of Windows (cp437, cp1252)
neither stops a command nor shows rubbish. What it has is left alone.

What nobody takes is dropped: a closed pipe, a full disk, a terminal that is gone. A load goes on and ends with its own
exit code, since what it does is not what it says about it.

What a terminal would obey is written as escapes, whoever prints it: a page, an error, a traceback, a usage message that
repeats what was typed. Only the bars of the progress move the cursor, through `for_cursor`.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import select
import sys
import unicodedata
from collections.abc import Callable
from typing import Any, TextIO

import click

from migrate.report.inert import inert_page

# Signs of which taking the accent off leaves nothing, or another meaning: ≠ would become =.
_PLAIN = {
    "…": "...",
    "→": "->",
    "←": "<-",
    "–": "-",
    "—": "-",
    "×": "x",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "·": ".",
    "•": "*",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "€": "EUR",
}


class InertOutput(io.TextIOWrapper):
    """A stream of text that makes no terminal do anything but show it, in the colours of this program."""

    def write(self, text: str, /) -> int:
        """Writes the text, and counts all of it as written."""
        super().write("\t".join(map(inert_page, text.split("\t"))))
        return len(text)


class _WithCursor:
    """An inert stream for who has to move the cursor, and has made inert whatever it shows."""

    def __init__(self, stream: InertOutput) -> None:
        self._stream = stream
        self.encoding = stream.encoding
        self.flush = stream.flush
        self.fileno = stream.fileno
        self.isatty = stream.isatty

    def write(self, text: str) -> int:
        """Writes the text as it is."""
        return io.TextIOWrapper.write(self._stream, text)


def for_cursor(stream: TextIO) -> TextIO | _WithCursor:
    """The same stream for who has to move the cursor."""
    if isinstance(stream, InertOutput):
        return _WithCursor(stream)
    return stream


_PATIENCE_S = 5.0
_PASSING = (errno.ENOSPC, errno.EDQUOT) if hasattr(errno, "EDQUOT") else (errno.ENOSPC,)


class ForgivingOutput(io.RawIOBase):
    """What is written to a file descriptor; what it does not take is dropped without an error."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self._is_lost = False

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The descriptor's number."""
        return self._number

    def isatty(self) -> bool:
        """Whether a terminal is, or was, at its end."""
        try:
            return os.isatty(self._number)
        except OSError:
            return False

    def write(self, data: Any) -> int:
        """Writes what it can, and counts all of it as written."""
        left = memoryview(data).cast("B")
        length = len(left)
        while left and not self._is_lost:
            try:
                left = left[os.write(self._number, left) :]
            except BlockingIOError:
                # A terminal that is slow for a while: whoever never reads loses the rest of this text.
                if not select.select([], [self._number], [], _PATIENCE_S)[1]:
                    break
            except OSError as error:
                # A full disk may have room again; what is closed or gone does not come back.
                self._is_lost = error.errno not in _PASSING
                break
        return length


def hold_standard_streams() -> None:
    """Opens what is closed of the descriptors 0, 1 and 2, to nothing.

    Else the next file that is opened gets the number, and what is printed goes into the ledger.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is given: this one, since those below it are open.
            os.open(os.devnull, os.O_RDWR)


def prepare_streams(*, as_json: bool) -> None:
    """Lets stdout and stderr write any text; with `as_json` stdout gets escapes that JSON reads as the same text."""
    codecs.register_error("migrate-plain", _replace_plainly)
    codecs.register_error("migrate-escaped", _replace_escaped)
    sys.stdout = _forgiving(sys.stdout, 1)
    sys.stderr = _forgiving(sys.stderr, 2)
    _set_errors(sys.stdout, "migrate-escaped" if as_json else "migrate-plain")
    _set_errors(sys.stderr, "migrate-plain")


def _forgiving(stream: TextIO | None, number: int) -> TextIO:
    """The stream with a forgiving end; as it is where it is none of the process's own, or on Windows a console."""
    if stream is not None:
        is_own = False
        with contextlib.suppress(OSError, ValueError, AttributeError):
            is_own = stream.fileno() == number
        if not is_own or os.name == "nt":
            return stream
    encoding = getattr(stream, "encoding", None) or "utf-8"
    whole = io.BufferedWriter(ForgivingOutput(number))
    return InertOutput(whole, encoding=encoding, line_buffering=True, write_through=True)


def _set_errors(stream: object, errors: str) -> None:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=errors)


def _replace_plainly(error: UnicodeError) -> tuple[str, int]:
    return _replace(error, plain)


def _replace_escaped(error: UnicodeError) -> tuple[str, int]:
    return _replace(error, escaped)


def _replace(error: UnicodeError, spell: Callable[[str], str]) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(spell, error.object[error.start : error.end])), error.end


def plain(char: str) -> str:
    """`char` in ASCII for a reader: a known spelling, the letter without accents, else the character's number."""
    if char in _PLAIN:
        return _PLAIN[char]
    base = "".join(
        part
        for part in unicodedata.normalize("NFKD", char)
        if part.isascii() and part.isprintable()
    )
    return base or escaped(char)


def escaped(char: str) -> str:
    """`char` as a string in JSON spells it in ASCII."""
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def wants_colour() -> bool:
    """True when stdout is a terminal and nobody has asked for no colours (no-color.org)."""
    return sys.stdout.isatty() and may_colour()


def may_colour() -> bool:
    """True where nobody has asked for no colours."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(text: str, *, err: bool = False) -> None:
    """Prints what a person reads, folded to the width of a terminal; another program gets it as it is."""
    from migrate.report.folded import fold

    stream = sys.stderr if err else sys.stdout
    coloured = None if may_colour() else False
    with _bars_aside():
        click.echo(fold(text) if stream.isatty() else text, err=err, color=coloured)


def _bars_aside() -> contextlib.AbstractContextManager[None]:
    # What has shown no progress need not pay for importing it.
    progress = sys.modules.get("migrate.cli.progress")
    return contextlib.nullcontext() if progress is None else progress.Bars.aside()


def end_bars() -> None:
    """Takes every bar off the screen: what is printed from here on begins a line."""
    progress = sys.modules.get("migrate.cli.progress")
    if progress is not None:
        progress.Bars.end_all()


def say_wrong_usage(error: click.ClickException) -> None:
    """Prints what is wrong with a command line, and how it is to be."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        # Its message is the whole help, which begins with the usage.
        say(error.format_message(), err=True)
        return
    context = getattr(error, "ctx", None)
    if context is not None:
        say(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n", err=True)
    say(f"Error: {error.format_message()}", err=True)


def draws_bars() -> bool:
    """True when stderr is a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
