"""Small predictions that are asked for in the same turn of an event loop, answered together at its end.

One look-up serves all who ask for a model, and if its library takes longer to be called than to score a row, one call
scores their rows. What is done for one after the other in several steps is quicker done step by step for all: its code
and data stay in the processor's caches. Nobody waits for others to come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeAlias

from modelyard import calls
from modelyard.calls import Call
from modelyard.ml_core.serving import predicting
from modelyard.ml_core.serving.loaded import LoadedModel, LoadedModels
from modelyard.schemas import Predictions, PredictRequest
from modelyard.tables import FEW_ROWS, FewRows

Told: TypeAlias = Callable[[Predictions | Exception | None], None]
"""Is told predictions, what is wrong, or None if the model is not loaded. It must not raise."""

LookUp: TypeAlias = Hashable


class _Asked(NamedTuple):
    request: PredictRequest
    call: Call | None
    told: Told


class Turns:
    """Gathers what is asked in each turn; for callers on one event loop."""

    def __init__(self, loaded: LoadedModels) -> None:
        self._loaded = loaded
        self._asked: dict[LookUp, list[_Asked]] = {}

    def ask(self, request: PredictRequest, told: Told, call: Call | None) -> None:
        """Call `told` at the end of this turn. What is found out is noted in `call`."""
        if not self._asked:
            asyncio.get_running_loop().call_soon(self._answer)
        self._asked.setdefault(looked_up_by(request, call), []).append(_Asked(request, call, told))

    async def predict(self, request: PredictRequest) -> Predictions | None:
        """Predict, for the call under way. Returns None if the model is not loaded; raises what is wrong."""
        future: asyncio.Future[Predictions | None] = asyncio.get_running_loop().create_future()
        self.ask(request, partial(_settle, future), calls.under_way())
        return await future

    def _answer(self) -> None:
        turn, self._asked = self._asked, {}
        for asked in turn.values():
            found: LoadedModel | Exception | None
            first, call, _ = asked[0]
            try:
                with calls.on_behalf_of(call):
                    found = self._loaded.get_loaded(first.model_id, first.decision)
            except Exception as error:  # noqa: BLE001 - told to every caller
                found = error
            if isinstance(found, LoadedModel):
                _answer_by(found, asked)
                continue
            for one in asked:
                one.told(found)


def looked_up_by(request: PredictRequest, call: Call | None) -> LookUp:
    """Return what two requests share if one look-up of a model serves both.

    Who shows a key has look-ups of their own: it may be invalid by now, or not be for the model, in words that name it.
    """
    by: LookUp = request.model_id
    if request.decision is not None:
        by = (by, request.decision.model_dump_json())
    if call is not None and call.identity.has_key:
        by = (by, call.identity)
    return by


def _answer_by(model: LoadedModel, asked: Iterable[_Asked]) -> None:
    few: list[tuple[_Asked, FewRows]] = []
    for one in asked:
        if one.call is not None:
            one.call.facts.update(model_id=model.model_id, model_class=model.model_class_key)
        found: Predictions | Exception
        try:
            checked = predicting.check(model, one.request)
            if isinstance(checked, FewRows):
                few.append((one, checked))
                continue
            found = predicting.predict_many(model, checked, one.request, one.call)
        except Exception as error:  # noqa: BLE001 - told to its caller
            found = error
        one.told(found)
    for batch in _batches(few) if model.model_class.gains_by_batching else ([pair] for pair in few):
        _score(model, batch)


def _score(model: LoadedModel, batch: list[tuple[_Asked, FewRows]]) -> None:
    try:
        scores = iter(model.predictor.few([row for _, checked in batch for row in checked.rows]))
    except Exception as error:  # noqa: BLE001 - told to every caller
        for one, _ in batch:
            one.told(error)
        return
    for one, checked in batch:
        found: Predictions | Exception
        try:
            own = list(islice(scores, len(checked.rows)))
            found = predicting.answer_few(model, own, checked, one.request, one.call)
        except Exception as error:  # noqa: BLE001 - told to its caller
            found = error
        one.told(found)


def _batches(asked: Iterable[tuple[_Asked, FewRows]]) -> Iterator[list[tuple[_Asked, FewRows]]]:
    """Yield batches of about FEW_ROWS rows, so that none holds up the loop for long."""
    batch: list[tuple[_Asked, FewRows]] = []
    size = 0
    for one, checked in asked:
        if batch and size + len(checked.rows) > FEW_ROWS:
            yield batch
            batch, size = [], 0
        batch.append((one, checked))
        size += len(checked.rows)
    if batch:
        yield batch


def _settle(future: asyncio.Future[Predictions | None], found: Predictions | Exception | None) -> None:
    if future.done():  # the caller has left
        return
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result(found)
