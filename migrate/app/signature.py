"""Signatures of an evidence archive by an ordinary SSH key, made and checked by OpenSSH itself; offline.

**Source**: ssh-keygen(1), -Y sign, -Y verify, -Y find-principals, -Y check-novalidate; PROTOCOL.sshsig.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from migrate.errors import ConfigError, UsageError

NAMESPACE = "migrate-evidence"
"""Part of what is signed: a signature for something else, such as a commit, is none of an archive."""
_LONGEST_S = 120
_FINGERPRINT = re.compile(r"\b(SHA256:[A-Za-z0-9+/]+)")


@dataclass(frozen=True)
class Signature:
    """What a signature says. `signer` is None where it was not held against known signers.

    `problem`: why it proves nothing, None where it is sound.
    """

    file: Path
    key: str = ""
    signer: str | None = None
    problem: str | None = None


def signature_of(archive: Path) -> Path:
    """Where the signature of an archive lies."""
    return archive.with_name(f"{archive.name}.sig")


def sign(archive: Path, key: Path) -> Signature:
    """Signs an archive with an SSH key; OpenSSH asks for its passphrase, or the agent.

    **Raises**: UsageError where the key cannot be used; ConfigError where OpenSSH is not installed.
    """
    if not key.is_file():
        raise UsageError(
            f"there is no key {key}",
            hint="name a private SSH key, or the public one of a key in the agent",
        )
    file = signature_of(archive)
    # ssh-keygen asks before it overwrites, and nobody may be there to answer.
    file.unlink(missing_ok=True)
    done = _run("-Y", "sign", "-q", "-f", str(key), "-n", NAMESPACE, str(archive))
    if done.returncode or not file.is_file():
        raise UsageError(
            f"{archive} was not signed: {_words(done)}",
            hint="ssh-keygen -y -f KEY tells whether the key can be read",
        )
    file.chmod(0o600)
    return check_signature(archive, file, None)


def check_signature(archive: Path, file: Path, signers: Path | None) -> Signature:
    """Whether a signature is of the archive, and with `signers` (an allowed_signers file) whose it is.

    **Raises**: UsageError where a file is not there; ConfigError where OpenSSH is not installed.
    """
    for needed in (archive, file, *([signers] if signers else [])):
        if not needed.is_file():
            raise UsageError(f"there is no file {needed}", hint="the signature is FILE.sig")
    data = archive.read_bytes()
    # First without the signers: so it is told apart whether the archive was altered or the key is not known.
    made = _run("-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(file), data=data)
    if made.returncode:
        return Signature(file, problem=f"the signature is not of this archive: {_words(made)}")
    fingerprint = _FINGERPRINT.search(made.stdout.decode("utf-8", "replace"))
    key = fingerprint[1] if fingerprint else ""
    if signers is None:
        return Signature(file, key)
    principals = _run("-Y", "find-principals", "-s", str(file), "-f", str(signers))
    names = principals.stdout.decode("utf-8", "replace").split("\n")[0].strip()
    # A signature that is sound proves nothing as long as nobody knows whose key it is.
    if principals.returncode or not names:
        return Signature(file, key, problem=f"{signers.name} knows no signer with key {key}")
    signer = names.split(",")[0]
    asked = ("-Y", "verify", "-f", str(signers), "-I", signer, "-n", NAMESPACE, "-s", str(file))
    verified = _run(*asked, data=data)
    if verified.returncode:
        return Signature(file, key, problem=f"{signer} cannot be believed: {_words(verified)}")
    return Signature(file, key, signer)


def _run(*arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603  fixed words and paths, no shell
            ["ssh-keygen", *arguments],  # noqa: S607  the user's own OpenSSH
            input=data,
            capture_output=True,
            # It may wait for a passphrase that nobody types.
            timeout=_LONGEST_S,
            check=False,
        )
    except FileNotFoundError:
        raise ConfigError(
            "signatures need OpenSSH's ssh-keygen, which is not installed",
            hint="install the package openssh-client",
        ) from None
    except subprocess.TimeoutExpired:
        raise UsageError(
            "ssh-keygen waited too long for a passphrase", hint="load the key with ssh-add"
        ) from None


def _words(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    if lines:
        return lines[-1][:200]
    return f"ssh-keygen ended with {done.returncode}"
