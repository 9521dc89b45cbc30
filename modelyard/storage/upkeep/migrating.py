"""Move a yard to other engines: a copy of one that takes no change any more, and still answers.

Killed in between, the same command goes on.
"""

from __future__ import annotations

from contextlib import closing

from modelyard.errors import FailedPrecondition
from modelyard.storage.collections.job_index import JOBS, is_alive
from modelyard.storage.memory import MOVED, PLACE
from modelyard.storage.opening import Engines, whole_documents
from modelyard.storage.protocols import Documents
from modelyard.storage.upkeep.copying import Copied, copy


def migrate(old: Engines, new: Engines) -> Copied:
    """Move a yard to engines on which there is none.

    Raises FailedPrecondition if jobs are under way, if the new yard is not empty, or if the old one was moved
    elsewhere; DataLoss if anything of the old one is damaged (repair it first); what engines raise.
    """
    with closing(whole_documents(old)) as documents:
        moved = documents.get(MOVED, PLACE)
        if moved is not None and moved["to"] != new.name:
            raise FailedPrecondition(f"this yard was moved to {moved['to']}")
        _check_no_job(documents)
        return copy(old, documents, new, before=lambda: None if moved else _freeze(documents, new.name))


def _freeze(documents: Documents, target: str) -> None:
    """Let a yard take no change any more."""
    with documents.transaction() as transaction:
        _check_no_job(documents)
        transaction.put(MOVED, PLACE, {"to": target})


def _check_no_job(documents: Documents) -> None:
    with documents.reading():
        for job_id, raw in documents.documents(JOBS):
            if is_alive(raw):
                raise FailedPrecondition(f"job {job_id} is under way: wait for it or cancel it, and stop the servers")
