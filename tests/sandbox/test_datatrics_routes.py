"""Datatrics over real sockets: envelopes, defaults, errors, bulk spellings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from migrate.sandbox.serve import Sandbox

Start = Callable[..., Sandbox]
Connect = Callable[[Sandbox], httpx.Client]


@pytest.fixture
def client(box: Sandbox, datatrics: Connect) -> httpx.Client:
    """A client of an empty sandbox."""
    return datatrics(box)


def profile(number: int, **attributes: Any) -> dict[str, Any]:
    """A profile as it is written."""
    return {
        "profileid": str(number),
        "source": "Magento 2",
        "profile": {"created": f"2020-01-0{number}", **attributes},
    }


def test_the_four_envelopes(client: httpx.Client) -> None:
    """Each list and each bulk answer has the documented spelling of its totals."""
    inner = {
        "profile": "profileid",
        "content": "itemid",
        "sale": "conversionid",
        "interaction": "interactionid",
    }
    bodies = {
        "profile": "profile",
        "content": "item",
        "sale": "conversion",
        "interaction": "interaction",
    }
    fields = {
        "profile": "profiles",
        "content": "items",
        "sale": "items",
        "interaction": "interactions",
    }
    lists = {"profile": "total_elements total_pages", "content": "totalElements totalPages"}
    bulks = {"profile": "totalElements totalPages", "content": "totalElements totalPages"}
    for path, id_field in inner.items():
        write = {id_field: "1", "source": "S", bodies[path]: {}}
        bulk_type, list_type = (
            ({"type": "items"}, {"type": "item"}) if path == "content" else ({}, {})
        )
        bulk = client.post(f"/{path}/bulk", params=bulk_type, json={fields[path]: [write]}).json()
        listed = client.get(f"/{path}", params=list_type).json()
        for answer, names in ((bulk, bulks), (listed, lists)):
            totals = names.get(path, "total_items total_pages").split()
            assert list(answer) == [*totals, "page", "size", "items"]
            assert [answer[name] for name in totals] == [1, 1]
            assert (answer["page"], answer["size"]) == (1, 1)
        assert bulk["items"] == listed["items"]


def test_bulk_spellings(client: httpx.Client) -> None:
    """`items` works wherever another name is documented; the plural type may be in query or body."""
    assert client.post("/profile/bulk", json={"items": [profile(1)]}).status_code == 200
    interaction = {"interactionid": 1, "source": "S", "interaction": {}}
    assert client.post("/interaction/bulk", json={"items": [interaction]}).status_code == 200
    sale = {"conversionid": "1", "conversion": {}}
    assert (
        client.post("/sale/bulk", json={"source": "Top", "items": [sale]}).json()["items"][0][
            "source"
        ]
        == "Top"
    )
    item = {"itemid": "1", "source": "S", "item": {}}
    assert (
        client.post("/content/bulk", json={"type": "categories", "items": [item]}).status_code
        == 200
    )
    assert client.get("/content?type=category").json()["totalElements"] == 1
    assert client.post("/content/bulk?type=item", json={"items": [item]}).status_code == 400
    assert client.post("/content/bulk", json={"items": [item]}).status_code == 400
    assert client.post("/profile/bulk", json={"wrong": []}).status_code == 400
    assert client.post("/profile/bulk", json={"profiles": [5]}).status_code == 400


def test_defaults_differ_between_resources(client: httpx.Client) -> None:
    """Profiles come 100 a page, oldest first; the others 500 a page, newest first."""
    client.post(
        "/profile/bulk",
        json={"profiles": [profile(n % 9 + 1) | {"profileid": str(n)} for n in range(501)]},
    )
    sales = [
        {"conversionid": str(n), "source": "S", "conversion": {"created": f"{2000 + n}"}}
        for n in range(501)
    ]
    client.post("/sale/bulk", json={"items": sales})
    profiles, sales_page = client.get("/profile").json(), client.get("/sale").json()
    assert (profiles["size"], profiles["total_pages"], profiles["items"][0]["created"]) == (
        100,
        6,
        "2020-01-01",
    )
    assert (sales_page["size"], sales_page["total_pages"], sales_page["items"][0]["created"]) == (
        500,
        2,
        "2500",
    )
    last = client.get("/sale?page=2").json()
    assert (last["page"], last["size"], last["items"][0]["created"]) == (2, 1, "2000")
    assert client.get("/sale?page=3").json()["items"] == []


def test_created_of_content_and_interactions_is_in_metadata(client: httpx.Client) -> None:
    """The default sort finds the date where each resource has it."""
    for number in (2, 3, 1):
        item = {"itemid": str(number), "source": "S", "item": {"created": f"2020-01-0{number}"}}
        client.post("/content?type=item", json=item)
        event = {
            "interactionid": str(number),
            "source": "S",
            "interaction": {"datetime": f"2020-01-0{number}"},
        }
        client.post("/interaction", json=event)
    assert [item["id"] for item in client.get("/content?type=item&order=1").json()["items"]] == [
        "1",
        "2",
        "3",
    ]
    assert [item["interactionid"] for item in client.get("/interaction").json()["items"]] == [
        "3",
        "2",
        "1",
    ]


def test_profiles_of_one_source(client: httpx.Client) -> None:
    """`source` filters profiles."""
    client.post("/profile/bulk", json={"profiles": [profile(1), profile(2) | {"source": "other"}]})
    assert [item["profileid"] for item in client.get("/profile?source=other").json()["items"]] == [
        "2"
    ]


def test_ids_with_every_kind_of_character(client: httpx.Client) -> None:
    """Percent-encoded ids reach their record: slashes, colons, spaces, plus signs."""
    for record_id in ("a/b", "hash:salt:3_32", "x y+z@q.nl", "é%2F"):
        body = profile(1) | {"profileid": record_id}
        assert client.post("/profile", json=body).status_code == 200
        quoted = httpx.QueryParams({"": record_id}).__str__()[1:].replace("+", "%20")
        answer = client.get(f"/profile/{quoted}", params={"source": "Magento 2"})
        assert answer.json()["profileid"] == record_id
        assert client.put(f"/profile/{quoted}", json=body).status_code == 200


def test_update_and_delete(client: httpx.Client) -> None:
    """PUT replaces a record that is there; DELETE removes it with the documented message; content wants its type."""
    assert client.put("/profile/1", json=profile(1)).status_code == 404
    client.post("/profile", json=profile(1, a=1))
    assert client.put("/profile/1", json=profile(1, b=2)).json()["b"] == 2
    assert client.put("/profile/1", json=profile(2)).status_code == 400
    assert "a" not in client.get("/profile/1", params={"source": "Magento 2"}).json()
    gone = client.delete("/profile/1", params={"source": "Magento 2"})
    assert gone.json() == {"status": 200, "message": "successfully removed profile: 1"}
    assert client.get("/profile/1", params={"source": "Magento 2"}).status_code == 404
    client.post("/content?type=item", json={"itemid": "1", "source": "S", "item": {}})
    assert client.delete("/content/1?source=S&type=category").status_code == 404
    body = b'{"source":"S","type":"item"}'
    answer = client.request("DELETE", "/content/1", content=body)
    assert answer.json() == {"status": 200, "message": "Successfully deleted content."}


def test_same_id_of_another_source_or_type_is_another_record(client: httpx.Client) -> None:
    """Identity is source and id, and the type for content."""
    for source in ("A", "B"):
        client.post("/profile", json=profile(1) | {"source": source})
    for content_type in ("item", "category"):
        client.post(
            f"/content?type={content_type}", json={"itemid": "1", "source": "S", "item": {}}
        )
    assert client.get("/profile").json()["total_elements"] == 2
    assert client.get("/content?type=item").json()["totalElements"] == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/profile/1", 400),
        ("GET", "/content", 400),
        ("GET", "/content?type=items", 400),
        ("GET", "/content/1?source=S", 400),
        ("GET", "/profile?limit=0", 400),
        ("GET", "/profile?page=-1", 400),
        ("GET", "/profile?order=desc", 400),
        ("GET", "/nothing", 404),
        ("GET", "/profile/1/2", 404),
        ("PUT", "/sale/1", 404),
        ("PATCH", "/profile/1", 404),
        ("POST", "/content", 400),
        ("POST", "/profile", 400),
        ("DELETE", "/profile/1", 400),
    ],
)
def test_refusals(client: httpx.Client, method: str, path: str, status: int) -> None:
    """What the document does not allow is refused in its error shape."""
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert answer.json()["message"]


def test_documented_message_for_a_missing_source(client: httpx.Client) -> None:
    """The text of the document's own example."""
    message = client.get("/profile/1").json()["message"]
    assert message == "Invalid request, please provide source as a request parameter."


def test_key_and_project(box: Sandbox, start: Start) -> None:
    """Without the right key in the header, or for another project, access is denied; `*` is any project."""
    good = {"x-apikey": "sandbox-datatrics-key"}
    for headers, project in (({}, "demo"), ({"x-apikey": "wrong"}, "demo"), (good, "other")):
        answer = httpx.get(f"{box.datatrics_url}/project/{project}/profile", headers=headers)
        assert (answer.status_code, answer.json()["status"]) == (403, 403)
    any_project = start(project_id="*")
    assert (
        httpx.get(f"{any_project.datatrics_url}/project/77/profile", headers=good).status_code
        == 200
    )


def test_planted_records_are_served_byte_for_byte(box: Sandbox, datatrics: Connect) -> None:
    """Records the API would refuse can be planted: without id, with lone surrogates, invalid UTF-8, or one twice."""
    twice = b'{"profileid":"1","source":"S"}'
    records = [b'{"profileid":null}', b'{"a":"\\ud800"}', b'{"b":"\xff"}', twice, twice]
    answer = httpx.post(
        f"{box.url}/_sandbox/records/profiles", content=b"[" + b", ".join(records) + b"]"
    )
    assert answer.json() == {"planted": 5}
    assert (
        datatrics(box).get("/profile").content.endswith(b'"items":[' + b",".join(records) + b"]}")
    )
    assert httpx.post(f"{box.url}/_sandbox/records/profiles", content=b"{}").status_code == 400
