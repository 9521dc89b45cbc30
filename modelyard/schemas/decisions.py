"""How the probabilities of a classification model become its answers: what a caller asks for, and what is obeyed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from modelyard.schemas.base import Frozen, Label, ModelWarning, Request
from modelyard.schemas.showing import label_text, shown

RuleName = Literal["most_probable", "threshold", "costs", "capacity"]

TAKES: dict[str, tuple[str, ...]] = {
    "most_probable": (),
    "threshold": ("class", "threshold", "metric", "min_precision"),
    "costs": ("costs",),
    "capacity": ("class", "share"),
}
"""The fields that go with each rule."""

_ONE_OF_THRESHOLD = ("threshold", "metric", "min_precision")
_MOST = 1e15


def _text(label: object) -> object:
    return label_text(label) if isinstance(label, bool | int) else label


def _is_none(value: object) -> bool:
    return value is None


LabelText = Annotated[str, BeforeValidator(_text)]
Cost = Annotated[float, Field(strict=True, ge=-_MOST, le=_MOST, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]
Costs = dict[LabelText, dict[LabelText, Cost]]


class Decision(Request):
    """A rule by which the probabilities of k classes become an answer.

    `most_probable` answers the most probable class. `threshold` answers `class` (the second of two if left out) if its
    probability reaches the threshold, else the most probable of the others; the threshold is given, or it is the one by
    which a `metric` of the validation is best, or the lowest one that has `min_precision` there. `costs` answers the
    label of least expected cost, by `{true label: {predicted label: cost}}`; missing costs are 0, gains are negative.
    `capacity` answers `class` for the `share` of the validation's rows in which it is most probable.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    rule: RuleName
    label: LabelText | None = Field(None, alias="class", exclude_if=_is_none)
    threshold: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] | None = Field(
        None, exclude_if=_is_none
    )
    metric: Literal["f1", "balanced_accuracy"] | None = Field(None, exclude_if=_is_none)
    min_precision: Share | None = Field(None, exclude_if=_is_none)
    costs: Costs | None = Field(None, exclude_if=_is_none)
    share: Share | None = Field(None, exclude_if=_is_none)

    @field_validator("costs", mode="before")
    @classmethod
    def _are_costs(cls, costs: Any) -> Any:
        if costs is None or (
            isinstance(costs, Mapping) and costs and all(isinstance(row, Mapping) for row in costs.values())
        ):
            return costs
        raise ValueError(
            "costs must be an object of true labels, each an object of predicted labels and costs, as in "
            f'{{"yes": {{"no": 10}}, "no": {{"yes": 1}}}}, got {shown(costs)}'
        )

    @model_validator(mode="after")
    def _fits_its_rule(self) -> Self:
        given = [name for name in self.model_dump(exclude_none=True) if name != "rule"]
        takes = TAKES[self.rule]
        if wrong := [name for name in given if name not in takes]:
            told = f"takes {_listed(takes)}" if takes else "takes no other field"
            raise ValueError(f"field {wrong[0]!r} does not go with rule {self.rule!r}, which {told}")
        due = _ONE_OF_THRESHOLD if self.rule == "threshold" else [name for name in takes if name != "class"]
        found = [name for name in given if name in due]
        if due and len(found) != 1:
            exactly = f"exactly one of {_listed(due)}" if len(due) > 1 else f"field {due[0]!r}"
            raise ValueError(f"rule {self.rule!r} takes {exactly}, got {_listed(found) or 'none'}")
        return self


class ResolvedDecision(Decision):
    """A decision as it is obeyed: with the `threshold` that was found for it, and the `class` that this is of.

    Costs of more than two classes have neither, nor have those by which one answer is always the cheapest.
    """

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="after")
    def _fits_its_rule(self) -> Self:
        return self

    @property
    def is_derived(self) -> bool:
        """Whether its threshold was found by the validation or the costs, and not given."""
        return self.rule in ("costs", "capacity") or self.metric is not None or self.min_precision is not None

    @property
    def asked(self) -> Decision:
        """The request that it came from, but with the class that was meant."""
        fields = self.model_dump(exclude_none=True)
        if self.is_derived:
            fields.pop("threshold", None)
        if self.rule == "costs":
            fields.pop("class", None)
        return Decision.model_validate(fields)

    @property
    def in_words(self) -> str:
        """What it answers, as the end of a sentence."""
        if self.rule == "most_probable":
            return "the most probable class"
        if self.threshold is None:
            return "the class of least expected cost"
        return f"{self.label!r} from a probability of {self.threshold:.4g} on"

    @cached_property
    def json_text(self) -> bytes:
        """The decision as JSON, written once."""
        return self.model_dump_json().encode()


MOST_PROBABLE = ResolvedDecision(rule="most_probable")
"""The decision of models that have none."""


class ConfusionMatrix(Frozen):
    """`matrix[i][j]` counts rows of class `labels[i]` that were predicted as `labels[j]`, or adds up their weights."""

    labels: list[Label]
    matrix: list[list[int | float]]


class DecisionPoint(Frozen):
    """What a threshold would answer on the validation: shares between 0 and 1, and the mean cost of a row.

    `share` is the part of the rows that get the class; `precision` and `recall` are null if no row gets it or has it.
    The true mean cost lies between `cost_low` and `cost_high` in 9 of 10 cases.
    """

    threshold: float
    precision: float | None
    recall: float | None
    share: float
    cost: float
    cost_low: float
    cost_high: float


class DecisionMetrics(Frozen):
    """How good the answers of a decision are on the validation, as in DecisionPoint.

    `precision`, `recall` and `share` are of the report's class, null if it has none.
    """

    precision: float | None = None
    recall: float | None = None
    share: float | None = None
    accuracy: float
    cost: float
    cost_low: float
    cost_high: float


class DecisionReport(Frozen):
    """The decision of a model, what it does on the model's validation predictions, and what others would do there.

    `curve` has a point for each of at most some 200 thresholds of `class`, ascending; it is empty, and what follows is
    null, if the model keeps no validation predictions. `metrics` are those of the decision, `most_probable` those of
    answering the most probable class; `confusion_matrix` counts the decision's answers. With `cross_fitted`, a
    threshold that the validation found was found on one half of the rows and measured on the other, both ways. Costs
    are the decision's own, or 1 an error if it has none.

    `saving` is the part of the most probable class's cost that the decision saves, between `saving_low` and
    `saving_high` in 9 of 10 cases; null if that cost is no positive number. `words` say it.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    model_id: str
    name: str
    version: int
    decision: ResolvedDecision
    label: str | None = Field(None, alias="class")
    curve: list[DecisionPoint] = []
    metrics: DecisionMetrics | None = None
    most_probable: DecisionMetrics | None = None
    confusion_matrix: ConfusionMatrix | None = None
    cross_fitted: bool = False
    saving: float | None = None
    saving_low: float | None = None
    saving_high: float | None = None
    words: str = ""
    n_rows: int = 0
    warnings: list[ModelWarning] = []

    @property
    def own_threshold(self) -> float | None:
        """The decision's threshold, if it is of the class that the curve is of."""
        return self.decision.threshold if self.decision.label == self.label else None


def _listed(names: Any) -> str:
    *first, last = names or [""]
    return f"{', '.join(first)} and {last}" if first else last
