"""Write shapes turned into read shapes, with the documented samples."""

from __future__ import annotations

import pytest

from migrate.sandbox.datatrics_shapes import RESOURCES, BadRecord, shape
from migrate.sandbox.raw_json import read_members


def read_shape(path: str, write: bytes, content_type: str | None = None) -> bytes:
    """The read shape of a write."""
    return shape(RESOURCES[path], content_type, read_members(write)).data


def test_profile_is_flattened() -> None:
    """The attributes of `profile` come to the top; identity comes first and cannot be overridden."""
    write = (
        b'{"profileid":"1","source":"twitter",'
        b'"profile":{"name":"N","source":"other","created":"2018-01-01 12:00:00"}}'
    )
    assert read_shape("profile", write) == (
        b'{"profileid":"1","source":"twitter","name":"N","created":"2018-01-01 12:00:00"}'
    )


def test_content_goes_to_top_level_and_metadata() -> None:
    """Name, texts and custom attributes stay on top; the documented five and the type go into metadata."""
    write = (
        b'{"itemid":1234,"source":"CRM","item":{"name":"E","url":"u","price":"24,99",'
        b'"created":"c","updated":"u","image":"i"}}'
    )
    assert read_shape("content", write, "item") == (
        b'{"id":1234,"name":"E","url":"u","price":"24,99","metadata":{"source":"CRM","created":"c","updated":"u",'
        b'"image":"i","itemtype":"product","objecttype":"item"}}'
    )


def test_category_of_the_prestashop_module() -> None:
    """`categoryid` and `category` are taken for `itemid` and `item`."""
    write = b'{"categoryid":7,"source":"P","category":{"name":"Shoes"}}'
    assert read_shape("content", write, "category") == (
        b'{"id":7,"name":"Shoes","metadata":{"source":"P","itemtype":"category","objecttype":"category"}}'
    )


def test_sale_keeps_every_digit() -> None:
    """Numbers are the text that was sent, nested ones as well."""
    write = b'{"conversionid":"1","source":"S","conversion":{"total":1.10,"items":[{"price": 19.990}],"n":1e2}}'
    assert read_shape("sale", write) == (
        b'{"conversionid":"1","source":"S","total":1.10,"items":[{"price": 19.990}],"n":1e2}'
    )


def test_interaction_becomes_metadata() -> None:
    """`interaction` is read as `metadata`; objecttype is kept as sent or is "interaction"."""
    write = b'{"interactionid":"1","source":"ESP","interaction":{"datetime":"d","event":"open"}}'
    assert read_shape("interaction", write) == (
        b'{"interactionid":"1","source":"ESP","objecttype":"interaction","metadata":{"datetime":"d","event":"open"}}'
    )


@pytest.mark.parametrize(
    "write",
    [
        b'{"source":"S","profile":{}}',
        b'{"profileid":"","source":"S","profile":{}}',
        b'{"profileid":null,"source":"S","profile":{}}',
        b'{"profileid":true,"source":"S","profile":{}}',
        b'{"profileid":"1","profile":{}}',
        b'{"profileid":"1","source":"S"}',
        b'{"profileid":"1","source":"S","profile":[]}',
    ],
)
def test_refused(write: bytes) -> None:
    """No record without id, source and body."""
    with pytest.raises(BadRecord):
        read_shape("profile", write)
