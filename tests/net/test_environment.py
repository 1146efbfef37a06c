"""Proxies and certificates as the environment names them: each variable works, or is named."""

from __future__ import annotations

import ssl
from pathlib import Path

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import ConfigError
from migrate.net.environment import (
    Proxy,
    check_tls_variables,
    describe_environment,
    is_exempt,
    proxy_for,
    trusted_certificates,
)

URL = "https://api.octolis.cloud/v1/data"


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "proxy.corp:3128"}, Proxy("HTTPS_PROXY", "http://proxy.corp:3128")),
        (
            {"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q:2"},
            Proxy("https_proxy", "http://p:1"),
        ),
        ({"ALL_PROXY": "http://p:8080"}, Proxy("ALL_PROXY", "http://p:8080")),
        (
            {"ALL_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:2"},
            Proxy("HTTPS_PROXY", "http://q:2"),
        ),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"HTTPS_PROXY": "https://p"}, Proxy("HTTPS_PROXY", "https://p:443")),
        ({"HTTPS_PROXY": " "}, None),
        ({"HTTPS_PROXY": "http://[::1]:3128"}, Proxy("HTTPS_PROXY", "http://[::1]:3128")),
        (
            {"HTTPS_PROXY": "http://jan:p%40ss@p:3128/"},
            Proxy("HTTPS_PROXY", "http://p:3128", ("jan", "p@ss")),
        ),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": "octolis.cloud"}, None),
        ({"HTTPS_PROXY": "p:1", "no_proxy": "*"}, None),
    ],
)
def test_a_proxy_is_found_as_curl_finds_it(environ, proxy):
    """With and without a scheme, by ALL_PROXY too, small letters first, credentials apart, but for NO_PROXY."""
    assert proxy_for(URL, environ) == proxy


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:9"]
)
def test_this_machine_is_asked_directly(base_url):
    """A rehearsal on loopback needs no proxy, and none that is wrong stops it."""
    wrong = {
        "ALL_PROXY": "socks5://127.0.0.1:1080",
        "HTTP_PROXY": "nonsense://",
        "HTTPS_PROXY": "::::",
    }
    assert proxy_for(base_url, wrong) is None


@pytest.mark.parametrize(
    "value",
    [
        "socks5://p:1080",
        "ftp://p",
        "http://",
        "http://p:port",
        "http://p:99999",
        "::::",
        "http://u:secret@/",
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_what_is_no_proxy_is_named(variable, value):
    """Exit code 5 and the variable, and never what stands in it: there may be a password."""
    with pytest.raises(ConfigError, match=variable) as caught:
        proxy_for(URL, {variable: value})
    assert "secret" not in caught.value.what + str(caught.value.hint)


@given(st.text(max_size=40))
def test_no_value_of_a_proxy_is_a_traceback(value):
    """Whatever somebody has put there: a proxy, none, or an error that names the variable."""
    try:
        found = proxy_for(URL, {"HTTPS_PROXY": value})
    except ConfigError as error:
        assert "HTTPS_PROXY" in error.what
    else:
        assert (found is None) == (not value.strip())


@pytest.mark.parametrize(
    ("exceptions", "is_direct"),
    [
        ("api.octolis.cloud", True),
        (".octolis.cloud", True),
        ("*.octolis.cloud", True),
        ("octolis.cloud:443", True),
        ("octolis.cloud:8443", False),
        ("tolis.cloud", False),
        ("localhost, octolis.cloud", True),
        ("localhost octolis.cloud", True),
        ("", False),
        (",", False),
    ],
)
def test_exceptions(exceptions, is_direct):
    """A host, the domain it is in, with and without a dot, a port; the end of a name is no domain."""
    assert is_exempt("api.octolis.cloud", None, exceptions) is is_direct


def test_an_address_in_a_network_is_an_exception():
    """As 10.0.0.0/8."""
    assert is_exempt("10.1.2.3", 443, "192.168.0.0/16,10.0.0.0/8")
    assert not is_exempt("11.1.2.3", 443, "10.0.0.0/8")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"])
def test_a_path_that_is_not_there_is_named(variable, tmp_path):
    """Exit code 5 with the variable, the path and the reason."""
    with pytest.raises(ConfigError, match=variable) as caught:
        check_tls_variables({variable: str(tmp_path / "nope" / "ca.pem")})
    assert "nope" in caught.value.what


def test_a_file_without_a_certificate_is_named(tmp_path):
    """A text file is no bundle."""
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(ConfigError, match=r"SSL_CERT_FILE.*no certificate in PEM form"):
        check_tls_variables({"SSL_CERT_FILE": str(file)})


def test_certificates_of_ones_own_replace_the_common_ones(tmp_path):
    """With SSL_CERT_FILE only what is in it is believed; without it the common ones are."""
    whole = trusted_certificates({})
    assert len(whole.get_ca_certs()) > 50
    first = Path(certifi.where()).read_text("utf-8").split("-----END CERTIFICATE-----")[0]
    file = tmp_path / "corp.pem"
    file.write_text(first + "-----END CERTIFICATE-----\n")
    own = trusted_certificates({"SSL_CERT_FILE": str(file)})
    assert len(own.get_ca_certs()) == 1
    assert own.verify_mode == ssl.CERT_REQUIRED


def test_what_the_environment_changes_is_told(tmp_path):
    """For the findings of a check: proxy without its password, certificates, the log of keys."""
    environ = {
        "HTTPS_PROXY": "http://jan:secret@p:3128",
        "SSL_CERT_FILE": certifi.where(),
        "SSLKEYLOGFILE": str(tmp_path / "keys"),
    }
    told = "\n".join(describe_environment(URL, environ))
    assert "http://p:3128 (HTTPS_PROXY)" in told
    assert "secret" not in told
    assert "SSL_CERT_FILE" in told
    assert "SSLKEYLOGFILE" in told
