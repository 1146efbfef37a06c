"""Every fault of the sandbox: the extract ends with all records, or with one clear message."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from migrate.errors import GaveUp, Refused, Unreachable

PASSING = [
    "424@method=GET,every=4",
    "500@method=GET,every=4,body=html",
    "503@method=GET,every=4,body=empty",
    *(f"429={value}@method=GET,every=4" for value in ("0", "0.2", "garbage", "none")),
    *(
        f"{kind}@method=GET,every=4"
        for kind in ("html200", "empty200", "204", "error200", "truncated-json")
    ),
    *(f"{kind}@method=GET,every=4" for kind in ("reset", "reset-after", "cut")),
    "429=date@method=GET,at=2",
    "gzip@method=GET",
    "slow=0.05@method=GET",
    "totals-text@method=GET",
]


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_costs_time_but_no_record(start: Callable[..., Any], fault: str) -> None:
    """All 45 profiles arrive and the verdict is `proven`."""
    bench = start(fault, profiles=45)
    found = bench.extract()
    result = found.resources["profiles"]
    assert (result.verdict, result.received, result.distinct) == ("proven", 45, 45), result.reason
    assert bench.ids(found) == [str(n) for n in range(45)]


def test_an_answer_that_never_comes_is_asked_for_again(start: Callable[..., Any]) -> None:
    """After the deadline of its request; all arrives as if it had come."""
    bench = start("stall@method=GET,at=3", profiles=45)
    bench.request_deadline_s = 1
    found = bench.extract()
    assert found.resources["profiles"].verdict == "proven"
    assert bench.ids(found) == [str(n) for n in range(45)]


@pytest.mark.parametrize(
    ("fault", "distinct", "verdict", "words"),
    [
        ("cap-limit=7", 95, "proven", "95 announced"),
        ("no-totals", 95, "unproven", "no total"),
        ("wrong-total=30", 95, "unproven", "125 announced but 95 distinct"),
        ("wrong-total=-30", 95, "unproven", "65 announced but 95 distinct"),
        ("ignore-page", 10, "unproven", "repeats page 1"),
        ("repeat-last", 95, "unproven", "repeats page 10"),
        ("empty-page=4", 85, "unproven", "page 4 of 10 announced came back empty twice"),
    ],
)
def test_a_server_that_lies_is_read_to_the_end_and_not_believed(
    start: Callable[..., Any], fault: str, distinct: int, verdict: str, words: str
) -> None:
    """Neither a loop nor a lost record, and the verdict says what was odd."""
    bench = start(f"{fault}@method=GET")
    found = bench.extract()
    result = found.resources["profiles"]
    assert (result.distinct, result.verdict) == (distinct, verdict)
    assert words in result.reason
    assert len(bench.ids(found)) == distinct
    assert bench.requests <= 40


@pytest.mark.parametrize(
    ("status", "words", "hint"),
    [
        ("403", "does not accept the key", "DATATRICS_API_KEY"),
        ("401", "does not accept the key", "DATATRICS_API_KEY"),
        ("404", "knows no such address", "switched off"),
        ("410", "knows no such address", "switched off"),
        ("400", "refuses the request", "[datatrics]"),
    ],
)
def test_a_final_answer_stops_at_once(
    start: Callable[..., Any], status: str, words: str, hint: str
) -> None:
    """One request, one message with the next step."""
    bench = start(f"{status}@method=GET")
    with pytest.raises(Refused) as caught:
        bench.extract()
    assert words in caught.value.what
    assert hint in (caught.value.hint or "")


def test_a_wrong_key_is_named_but_never_shown(start: Callable[..., Any]) -> None:
    """The message names the variable and the project, not the key."""
    bench = start()
    bench.key = "a-very-secret-key"
    with pytest.raises(Refused) as caught, bench.client() as client:
        bench.extract_with(client)
    assert client.requests == 1
    assert "demo" in caught.value.what
    assert "a-very-secret-key" not in f"{caught.value!r}{caught.value.hint}"


def test_a_redirect_is_not_followed(start: Callable[..., Any]) -> None:
    """The other host hears nothing."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.2)
        bench = start(f"redirect=http://127.0.0.1:{other.getsockname()[1]}/@method=GET")
        with pytest.raises(Refused, match="redirect"):
            bench.extract()
        with pytest.raises(TimeoutError):
            other.accept()


def test_a_key_revoked_on_the_way_stops_with_what_was_read(start: Callable[..., Any]) -> None:
    """Pages read before the refusal are kept and not asked for again."""
    bench = start("403@method=GET,at=7")
    with pytest.raises(Refused):
        bench.extract()
    found = bench.extract()
    assert found.resources["profiles"].resumed_pages >= 2
    assert found.resources["profiles"].verdict == "proven"


def test_a_fault_that_stays_ends_within_the_budget_and_resumes(start: Callable[..., Any]) -> None:
    """After the budget the message names the page; nothing read before is lost."""
    bench = start("500@method=GET,path=*profile*")
    bench.retry_budget_s = 0.5
    with pytest.raises(GaveUp, match=r"profiles, page 1.*HTTP 500") as caught:
        bench.extract()
    assert "give the same command again" in (caught.value.hint or "")


def test_a_wait_beyond_the_budget_is_not_waited_for(start: Callable[..., Any]) -> None:
    """A Retry-After of a day ends the run at once and says so."""
    bench = start("429=86400@method=GET")
    began = time.monotonic()
    with pytest.raises(GaveUp, match="86400 s"):
        bench.extract()
    assert time.monotonic() - began < 300


def test_a_host_that_never_answers_is_reported_soon(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused connection on first contact does not use up the retry budget."""
    monkeypatch.setattr("migrate.source.client.TRY_FOR_S", 1.5)
    bench = start(profiles=0)
    with socket.socket() as taken:  # taken, so that nobody else listens there, and not listened at
        taken.bind(("127.0.0.1", 0))
        bench.url = f"http://127.0.0.1:{taken.getsockname()[1]}/2.0"
        with pytest.raises(
            Unreachable, match=r"nothing answers at .*: connection refused"
        ) as caught:
            bench.extract()
    assert "migrate sandbox" in (caught.value.hint or "")


def test_hostile_words_of_a_server_are_made_harmless(start: Callable[..., Any]) -> None:
    """No control character of an answer reaches the terminal."""
    bench = start("400@method=GET")
    with pytest.raises(Refused) as caught:
        bench.extract()
    assert caught.value.what.isprintable()
