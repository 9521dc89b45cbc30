"""The folder `outbox/`: what ClearML has not been told yet, and how the last attempt went.

`<id>.json` is the record of one run: all there is to tell of it, sealed by a checksum. `<id>.task` is the task that was
begun for it. `refused/` holds the records that ClearML will never take, `state.json` how the last attempt went. All of
it can be made anew from the database, except records of models that were deleted for good before they were told.
"""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from modelyard.errors import DataLoss, Unavailable
from modelyard.storage import Notes
from modelyard.storage.files import make_folder, unavailable
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
    """The outbox, in `notes`. Every use raises Unavailable if the system refuses.

    `talk` is a file of this host: what ClearML's library said in the last attempt.
    """

    def __init__(self, folder: Path, notes: Notes) -> None:
        self.path = folder
        self.talk = folder / "push.log"
        self._notes = notes

    def make(self) -> None:
        """Make the folder of this host if it is missing."""
        with unavailable(f"make {self.path}"):
            make_folder(self.path, inside=self.path.parent)

    def keys(self) -> list[str]:
        """Return the keys of all records to tell."""
        return [name.removesuffix(".json") for name in self._notes.names() if name.endswith(".json") and name != _STATE]

    def put(self, key: str, record: dict[str, Any]) -> None:
        """Write a record, whole or not at all."""
        content = seal(orjson.dumps({"format": FORMAT, **record}), key.encode())
        self._notes.write(f"{key}.json", content, durable=True)

    def has(self, key: str) -> bool:
        """Whether there is a record."""
        return self._notes.read(f"{key}.json") is not None

    def get(self, key: str) -> dict[str, Any] | None:
        """Return a record; None if there is none. Raises DataLoss if it is damaged."""
        content = self._notes.read(f"{key}.json")
        if content is None:
            return None
        if not is_sealed(content, key.encode()):
            raise DataLoss(f"{key}.json in the outbox is damaged: its checksum does not hold")
        record: dict[str, Any] = orjson.loads(content)
        if record["format"] != FORMAT:
            raise DataLoss(
                f"{key}.json in the outbox has format {record['format']}; this release reads format {FORMAT}"
            )
        return record

    def remove(self, key: str) -> None:
        """Remove a record that was told, and the note of its task. Neither need exist."""
        self._notes.remove(f"{key}.json")
        self._notes.remove(f"{key}.task")

    def task_id(self, key: str) -> str | None:
        """Return the task that was begun for a run, if one was."""
        try:
            return (self._notes.read(f"{key}.task") or b"").decode().strip() or None
        except Unavailable:
            return None

    def note_task(self, key: str, task_id: str) -> None:
        """Write down that a task was begun, so that the next attempt goes on with it."""
        self._notes.write(f"{key}.task", task_id.encode())

    def set_aside(self, key: str) -> None:
        """Move a record that ClearML refuses for good to the refused ones, which are not tried again."""
        self._notes.move(f"{key}.json", f"{_REFUSED}/{key}.json")

    def bring_back(self, key: str) -> None:
        """Take back a record that was set aside."""
        self._notes.move(f"{_REFUSED}/{key}.json", f"{key}.json")

    def state(self) -> DeliveryState:
        """Return how the last attempt went."""
        try:
            return DeliveryState.model_validate_json(self._notes.read(_STATE) or b"{}")
        except (Unavailable, ValidationError):
            return DeliveryState()

    def write_state(self, state: DeliveryState) -> None:
        """Write down how an attempt went."""
        self._notes.write(_STATE, state.model_dump_json().encode())

    def ask(self) -> None:
        """Ask whoever delivers to try at once."""
        self._notes.write(_ASKED, b"")

    def take_request(self) -> bool:
        """Whether somebody has asked since the last look."""
        try:
            return self._notes.remove(_ASKED)
        except Unavailable:
            return False
