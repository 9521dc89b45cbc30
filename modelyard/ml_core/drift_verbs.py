"""The verb of drift: what a model keeps of its training, beside what all processes have counted since."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from modelyard.calls import Calls, verb
from modelyard.errors import FailedPrecondition, Unavailable
from modelyard.ml_core.deciding import decider
from modelyard.ml_core.serving.loaded import reference_of, watch_of
from modelyard.ml_core.tasks import TASKS
from modelyard.ml_core.validation_predictions import load_validation
from modelyard.monitoring import drift
from modelyard.monitoring.counts import ModelCounts, count_answers, key_of
from modelyard.monitoring.watch import Reference
from modelyard.monitoring.watching import HOUR_S, Watching
from modelyard.schemas import MOST_PROBABLE, Drift, DriftQuery, HourOfRows
from modelyard.storage import CONTRACT_FILE, DriftCollection, ModelRecord, ModelStore
from modelyard.tables import Contract, contract_from_json
from modelyard.verbs import Verbs


class DriftVerbs(Verbs):
    """The part of a yard that knows what its models were asked."""

    calls: Calls
    _store: ModelStore
    _drift: DriftCollection
    watching: Watching

    @verb
    def get_drift(self, reference: str, query: DriftQuery | None = None) -> Drift:
        """Tell how far what a model is asked is from its training. See `Verbs.get_drift`."""
        hours = (query or DriftQuery()).hours
        record, until = self._store.get(reference), datetime.now(UTC)
        model = record.metadata
        since = until.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)
        contract = contract_from_json(self._store.read_file(record, CONTRACT_FILE))
        known = reference_of(self._store, record, contract)
        counts, hourly = self._counts(model.model_id, since)
        said = {"model_id": model.model_id, "name": model.name, "version": model.version}
        said |= {"rows": counts.rows, "since": since, "until": until, "columns": {}, "hourly": hourly}
        if known is None:
            message = "an earlier release trained it, or a repair left its counts out; retrain it to tell drift"
            return Drift(**said, status="no_reference", message=message)
        answers = self._answers(record, contract, known, counts)
        samples = [*drift.samples_of(contract, known, counts), *([] if answers is None else [answers])]
        found = drift.judge(samples, counts.rows)
        status = drift.overall(found, counts.rows)
        said["message"] = drift.in_words(status, samples, found, counts.rows, hours)
        said["columns"] = dict(zip(contract.feature_types, found, strict=False))
        return Drift(**said, status=status, predictions=None if answers is None else found[-1])

    def _counts(self, model_id: str, since: datetime) -> tuple[ModelCounts, list[HourOfRows]]:
        """Add up what all processes have counted of a model since an hour, and the rows of each hour."""
        with suppress(Unavailable):  # what cannot be kept cannot be read, either; the log tells why
            self.watching.keep()
        counts, rows = ModelCounts(), Counter[int]()
        for hour, found in self._drift.read(model_id, int(since.timestamp()) // HOUR_S):
            counts.add(ModelCounts.from_json(found))
            rows[hour] += found["rows"]
        hours = [HourOfRows(hour=datetime.fromtimestamp(hour * HOUR_S, UTC), rows=rows[hour]) for hour in sorted(rows)]
        return counts, hours

    def _answers(
        self, record: ModelRecord, contract: Contract, known: Reference, counts: ModelCounts
    ) -> drift.Sample | None:
        """Return the answers beside those to the rows held out; None if none were.

        Labels are compared by the decision that the model obeys now: those that obeyed another one are left out.
        """
        decision = record.metadata.decision or (MOST_PROBABLE if contract.classes else None)
        seen = counts.answers.get(key_of(decision))
        if decision is None:
            return None if known.answers is None else drift.sample_of_numbers(known.answers, seen)
        with suppress(FailedPrecondition):
            held_out = load_validation(self._store, record, contract)
            decides = decider(decision, contract.classes)
            labels = TASKS[record.metadata.task].many_answers(held_out.scores, contract, decides)
            expected = count_answers(watch_of(self._store, record, contract), labels)
            assert expected is not None
            return drift.sample_of_labels(contract, expected, seen)
        return None
