"""What the words of an answer mean: which of them say yes, which no. One list for proposals, plan and verifier."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal

Answer = Literal["yes", "no"]


def answer_of(text: str) -> Answer | None:
    """What an answer says: `yes` or `no`; None for what is no known word of either."""
    return _answers().get(text.strip().casefold())


def words_of(answer: Answer) -> tuple[str, ...]:
    """The known words of an answer, in small letters."""
    return tuple(word for word, said in _answers().items() if said == answer)


@cache
def _answers() -> dict[str, Answer]:
    file = Path(__file__).with_name("answers.json")
    words: dict[Answer, list[str]] = json.loads(file.read_text(encoding="utf-8"))
    answers: dict[str, Answer] = {}
    for answer, listed in words.items():
        answers |= dict.fromkeys(listed, answer)
    return answers
