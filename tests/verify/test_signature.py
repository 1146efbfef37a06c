"""Evidence signed by an ordinary SSH key, and checked offline; the tests use OpenSSH itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from migrate.app.signature import NAMESPACE, check_signature, sign, signature_of
from migrate.errors import ConfigError, UsageError

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH")


def make_key(folder: Path, name: str) -> Path:
    """A new key without a passphrase."""
    key = folder / name
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)]
    subprocess.run(words, check=True)
    return key


def allow(folder: Path, who: str, key: Path) -> Path:
    """An allowed_signers file of one signer."""
    file = folder / "allowed_signers"
    file.write_text(f'{who} namespaces="{NAMESPACE}" {key.with_suffix(".pub").read_text()}')
    return file


def test_a_signature_tells_who_and_of_what(tmp_path: Path) -> None:
    """Of the archive and by a known signer; not of another archive, nor by somebody unknown."""
    archive, key = tmp_path / "a.zip", make_key(tmp_path, "key")
    archive.write_bytes(b"evidence")
    made = sign(archive, key)
    assert (made.problem, made.signer, made.key[:7]) == (None, None, "SHA256:")
    signers = allow(tmp_path, "jan@shop.test", key)
    known = check_signature(archive, signature_of(archive), signers)
    assert (known.signer, known.problem) == ("jan@shop.test", None)
    other = allow(tmp_path, "piet@shop.test", make_key(tmp_path, "other"))
    assert "knows no signer" in str(check_signature(archive, made.file, other).problem)
    archive.write_bytes(b"evidence.")
    assert "not of this archive" in str(check_signature(archive, made.file, signers).problem)


def test_a_signature_for_something_else_is_none(tmp_path: Path) -> None:
    """The same key and file, signed as something that is no evidence."""
    archive, key = tmp_path / "a.zip", make_key(tmp_path, "key")
    archive.write_bytes(b"evidence")
    words = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", "git", str(archive)]
    subprocess.run(words, check=True, capture_output=True)
    assert check_signature(archive, signature_of(archive), None).problem


def test_what_cannot_be_signed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no key of this kind, no OpenSSH: each with what to do."""
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"evidence")
    with pytest.raises(UsageError, match="there is no key"):
        sign(archive, tmp_path / "nothing")
    with pytest.raises(UsageError, match="was not signed"):
        sign(archive, archive)
    key = make_key(tmp_path, "key")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="ssh-keygen"):
        sign(archive, key)
