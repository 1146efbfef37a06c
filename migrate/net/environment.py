"""The way to a service as the environment has it: proxies, trusted certificates, a log of TLS keys.

Every variable that is read here works, or is named in the error: a traceback of a library tells nobody that a variable
of the shell is wrong. No message holds a proxy's user or password.

**Source**: the variables as curl documents them; `SSL_CERT_FILE` and `SSL_CERT_DIR` as OpenSSL does.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import certifi

from migrate.errors import ConfigError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
CERT_FILE, CERT_DIR, KEY_LOG = "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the variable that names it. `url` is without user and password; they are in `auth`."""

    variable: str
    url: str
    auth: tuple[str, str] | None = field(default=None, repr=False)


def proxy_for(base_url: str, environ: Mapping[str, str] = os.environ) -> Proxy | None:
    """The proxy to the service at `base_url`, None where it is asked directly: so is this machine itself, always.

    A name in small letters comes before the same in capitals, and the scheme's own variable before `ALL_PROXY`.

    **Raises**: ConfigError naming the variable that holds no proxy.
    """
    parts = urlsplit(base_url)
    host = (parts.hostname or "").lower()
    if host in LOOPBACK or is_exempt(host, parts.port, _value("NO_PROXY", environ)[1]):
        return None
    for name in (f"{parts.scheme.upper()}_PROXY", "ALL_PROXY"):
        variable, text = _value(name, environ)
        if text:
            return _read_proxy(variable, text)
    return None


def _value(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    variable = name.lower() if environ.get(name.lower()) else name
    return variable, environ.get(variable, "").strip()


def is_exempt(host: str, port: int | None, exceptions: str) -> bool:
    """Whether `NO_PROXY` names a host: by itself or a domain it is in, an address or a network, or `*`; with a port
    only that one."""
    return any(
        _exempts(entry, host, port) for entry in exceptions.replace(",", " ").lower().split()
    )


def _exempts(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    with contextlib.suppress(ValueError):
        # an address inside a network, such as 10.0.0.0/8
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    name, colon, only_port = entry.rpartition(":")
    if colon and only_port.isdigit():
        if int(only_port) != (port or 443):
            return False
        entry = name
    domain = entry.strip("[]").removeprefix("*").lstrip(".")
    return bool(domain) and (host == domain or host.endswith("." + domain))


def _read_proxy(variable: str, text: str) -> Proxy:
    """The proxy that a variable names."""
    try:
        # Most write it as curl takes it, without a scheme.
        parts = urlsplit(text if "://" in text else f"http://{text}")
    except ValueError:
        raise _no_proxy(variable) from None  # half a pair of brackets
    if parts.scheme.startswith("socks"):
        raise ConfigError(
            f"the environment variable {variable} names a SOCKS proxy, which this program does not speak",
            hint=f"set {variable} to an http:// proxy, or name the services' hosts in NO_PROXY to ask them directly",
        )
    port = _port_of(parts)
    is_proxy = parts.scheme in _DEFAULT_PORTS and port is not None and not parts.path.strip("/")
    if not parts.hostname or not is_proxy:
        raise _no_proxy(variable)
    if ":" in parts.hostname:
        host = f"[{parts.hostname}]"
    else:
        host = parts.hostname
    auth = None
    if parts.username:
        auth = (unquote(parts.username), unquote(parts.password or ""))
    return Proxy(variable, f"{parts.scheme}://{host}:{port}", auth)


def _no_proxy(variable: str) -> ConfigError:
    # The value itself is not repeated: it may hold a password.
    return ConfigError(
        f"the environment variable {variable} holds no address of a proxy",
        hint=f"write {variable}=http://host:port, or http://user:password@host:port with the signs : / @ # ? % of "
        "the password percent-encoded",
    )


def _port_of(parts: SplitResult) -> int | None:
    """The port, by default that of the scheme; None where it is no number."""
    try:
        return parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None


def trusted_certificates(environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """What certificates are believed: those of `SSL_CERT_FILE` and `SSL_CERT_DIR` where one is set, else the common
    ones that come with the program.

    **Raises**: ConfigError naming the variable whose file or folder cannot be used.
    """
    check_tls_variables(environ)
    file = environ.get(CERT_FILE) or None
    folders = [folder for folder in (environ.get(CERT_DIR) or "").split(os.pathsep) if folder]
    if file is None and not folders:
        # With neither file nor folder the library would take the system's certificates, which differ by machine.
        file = certifi.where()
    with _named(KEY_LOG, environ.get(KEY_LOG, "")):
        # It reads SSLKEYLOGFILE by itself.
        context = ssl.create_default_context(cafile=file, capath=folders[0] if folders else None)
    for folder in folders[1:]:
        context.load_verify_locations(capath=folder)
    return context


def check_tls_variables(environ: Mapping[str, str] = os.environ) -> None:
    """Raises ConfigError where a variable about TLS names what cannot be used."""
    file, folders, log = (environ.get(name) for name in (CERT_FILE, CERT_DIR, KEY_LOG))
    if file:
        with _named(CERT_FILE, file):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    for folder in (folders or "").split(os.pathsep):
        if folder and not Path(folder).is_dir():
            raise _unusable(CERT_DIR, folder, "there is no such folder")
    if log:
        with _named(KEY_LOG, log), Path(log).open("ab"):
            pass


@contextlib.contextmanager
def _named(variable: str, path: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError:
        raise _unusable(variable, path, "it holds no certificate in PEM form") from None
    except OSError as error:
        raise _unusable(variable, path, error.strerror or str(error)) from None


def _unusable(variable: str, path: str, why: str) -> ConfigError:
    if variable == KEY_LOG:
        what_for = "log TLS keys to"
    else:
        what_for = "take trusted certificates from"
    return ConfigError(
        f"the environment variable {variable} names {path!r:.200} to {what_for}, but it cannot be used: {why}",
        hint=f"correct it, or take it away: unset {variable}",
    )


def describe_environment(base_url: str, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """What the environment changes on the way to a service, one line each. Raises ConfigError."""
    check_tls_variables(environ)
    lines = []
    proxy = proxy_for(base_url, environ)
    if proxy:
        lines.append(f"through the proxy {proxy.url} ({proxy.variable})")
    named = [name for name in (CERT_FILE, CERT_DIR) if environ.get(name)]
    lines += [f"certificates from {environ[name]} ({name})" for name in named]
    if environ.get(KEY_LOG):
        lines.append(f"TLS keys are logged to {environ[KEY_LOG]} ({KEY_LOG})")
    return tuple(lines)
