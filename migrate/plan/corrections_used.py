"""What `plan.json` says of the values that people have put right: numbers, and never a value."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from migrate.sentence import Sentence

CORRECTIONS_FOLDER = "corrections"
"""The folder of a plan that has the right values that it was made with; no dataset may have this name."""


class CorrectionsUsed(BaseModel):
    """The right values that a plan was made with; what they are stands in `corrections/`. Units: values, records.

    `values` of `records` are in the plan, `by_field` says of which fields; `changed` are left out, since the record has
    another value now than the one that was put right, `missing`, since there is no such record.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    values: int
    records: int
    changed: int = 0
    missing: int = 0
    by_field: dict[str, int] = {}

    @property
    def told(self) -> tuple[str, ...]:
        """What became of them, as a reader is told."""
        by_field = tuple(
            Sentence("{field}: {count}", field=name, count=count)
            for name, count in self.by_field.items()
        )
        said: list[str] = []
        if self.values:
            said.append(
                Sentence(
                    "{count} value was put right by hand ({by_field})",
                    "{count} values were put right by hand ({by_field})",
                    count=self.values,
                    by_field=by_field,
                )
            )
        if self.changed:
            said.append(
                Sentence(
                    "{count} correction was not taken: the record has another value now, and keeps it",
                    "{count} corrections were not taken: the records have other values now, and keep them",
                    count=self.changed,
                )
            )
        if self.missing:
            said.append(
                Sentence(
                    "{count} correction is of a record that is not in the snapshot",
                    "{count} corrections are of records that are not in the snapshot",
                    count=self.missing,
                )
            )
        return tuple(said)
