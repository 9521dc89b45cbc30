"""Predictions for a few rows that are asked for at the same time, scored in one go.

If a library takes longer to be called than to score a row, callers on one event loop share the call: it is made at
the end of the turn in which the first of them asked, so nobody waits for others to come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from modelyard.ml_core.serving.loaded import LoadedModel
from modelyard.tables import FEW_ROWS, CheckedRow

Scores = list[list[float]]
_Asked = tuple[list[CheckedRow], "asyncio.Future[Scores]"]


class MicroBatches:
    """Gathers the rows for each model; for callers on one event loop."""

    def __init__(self) -> None:
        self._asked: dict[str, list[_Asked]] = {}

    async def score(self, model: LoadedModel, rows: list[CheckedRow]) -> Scores:
        """Return the class probabilities of checked rows, as `Predictor.few` does."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Scores] = loop.create_future()
        asked = self._asked.get(model.model_id)
        if asked is None:
            asked = self._asked[model.model_id] = []
            loop.call_soon(self._score, model)
        asked.append((rows, future))
        return await future

    def _score(self, model: LoadedModel) -> None:
        for shared in _batches(self._asked.pop(model.model_id)):
            try:
                scores = iter(model.predictor.few([row for rows, _ in shared for row in rows]))
            except Exception as error:  # noqa: BLE001 - raised to every caller
                for _, future in shared:
                    if not future.done():
                        future.set_exception(error)
                continue
            for rows, future in shared:
                own = [next(scores) for _ in rows]
                if not future.done():  # the caller may have left
                    future.set_result(own)


def _batches(asked: Iterable[_Asked]) -> Iterator[list[_Asked]]:
    """Yield batches of about FEW_ROWS rows, so that none holds up the loop for long."""
    batch: list[_Asked] = []
    size = 0
    for rows, future in asked:
        if batch and size + len(rows) > FEW_ROWS:
            yield batch
            batch, size = [], 0
        batch.append((rows, future))
        size += len(rows)
    yield batch
