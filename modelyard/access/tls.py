"""TLS of the servers: their certificate, its key, and the authorities of their callers' certificates.

Files that were renewed are taken up by the next connection that begins; connections that are there go on. Files that
cannot be used leave the ones before in place, and the log says why.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from modelyard.access.pem import Pair, PemFile, load_authorities, load_pair
from modelyard.errors import InvalidRequest
from modelyard.settings import Settings

log = logging.getLogger("modelyard.tls")

HANDSHAKE_S = 10.0
"""How long a caller may take until both sides have agreed on TLS."""

_Mark = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server shows its callers, and what it wants of them."""

    pair: Pair

    authorities: bytes | None
    """Those who vouch for callers' certificates, as PEM; None: nobody is asked for one."""

    context: ssl.SSLContext
    """The same for servers of Python. It asks for a caller's certificate, and lets callers pass who have none."""

    @property
    def has_expired(self) -> bool:
        """Whether no caller will accept the certificate any more."""
        return self.pair.ends < time.time()

    @property
    def end(self) -> str:
        """The day on which the certificate expires."""
        return f"{datetime.fromtimestamp(self.pair.ends, UTC):%Y-%m-%d}"


class CertificateFiles:
    """The files of a server's certificate, which are read again whenever they have changed.

    Making one reads them. Raises InvalidRequest if one is missing or cannot be used.
    """

    def __init__(self, certificate: Path, key: Path, authorities: Path | None = None) -> None:
        self._certificate = PemFile("setting MODELYARD_TLS_CERT_FILE", certificate)
        self._key = PemFile("setting MODELYARD_TLS_KEY_FILE", key)
        self._authorities = authorities and PemFile("setting MODELYARD_TLS_CLIENT_CA_FILE", authorities)
        self._lock = threading.Lock()
        self._seen: list[_Mark] = []
        self._current = self._read()

    def announce(self) -> None:
        """Log how long the certificate is good for."""
        if self._current.has_expired:
            log.warning("the certificate expired on %s: callers refuse it", self._current.end)
        else:
            log.info("TLS by a certificate that is good until %s", self._current.end)

    def current(self) -> Certificate:
        """Return what the files hold; what they held before, if that cannot be used."""
        with self._lock:
            if self._marks() != self._seen:
                self._renew()
            return self._current

    def _renew(self) -> None:
        try:
            found = self._read()
        except InvalidRequest as error:
            log.error("the renewed certificate is not taken up: %s", error.detail)  # noqa: TRY400 - no defect of ours
            return
        if found.has_expired and not self._current.has_expired:
            log.error("the renewed certificate is not taken up: it expired on %s", found.end)
            return
        self._current = found
        log.info("took up a renewed certificate, good until %s", found.end)

    def _read(self) -> Certificate:
        while True:
            self._seen = self._marks()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_alpn_protocols(["http/1.1"])
            pair = load_pair(context, self._certificate, self._key)
            authorities = None
            if self._authorities:
                authorities = load_authorities(context, self._authorities)
                context.verify_mode = ssl.CERT_OPTIONAL
            if self._marks() == self._seen:  # otherwise they were written meanwhile, and do not belong together
                return Certificate(pair, authorities, context)

    def _marks(self) -> list[_Mark]:
        return [_mark(file.path) for file in (self._certificate, self._key, self._authorities) if file]


def certificate_files(settings: Settings) -> CertificateFiles | None:
    """Read the files of the settings; None if the servers speak without TLS. Raises InvalidRequest."""
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    return CertificateFiles(settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)


def server_context(files: CertificateFiles) -> ssl.SSLContext:
    """Make the context of a server of Python, which begins each connection with what the files hold then."""
    context = files.current().context

    def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = files.current().context

    context.sni_callback = choose  # called at the begin of each handshake, with or without a name
    return context


def _mark(path: Path) -> _Mark:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ctime_ns, found.st_ino, found.st_size  # ctime: no copy keeps it, and rights change it, too
