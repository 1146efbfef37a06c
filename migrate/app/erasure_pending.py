"""The note of an erasure that is not finished: who it is for, so that it can go on where it was."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from migrate.privacy.person import Person, Subject
from migrate.workspace import Workspace, write_json

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
_PENDING = ".erasing-*.json"


class PendingErasure:
    """Who is being erased, noted until it is done: without it an interrupted erasure could find half of them only."""

    def __init__(self, file: Path, subject: Subject) -> None:
        self.file = file
        self.subject = subject
        self.person = Person()
        self.renewed: dict[str, str] = {}
        self.rewritten: set[str] = set()

    @classmethod
    def of(cls, workspace: Workspace, subject: Subject) -> PendingErasure:
        """The one that an interrupted erasure of the same person left, or a new one."""
        for file in sorted(workspace.root.glob(_PENDING)):
            try:
                noted = json.loads(file.read_bytes())
                if [noted["subject"], noted["source"]] == [subject.text, subject.source]:
                    return cls._read(file, subject, noted)
            except (OSError, ValueError, KeyError, TypeError):
                continue
        # By chance and not by the person: the name of a file would say who was erased.
        return cls(workspace.root / _PENDING.replace("*", secrets.token_hex(8)), subject)

    @classmethod
    def _read(cls, file: Path, subject: Subject, noted: Json) -> PendingErasure:
        pending = cls(file, subject)
        pending.person = Person(
            identities={(str(r), s, str(i)) for r, s, i in noted["identities"]},
            addresses=set(map(str, noted["addresses"])),
            keys={(str(d), str(k)) for d, k in noted["keys"]},
            masterids={(str(d), str(m)) for d, m in noted["masterids"]},
            values=set(map(str, noted["values"])),
            cells=set(map(str, noted["cells"])),
            reasons={(str(r), s, str(i), str(why)) for r, s, i, why in noted["reasons"]},
            mentions={(str(r), s, str(i), str(at)) for r, s, i, at in noted["mentions"]},
        )
        pending.renewed = {str(old): str(new) for old, new in noted["renewed"].items()}
        pending.rewritten = set(map(str, noted["rewritten"]))
        return pending

    def save(self) -> None:
        """Writes it down."""
        person = {name: sorted(value, key=str) for name, value in vars(self.person).items()}
        named = {"subject": self.subject.text, "source": self.subject.source}
        write_json(
            self.file,
            {**named, **person, "renewed": self.renewed, "rewritten": sorted(self.rewritten)},
        )

    def remove(self) -> None:
        """It is done."""
        self.file.unlink(missing_ok=True)
