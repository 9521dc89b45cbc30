"""The gate itself: asked about every model that a run has made, before the model is published.

It runs in the process that publishes: the run's own knows no store, and what the alias points to is known best at the
end. A model is stored whatever becomes of its alias.
"""

from __future__ import annotations

import logging
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.jobs import Finished
from modelyard.ml_core.promoting import rows
from modelyard.ml_core.promoting.comparing import compare
from modelyard.ml_core.promoting.rows import Made, Old
from modelyard.ml_core.row_hashes import load_hashes
from modelyard.ml_core.serving.loaded import load
from modelyard.ml_core.training.runs import read_order, read_promote
from modelyard.schemas import ModelWarning, Promote, Promotion
from modelyard.storage import AliasCollection, ModelStore, Proposal
from modelyard.tables import UNPACKED_BYTES

log = logging.getLogger(__name__)


class Gate:
    """Says whether an alias shall be moved to the model that a run has made. It is `jobs`' gate."""

    def __init__(self, store: ModelStore, aliases: AliasCollection) -> None:
        self._store = store
        self._aliases = aliases

    def __call__(self, spool: Path, made: Finished) -> Proposal | None:
        """Return what is proposed, None if the order did not ask. Whatever goes wrong, the alias stays, with words."""
        try:
            promote = read_promote(spool)
        except (OSError, ValueError) as error:
            log.warning("what the order of %s says of aliases cannot be read: %s", spool.name, error)
            return None
        if promote is None:
            return None
        try:
            return self._proposed(promote, spool, made)
        except ModelyardError as error:
            reason = error.detail
        except Exception:  # a third party's estimator may raise anything, and the model must not be lost
            log.exception("the model of job %s cannot be judged", spool.name)
            reason = "the versions could not be judged: see the server's log"
        return Proposal(Promotion(alias=promote.alias, moved=False, reason=reason))

    def _proposed(self, promote: Promote, spool: Path, made: Finished) -> Proposal:
        if promote.condition == "always":
            promotion = Promotion(alias=promote.alias, moved=True, reason="asked for in any case")
            return Proposal(promotion, in_any_case=True)
        target = None if made.name is None else self._aliases.target(made.name, promote.alias)
        if target is None:
            return Proposal(Promotion(alias=promote.alias, moved=True, reason="the alias was not set yet"))
        old = self._old(target)
        new = Made(read_order(spool), spool / "result", dict(made.files), made.decision)
        judged = rows.held_out(new, old) if promote.on is None else rows.given(new, old)
        warnings = () if old.hashes is not None else (_rows_not_known(old),)
        return Proposal(compare(promote, new, old, judged), against=target, warnings=warnings)

    def _old(self, model_id: str) -> Old:
        record = self._store.get(model_id)
        loaded = load(self._store, record, UNPACKED_BYTES)
        return Old(loaded, record.metadata, load_hashes(self._store, record))


def _rows_not_known(old: Old) -> ModelWarning:
    message = (
        f"rows of promote.on that {old.called} was fitted on could not be left out, because it keeps no hashes of its "
        "training rows; if there are any, it looks better than it is"
    )
    return ModelWarning(code="promotion_rows_not_known", message=message)
