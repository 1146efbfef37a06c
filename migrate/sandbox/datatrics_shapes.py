"""What each Datatrics resource takes and what it gives back: the write shape turned into the read shape.

Source: the samples of the Datatrics API 2.0 collection; DELETE of profiles, sales and interactions, PUT of interactions
and the `items` spelling of every bulk body are the official PHP client's; `categoryid` and `category` the PrestaShop
module's.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Raw

from migrate.sandbox.raw_json import BrokenJson, Members, literal_text, read_members, write_json

# What the sample of a read item shows there; `source` and `objecttype` are added for each.
IN_METADATA = ("created", "updated", "image", "itemtype")
NO_SOURCE = "Invalid request, please provide source as a request parameter."
NO_TYPE = "Invalid request, please provide type as a request parameter."


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the API: names, defaults and which requests it documents.

    `totals` and `bulk_totals` are the envelope's spellings; they differ between resources and between list and bulk.
    """

    path: str
    id_field: str
    body_field: str
    bulk_fields: tuple[str, ...]
    totals: tuple[str, str]
    bulk_totals: tuple[str, str]
    limit: int
    order: int
    created_path: tuple[str, ...]
    updatable: bool
    removed: str = "successfully removed {path}: {id}"


ITEMS = ("total_items", "total_pages")
ELEMENTS = ("totalElements", "totalPages")
RESOURCES = {
    resource.path: resource
    for resource in (
        Resource(
            "profile",
            "profileid",
            "profile",
            ("profiles", "items"),
            ("total_elements", "total_pages"),
            ELEMENTS,
            limit=100,
            order=1,
            created_path=("created",),
            updatable=True,
        ),
        Resource(
            "content",
            "itemid",
            "item",
            ("items",),
            ELEMENTS,
            ELEMENTS,
            limit=500,
            order=-1,
            created_path=("metadata", "created"),
            updatable=True,
            removed="Successfully deleted content.",
        ),
        Resource(
            "sale",
            "conversionid",
            "conversion",
            ("items",),
            ITEMS,
            ITEMS,
            limit=500,
            order=-1,
            created_path=("created",),
            # Neither the document nor the official client has a PUT for sales.
            updatable=False,
        ),
        Resource(
            "interaction",
            "interactionid",
            "interaction",
            ("interactions", "items"),
            ITEMS,
            ITEMS,
            limit=500,
            order=-1,
            # Sorted by `created` by default, though no interaction has such a field.
            created_path=("metadata", "datetime"),
            updatable=True,
        ),
    )
}
TABLES = {
    "profiles": RESOURCES["profile"],
    "content_items": RESOURCES["content"],
    "content_categories": RESOURCES["content"],
    "sales": RESOURCES["sale"],
    "interactions": RESOURCES["interaction"],
}
TYPE_TABLES = {"item": "content_items", "category": "content_categories"}
BULK_TYPES = {"items": "item", "categories": "category"}
PATH_TABLES = {"profile": "profiles", "sale": "sales", "interaction": "interactions"}


class BadRecord(ValueError):
    """A record that the documents do not allow; the text is the answer's message."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A record ready to be kept: its identity and its read shape as JSON bytes."""

    source: str
    id: str
    data: bytes


def shape(
    resource: Resource, content_type: str | None, write: Members, default_source: Raw | None = None
) -> Stored:
    """The read shape of a record as written. Raises BadRecord."""
    if content_type == "category" and "category" in write:
        write = _from_prestashop(write)
    if default_source is not None:
        write = {**write, "source": write.get("source", default_source)}
    source, source_raw = _identifier(write, "source")
    record_id, id_raw = _identifier(write, resource.id_field)
    body = _body(write, resource.body_field)
    if content_type is not None:
        read = _content(id_raw, source_raw, content_type, write, body)
    elif resource.path == "interaction":
        read = _interaction(id_raw, source_raw, write, body)
    else:
        read = _flat(resource, id_raw, source_raw, write, body)
    return Stored(source, record_id, write_json(read))


def _from_prestashop(write: Members) -> Members:
    """Of `{categoryid, category}` the documented `{itemid, item}`."""
    renamed = {"categoryid": "itemid", "category": "item"}
    documented = {
        renamed.get(name, name): value
        for name, value in write.items()
        if name not in {"itemid", "item"}
    }
    if "itemid" in write:
        # Where a category has both, the documented name of its id counts.
        documented["itemid"] = write["itemid"]
    return documented


def _identifier(write: Members, name: str) -> tuple[str, Raw]:
    raw = write.get(name)
    text = None if raw is None else literal_text(raw)
    if raw is None or not text:
        raise BadRecord(f"Invalid request, please provide {name}.")
    return text, raw


def _body(write: Members, name: str) -> Members:
    if name not in write:
        raise BadRecord(f"Invalid request, please provide {name}.")
    try:
        return read_members(write[name])
    except BrokenJson:
        raise BadRecord(f"Invalid request, {name} must be an object.") from None


def _flat(
    resource: Resource, id_raw: Raw, source_raw: Raw, write: Members, body: Members
) -> Members:
    read = {resource.id_field: id_raw, "source": source_raw}
    extra = {
        name: value for name, value in write.items() if name not in {resource.body_field, *read}
    }
    # Flattened, an attribute named as the identity is would hide it: the identity stays.
    return read | extra | {name: value for name, value in body.items() if name not in read}


def _interaction(id_raw: Raw, source_raw: Raw, write: Members, body: Members) -> Members:
    return {
        "interactionid": id_raw,
        "source": source_raw,
        # As the writer has it: one client puts free text here.
        "objecttype": write.get("objecttype", Raw(b'"interaction"')),
        "metadata": Raw(write_json(body)),
    }


def _content(
    id_raw: Raw, source_raw: Raw, content_type: str, write: Members, body: Members
) -> Members:
    """Custom attributes stay at the top level; the documented five go into `metadata`."""
    metadata = {"source": source_raw}
    default_type = Raw(b'"product"' if content_type == "item" else b'"category"')
    known = {"itemtype": write.get("itemtype", default_type), **body}
    metadata |= {name: known[name] for name in IN_METADATA if name in known}
    metadata["objecttype"] = Raw(write_json(content_type))
    skipped = {"id", "metadata", "source", *IN_METADATA}
    top = {name: value for name, value in body.items() if name not in skipped}
    return {"id": id_raw, **top, "metadata": Raw(write_json(metadata))}
