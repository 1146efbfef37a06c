"""Addresses at which nothing has ever answered."""

from __future__ import annotations

import socket
import threading

import pytest
from pydantic import SecretStr

from migrate.config import Octolis
from migrate.errors import Unreachable
from migrate.net.unanswered import refused_here, unanswered
from migrate.target.client import TargetClient


@pytest.fixture
def silent_port():
    """A port of this machine at which nothing listens, and nobody else can."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_whether_somebody_listens(silent_port):
    """Only a refusal counts, and only of this machine; the path of the address is left out."""
    assert refused_here(f"http://127.0.0.1:{silent_port}/2.0") == f"http://127.0.0.1:{silent_port}"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert refused_here(f"http://127.0.0.1:{listener.getsockname()[1]}/2.0") is None
    assert refused_here("https://api.example.invalid/v1") is None


def test_what_to_do(silent_port):
    """Here the sandbox is to be started; elsewhere the address is to be checked, in its section."""
    here = unanswered("Octolis", "octolis", f"http://127.0.0.1:{silent_port}/v1", "refused")
    assert "migrate sandbox" in (here.hint or "")
    there = unanswered("Octolis", "octolis", "https://api.example.invalid/v1", "refused")
    assert "[octolis] base_url" in (there.hint or "")


def test_the_target_is_tried_with_one_line(silent_port):
    """However often a service that never answered is asked, that is said once, and so is the end."""
    notes = []
    settings = Octolis(base_url=f"http://127.0.0.1:{silent_port}/v1", retry_budget_s=2)
    with (
        TargetClient(
            settings, (SecretStr("k"),), state_file=None, stop=threading.Event(), note=notes.append
        ) as client,
        pytest.raises(Unreachable, match="nothing answers"),
    ):
        client.count("contacts")
    assert notes == [
        f"Octolis: nothing answers at {settings.base_url} yet (connection refused); trying for 2 s"
    ]
