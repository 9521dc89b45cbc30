"""The folder `outbox/`: what ClearML has not been told yet, and how the last attempt went.

`<id>.json` is the record of one run: all there is to tell of it, sealed by a checksum. `<id>.task` is the task that was
begun for it. `refused/` holds the records that ClearML will never take, `state.json` how the last attempt went. All of
it can be made anew from the database, except records of models that were deleted for good before they were told.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from modelyard.errors import DataLoss
from modelyard.storage.files import make_folder, unavailable, write_new_file
from modelyard.storage.sealing import is_sealed, seal

log = logging.getLogger("modelyard.tracking")

FORMAT = 1

_ASKED = "asked"
_STATE = "state.json"
_REFUSED = "refused"


class DeliveryState(BaseModel):
    """How the last attempt went: `problem` is why it failed, if it did, and `next_try_at` when the next one is due."""

    model_config = ConfigDict(frozen=True)

    tried_at: datetime | None = None
    problem: str | None = None
    since: datetime | None = None
    next_try_at: datetime | None = None


class Outbox:
    """The outbox. Its folder is made with its first file. Every use raises Unavailable if the system refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.talk = self.path / "push.log"
        """What ClearML's library said in the last attempt."""

    def make(self) -> None:
        """Make the folder if it is missing."""
        with unavailable(f"make {self.path}"):
            make_folder(self.path, inside=self.path.parent)

    def keys(self) -> list[str]:
        """Return the keys of all records to tell."""
        with unavailable(f"read {self.path}"):
            return sorted(path.stem for path in self.path.glob("*.json") if path.name != _STATE)

    def put(self, key: str, record: dict[str, Any]) -> None:
        """Write a record, whole or not at all."""
        content = seal(orjson.dumps({"format": FORMAT, **record}), key.encode())
        self._replace(self._record(key), content, durable=True)

    def has(self, key: str) -> bool:
        """Whether there is a record."""
        return self._record(key).exists()

    def get(self, key: str) -> dict[str, Any] | None:
        """Return a record; None if there is none. Raises DataLoss if it is damaged."""
        path = self._record(key)
        with unavailable(f"read {path}"):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                return None
        if not is_sealed(content, key.encode()):
            raise DataLoss(f"{path} is damaged: its checksum does not hold")
        record: dict[str, Any] = orjson.loads(content)
        if record["format"] != FORMAT:
            raise DataLoss(f"{path} has format {record['format']}; this release reads format {FORMAT}")
        return record

    def remove(self, key: str) -> None:
        """Remove a record that was told, and the note of its task. Neither need exist."""
        with unavailable(f"remove {self._record(key)}"):
            self._record(key).unlink(missing_ok=True)
            self._task(key).unlink(missing_ok=True)

    def task_id(self, key: str) -> str | None:
        """Return the task that was begun for a run, if one was."""
        try:
            return self._task(key).read_text().strip() or None
        except OSError:
            return None

    def note_task(self, key: str, task_id: str) -> None:
        """Write down that a task was begun, so that the next attempt goes on with it."""
        self._replace(self._task(key), task_id.encode())

    def set_aside(self, key: str) -> None:
        """Move a record that ClearML refuses for good to the refused ones, which are not tried again."""
        with unavailable(f"move {self._record(key)}"), suppress(FileNotFoundError):
            make_folder(self.path / _REFUSED, inside=self.path.parent)
            self._record(key).rename(self.path / _REFUSED / f"{key}.json")

    def bring_back(self, key: str) -> None:
        """Take back a record that was set aside."""
        with unavailable(f"move {self._record(key)}"), suppress(FileNotFoundError):
            (self.path / _REFUSED / f"{key}.json").rename(self._record(key))

    def state(self) -> DeliveryState:
        """Return how the last attempt went."""
        try:
            return DeliveryState.model_validate_json((self.path / _STATE).read_bytes())
        except (OSError, ValidationError):
            return DeliveryState()

    def write_state(self, state: DeliveryState) -> None:
        """Write down how an attempt went."""
        self._replace(self.path / _STATE, state.model_dump_json().encode())

    def ask(self) -> None:
        """Ask whoever delivers to try at once."""
        self.make()
        with unavailable(f"write {self.path / _ASKED}"):
            (self.path / _ASKED).touch()

    def take_request(self) -> bool:
        """Whether somebody has asked since the last look."""
        try:
            (self.path / _ASKED).unlink()
        except OSError:
            return False
        return True

    def _record(self, key: str) -> Path:
        return self.path / f"{key}.json"

    def _task(self, key: str) -> Path:
        return self.path / f"{key}.task"

    def _replace(self, path: Path, content: bytes, *, durable: bool = False) -> None:
        self.make()
        temporary = path.with_name(f".new-{secrets.token_hex(8)}")
        with unavailable(f"write {path}"):
            try:
                if durable:
                    write_new_file(temporary, content)
                else:
                    temporary.write_bytes(content)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
