"""The Octolis Data API over real sockets."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox
from tests.harness import wait_until

Start = Callable[..., Sandbox]
Connect = Callable[[Sandbox], Any]
RECORDS = "/datasets/ds-contacts/records"
KEY = "sandbox-octolis-key"


def contact(number: int, **columns: Any) -> dict[str, Any]:
    """A contact as it is sent."""
    return {"contact_key": f"k{number}", "firstname": "Jeanne", **columns}


def test_batch_answers_like_the_sample(box: Sandbox, octolis: Connect) -> None:
    """Each record has its own result in its place; one refused record does not stop the others."""
    call = octolis(box)
    results = call.results(
        [contact(1, lifetime_value=5), {"contact_key": "k2"}, contact(3, newsletter=25), 5]
    )
    assert [result["written"] for result in results] == [True, False, False, False]
    record = results[0]["record"]
    assert results[0]["warnings"] == {"protected_columns": ["lifetime_value"]}
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", record["__masterid__"])
    assert record["__all_masterids__"] == [record["__masterid__"]]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["__modified_at__"])
    assert record["newsletter"] is False
    assert results[1]["error"] == {
        "title": "Missing mandatory columns from the upsertion data",
        "detail": "Missing the following mandatory columns: firstname",
        "status": 400,
        "missing": ["firstname"],
    }
    assert results[2]["error"]["errors"] == [
        "newsletter (#/properties/newsletter/type) - must be boolean"
    ]
    assert results[2]["error"]["values"]["newsletter"] == 25
    assert [row["contact_key"] for row in call.records()] == ["k1"]


def test_single_requests(box: Sandbox, octolis: Connect) -> None:
    """Upsert, read, update by masterid, and the errors of each."""
    call = octolis(box)
    created = call("POST", RECORDS, contact(1, city="Lille", total=19.99)).json()["record"]
    assert created["city"] == "Lille"
    masterid = created["__masterid__"]
    read = call("GET", f"{RECORDS}/{masterid}").json()
    assert read == {"record": {**created, "city": "LILLE"}}
    patched = call("PATCH", f"{RECORDS}/{masterid}", {"orders": 3}).json()["record"]
    assert (patched["orders"], patched["total"]) == (3, 19.99)
    assert call("PATCH", f"{RECORDS}/nobody", {"orders": 3}).status_code == 404
    assert call("GET", f"{RECORDS}/nobody").status_code == 404
    refused = call("POST", RECORDS, contact(2, orders="5"))
    assert (refused.status_code, refused.json()["values"]["orders"]) == (400, "5")


def test_merge_is_visible(box: Sandbox, octolis: Connect) -> None:
    """After a merge the survivor lists the deleted masterid, which is gone, and says isMerged."""
    call = octolis(box)
    first, second = (
        result["record"]["__masterid__"]
        for result in call.results([contact(1), {**contact(2), "email": "e@x"}])
    )
    merged = call("POST", RECORDS, contact(1, email="e@x")).json()["record"]
    assert merged["__masterid__"] == second
    assert set(merged["__all_masterids__"]) == {first, second}
    assert call("GET", f"{RECORDS}/{second}").json()["isMerged"] is True
    assert call("GET", f"{RECORDS}/{first}").status_code == 404
    assert call("GET", f"{RECORDS}/count").json() == {"count": 1}


def test_batch_update(box: Sandbox, octolis: Connect) -> None:
    """PATCH batch finds each record by its masterid."""
    call = octolis(box)
    masterid = call.results([contact(1)])[0]["record"]["__masterid__"]
    changes = [
        {"__masterid__": masterid, "orders": 5},
        {"orders": 6},
        {"__masterid__": "nobody", "orders": 7},
    ]
    results = call.results(changes, method="PATCH")
    assert [result["written"] for result in results] == [True, False, False]
    assert [result.get("error", {}).get("status") for result in results] == [None, 400, 404]
    assert call.records(selection="orders") == [{"orders": 5}]


def test_duplicates_in_one_batch_are_processed_in_order(box: Sandbox, octolis: Connect) -> None:
    """The later of two records with one key updates the earlier."""
    call = octolis(box)
    results = call.results([contact(1, city="a", orders=1), contact(1, city="b")])
    assert results[0]["record"]["__masterid__"] == results[1]["record"]["__masterid__"]
    assert [(row["city"], row["orders"]) for row in call.records()] == [("B", 1)]


def test_composite_key(box: Sandbox, octolis: Connect) -> None:
    """Columns of one key count together, a number among them."""
    call = octolis(box)
    lines = [
        {"order": "1", "position": 1},
        {"order": "1", "position": 2},
        {"order": "1", "position": 1, "name": "x"},
    ]
    call.results(lines, "lines")
    assert sorted((row["position"], row["name"]) for row in call.records("lines")) == [
        (1, "x"),
        (2, None),
    ]
    assert call.results([{"order": "1"}], "lines")[0]["error"]["missing"] == ["position"]


@pytest.mark.parametrize("body", [{}, [], [{}] * 501, b"[", b'"x"', b""])
def test_a_batch_that_is_none_is_refused_as_a_whole(
    box: Sandbox, octolis: Connect, body: Any
) -> None:
    """More than 500 records, no array, or no JSON: 400 and nothing written."""
    answer = octolis(box)("POST", f"{RECORDS}/batch", body)
    assert answer.status_code == 400
    assert {"title", "detail", "status"} <= answer.json().keys()


def test_key_and_headers(box: Sandbox) -> None:
    """No key is 401, a wrong one 403; both headers are mandatory, on GET as well."""
    url = f"{box.octolis_url}{RECORDS}"
    headers = {"Content-Type": "application/json"}
    good = {"api-key": KEY}
    assert httpx.get(url, headers=headers).status_code == 401
    assert httpx.get(url, headers=headers, params={"api-key": "wrong"}).status_code == 403
    assert httpx.get(url, params=good).status_code == 400
    assert (
        httpx.get(url, params=good, headers={**headers, "Accept": "application/json"}).status_code
        == 400
    )
    assert (
        httpx.get(
            url, params=good, headers={"Content-Type": "application/json; charset=utf-8"}
        ).status_code
        == 200
    )


def test_support_headers(box: Sandbox, octolis: Connect) -> None:
    """Each answer has the headers that support asks for, and no two the same."""
    call = octolis(box)
    answers = [call("GET", RECORDS), call("GET", "/datasets/none/records")]
    assert len({answer.headers["apigw-requestid"] for answer in answers}) == 2
    assert all(
        re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", a.headers["traceparent"]) for a in answers
    )
    assert all("date" in answer.headers for answer in answers)


def test_unknown_places(box: Sandbox, octolis: Connect) -> None:
    """Unknown datasets, paths and methods are 404; a bad query is 400."""
    call = octolis(box)
    assert call("GET", "/datasets/none/records").status_code == 404
    assert call("GET", "/datasets/ds-contacts").status_code == 404
    assert call("DELETE", f"{RECORDS}/x").status_code == 404
    assert call("GET", RECORDS, pageSize=50001).status_code == 400
    assert call("GET", f"{RECORDS}/count", filter="nope:1").status_code == 400


def test_read_only_dataset(box: Sandbox, octolis: Connect) -> None:
    """A SQL dataset is read from only."""
    call = octolis(box)
    assert (
        call("POST", "/datasets/report/records", {"total": 1}).json()["title"]
        == "Read-only dataset"
    )
    assert call.records("report") == []


def test_csv_export(box: Sandbox, octolis: Connect) -> None:
    """CSV has its own media type and the documented parameters."""
    call = octolis(box)
    call.results([contact(1, city='a "b"')])
    answer = call("GET", RECORDS, format="csv", selection="contact_key,city", order="asc")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text == 'contact_key,city\r\nk1,"A ""B"""\r\n'


def test_numbers_come_back_exactly(box: Sandbox, octolis: Connect) -> None:
    """A float is not bent by binary arithmetic on its way."""
    call = octolis(box)
    call.results(
        b'[{"contact_key":"1","firstname":"x","total":19.990},{"contact_key":"2","firstname":"x","total":1e2}]'
    )
    answer = call("GET", RECORDS, selection="total", order="asc")
    assert answer.text == '{"records":[{"total":19.99},{"total":100}]}'


def test_busy_dataset(box: Sandbox, octolis: Connect) -> None:
    """While it is busy writes are 423 and reads go on; afterwards writes go on too."""
    call, busy = octolis(box), f"{box.url}/_sandbox/busy"
    assert httpx.post(f"{busy}/contacts?seconds=600").status_code == 200
    assert call("POST", RECORDS, contact(1)).status_code == 423
    assert call("GET", RECORDS).status_code == 200
    assert httpx.post(f"{busy}/contacts?seconds=0.2").status_code == 200
    wait_until(lambda: call("POST", RECORDS, contact(1)).status_code == 200)
    assert httpx.post(f"{busy}/none").status_code == 404


def test_rate_limit(start: Start, octolis: Connect) -> None:
    """The 18th write at once is 429 with Retry-After: the rest of its second, which lasts 100 here."""
    call = octolis(start(limits=Limits(speed=0.01)))
    answers = [call("POST", RECORDS, contact(1)) for _ in range(18)]
    assert [answer.status_code for answer in answers] == [200] * 17 + [429]
    assert 0 < float(answers[-1].headers["Retry-After"]) <= 100


def test_what_was_refused_passes_after_the_time_it_was_told(start: Start, octolis: Connect) -> None:
    """Whoever waits as long as Retry-After says is not refused again."""
    call = octolis(start(limits=Limits()))
    while (answer := call("POST", RECORDS, contact(1))).status_code == 200:
        pass
    assert answer.status_code == 429
    time.sleep(float(answer.headers["Retry-After"]))
    assert call("POST", RECORDS, contact(1)).status_code == 200


def test_preparation_delay(start: Start, octolis: Connect) -> None:
    """A write is answered at once and read a little later."""
    late, soon = octolis(start(preparation_s=600)), octolis(start(preparation_s=0.2))
    for call in (late, soon):
        assert call("POST", RECORDS, contact(1)).status_code == 200
    assert late("GET", f"{RECORDS}/count").json() == {"count": 0}
    wait_until(lambda: soon("GET", f"{RECORDS}/count").json() == {"count": 1})


def test_webhooks(box: Sandbox) -> None:
    """Only a request with the right id, key, method, header and JSON is kept."""
    url, good = f"{box.octolis_url}/webhook/notify", {"x-origin": "migration"}
    query = {"api-key": KEY}
    assert httpx.post(url, params=query, headers=good, content=b'{"n": 1.10}').status_code == 200
    assert httpx.put(url, params=query, headers=good, content=b"{}").status_code == 405
    assert httpx.post(url, params=query, content=b"{}").status_code == 403
    assert httpx.post(url, params=query, headers=good, content=b"{").status_code == 400
    assert httpx.post(url, headers=good, content=b"{}").status_code == 401
    assert (
        httpx.post(f"{box.octolis_url}/webhook/none", params=query, content=b"{}").status_code
        == 404
    )
    received = httpx.get(f"{box.url}/_sandbox/webhooks").text
    assert received == '{"received":[{"id":"notify","body":{"n": 1.10}}]}'


def test_any_webhook_where_none_is_declared(start: Start) -> None:
    """With nothing declared any id takes POST and PUT."""
    box = start(datasets=None)
    for method in ("POST", "PUT"):
        answer = httpx.request(
            method, f"{box.octolis_url}/webhook/x", params={"api-key": KEY}, content=b"1"
        )
        assert answer.status_code == 200
