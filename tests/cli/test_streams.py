"""Whatever is printed, by whomever: a terminal shows it, and does nothing else."""

from __future__ import annotations

import io
import os
import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.cli.streams import InertOutput, for_cursor
from tests import forked
from tests.harness import PATIENCE_S

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b8m\u202e\u2066\u200b\r\x08"
COLOUR = re.compile(r"\x1b\[(?:0|1|2|22|3[0-79]|9[0-7])m")
OBEYED = set("\x00\x07\x08\x1b\x9b\r\u202e\u2066\u200b\ufeff\x7f\u2028")
texts = st.text(st.characters(codec="utf-8") | st.sampled_from([*sorted(OBEYED), "m", "\t", "0"]))


@given(texts)
def test_a_stream_obeys_nothing(text: str) -> None:
    """Lines and tabs stay; every sign that moves, hides, rings or turns round is an escape."""
    out = io.BytesIO()
    stream = InertOutput(out, encoding="utf-8", newline="")
    assert stream.write(text) == len(text)
    stream.flush()
    shown = out.getvalue().decode()
    shown = COLOUR.sub("", shown)
    assert not set(shown) & OBEYED
    assert (shown.count("\n"), shown.count("\t")) == (text.count("\n"), text.count("\t"))
    odd = [char for char in shown if unicodedata.category(char) == "Cc" and char not in "\n\t"]
    assert odd == []


def test_a_bar_may_move_the_cursor() -> None:
    """And writes to the same place in its turn."""
    out = io.BytesIO()
    stream = InertOutput(out, encoding="utf-8", write_through=True)
    for_cursor(stream).write("\r\x1b[A50%")
    stream.write("\rdone")
    stream.flush()
    assert out.getvalue() == b"\r\x1b[A50%\\u000ddone"
    assert for_cursor(sys.stdout) is sys.stdout or isinstance(sys.stdout, InertOutput)


@pytest.mark.skipif(os.name == "nt", reason="a console is written to as it is")
def test_what_is_typed_comes_back_inert(tmp_path) -> None:
    """Usage errors, paths, options, names of files in the workspace: all of them end up in a message."""
    (tmp_path / "migrate.toml").write_text('[datatrics]\nproject_id = "1"\n')
    reports = tmp_path / "migration" / "reports"
    reports.mkdir(parents=True)
    (reports / "odd\x1b[2J\u202e.txt").write_text("x")
    (tmp_path / "\x1b[2J.yaml").write_text('dataset: "\\e[2J"\n')
    calls = (
        [f"no{HOSTILE}".replace("\0", "")], ["--project", f"x{HOSTILE}.toml", "status"], ["plan", f"--{HOSTILE}"],
        ["trace", HOSTILE, HOSTILE], ["purge", "--dry-run"], ["extract", HOSTILE], ["inspect", "--snapshot", HOSTILE],
        ["mapping", "check", "\x1b[2J.yaml"], ["evidence", "--verify", HOSTILE],
    )  # fmt: skip
    for words in calls:
        done = forked.run(["-m", "migrate", *words], tmp_path, dict(os.environ), PATIENCE_S)
        said = done.stdout + done.stderr
        assert said.strip()
        assert not set(COLOUR.sub("", said)) & OBEYED, words
