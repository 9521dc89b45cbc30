"""What the processes of the torture do: writers that say what they begin and what was answered, readers that compare.

`python -m tests.storage_torture writer|reader FOLDER SEED`, until killed.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from unittest import mock

from modelyard.errors import ModelNotFound
from modelyard.schemas import ModelQuery
from modelyard.storage import ModelStore
from tests.storage_drafts import add_model, new_model, open_store

NAMES = ("churn", "credit", "fraud")


def write(store: ModelStore, seed: int) -> None:
    """Change models of its own for ever, one line of output before and one after each change."""
    chance = random.Random(seed)
    mine: list[str] = []
    while True:
        verb = chance.choice(["add", "add", "delete", "restore", "gone"] if mine else ["add"])
        model_id = chance.choice(mine) if verb != "add" else "-"
        say("begin", verb, model_id)
        if verb == "add":
            model = add_model(store, new_model(name=chance.choice(NAMES), estimator=chance.randbytes(200))).metadata
            model_id = model.model_id
            mine.append(model_id)
            say("done", verb, model_id, f"{model.name}:{model.version}")
            continue
        if verb == "gone":
            store.delete_for_good(model_id)
            mine.remove(model_id)
        else:
            store.set_status(model_id, "deleted" if verb == "delete" else "active")
        say("done", verb, model_id)


def read(store: ModelStore, seed: int) -> None:
    """Look at everything for ever, and fail where what is seen is damaged or older than what was seen before."""
    chance = random.Random(seed)
    events: dict[str, int] = {}
    while True:
        models = store.page(ModelQuery(status="all", limit=1000)).models
        listed = {model.model_id for model in models}
        for model_id in listed | events.keys():
            happened = len(store.history(model_id).events)
            assert happened >= events.get(model_id, 0), f"{model_id} went back"
            events[model_id] = happened
        assert len({(model.name, model.version) for model in models}) == len(models)
        for model_id in chance.sample(sorted(listed), min(5, len(listed))):
            try:
                record = store.get(model_id)
                for file in record.files:
                    store.read_file(record, file)
            except ModelNotFound:
                assert store.history(model_id).events[-1].status == "gone"
        say("looked", str(len(models)))


def say(*words: str) -> None:
    """Write a line at once and whole, as far as the system does."""
    os.write(sys.stdout.fileno(), (" ".join(words) + "\n").encode())


if __name__ == "__main__":
    role, folder, given = sys.argv[1:]
    with mock.patch("modelyard.storage.documents.database.COMPACT_ABOVE_BYTES", 30_000):
        (write if role == "writer" else read)(open_store(Path(folder), lock_timeout_s=60), int(given))
