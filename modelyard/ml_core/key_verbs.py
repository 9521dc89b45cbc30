"""The verbs of keys and of the audit, and who it is that shows a key."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from modelyard import calls
from modelyard.access.guard import Guard
from modelyard.access.keys import StoredKey
from modelyard.access.refusals import Refusals
from modelyard.calls import Calls, verb
from modelyard.errors import ModelyardError
from modelyard.schemas import AuditPage, AuditQuery, KeyList, KeyRequest, NewKey, RotateRequest, Whoami, parse
from modelyard.storage import AuditCollection, KeyCollection
from modelyard.verbs import Verbs

log = logging.getLogger(__name__)


class KeyVerbs(Verbs):
    """The part of a yard that knows its keys and its audit. The doors ask its `guard` who calls."""

    calls: Calls

    def __init__(self, keys: KeyCollection, audit: AuditCollection, *, asked_for: bool) -> None:
        self._keys = keys
        self._audit = audit
        self._refusals = Refusals(audit.keep)
        self._noting: dict[str, threading.Thread] = {}
        self.guard = Guard(keys.find, self._note_use) if asked_for else Guard(None)

    @verb
    def create_key(self, request: KeyRequest) -> NewKey:
        """Make a key. See `Verbs.create_key`."""
        return self._keys.create(request)

    @verb
    def list_keys(self) -> KeyList:
        """List the keys. See `Verbs.list_keys`."""
        return KeyList(keys=self._keys.list())

    @verb
    def revoke_key(self, name: str) -> None:
        """Revoke a key. See `Verbs.revoke_key`."""
        self._keys.revoke(name)

    @verb
    def rotate_key(self, name: str, *, grace_s: float = 0.0) -> NewKey:
        """Rotate a key. See `Verbs.rotate_key`."""
        return self._keys.rotate(name, parse(RotateRequest, {"grace_s": grace_s}).grace_s)

    @verb
    def list_audit(self, query: AuditQuery | None = None) -> AuditPage:
        """List what was done and refused, newest first. See `Verbs.list_audit`."""
        return self._audit.page(query or AuditQuery())

    @verb
    def whoami(self) -> Whoami:
        """Say who calls. See `Verbs.whoami`."""
        who = calls.who()
        return Whoami(name=who.name, role=who.role, models=list(who.models), created_at=who.created_at)

    def take_admin_key(self, path: Path | None) -> None:
        """Take up the key in a file as an administrator's; without a file, say so if nobody has a key yet."""
        if path is not None:
            self._keys.take_from_file(path)
        elif not self._keys.list():
            log.warning("nobody has a key yet; make the first by `modelyard keys create NAME --role admin`")

    def _note_use(self, key: StoredKey) -> None:
        """Keep the day on which a key was used, off the way of the caller, who would wait for the disk."""
        if self._keys.was_used_today(key) or key.name in self._noting:
            return
        thread = threading.Thread(target=self._keep_use, args=(key,), name="modelyard-key-use", daemon=True)
        self._noting[key.name] = thread
        thread.start()

    def _end_noting(self) -> None:
        """Wait until the uses that are being kept are, because the storage is let go of next."""
        for thread in list(self._noting.values()):
            thread.join()

    def _keep_use(self, key: StoredKey) -> None:
        try:
            self._keys.note_use(key)
        except ModelyardError as error:
            log.warning("the day on which key %s was used is not kept: %s", key.name, error.detail)
        finally:
            del self._noting[key.name]
