"""What the bodies of answers to reads are believed to hold."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
import zstandard

from migrate.net.retry import TransientError
from migrate.target.answer import Answer
from migrate.target.reads import csv_reader

WHOLE = b"__masterid__,city\n1,Delft\n2,Rotterdam\n"


def test_a_whole_page_is_taken_at_once() -> None:
    """Each line has its end; also where there is only a header."""
    assert csv_reader()(Answer(200, WHOLE)) == WHOLE
    assert csv_reader()(Answer(200, b"__masterid__,city\n")) == b"__masterid__,city\n"


@pytest.mark.parametrize("end", range(1, WHOLE.index(b"\n") + 1))
def test_a_page_cut_within_its_header_is_asked_for_again(end: int) -> None:
    """Wherever it ends: a header cut short names fewer columns, or others, and no row is there."""
    read = csv_reader()
    with pytest.raises(TransientError, match="within a line"):
        read(Answer(200, WHOLE[:end]))
    assert read(Answer(200, WHOLE)) == WHOLE


def test_a_lone_header_without_its_end_is_believed_the_second_time() -> None:
    """A service may leave the last line's end out, and a dataset may be empty."""
    read, page = csv_reader(), b"__masterid__,city"
    with pytest.raises(TransientError, match="within a line"):
        read(Answer(200, page))
    assert read(Answer(200, page)) == page


def test_a_page_cut_within_a_value_is_asked_for_again() -> None:
    """A value cut short is a value all the same; the page is taken once it came whole."""
    read = csv_reader()
    for cut in (WHOLE[:-3], WHOLE[:-8]):
        with pytest.raises(TransientError, match="within a line"):
            read(Answer(200, cut))
    assert read(Answer(200, WHOLE)) == WHOLE


def test_a_service_that_never_ends_its_last_line_is_believed() -> None:
    """The same bytes twice are no accident."""
    read, page = csv_reader(), WHOLE.rstrip(b"\n")
    with pytest.raises(TransientError, match="within a line"):
        read(Answer(200, page))
    assert read(Answer(200, page)) == page


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, zstandard.compress])
def test_a_packed_export_is_refused_before_anything_unpacks_it(
    pack: Callable[[bytes], bytes],
) -> None:
    """The reader of CSV would unpack it by itself, however much comes out of it."""
    with pytest.raises(TransientError, match="packed"):
        csv_reader()(Answer(200, body=pack(b"__masterid__,a\n1,2\n")))
