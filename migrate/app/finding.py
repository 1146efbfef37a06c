"""What speaks against green, and the judgement made of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from migrate.sentence import Sentence

Colour = Literal["green", "amber", "red"]
Kind = Literal[
    "gate",
    "difference",
    "money",
    "not_arriving",
    "consent",
    "merged",
    "emptied",
    "cut",
    "unverified",
]
ORDER: tuple[Kind, ...] = (
    "gate", "difference", "money", "not_arriving", "consent", "merged", "emptied", "cut", "unverified",
)  # fmt: skip
"""The worst first: what stops everything, then what is lost for good, then what nobody could check."""


@dataclass(frozen=True)
class Finding:
    """One thing that speaks against green. `rows` of `of` are touched, both None where nothing is counted."""

    kind: Kind
    text: str
    dataset: str | None = None
    column: str | None = None
    rows: int | None = None
    of: int | None = None

    @property
    def share(self) -> float:
        """The part that is touched, from 0 to 1."""
        return self.rows / self.of if self.rows and self.of else 0.0


@dataclass(frozen=True)
class Verdict:
    """The judgement: `findings` the worst first."""

    colour: Colour
    headline: str
    findings: tuple[Finding, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What speaks against green, as sentences."""
        return tuple(finding.text for finding in self.findings)

    def summarise(self) -> dict[str, Any]:
        """The verdict as JSON."""
        findings = [{**asdict(f), "share": round(f.share, 6)} for f in self.findings]
        head = {"colour": self.colour, "good": self.colour != "red", "headline": self.headline}
        return {**head, "lines": list(self.lines), "findings": findings}

    def render(self, most: int | None = None, where: str = "") -> str:
        """The verdict for a terminal: headline, and the `most` worst lines (all by default).

        `where`: where a reader finds those that are not shown, as "`migrate diff` has them all".
        """
        shown = self.lines[:most]
        hidden = len(self.lines) - len(shown)
        more = [f"  and {hidden} more; {where}"] if hidden else []
        return "\n".join([self.headline, *(f"  {line}" for line in shown), *more])


def judge_findings(findings: Iterable[Finding], good: str, doubtful: str, bad: str) -> Verdict:
    """The verdict by its findings: red by a gate or a difference, amber by any other, green by none."""
    # By share before number: half of a small dataset is worse than a hundredth of a large one.
    ranked = sorted(findings, key=lambda f: (ORDER.index(f.kind), -f.share, -(f.rows or 0), f.text))
    if any(finding.kind in {"gate", "difference"} for finding in ranked):
        return Verdict("red", bad, tuple(ranked))
    return Verdict("amber" if ranked else "green", doubtful if ranked else good, tuple(ranked))


def share_of(name: str, rows: int, of: int) -> Sentence:
    """`contacts: 3 of 400 (0.75%)`."""
    percent = _percent(rows, of)
    return Sentence(
        "{name}: {rows} of {of} ({percent})", name=name, rows=rows, of=of, percent=percent
    )


def _percent(rows: int, of: int) -> Sentence:
    share = 100 * rows / of if of else 0.0
    # A share that is not nothing is never shown as nothing, nor one that is not all as all.
    if 0 < share < 0.1:
        return Sentence("less than 0.1%")
    if 99.9 < share < 100:
        return Sentence("more than 99.9%")
    # One place, as in every table and on every page: two roundings of one share look like two shares.
    return Sentence("{number}%", number=round(float(share), 1))
