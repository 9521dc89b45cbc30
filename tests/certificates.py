"""Certificates for tests of TLS, made by the openssl command."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import wait_until

_EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate and its key, as files."""

    cert: Path
    key: Path

    def settings(self, ca: Authority | None = None) -> dict[str, Any]:
        """Return the settings of a server that shows it, and wants callers' certificates by `ca`, if that is given."""
        found = {"tls_cert_file": self.cert, "tls_key_file": self.key}
        return found if ca is None else {**found, "tls_client_ca_file": ca.cert}

    def shown(self) -> dict[str, Any]:
        """Return the arguments of a client that shows it."""
        return {"client_cert_file": self.cert, "client_key_file": self.key}

    def replace(self, by: Made) -> None:
        """Put another pair into these files, each at once, as those who renew certificates do."""
        for mine, other in ((self.cert, by.cert), (self.key, by.key)):
            fresh = mine.with_suffix(".fresh")
            shutil.copy(other, fresh)
            fresh.replace(mine)


class Authority:
    """An authority of one's own in a folder."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("needs openssl")
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._made = 0
        self.cert = folder / "ca.pem"
        self._key = folder / "ca.key"
        _openssl("req", "-x509", *_EC, "-days", "2", "-subj", "/CN=ca", "-keyout", self._key, "-out", self.cert)

    def make(self, names: str = "DNS:localhost,IP:127.0.0.1", *, days: int = 2) -> Made:
        """Make a certificate for names; one of less than a day has expired."""
        self._made += 1
        made = Made(self._folder / f"{self._made}.pem", self._folder / f"{self._made}.key")
        asked, more = made.cert.with_suffix(".csr"), made.cert.with_suffix(".ext")
        more.write_text(f"subjectAltName={names}\n")
        _openssl("req", *_EC, "-subj", f"/CN=number {self._made}", "-keyout", made.key, "-out", asked)
        by = ("-CA", self.cert, "-CAkey", self._key, "-CAcreateserial", "-extfile", more)
        _openssl("x509", "-req", "-in", asked, *by, "-days", days, "-out", made.cert)
        return made


def shown_at(port: int) -> str:
    """Return the certificate that a server of this machine shows, as PEM."""
    return ssl.get_server_certificate(("127.0.0.1", port))


def wait_for_another_at(port: int, than: str) -> None:
    """Wait until a server shows another certificate; it may begin anew meanwhile."""

    def shows_another() -> bool:
        try:
            return shown_at(port) != than
        except OSError:
            return False

    wait_until(shows_another)


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
