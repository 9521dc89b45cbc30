"""The request that a visitor's choices make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelyard.dashboard import session
from modelyard.dashboard.algorithms import Algorithm
from modelyard.dashboard.columns import Mapping
from modelyard.dashboard.naming import Naming
from modelyard.dashboard.tables import Table
from modelyard.schemas import Evaluation, Job, ModelMetadata, RetrainRequest, SearchRequest, TrainRequest, parse

_CHOICES = (
    "reading-train-",
    "target-",
    "task-",
    "class-",
    "hyperparams-",
    "search-",
    "monotone-",
    "calibrate-",
    "evaluation-",
    "name-",
    "tags-",
    "promote-",
)
_BUTTONS = ("-defaults", "-go")


def is_choice(key: str) -> bool:
    """Whether a widget's key is one of the training form's, whose value can be kept and put back."""
    return key.startswith(_CHOICES) and not key.endswith(_BUTTONS)


@dataclass(frozen=True, slots=True)
class Order:
    """All that the form says of one training or search."""

    algorithm: Algorithm
    evaluation: Evaluation
    naming: Naming
    mapping: Mapping
    target: str | None
    monotone: dict[str, int]
    calibrate: str | None = None

    def submit(self, table: Table, parent: ModelMetadata | None, idempotency_key: str) -> Job:
        """Order it. Raises InvalidRequest, and what the yard raises."""
        yard = session.yard()
        if self.algorithm.search is not None:
            return yard.submit_search(self.searching(table), idempotency_key=idempotency_key)
        if parent is None:
            return yard.submit_training(self.training(table), idempotency_key=idempotency_key)
        return yard.submit_retraining(self.retraining(table, parent), idempotency_key=idempotency_key)

    def training(self, table: Table) -> TrainRequest:
        """Write the order as a request. Raises InvalidRequest."""
        return parse(TrainRequest, self._fields(table, model_class_key=self.algorithm.key, name=self.naming.name))

    def searching(self, table: Table) -> SearchRequest:
        """Write the order as a request to search. Raises InvalidRequest."""
        fields = self._fields(table, name=self.naming.name)
        del fields["hyperparams"]
        return parse(SearchRequest, {**fields, **(self.algorithm.search or {})})

    def retraining(self, table: Table, parent: ModelMetadata) -> RetrainRequest:
        """Write the order as a request for the next version of a model. Raises InvalidRequest."""
        return parse(RetrainRequest, self._fields(table, model_id=parent.model_id))

    def _fields(self, table: Table, **own: str | None) -> dict[str, Any]:
        fields = {
            **own,
            **table.said,
            "X": table.sent,
            "target": self.target,
            "hyperparams": self.algorithm.hyperparams,
            "feature_types": dict(self.mapping.feature_types) or None,
            **({"column_roles": self.mapping.roles, "exclude": self._left_out()} if table.columns else {}),
            "monotone": (self.algorithm.takes_monotone and self.monotone) or None,
            "calibrate": self.calibrate,
            "tags": self.naming.tags,
            "evaluation": self.evaluation,
            "promote": self.naming.promote,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _left_out(self) -> list[str]:
        """Return the columns to ignore: said in full, because otherwise a parent's would be left out, too."""
        return [name for name, role in self.mapping.roles.items() if role == "ignore"]
