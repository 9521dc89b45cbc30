"""The files of TLS: what a server and a client say of those that cannot be used, and how renewed ones are taken up."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.access.pem import PemFile
from modelyard.access.tls import CertificateFiles, certificate_files
from modelyard.access.trust import Trust, read_trust
from modelyard.connection import connect
from modelyard.errors import InvalidRequest
from modelyard.settings import read_settings
from tests.certificates import Authority, Made


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def served(ca: Authority, tmp_path: Path) -> Made:
    """The files of a server, which a test may change."""
    made, own = ca.make(), Made(tmp_path / "server.pem", tmp_path / "server.key")
    shutil.copy(made.cert, own.cert)
    shutil.copy(made.key, own.key)
    return own


def lock(key: Path) -> None:
    """Protect a key by a password."""
    fresh = key.with_suffix(".locked")
    command: list[str | Path] = ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", fresh]
    subprocess.run(command, check=True, capture_output=True)
    fresh.replace(key)


SPOILT: dict[str, tuple[Callable[[Made, Authority], object], str]] = {
    "no certificate": (lambda made, _: made.cert.unlink(), r"CERT_FILE must be a file that can be read \(No such file"),
    "no key": (lambda made, _: made.key.unlink(), r"KEY_FILE must be a file that can be read \(No such file"),
    "a text": (lambda made, _: made.cert.write_text("hello"), "CERT_FILE must be a certificate in PEM, got '/"),
    "an empty file": (lambda made, _: made.cert.write_text(""), "CERT_FILE must be a certificate in PEM"),
    "half a certificate": (lambda made, _: made.cert.write_text(made.cert.read_text()[:300]), "CERT_FILE must be"),
    "a key for a certificate": (lambda made, _: shutil.copy(made.key, made.cert), "CERT_FILE must be a certificate in"),
    "a certificate for a key": (lambda made, _: shutil.copy(made.cert, made.key), "KEY_FILE must be a private key in"),
    "another key": (lambda made, ca: shutil.copy(ca.make().key, made.key), "KEY_FILE must be the private key of the"),
    "a locked key": (lambda made, _: lock(made.key), "KEY_FILE must be a private key in PEM without a password"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_file_that_cannot_be_used_is_named(served: Made, ca: Authority, fault: str) -> None:
    spoil, words = SPOILT[fault]
    spoil(served, ca)
    with pytest.raises(InvalidRequest, match=words):
        CertificateFiles(served.cert, served.key)


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_file_leaves_the_one_before_in_place_and_says_so(
    served: Made, ca: Authority, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    files = CertificateFiles(served.cert, served.key)
    before = files.current()
    spoil, words = SPOILT[fault]
    spoil(served, ca)
    assert files.current() is before
    assert files.current() is before
    (record,) = caplog.records
    assert (record.levelno, record.exc_info) == (logging.ERROR, None)
    assert "is not taken up: setting MODELYARD_TLS_" in record.message
    assert words.split(" must")[0] in record.message
    served.replace(ca.make())
    assert files.current() is not before


def test_a_file_of_authorities_without_any_is_named(served: Made, tmp_path: Path) -> None:
    for content in ("", "hello", "ü"):
        (tmp_path / "ca").write_text(content)
        with pytest.raises(InvalidRequest, match="TLS_CLIENT_CA_FILE must be certificates in PEM"):
            CertificateFiles(served.cert, served.key, tmp_path / "ca")


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, Path("\0")):
        with pytest.raises(InvalidRequest, match="ca_file must be a file that can be read"):
            PemFile("ca_file", path).read()


def test_an_expired_certificate_is_served_with_a_warning_until_when_it_was_good(
    ca: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    old = ca.make(days=-1)
    files = CertificateFiles(old.cert, old.key)
    files.announce()
    assert caplog.records[0].levelno == logging.WARNING
    assert f"expired on {files.current().end}" in caplog.text


def test_an_expired_certificate_takes_the_place_of_none_that_is_good(
    served: Made, ca: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    files = CertificateFiles(served.cert, served.key)
    before = files.current()
    served.replace(ca.make(days=-1))
    assert files.current() is before
    assert "is not taken up: it expired on" in caplog.text


def test_a_certificate_written_in_place_and_one_behind_a_link_are_taken_up(served: Made, ca: Authority) -> None:
    link = Made(served.cert.with_name("link.pem"), served.cert.with_name("link.key"))
    link.cert.symlink_to(served.cert)
    link.key.symlink_to(served.key)
    files = CertificateFiles(link.cert, link.key, ca.cert)
    for made in (ca.make(), ca.make()):
        served.cert.write_bytes(made.cert.read_bytes())
        files.current()  # a handshake between the two files
        served.key.write_bytes(made.key.read_bytes())
        os.utime(served.key, ns=(0, 0))
        assert files.current().pair.chain == made.cert.read_bytes()


def test_renewed_authorities_are_taken_up(served: Made, ca: Authority, tmp_path: Path) -> None:
    authorities = tmp_path / "authorities.pem"
    shutil.copy(ca.cert, authorities)
    files = CertificateFiles(served.cert, served.key, authorities)
    other = Authority(tmp_path / "other").cert.read_bytes()
    authorities.write_bytes(other)
    assert files.current().authorities == other


@pytest.mark.parametrize(
    ("names", "first"),
    [("IP:10.0.0.1,DNS:*.example.com,DNS:b", "*.example.com"), ("IP:10.0.0.1", "10.0.0.1"), ("email:a@b.c", "")],
)
def test_a_certificate_tells_whom_it_is_made_out_to(ca: Authority, names: str, first: str) -> None:
    made = ca.make(names)
    assert CertificateFiles(made.cert, made.key).current().pair.name == first


def test_the_settings_of_tls_belong_together(served: Made, ca: Authority) -> None:
    wrong = [
        ({"tls_cert_file": served.cert}, "MODELYARD_TLS_KEY_FILE"),
        ({"tls_key_file": served.key}, "tls_key_file"),
        ({"tls_client_ca_file": ca.cert}, "tls_client_ca_file"),
    ]
    for given, named in wrong:
        with pytest.raises(InvalidRequest, match=f"setting {named}: .*MODELYARD_TLS_CERT_FILE"):
            read_settings(**given)
    assert certificate_files(read_settings()) is None
    found = certificate_files(read_settings(**served.settings(ca)))
    assert found is not None
    assert found.current().authorities == ca.cert.read_bytes()


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_a_client_names_the_file_that_it_cannot_use(served: Made, ca: Authority, scheme: str, tmp_path: Path) -> None:
    url, absent, other = f"{scheme}://localhost:9", tmp_path / "absent", ca.make()
    with pytest.raises(InvalidRequest, match=f"ca_file must be a file that can be read .*'{absent}'"):
        connect(url, ca_file=absent)
    with pytest.raises(InvalidRequest, match="ca_file must be certificates in PEM"):
        connect(url, ca_file=served.key)
    with pytest.raises(InvalidRequest, match="client_cert_file and client_key_file must be given together, got '/"):
        connect(url, client_cert_file=served.cert)
    with pytest.raises(InvalidRequest, match="client_key_file must be the private key of the certificate"):
        connect(url, client_cert_file=served.cert, client_key_file=other.key)


def test_the_environment_says_what_a_caller_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CA_FILE", "CLIENT_CERT_FILE", "CLIENT_KEY_FILE", "SERVER_NAME"):
        monkeypatch.setenv(f"MODELYARD_{name}", name)
    assert read_trust() == Trust("CA_FILE", "CLIENT_CERT_FILE", "CLIENT_KEY_FILE", "SERVER_NAME")
    assert read_trust(ca_file="mine").ca_file == "mine"
