"""Fields that no mapping takes."""

from __future__ import annotations

import pytest

from migrate.plan.unmapped import unmapped_fields


@pytest.fixture
def left_over(bench):
    """The unmapped fields of a resource with these columns, under the mapping `contacts`."""
    from migrate.mapping.files import read_mappings

    def found(*columns: str) -> list[str]:
        resource = bench.snapshot.resources["profiles"]
        resource.records = [dict.fromkeys(columns, "x")]
        mapping = read_mappings(bench.project.mappings)["contacts"]
        return [field.field for field in unmapped_fields(resource, [mapping])]

    return found


def test_used_and_ignored_fields_are_not_listed(left_over) -> None:
    """Nor are the identity and the times that rank records."""
    assert left_over("source", "id", "email", "profileid", "created", "updated", "country") == []
    assert left_over("email", "shoe") == ["shoe"]


def test_an_object_is_listed_by_its_fields(left_over) -> None:
    """The whole object counts as used where one names it; else each field inside stands for itself."""
    assert left_over("address", "address.street", "address.zip", "name.first") == [
        "address.street",
        "address.zip",
    ]


def test_a_field_without_records_has_no_share(bench) -> None:
    """No records, no fields, no division by nought."""
    resource = bench.snapshot.resources["profiles"]
    resource.records = []
    assert unmapped_fields(resource, []) == ()
