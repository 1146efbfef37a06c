"""Nothing that others write ends in a traceback or without an end: the corpus, and some changes of it."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .mutate import mutate
from .targets import CORPUS

LONGEST_S = 20.0
INPUTS = [
    (name, number) for name, (_target, seeds) in CORPUS.items() for number in range(len(seeds))
]


@pytest.mark.parametrize(("name", "number"), INPUTS)
def test_what_was_trouble_once_is_an_error(name: str, number: int) -> None:
    """Right inputs and hostile ones: read or refused, in a short time."""
    target, seeds = CORPUS[name]
    started_s = time.process_time()
    target(seeds[number])
    assert time.process_time() - started_s < LONGEST_S


@pytest.mark.parametrize("name", CORPUS)
def test_changes_of_the_corpus_are_read_or_refused(name: str) -> None:
    """The same few on every run; `python -m tests.fuzz.run` makes as many as there is time for."""
    target, seeds = CORPUS[name]
    chance = random.Random(name)  # repeatable, not secret
    for _ in range(12):
        target(mutate(chance.choice(seeds), seeds, chance))


@given(st.binary(max_size=200), st.sampled_from(sorted({"page", "answer", "export", "body"})))
def test_any_bytes_are_read_or_refused(data: bytes, name: str) -> None:
    """Without any corpus."""
    CORPUS[name][0](data)
