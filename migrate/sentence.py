"""Sentences that can be said in another language: English text that remembers what it was made of.

Whoever judges (the plan, a gate, the verdict) writes its sentence here once. Terminal, JSON and logs take it as the
English text that it is; a page says it in its reader's language (`migrate.report.words`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, TypeAlias

from pydantic import PlainSerializer, PlainValidator

Value: TypeAlias = "str | int | float | Decimal | tuple[Value, ...]"
_AMOUNT = "amount"
_TEMPLATE = "says"


class Sentence(str):
    """An English sentence; `template` and `values` are what it was made of.

    `template` names its values in braces. Where it has a `plural`, that one is taken unless the value `count` is 1.
    Values: whole numbers are grouped, floats have three digits that count, amounts two places, tuples are listed;
    another text stays as it is in every language, unless it is a Sentence itself.
    """

    __slots__ = ("plural", "template", "values")
    template: str
    plural: str | None
    values: Mapping[str, Value]

    def __new__(cls, template: str, plural: str | None = None, /, **values: Value) -> Sentence:
        """The sentence; one without values is its template, braces and all."""
        chosen = template if plural is None or values["count"] == 1 else plural
        shown = {name: in_english(value) for name, value in values.items()}
        text = super().__new__(cls, chosen.format(**shown) if values else chosen)
        text.template, text.plural, text.values = template, plural, values
        return text

    def __getnewargs_ex__(self) -> tuple[tuple[str, str | None], dict[str, Value]]:
        """What a copy is made from."""
        return (self.template, self.plural), dict(self.values)


def in_english(value: Value) -> str:
    """A value as it stands in an English sentence."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, tuple):
        return ", ".join(in_english(one) for one in value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3g}" if isinstance(value, float) else amount_text(value)


def amount_text(amount: Decimal) -> str:
    """A sum as text: at least two decimals, and as many as it has."""
    plain = f"{amount.normalize():f}"
    whole, _, rest = plain.partition(".")
    return f"{whole}.{rest.ljust(2, '0')}"


def one_after_other(sentences: Sequence[str]) -> str:
    """Several sentences in one line, parted by semicolons; '' where there are none."""
    if not sentences:
        return ""
    line = sentences[0]
    for more in sentences[1:]:
        line = Sentence("{first}; {more}", first=line, more=more)
    return line


def write_parts(text: Value) -> Any:
    """What a sentence is made of, as JSON; every other value as it is."""
    if isinstance(text, Sentence):
        values = {name: write_parts(value) for name, value in text.values.items()}
        plural = {"plural": text.plural} if text.plural else {}
        return {_TEMPLATE: text.template, **plural, **({"values": values} if values else {})}
    if isinstance(text, Decimal):
        return {_AMOUNT: str(text)}
    return [write_parts(one) for one in text] if isinstance(text, tuple) else text


def read_parts(parts: Any) -> Any:
    """The sentence, or other value, that `write_parts` wrote. Raises ValueError where it is none."""
    if isinstance(parts, list):
        return tuple(read_parts(one) for one in parts)
    if not isinstance(parts, dict):
        return parts
    if _AMOUNT in parts:
        return Decimal(parts[_AMOUNT])
    values = {name: read_parts(value) for name, value in parts.get("values", {}).items()}
    try:
        return Sentence(parts[_TEMPLATE], parts.get("plural"), **values)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"no sentence: {error}") from None


def _text(parts: Any) -> str:
    text = read_parts(parts)
    if not isinstance(text, str):
        raise ValueError("no text")  # noqa: TRY004  # pydantic's own kind of error
    return text


StoredSentence = Annotated[
    str, PlainValidator(_text), PlainSerializer(write_parts, when_used="json")
]
"""A field that keeps a sentence whole in a JSON file; a plain text stays one. In Python it is a text."""
