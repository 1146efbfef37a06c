"""Every fault, once, over a real socket; and the texts that order them."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from migrate.errors import UsageError
from migrate.sandbox.faults import KINDS, FaultBook, parse_fault
from migrate.sandbox.serve import Sandbox

Connect = Callable[[Sandbox], Any]
BATCH = "/datasets/ds-contacts/records/batch"


def contacts(number: int) -> list[dict[str, Any]]:
    """Contacts to send."""
    return [{"contact_key": str(n), "firstname": f"name {n}", "city": "X"} for n in range(number)]


@pytest.fixture(autouse=True)
def five_profiles(box: Sandbox, datatrics: Connect) -> None:
    """Five profiles to ask for."""
    profiles = [
        {"profileid": str(n), "source": "S", "profile": {"created": str(n)}} for n in range(5)
    ]
    assert datatrics(box).post("/profile/bulk", json={"profiles": profiles}).status_code == 200


def set_faults(box: Sandbox, *texts: str) -> None:
    """Puts faults in force."""
    assert (
        httpx.post(f"{box.url}/_sandbox/faults", json=list(texts), verify=False).status_code == 200
    )


def count_contacts(box: Sandbox) -> int:
    """How many contacts were written, as the sandbox itself counts them."""
    return int(
        httpx.get(f"{box.url}/_sandbox/state", verify=False).json()["datasets"]["contacts"][
            "written"
        ]
    )


@pytest.mark.parametrize(
    ("fault", "status", "start_of_body"),
    [
        ("424", 424, b'{"status":424'),
        ("500@body=html", 500, b"<!DOCTYPE html>"),
        ("502@body=empty", 502, b""),
        ("503", 503, b'{"status":503'),
        ("504", 504, b'{"status":504'),
        ("403", 403, b'{"status":403'),
        ("html200", 200, b"<!DOCTYPE html>"),
        ("empty200", 200, b""),
        ("204", 204, b""),
        ("error200", 200, b'{"status":500'),
        ("redirect=http://127.0.0.1:9/x", 302, b""),
    ],
)
def test_wrong_answers(
    box: Sandbox, datatrics: Connect, fault: str, status: int, start_of_body: bytes
) -> None:
    """A status or a body in place of the right one."""
    set_faults(box, f"datatrics:{fault}")
    answer = datatrics(box).get("/profile")
    assert answer.status_code == status
    assert answer.content.startswith(start_of_body)
    assert bool(answer.content) is bool(start_of_body)


@pytest.mark.parametrize(
    ("value", "header"),
    [("", "1"), ("=3", "3"), ("=1.5", "1.5"), ("=garbage", "soon"), ("=none", None)],
)
def test_retry_after(box: Sandbox, octolis: Connect, value: str, header: str | None) -> None:
    """429 with the Retry-After that was ordered."""
    set_faults(box, f"octolis:429{value}")
    answer = octolis(box)("GET", "/datasets/ds-contacts/records")
    assert (answer.status_code, answer.headers.get("retry-after")) == (429, header)


def test_retry_after_as_a_date(box: Sandbox, octolis: Connect) -> None:
    """The other form that HTTP allows."""
    set_faults(box, "octolis:429=date")
    assert (
        octolis(box)("GET", "/datasets/ds-contacts/records").headers["retry-after"].endswith(" GMT")
    )


@pytest.mark.parametrize(
    ("kind", "written"), [("reset", 0), ("reset@applied=1", 2), ("reset-after", 2)]
)
def test_resets(box: Sandbox, octolis: Connect, kind: str, written: int) -> None:
    """The connection is reset without an answer, before or after the write was applied; then all is well again."""
    set_faults(
        box, f"octolis:{kind.partition('@')[0]}@times=1,{kind.partition('@')[2] or 'every=1'}"
    )
    call = octolis(box)
    with pytest.raises(httpx.ReadError):
        call("POST", BATCH, contacts(2))
    assert count_contacts(box) == written
    assert all(result["written"] for result in call.results(contacts(2)))
    assert count_contacts(box) == 2


def test_a_status_after_the_write_was_applied(box: Sandbox, octolis: Connect) -> None:
    """A gateway's 504 can hide a write that happened."""
    set_faults(box, "octolis:504@applied=1")
    assert octolis(box)("POST", BATCH, contacts(2)).status_code == 504
    assert count_contacts(box) == 2


def test_cut(box: Sandbox, datatrics: Connect) -> None:
    """The announced length is not reached."""
    set_faults(box, "datatrics:cut")
    with pytest.raises(httpx.RemoteProtocolError):
        datatrics(box).get("/profile")


def test_truncated_json(box: Sandbox, datatrics: Connect) -> None:
    """A whole HTTP answer with half a document."""
    set_faults(box, "datatrics:truncated-json")
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        datatrics(box).get("/profile").json()


def test_gzip(box: Sandbox, datatrics: Connect) -> None:
    """A compressed answer, asked for or not."""
    set_faults(box, "datatrics:gzip")
    with datatrics(box).stream(
        "GET", "/profile", headers={"Accept-Encoding": "identity"}
    ) as answer:
        raw = b"".join(answer.iter_raw())
    assert gzip.decompress(raw).startswith(b'{"total_elements":5')


def test_slow_and_drip(box: Sandbox, datatrics: Connect) -> None:
    """The answer comes late, or in small pieces; both are whole in the end."""
    for fault in ("datatrics:slow=0.2", "datatrics:drip=0.05"):
        set_faults(box, fault)
        started_s = time.monotonic()
        assert datatrics(box).get("/profile").json()["size"] == 5
        assert time.monotonic() - started_s > 0.19


def test_stall(box: Sandbox, datatrics: Connect) -> None:
    """No answer ever; the sandbox still stops."""
    set_faults(box, "datatrics:stall")
    with pytest.raises(httpx.ReadTimeout):
        datatrics(box).get("/profile", timeout=httpx.Timeout(60, read=0.2))


@pytest.mark.parametrize(
    ("fault", "query", "expected"),
    [
        ("cap-limit=2", {"limit": "4"}, {"total_elements": 5, "total_pages": 3, "size": 2}),
        ("ignore-page", {"limit": "2", "page": "3"}, {"page": 1, "size": 2}),
        ("repeat-last", {"limit": "2", "page": "9"}, {"page": 9, "size": 1}),
        ("no-totals", {}, {"page": 1, "size": 5}),
        ("wrong-total=+7", {"limit": "2"}, {"total_elements": 12, "total_pages": 6}),
        ("wrong-total=-5", {}, {"total_elements": 0, "total_pages": 0, "size": 5}),
        ("totals-text", {}, {"total_elements": "5", "total_pages": "1"}),
        ("empty-page=2", {"limit": "2", "page": "2"}, {"total_elements": 5, "size": 0}),
    ],
)
def test_paging_lies(
    box: Sandbox, datatrics: Connect, fault: str, query: dict[str, str], expected: dict[str, Any]
) -> None:
    """A list that caps, ignores, repeats, hides or miscounts."""
    set_faults(box, f"datatrics:{fault}")
    page = datatrics(box).get("/profile", params=query).json()
    assert {name: page[name] for name in expected} == expected
    assert len(page["items"]) == page["size"]
    assert ("total_elements" in page) is (fault != "no-totals")


def test_busy_lie(box: Sandbox, octolis: Connect) -> None:
    """423 by order, for writes."""
    set_faults(box, "octolis:423@method=POST")
    assert octolis(box)("POST", BATCH, contacts(1)).status_code == 423


def test_partial(box: Sandbox, octolis: Connect) -> None:
    """Some records are not written, and say so; the others are."""
    set_faults(box, "octolis:partial=2/423")
    results = octolis(box).results(contacts(4))
    assert [result.get("error", {}).get("status") for result in results] == [None, 423, None, 423]
    assert count_contacts(box) == 2


def test_spoiled_results(box: Sandbox, octolis: Connect) -> None:
    """Results too few, in another order, or null, though all was written."""
    call = octolis(box)
    right = [record["contact_key"] for record in contacts(8)]
    set_faults(box, "octolis:short-results")
    assert len(call.results(contacts(8))) == 7
    set_faults(box, "octolis:shuffle-results")
    shuffled = [result["record"]["contact_key"] for result in call.results(contacts(8))]
    assert shuffled != right
    assert sorted(shuffled) == right
    set_faults(box, "octolis:null-results")
    assert call.results(contacts(8)) is None
    assert count_contacts(box) == 8


def test_altered(box: Sandbox, octolis: Connect) -> None:
    """What is stored differs from what was sent, in one text that is no key."""
    set_faults(box, "octolis:altered")
    call = octolis(box)
    assert call.results(contacts(1))[0]["record"]["firstname"] == "name 0?"
    set_faults(box, "octolis:altered=city")
    assert call.results(contacts(1))[0]["record"]["city"] == "X?"


def test_every_at_times_path() -> None:
    """Conditions count the requests that fit."""
    cases = {
        "datatrics:500@every=3": [2, 5],
        "datatrics:500@at=1+4": [0, 3],
        "datatrics:500@every=2,times=1": [1],
        "datatrics:500@path=/project/*/sale*": [],
        "octolis:500": [],
    }
    for text, expected in cases.items():
        book = FaultBook([parse_fault(text)], seed=0)
        assert [
            n for n in range(6) if book.fire("datatrics", "GET", "/project/demo/profile")
        ] == expected, text


def test_probability_depends_on_the_seed_only() -> None:
    """The same seed hits the same requests, another seed others."""
    fault = parse_fault("octolis:500@p=0.3")

    def hits(seed: int) -> list[bool]:
        book = FaultBook([fault], seed)
        return [bool(book.fire("octolis", "POST", "/x")) for _ in range(200)]

    assert hits(1) == hits(1)
    assert hits(1) != hits(2)
    assert 30 < sum(hits(1)) < 90


def test_every_kind_can_be_written() -> None:
    """Each kind that an error message lists is understood."""
    values = {
        "cap-limit": "=5", "wrong-total": "=+1", "empty-page": "=2", "import-lag": "=1.5", "import-partial": "=3",
        "import-encoding": "=latin-1",
    }  # fmt: skip
    for side, kinds in KINDS.items():
        for kind in kinds:
            assert parse_fault(f"{side}:{kind}{values.get(kind, '')}@every=2").kind == kind


@pytest.mark.parametrize(
    "text",
    [
        "500",
        "nobody:500",
        "datatrics:nothing",
        "datatrics:423",
        "octolis:cap-limit=1",
        "datatrics:cap-limit",
        "datatrics:500@every=0",
        "datatrics:500@every=x",
        "octolis:stall@applied=1@path=*batch",
        "octolis:500@body=xml",
        "datatrics:500@often=1",
        "octolis:partial=x",
        "octolis:stall@applied=1@path=*batch",
        "datatrics:slow=x",
    ],
)
def test_mistakes_in_a_fault(text: str) -> None:
    """One clear error, with what would be right."""
    with pytest.raises(UsageError) as caught:
        parse_fault(text)
    assert text in caught.value.what
    assert caught.value.hint


def test_an_unknown_kind_lists_the_known_ones(box: Sandbox) -> None:
    """Through the control endpoint as well, which then keeps the faults it had."""
    with pytest.raises(UsageError) as caught:
        parse_fault("datatrics:nothing")
    assert "cap-limit" in (caught.value.hint or "")
    answer = httpx.post(f"{box.url}/_sandbox/faults", json=["datatrics:nothing"])
    assert answer.status_code == 400
    assert "cap-limit" in answer.json()["hint"]
