"""What the commands of one user tell each other of a key: across workspaces, by the key and not by its place."""

from __future__ import annotations

import json
import threading

import pytest
from pydantic import SecretStr

from migrate.target.budget import Budget, Grant
from migrate.target.gate import Gate, read_points_left
from migrate.target.spent import FALLBACK, fingerprints, lift_waits, windows_file


def spend(budget: Budget, cost: int, now: float = 0.0) -> int:
    """How many requests may leave at once."""
    count = 0
    while isinstance(budget.reserve(cost, now), Grant):
        count += 1
    return count


def test_two_workspaces_with_one_key_share_its_windows(tmp_path):
    """17 writes at once are all that the key may do, whoever asks, and wherever in a list of keys it stands."""
    file = tmp_path / "points.json"
    clocks = {"clock": lambda: 0.0, "wall_clock": lambda: 1000.0}
    first = Gate(Budget(1, names=["one"]), threading.Event(), file, **clocks)
    for _ in range(17):
        first.acquire(10)
    budget = Budget(2, names=["two", "one"])
    second = Gate(budget, threading.Event(), file, **clocks)
    taken = [second.acquire(10).key_index for _ in range(17)]
    assert set(taken) == {0}
    assert not isinstance(budget.reserve(10, 0.0), Grant)


def test_another_account_is_nobodys_business():
    """Who shares no key shares no windows."""
    mine, theirs = Budget(1, names=["one"]), Budget(1, names=["other"])
    assert spend(theirs, 10) == 17
    mine.adopt([(theirs.state(0.0), 0.0)], 0.0)
    assert spend(mine, 10) == 17


def test_the_file_lies_with_the_user(tmp_path, monkeypatch):
    """The same for every workspace, one for each service; in the workspace where there is no home to write to."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    one, two = (windows_file("https://a/v1", tmp_path / name) for name in ("one", "two"))
    assert one == two
    assert one.is_relative_to(tmp_path / "state")
    assert windows_file("https://b/v1", tmp_path) != one
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert windows_file("https://a/v1", tmp_path / "ws") == tmp_path / "ws" / FALLBACK


def test_a_fingerprint_says_nothing():
    """It tells keys apart and holds none of them."""
    keys = (SecretStr("secret-one"), SecretStr("secret-two"))
    told = fingerprints(keys)
    assert len(set(told)) == 2
    assert told == fingerprints(keys)
    assert not any("secret" in name for name in told)


def test_a_wait_that_was_taken_back_is_lifted(tmp_path):
    """The key may be asked again at once; what was spent, and another key's wait, stay."""
    file = tmp_path / "points.json"
    clocks = {"clock": lambda: 0.0, "wall_clock": lambda: 1000.0}
    gate = Gate(Budget(2, names=["one", "two"]), threading.Event(), file, **clocks)
    for _ in range(2):
        grant = gate.acquire(10)
        gate.settled(grant, started=0.0, ended=0.0, refused=True, retry_after_s=86_400)
    assert read_points_left(file, 1000.0, 1, 1.0, 1.0, ["one"]) == 0
    assert lift_waits(file, ["one"]) == 1
    assert (read_points_left(file, 1000.0, 1, 1.0, 1.0, ["one"]) or 0) > 0
    assert read_points_left(file, 1000.0, 1, 1.0, 1.0, ["two"]) == 0
    assert lift_waits(file, ["one"]) == 0
    assert lift_waits(tmp_path / "none.json", ["one"]) == 0


@pytest.mark.parametrize(
    "text", ["", "[]", '{"processes": 3}', json.dumps({"processes": {"a": 1}})]
)
def test_a_file_of_nobodys_writing_lifts_nothing(tmp_path, text):
    """It is left as it is."""
    file = tmp_path / "points.json"
    file.write_text(text)
    assert lift_waits(file, ["one"]) == 0
    assert file.read_text() == text
