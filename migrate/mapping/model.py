"""The mapping file as values: what a file may say, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, field_validator

from migrate.language.yaml_text import Unquoted
from migrate.mapping.functions import FUNCTIONS, Function
from migrate.names import ResourceName

ColumnType = Literal["text", "integer", "float", "boolean", "datetime", "date", "json"]
Constant = StrictBool | StrictInt | StrictStr
Name = Annotated[StrictStr, Field(min_length=1)]
"""Of a field, a source or a dataset: one without a letter finds nothing, and would be taken silently."""
Call = tuple[str, str | int | None]
ORDER_BY = ("updated", "updated_at", "created", "created_at")


class _Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, populate_by_name=True
    )


class Collapse(_Strict):
    """Which record wins when several share the key."""

    by: Literal["latest", "first", "source_order"] = Field(
        "latest", description="How records of one key are ranked."
    )
    order_by: Annotated[tuple[Name, ...], Field(min_length=1)] = Field(
        ORDER_BY, description="Time fields; the first with a value ranks."
    )
    source_order: tuple[Name, ...] = Field(
        (), description="Sources, the winner first; those not named come last."
    )
    fill_gaps: StrictBool = Field(
        False, description="Whether lower-ranked records fill what the winner lacks."
    )


class Lookup(_Strict):
    """A row of another dataset, found by the identity of the record it came from."""

    dataset: Name = Field(description="The dataset to look in; it needs a mapping of its own.")
    resource: ResourceName | None = Field(
        None,
        description="Where several files make the dataset: of which resource the other record is; "
        "unless said, that of the first of them.",
    )
    project: Name | None = Field(
        None,
        description="The number of another project whose record it is, one of `other_projects`; unless said, this one.",
    )
    source: Name = Field("source", description="The field that holds the other record's source.")
    id: Name | Annotated[tuple[Name, ...], Field(min_length=1)] = Field(
        description="The field that holds the other record's id, or fields of which the first with a value is taken."
    )
    on_orphan: Literal["keep", "reject"] = Field(
        "keep", description="What happens to a row whose id finds nothing."
    )

    @property
    def ids(self) -> tuple[str, ...]:
        """The fields of `id`, in order."""
        return (self.id,) if isinstance(self.id, str) else self.id


class Column(_Strict):
    """One column of the dataset: where its value comes from and what it must be."""

    from_: StrictStr | tuple[StrictStr, ...] | None = Field(
        None, alias="from", description="Field, or fields of which the first with a value is taken."
    )
    sql: StrictStr | None = Field(None, description="An SQL expression over the row's text fields.")
    value: Constant | None = Field(None, description="The same value for every row.")
    type: ColumnType = Field(description="What the target stores.")
    apply: tuple[StrictStr | dict[StrictStr, StrictStr | StrictInt], ...] = Field(
        (), description="Functions, one after another."
    )
    values: dict[StrictStr, Constant] | None = Field(
        None, description="Exact source text to value, after `apply`."
    )
    unlisted: Literal["reject", "omit", "keep"] = Field(
        "reject", description="What happens to a value not under `values`."
    )
    default: Constant | None = Field(None, description="Taken when the source has no value.")
    required: StrictBool = Field(False, description="Whether a row without a value is rejected.")
    on_invalid: Literal["reject", "omit", "null"] = Field(
        "reject", description="What a broken rule does."
    )
    null: Literal["omit", "send"] = Field(
        "omit", description="`send` sends null when there is no value, which erases."
    )
    digits: Literal["round", "reject"] | None = Field(
        None, description="What happens to a float with too many digits."
    )
    format: StrictStr | None = Field(
        None,
        description="How a time is spelt: codes of the list below, as %d-%m-%Y %H:%M, or epoch_s, epoch_ms, epoch_us, "
        "rfc_3339, rfc_2822, php_date.",
    )
    pivot: Annotated[StrictInt, Field(ge=0, le=99)] | None = Field(
        None,
        description="The first year that `%y` reads as 19..: 69, unless said; 30 reads 29 as 2029 and 30 as 1930.",
    )
    timezone: StrictStr | None = Field(
        None, description="The zone of naive times, instead of the source's."
    )
    consent: StrictBool = Field(
        False, description="Whether this is a consent, which only an explicit yes makes true."
    )
    recipe: StrictBool = Field(
        False,
        description="Whether the target's own preparation changes it: compared as report-only.",
    )
    description: StrictStr | None = Field(None, description="For the reader.")

    @field_validator("on_invalid", mode="before")
    @classmethod
    def _name_null(cls, value: Any) -> Any:
        # unquoted, YAML reads the word null as nothing
        return "null" if value is None else value

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of `from`, in order."""
        if self.from_ is None:
            return ()
        if isinstance(self.from_, str):
            return (self.from_,)
        return self.from_

    @property
    def calls(self) -> tuple[Call, ...]:
        """The functions of `apply` with their arguments."""
        return tuple(
            (step, None) if isinstance(step, str) else next(iter(step.items()))
            for step in self.apply
        )

    @property
    def may_send_null(self) -> bool:
        """Whether the payload may hold an explicit null."""
        return self.null == "send" or self.on_invalid == "null"


class Example(_Strict):
    """A record, and the row, reject or filter that is expected of it."""

    says: StrictStr | None = Field(None, description="What it shows, for the reader.")
    record: dict[StrictStr, Any] | None = Field(None, description="The record as it is sent.")
    id: Name | None = Field(None, description="Instead of `record`: the id of one in the snapshot.")
    source: Name | None = Field(
        None, description="With `id`: the record's source, where it is needed."
    )
    position: Annotated[StrictInt, Field(ge=1)] | None = Field(
        None, description="With `each`: the place of the element, 1 unless said."
    )
    row: dict[StrictStr, Constant | None] | None = Field(
        None,
        description="Columns with the values that are sent, null where one is left out; others are not looked at.",
    )
    reject: StrictStr | None = Field(None, description="The rule by which it is rejected.")
    filter: StrictBool = Field(False, description="Whether `where` leaves it out.")

    @field_validator("row", mode="before")
    @classmethod
    def _read_numbers(cls, value: Any) -> Any:
        # numbers with a point are kept as they are written, and compared as they are sent
        if not isinstance(value, dict):
            return value
        return {name: one.text if isinstance(one, Unquoted) else one for name, one in value.items()}


class Mapping(_Strict):
    """One dataset: the resource it is made of, its key and its columns."""

    version: Literal[1] = Field(description="Of this language; 1.")
    dataset: StrictStr = Field(
        pattern=r"^[a-z][a-z0-9_]*$", description="Logical name of the dataset."
    )
    precedence: Annotated[StrictInt, Field(ge=1)] | None = Field(
        None,
        description="Where several files make the dataset: the place of this one, 1 first. "
        "Of rows of one key that of the first file wins.",
    )
    target: Literal["dataset", "webhook"] = Field(
        "dataset",
        description="`webhook` sends the rows to the webhook of this name under `[octolis.webhooks]`: a feed, of which "
        "nothing can be read back, compared or verified.",
    )
    resource: ResourceName = Field(description="What it is made of.")
    key: Annotated[tuple[StrictStr, ...], Field(min_length=1)] = Field(
        description="The dataset's deduplication key columns."
    )
    alternative_keys: tuple[Annotated[tuple[StrictStr, ...], Field(min_length=1)], ...] = Field(
        (),
        description="The target's other deduplication keys, each a list of columns: they can merge records too.",
    )
    where: StrictStr | None = Field(
        None, description="SQL; rows for which it is not true are left out."
    )
    each: Name | None = Field(None, description="A field with a list: one row per element.")
    collapse: Collapse = Field(
        Collapse(), description="Which record wins when several share the key."
    )
    tables: dict[StrictStr, StrictStr] = Field(
        {},
        description="Look-up files beside this one, by name: `stores: stores.csv`, taken by `values: $stores`.",
    )
    lookups: dict[StrictStr, Lookup] = Field({}, description="Rows of other datasets, by name.")
    columns: Annotated[dict[StrictStr, Column], Field(min_length=1)] = Field(
        description="The columns, by their exact name in the target."
    )
    ignore: tuple[Name, ...] = Field((), description="Fields left behind on purpose.")
    unmapped: Literal["report", "fail"] = Field(
        "report", description="What happens with fields that nobody maps."
    )

    examples: tuple[Example, ...] = Field(
        (), description="Records and what is expected of them, run by check and before every plan."
    )

    # where it was read from: no keys of the file
    _file: str = ""
    _sha256: str = ""
    _includes: dict[str, str] = {}
    _parts: tuple[Mapping, ...] = ()
    _wrong: frozenset[str] | None = frozenset()

    @property
    def parts(self) -> tuple[Mapping, ...]:
        """The files that make the dataset, in their order of precedence: of one file, itself."""
        return self._parts or (self,)

    @property
    def resources(self) -> tuple[ResourceName, ...]:
        """What the dataset is made of, one resource a file."""
        return tuple(part.resource for part in self.parts)

    def part_of(self, resource: str | None) -> Mapping:
        """The file that is made of a resource; the first where none is named."""
        return next((part for part in self.parts if part.resource == resource), self.parts[0])

    @property
    def looked_up(self) -> set[str]:
        """The datasets in which any of its files looks rows up, those of other projects apart."""
        lookups = chain.from_iterable(part.lookups.values() for part in self.parts)
        return {lookup.dataset for lookup in lookups if lookup.project is None}

    @property
    def file(self) -> str:
        """The path it was read from, as given."""
        return self._file

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file's bytes."""
        return self._sha256

    @property
    def includes(self) -> dict[str, str]:
        """The SHA-256 of each file beside it that it takes something from, by name."""
        return self._includes

    def read_from(self, file: str, sha256: str, includes: dict[str, str]) -> Mapping:
        """The same mapping, knowing its file and those that it takes something from."""
        same = self.model_copy()
        same._file, same._sha256, same._includes = file, sha256, includes
        return same

    def found_wrong(self, columns: frozenset[str] | None) -> Mapping:
        """The same mapping, knowing which columns cannot be worked out; None: nothing of it can."""
        same = self.model_copy()
        same._wrong = columns
        return same

    @property
    def triable(self) -> Mapping | None:
        """What of it can be worked out: the mapping without the columns that are wrong. None where nothing can be."""
        if not self._wrong:
            return None if self._wrong is None else self
        sound = {name: rule for name, rule in self.columns.items() if name not in self._wrong}
        if sound:
            return self.model_copy(update={"columns": sound})
        return None

    @classmethod
    def joined(cls, files: Sequence[Mapping]) -> Mapping:
        """The mapping of a dataset that these files make: the columns of all of them, all else of the first.

        What is done record by record (`resource`, `where`, `each`, `lookups`, how a column is made) is asked of
        its `parts`.
        """
        parts = tuple(sorted(files, key=lambda one: one.precedence or 0))
        if len(parts) == 1:
            return parts[0]
        # The first file that has a column says what it is; how each file makes it stays in its part.
        columns: dict[str, Column] = {}
        for part in parts:
            for name, rule in part.columns.items():
                columns.setdefault(name, rule)
        whole = parts[0].model_copy(update={"columns": columns})
        whole._parts = parts
        return whole

    @property
    def is_feed(self) -> bool:
        """Whether the rows go to a webhook."""
        return self.target == "webhook"

    def is_required(self, column: str) -> bool:
        """Whether a row without a value in this column is rejected."""
        return column in self.key or self.columns[column].required


def parts_of(mappings: Iterable[Mapping]) -> list[Mapping]:
    """All files of some datasets."""
    return list(chain.from_iterable(mapping.parts for mapping in mappings))


def constant_text(value: Any) -> str:
    """A constant of the file as source text: true and false as JSON spells them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a mapping file, for editors."""
    schema = Mapping.model_json_schema(by_alias=True)
    schema["$schema"] = "http://json-schema.org/draft-07/schema#"
    column = schema["$defs"]["Column"]["properties"]
    column["on_invalid"] = {
        **column["on_invalid"],
        "enum": [*column["on_invalid"]["enum"], None],
        "type": ["string", "null"],
    }
    shared = {
        "type": "string",
        "pattern": r"^\$[a-z][a-z0-9_]*(\..+)?$",
        "description": "Of shared.yaml.",
    }
    listed = column["values"]["anyOf"]
    listed += [shared, {"type": "array", "items": {"anyOf": [shared, listed[0]]}, "minItems": 1}]
    plain = [
        name for name, function in FUNCTIONS.items() if function.argument in {"none", "choice"}
    ]
    called = {
        name: _argument_schema(function)
        for name, function in FUNCTIONS.items()
        if function.argument != "none"
    }
    column["apply"]["items"] = {
        "anyOf": [
            {"enum": plain},
            {
                "type": "object",
                "properties": called,
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
            },
        ]
    }
    return schema


def _argument_schema(function: Function) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "text": {"type": "string"},
        "number": {"type": "integer", "minimum": 1},
        "choice": {"enum": list(function.choices)},
    }
    return {**kinds[function.argument], "description": function.says}
