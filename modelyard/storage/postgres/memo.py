"""What this host has seen of a database, in a file for each generation of it: `<folder>/<generation>`.

So a process that starts knows whether the database was taken back to an earlier state while none was running here.
"""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

import orjson

from modelyard.errors import DataLoss
from modelyard.storage.postgres.session import Session

log = logging.getLogger("modelyard.storage")

TAKEN_BACK = (
    "the database has lost what it had: transaction {seq} is not there, or is another one. If an "
    "earlier state was restored on purpose, say so by `modelyard doctor --accept-restored`"
)
_QUESTION = "select seq, forgotten, (select token from commits where seq = %s) from head"


class Memo:
    """The last transaction that was seen, and its token. Shared by the processes of a host."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def check(self, session: Session) -> None:
        """Raise DataLoss if the database does not have the transaction that was seen last."""
        seen, token = self._read(session.row("select generation from head")[0])
        seq, forgotten, found = session.row(_QUESTION, seen)
        if seq < seen or (seen > forgotten and token != found):
            raise DataLoss(TAKEN_BACK.format(seq=seen))

    def note(self, generation: str, seq: int, token: str | None) -> None:
        """Remember a transaction, unless a later one is known. It need not outlive a power cut."""
        path = self._folder / generation
        temporary = path.with_name(f".{secrets.token_hex(4)}.new")
        try:
            if self._read(generation)[0] < seq:
                self._folder.mkdir(parents=True, exist_ok=True)
                temporary.write_bytes(orjson.dumps([seq, token]))
                temporary.replace(path)
        except OSError as error:
            log.warning("%s cannot be written: %s", path, error.strerror)

    def _read(self, generation: str) -> tuple[int, str | None]:
        try:
            seq, token = orjson.loads((self._folder / generation).read_bytes())
            return int(seq), token
        except (OSError, ValueError, TypeError):
            return 0, None
