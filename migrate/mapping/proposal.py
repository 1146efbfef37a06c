"""A first mapping, proposed from what a resource's records hold. Pure: a survey in, YAML text out.

It never shows a value of a record: the file may end up where records must not.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from migrate.errors import UsageError, WorkspaceError
from migrate.language.answers import words_of
from migrate.language.shared import PROPOSED, read_shared
from migrate.mapping.fields import OWN
from migrate.mapping.known_fields import BOOKKEEPING, DATASETS, IDENTITY_FIELDS, SYNC_STATES, TIMES
from migrate.mapping.survey import Field, FieldSurvey, guess_settings
from migrate.names import ResourceName

_ID_IS_ID = {"content_items", "content_categories"}
_OWN = {own: name for name, own in OWN.items()}
_UNPRINTABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_WORDS = {"null", "true", "false"}
_INSIDE = "metadata."


@dataclass
class Proposal:
    """What becomes of the fields: columns as (name, YAML line, reason), and fields left behind, by reason."""

    columns: list[tuple[str, str, str]] = field(default_factory=list)
    ignored: dict[str, list[str]] = field(default_factory=dict)

    def ignore(self, reason: str, *names: str) -> None:
        """Leaves fields behind."""
        self.ignored.setdefault(reason, []).extend(names)


def propose(
    resource: ResourceName,
    survey: FieldSurvey,
    snapshot: str,
    schema: str,
    shared: Collection[str] = (),
) -> str:
    """The text of a mapping file for a resource, each line with its reason; lists that are not `shared` written out.

    **Guarantees.** Every field of the survey that has a name is in it, as a column or under `ignore`. `check` finds no
    problem in it.
    """
    _, key, identity = DATASETS[resource]
    taken = {key, "source", identity}
    made = Proposal()
    for name, fields in _grouped(resource, survey, made).items():
        column, number = name, 2
        while column in taken:
            column, number = f"{name}_{number}", number + 1
        taken.add(column)
        settings, reason = guess_settings(_merged(fields))
        if column != name:
            reason += f"; {name} is taken: two fields would fold into one column"
        made.columns.append((column, f"{{from: {_sources(fields)}, {settings}}}", reason))
    lines = [*_head(resource, survey, snapshot, schema), *_body(resource, survey, made), ""]
    return _with_lists("\n".join(lines), shared)


def _with_lists(text: str, shared: Collection[str]) -> str:
    """The proposal with the lists that the folder's shared.yaml does not have written out."""
    answers = dict.fromkeys(words_of("yes"), True) | dict.fromkeys(words_of("no"), False)
    states = {"1": True, "2": False, "3": False, "4": False}
    for name, values in (("consent_words", answers), ("magento_status", states)):
        if name not in shared:
            listed = json.dumps(values, ensure_ascii=False)
            text = text.replace(f"values: ${name}", f"values: {listed}")
    return text


def _grouped(resource: ResourceName, survey: FieldSurvey, made: Proposal) -> dict[str, list[Field]]:
    """The fields to map by the column they make; a field and the same one under `metadata` make one."""
    parents = set(chain.from_iterable(map(_parents_of, survey.fields)))
    groups: dict[str, list[Field]] = {}
    for name, found in survey.fields.items():
        is_identity = name == "id" and (resource in _ID_IS_ID or not found.filled)
        if is_identity or name in {"source", "metadata.source"}:
            continue
        # A field without a name cannot be named in a file: none can read or ignore it.
        if not name:
            continue
        reason = _why_ignore(resource, found, name in parents) or _of_a_line(survey, name)
        if reason:
            made.ignore(reason, name)
        else:
            groups.setdefault(name.removeprefix(_INSIDE), []).append(found)
    by_column: dict[str, list[Field]] = {}
    for name, fields in groups.items():
        column = _column_name(name)
        while column in by_column:
            column += "_2"
        by_column[column] = sorted(fields, key=lambda one: one.name.startswith(_INSIDE))
    return by_column


def _why_ignore(resource: ResourceName, seen: Field, is_parent: bool) -> str | None:
    name = seen.name.removeprefix(_INSIDE)
    if is_parent and seen.all_are("object"):
        return "an object whose fields are mapped one by one"
    if seen.filled == 0:
        return "never has a value"
    if name in IDENTITY_FIELDS[resource]:
        return "the same as id"
    if name == "status" and seen.texts and seen.texts <= SYNC_STATES:
        return (
            "Magento's plug-in: how far its synchronisation is, nothing about the customer or order"
        )
    if name in BOOKKEEPING or (name == "type" and resource.startswith("content")):
        return BOOKKEEPING.get(name, BOOKKEEPING["objecttype"])
    if seen.name.startswith("item."):
        return "a name that cannot be read without `each`"
    return None


def _of_a_line(survey: FieldSurvey, name: str) -> str | None:
    """Why a field inside a list is no column: other records have several of it."""
    parents = [name[:at] for at, char in enumerate(name) if char == "."]
    is_listed = any(
        parent in survey.fields and survey.fields[parent].kinds["list"] for parent in parents
    )
    if is_listed:
        return "of a line: some records write a list of one line as an object"
    return None


def _parents_of(name: str) -> list[str]:
    """The objects that a field is inside of: `a` and `a.b` of `a.b.c`."""
    return [name[:at] for at, char in enumerate(name) if char == "."]


def _merged(fields: list[Field]) -> Field:
    if len(fields) == 1:
        return fields[0]
    texts = [one.texts for one in fields]
    merged = Field(fields[0].name, rows=fields[0].rows, texts=None)
    if all(one is not None for one in texts):
        merged.texts = set(chain.from_iterable(one or () for one in texts))
    for one in fields:
        merged.filled += one.filled
        merged.beyond_int32 += one.beyond_int32
        merged.kinds.update(one.kinds)
    return merged


def _head(resource: ResourceName, survey: FieldSurvey, snapshot: str, schema: str) -> Iterator[str]:
    dataset, key, identity = DATASETS[resource]
    sources = [
        f"{_text(source)} ({records:,} records)" for source, records in survey.sources.items()
    ]
    yield f"# yaml-language-server: $schema={schema}"
    yield f"# Proposed from the {survey.rows:,} records of {resource} in snapshot {snapshot}. Each line has its reason."
    yield f"# Sources: {', '.join(sources) or 'none'}."
    yield "# Keys it could have:"
    yield f"#   source and id: {survey.same_identity:,} share them with another, {survey.without_id:,} have none"
    for found in survey.fields.values():
        if found.distinct is not None:
            shared, without = found.filled - found.distinct, found.rows - found.filled
            yield f"#   {_text(found.name)}: {shared:,} share it with another, {without:,} have none"
    yield from ("version: 1", f"dataset: {dataset}", f"resource: {resource}", f"key: [{key}]")
    spelt = chain.from_iterable((time, _INSIDE + time) for time in TIMES)
    times = [name for name in spelt if name in survey.fields]
    if times:
        yield f"collapse: {{by: latest, order_by: [{', '.join(times)}]}}"
    if resource in {"sales", "interactions"}:
        yield "# To carry the contact's key along:"
        yield "# lookups:"
        yield "#   contact: {dataset: contacts, source: source, id: [profileid, metadata.profileid], on_orphan: keep}"
    yield "columns:"
    yield "  # The identity of a record is its source and its id; escaping ':' keeps two pairs from one key."
    yield f"  {key}: {{sql: \"REPLACE(REPLACE(source, '%', '%25'), ':', '%3A') || ':' || id\", type: text}}"
    yield "  source: {from: source, type: text}"
    yield f"  {identity}: {{from: id, type: text}}"


def _body(resource: ResourceName, survey: FieldSurvey, made: Proposal) -> Iterator[str]:
    for column, line, reason in made.columns:
        yield f"  # {reason}"
        yield f"  {_quoted(column)}: {line}"
    if resource == "sales" and "items" in survey.fields:
        yield "# One row per line is a mapping of its own, with `each: items`, as the shipped order_items.yaml."
    if made.ignored:
        yield "ignore:"
    for reason, names in made.ignored.items():
        yield f"  # {reason}"
        yield from (f"  - {_quoted(name)}" for name in names)
    yield "unmapped: report"


def _sources(fields: list[Field]) -> str:
    names = [_quoted(_OWN.get(one.name, one.name)) for one in fields]
    if len(names) == 1:
        return names[0]
    return f"[{', '.join(names)}]"


def _quoted(name: str) -> str:
    if _PLAIN.fullmatch(name) and name.lower() not in _WORDS:
        return name
    return _text(name)


def _text(name: str) -> str:
    """A name in double quotes, which JSON and YAML write alike, with what YAML cannot print escaped."""
    return _UNPRINTABLE.sub(
        lambda match: f"\\u{ord(match.group()):04x}", json.dumps(name, ensure_ascii=False)
    )


def _column_name(name: str) -> str:
    letters = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return letters if letters[:1].isalpha() else f"f_{letters}"


def write_proposal(
    resource: ResourceName, survey: FieldSurvey, snapshot: str, folder: Path, out: Path | None
) -> Path:
    """The path of a proposed mapping, written: `out`, else under `proposed` in the mappings folder.

    **Raises.** UsageError where the file is there already, WorkspaceError where it cannot be written.
    """
    path = out or folder / PROPOSED / f"{DATASETS[resource][0]}.yaml"
    schema = Path(os.path.relpath(folder / "mapping.schema.json", path.parent)).as_posix()
    text = propose(resource, survey, snapshot, schema, read_shared(folder).values)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # "x": somebody's work of an hour may stand under this name.
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists already", hint="name another file: --out FILE") from None
    except OSError as error:
        raise WorkspaceError(
            f"{path} cannot be written: {error.strerror}", hint="name another file: --out FILE"
        ) from None
    return path
